"""Networks given cable by cable: checked, measured by shortest paths and cuts, turned into levels."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence, Set

import networkx as nx

from colossus_sim.specs.topology import Custom
from colossus_sim.topology.bisection import half_cut
from colossus_sim.topology.cables import CableError, file_format, merge_alike, read_cables
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric, Level
from colossus_sim.topology.load import Edge, busier_direction, end_nodes, flows_to, ways_to

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
    elif apart := cut_off(graph, hosts):
        more = f" and {len(apart) - 1} more" if apart[1:] else ""
        problems.append(
            f"{spec.file}: {apart[0]!r}{more} of {len(hosts)} hosts reach the others only through a host, and "
            f"hosts do not forward; if that is a switch, neither its kind nor hosts: {spec.hosts!r} may say host"
        )
    return problems


def cut_off(graph: nx.Graph, hosts: Sequence[str]) -> list[str]:
    """Return the hosts to leave out so that all others reach each other without a third host between them.

    Those stay that the largest number of hosts has switches in common with, and who reaches all of them.
    """
    ends = end_nodes(graph)
    parts = list(nx.connected_components(graph.subgraph(set(graph) - ends)))
    number = {node: index for index, part in enumerate(parts) for node in part}
    touched = {
        host: frozenset(number[node] for node in (host, *graph[host]) if node in number) for host in hosts
    }
    counts = Counter(part for found in touched.values() for part in found)
    largest = max(counts, key=lambda part: counts[part], default=-1)
    kept = {host for host in hosts if largest in touched[host]}
    kinds = {touched[host] for host in kept}
    for host in hosts:
        if host in kept:
            continue
        strange = {kind for kind in kinds if not kind & touched[host]}
        if all(graph.has_edge(host, other) for other in kept if touched[other] in strange):
            kept.add(host)
            kinds.add(touched[host])
    return [host for host in hosts if host not in kept]


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


def uniform_rate(graph: nx.Graph, hosts: Sequence[str], leaves: Sequence[Sequence[str]] = ()) -> float:
    """Return what each host can send when all send evenly to hosts of other leaves over all shortest paths. [B/s]

    At each switch traffic spreads over the cables, see `topology.load.flows_to`; the fullest cable sets the rate.

    Parameters
    ----------
    leaves : sequence
        The hosts of each leaf, equally many; empty = all others are destinations.
    """
    near = len(leaves[0]) if leaves else 1
    if len(hosts) <= near:
        return math.inf
    leaf: dict[Hashable, int] = {host: number for number, members in enumerate(leaves) for host in members}
    merged, group_of = merge_alike(graph, hosts, leaf)
    counts: dict[Hashable, float] = {group: float(many) for group, many in Counter(group_of.values()).items()}
    ends = frozenset(counts) if len(hosts) < len(graph) else frozenset()
    flows: dict[Edge, float] = defaultdict(float)
    for group, count in counts.items():
        senders = {one: many for one, many in counts.items() if not leaf or leaf[one] != leaf[group]}
        for edge, flow in flows_to(merged, group, senders, ends).items():
            flows[edge] += count * flow
        if not leaf:
            _add_inside(flows, merged, group, count, ends)
    rates = [
        float(merged.edges[edge]["bandwidth"]) * (len(hosts) - near) / flow
        for edge, flow in busier_direction(flows, merged.edges).items()
        if flow > 0
    ]
    return min(rates, default=math.inf)


def _add_inside(
    flows: dict[Edge, float], merged: nx.Graph, group: Hashable, count: float, ends: Set[Hashable]
) -> None:
    """Add what hosts of equal cabling send to each other, over the switches that they share."""
    cables = {other: fields["links"] for other, fields in merged[group].items() if other not in ends}
    for other, links in cables.items():
        inside = count * (count - 1) * links / sum(cables.values())
        flows[group, other] += inside
        flows[other, group] += inside


def host_diameter(graph: nx.Graph, hosts: Sequence[str]) -> int:
    """Return the most switches between two hosts; hosts with the same neighbours count once."""
    examples = {tuple(sorted(map(str, graph[host]))): host for host in hosts}
    ends = frozenset(hosts) if len(hosts) < len(graph) else frozenset()
    longest = 0
    for host in examples.values():
        far, _ = ways_to(graph, host, ends)
        longest = max(longest, max(far[other] for other in hosts))
    return max(longest - 1, 0)


def leaf_groups(graph: nx.Graph, hosts: Sequence[str]) -> list[list[str]]:
    """Return the hosts that hang on the same switches, group by group."""
    return [
        list(members)
        for _, members in itertools.groupby(hosts, key=lambda host: sorted(map(str, graph[host])))
    ]


def alike_leaves(graph: nx.Graph, hosts: Sequence[str]) -> list[list[str]]:
    """Return the hosts of each leaf where all leaves are alike; else none."""
    groups = leaf_groups(graph, hosts)
    return groups if len({len(group) for group in groups}) == 1 and len(groups) > 1 else []


def build_custom(spec: Custom, ends: Endpoints) -> Fabric:
    """Return the fabric: the scale-up domain, the hosts of one leaf where all leaves are alike, and the whole."""
    graph = read_cables(spec)
    hosts = hosts_of(graph)
    per_host = gpus_per_host(graph, hosts, ends.gpus)
    efficiency = ends.topology.link_efficiency
    injection = min(sum(edge["bandwidth"] for edge in graph[host].values()) for host in hosts) / per_host
    diameter = host_diameter(graph, hosts)
    levels = [ends.domain_level()]
    leaves = alike_leaves(graph, hosts)
    leaf = len(leaves[0]) * per_host if leaves else 0
    if leaf > ends.domain and leaf % ends.domain == 0:
        levels.append(
            Level(name="leaf", group_gpus=leaf, bandwidth=injection * efficiency, latency=ends.latency(1))
        )
    apart = leaves if levels[-1].name == "leaf" else ()
    uniform = min(uniform_rate(graph, hosts, apart) / per_host, injection)
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
    cut, exact = half_cut(graph, hosts)
    return Fabric(
        name=ends.topology.name or ends.topology.title,
        kind="custom",
        levels=tuple(levels),
        injection_bandwidth=injection * efficiency,
        gpus=ends.gpus,
        gpus_per_domain=ends.domain,
        switches={"all": sum(not host for _, host in graph.nodes(data="host"))},
        links=_cable_counts(graph),
        bisection_bandwidth=cut,
        bisection_exact=exact,
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
