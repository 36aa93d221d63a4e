"""Times of collectives on placed groups: closed forms, conservation, monotonicity, measured plateaus."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.formulas import collectives as formulas
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.nodes import plain
from colossus_sim.parallelism.collective_time import Route, group_collective_time
from colossus_sim.parallelism.groups import GroupSpan, group_span
from colossus_sim.parallelism.mesh import Mesh
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.topology import CollectiveConstants, FabricReduction
from colossus_sim.topology.fabric import Fabric, Level

NIC = 48e9


def constants(name: str) -> CollectiveConstants:
    """Return shipped constants."""
    return CollectiveConstants.model_validate(plain(Catalog(Files()).entry("collectives", name)))


def fabric(
    *, over: float = 1.0, domain: int = 8, nvlink: float = 369e9, library: str = "", ring: float = 0.0
) -> Fabric:
    """Return domains, leaf groups of 32 domains, pods of 4 leaf groups, and 16 pods."""
    rates = (nvlink, NIC, NIC, NIC / over)
    levels = tuple(
        Level(name=name, group_gpus=domain * size, bandwidth=rate, latency=alpha, ring_bandwidth=ring)
        for name, size, rate, alpha in zip(
            ("scale_up", "leaf", "spine", "core"),
            (1, 32, 128, 2048),
            rates,
            (1e-6, 3e-6, 5e-6, 7e-6),
            strict=True,
        )
    )
    return Fabric(
        name="test",
        kind="clos",
        levels=levels,
        injection_bandwidth=NIC,
        gpus=domain * 2048,
        gpus_per_domain=domain,
        collectives=constants(library) if library else None,
    )


def packed(size: int, net: Fabric, stride: int = 1) -> GroupSpan:
    """Return the span of groups of `size` ranks, `stride` apart, on neighbouring domains."""
    domain = net.gpus_per_domain
    mesh = Mesh(tp=stride, cp=1, dp=size, pp=1)
    count = -(-mesh.world_size // domain)
    return group_span(mesh.axis("dp"), Placement(domain, domain, ((0, count),)), net)


@given(size=st.integers(2, 8), message=st.floats(1, 1e10))
@settings(deadline=None)
def test_inside_a_domain_the_formulas_hold(size: int, message: float) -> None:
    """A group inside one domain costs what the one-level formulas say, with the better of ring and tree."""
    net = fabric()
    span = packed(size, net)
    values = {"message_bytes": message, "group_size": size, "alpha": 1e-6, "bandwidth": 369e9}
    ring = formulas.ring_all_gather_time(**values)  # type: ignore[arg-type]
    assert group_collective_time("all_gather", message, span, net).time == pytest.approx(ring)
    reduced = group_collective_time("all_reduce", message, span, net).time
    assert reduced <= formulas.ring_all_reduce_time(**values) * (1 + 1e-12)  # type: ignore[arg-type]
    direct = formulas.direct_all_to_all_time(**values)  # type: ignore[arg-type]
    assert group_collective_time("all_to_all", message, span, net).time == pytest.approx(direct)


def test_one_rank_per_node_is_priced_on_the_nic() -> None:
    """A data-parallel group of 4 with tp = 8 crosses nodes: its gradients go at NIC rate, not NVLink's."""
    net = fabric()
    span = packed(4, net, stride=8)
    result = group_collective_time("reduce_scatter", 4e9, span, net)
    assert result.time == pytest.approx(0.75 * 4e9 / NIC, rel=1e-3)
    assert result.bytes_per_level == pytest.approx((0.0, 3e9, 0.0, 0.0))


def test_all_nics_of_a_node_carry_a_group_that_fills_it() -> None:
    """Eight ranks per node split the crossing over eight NICs: bus bandwidth near 8 x NIC, not 1 x."""
    net = fabric()
    result = group_collective_time("all_reduce", 64e9, packed(256, net), net)
    assert result.busbw == pytest.approx(min(8 * NIC, 369e9), rel=0.02)


def test_lopsided_groups_go_at_the_pace_of_the_smaller_part() -> None:
    """Twelve ranks on 8 + 4 GPUs have four NICs where it counts."""
    net = fabric()
    span = group_span(Mesh(tp=12, cp=1, dp=1, pp=1).axis("tp"), Placement(8, 8, ((0, 2),)), net)
    result = group_collective_time("all_gather", 12e9, span, net)
    assert result.time == pytest.approx(11 / 12 * 12e9 / (4 * NIC), rel=1e-3)


