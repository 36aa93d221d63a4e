"""Time of a collective of one communication group, given where the group lies on the fabric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from colossus_sim.formulas import collectives as formulas
from colossus_sim.parallelism.groups import GroupSpan
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
    factor = formulas.bus_factor(operation, span.size)
    if not (message_bytes >= 0 and math.isfinite(message_bytes)):
        raise ValueError(f"message size must be finite and not negative, got {message_bytes} B")
    if span.size == 1:
        return CollectiveTime(0.0, "none", 0.0, (0.0,) * len(fabric.levels))
    call = _Call.of(operation, message_bytes, span, fabric, bandwidths)
    time, algorithm = min(call.candidates(), key=lambda candidate: candidate[0])
    busbw = factor * formulas.algorithm_bandwidth(message_bytes, time)
    return CollectiveTime(time, algorithm, busbw, call.bytes_per_level(factor))


@dataclass(frozen=True, slots=True)
class _Call:
    """One call with everything that its candidates need, cut off at the highest level it crosses."""

    operation: str
    size: float
    span: GroupSpan
    levels: int
    latencies: tuple[float, ...]
    uniform: tuple[float, ...]
    ring: tuple[float, ...]
    crossings: tuple[float, ...]
    """Per level the share of a stream over the whole group that each rank carries across the boundary below that
    level: 1 / members below it; 0 inside domains where no rank has a peer."""
    hops: tuple[int, ...]
    """Edges of one ring over the group at each level (the closing edge left out)."""
    constants: CollectiveConstants | None

    @classmethod
    def of(
        cls,
        operation: str,
        size: float,
        span: GroupSpan,
        fabric: Fabric,
        bandwidths: Sequence[float] | None,
    ) -> _Call:
        """Collect latencies and bandwidths per level."""
        given = fabric.bandwidths if bandwidths is None else tuple(bandwidths)
        if len(given) != len(fabric.levels) or not all(rate > 0 for rate in given):
            raise ValueError(
                f"need {len(fabric.levels)} bandwidths above 0, one per level of {fabric.name!r}; got {given}"
            )
        levels = fabric.levels[: span.level + 1]
        uniform = given[: span.level + 1]
        ring = tuple(_ring_rate(level, rate) for level, rate in zip(levels, uniform, strict=True))
        inside = 1.0 if span.groups[0] < span.size else 0.0
        groups = (span.size, *span.groups)[: len(levels) + 1]
        return cls(
            operation=operation,
            size=size,
            span=span,
            levels=len(levels),
            latencies=tuple(level.latency for level in levels),
            uniform=uniform,
            ring=ring,
            crossings=(inside, *(1.0 / fewest for fewest in span.members[: len(levels) - 1])),
            hops=tuple(below - count for below, count in itertools.pairwise(groups)),
            constants=fabric.collectives,
        )

    def candidates(self) -> Iterator[tuple[float, str]]:
        """Yield (time, name) of every algorithm and protocol that can do it."""
        for protocol in self._protocols():
            name = f"/{protocol.name}" if protocol else ""
            for time, algorithm in self._with(protocol):
                yield time, algorithm + name
        yield from self._special()

    def _protocols(self) -> tuple[Protocol | None, ...]:
        """Return the protocols that may carry it; the last one always may."""
        if self.constants is None:
            return (None,)
        *small, large = self.constants.protocols
        if self.operation not in ("all_to_all", "send_recv"):
            return (*small, large)
        message = self.size / self.span.size if self.operation == "all_to_all" else self.size
        return (
            *(
                one
                for one in small
                if one.point_to_point_limit is None or message <= one.point_to_point_limit
            ),
            large,
        )

    def _with(self, protocol: Protocol | None) -> Iterator[tuple[float, str]]:
        if self.operation == "send_recv":
            yield self._send_recv(protocol), "send_recv"
        elif self.operation == "all_to_all":
            yield self._all_to_all(protocol), "direct"
        else:
            ring = self._ring(protocol)
            yield ring, "ring"
            if self.operation == "all_reduce":
                tree = self._tree(protocol)
                if tree < ring and self._takes_tree(protocol, ring):
                    yield tree, "tree"
            if self.constants is None or self.constants.hierarchical:
                yield self._hierarchical(protocol), "hierarchical"

    def _alphas(self, protocol: Protocol | None, *, tree: bool = False) -> tuple[float, ...]:
        """Latency of one step at each level."""
        if protocol is None:
            return self.latencies
        inside = protocol.tree_hop_scale_up if tree else protocol.ring_hop_scale_up
        across = protocol.tree_hop_scale_out if tree else protocol.ring_hop_scale_out
        multiple = protocol.fabric_latency_multiple
        return (inside, *(across + multiple * latency for latency in self.latencies[1:]))

    def _fanouts(self) -> tuple[int, ...]:
        """Groups of the level below in one group of each level."""
        groups = (self.span.size, *self.span.groups)[: self.levels + 1]
        return tuple(-(-below // count) for below, count in itertools.pairwise(groups))

    def _ring(self, protocol: Protocol | None) -> float:
        factor = formulas.bus_factor(self.operation, self.span.size)
        passes = 2 if self.operation == "all_reduce" else 1
        latency = passes * formulas.weighted_latency(self.hops, self._alphas(protocol))
        payload = protocol.bandwidth_fraction if protocol else 1.0
        volumes = [factor * self.size * share for share in self.crossings]
        volumes[0] *= self._own_copy()
        streaming = formulas.pipelined_time(volumes, [rate * payload for rate in self.ring])
        streaming = self._chunked(streaming, protocol, passes * (self.span.size - 1))
        return _base(protocol) + latency + max(streaming, self._limit(protocol, factor))

    def _own_copy(self) -> float:
        """Bytes handled inside a domain over bytes received: a rank also copies or adds its own share."""
        if self.constants is None:
            return 1.0
        peers = self.span.size - 1
        if self.operation == "all_reduce":
            return 1.0 + self.constants.reduced_copy_weight / (2 * peers)
        if self.operation == "all_to_all":
            return 1.0 + self.constants.exchange_copy_weight / peers
        return 1.0 + self.constants.own_copy_weight / peers

    def _limit(self, protocol: Protocol | None, factor: float) -> float:
        """Time below which the protocol's own ceiling does not let the call go."""
        if protocol is None:
            return 0.0
        limit = protocol.busbw_limit_scale_out if self.levels > 1 else protocol.busbw_limit_scale_up
        return factor * self.size / limit if limit else 0.0

    def _chunked(self, streaming: float, protocol: Protocol | None, steps: int) -> float:
        """Time of a transfer that is cut into chunks so that its steps overlap; it takes `steps` of them."""
        if protocol is None or not streaming:
            return streaming
        overhead = protocol.pipeline_overhead
        if self.levels > 1:
            overhead += protocol.pipeline_overhead_scale_out
        return formulas.chunked_time(streaming, overhead / max(1, steps))

    def _takes_tree(self, protocol: Protocol | None, ring: float) -> bool:
        """Whether the library picks a tree that is faster: see `CollectiveConstants.fastest_tree`."""
        if self.constants is None or self.constants.fastest_tree or self.span.groups[0] != 2:
            return True
        return self._tree(protocol, least_volume=2.0) < ring

    def _tree(self, protocol: Protocol | None, least_volume: float = 0.0) -> float:
        """Chains inside domains, double binary trees across, all levels pipelined (NCCL's shape)."""
        fanouts = self._fanouts()
        hops = [fanouts[0] - 1, *(formulas.tree_depth(fan) for fan in fanouts[1:])]
        latency = 2 * formulas.weighted_latency(hops, self._alphas(protocol, tree=True))
        payload = protocol.tree_bandwidth_fraction if protocol else 1.0
        groups = (self.span.size, *self.span.groups)[: self.levels]
        volumes = [
            max(least_volume, formulas.tree_volume(count)) * self.size * share
            for count, share in zip(groups, self.crossings, strict=True)
        ]
        volumes[0] *= self._own_copy()
        streaming = formulas.pipelined_time(volumes, [rate * payload for rate in self.ring])
        streaming = self._chunked(streaming, protocol, sum(hops))
        factor = formulas.bus_factor(self.operation, self.span.size)
        return _base(protocol) + latency + max(streaming, self._limit(protocol, factor))

    def _hierarchical(self, protocol: Protocol | None) -> float:
        """Level after level, nothing pipelined."""
        passes = 2 if self.operation == "all_reduce" else 1
        fewest = (1, *self.span.members)[: self.levels + 1]
        volumes = [1 / below - 1 / above for below, above in itertools.pairwise(fewest)]
        payload = protocol.bandwidth_fraction if protocol else 1.0
        streaming = math.fsum(
            volume * self.size / (rate * payload) for volume, rate in zip(volumes, self.ring, strict=True)
        )
        steps = [fan - 1 for fan in self._fanouts()]
        latency = formulas.weighted_latency(steps, self._alphas(protocol))
        return _base(protocol) + passes * (latency + streaming)

    def _all_to_all(self, protocol: Protocol | None) -> float:
        """All peers at once; each boundary carries what goes to peers beyond it."""
        size, fewest = self.span.size, (1, *self.span.members)[: self.levels]
        beyond = [(size - few) / size for few in fewest]
        # Level 0 has wires of its own: what leaves the domain does not use them.
        beyond[0] -= beyond[1] if self.levels > 1 else 0.0
        payload = protocol.bandwidth_fraction if protocol else 1.0
        streaming = formulas.pipelined_time(
            [self.size * share for share in beyond], [rate * payload for rate in self.uniform]
        )
        streaming = self._chunked(streaming, protocol, size - 1)
        overhead, near = 0.0, 0.0
        if self.constants is not None:
            overhead, near = self.constants.send_overhead, self.constants.exchange_hop_scale_up
            if self.levels == 1:
                streaming *= self._own_copy() / self.constants.exchange_bandwidth_fraction
        remote = size - fewest[1] if self.levels > 1 else 0
        alpha = self._alphas(protocol)[-1] + near * ((fewest[1] if self.levels > 1 else size) - 1)
        limit = self._limit(protocol, formulas.bus_factor(self.operation, size))
        return _base(protocol) + alpha + remote * overhead + max(streaming, limit)

    def _send_recv(self, protocol: Protocol | None) -> float:
        """Each rank sends to the next of its group; the slowest hop counts."""
        payload = protocol.bandwidth_fraction if protocol else 1.0
        shares = list(self.crossings)
        if self.levels > 1:
            # A rank's message has only its own NIC, even where few ranks of the domain send across.
            shares[1] = 1.0
        streaming = formulas.pipelined_time(
            [self.size * share for share in shares], [rate * payload for rate in self.ring]
        )
        streaming = self._chunked(streaming, protocol, 1)
        return _base(protocol) + max(self._alphas(protocol)) + max(streaming, self._limit(protocol, 1.0))

    def _special(self) -> Iterator[tuple[float, str]]:
        """Algorithms with constants of their own."""
        constants = self.constants
        if constants is None:
            return
        inside = constants.in_network
        if (
            self.operation == "all_reduce"
            and inside
            and self.levels == 1
            and self.span.size >= inside.min_group
        ):
            factor = formulas.bus_factor(self.operation, self.span.size)
            streaming = factor * self.size / (inside.busbw_fraction * self.uniform[0])
            yield inside.latency + formulas.chunked_time(streaming, inside.pipeline_overhead), "nvls"
        if self.operation == "all_reduce" and inside and self.levels > 1:
            yield from self._reducing_tree(inside)
        if self.operation == "all_reduce" and constants.fabric_reduction and self.levels > 1:
            yield self._reducing_fabric(constants.fabric_reduction)
        per_rank = constants.logarithmic_per_rank
        if per_rank is not None and self.operation in ("all_gather", "reduce_scatter"):
            yield from self._logarithmic(constants, per_rank)

    def _reducing_tree(self, inside: InNetworkReduction) -> Iterator[tuple[float, str]]:
        """Switches add up inside each domain, trees across them, all pipelined (NCCL's NVLSTree)."""
        fewest, domains = self.span.members[0], self.span.groups[0]
        if fewest < inside.min_group:
            return
        protocol = self.constants.protocols[-1] if self.constants else None
        factor = formulas.bus_factor(self.operation, fewest)
        volumes = [factor * self.size] + [
            formulas.tree_volume(count) * self.size / few
            for count, few in zip(self.span.groups, self.span.members[: self.levels - 1], strict=False)
        ]
        rates = [inside.busbw_fraction * self.uniform[0], *self.ring[1:]]
        depth = formulas.tree_depth(domains)
        latency = inside.latency + 2 * depth * self._alphas(protocol, tree=True)[-1]
        streaming = formulas.pipelined_time(volumes, rates)
        yield latency + self._chunked(streaming, protocol, 2 * depth), "nvls_tree"

    def _reducing_fabric(self, switches: FabricReduction) -> tuple[float, str]:
        """Every NIC sends its part of what the domain has reduced up a tree of switches, once (NCCL's CollNet)."""
        fewest = self.span.members[0]
        inside = self.constants.in_network if self.constants else None
        adds_up = inside is not None and fewest >= inside.min_group
        factor = formulas.bus_factor(self.operation, fewest) if fewest > 1 else 0.0
        volumes = [factor * self.size] + [self.size / few for few in self.span.members[: self.levels - 1]]
        first = inside.busbw_fraction * self.uniform[0] if inside and adds_up else self.ring[0]
        rates = [first, *(rate * switches.bandwidth_fraction for rate in self.ring[1:])]
        protocol = self.constants.protocols[-1] if self.constants else None
        latency = switches.latency + 2 * self.latencies[-1] + (inside.latency if inside and adds_up else 0.0)
        if not adds_up:
            latency += _base(protocol) + 2 * (fewest - 1) * self._alphas(protocol)[0]
        return latency + self._chunked(formulas.pipelined_time(volumes, rates), protocol, 2), "sharp"

    def _logarithmic(self, constants: CollectiveConstants, per_rank: float) -> Iterator[tuple[float, str]]:
        if self.span.members[0] != 1:
            return
        protocol = constants.protocols[-1]
        depths = [formulas.tree_depth(fan) for fan in self._fanouts()]
        latency = formulas.weighted_latency(depths, self._alphas(protocol)) + self.span.size * per_rank
        factor = formulas.bus_factor(self.operation, self.span.size)
        volumes = [factor * self.size * share for share in self.crossings]
        payload = constants.logarithmic_bandwidth_fraction
        streaming = formulas.pipelined_time(volumes, [rate * payload for rate in self.uniform])
        yield protocol.base_latency + latency + streaming, "logarithmic"

    def bytes_per_level(self, factor: float) -> tuple[float, ...]:
        """Share the bytes that a mean rank sends over the levels; the sum is the bus factor times the size."""
        size = self.span.size
        groups = (size, *self.span.groups)
        total = factor * self.size
        if self.operation == "all_to_all":
            weights = [1 / count - 1 / below for below, count in itertools.pairwise(groups)]
        else:
            weights = [float(below - count) for below, count in itertools.pairwise(groups)]
        scale = total / math.fsum(weights)
        return tuple(weight * scale for weight in weights)


def _ring_rate(level: Level, rate: float) -> float:
    """What contention takes from a level, it takes from rings over that level too; a free link adds nothing."""
    if not level.ring_bandwidth:
        return rate
    return max(rate, level.ring_bandwidth * min(1.0, rate / level.bandwidth))


def _base(protocol: Protocol | None) -> float:
    return protocol.base_latency if protocol else 0.0
