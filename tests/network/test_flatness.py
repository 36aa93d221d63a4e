"""Jobs that send as much out of groups with few of their ranks as out of full ones: what they leave to others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.network.boundary import flattened
from colossus_sim.network.links import links_of
from colossus_sim.network.sharing import MODES, JobDemand, LinkSharing
from colossus_sim.parallelism.collective_time import Route
from colossus_sim.parallelism.groups import group_span
from colossus_sim.parallelism.mesh import MeshAxis
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.fabric import Fabric, Level
from colossus_sim.training.communication import Call, PricedCall
from colossus_sim.training.ledger import Ledger

NIC, OVER = 50e9, 8.0
NET = Fabric(
    name="t",
    kind="clos",
    levels=tuple(
        Level(name=str(size), group_gpus=size, bandwidth=rate, latency=0.0)
        for size, rate in ((8, 369e9), (128, NIC), (512, NIC / OVER))
    ),
    injection_bandwidth=NIC,
    gpus=512,
    gpus_per_domain=8,
)


@given(
    st.lists(st.integers(0, 64), min_size=1, max_size=9).filter(any),
    st.floats(1.0, 9.0),
)
def test_groups_send_by_their_ranks_up_to_the_fullest(counts: list[int], flatness: float) -> None:
    """The sum is as asked as far as the groups go, the fullest sends as before, and no other more than it."""
    ranks = np.array(counts, dtype=np.float64)
    sent = flattened(ranks, flatness)
    most = ranks.max() * np.count_nonzero(ranks)
    assert sent.sum() == pytest.approx(min(flatness * ranks.sum(), most))
    assert sent.max() == ranks.max()
    assert (sent >= ranks).all()
    assert ((sent > 0) == (ranks > 0)).all()
    below = (sent < ranks.max()) & (ranks > 0)
    ratios = sent[below] / ranks[below]
    assert ratios.tolist() == pytest.approx([ratios.max(initial=0.0)] * len(ratios))


def test_in_proportion_nothing_changes() -> None:
    """Flatness 1 is the ranks themselves, to the bit."""
    ranks = np.array([3.0, 0.0, 7.0])
    assert flattened(ranks, 1.0) is ranks


def test_flatness_of_a_ring_and_of_an_exchange() -> None:
    """136 ranks as 128 + 8: both leaf groups send equally much, for 128 + 8 ranks as many as 128 + 128 would."""
    axis = MeshAxis(name="x", size=136, stride=1, inner=1, outer=1, block=136)
    leaf = group_span(axis, Placement(8, 8, ((0, 17),)), NET).filling[1]
    assert leaf.flatness("all_gather", 136) == pytest.approx(256 / 136)
    assert leaf.flatness("all_to_all", 136) == pytest.approx(256 / 136)
    even = group_span(axis._replace(size=256, block=256), Placement(8, 8, ((0, 32),)), NET).filling[1]
    for operation in ("all_gather", "all_to_all"):
        assert even.flatness(operation, 256) == pytest.approx(1.0)


def spilled(name: str, runs: tuple[tuple[int, int], ...], flatness: float) -> JobDemand:
    """Return a job on these domains."""
    placement = Placement(8, 8, runs)
    return JobDemand(
        name=name,
        placement=placement,
        gpus=placement.capacity,
        traffic=(0.0, 0.0, 1e9),
        step_time=1.0,
        flatness=(1.0, 1.0, flatness),
    )


def test_two_rings_share_the_link_of_the_thin_part() -> None:
    """A ring over 128 + 8 GPUs and one over the other 120 and 128 more get half of the uplinks between them each.

    By ranks the first would have a sixteenth of them.
    """
    one = spilled("one", ((0, 17),), 256 / 136)
    other = spilled("other", ((17, 31),), 1.0 * 256 / 248)
    for jobs in ([one, other], [other, one]):
        rates = LinkSharing(NET).shared(jobs, "worst_case")
        # Per rank of the fullest group, which stands for what the job may send out of any.
        for job in jobs:
            assert 128 * rates[job.name][2] == pytest.approx(128 * NIC / OVER / 2)
    alone = LinkSharing(NET).shared([one, other], "none")
    assert alone == {job.name: LinkSharing(NET).alone(job.placement, job.gpus) for job in (one, other)}


def test_mean_loads_are_conserved() -> None:
    """What a job sends on average is spread over its groups anew, not changed: 1 GB/s of each of 136 GPUs."""
    one, quiet = spilled("one", ((0, 17),), 256 / 136), spilled("quiet", ((17, 15),), 1.0)
    left = LinkSharing(NET).shared([one, quiet], "average")["quiet"][2]
    assert left == pytest.approx((128 * NIC / OVER - 136e9 / 2) / 120)


def test_load_of_the_uplinks() -> None:
    """In a table of loads both leaf groups of the ring send half of the total."""
    from colossus_sim.cli.topology import named_topology
    from colossus_sim.topology.builders import build_fabric

    topology, gpu = named_topology("ndr_fat_tree_4to1")
    fabric = build_fabric(topology, gpu, 2048)
    links = links_of(topology, gpu, fabric)
    tier = links.tiers[-1]
    group = fabric.levels[-2].group_gpus // 8
    placement = Placement(8, 8, ((0, group + 1),))
    gpus = placement.capacity
    flat = (*[1.0] * (len(fabric.levels) - 1), 2 * 8 * group / gpus)
    by_ranks, found = (links.pattern(placement, gpus, each)[:, links.slots[-1]] for each in ((), flat))
    assert tier
    assert by_ranks[-2, :2].tolist() == [8.0 * group, 8.0]
    assert found[-2, :2].tolist() == pytest.approx([gpus / 2, gpus / 2])
    assert found[-1, :2].tolist() == [8.0 * group, 8.0]


def test_uplinks_that_carry_all_ranks_hold_nobody_back() -> None:
    """However flat jobs are, on a non-blocking network each gets what it gets alone."""
    levels = tuple(level if level.group_gpus < 512 else replace(level, bandwidth=NIC) for level in NET.levels)
    net = replace(NET, levels=levels)
    jobs = [spilled("one", ((0, 17),), 256 / 136), spilled("other", ((17, 31),), 256 / 248)]
    for mode in MODES:
        assert LinkSharing(net).shared(jobs, mode) == {job.name: net.bandwidths for job in jobs}


def test_a_step_tells_how_flat_it_is() -> None:
    """A ring over 128 + 8 GPUs counts as if both leaf groups sent by 128; one over equal parts tells nothing."""
    for domains, expected in ((17, (1.0, 1.0, 256 / 136)), (32, ())):
        size = 8 * domains
        axis = MeshAxis(name="x", size=size, stride=1, inner=1, outer=1, block=size)
        span = group_span(axis, Placement(8, 8, ((0, domains),)), NET)
        call = Call("dp", "dp_cp", "all_gather", 1e9, 1.0, 0.0)
        ledger = Ledger(NET, 1)
        ledger.add(PricedCall(call, Route(span, NET).time("all_gather", 1e9), span), 1.0, 1.0, 0.0)
        assert ledger.flatness() == pytest.approx(expected)
