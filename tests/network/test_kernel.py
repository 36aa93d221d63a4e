"""Flows from event to event: compiled and interpreted, classes, closed forms, conservation, a full re-solve."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.compiling import SWITCH, jit_available
from colossus_sim.network import max_min_rates, simulate_flows
from colossus_sim.network.classes import flow_classes
from colossus_sim.network.course import run_kernel

needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="the extra 'fast' (numba) is not installed"
)
LINK = 50e9
Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def clos_case(hosts: int, flows: int, seed: int) -> Case:
    """Random flows over a leaf-spine network with 8 hosts per leaf and 4 spines, hashed paths."""
    rng = np.random.default_rng(seed)
    leaves = hosts // 8
    source = rng.integers(0, hosts, flows)
    target = (source + rng.integers(1, hosts, flows)) % hosts
    spine = rng.integers(0, 4, flows)
    hop = np.full((flows, 4), -1)
    hop[:, 0], hop[:, 3] = source, hosts + target
    far = source // 8 != target // 8
    hop[far, 1] = (2 * hosts + source // 8 * 4 + spine)[far]
    hop[far, 2] = (2 * hosts + 4 * leaves + target // 8 * 4 + spine)[far]
    used = hop >= 0
    ptr = np.concatenate(([0], np.cumsum(used.sum(axis=1))))
    size, start = rng.uniform(1e6, 8e7, flows), rng.uniform(0.0, 5e-3, flows)
    return np.full(2 * hosts + 8 * leaves, LINK), ptr, hop[used], size, start


def full_resolve(case: Case) -> np.ndarray:
    """Play the flows with a complete new solution at every event."""
    capacity, ptr, idx, size, start = case
    left, finish, now = size.copy(), np.zeros(len(size)), 0.0
    running: set[int] = set()
    waiting = sorted(range(len(size)), key=lambda flow: start[flow])
    while running or waiting:
        if not running:
            now = start[waiting[0]]
        while waiting and start[waiting[0]] <= now:
            running.add(waiting.pop(0))
        ids = sorted(running)
        rates = max_min_rates(capacity, [idx[ptr[flow] : ptr[flow + 1]].tolist() for flow in ids])
        span = float(np.min(left[ids] / rates))
        if waiting:
            span = min(span, start[waiting[0]] - now)
        left[ids] -= rates * span
        now += span
        for flow in ids:
            if left[flow] <= 1e-9 * size[flow]:
                finish[flow] = now
                running.discard(flow)
    return finish


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_local_solutions_equal_a_full_one_at_every_event(seed: int) -> None:
    """Solving only what an event disturbs gives the finish times of solving everything anew, to 5 ns."""
    case = clos_case(64, 120, seed)
    capacity, ptr, idx, size, start = case
    ours = simulate_flows(capacity, (ptr, idx), size, start, jit=False)
    assert np.max(np.abs(ours - full_resolve(case))) < 5e-9


@needs_numba
@pytest.mark.parametrize("seed", [1, 2])
def test_compiled_and_interpreted_agree_to_the_last_bit(seed: int) -> None:
    """The same arithmetic in the same order: machine code changes nothing."""
    capacity, ptr, idx, size, start = clos_case(256, 300, seed)
    fast = simulate_flows(capacity, (ptr, idx), size, start, jit=True)
    plain = simulate_flows(capacity, (ptr, idx), size, start, jit=False)
    assert np.array_equal(fast, plain)


def test_dense_traffic_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without compiled code, dense traffic is solved whole at each event, with the same finish times."""
    capacity, ptr, idx, size, start = clos_case(16, 120, 3)
    local = simulate_flows(capacity, (ptr, idx), size, start, jit=False)
    monkeypatch.setenv(SWITCH, "1")
    whole = simulate_flows(capacity, (ptr, idx), size, start)
    assert np.max(np.abs(local - whole)) < 5e-9


def test_switch_keeps_the_kernel_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """With COLOSSUS_SIM_NO_JIT set nothing is compiled, whatever is installed."""
    monkeypatch.setenv(SWITCH, "1")
    assert not jit_available()


def test_work_is_conserved_on_one_link() -> None:
    """However flows come and go, a link that is never idle needs exactly the sum of the bytes."""
    rng = np.random.default_rng(4)
    size = rng.uniform(1.0, 9.0, 200)
    start = np.minimum(rng.uniform(0.0, 50.0, 200), 40.0)
    start[0], size[0] = 0.0, 500.0
    ends = simulate_flows([10.0], [[0]] * 200, size, start)
    assert ends.max() == pytest.approx(size.sum() / 10.0, rel=1e-12)


