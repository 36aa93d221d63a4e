"""What is left of a custom network without one of its parts: new shortest paths on the cables that remain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import networkx as nx

from colossus_sim.specs.topology import Custom
from colossus_sim.topology.cables import read_cables
from colossus_sim.topology.custom import alike_leaves, cut_off, gpus_per_host, hosts_of, uniform_rate
from colossus_sim.topology.endpoints import Endpoints

ROUNDING = 1e-9
"""By how much two shares that are the same may differ."""


class Rerouted(NamedTuple):
    """Whom a loss touches, and what it takes."""

    first_gpu: int
    gpus: int
    """Neighbouring GPUs that are touched."""
    share: float
    """Share of their bandwidth that is lost; 1 = no path is left to them."""
    own: bool
    """Whether hosts lost cables of their own; else the way between leaves is narrower."""


def rerouted(spec: Custom, ends: Endpoints, part: str, name: str) -> Rerouted:
    """Return what the loss of a switch, or of the cables between two nodes, takes from whom.

    Traffic takes all shortest paths that are left in equal parts, however much longer or narrower they are. What
    every host can then send when all send to each other, over the same before, is the share that is left: of the
    whole network, or of the hosts that lost cables of their own where they are the slower ones.

    Parameters
    ----------
    part, name : str
        ``switch`` and its name, or ``cable`` and two names, e.g. "leaf0 - spine1".

    Raises
    ------
    ValueError
        If there is no such part, or if it cuts off hosts that are no neighbours.
    """
    before = read_cables(spec)
    hosts = hosts_of(before)
    per_host = gpus_per_host(before, hosts, ends.gpus)
    after = _without(before, hosts, part, name)
    apart = set(cut_off(after, hosts))
    cut = [index for index, host in enumerate(hosts) if host in apart]
    if cut:
        return Rerouted(*_neighbours(cut, per_host, name), 1.0, own=True)
    leaves = alike_leaves(before, hosts)
    own = {host: _width(after, host) / _width(before, host) for host in hosts}
    slow = [index for index, host in enumerate(hosts) if own[host] < 1.0]
    through = [
        min(uniform_rate(graph, hosts, leaves), _width_of_all(graph, hosts)) for graph in (before, after)
    ]
    left = through[1] / through[0]
    if slow and min(own.values()) <= left * (1.0 + ROUNDING):
        return Rerouted(*_neighbours(slow, per_host, name), 1.0 - min(own.values()), own=True)
    return Rerouted(0, ends.gpus, max(0.0, 1.0 - left), own=False)


def _without(graph: nx.Graph, hosts: Sequence[str], part: str, name: str) -> nx.Graph:
    after = graph.copy()
    if part == "switch":
        if name not in graph or name in hosts:
            switches = sorted(str(node) for node in graph if node not in set(hosts))
            raise ValueError(f"the network has no switch {name!r}; switches: {', '.join(switches[:12])}")
        after.remove_node(name)
        return after
    one, _, two = (text.strip() for text in name.partition(" - "))
    if not graph.has_edge(one, two):
        known = ", ".join(f"{a} - {b}" for a, b in list(graph.edges)[:6])
        raise ValueError(f"the network has no cable {name!r}; cables: {known}, ...")
    after.remove_edge(one, two)
    return after


def _width(graph: nx.Graph, host: str) -> float:
    return float(sum(edge["bandwidth"] for edge in graph[host].values()))


def _width_of_all(graph: nx.Graph, hosts: Sequence[str]) -> float:
    return min(_width(graph, host) for host in hosts)


def _neighbours(places: Sequence[int], per_host: int, name: str) -> tuple[int, int]:
    """Return first GPU and number of GPUs of hosts that stand next to each other."""
    if places[-1] - places[0] != len(places) - 1:
        raise ValueError(
            f"{name!r} touches hosts that are no neighbours in the order of the leaves; not modelled"
        )
    return places[0] * per_host, len(places) * per_host
