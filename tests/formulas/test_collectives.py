"""Collective formulas against closed forms, lower bounds and step-by-step message counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.formulas import collectives as c

ALL_REDUCES = (
    c.ring_all_reduce_time,
    c.tree_all_reduce_time,
    c.recursive_halving_all_reduce_time,
    c.in_network_all_reduce_time,
)
SINGLE_LEVEL = (
    *ALL_REDUCES,
    c.ring_reduce_scatter_time,
    c.ring_all_gather_time,
    c.recursive_halving_reduce_scatter_time,
    c.recursive_doubling_all_gather_time,
    c.pairwise_all_to_all_time,
    c.direct_all_to_all_time,
)
sizes = st.integers(2, 5000)
messages = st.floats(1, 1e12)


def test_eight_rank_ring_by_hand() -> None:
    """8 GB on 8 ranks at 400 GB/s: 14 steps of 1 GB, 35 ms, plus 14 latencies."""
    time = c.ring_all_reduce_time(message_bytes=8e9, group_size=8, alpha=1e-6, bandwidth=4e11)
    assert time == pytest.approx(0.035 + 14e-6, rel=1e-12)


@pytest.mark.parametrize("function", SINGLE_LEVEL)
def test_one_rank_costs_nothing(function: object) -> None:
    """A group of one neither waits nor sends, except that a switch would not be asked at all."""
    assert function(message_bytes=0.0, group_size=1, alpha=1e-6, bandwidth=1e9) == 0.0  # type: ignore[operator]


@settings(deadline=None)
@given(size=sizes, message=messages)
def test_no_all_reduce_beats_the_bandwidth_bound(size: int, message: float) -> None:
    """Without help from switches every rank sends at least 2 (n-1)/n S; the ring meets it (Patarasuk, Yuan)."""
    bound = 2 * (size - 1) / size * message / 1e9
    for function in (c.ring_all_reduce_time, c.recursive_halving_all_reduce_time):
        assert function(message_bytes=message, group_size=size, alpha=0.0, bandwidth=1e9) >= bound * (
            1 - 1e-12
        )
    ring = c.ring_all_reduce_time(message_bytes=message, group_size=size, alpha=0.0, bandwidth=1e9)
    assert ring == pytest.approx(bound, rel=1e-12)


@settings(deadline=None)
@given(size=sizes)
def test_no_all_reduce_beats_the_latency_bound(size: int) -> None:
    """Information needs ceil(log2 n) hops to reach everybody, once in and once out for trees."""
    for function in (c.ring_all_reduce_time, c.tree_all_reduce_time):
        time = function(message_bytes=0.0, group_size=size, alpha=1.0, bandwidth=1e9)
        assert time >= math.ceil(math.log2(size))
    assert c.tree_all_reduce_time(
        message_bytes=0.0, group_size=size, alpha=1.0, bandwidth=1e9
    ) == 2 * math.ceil(math.log2(size))


@settings(deadline=None)
@given(size=sizes, message=messages)
def test_all_reduce_is_reduce_scatter_and_all_gather(size: int, message: float) -> None:
    """The ring all-reduce costs exactly its two halves."""
    values = {"message_bytes": message, "group_size": size, "alpha": 2e-6, "bandwidth": 5e10}
    halves = c.ring_reduce_scatter_time(**values) + c.ring_all_gather_time(**values)  # type: ignore[arg-type]
    assert c.ring_all_reduce_time(**values) == pytest.approx(halves, rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("rounds", [1, 3, 10])
def test_recursive_halving_on_powers_of_two(rounds: int) -> None:
    """On 2^k ranks it takes 2k rounds and the volume of a ring."""
    size = 2**rounds
    time = c.recursive_halving_all_reduce_time(message_bytes=1e9, group_size=size, alpha=1e-3, bandwidth=1e9)
    assert time == pytest.approx(2 * rounds * 1e-3 + 2 * (size - 1) / size, rel=1e-12)


def test_recursive_halving_folds_other_sizes() -> None:
    """Six ranks: four work, two fold in and out: two more rounds and two more messages."""
    time = c.recursive_halving_all_reduce_time(message_bytes=1e9, group_size=6, alpha=1e-3, bandwidth=1e9)
    assert time == pytest.approx(6e-3 + 1.5 + 2.0, rel=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), messages)
def test_hierarchy_conserves_volume(group_sizes: list[int], message: float) -> None:
    """What the levels carry adds up to (n-1)/n of the message, however the group is cut."""
    size = math.prod(group_sizes)
    total = math.fsum(c.hierarchical_volumes(group_sizes)) * message
    assert total == pytest.approx((size - 1) / size * message, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), messages)
def test_hierarchy_on_equal_levels_beats_a_ring_in_latency_only(
    group_sizes: list[int], message: float
) -> None:
    """With the same wires everywhere the hierarchy sends as much as one ring, in fewer steps."""
    size = math.prod(group_sizes)
    count = len(group_sizes)
    values = {"message_bytes": message, "group_size": size, "bandwidth": 1e9}
    for alpha in (0.0, 1e-6):
        ring = c.ring_all_reduce_time(alpha=alpha, **values)  # type: ignore[arg-type]
        levels = c.hierarchical_all_reduce_time(
            message_bytes=message, group_sizes=group_sizes, alphas=[alpha] * count, bandwidths=[1e9] * count
        )
        if alpha == 0.0:
            assert levels == pytest.approx(ring, rel=1e-9, abs=1e-15)
        else:
            assert levels <= ring * (1 + 1e-9)


def test_bus_bandwidth_follows_nccl_tests() -> None:
    """busbw is algbw x 2(n-1)/n for all_reduce, (n-1)/n for the one-way operations, 1 for send_recv."""
    assert c.bus_bandwidth("all_reduce", 8e9, 8, 0.035) == pytest.approx(4e11)
    assert c.bus_factor("all_gather", 8) == c.bus_factor("reduce_scatter", 8) == 7 / 8
    assert c.bus_factor("all_to_all", 4) == 3 / 4
    assert c.bus_factor("send_recv", 2) == 1.0
    assert c.algorithm_bandwidth(1e9, 0.0) == 0.0


@settings(deadline=None)
@given(size=sizes)
def test_ideal_busbw_does_not_depend_on_the_group(size: int) -> None:
    """On ideal hardware a ring's bus bandwidth is the wire's, whatever the group size."""
    time = c.ring_all_reduce_time(message_bytes=1e9, group_size=size, alpha=0.0, bandwidth=5e10)
    assert c.bus_bandwidth("all_reduce", 1e9, size, time) == pytest.approx(5e10, rel=1e-12)


def test_best_all_reduce_changes_with_size() -> None:
    """Small messages go by tree or halving, large ones by an algorithm with the ring's volume."""
    small = c.best_all_reduce(message_bytes=1e3, group_size=100, alpha=1e-6, bandwidth=5e10)
    large = c.best_all_reduce(message_bytes=1e11, group_size=100, alpha=1e-6, bandwidth=5e10)
    assert small[1] != "ring"
    assert large[1] == "ring"


