"""The cut between halves of the hosts against a search of every side of every node."""

from __future__ import annotations

import random
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.topology import bisection
from colossus_sim.topology.bisection import half_cut
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.cables import read_cables
from colossus_sim.topology.custom import hosts_of
from tests.topology.test_custom import network, spec
from tests.topology.test_hosts_do_not_forward import cables, drawn

LoadGpu = Callable[[str], Gpu]


def every_side(graph: nx.Graph, hosts: list[str]) -> float:
    """Return the least bandwidth between the sides of all nodes that have half of the hosts each."""
    nodes = list(graph)
    numbers = np.arange(2 ** (len(nodes) - 1))
    side = {node: numbers >> index & 1 for index, node in enumerate(nodes)}
    there = sum(side[host] for host in hosts)
    cut = np.zeros(len(numbers))
    for one, two, bandwidth in graph.edges(data="bandwidth"):
        cut += bandwidth * (side[one] != side[two])
    half = len(hosts) // 2
    return float(cut[(there == half) | (there == len(hosts) - half)].min())


def direct(seed: int) -> str:
    """Draw up to nine hosts that are joined to each other, with a switch at times."""
    draw = random.Random(seed)
    count = draw.randint(2, 9)
    pairs = {(index, (index + 1) % count) for index in range(count)} if count > 2 else {(0, 1)}
    pairs |= {(draw.randrange(count), draw.randrange(count)) for _ in range(count)}
    rows = [
        f"host{one},host{two},{draw.choice((100, 200, 400))} Gbit/s,{draw.randint(1, 3)}"
        for one, two in sorted(pairs)
        if one != two
    ]
    if seed % 2:
        rows += [f"host{index},leaf,{draw.choice((100, 400))} Gbit/s,1" for index in range(count)]
    return cables(*rows)


TEXTS = [drawn(seed) for seed in range(40)] + [direct(seed) for seed in range(40)]


@pytest.mark.parametrize("text", TEXTS)
def test_the_cut_is_the_least_of_all(text: str) -> None:
    """Small random networks, with and without switches: the least of all splits, and it says so."""
    graph = read_cables(spec(text))
    hosts = hosts_of(graph)
    assert half_cut(graph, hosts) == (pytest.approx(every_side(graph, hosts)), True)


@pytest.mark.parametrize("text", TEXTS)
def test_flows_find_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where switches are many the splits of the hosts are tried, each with a maximum flow: the same cut."""
    graph = read_cables(spec(text))
    hosts = hosts_of(graph)
    monkeypatch.setattr(bisection, "MOST_SIDES", 0)
    assert half_cut(graph, hosts) == (pytest.approx(every_side(graph, hosts)), True)


def test_swaps_of_hosts_come_near_and_do_not_call_it_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a search of all splits the cut is never too low, nearly always the least, and not called exact."""
    monkeypatch.setattr(bisection, "MOST_SIDES", 0)
    monkeypatch.setattr(bisection, "_number_of_splits", lambda *_: float("inf"))
    least = []
    for text in TEXTS:
        graph = read_cables(spec(text))
        hosts = hosts_of(graph)
        found, exact = half_cut(graph, hosts)
        assert not exact
        least.append(found / every_side(graph, hosts))
    assert min(least) > 1.0 - 1e-9
    assert np.mean(np.array(least) < 1.0 + 1e-9) > 0.95


def test_many_hosts_and_rails_are_still_exact(load_gpu: LoadGpu) -> None:
    """Eight rails of four leaf groups, all leaf switches on sixteen spines: one of each kind stands for all.

    Two groups of 8 hosts with 8 cables each are cut from the others: 16 leaf switches with 16 cables of 25 GB/s.
    """
    rows = [
        f"host{8 * group + host},leaf{group}{rail},400 Gbit/s,1"
        for group in range(4)
        for host in range(8)
        for rail in range(8)
    ]
    rows += [
        f"leaf{group}{rail},spine{spine},200 Gbit/s,1"
        for group in range(4)
        for rail in range(8)
        for spine in range(16)
    ]
    fabric = build_fabric(network(cables(*rows), 256), load_gpu("h100"))
    assert fabric.bisection_exact
    assert fabric.bisection_bandwidth == pytest.approx(16 * 16 * 25e9)
