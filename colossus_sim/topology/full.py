"""The whole network as a graph, one node per GPU and switch: for other programs, and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import networkx as nx

from colossus_sim.errors import OutputError
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Clos, Dragonfly, Topology
from colossus_sim.topology.clos import ClosTierPlan, networks, tier_plans
from colossus_sim.topology.dragonfly import dragonfly_sizes, routers_in_group
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.quotient import quotient_graph
from colossus_sim.topology.torus import gpus_per_node


def full_graph(topology: Topology, gpu: Gpu, gpus: int | None = None) -> nx.Graph:
    """Return the network with a node per GPU and per switch, as plain names and numbers.

    Nodes carry `kind` (host, switch) and `tier`, edges `bandwidth` (of one cable, one direction [B/s]) and
    `links`. Scale-up links are not in it, so rails that only those join are apart; `domain` of a host names the
    scale-up domain of its GPU where the GPUs of one hang on different switches. The cables of a tier go round the
    switches above in turn, one group after the other.
    """
    ends = Endpoints.of(topology, gpu, gpus)
    spec = topology.fabric
    if isinstance(spec, Clos):
        return _clos(spec, ends)
    if isinstance(spec, Dragonfly):
        return _dragonfly(spec, ends)
    return _named(topology, gpu, gpus, ends)


def write_graphml(graph: nx.Graph, file: str | Path) -> None:
    """Write a graph as GraphML, nodes of a quotient graph with plain names.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    names = {node: _plain(node) for node in graph}
    try:
        nx.write_graphml(nx.relabel_nodes(graph, names), file)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from error


def _host(graph: nx.Graph, index: int) -> str:
    name = f"gpu{index}"
    graph.add_node(name, kind="host", tier=0, gpus=1)
    return name


def _cable(graph: nx.Graph, first: str, second: str, bandwidth: float, links: int = 1) -> None:
    if graph.has_edge(first, second):
        graph.edges[first, second]["links"] += links
    else:
        graph.add_edge(first, second, bandwidth=bandwidth, links=links)


def _clos(spec: Clos, ends: Endpoints) -> nx.Graph:
    graph = nx.Graph()
    plans = tier_plans(spec, ends)
    for plane in range(networks(spec)):
        for tier, plan in enumerate(plans):
            for group in range(plan.groups):
                for switch in range(plan.switches):
                    graph.add_node(_switch(plane, plan, group, switch), kind="switch", tier=tier + 1)
    rails = spec.rails
    for index in range(ends.gpus):
        host = _host(graph, index)
        if rails > 1:
            graph.nodes[host]["domain"] = f"domain{index // ends.domain}"
        rail = index % ends.domain * rails // ends.domain
        group = index // plans[0].group_gpus
        for plane in range(spec.planes):
            if spec.rail_only:
                leaf = _switch(plane * rails + rail, plans[0], group, 0)
            else:
                leaf = _switch(plane, plans[0], group, rail)
            _cable(graph, host, leaf, ends.nic / spec.planes)
    for plane in range(networks(spec)):
        for lower, upper in pairwise(plans):
            _uplinks(graph, plane, lower, upper, ends.nic)
    return graph


def _switch(plane: int, plan: ClosTierPlan, group: int, switch: int) -> str:
    return f"{plan.name}-{plane}-{group}-{switch}"


def _uplinks(graph: nx.Graph, plane: int, lower: ClosTierPlan, upper: ClosTierPlan, bandwidth: float) -> None:
    """Lay the cables from every group of a tier to the tier above, in each rail to the switches of that rail."""
    ports, each = lower.ports_up // upper.rails, upper.switches // upper.rails
    for group in range(lower.groups):
        above = group * lower.group_gpus // upper.group_gpus
        for port in range(ports * upper.rails):
            rail, turn = divmod(port, ports)
            _cable(
                graph,
                _switch(plane, lower, group, port * lower.switches // lower.ports_up),
                _switch(plane, upper, above, rail * each + (group * ports + turn) % each),
                bandwidth,
            )


def _dragonfly(spec: Dragonfly, ends: Endpoints) -> nx.Graph:
    graph = nx.Graph()
    per_group, groups, _ = dragonfly_sizes(spec, ends)
    in_group = routers_in_group(spec, ends.gpus)
    for group in range(groups):
        names = [f"router-{group}-{router}" for router in range(in_group)]
        for name in names:
            graph.add_node(name, kind="switch", tier=1)
        for first, second in combinations(names, 2):
            _cable(graph, first, second, spec.local_link_bandwidth)
    for index in range(ends.gpus):
        group, place = divmod(index, per_group)
        router = place // spec.endpoints_per_router
        _cable(graph, _host(graph, index), f"router-{group}-{router}", ends.nic)
    free = [0] * groups
    for one, two in global_pairs(groups, spec.routers_per_group * spec.global_links_per_router):
        ends_of = [f"router-{group}-{free[group] // spec.global_links_per_router}" for group in (one, two)]
        _cable(graph, ends_of[0], ends_of[1], spec.global_link_bandwidth)
        free[one] += 1
        free[two] += 1
    return graph


def global_pairs(groups: int, ports: int) -> Iterator[tuple[int, int]]:
    """Yield the two groups of each global cable: all pairs evenly, until no two ports are left.

    The ports that are left after whole rounds over all pairs go to groups at equal distances around a ring; where
    their number is odd, one of each to the neighbour in pairs, and of an odd number of groups one goes without.
    """
    if groups < 2:
        return
    rounds, left = divmod(ports, groups - 1)
    for _ in range(rounds):
        yield from combinations(range(groups), 2)
    odd = left % 2
    if odd:
        yield from ((group, group + 1) for group in range(0, groups - 1, 2))
    for distance in range(1 + odd, 1 + odd + left // 2):
        yield from ((group, (group + distance) % groups) for group in range(groups))


def _named(topology: Topology, gpu: Gpu, gpus: int | None, ends: Endpoints) -> nx.Graph:
    """Return a torus or a list of cables with plain names; each node of a torus is a host."""
    found = quotient_graph(topology, gpu, gpus)
    graph = nx.Graph()
    torus = topology.fabric.kind == "torus"
    for node, fields in found.nodes(data=True):
        host = torus or fields["host"]
        count = gpus_per_node(topology.fabric, ends) if torus else fields["gpus"]  # type: ignore[arg-type]
        graph.add_node(_plain(node), kind="host" if host else "switch", tier=fields["tier"], gpus=count)
    for first, second, fields in found.edges(data=True):
        links = int(fields["links"])
        graph.add_edge(_plain(first), _plain(second), bandwidth=fields["bandwidth"] / links, links=links)
    return graph


def _plain(node: object) -> str:
    return "-".join(map(str, node)) if isinstance(node, tuple) else str(node)
