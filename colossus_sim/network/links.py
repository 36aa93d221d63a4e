"""The cables of a network as links with a load: which of them a job's traffic takes.

A link is what a picture draws as one line: all uplinks of a leaf group or a pod, all cables between two groups of a
dragonfly, all cables of one node of a torus, the cables between two nodes of a custom network. The NICs of one
scale-up domain are one link as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from colossus_sim.network.boundary import flattened
from colossus_sim.network.sharing import DomainRuns, occupancy
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Clos, Custom, Dragonfly, Topology, Torus
from colossus_sim.topology.cables import read_cables
from colossus_sim.topology.clos import networks, tier_plans
from colossus_sim.topology.custom import gpus_per_host, hosts_of, leaf_groups
from colossus_sim.topology.dragonfly import dragonfly_sizes
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.load import Edge, spread_traffic
from colossus_sim.topology.torus import gpus_per_node

FloatArray = npt.NDArray[np.float64]
Pattern = Callable[[DomainRuns, int], FloatArray]
"""Ranks of a job at these places, so many -> GPUs that send over each link of a tier."""


class _Tier:
    """Links of one kind, and from which fabric level on traffic takes them."""

    def __init__(
        self,
        name: str,
        level: int,
        capacity: FloatArray,
        pattern: Pattern,
        edges: Sequence[Edge] = (),
        *,
        of_groups: bool = False,
    ) -> None:
        self.name, self.level, self.capacity, self.pattern = name, level, capacity, pattern
        self.edges = tuple(edges)
        self.of_groups = of_groups
        """Whether its links are those out of each group of GPUs."""

    def used(self, placement: DomainRuns, gpus: int, flatness: Sequence[float]) -> FloatArray:
        """Return how many GPUs of a job send over each link, see `JobDemand.flatness`."""
        ranks = self.pattern(placement, gpus)
        if not self.of_groups or not 1 < self.level < len(flatness):
            return ranks
        sent = flattened(ranks, flatness[self.level])
        found: FloatArray = sent * (ranks.sum() / sent.sum())
        return found


class Links:
    """All links of one partition's network.

    Attributes
    ----------
    tiers : tuple of str
        Kinds of links, from the GPU outwards.
    tier_of : array of int, links
        Kind of each link.
    capacity : array of float, links
        Wire rate of one direction. [B/s]
    edges : list of pairs or None, links
        Edge of the quotient graph that shows the link; None = none does.
    slots : list of slice
        Links of each tier.
    """

    def __init__(self, tiers: Sequence[_Tier], levels: int) -> None:
        self._tiers, self._levels = tuple(tiers), levels
        self.tiers = tuple(tier.name for tier in tiers)
        counts = [len(tier.capacity) for tier in tiers]
        self.tier_of = np.repeat(np.arange(len(tiers)), counts)
        self.capacity: FloatArray = np.concatenate([tier.capacity for tier in tiers])
        self.edges: list[Edge | None] = [
            edge
            for tier, count in zip(tiers, counts, strict=True)
            for edge in (tier.edges or (None,) * count)
        ]
        ends = np.cumsum(counts).tolist()
        self.slots = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self._known: dict[tuple[DomainRuns, int, tuple[float, ...]], FloatArray] = {}

    def pattern(self, placement: DomainRuns, gpus: int, flatness: tuple[float, ...] = ()) -> FloatArray:
        """Return how many GPUs of a job send over each link: a row per fabric level, the last one for storage."""
        key = placement, gpus, flatness
        if key not in self._known:
            rows = np.zeros((self._levels + 1, len(self.capacity)))
            for tier, slots in zip(self._tiers, self.slots, strict=True):
                rows[tier.level : self._levels, slots] = tier.used(placement, gpus, flatness)
                if tier.level > 1:
                    rows[self._levels, slots] = tier.pattern(placement, gpus)  # storage hangs above the leaf
            self._known[key] = rows
        return self._known[key]


def links_of(topology: Topology, gpu: Gpu, fabric: Fabric) -> Links:
    """Return the links of a fabric; loads are shares of their wire rates.

    Parameters
    ----------
    topology, gpu : Topology, Gpu
        What the fabric was built from.
    fabric : Fabric
        The network of one partition.
    """
    ends = Endpoints.of(topology, gpu, fabric.gpus)
    spec = topology.fabric
    if isinstance(spec, Clos):
        tiers = list(_clos(spec, ends, fabric))
    elif isinstance(spec, Dragonfly):
        tiers = list(_dragonfly(spec, ends, fabric))
    elif isinstance(spec, Torus):
        tiers = [_torus(spec, ends, fabric)]
    else:
        tiers = list(_custom(spec, ends, fabric))
    return Links(tiers, len(fabric.levels))


def _level_above(fabric: Fabric, group_gpus: int) -> int:
    """Return the lowest level whose peers may sit in different groups of so many GPUs."""
    sizes = [level.group_gpus for level in fabric.levels]
    return next((index for index, size in enumerate(sizes) if size > group_gpus), len(sizes))


def _groups(fabric: Fabric, name: str, group_gpus: int, per_gpu: float, edges: Sequence[Edge] = ()) -> _Tier:
    """Return the links out of each group of neighbouring GPUs."""
    count = -(-fabric.gpus // group_gpus)

    def pattern(placement: DomainRuns, gpus: int) -> FloatArray:
        return occupancy(placement, gpus, group_gpus, count)

    capacity = np.full(count, per_gpu * group_gpus)
    return _Tier(name, _level_above(fabric, group_gpus), capacity, pattern, edges, of_groups=True)


def _clos(spec: Clos, ends: Endpoints, fabric: Fabric) -> Iterator[_Tier]:
    yield _groups(fabric, "host", ends.domain, ends.nic)
    plans = tier_plans(spec, ends)
    for lower, upper in pairwise(plans):
        wires = networks(spec) * lower.ports_up * ends.nic
        edges: list[Edge] = [
            ((lower.name, index), (upper.name, index * lower.group_gpus // upper.group_gpus))
            for index in range(lower.groups)
        ]
        yield _groups(fabric, f"{lower.name}-{upper.name}", lower.group_gpus, wires / lower.group_gpus, edges)


def _dragonfly(spec: Dragonfly, ends: Endpoints, fabric: Fabric) -> Iterator[_Tier]:
    """Give the NICs, and the cables between each two groups, which minimal routing takes straight."""
    yield _groups(fabric, "host", ends.domain, ends.nic)
    per_group, groups, _ = dragonfly_sizes(spec, ends)
    if groups < 2:
        return
    pairs = list(combinations(range(groups), 2))
    first, second = np.array(pairs).T
    links = spec.routers_per_group * spec.global_links_per_router / (groups - 1)

    def pattern(placement: DomainRuns, gpus: int) -> FloatArray:
        """Spread what leaves a group over the job's GPUs elsewhere; mean of both directions."""
        ranks = occupancy(placement, gpus, per_group, groups)
        others = np.maximum(ranks.sum() - ranks, 1e-300)
        out = ranks / others
        found: FloatArray = 0.5 * (out[first] * ranks[second] + out[second] * ranks[first])
        return found

    capacity = np.full(len(pairs), links * spec.global_link_bandwidth)
    edges: list[Edge] = [(("group", one), ("group", other)) for one, other in pairs]
    yield _Tier("global", _level_above(fabric, per_group), capacity, pattern, edges)


