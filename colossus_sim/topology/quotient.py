"""Networks as graphs of groups, for pictures, paths and cuts; never one node per GPU of a large cluster."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import combinations

import networkx as nx

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Clos, Custom, Dragonfly, Topology, Torus
from colossus_sim.topology.cables import read_cables
from colossus_sim.topology.clos import networks, tier_plans
from colossus_sim.topology.custom import gpus_per_host, hosts_of
from colossus_sim.topology.dragonfly import dragonfly_sizes, routers_in_group
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.torus import gpus_per_node


def quotient_graph(topology: Topology, gpu: Gpu, gpus: int | None = None) -> nx.Graph:
    """Return the network with one node per group.

    Clos: the switches of each leaf group, pod and core are one node each. Dragonfly: one node per group.
    Torus: one node per torus node. Nodes carry `tier` and `gpus` (GPUs right below), edges `bandwidth`
    (wire rate, one direction [B/s]) and `links` (cables). The graph itself carries `networks` (separate ones that
    are drawn as one), or `endpoints` and `routers` of a dragonfly's groups.
    """
    ends = Endpoints.of(topology, gpu, gpus)
    spec = topology.fabric
    if isinstance(spec, Clos):
        return _clos(spec, ends)
    if isinstance(spec, Dragonfly):
        return _dragonfly(spec, ends)
    if isinstance(spec, Custom):
        return _custom(spec, ends)
    return _torus(spec, ends)


def _custom(spec: Custom, ends: Endpoints) -> nx.Graph:
    """Keep the cables as they are; a switch's tier is its distance from the nearest host less one."""
    graph = read_cables(spec)
    hosts = hosts_of(graph)
    per_host = gpus_per_host(graph, hosts, ends.gpus)
    near = nx.multi_source_dijkstra_path_length(graph, set(hosts), weight=lambda *_: 1)
    for node, fields in graph.nodes(data=True):
        fields["tier"] = int(near.get(node, 0))
        fields["gpus"] = per_host if fields["host"] else 0
    return graph


def _clos(spec: Clos, ends: Endpoints) -> nx.Graph:
    graph = nx.Graph()
    plans, count = tier_plans(spec, ends), networks(spec)
    graph.graph["networks"] = count
    for tier, plan in enumerate(plans):
        for index in range(plan.groups):
            below = min(plan.group_gpus, ends.gpus - index * plan.group_gpus) if tier == 0 else 0
            graph.add_node((plan.name, index), tier=tier, gpus=below)
            if tier + 1 < len(plans):
                upper = plans[tier + 1]
                links = count * plan.ports_up
                graph.add_edge(
                    (plan.name, index),
                    (upper.name, index * plan.group_gpus // upper.group_gpus),
                    links=links,
                    bandwidth=links * ends.nic,
                )
    return graph


def _dragonfly(spec: Dragonfly, ends: Endpoints) -> nx.Graph:
    graph = nx.Graph()
    per_group, groups, _ = dragonfly_sizes(spec, ends)
    graph.graph.update(endpoints=spec.endpoints_per_router, routers=routers_in_group(spec, ends.gpus))
    for index in range(groups):
        graph.add_node(("group", index), tier=0, gpus=min(per_group, ends.gpus - index * per_group))
    # Global links are spread evenly; a pair of groups may have a fraction of a link on average.
    links = spec.routers_per_group * spec.global_links_per_router / max(groups - 1, 1)
    for first, second in combinations(range(groups), 2):
        bandwidth = links * spec.global_link_bandwidth
        graph.add_edge(("group", first), ("group", second), links=links, bandwidth=bandwidth)
    return graph


def _torus(spec: Torus, ends: Endpoints) -> nx.Graph:
    graph = nx.grid_graph(dim=list(reversed(spec.dims)), periodic=[size > 2 for size in reversed(spec.dims)])
    per_node = gpus_per_node(spec, ends)
    nx.set_node_attributes(graph, 0, "tier")
    nx.set_node_attributes(graph, per_node, "gpus")
    nx.set_edge_attributes(graph, 1, "links")
    nx.set_edge_attributes(graph, spec.link_bandwidth, "bandwidth")
    # A torus looks the same from every node, so the cables of one axis are alike.
    nx.set_edge_attributes(graph, {(one, other): _axis(one, other) for one, other in graph.edges}, "alike")
    return graph


def _axis(one: Hashable, other: Hashable) -> int:
    """Return the axis along which two neighbours of a torus differ."""
    if not isinstance(one, tuple) or not isinstance(other, tuple):
        return 0
    return next(axis for axis, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
