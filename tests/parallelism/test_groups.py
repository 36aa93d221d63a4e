"""Spans of communication groups against a brute-force look at every rank."""

from __future__ import annotations

import importlib.util
from collections import Counter
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.parallelism import counting, groups
from colossus_sim.parallelism.groups import Filling, GroupSpan, group_span, group_spans
from colossus_sim.parallelism.mesh import AXES, Mesh, MeshAxis
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.fabric import Fabric, Level
from tests.counting import function_calls


def fabric(domain: int, *domains_per_group: int) -> Fabric:
    """Return a fabric with levels of so many domains."""
    levels = [Level(name="scale_up", group_gpus=domain, bandwidth=450e9, latency=1e-6)]
    for index, count in enumerate(domains_per_group):
        levels.append(Level(name=f"tier{index}", group_gpus=count * domain, bandwidth=50e9, latency=3e-6))
    return Fabric(
        name="test",
        kind="clos",
        levels=tuple(levels),
        injection_bandwidth=50e9,
        gpus=levels[-1].group_gpus,
        gpus_per_domain=domain,
    )


def brute_force(axis: MeshAxis, placement: Placement, net: Fabric) -> GroupSpan:
    """Look at every rank of every group."""
    domains = [first + i for first, count in placement.runs for i in range(count)]

    def gpu(rank: int) -> int:
        ordinal, offset = divmod(rank, placement.ranks_per_domain)
        return domains[ordinal] * placement.domain_gpus + offset

    size = axis.size
    counts = [
        [Counter(gpu(outer * axis.block + inner + i * axis.stride) // level.group_gpus for i in range(size))
         for outer in range(axis.outer) for inner in range(axis.inner)]
        for level in net.levels
    ]  # fmt: skip
    touched = tuple(max(map(len, rows)) for rows in counts)
    fewest = tuple(min(min(row.values()) for row in rows) for rows in counts)
    uneven = any(len({count for row in rows for count in row.values()}) > 1 for rows in counts)
    return GroupSpan(
        size=size,
        level=touched.index(1),
        groups=touched,
        members=fewest,
        uneven=tuple(filling(size, rows, domains=index == 0) for index, rows in enumerate(counts))
        if uneven
        else (),
    )


def filling(size: int, rows: list[Counter[int]], *, domains: bool) -> Filling:
    """Look at every fabric group of one level, given how many members each communication group has in each."""
    held: Counter[int] = Counter()
    streams: Counter[int] = Counter()
    leaving: Counter[int] = Counter()
    for row in rows:
        for group, count in row.items():
            held[group] += count
            streams[group] += count < size
            leaving[group] += count * (size - count)
    few, fullest = min(min(row.values()) for row in rows), max(held.values())
    crossed = max(streams.values()) > 0
    return Filling(
        carriers=float(few) if domains or not crossed else fullest / max(streams.values()),
        leaving=(size - few) / size if domains else max(leaving.values()) / (fullest * size),
        staying=sum(count * count for row in rows for count in row.values()) / (len(rows) * size * size),
        touched=sum(map(len, rows)) / len(rows),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Mesh, Placement, Fabric]:
    """Draw a mesh, a domain size, a fabric and a packed or scattered placement with enough room."""
    small = st.sampled_from([1, 2, 3, 4, 6, 8])
    tp, cp, dp, pp = draw(small), draw(st.sampled_from([1, 2, 3])), draw(small), draw(small)
    stage = tp * cp * dp
    etp = draw(st.sampled_from([d for d in (1, 2) if stage % d == 0]))
    ep = draw(st.sampled_from([d for d in (1, 2, 3, 4, 8, 16) if stage % (d * etp) == 0]))
    mesh = Mesh(tp=tp, cp=cp, dp=dp, pp=pp, ep=ep, etp=etp)
    domain = draw(st.sampled_from([1, 2, 4, 8, 9, 12]))
    per_domain = draw(st.integers(max(1, domain - 3), domain))
    leaf = draw(st.sampled_from([1, 2, 3, 4]))
    pod = leaf * draw(st.sampled_from([2, 3, 4]))
    need = -(-mesh.world_size // per_domain)
    runs, start, left = [], draw(st.integers(0, 9)), need
    while left > 0:
        count = draw(st.integers(1, left))
        runs.append((start, count))
        start += count + draw(st.integers(0, 3))
        left -= count
    if draw(st.booleans()):
        runs = draw(st.permutations(runs))
    if draw(st.booleans()):
        runs = [(draw(st.sampled_from([0, leaf, pod])), need)]
    last = max(first + count for first, count in runs)
    top = pod * (-(-last // pod) + 1)
    return mesh, Placement(domain, per_domain, tuple(runs)), fabric(domain, leaf, pod, top)


def loops() -> list[Any]:
    """Return what may count groups: arrays (none), plain loops, and these compiled where numba is installed."""
    found = [None, counting.count_touched]
    return [*found, counting.machine_count()] if importlib.util.find_spec("numba") else found


@settings(max_examples=120, deadline=None)
@given(cases())
def test_spans_equal_brute_force(case: tuple[Mesh, Placement, Fabric]) -> None:
    """The fast spans equal those found by looking at every rank, on every axis, whatever counts."""
    mesh, placement, net = case
    for name in AXES:
        axis = mesh.axis(name)
        expected = brute_force(axis, placement, net)
        for count in loops():
            with mock.patch.object(groups, "compiled_count", lambda count=count: count):
                assert group_span(axis, placement, net) == expected, (name, count)


def test_small_data_parallel_group_crosses_nodes_when_tp_fills_the_node() -> None:
    """A data-parallel group of 4 is not priced on NVLink when tp = 8 fills each 8-GPU node."""
    span = group_spans(Mesh(tp=8, cp=1, dp=4, pp=1), Placement(8, 8, ((0, 4),)), fabric(8, 2, 64))["dp"]
    assert span == GroupSpan(size=4, level=2, groups=(4, 2, 1), members=(1, 2, 4))


def test_twelve_ranks_on_eight_gpu_nodes_span_two_nodes() -> None:
    """Nodes are rounded up: 12 tensor-parallel ranks touch two nodes, with four in the smaller part."""
    span = group_spans(Mesh(tp=12, cp=1, dp=1, pp=1), Placement(8, 8, ((0, 2),)), fabric(8, 4))["tp"]
    assert (span.groups, span.members, span.level) == ((2, 1), (4, 12), 1)


def test_sixty_four_of_seventy_two() -> None:
    """With 64 ranks in each 72-GPU rack an expert group of 64 stays inside its rack; with 72 it does not."""
    mesh = Mesh(tp=1, cp=1, dp=576, pp=1, ep=64)
    inside = group_spans(mesh, Placement(72, 64, ((0, 9),)), fabric(72, 4, 16))["ep"]
    across = group_spans(mesh, Placement(72, 72, ((0, 8),)), fabric(72, 4, 16))["ep"]
    assert (inside.level, inside.members[0]) == (0, 64)
    assert (across.level, across.members[0]) == (2, 8)


def test_spans_cost_no_more_for_more_gpus() -> None:
    """The spans of all axes of a packed job of 98,304 GPUs take about as many calls as those of 12,288."""

    def calls(dp: int) -> int:
        mesh = Mesh(tp=8, cp=2, dp=dp, pp=16, ep=64)
        placement, net = Placement(8, 8, ((0, dp * 32),)), fabric(8, 64, 512, 16384)
        return function_calls(lambda: group_spans(mesh, placement, net))

    assert calls(384) < 2 * calls(48)


def test_wrong_placements_are_refused() -> None:
    """Too little room, another domain size, and domains outside the fabric are errors."""
    axis = Mesh(tp=8, cp=1, dp=4, pp=1).axis("dp")
    with pytest.raises(ValueError, match="do not fit"):
        group_span(axis, Placement(8, 8, ((0, 3),)), fabric(8, 4))
    with pytest.raises(ValueError, match="domains of 4"):
        group_span(axis, Placement(4, 4, ((0, 8),)), fabric(8, 4))
    with pytest.raises(ValueError, match="outside"):
        group_span(axis, Placement(8, 8, ((2, 4),)), fabric(8, 4))