def test_oversubscription_costs_groups_that_cross_and_no_others() -> None:
    """4:1 above the pods leaves a pod-sized group alone, and quarters uniform traffic between pods."""
    free, tight = fabric(), fabric(over=4)
    inside, across = packed(128, free, stride=8), packed(2048, free, stride=8)
    for operation in ("all_reduce", "all_gather", "all_to_all"):
        assert group_collective_time(operation, 1e9, inside, free) == group_collective_time(
            operation, 1e9, inside, tight
        )
    ratio = (
        group_collective_time("all_to_all", 1e12, across, tight).time
        / group_collective_time("all_to_all", 1e12, across, free).time
    )
    assert ratio == pytest.approx(4 * (2048 - 128) / 2047, rel=1e-3)


def test_rings_hardly_notice_oversubscription() -> None:
    """A ring leaves each pod once, so 4:1 above pods of 128 members costs a large reduction nothing."""
    span = packed(2048, fabric(), stride=8)
    times = [group_collective_time("all_gather", 1e13, span, fabric(over=over)).time for over in (1.0, 4.0)]
    assert times[1] == pytest.approx(times[0], rel=1e-3)


def test_send_recv_between_stages() -> None:
    """Neighbouring pipeline stages in other pods send at the oversubscribed rate, when all send at once."""
    net = fabric(over=4)
    span = GroupSpan(size=4, level=3, groups=(4, 4, 4, 1), members=(1, 1, 1, 4))
    result = group_collective_time("send_recv", 1e9, span, net)
    assert result.time == pytest.approx(1e9 / (NIC / 4) + 7e-6)
    shared = GroupSpan(size=16, level=3, groups=(16, 16, 4, 1), members=(1, 1, 4, 16))
    assert group_collective_time("send_recv", 1e9, shared, net).time == pytest.approx(1e9 / NIC + 7e-6)


@pytest.mark.parametrize("library", ["", "nccl_nvlink3", "nccl_nvlink4"])
def test_a_route_prices_each_collective_as_if_alone(library: str) -> None:
    """One route gives the same time, algorithm and bytes in any order of operations and sizes."""
    net = fabric(library=library)
    span = packed(96, net)
    route = Route(span, net)
    for size in (0.0, 1e4, 1e9, 1e6):
        for operation in formulas.OPERATIONS:
            assert route.time(operation, size) == group_collective_time(operation, size, span, net)


@given(
    size=st.sampled_from([2, 3, 8, 12, 64, 96, 500, 2048]),
    stride=st.sampled_from([1, 2, 8]),
    operation=st.sampled_from(formulas.OPERATIONS),
    library=st.sampled_from(["", "nccl_nvlink3", "nccl_nvlink4"]),
)
@settings(deadline=None)
def test_bytes_are_conserved(size: int, stride: int, operation: str, library: str) -> None:
    """The bytes per level add up to the bus factor times the message, and none goes above the span's level."""
    net = fabric(library=library)
    span = packed(size, net, stride)
    result = group_collective_time(operation, 1e9, span, net)
    assert math.fsum(result.bytes_per_level) == pytest.approx(formulas.bus_factor(operation, size) * 1e9)
    assert all(volume == 0.0 for volume in result.bytes_per_level[span.level + 1 :])
    assert all(volume >= 0.0 for volume in result.bytes_per_level)


@given(
    size=st.sampled_from([2, 5, 8, 12, 64, 2048]),
    operation=st.sampled_from(formulas.OPERATIONS),
    message=st.floats(1e3, 1e11),
    level=st.integers(0, 3),
    library=st.sampled_from(["", "nccl_nvlink4"]),
)
@settings(deadline=None)
def test_more_bandwidth_is_never_slower(
    size: int, operation: str, message: float, level: int, library: str
) -> None:
    """Raising any level's bandwidth, or shrinking the message, never lengthens a collective."""
    net = fabric(library=library)
    span = packed(size, net)
    base = group_collective_time(operation, message, span, net).time
    faster = list(net.bandwidths)
    faster[level] *= 2
    assert group_collective_time(operation, message, span, net, faster).time <= base
    assert group_collective_time(operation, message / 2, span, net).time <= base


