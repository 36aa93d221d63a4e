"""Time of a collective of one communication group, given where the group lies on the fabric."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from colossus_sim.formulas import collectives as formulas
from colossus_sim.parallelism.groups import Filling, GroupSpan
from colossus_sim.specs.topology import CollectiveConstants, FabricReduction, InNetworkReduction, Protocol
from colossus_sim.topology.fabric import Fabric, Level


class CollectiveTime(NamedTuple):
    """What one call costs."""

    time: float
    """Time of one call. [s]"""
    algorithm: str
    """ring, tree, hierarchical, nvls, nvls_tree, sharp, logarithmic, direct, send_recv; after a slash the protocol,
    if any."""
    busbw: float
    """Bus bandwidth as nccl-tests defines it; 0 for a group of one. [B/s]"""
    bytes_per_level: tuple[float, ...]
    """Bytes that one rank (mean) sends to peers at each fabric level. [B]"""


def group_collective_time(
    operation: str,
    message_bytes: float,
    span: GroupSpan,
    fabric: Fabric,
    bandwidths: Sequence[float] | None = None,
) -> CollectiveTime:
    """Return the time of the fastest algorithm for one collective of the worst group of an axis.

    All groups of the axis communicate at the same time. A group of one costs nothing.

    Parameters
    ----------
    operation : str
        all_reduce, reduce_scatter, all_gather, all_to_all, send_recv.
    message_bytes : float
        nccl-tests' "size": the whole buffer of one rank (the gathered one for all_gather, the unreduced one
        for reduce_scatter, all that a rank sends, to itself included, for all_to_all; the message itself for
        send_recv, which goes from each rank to the next one of its group). [B]
    span : GroupSpan
        Where the group lies.
    fabric : Fabric
        Levels with latency and bandwidth.
    bandwidths : sequence of float, optional
        Per-GPU bandwidth of each level to use in place of ``fabric.bandwidths`` (contention). [B/s]

    Raises
    ------
    ValueError
        If the operation is unknown or a number makes no sense.
    """
    return Route(span, fabric, bandwidths).time(operation, message_bytes)


class _Lane(NamedTuple):
    """One protocol on a route, or the ideal library (no protocol)."""

    protocol: Protocol | None
    suffix: str
    """Of the names of its algorithms."""
    base: float
    """Launch and synchronisation of one call. [s]"""
    alphas: Sequence[float]
    """Latency of one step of a ring at each level. [s]"""
    latency: float
    """Latency of once around the ring. [s]"""
    rates: Sequence[float]
    """What one rank of a ring gets of each level. [B/s]"""
    payload: float
    """Share of the bandwidth that carries payload."""
    overhead: float
    """Of filling the pipeline of chunks, see `Protocol.pipeline_overhead`. [s]"""
    limit: float
    """Most bus bandwidth; may be infinite. [B/s]"""

    def chunked(self, streaming: float, steps: int) -> float:
        """Time of a transfer that is cut into chunks so that its steps overlap; it takes `steps` of them."""
        return formulas.chunked_time(streaming, self.overhead / max(1, steps))

    def stream(self, volumes: Sequence[float], rates: Sequence[float], steps: int, sent: float) -> float:
        """Time of a transfer that crosses all levels at once; the protocol's own ceiling may hold it back."""
        streaming = self.chunked(formulas.pipelined_time(volumes, rates), steps)
        return max(streaming, sent / self.limit)


class _Tree(NamedTuple):
    """Trees of one protocol on a route: latency, rates of the levels, steps from leaf to root."""

    latency: float
    rates: Sequence[float]
    steps: int


