"""Networks given cable by cable: checked, measured by shortest paths and cuts, turned into levels."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import networkx as nx

from colossus_sim.specs.topology import Custom
from colossus_sim.topology.cables import CableError, add_cable, file_format, read_cables
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric, Level
from colossus_sim.topology.load import Edge, busier_direction, flows_to

MAX_NODES = 20_000
"""Nodes beyond which path and cut computations take too long; larger networks are described by parameters."""


def custom_problems(spec: Custom, ends: Endpoints) -> list[str]:
    """Return in words what cannot be built."""
    try:
        graph = read_cables(spec)
    except CableError as error:
        return [f"{spec.file}: {error}"]
    hosts = hosts_of(graph)
    if not hosts:
        return [
            f"{spec.file}: no host among {len(graph)} nodes; hosts have kind host, or a name like {spec.hosts!r}"
        ]
    if len(graph) > MAX_NODES:
        return [f"{spec.file}: {len(graph)} nodes are too many to measure; the limit is {MAX_NODES}"]
    if len(hosts) == len(graph) and ends.domain >= ends.gpus and file_format(spec) != "nvidia-smi":
        return [
            f"{spec.file}: the hosts are joined without switches, and a scale-up domain of {ends.domain} has all "
            f"{ends.gpus} GPUs, so that no cable of the file would count; write such a network as fabric: "
            "{kind: torus, dims: [...], link_bandwidth: ...}"
        ]
    problems = _sizes(spec, graph, hosts, ends)
    if not nx.is_connected(graph):
        parts = sorted(nx.connected_components(graph), key=len, reverse=True)
        lonely = sorted(parts[1])[0]
        problems.append(
            f"{spec.file}: the network falls into {len(parts)} parts, so it cannot reach all GPUs; "
            f"{lonely!r} is cut off from the largest"
        )
    return problems


def _sizes(spec: Custom, graph: nx.Graph, hosts: Sequence[str], ends: Endpoints) -> list[str]:
    given = {graph.nodes[host]["gpus"] for host in hosts}
    if len(given) > 1:
        return [f"{spec.file}: hosts have different numbers of GPUs ({', '.join(map(str, sorted(given)))})"]
    per_host = given.pop()
    if per_host == 0 and ends.gpus % len(hosts):
        return [f"{spec.file}: {ends.gpus} GPUs do not divide over {len(hosts)} hosts"]
    if per_host and per_host * len(hosts) < ends.gpus:
        total = per_host * len(hosts)
        return [
            f"{spec.file}: {len(hosts)} hosts x {per_host} GPUs = {total}; it cannot reach all {ends.gpus}"
        ]
    each = per_host or ends.gpus // len(hosts)
    if max(each, ends.domain) % min(each, ends.domain):
        return [f"{spec.file}: {each} GPUs of a host and a scale-up domain of {ends.domain} do not divide"]
    return []


def hosts_of(graph: nx.Graph) -> list[str]:
    """Return the hosts, in an order that keeps neighbours together: by the switches that they hang on."""
    hosts = [node for node, host in graph.nodes(data="host") if host]
    return sorted(hosts, key=lambda host: (sorted(map(str, graph[host])), host))


def gpus_per_host(graph: nx.Graph, hosts: Sequence[str], gpus: int) -> int:
    """Return the GPUs of one host: as the file says, or else an equal share of all."""
    return int(graph.nodes[hosts[0]]["gpus"]) or gpus // len(hosts)


def uniform_rate(graph: nx.Graph, hosts: Sequence[str], near: int = 1) -> float:
    """Return what each host can send when all send evenly to hosts of other leaves over all shortest paths. [B/s]

    At each switch traffic spreads over the cables, see `topology.load.flows_to`; the fullest cable sets the rate.

    Parameters
    ----------
    near : int
        Hosts on each leaf, itself included; 1 = all others are destinations.
    """
    if len(hosts) <= near:
        return math.inf
    merged, counts = _alike_merged(graph, hosts)
    flows: dict[Edge, float] = defaultdict(float)
    for group, count in counts.items():
        for edge, flow in flows_to(merged, group, counts).items():
            flows[edge] += count * flow
        cables = sum(fields["links"] for fields in merged[group].values())
        for other, fields in merged[group].items():
            inside = count * (count - 1) * fields["links"] / cables
            flows[group, other] += inside
            flows[other, group] += inside
    # Pairs on one leaf load only the cables of hosts.
    ends = set(counts) if near > 1 else set()
    rates = [
        float(merged.edges[edge]["bandwidth"]) * (len(hosts) - near) / flow
        for edge, flow in busier_direction(flows, merged.edges).items()
        if flow > 0 and ends.isdisjoint(edge)
    ]
    return min(rates, default=math.inf)


def _alike_merged(graph: nx.Graph, hosts: Sequence[str]) -> tuple[nx.Graph, dict[Hashable, float]]:
    """Return the network with hosts of equal cabling joined into one, and how many each stands for."""
    first: dict[object, str] = {}
    name = {}
    for host in hosts:
        cabling = sorted((str(other), one["bandwidth"], one["links"]) for other, one in graph[host].items())
        name[host] = first.setdefault(tuple(cabling), host)
    merged = nx.Graph()
    merged.add_nodes_from(name.get(node, node) for node in graph)
    for one, two, fields in graph.edges(data=True):
        add_cable(merged, name.get(one, one), name.get(two, two), fields["bandwidth"], fields["links"])
    return merged, {host: float(count) for host, count in Counter(name.values()).items()}


def half_cut(graph: nx.Graph, hosts: Sequence[str]) -> float:
    """Return the least bandwidth between two halves of the hosts, over the splits tried. [B/s]

    Each split is measured exactly, as a maximum flow; finding the worst split of all is NP-hard, so this is an
    upper bound of the bisection bandwidth. Tried: blocks of hosts in their order, in order of distance, every
    second block, and those together that few tiers of switches join.
    """
    if len(hosts) < 2:
        return 0.0
    half = len(hosts) // 2
    distance = nx.single_source_shortest_path_length(graph, hosts[0])
    near = sorted(hosts, key=lambda host: (distance.get(host, 0), hosts.index(host)))
    quarter = max(1, half // 2)
    ends = [*hosts[:quarter], *hosts[-(half - quarter) :]] if half > quarter else near
    # Of an odd number the halves differ by one host, and either may be the larger.
    orders = [
        list(hosts),
        near,
        ends,
        _nested(graph, hosts),
        *([list(reversed(hosts))] if len(hosts) % 2 else []),
    ]
    return min(_flow(graph, set(order[:half]), hosts) for order in orders)


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


def _flow(graph: nx.Graph, first: set[str], hosts: Sequence[str]) -> float:
    net = nx.DiGraph()
    for one, two, bandwidth in graph.edges(data="bandwidth"):
        net.add_edge(one, two, capacity=bandwidth)
        net.add_edge(two, one, capacity=bandwidth)
    for host in hosts:
        # Edges without a capacity are not limited.
        net.add_edge("(source)", host) if host in first else net.add_edge(host, "(sink)")
    value: float = nx.maximum_flow_value(net, "(source)", "(sink)")
    return value


def host_diameter(graph: nx.Graph, hosts: Sequence[str]) -> int:
    """Return the most switches between two hosts; hosts with the same neighbours count once."""
    examples = {tuple(sorted(map(str, graph[host]))): host for host in hosts}
    longest = 0
    for host in examples.values():
        far = nx.single_source_shortest_path_length(graph, host)
        longest = max(longest, max(far[other] for other in hosts))
    return max(longest - 1, 0)


def leaf_groups(graph: nx.Graph, hosts: Sequence[str]) -> list[list[str]]:
    """Return the hosts that hang on the same switches, group by group."""
    return [
        list(members)
        for _, members in itertools.groupby(hosts, key=lambda host: sorted(map(str, graph[host])))
    ]


def build_custom(spec: Custom, ends: Endpoints) -> Fabric:
    """Return the fabric: the scale-up domain, the hosts of one leaf where all leaves are alike, and the whole."""
    graph = read_cables(spec)
    hosts = hosts_of(graph)
    per_host = gpus_per_host(graph, hosts, ends.gpus)
    efficiency = ends.topology.link_efficiency
    injection = min(sum(edge["bandwidth"] for edge in graph[host].values()) for host in hosts) / per_host
    diameter = host_diameter(graph, hosts)
    levels = [ends.domain_level()]
    groups = leaf_groups(graph, hosts)
    leaf = len(groups[0]) * per_host
    alike = len({len(group) for group in groups}) == 1 and len(groups) > 1
    if alike and leaf > ends.domain and leaf % ends.domain == 0:
        levels.append(
            Level(name="leaf", group_gpus=leaf, bandwidth=injection * efficiency, latency=ends.latency(1))
        )
    near = len(groups[0]) if levels[-1].name == "leaf" else 1
    uniform = min(uniform_rate(graph, hosts, near) / per_host, injection)
    whole = -(-per_host * len(hosts) // levels[-1].group_gpus) * levels[-1].group_gpus
    if whole > levels[-1].group_gpus:
        levels.append(
            Level(
                name="network",
                group_gpus=whole,
                bandwidth=uniform * efficiency,
                latency=ends.latency(max(diameter, 1)),
            )
        )
    return Fabric(
        name=ends.topology.name or ends.topology.title,
        kind="custom",
        levels=tuple(levels),
        injection_bandwidth=injection * efficiency,
        gpus=ends.gpus,
        gpus_per_domain=ends.domain,
        switches={"all": sum(not host for _, host in graph.nodes(data="host"))},
        links=_cable_counts(graph),
        bisection_bandwidth=half_cut(graph, hosts),
        diameter=diameter,
        collectives=ends.topology.collectives,
    )


def _cable_counts(graph: nx.Graph) -> dict[str, int]:
    counts = {"host": 0, "switch-to-switch": 0}
    for one, two, links in graph.edges(data="links"):
        counts["host" if graph.nodes[one]["host"] or graph.nodes[two]["host"] else "switch-to-switch"] += (
            links
        )
    return counts