def test_given_bandwidths_replace_the_fabric() -> None:
    """Contention enters as a bandwidth vector; the fabric's own gives the same as none."""
    net = fabric()
    span = packed(64, net, stride=8)
    assert group_collective_time("all_gather", 1e9, span, net, net.bandwidths) == group_collective_time(
        "all_gather", 1e9, span, net
    )
    halved = tuple(rate / 2 for rate in net.bandwidths)
    slow = group_collective_time("all_gather", 1e12, span, net, halved).time
    assert slow == pytest.approx(2 * group_collective_time("all_gather", 1e12, span, net).time, rel=1e-3)


def test_rings_on_a_torus_use_their_own_bandwidth() -> None:
    """Neighbour traffic goes at the links' rate, uniform traffic at the bisection's; contention scales both."""
    level = Level(name="torus", group_gpus=4096, bandwidth=25e9, latency=1e-6, ring_bandwidth=150e9)
    net = Fabric(
        name="torus",
        kind="torus",
        levels=(level,),
        injection_bandwidth=150e9,
        gpus=4096,
        gpus_per_domain=4096,
    )
    span = GroupSpan(size=64, level=0, groups=(1,), members=(64,))
    gathered = group_collective_time("all_gather", 1e12, span, net).time
    exchanged = group_collective_time("all_to_all", 1e12, span, net).time
    assert exchanged == pytest.approx(6 * gathered, rel=1e-3)
    half = group_collective_time("all_gather", 1e12, span, net, (12.5e9,)).time
    assert half == pytest.approx(2 * gathered, rel=1e-3)


MEASURED = [
    # library, NVLink rate (usable), GPUs per domain, operation, group, bytes, bus bandwidth, tolerance
    ("nccl_nvlink4", 0.82 * 450e9, 8, "all_reduce", 8, 8 * 2**30, 478e9, 0.03),
    ("nccl_nvlink4", 0.82 * 450e9, 8, "all_gather", 8, 8 * 2**30, 364e9, 0.03),
    ("nccl_nvlink4", 0.82 * 450e9, 8, "all_reduce", 32, 8 * 2**30, 366e9, 0.03),
    ("nccl_nvlink3", 0.80 * 300e9, 8, "all_reduce", 8, 8 * 2**30, 227e9, 0.07),
    ("nccl_nvlink5", 0.80 * 900e9, 72, "all_reduce", 72, 8 * 2**30, 841e9, 0.03),
    ("nccl_nvlink5", 0.80 * 900e9, 8, "all_gather", 8, 8 * 2**30, 678e9, 0.07),
]
"""Plateaus of nccl-tests on H100 (one and four nodes), A100, GB200 NVL72 and B200."""


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row[0]}-{row[3]}-{row[4]}")
def test_measured_plateaus(row: tuple[str, float, int, str, int, float, float, float]) -> None:
    """Large messages reach the measured bus bandwidth within a few percent."""
    library, nvlink, domain, operation, group, size, measured, tolerance = row
    net = fabric(domain=domain, nvlink=nvlink, library=library)
    result = group_collective_time(operation, size, packed(group, net), net)
    assert result.busbw == pytest.approx(measured, rel=tolerance)


@pytest.mark.parametrize(("group", "floor"), [(2, 6.2e-6), (4, 9.5e-6), (8, 15.6e-6)])
def test_measured_small_message_floor(group: int, floor: float) -> None:
    """Small all-reduces on one H100 node take the measured 6 to 16 us within 30 %."""
    net = fabric(library="nccl_nvlink4")
    assert group_collective_time("all_reduce", 1024, packed(group, net), net).time == pytest.approx(
        floor, rel=0.3
    )


def test_protocol_follows_the_message() -> None:
    """LL for small, Simple for large messages; trees and logarithmic algorithms for many nodes."""
    net = fabric(library="nccl_nvlink4")
    inside, nodes = packed(8, net), packed(1024, net, stride=8)
    assert group_collective_time("all_gather", 1e3, inside, net).algorithm == "ring/LL"
    assert group_collective_time("all_gather", 1e10, inside, net).algorithm == "ring/Simple"
    assert group_collective_time("all_reduce", 1e10, inside, net).algorithm == "nvls"
    assert group_collective_time("all_reduce", 1e3, nodes, net).algorithm == "tree/LL"
    assert group_collective_time("all_gather", 1e6, nodes, net).algorithm == "logarithmic"


