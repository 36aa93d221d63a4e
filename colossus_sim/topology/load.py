"""Load of every cable of a network when GPUs send to each other: all of them, or those of one job."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

import networkx as nx

from colossus_sim.specs.topology import Dragonfly

Edge = tuple[Hashable, Hashable]
MOST_SOURCES = 512
"""Above this many groups of a graph that is no tree only as many, evenly spread, are traced and scaled up."""


def uniform_load(graph: nx.Graph, injection: float) -> dict[Edge, float]:
    """Return the load of each edge under uniform traffic, as a share of its bandwidth (1: full).

    Every GPU sends `injection` [B/s] in equal parts to all GPUs, itself included; traffic takes all shortest
    paths in equal parts at each switch (ECMP). Groups are traced with the accumulation of Brandes, A faster
    algorithm for betweenness centrality, 2001, DOI 10.1080/0022250X.2001.9990249, equation 8, weighted by GPUs.

    Parameters
    ----------
    graph : networkx.Graph
        Groups with `gpus` and edges with `bandwidth` [B/s] (see ``topology.quotient.quotient_graph``); `alike`
        on edges says that the graph is the same from every group and names the edges that are equal.
    injection : float
        What one GPU sends. [B/s]
    """
    gpus = {node: float(count or 0) for node, count in graph.nodes(data="gpus")}
    if nx.is_tree(graph):
        return _tree_load(graph, gpus, injection)
    every = [node for node, count in gpus.items() if count]
    alike = nx.get_edge_attributes(graph, "alike")
    # Where cables are alike the network looks the same from every group, and one of them is enough.
    step = max(1, -(-len(every) // (1 if alike else MOST_SOURCES)))
    traced, total = every[::step], sum(gpus.values())
    scale = total / max(sum(gpus[node] for node in traced), 1.0)
    flow = dict.fromkeys(graph.edges, 0.0)
    for source in traced:
        sent = injection * gpus[source] / total * scale
        for (first, second), share in _shares(graph, source, gpus).items():
            edge = (first, second) if (first, second) in flow else (second, first)
            flow[edge] += sent * share
    # Each direction carries half of what both carry, since traffic is symmetric.
    loads = {edge: 0.5 * flow[edge] / graph.edges[edge]["bandwidth"] for edge in flow}
    return _averaged(loads, alike) if alike else loads


def dragonfly_inside(spec: Dragonfly, gpus: int, injection: float, nic: float) -> dict[str, float]:
    """Return the load of the cables inside a dragonfly's groups under uniform traffic, as shares of their rate.

    Minimal routing: what goes to another router of the group crosses one local cable; what goes to another group
    crosses one at either end, unless the router at hand has the global cable (Kim et al. 2008,
    doi:10.1109/ISCA.2008.19, section 3).

    Parameters
    ----------
    spec : Dragonfly
        The network.
    gpus : int
        How many send.
    injection, nic : float
        What one GPU sends to all, itself included, and the rate of its NIC. [B/s]
    """
    p, a = spec.endpoints_per_router, spec.routers_per_group
    group = p * a
    own = min(group, gpus)
    near = (own - min(p, own)) / gpus
    far = 2.0 * (gpus - own) / gpus * (a - 1) / a
    pairs = a * (a - 1)
    local = own * injection * (near + far) / (pairs * spec.local_link_bandwidth) if pairs else 0.0
    return {"host": injection / nic, "local": local}


def spread_traffic(
    graph: nx.Graph, ranks: Mapping[str, float], elsewhere: Mapping[str, float]
) -> dict[Edge, float]:
    """Return how many GPUs' traffic each edge carries per direction when those of a job send to one another.

    Shortest paths in equal parts, as in `uniform_load`; of more than `MOST_SOURCES` hosts as many are traced.

    Parameters
    ----------
    graph : networkx.Graph
        Hosts and switches.
    ranks : mapping
        GPUs of the job at each host.
    elsewhere : mapping
        GPUs of the job among which a GPU at that host spreads its traffic.
    """
    flow = dict.fromkeys(graph.edges, 0.0)
    every = [host for host, count in ranks.items() if count > 0 and elsewhere[host] > 0]
    traced = every[:: max(1, -(-len(every) // MOST_SOURCES))]
    scale = sum(ranks[host] for host in every) / max(sum(ranks[host] for host in traced), 1e-300)
    weights = {node: ranks.get(node, 0.0) for node in graph}
    for host in traced:
        sent = 0.5 * scale * ranks[host] / elsewhere[host]
        for (first, second), share in _shares(graph, host, weights).items():
            flow[(first, second) if (first, second) in flow else (second, first)] += sent * share
    return flow


def _tree_load(graph: nx.Graph, gpus: Mapping[Hashable, float], injection: float) -> dict[Edge, float]:
    """Return the load of each edge of a tree: what the GPUs on one side send to those on the other."""
    root = next(iter(graph))
    total, below = sum(gpus.values()), dict(gpus)
    found: dict[frozenset[Hashable], float] = {}
    for node, parent in reversed([(node, parent) for parent, node in nx.bfs_edges(graph, root)]):
        inside = below[node]
        below[parent] += inside
        sent = injection * inside * (total - inside) / max(total, 1.0)
        found[frozenset((node, parent))] = sent / graph.edges[node, parent]["bandwidth"]
    return {edge: found[frozenset(edge)] for edge in graph.edges}


def _averaged(loads: Mapping[Edge, float], alike: Mapping[Edge, int]) -> dict[Edge, float]:
    """Return the mean of the edges that are alike, for each of them."""
    groups: dict[int, list[float]] = {}
    for edge, load in loads.items():
        groups.setdefault(alike[edge], []).append(load)
    means = {name: sum(values) / len(values) for name, values in groups.items()}
    return {edge: means[alike[edge]] for edge in loads}


def _shares(graph: nx.Graph, source: Hashable, gpus: Mapping[Hashable, float]) -> dict[Edge, float]:
    """Return the GPUs beyond each edge on the shortest paths from a source, split over equal paths."""
    distance, paths = {source: 0}, {source: 1.0}
    before: dict[Hashable, list[Hashable]] = {source: []}
    order, queue = [], deque([source])
    while queue:
        node = queue.popleft()
        order.append(node)
        for other in graph[node]:
            if other not in distance:
                distance[other], paths[other], before[other] = distance[node] + 1, 0.0, []
                queue.append(other)
            if distance[other] == distance[node] + 1:
                paths[other] += paths[node]
                before[other].append(node)
    beyond = dict.fromkeys(order, 0.0)
    found: dict[Edge, float] = {}
    for node in reversed(order):
        whole = gpus[node] + beyond[node]
        for previous in before[node]:
            share = whole * paths[previous] / paths[node]
            beyond[previous] += share
            found[(previous, node)] = share
    return found
