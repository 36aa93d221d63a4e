"""Load of every cable of a network when GPUs send to each other: all of them, or those of one job."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping, Set

import networkx as nx

from colossus_sim.specs.topology import Dragonfly
from colossus_sim.topology.dragonfly import routers_in_group

Edge = tuple[Hashable, Hashable]
MOST_SOURCES = 512
"""Above this many groups of a graph that is no tree only as many, evenly spread, are traced and scaled up."""


def uniform_load(graph: nx.Graph, injection: float) -> dict[Edge, float]:
    """Return the load of each edge under uniform traffic, as a share of its bandwidth (1: full).

    Every GPU sends `injection` [B/s] in equal parts to all GPUs, itself included, over the cables of all shortest
    paths (see `flows_to`).

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
    flows: dict[Edge, float] = defaultdict(float)
    ends = end_nodes(graph)
    for target in traced:
        sent = injection * gpus[target] / total * scale
        for edge, share in flows_to(graph, target, gpus, ends).items():
            flows[edge] += sent * share
    busier = busier_direction(flows, graph.edges, sample=len(traced) < len(every))
    loads = {edge: flow / graph.edges[edge]["bandwidth"] for edge, flow in busier.items()}
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
    p, a = spec.endpoints_per_router, routers_in_group(spec, gpus)
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
    """Return how many GPUs' traffic each edge carries in its busier direction when those of a job send evenly.

    Paths as in `flows_to`; of more than `MOST_SOURCES` hosts as many are traced, for the mean of both directions.

    Parameters
    ----------
    graph : networkx.Graph
        Hosts and switches.
    ranks : mapping
        GPUs of the job at each host.
    elsewhere : mapping
        GPUs of the job among which a GPU at that host spreads its traffic.
    """
    every = [host for host, count in ranks.items() if count > 0 and elsewhere[host] > 0]
    traced = every[:: max(1, -(-len(every) // MOST_SOURCES))]
    scale = sum(ranks[host] for host in every) / max(sum(ranks[host] for host in traced), 1e-300)
    senders: dict[Hashable, float] = {host: ranks[host] / elsewhere[host] for host in every}
    flows: dict[Edge, float] = defaultdict(float)
    ends = end_nodes(graph)
    for host in traced:
        for edge, share in flows_to(graph, host, senders, ends).items():
            flows[edge] += scale * ranks[host] * share
    return busier_direction(flows, graph.edges, sample=len(traced) < len(every))


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


def end_nodes(graph: nx.Graph) -> frozenset[Hashable]:
    """Return the nodes that forward nothing: the hosts of a network that has switches.

    Where hosts are joined to each other alone they are its switches, as the GPUs of one server or of a torus.
    """
    hosts = frozenset(node for node, host in graph.nodes(data="host") if host)
    return hosts if len(hosts) < len(graph) else frozenset()


def ways_to(
    graph: nx.Graph, target: Hashable, ends: Set[Hashable] = frozenset()
) -> tuple[dict[Hashable, int], dict[Hashable, list[Hashable]]]:
    """Return the cables from each node to a target, the nearest first, and its neighbours on the shortest ways.

    No way leads through one of `ends`.
    """
    distance, closer = {target: 0}, {target: list[Hashable]()}
    queue = deque([target])
    while queue:
        node = queue.popleft()
        if node in ends and node != target:
            continue
        for other in graph[node]:
            if other not in distance:
                distance[other], closer[other] = distance[node] + 1, []
                queue.append(other)
            if distance[other] == distance[node] + 1:
                closer[other].append(node)
    return distance, closer


def flows_to(
    graph: nx.Graph,
    target: Hashable,
    senders: Mapping[Hashable, float],
    ends: Set[Hashable] = frozenset(),
) -> dict[Edge, float]:
    """Return what each edge carries towards a target, by direction, when `senders` send to it.

    At each switch traffic goes on over all cables of shortest paths to the target in equal parts: ECMP and adaptive
    routing choose among ports, so that twelve cables to one neighbour take three times what four to another do.
    None goes through another of `ends`, the nodes that do not forward (see `end_nodes`).
    """
    distance, closer = ways_to(graph, target, ends)
    passing = {node: float(senders.get(node, 0.0)) for node in distance}
    found: dict[Edge, float] = {}
    for node in reversed(distance):
        if node == target or not passing[node]:
            continue
        cables = [graph[node][other].get("links", 1) for other in closer[node]]
        each = passing[node] / sum(cables)
        for other, count in zip(closer[node], cables, strict=True):
            found[node, other] = each * count
            passing[other] += each * count
    return found


def busier_direction(
    flows: Mapping[Edge, float], edges: Iterable[Edge], *, sample: bool = False
) -> dict[Edge, float]:
    """Return what each edge carries in its busier direction; the mean of both where few targets stand for all."""
    pairs = {(one, two): (flows.get((one, two), 0.0), flows.get((two, one), 0.0)) for one, two in edges}
    return {edge: 0.5 * sum(both) if sample else max(both) for edge, both in pairs.items()}