def test_tree_between_two_ranks_sends_one_message() -> None:
    """Two ranks exchange half the message in either tree, so they meet the bandwidth bound."""
    time = c.tree_all_reduce_time(message_bytes=1e9, group_size=2, alpha=0.0, bandwidth=1e9)
    assert time == 1.0


def test_switches_that_add_halve_the_volume_of_large_rings() -> None:
    """In-network reduction sends S per rank where a large ring sends nearly 2 S."""
    values = {"message_bytes": 1e9, "group_size": 1000, "alpha": 0.0, "bandwidth": 1e9}
    ratio = c.ring_all_reduce_time(**values) / c.in_network_all_reduce_time(**values)  # type: ignore[arg-type]
    assert ratio == pytest.approx(2 * 999 / 1000, rel=1e-12)


def test_pipelined_levels_go_at_the_pace_of_the_slowest() -> None:
    """Levels that work at once take the longest of their times, and nothing costs nothing."""
    assert c.pipelined_time([8.0, 1.0], [4.0, 0.25]) == 4.0
    assert c.pipelined_time([], []) == 0.0


@pytest.mark.parametrize("streaming", [1e-3, 0.5, 20.0])
def test_best_number_of_chunks(streaming: float) -> None:
    """The closed form is the minimum over chunk counts of sending, per-chunk overhead and pipeline fill."""
    per_chunk, depth = 1e-6, 8
    best = min(streaming + m * per_chunk + streaming * (depth - 1) / m for m in range(1, 40000))
    assert c.chunked_time(streaming, per_chunk * (depth - 1)) == pytest.approx(best, rel=1e-3)
    assert c.chunked_time(streaming, 0.0) == streaming


def test_all_to_all_pairwise_and_direct() -> None:
    """Pairwise exchange pays one latency per peer, direct sending one in all; both send (n-1)/n S."""
    values = {"message_bytes": 8e9, "group_size": 8, "alpha": 1e-3, "bandwidth": 1e9}
    assert c.pairwise_all_to_all_time(**values) == pytest.approx(7.007, rel=1e-12)  # type: ignore[arg-type]
    assert c.direct_all_to_all_time(**values) == pytest.approx(7.001, rel=1e-12)  # type: ignore[arg-type]
    assert c.send_recv_time(message_bytes=1e9, alpha=1e-3, bandwidth=1e9) == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"group_size": 0}, "at least 1 rank"),
        ({"bandwidth": 0.0}, "above 0"),
        ({"bandwidth": math.nan}, "above 0"),
        ({"message_bytes": -1.0}, "negative"),
        ({"message_bytes": math.nan}, "negative"),
        ({"alpha": -1e-9}, "negative"),
    ],
)
def test_impossible_numbers_are_refused(change: dict[str, float], words: str) -> None:
    """Every formula refuses empty groups, dead links and negative sizes or latencies."""
    values = {"message_bytes": 1.0, "group_size": 8, "alpha": 0.0, "bandwidth": 1.0} | change
    for function in SINGLE_LEVEL:
        with pytest.raises(ValueError, match=words):
            function(**values)


def test_unknown_operations_are_refused() -> None:
    """An operation that does not exist is named together with those that do."""
    with pytest.raises(ValueError, match="all_reduce, reduce_scatter"):
        c.bus_factor("allreduce", 8)