def test_ring_on_a_line() -> None:
    """A ring over a line of n switches loads every line link twice; flows of one hop finish at full rate.

    n - 1 neighbours each cross one link; the flow that closes the ring crosses all of them the other way.
    """
    count = 9
    right = list(range(count - 1))
    left = [count - 1 + link for link in right]
    routes = [[link] for link in right] + [left[::-1]]
    ends = simulate_flows([LINK] * (2 * count - 2), routes, [1e9] * count, [0.0] * count)
    assert ends == pytest.approx([1e9 / LINK] * count)
    both = [[link] for link in right] + [right[::-1]]
    halved = simulate_flows([LINK] * (count - 1), both, [1e9] * count, [0.0] * count)
    assert halved == pytest.approx([2e9 / LINK] * count)


def test_incast_with_different_sizes() -> None:
    """n senders of k, 2k, ... bytes into one port end at the times of processor sharing."""
    sizes = [1e9 * (1 + index) for index in range(6)]
    routes = [[sender, 6] for sender in range(6)]
    expected, done = [], 0.0
    for index, size in enumerate(sizes):
        before = sizes[index - 1] if index else 0.0
        done += (size - before) * (6 - index) / LINK
        expected.append(done)
    assert simulate_flows([LINK] * 7, routes, sizes, [0.0] * 6) == pytest.approx(expected, rel=1e-12)


def test_permutation_on_a_non_blocking_fabric() -> None:
    """With one spine path per sender nobody shares, so each flow runs at line rate whatever its size."""
    hosts = 64
    order = np.random.default_rng(5).permutation(hosts)
    routes = [[host, hosts + host, 2 * hosts + int(order[host])] for host in range(hosts)]
    sizes = np.random.default_rng(6).uniform(1e6, 1e9, hosts)
    ends = simulate_flows([LINK] * (3 * hosts), routes, sizes, np.zeros(hosts))
    assert ends == pytest.approx(sizes / LINK, rel=1e-12)


def test_dragonfly_worst_case() -> None:
    """All hosts of a group send to the next group: they share its single global link (Kim et al. 2008, 4.2)."""
    groups, hosts = 5, 8
    routes, first = [], groups * hosts
    for group in range(groups):
        for host in range(hosts):
            routes.append([group * hosts + host, first + group])
    flows = groups * hosts
    ends = simulate_flows([LINK] * (first + groups), routes, np.full(flows, 1e9), np.zeros(flows))
    assert ends == pytest.approx([hosts * 1e9 / LINK] * flows)


def test_alike_flows_share_one_course() -> None:
    """Staggered rings of equal jobs fall into few classes, and classes change no finish time."""
    jobs, ranks = 16, 32
    flows = np.arange(jobs * ranks)
    source = flows
    target = flows // ranks * ranks + (flows + 1) % ranks
    shared = 2 * jobs * ranks + flows % 8
    idx = np.column_stack((source, jobs * ranks + target, shared)).reshape(-1)
    ptr = np.arange(jobs * ranks + 1) * 3
    capacity = np.full(2 * jobs * ranks + 8, LINK)
    size, start = np.full(flows.size, 64e6), flows // ranks % 4 * 1e-3
    classes = flow_classes(capacity, ptr, idx, np.column_stack((size, start)))
    assert classes is not None
    assert len(classes.members) == 4
    ours = simulate_flows(capacity, (ptr, idx), size, start)
    assert ours == pytest.approx(run_kernel(capacity, ptr, idx, None, size, start, jit=False), rel=1e-12)


def test_flows_that_all_differ_are_not_merged() -> None:
    """A random case is recognised as such at once."""
    capacity, ptr, idx, size, start = clos_case(64, 300, 7)
    assert flow_classes(capacity, ptr, idx, np.column_stack((size, start))) is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_copies_of_a_case_end_together(seed: int, flows: int) -> None:
    """Four copies of a network side by side are one class each, and end as the single one does."""
    rng = np.random.default_rng(seed)
    links = 6
    routes = [rng.choice(links, size=rng.integers(1, 4), replace=False).tolist() for _ in range(flows)]
    capacity = rng.uniform(1.0, 5.0, links)
    size, start = rng.uniform(1.0, 9.0, flows), rng.uniform(0.0, 3.0, flows)
    one = simulate_flows(capacity, routes, size, start)
    copies = [[link + links * copy for link in route] for copy in range(5) for route in routes]
    five = simulate_flows(np.tile(capacity, 5), copies, np.tile(size, 5), np.tile(start, 5))
    assert five == pytest.approx(np.tile(one, 5), rel=1e-9)


def test_a_link_named_twice_counts_twice() -> None:
    """A flow that crosses a link twice takes two shares of it, before and after another one ends."""
    ends = simulate_flows([6.0], [[0, 0], [0]], [4.0, 2.0], [0.0, 0.0])
    assert ends == pytest.approx([5.0 / 3.0, 1.0])