def test_large_all_reduces_over_two_nodes_keep_to_rings() -> None:
    """NCCL counts a tree's bytes over two nodes as over many, so that it takes the faster tree for small messages
    only; a tuner that knows takes it for large ones too, at half of a ring's time across."""
    net = fabric(library="nccl_nvlink3", nvlink=4e12)
    assert net.collectives is not None
    tuned = net.collectives.model_copy(update={"fastest_tree": True})
    knowing = dataclasses.replace(net, collectives=tuned)
    span = packed(16, net)
    ring = group_collective_time("all_reduce", 4e9, span, net)
    tree = group_collective_time("all_reduce", 4e9, span, knowing)
    assert (ring.algorithm, tree.algorithm) == ("ring/Simple", "tree/Simple")
    assert ring.time == pytest.approx(2 * 15 / 16 * 4e9 / (8 * NIC), rel=0.05)
    assert tree.time == pytest.approx(4e9 / (8 * NIC * 0.92), rel=0.05)
    assert group_collective_time("all_reduce", 1e3, span, net).algorithm.startswith("tree")
    four = packed(32, net)
    assert group_collective_time("all_reduce", 4e9, four, net) == group_collective_time(
        "all_reduce", 4e9, four, knowing
    )


def test_pairs_use_no_ll128() -> None:
    """Between pairs LL carries up to 16 KiB per peer, and Simple everything else."""
    net = fabric(library="nccl_nvlink4")
    span = packed(8, net)
    for size, protocol in ((8 * 16 * 1024, "LL"), (8 * 17 * 1024, "Simple")):
        assert group_collective_time("all_to_all", size, span, net).algorithm == f"direct/{protocol}"
        assert group_collective_time("send_recv", size / 8, span, net).algorithm == f"send_recv/{protocol}"


def test_a_group_of_one_is_free() -> None:
    """Nothing is sent by a rank alone."""
    net = fabric(library="nccl_nvlink4")
    result = group_collective_time("all_reduce", 1e9, packed(1, net), net)
    assert (result.time, result.busbw, sum(result.bytes_per_level)) == (0.0, 0.0, 0.0)


def test_wrong_calls_are_refused() -> None:
    """Unknown operations, bad sizes and bad bandwidth vectors are errors."""
    net = fabric()
    span = packed(8, net)
    with pytest.raises(ValueError, match="unknown operation"):
        group_collective_time("broadcast", 1.0, span, net)
    with pytest.raises(ValueError, match="finite"):
        group_collective_time("all_reduce", math.nan, span, net)
    for wrong in ((1.0,), (0.0, 1.0, 1.0, 1.0), (math.nan, 1.0, 1.0, 1.0)):
        with pytest.raises(ValueError, match="4 bandwidths above 0"):
            group_collective_time("all_reduce", 1.0, span, net, wrong)


def test_two_nodes_reduce_in_their_switches() -> None:
    """On two nodes NVLSTree is bound by NVLink SHARP: 260 GB/s measured on 2 x 8 H100 with 3200 Gbit/s per node."""
    net = fabric(library="nccl_nvlink4")
    result = group_collective_time("all_reduce", 2**34, packed(16, net), net)
    assert result.algorithm == "nvls_tree"
    assert 2**34 / result.time == pytest.approx(260e9, rel=0.10)


@pytest.mark.parametrize(("size", "seconds"), [(1024, 69e-6), (2**20, 123e-6), (2**30, 4.6e-3)])
def test_measured_all_reduce_over_efa(size: int, seconds: float) -> None:
    """Two nodes of AWS p5 take 69 us, 123 us and 4.6 ms (nccl-tests); within 20 %."""
    net = fabric(library="nccl_nvlink4_efa")
    assert group_collective_time("all_reduce", size, packed(16, net), net).time == pytest.approx(
        seconds, rel=0.20
    )


def test_efa_changes_nothing_inside_a_node() -> None:
    """Inside one node the constants of the fabric do not matter."""
    for operation in ("all_reduce", "all_gather", "all_to_all"):
        times = [
            group_collective_time(operation, 1e7, packed(8, net), net).time
            for net in (fabric(library="nccl_nvlink4"), fabric(library="nccl_nvlink4_efa"))
        ]
        assert times[0] == times[1]


