"""Rank numbering and the groups of each axis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.parallelism.mesh import AXES, Mesh, MeshAxis, mesh_of, usable_gpus
from colossus_sim.specs.parallel import ParallelPlan

degrees = st.integers(1, 4)


def plan(**fields: Any) -> ParallelPlan:
    """Return a plan without looking at its software stack."""
    values = {"global_batch_size": 512, "sequence_length": 4096} | fields
    return ParallelPlan.model_construct(**values)


def ranks(axis: MeshAxis) -> list[list[int]]:
    """List the groups of an axis."""
    return [
        [outer * axis.block + inner + i * axis.stride for i in range(axis.size)]
        for outer in range(axis.outer)
        for inner in range(axis.inner)
    ]


def test_megatron_order_by_hand() -> None:
    """tp 2, cp 2, dp 2, pp 2: tp neighbours first, pipeline stages farthest apart."""
    mesh = Mesh(tp=2, cp=2, dp=2, pp=2, ep=4)
    assert ranks(mesh.axis("tp"))[:2] == [[0, 1], [2, 3]]
    assert ranks(mesh.axis("cp"))[:3] == [[0, 2], [1, 3], [4, 6]]
    assert ranks(mesh.axis("dp"))[:2] == [[0, 4], [1, 5]]
    assert ranks(mesh.axis("dp_cp"))[0] == [0, 2, 4, 6]
    assert ranks(mesh.axis("pp"))[7] == [7, 15]
    assert ranks(mesh.axis("ep"))[:2] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert ranks(mesh.axis("edp"))[:2] == [[0, 4], [1, 5]]
    assert ranks(mesh.axis("embedding"))[0] == [0, 8]


@settings(deadline=None)
@given(degrees, degrees, degrees, degrees)
def test_axes_partition_all_ranks(tp: int, cp: int, dp: int, pp: int) -> None:
    """The groups of every axis hold each rank exactly once; embedding groups join first and last stage."""
    mesh = Mesh(tp=tp, cp=cp, dp=dp, pp=pp)
    for name in AXES:
        axis = mesh.axis(name)
        found = sorted(rank for group in ranks(axis) for rank in group)
        assert axis.num_groups * axis.size == len(found)
        assert axis.last_rank == found[-1]
        if name == "embedding":
            stage = mesh.stage_ranks
            ends = sorted({*range(stage), *range((pp - 1) * stage, pp * stage)})
            assert found == ends
        else:
            assert found == list(range(mesh.world_size))


@settings(deadline=None)
@given(degrees, degrees, degrees, degrees, st.data())
def test_coordinates_and_ranks_are_inverse(tp: int, cp: int, dp: int, pp: int, data: st.DataObject) -> None:
    """A rank's coordinates lead back to it."""
    mesh = Mesh(tp=tp, cp=cp, dp=dp, pp=pp)
    rank = data.draw(st.integers(0, mesh.world_size - 1))
    assert mesh.rank(**mesh.coordinates(rank)) == rank


def test_data_parallel_fills_the_job() -> None:
    """Without a given degree, as many replicas run as fit; the rest of the GPUs are left over."""
    one = plan(tensor_parallel=8, pipeline_parallel=4)
    assert usable_gpus(one, 1000) == 992
    assert mesh_of(one, 1000) == Mesh(tp=8, cp=1, dp=31, pp=4)
    assert usable_gpus(one, 31) == 0


def test_data_parallel_is_a_multiple_that_expert_groups_divide() -> None:
    """64-way expert parallelism over tp 8 needs a multiple of 8 replicas."""
    one = plan(tensor_parallel=8, pipeline_parallel=2, expert_parallel=64)
    assert usable_gpus(one, 1000) == 8 * 56 * 2
    assert mesh_of(one, 1000).edp == 7


def test_given_data_parallel_is_kept() -> None:
    """A plan that says its replicas uses exactly those, or does not fit."""
    one = plan(tensor_parallel=8, pipeline_parallel=4, data_parallel=16)
    assert usable_gpus(one, 1000) == 512
    assert usable_gpus(one, 511) == 0
    with pytest.raises(ValueError, match=r"8 x 1 x 4 x 16 = 512 GPUs, but the job has 511.*15 would fit"):
        mesh_of(one, 511)


@pytest.mark.parametrize(
    ("fields", "gpus", "said"),
    [
        (
            {"tensor_parallel": 8, "data_parallel": 4, "expert_parallel": 12},
            32,
            "12 x 1 = 12 does not divide the 32 GPUs of a pipeline stage .*nearest that do: 8 or 16",
        ),
        ({"tensor_parallel": 8, "pipeline_parallel": 16}, 100, "8 x 1 x 16 = 128 GPUs for one replica, but"),
        ({"tensor_parallel": 8, "expert_parallel": 64}, 32, "and 64 for its 64-GPU expert groups"),
    ],
)
def test_refusals_name_the_product_and_the_nearest_values(
    fields: dict[str, int], gpus: int, said: str
) -> None:
    """What does not divide or fit is shown with its factors and with values that would."""
    with pytest.raises(ValueError, match=said):
        mesh_of(plan(**fields), gpus)
