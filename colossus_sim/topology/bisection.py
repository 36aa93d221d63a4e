"""The bandwidth between two halves of the hosts of a network given cable by cable."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set

import networkx as nx
import numpy as np

from colossus_sim.topology.cables import joined_nodes, merge_alike

MOST_SIDES, MOST_CELLS = 16, 1 << 21
"""Switches, and their sides times hosts, up to which every side of every switch is tried."""
MOST_EDGES = 30_000
"""Edges of all maximum flows together up to which splits of the hosts are tried, within about a second."""
ROUNDING = 1e-9
"""By how much two equal cuts may differ."""

Split = tuple[int, ...]
"""Hosts of each group in the first half."""


def half_cut(graph: nx.Graph, hosts: Sequence[str]) -> tuple[float, bool]:
    """Return the least bandwidth between two halves of the hosts [B/s], and whether no split has less.

    Finding it is NP-hard. All splits are compared where switches (those of equal cabling count once) or hosts are
    few; else it is an upper bound, the least over some splits and over swaps of hosts from the best of them.
    """
    if len(hosts) < 2:
        return 0.0, True
    small, known = _twins_joined(graph, hosts), set(hosts)
    # Hosts with a cable to another host weigh as switches do.
    direct = [host for host in hosts if any(other in known for other in small[host])]
    core: list[Hashable] = [*(node for node in small if node not in known), *direct]
    free = [host for host in hosts if host not in set(direct)]
    if len(core) <= MOST_SIDES and len(hosts) << len(core) <= MOST_CELLS:
        return _least_of_all(small, core, free, known), True
    merged, group_of = merge_alike(small, hosts, {host: index for index, host in enumerate(direct)})
    sizes = Counter(group_of.values())
    flows, half = max(1, MOST_EDGES // merged.number_of_edges()), len(hosts) // 2
    if _number_of_splits(sizes, half) <= flows:
        return min(_flow(merged, sizes, split) for split in _splits(tuple(sizes.values()), half)), True
    starts = [Counter(group_of[host] for host in order[:half]) for order in _orders(graph, hosts)]
    return _swapped(merged, sizes, [tuple(start[group] for group in sizes) for start in starts], flows), False


def _twins_joined(graph: nx.Graph, hosts: Sequence[str]) -> nx.Graph:
    """Return the network with switches of equal cabling as one, again and again: a least cut never divides them."""
    known = set(hosts)
    while True:
        first: dict[object, str] = {}
        name: dict[str, str] = {}
        for node in graph:
            cabling = sorted((str(other), fields["bandwidth"]) for other, fields in graph[node].items())
            name[node] = node if node in known else first.setdefault(tuple(cabling), node)
        joined = joined_nodes(graph, name)
        if len(joined) == len(graph):
            return joined
        graph = joined


def _least_of_all(
    graph: nx.Graph, core: Sequence[Hashable], free: Sequence[str], hosts: Set[Hashable]
) -> float:
    """Return the least cut over all sides of the nodes of the core, with the best choice of hosts for each.

    Of the `free` hosts, which hang on the core alone, as many as are missing take the second side: those for which
    that costs least. The first node stays on the first side, so that either half may be the larger.
    """
    place = {node: index for index, node in enumerate(core)}
    numbers = np.arange(1 << len(core) - 1)
    sides = np.stack([numbers << 1 >> index & 1 for index in range(len(core))], axis=1)
    cut = np.zeros(len(sides))
    for one, two, bandwidth in graph.subgraph(core).edges(data="bandwidth"):
        cut += bandwidth * (sides[:, place[one]] != sides[:, place[two]])
    cables = np.zeros((len(core), len(free)))
    for column, host in enumerate(free):
        for other, fields in graph[host].items():
            cables[place[other], column] = fields["bandwidth"]
    across = sides @ cables
    cut += across.sum(axis=1)
    dearer = np.zeros((len(sides), 1 + len(free)))
    np.cumsum(np.sort(cables.sum(axis=0) - 2.0 * across, axis=1), axis=1, out=dearer[:, 1:])
    there = sides @ np.array([node in hosts for node in core]).astype(int)
    best = math.inf
    for half in {len(hosts) // 2, -(-len(hosts) // 2)}:
        possible = np.flatnonzero((there <= half) & (half - there <= len(free)))
        found = cut[possible] + dearer[possible, half - there[possible]]
        best = min(best, float(found.min(initial=math.inf)))
    return best


def _number_of_splits(sizes: Mapping[str, int], half: int) -> float:
    """Return in how many ways so many hosts can be taken from the groups."""
    ways = np.ones(1)
    for size in sizes.values():
        ways = np.convolve(ways, np.ones(size + 1))[: half + 1]
    return float(ways[half])


def _splits(sizes: Sequence[int], half: int) -> Iterator[Split]:
    """Yield those ways."""
    if not sizes:
        yield ()
        return
    for taken in range(max(0, half - sum(sizes[1:])), min(sizes[0], half) + 1):
        for others in _splits(sizes[1:], half - taken):
            yield taken, *others


def _swapped(merged: nx.Graph, sizes: Mapping[str, int], starts: Sequence[Split], flows: int) -> float:
    """Return the least cut that swaps of hosts between the halves lead to, from each of some splits."""
    known: dict[Split, float] = {}

    def cut(split: Split) -> float:
        if split not in known:
            known[split] = _flow(merged, sizes, split)
        return known[split]

    for split in sorted(starts, key=cut):
        best, better = split, True
        while better:
            better = False
            for other in _neighbours(best, tuple(sizes.values())):
                if len(known) >= flows:
                    return min(known.values())
                if cut(other) < cut(best) * (1.0 - ROUNDING):
                    best, better = other, True
                    break
    return min(known.values())


def _neighbours(split: Split, sizes: Sequence[int]) -> Iterator[Split]:
    """Yield the splits in which one host of a group, or as many as can, change places with those of another."""
    for give, take in itertools.permutations(range(len(split)), 2):
        most = min(split[give], sizes[take] - split[take])
        for many in sorted({1, most}) if most else ():
            changed = list(split)
            changed[give] -= many
            changed[take] += many
            yield tuple(changed)


def _flow(merged: nx.Graph, sizes: Mapping[str, int], split: Split) -> float:
    """Return the least cut between two halves of the hosts: the maximum flow through the switches between them."""
    share = {group: taken / size for (group, size), taken in zip(sizes.items(), split, strict=True)}
    net, straight = nx.DiGraph(), 0.0
    net.add_nodes_from(("(source)", "(sink)"))
    for one, two, bandwidth in merged.edges(data="bandwidth"):
        if one in share and two in share:
            straight += bandwidth * (share[one] * (1.0 - share[two]) + share[two] * (1.0 - share[one]))
        elif one in share or two in share:
            group, switch = (one, two) if one in share else (two, one)
            _widen(net, "(source)", switch, bandwidth * share[group])
            _widen(net, switch, "(sink)", bandwidth * (1.0 - share[group]))
        else:
            _widen(net, one, two, bandwidth)
            _widen(net, two, one, bandwidth)
    return float(straight + nx.maximum_flow_value(net, "(source)", "(sink)"))


def _widen(net: nx.DiGraph, one: Hashable, two: Hashable, bandwidth: float) -> None:
    before = net.edges[one, two]["capacity"] if net.has_edge(one, two) else 0.0
    net.add_edge(one, two, capacity=before + bandwidth)


def _orders(graph: nx.Graph, hosts: Sequence[str]) -> list[list[str]]:
    """Return orders of the hosts whose first halves are tried.

    Blocks of hosts in their order, in order of distance, every second block, and those together that few tiers of
    switches join. Of an odd number the halves differ by one host, and either may be the larger.
    """
    half = len(hosts) // 2
    distance = nx.single_source_shortest_path_length(graph, hosts[0])
    near = sorted(hosts, key=lambda host: distance.get(host, 0))
    quarter = max(1, half // 2)
    ends = [*hosts[:quarter], *hosts[-(half - quarter) :]] if half > quarter else near
    orders = [list(hosts), near, ends, _nested(graph, hosts)]
    return [*orders, list(reversed(hosts))] if len(hosts) % 2 else orders


def _nested(graph: nx.Graph, hosts: Sequence[str]) -> list[str]:
    """Return the hosts in such an order that those stand together which the lower tiers of switches join."""
    height = nx.multi_source_dijkstra_path_length(graph, set(hosts), weight=lambda *_: 1)
    parts: dict[str, list[int]] = {host: [] for host in hosts}
    for tier in range(int(max(height.values())) - 1, 0, -1):
        lower = graph.subgraph([node for node, above in height.items() if above <= tier])
        for number, part in enumerate(nx.connected_components(lower)):
            for host in part & parts.keys():
                parts[host].append(number)
    return sorted(hosts, key=parts.__getitem__)