def test_own_share_costs_small_groups_most() -> None:
    """Copying a rank's own share adds its weight over the number of peers to large gathers and exchanges."""
    weight = 0.3
    fields = {
        "all_gather": ("own_copy_weight", 1),
        "reduce_scatter": ("own_copy_weight", 1),
        "all_reduce": ("reduced_copy_weight", 2),
        "all_to_all": ("exchange_copy_weight", 1),
    }
    for operation, (field, passes) in fields.items():
        for ranks in (2, 4):
            times = []
            for value in (0.0, weight):
                entry = constants("nccl_nvlink4").model_copy(update={"in_network": None, field: value})
                net = dataclasses.replace(fabric(), collectives=entry)
                times.append(group_collective_time(operation, 16e9, packed(ranks, net), net).time)
            assert times[1] / times[0] == pytest.approx(1.0 + weight / (passes * (ranks - 1)), rel=0.01)


def test_exchanges_pay_for_each_peer_and_reach_less_bandwidth() -> None:
    """An all-to-all inside a domain costs its hop per peer when small, its share of the bandwidth when large."""
    plain_library = constants("nccl_nvlink4").model_copy(
        update={"exchange_hop_scale_up": 0.0, "exchange_bandwidth_fraction": 1.0}
    )
    slow = plain_library.model_copy(
        update={"exchange_hop_scale_up": 1e-6, "exchange_bandwidth_fraction": 0.8}
    )
    nets = [dataclasses.replace(fabric(), collectives=entry) for entry in (plain_library, slow)]
    small = [group_collective_time("all_to_all", 512, packed(8, net), net).time for net in nets]
    large = [group_collective_time("all_to_all", 16e9, packed(8, net), net).time for net in nets]
    assert small[1] - small[0] == pytest.approx(7e-6, rel=0.05)
    assert large[1] / large[0] == pytest.approx(1.25, rel=0.01)


def with_sharp(**switches: float) -> Fabric:
    """H100 nodes whose switches add up."""
    net = fabric(library="nccl_nvlink4")
    assert net.collectives is not None
    reduction = FabricReduction.model_construct(
        **({"latency": 10e-6, "bandwidth_fraction": 0.515} | switches)
    )
    return dataclasses.replace(
        net, collectives=net.collectives.model_copy(update={"fabric_reduction": reduction})
    )


@pytest.mark.parametrize(
    ("size", "seconds"),
    [(2**29, 2984.6e-6), (2**30, 5808e-6), (2**31, 11163e-6), (2**32, 22181e-6), (2**33, 43980e-6)],
)
def test_measured_all_reduce_with_sharp(size: int, seconds: float) -> None:
    """96 H100 with CollNet and SHARP on NDR (CoreWeave's nccl-tests README); within 10 %, at any large size."""
    net = with_sharp()
    candidates = Route(packed(96, net), net).candidates("all_reduce", size)
    (time,) = [time for time, name in candidates if name == "sharp"]
    assert time == pytest.approx(seconds, rel=0.10)


def test_switches_that_add_up_at_line_rate_halve_a_large_all_reduce() -> None:
    """Each NIC sends its part once, not twice: half of the ring's time where NVLink is no limit."""
    net = with_sharp(bandwidth_fraction=1.0)
    fast = tuple(1e15 if level == 0 else rate for level, rate in enumerate(net.bandwidths))
    span = packed(512, net)
    times = {name: time for time, name in Route(span, net, fast).candidates("all_reduce", 2**34)}
    assert times["sharp"] == pytest.approx(times["ring/Simple"] / 2, rel=0.05)


def test_switches_add_up_only_where_the_constants_say_so() -> None:
    """Left out, nothing changes; given, no all-reduce is slower, and other collectives are the same to the bit."""
    plain, sharp = fabric(library="nccl_nvlink4"), with_sharp(bandwidth_fraction=1.0)
    span = packed(512, plain)
    for size in (1024.0, 1e6, 1e9):
        before, after = (group_collective_time("all_reduce", size, span, net) for net in (plain, sharp))
        assert after.time <= before.time
        assert group_collective_time("all_gather", size, span, plain) == group_collective_time(
            "all_gather", size, span, sharp
        )
    assert group_collective_time("all_reduce", 1e9, span, sharp).algorithm == "sharp"