def _torus(spec: Torus, ends: Endpoints, fabric: Fabric) -> _Tier:
    """Return the cables of each node: rings along the axes use all of them alike."""
    per_node = gpus_per_node(spec, ends)
    degree = sum(2 if size > 2 else 1 if size == 2 else 0 for size in spec.dims)
    return _groups(fabric, "torus", per_node, degree * spec.link_bandwidth / per_node)


def _custom(spec: Custom, ends: Endpoints, fabric: Fabric) -> Iterator[_Tier]:
    """Give the NICs, and every cable between switches under shortest-path routing."""
    graph = read_cables(spec)
    hosts = hosts_of(graph)
    per_host = gpus_per_host(graph, hosts, ends.gpus)
    wires = [sum(edge["bandwidth"] for edge in graph[host].values()) / per_host for host in hosts]
    yield _groups(fabric, "host", per_host, min(wires))
    is_host = set(hosts)
    edges: list[Edge] = [edge for edge in graph.edges if not is_host & set(edge)]
    if not edges:
        return
    # Traffic of the highest level goes to other leaves where the network has leaves, else to other hosts.
    groups = leaf_groups(graph, hosts) if len(fabric.levels) > 2 else [[host] for host in hosts]

    def pattern(placement: DomainRuns, gpus: int) -> FloatArray:
        ranks = dict(zip(hosts, occupancy(placement, gpus, per_host, len(hosts)).tolist(), strict=True))
        total = sum(ranks.values())
        near = {host: sum(ranks[other] for other in group) for group in groups for host in group}
        found = spread_traffic(graph, ranks, {host: total - near[host] for host in hosts})
        return np.array([found[edge] for edge in edges])

    capacity = np.array([graph.edges[edge]["bandwidth"] for edge in edges])
    yield _Tier("switch-to-switch", len(fabric.levels) - 1, capacity, pattern, edges)
