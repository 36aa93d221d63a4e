"""Max-min fair rates and flow times against closed forms, optimality conditions and a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.network.maxmin import max_min_rates, simulate_flows


def kkt_residual(capacities: list[float], routes: list[list[int]], rates: np.ndarray) -> float:
    """Return the largest relative violation of max-min optimality.

    Every link within its capacity, and every flow on a full link where no flow is faster.
    """
    load = np.zeros(len(capacities))
    fastest = np.zeros(len(capacities))
    for route, rate in zip(routes, rates, strict=True):
        for link in route:
            load[link] += rate
            fastest[link] = max(fastest[link], rate)
    cap = np.asarray(capacities)
    worst = float(np.max((load - cap) / cap, initial=0.0))
    for route, rate in zip(routes, rates, strict=True):
        gaps = [max((cap[x] - load[x]) / cap[x], (fastest[x] - rate) / fastest[x]) for x in route]
        worst = max(worst, min(gaps))
    return worst


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[float], list[list[int]]]:
    """Draw links and routes without repeated links."""
    count = draw(st.integers(1, 8))
    capacities = draw(st.lists(st.floats(1.0, 1e11), min_size=count, max_size=count))
    route = st.lists(st.integers(0, count - 1), min_size=1, max_size=count, unique=True)
    return capacities, draw(st.lists(route, min_size=1, max_size=20))


@settings(deadline=None)
@given(networks())
def test_rates_are_max_min_fair(case: tuple[list[float], list[list[int]]]) -> None:
    """On random networks the optimality conditions hold to 1e-9."""
    capacities, routes = case
    assert kkt_residual(capacities, routes, max_min_rates(capacities, routes)) <= 1e-9


def test_large_random_clos_is_max_min_fair() -> None:
    """The conditions hold for thousands of flows over hashed paths too."""
    rng = np.random.default_rng(1)
    flows, links = 4000, 900
    routes = [rng.choice(links, size=4, replace=False).tolist() for _ in range(flows)]
    capacities = rng.uniform(1e9, 5e10, links).tolist()
    assert kkt_residual(capacities, routes, max_min_rates(capacities, routes)) <= 1e-9


def test_incast_shares_the_receiver() -> None:
    """Eight senders into one port get an eighth each."""
    routes = [[sender, 8] for sender in range(8)]
    assert max_min_rates([50e9] * 9, routes) == pytest.approx([6.25e9] * 8, rel=1e-12)


def test_ring_of_neighbours_gets_full_links() -> None:
    """Each host sends to the next over its own links: nobody shares."""
    count = 16
    routes = [[i, count + (i + 1) % count] for i in range(count)]
    assert np.all(max_min_rates([50e9] * (2 * count), routes) == 50e9)


def test_parking_lot() -> None:
    """A long flow over n links with one short flow on each gets half of every link."""
    routes = [[0, 1, 2, 3], [0], [1], [2], [3]]
    assert max_min_rates([10.0] * 4, routes) == pytest.approx([5.0] * 5)


def test_textbook_example() -> None:
    """A flow limited elsewhere leaves its share to the others, in three rounds that depend on one another."""
    rates = max_min_rates([1.0, 2.0, 10.0], [[0], [0, 1], [1, 2], [2]])
    assert rates == pytest.approx([0.5, 0.5, 1.5, 8.5])


def test_flow_without_links_is_not_limited() -> None:
    """A flow inside one device crosses nothing and ends at once."""
    assert max_min_rates([1.0], [[], [0]]).tolist() == [np.inf, 1.0]
    assert simulate_flows([1.0], [[], [0]], [5.0, 5.0], [1.0, 2.0]).tolist() == [1.0, 7.0]


def test_compressed_routes_equal_lists() -> None:
    """(ptr, idx) means the same as a list of lists."""
    packed = (np.array([0, 1, 3, 4]), np.array([0, 0, 1, 1]))
    assert (
        max_min_rates([10.0, 4.0], packed).tolist() == max_min_rates([10.0, 4.0], [[0], [0, 1], [1]]).tolist()
    )


def slow_reference(
    capacities: list[float], routes: list[list[int]], sizes: list[float], starts: list[float]
) -> list[float]:
    """Play the flows with textbook progressive filling, one bottleneck at a time."""
    left = dict(enumerate(sizes))
    finish = [0.0] * len(sizes)
    now = min(starts)
    while left:
        running = [f for f in left if starts[f] <= now]
        coming = min((starts[f] for f in left if starts[f] > now), default=float("inf"))
        if not running:
            now = coming
            continue
        rates: dict[int, float] = {}
        room = dict(enumerate(capacities))
        while len(rates) < len(running):
            free = [f for f in running if f not in rates]
            share = {x: room[x] / sum(x in routes[f] for f in free) for f in free for x in routes[f]}
            link = min(share, key=lambda x: share[x])
            for flow in [f for f in free if link in routes[f]]:
                rates[flow] = share[link]
                for crossed in routes[flow]:
                    room[crossed] -= share[link]
        span = min(min(left[f] / rates[f] for f in running), coming - now)
        for flow in running:
            left[flow] -= rates[flow] * span
            if left[flow] <= 1e-9 * sizes[flow]:
                finish[flow] = now + span
                del left[flow]
        now += span
    return finish


@settings(max_examples=60, deadline=None)
@given(networks(), st.data())
def test_flow_times_equal_a_slow_reference(
    case: tuple[list[float], list[list[int]]], data: st.DataObject
) -> None:
    """With any sizes and start times, every flow ends when textbook progressive filling says."""
    _, routes = case
    links = 1 + max(link for route in routes for link in route)
    capacities = [float(data.draw(st.integers(1, 8))) for _ in range(links)]
    sizes = [float(data.draw(st.integers(1, 20))) for _ in routes]
    starts = [float(data.draw(st.integers(0, 5))) for _ in routes]
    ours = simulate_flows(capacities, routes, sizes, starts)
    assert ours == pytest.approx(slow_reference(capacities, routes, sizes, starts), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_equal_flows_need_one_solution(case: tuple[list[float], list[list[int]]]) -> None:
    """The shortcut for equal sizes started together equals the full play (one size is a hair off)."""
    capacities, routes = case
    sizes = np.full(len(routes), 1e9)
    nearly = sizes.copy()
    nearly[0] *= 1 + 1e-11
    starts = np.zeros(len(routes))
    short = simulate_flows(capacities, routes, sizes, starts)
    assert simulate_flows(capacities, routes, nearly, starts) == pytest.approx(short, rel=1e-7)


def test_rates_rise_when_a_flow_ends() -> None:
    """Two flows share a link; the longer one gets it all when the shorter is done."""
    assert simulate_flows([10.0], [[0], [0]], [10.0, 30.0], [0.0, 0.0]) == pytest.approx([2.0, 4.0])


def test_late_start_and_empty_flow() -> None:
    """A flow that comes late takes its half from then on; an empty one ends when it starts."""
    times = simulate_flows([10.0], [[0], [0], [0]], [30.0, 10.0, 0.0], [0.0, 1.0, 2.5])
    assert times == pytest.approx([4.0, 3.0, 2.5])


def test_no_flows() -> None:
    """Nothing in, nothing out."""
    assert len(simulate_flows([1.0], [], [], [])) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.0], [[0]], [1.0], [0.0]), "above 0"),
        (([np.nan], [[0]], [1.0], [0.0]), "above 0"),
        (([1.0], [[1]], [1.0], [0.0]), "outside 0 .. 0"),
        (([1.0], [[0]], [1.0, 2.0], [0.0]), "as many sizes"),
        (([1.0], [[0]], [-1.0], [0.0]), "not negative"),
        (([1.0], [[0]], [1.0], [np.inf]), "finite"),
        (([1.0], (np.array([0, 2]), np.array([0])), [1.0], [0.0]), "ptr must rise"),
    ],
)
def test_wrong_arrays_are_refused(arguments: tuple[object, ...], words: str) -> None:
    """Dead links, unknown links, missing sizes and negative bytes are errors."""
    with pytest.raises(ValueError, match=words):
        simulate_flows(*arguments)  # type: ignore[arg-type]


def test_a_permutation_of_sixteen_thousand_hosts() -> None:
    """Over hashed paths the flows that share no link end first, at the full rate."""
    rng = np.random.default_rng(2)
    hosts = 16384
    idx = np.column_stack(
        (
            np.arange(hosts),
            hosts + rng.integers(0, hosts, (hosts, 4)).T[0],
            2 * hosts + rng.permutation(hosts),
        )
    )
    routes = (np.arange(hosts + 1) * 3, idx.reshape(-1))
    finish = simulate_flows(np.full(3 * hosts, 50e9), routes, np.full(hosts, 64e6), np.zeros(hosts))
    assert finish.min() == pytest.approx(64e6 / 50e9)
