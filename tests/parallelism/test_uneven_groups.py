"""Groups that fill leaf groups or pods unevenly: hand arithmetic, and a brute-force look at every uplink."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.cli.topology import named_topology
from colossus_sim.network.sharing import LinkSharing
from colossus_sim.parallelism.collective_time import Route, group_collective_time
from colossus_sim.parallelism.groups import group_span
from colossus_sim.parallelism.mesh import MeshAxis
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.fabric import Fabric, Level

NVLINK, NIC, OVER, GB = 369e9, 50e9, 8.0, 1e9


def fabric(*sizes: int) -> Fabric:
    """Return domains of 8, then groups of so many GPUs; 8:1 above the leaf groups, and the same above each tier."""
    rates = (NVLINK, NIC, *[NIC / OVER ** (tier + 1) for tier in range(len(sizes) - 1)])
    levels = tuple(
        Level(name=str(size), group_gpus=size, bandwidth=rate, latency=0.0)
        for size, rate in zip((8, *sizes), rates, strict=True)
    )
    return Fabric(
        name="t", kind="clos", levels=levels, injection_bandwidth=NIC, gpus=sizes[-1], gpus_per_domain=8
    )


def groups_of(size: int, stride: int, ranks: int) -> MeshAxis:
    """Return the groups of a job of so many ranks."""
    block = size * stride
    return MeshAxis(name="x", size=size, stride=stride, inner=stride, outer=ranks // block, block=block)


def placed(domains: list[int]) -> Placement:
    """Return full domains of 8."""
    return Placement(8, 8, tuple((domain, 1) for domain in domains))


def route(axis: MeshAxis, placement: Placement, net: Fabric) -> Route:
    """Return a route with the links as the placement finds them alone."""
    bandwidths = LinkSharing(net).alone(placement, placement.capacity)
    return Route(group_span(axis, placement, net), net, bandwidths)


@pytest.mark.parametrize(
    ("domains", "exchange", "gather"),
    [
        # Each of the 8 GPUs in the second leaf group sends 128/136 of 1 GB over its NIC.
        (17, 128 / 136 * GB / NIC, 135 / 136 * GB / NVLINK),
        # 16 GPUs there: 16 * 128/144 of 1 GB over 800 GB/s of uplinks take 17.8 ms, 136/144 over a NIC longer.
        (18, 136 / 144 * GB / NIC, 143 / 144 * GB / NVLINK),
        # 64 GPUs there: 64 * 128/192 of 1 GB over 800 GB/s.
        (24, 64 * 128 / 192 * GB / (128 * NIC / OVER), 191 / 192 * GB / NVLINK),
    ],
)
def test_a_few_domains_in_the_next_leaf_group(domains: int, exchange: float, gather: float) -> None:
    """One group of 128 GPUs and a few more: each leaf group's uplinks carry what leaves it, by hand."""
    net, size = fabric(128, 512), 8 * domains
    there = route(groups_of(size, 1, size), placed(list(range(domains))), net)
    assert there.time("all_to_all", GB).time == pytest.approx(exchange)
    assert there.time("all_gather", GB).time == pytest.approx(gather)


def test_a_ring_through_thin_uplinks() -> None:
    """A ring sends its stream once over each leaf group's uplinks, whether 128 or 8 of its members are there."""
    net = fabric(128, 512)
    thin = (NVLINK, NIC, NIC / 64)
    for domains in (17, 24, 32):
        size = 8 * domains
        span = group_span(groups_of(size, 1, size), placed(list(range(domains))), net)
        found = min(Route(span, net, thin).candidates("reduce_scatter", GB), key=lambda one: one[1] != "ring")
        assert found == (pytest.approx((size - 1) / size * GB / (128 * NIC / 64)), "ring")