class Route:
    """Where one communication group lies, cut off at the highest level it crosses; prices its collectives.

    Parameters
    ----------
    span, fabric, bandwidths
        As for `group_collective_time`.

    Raises
    ------
    ValueError
        If there is not one bandwidth above 0 per level.
    """

    def __init__(self, span: GroupSpan, fabric: Fabric, bandwidths: Sequence[float] | None = None) -> None:
        given = fabric.bandwidths if bandwidths is None else tuple(bandwidths)
        if len(given) != len(fabric.levels) or not all(rate > 0 for rate in given):
            raise ValueError(
                f"need {len(fabric.levels)} bandwidths above 0, one per level of {fabric.name!r}; got {given}"
            )
        self.span = span
        self._constants = constants = fabric.collectives
        levels = fabric.levels[: span.level + 1]
        self._levels = len(levels)
        self._latencies = [level.latency for level in levels]
        self._uniform = given[: span.level + 1]
        self._ring = list(map(_ring_rate, levels, self._uniform))
        inside = 1.0 if span.groups[0] < span.size else 0.0
        self._filling = (
            Filling(1.0, (span.size - 1) / span.size, 1.0 / span.size, float(span.size)),
            *span.filling,
        )
        # Per level the share of a stream over the whole group that each rank carries across the boundary below
        # that level; 0 inside domains where no rank has a peer.
        self._crossings = [inside, *[1.0 / below.carriers for below in self._filling[1 : len(levels)]]]
        self._groups = (span.size, *span.groups)
        # Edges of one ring over the group at each level (the closing edge left out).
        self._hops = list(map(operator.sub, self._groups, self._groups[1 : len(levels) + 1]))
        protocols = (None,) if constants is None else constants.protocols
        self._lanes = tuple(map(self._lane, protocols))

    def time(self, operation: str, message_bytes: float) -> CollectiveTime:
        """Return the time of the fastest algorithm for one collective; see `group_collective_time`.

        Raises
        ------
        ValueError
            If the operation is unknown or the size makes no sense.
        """
        factor = formulas.bus_factor(operation, self.span.size)
        if not (message_bytes >= 0 and math.isfinite(message_bytes)):
            raise ValueError(f"message size must be finite and not negative, got {message_bytes} B")
        if self.span.size == 1:
            return CollectiveTime(0.0, "none", 0.0, (0.0,) * len(self.span.groups))
        time, algorithm = min(self.candidates(operation, message_bytes), key=operator.itemgetter(0))
        busbw = factor * formulas.algorithm_bandwidth(message_bytes, time)
        sent = self._bytes_per_level(operation, factor * message_bytes)
        return CollectiveTime(time, algorithm, busbw, sent)

    def candidates(self, operation: str, size: float) -> list[tuple[float, str]]:
        """Return time and name of every algorithm and protocol that can do it. [s]"""
        if operation == "send_recv":
            lanes = self._direct_lanes(size)
            return [(self._send_recv(lane, size), "send_recv" + lane.suffix) for lane in lanes]
        if operation == "all_to_all":
            lanes = self._direct_lanes(size / self.span.size)
            return [(self._all_to_all(lane, size), "direct" + lane.suffix) for lane in lanes]
        passes = 2 if operation == "all_reduce" else 1
        sent = formulas.bus_factor(operation, self.span.size) * size
        rings = self._rings(operation, passes, sent)
        trees = self._taken_trees(size, sent, rings) if operation == "all_reduce" else [math.inf] * len(rings)
        found = []
        for lane, ring, tree in zip(self._lanes, rings, trees, strict=True):
            found.append((ring, "ring" + lane.suffix))
            if tree < ring:
                found.append((tree, "tree" + lane.suffix))
            if self._constants is None or self._constants.hierarchical:
                found.append((self._hierarchical(lane, size, passes), "hierarchical" + lane.suffix))
        if self._constants is not None:
            found.extend(self._special(self._constants, operation, size, sent))
        return found

    def _lane(self, protocol: Protocol | None) -> _Lane:
        alphas = self._alphas(protocol)
        latency = formulas.weighted_latency(self._hops, alphas)
        if protocol is None:
            return _Lane(None, "", 0.0, alphas, latency, self._ring, 1.0, 0.0, math.inf)
        payload, overhead = protocol.bandwidth_fraction, protocol.pipeline_overhead
        limit = protocol.busbw_limit_scale_up
        if self._levels > 1:
            overhead += protocol.pipeline_overhead_scale_out
            limit = protocol.busbw_limit_scale_out
        rates = [rate * payload for rate in self._ring]
        return _Lane(
            protocol,
            f"/{protocol.name}",
            protocol.base_latency,
            alphas,
            latency,
            rates,
            payload,
            overhead,
            limit or math.inf,
        )

    def _direct_lanes(self, message: float) -> list[_Lane]:
        """Return the protocols that may carry a message of this size to one peer; the last one always may."""
        *small, large = self._lanes
        limits = [lane.protocol.point_to_point_limit if lane.protocol else None for lane in small]
        allowed = [lane for lane, most in zip(small, limits, strict=True) if most is None or message <= most]
        return [*allowed, large]

    def _alphas(self, protocol: Protocol | None, *, tree: bool = False) -> list[float]:
        """Latency of one step at each level."""
        if protocol is None:
            return self._latencies
        inside = protocol.tree_hop_scale_up if tree else protocol.ring_hop_scale_up
        across = protocol.tree_hop_scale_out if tree else protocol.ring_hop_scale_out
        multiple = protocol.fabric_latency_multiple
        return [inside, *[across + multiple * latency for latency in self._latencies[1:]]]

    @cached_property
    def _fanouts(self) -> tuple[int, ...]:
        """Groups of the level below in one group of each level."""
        groups = self._groups[: self._levels + 1]
        return tuple(-(-below // count) for below, count in itertools.pairwise(groups))

    @cached_property
    def _trees(self) -> tuple[_Tree, ...]:
        """Trees of each protocol."""
        hops = (self._fanouts[0] - 1, *map(formulas.tree_depth, self._fanouts[1:]))
        return tuple([self._tree(lane.protocol, hops) for lane in self._lanes])

    def _tree(self, protocol: Protocol | None, hops: Sequence[int]) -> _Tree:
        latency = 2 * formulas.weighted_latency(hops, self._alphas(protocol, tree=True))
        payload = protocol.tree_bandwidth_fraction if protocol else 1.0
        return _Tree(latency, [rate * payload for rate in self._ring], sum(hops))

    def _own_copy(self, operation: str) -> float:
        """Bytes handled inside a domain over bytes received: a rank also copies or adds its own share."""
        if self._constants is None:
            return 1.0
        peers = self.span.size - 1
        if operation == "all_reduce":
            return 1.0 + self._constants.reduced_copy_weight / (2 * peers)
        if operation == "all_to_all":
            return 1.0 + self._constants.exchange_copy_weight / peers
        return 1.0 + self._constants.own_copy_weight / peers

    def _rings(self, operation: str, passes: int, sent: float) -> list[float]:
        """Times of rings with each protocol."""
        volumes = [sent * share for share in self._crossings]
        volumes[0] *= self._own_copy(operation)
        steps = passes * (self.span.size - 1)
        return [
            lane.base + passes * lane.latency + lane.stream(volumes, lane.rates, steps, sent)
            for lane in self._lanes
        ]

    def _taken_trees(self, size: float, sent: float, rings: Sequence[float]) -> list[float]:
        """Times of trees with each protocol, infinite where the library does not take one: see
        `CollectiveConstants.fastest_tree`."""
        trees = self._tree_times(size, sent)
        if self._constants is None or self._constants.fastest_tree or self.span.groups[0] != 2:
            return trees
        believed = self._tree_times(size, sent, least_volume=2.0)
        taken = map(operator.lt, believed, rings)
        return [tree if take else math.inf for tree, take in zip(trees, taken, strict=True)]

    def _tree_times(self, size: float, sent: float, least_volume: float = 0.0) -> list[float]:
        """Chains inside domains, double binary trees across, all levels pipelined (NCCL's shape)."""
        volumes = [
            max(least_volume, formulas.tree_volume(count)) * size * share
            for count, share in zip(self._groups[: self._levels], self._crossings, strict=True)
        ]
        volumes[0] *= self._own_copy("all_reduce")
        return [
            lane.base + tree.latency + lane.stream(volumes, tree.rates, tree.steps, sent)
            for lane, tree in zip(self._lanes, self._trees, strict=True)
        ]

    def _hierarchical(self, lane: _Lane, size: float, passes: int) -> float:
        """Level after level, nothing pipelined; in smaller groups each NIC sends more."""
        fewest = (1, *self.span.members)[: self._levels]
        carriers = [*[below.carriers for below in self._filling[: self._levels]], self.span.size]
        streaming = []
        for few, (below, above), rate in zip(fewest, itertools.pairwise(carriers), lane.rates, strict=True):
            time = (1 / below - few / below / above) * size / rate
            most = (1 / few - 1 / above) * size / lane.rates[1] if few < below else 0.0
            streaming.append(max(time, most))
        steps = [fan - 1 for fan in self._fanouts]
        latency = formulas.weighted_latency(steps, lane.alphas)
        return lane.base + passes * (latency + math.fsum(streaming))

    def _all_to_all(self, lane: _Lane, message: float) -> float:
        """All peers at once; each boundary carries what goes to peers beyond it."""
        size, fewest = self.span.size, (1, *self.span.members)[: self._levels]
        beyond = [below.leaving for below in self._filling[: self._levels]]
        # Level 0 has wires of its own: what leaves the domain does not use them.
        beyond[0] -= beyond[1] if self._levels > 1 else 0.0
        streaming = formulas.pipelined_time(
            [message * share for share in beyond], [rate * lane.payload for rate in self._uniform]
        )
        streaming = lane.chunked(streaming, size - 1)
        overhead, near = 0.0, 0.0
        if self._constants is not None:
            overhead, near = self._constants.send_overhead, self._constants.exchange_hop_scale_up
            if self._levels == 1:
                streaming *= self._own_copy("all_to_all") / self._constants.exchange_bandwidth_fraction
        remote = size - fewest[1] if self._levels > 1 else 0
        alpha = lane.alphas[-1] + near * ((fewest[1] if self._levels > 1 else size) - 1)
        sent = formulas.bus_factor("all_to_all", size) * message
        return lane.base + alpha + remote * overhead + max(streaming, sent / lane.limit)

    def _send_recv(self, lane: _Lane, size: float) -> float:
        """Each rank sends to the next of its group; the slowest hop counts."""
        shares = list(self._crossings)
        if self._levels > 1:
            # A rank's message has only its own NIC, even where few ranks of the domain send across.
            shares[1] = 1.0
        volumes = [size * share for share in shares]
        return lane.base + max(lane.alphas) + lane.stream(volumes, lane.rates, 1, size)

    def _special(
        self, constants: CollectiveConstants, operation: str, size: float, sent: float
    ) -> Iterator[tuple[float, str]]:
        """Algorithms with constants of their own."""
        inside, per_rank = constants.in_network, constants.logarithmic_per_rank
        if operation == "all_reduce":
            if inside and self._levels == 1 and self.span.size >= inside.min_group:
                streaming = sent / (inside.busbw_fraction * self._uniform[0])
                yield inside.latency + formulas.chunked_time(streaming, inside.pipeline_overhead), "nvls"
            if inside and self._levels > 1 and self.span.members[0] >= inside.min_group:
                yield self._reducing_tree(inside, size)
            if constants.fabric_reduction and self._levels > 1:
                yield self._reducing_fabric(constants.fabric_reduction, inside, size)
        elif per_rank is not None and self.span.members[0] == 1:
            yield self._logarithmic(constants, per_rank, sent)

    def _reducing_tree(self, inside: InNetworkReduction, size: float) -> tuple[float, str]:
        """Switches add up inside each domain, trees across them, all pipelined (NCCL's NVLSTree)."""
        lane, fewest = self._lanes[-1], self.span.members[0]
        factor = formulas.bus_factor("all_reduce", fewest)
        volumes = [factor * size] + [
            formulas.tree_volume(count) * size / below.carriers
            for count, below in zip(self.span.groups, self._filling[1 : self._levels], strict=False)
        ]
        rates = [inside.busbw_fraction * self._uniform[0], *self._ring[1:]]
        depth = formulas.tree_depth(self.span.groups[0])
        latency = inside.latency + 2 * depth * self._alphas(lane.protocol, tree=True)[-1]
        streaming = formulas.pipelined_time(volumes, rates)
        return latency + lane.chunked(streaming, 2 * depth), "nvls_tree"

    def _reducing_fabric(
        self, switches: FabricReduction, inside: InNetworkReduction | None, size: float
    ) -> tuple[float, str]:
        """Every NIC sends its part of what the domain has reduced up a tree of switches, once (NCCL's CollNet)."""
        lane, fewest = self._lanes[-1], self.span.members[0]
        adds_up = inside is not None and fewest >= inside.min_group
        factor = formulas.bus_factor("all_reduce", fewest) if fewest > 1 else 0.0
        volumes = [factor * size, *[size / below.carriers for below in self._filling[1 : self._levels]]]
        first = inside.busbw_fraction * self._uniform[0] if inside and adds_up else self._ring[0]
        rates = [first, *(rate * switches.bandwidth_fraction for rate in self._ring[1:])]
        latency = switches.latency + 2 * self._latencies[-1]
        latency += inside.latency if inside and adds_up else 0.0
        if not adds_up:
            latency += lane.base + 2 * (fewest - 1) * lane.alphas[0]
        return latency + lane.chunked(formulas.pipelined_time(volumes, rates), 2), "sharp"

    def _logarithmic(self, constants: CollectiveConstants, per_rank: float, sent: float) -> tuple[float, str]:
        """All-gather and reduce-scatter with one rank per domain in a logarithmic number of steps (NCCL's PAT)."""
        lane = self._lanes[-1]
        depths = [formulas.tree_depth(fan) for fan in self._fanouts]
        latency = formulas.weighted_latency(depths, lane.alphas) + self.span.size * per_rank
        payload = constants.logarithmic_bandwidth_fraction
        streaming = formulas.pipelined_time(
            [sent * share for share in self._crossings], [rate * payload for rate in self._uniform]
        )
        return lane.base + latency + streaming, "logarithmic"

    def _bytes_per_level(self, operation: str, sent: float) -> tuple[float, ...]:
        """Share the bytes that a mean rank sends over the levels."""
        pairs = itertools.pairwise(self._filling)
        if operation == "all_to_all":
            weights = [above.staying - below.staying for below, above in pairs]
        else:
            weights = [below.touched - above.touched for below, above in pairs]
        scale = sent / math.fsum(weights)
        return tuple([weight * scale for weight in weights])


def _ring_rate(level: Level, rate: float) -> float:
    """What contention takes from a level, it takes from rings over that level too; a free link adds nothing."""
    if not level.ring_bandwidth:
        return rate
    return max(rate, level.ring_bandwidth * min(1.0, rate / level.bandwidth))