def test_growing_into_the_next_pod_is_no_cliff() -> None:
    """On a shipped 4:1 fabric no collective gets faster while a group grows from one pod of 1,024 to two."""
    net = build_fabric(*named_topology("ndr_fat_tree_4to1"), 2048)
    for operation in ("all_gather", "all_to_all"):
        times = []
        for size in (1024, 1032, 1280, 1536, 1920, 2048):
            span = group_span(groups_of(size, 1, size), Placement(8, 8, ((0, size // 8),)), net)
            times.append(group_collective_time(operation, GB, span, net).time)
        assert times == sorted(times)
        assert times[1] < 1.02 * times[0]


@st.composite
def cases(draw: st.DrawFn) -> tuple[MeshAxis, list[int]]:
    """Draw groups of ranks, and one of 64 domains for each eight ranks."""
    size, stride = draw(st.sampled_from([2, 4, 16, 24, 64, 128])), draw(st.sampled_from([1, 2, 8, 16]))
    least = max(1, 8 // (size * stride))
    blocks = draw(st.integers(1, max(1, 512 // (size * stride * least))))
    ranks = min(size * stride * least * blocks, 2048)
    if ranks > 512:
        size, stride, ranks = 16, 16, 512
    domains = draw(st.permutations(range(64)))[: ranks // 8]
    return groups_of(size, stride, ranks), sorted(domains)


def exact(axis: MeshAxis, domains: list[int], net: Fabric, operation: str) -> float:
    """Return the time of 1 GB, from what every rank sends over its NIC and every group over its uplinks. [s]"""
    size = axis.size
    starts = [outer * axis.block + inner for outer in range(axis.outer) for inner in range(axis.inner)]
    rows = [[domains[(start + i * axis.stride) // 8] * 8 for i in range(size)] for start in starts]
    sent = GB * (size - 1) / size
    times = []
    for below, level in zip(net.levels, net.levels[1:], strict=False):
        out: Counter[int] = Counter()
        for row in rows:
            for group, count in Counter(gpu // below.group_gpus for gpu in row).items():
                part = count * (size - count) / size * GB if operation == "all_to_all" else sent
                leaving = part if count < size else 0.0
                out[group] += leaving
                if below.group_gpus == 8:
                    times.append(leaving / count / NIC)
        if below.group_gpus > 8:
            times.append(max(out.values()) / (below.group_gpus * level.bandwidth))
    if operation == "all_to_all":
        fewest = min(min(Counter(row).values()) for row in rows)
        times.append((fewest - 1) / size * GB / NVLINK)
    elif any(len(set(row)) < size for row in rows):
        times.append(sent / NVLINK)
    return max(times)


@settings(deadline=None, max_examples=200)
@given(cases(), st.sampled_from(["all_to_all", "all_gather"]))
def test_random_placements_equal_brute_force(case: tuple[MeshAxis, list[int]], operation: str) -> None:
    """Exact over leaf groups; over pods as well never faster than what the uplinks carry."""
    axis, domains = case
    name = "direct" if operation == "all_to_all" else "ring"
    for net, most in ((fabric(128, 512), 1.0), (fabric(64, 128, 512), float("inf"))):
        candidates = route(axis, placed(domains), net).candidates(operation, GB)
        found = {algorithm: time for time, algorithm in candidates}[name]
        expected = exact(axis, domains, net, operation)
        assert expected * (1 - 1e-9) <= found <= most * expected * (1 + 1e-9)


@settings(deadline=None)
@given(cases())
def test_bytes_are_those_of_the_mean_rank(case: tuple[MeshAxis, list[int]]) -> None:
    """What a mean rank sends to peers at each level in an all-to-all, from a look at every pair."""
    axis, domains = case
    net = fabric(64, 128, 512)
    sent = route(axis, placed(domains), net).time("all_to_all", GB).bytes_per_level
    rows = [
        [domains[(outer * axis.block + inner + i * axis.stride) // 8] for i in range(axis.size)]
        for outer in range(axis.outer)
        for inner in range(axis.inner)
    ]
    beyond = [(axis.size - 1) / axis.size * GB]
    for size in (1, 8, 16):
        counts = [Counter(domain // size for domain in row) for row in rows]
        together = sum(n * n for row in counts for n in row.values())
        beyond.append((1 - together / (len(rows) * axis.size**2)) * GB)
    expected = [out - above for out, above in zip(beyond, [*beyond[1:], 0.0], strict=True)]
    assert sent == pytest.approx(expected, abs=1.0)


def test_equal_parts_in_scattered_groups_are_even() -> None:
    """Two neighbouring leaf groups or two apart: the same spans, and the same times to the last bit."""
    net = fabric(128, 512)
    near, far = [*range(8), *range(16, 24)], [*range(8), *range(48, 56)]
    spans = [group_span(groups_of(128, 1, 128), placed(domains), net) for domains in (near, far)]
    assert spans[0] == spans[1]
    assert spans[0].uneven == ()


@settings(deadline=None)
@given(cases())
def test_level_by_level_is_never_faster_than_the_uplinks(case: tuple[MeshAxis, list[int]]) -> None:
    """Reduced level by level, each leaf group still sends out all but the share that its members keep."""
    axis, domains = case
    net = fabric(128, 512)
    candidates = route(axis, placed(domains), net).candidates("reduce_scatter", GB)
    found = {algorithm: time for time, algorithm in candidates}["hierarchical"]
    out: Counter[int] = Counter()
    for start in (outer * axis.block + inner for outer in range(axis.outer) for inner in range(axis.inner)):
        counts = Counter(domains[(start + i * axis.stride) // 8] // 16 for i in range(axis.size))
        for leaf, count in counts.items():
            out[leaf] += 1 - count / axis.size  # type: ignore[assignment]
    assert found >= max(out.values()) * GB / (128 * NIC / OVER) * (1 - 1e-9)
