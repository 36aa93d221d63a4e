"""Hardware that goes on, but worse: broken parts of the network, and units that compute slowly."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from colossus_sim.specs.faults import Degradation as DegradationSpec
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.lost_parts import lost_part


class Degradation(NamedTuple):
    """A group of domains that has lost a share of its bandwidth."""

    level: int
    """Lowest fabric level that is slower."""
    first: int
    last: int
    """Domains of the group, the last one included."""
    fraction: float
    """Share that is lost."""

    def touches(self, domains: Iterable[int]) -> bool:
        """Say whether any of these domains is in the group."""
        return any(self.first <= domain <= self.last for domain in domains)


class SlowUnit(NamedTuple):
    """A node that slows whoever computes on its domain, until it is found."""

    domain: int
    node: int
    factor: float
    """Step-time factor."""


def slowest(domains: Container[int], slow: Iterable[SlowUnit]) -> float:
    """Return the step-time factor of a job on these domains: that of its slowest unit, 1 if none is slow."""
    return max((unit.factor for unit in slow if unit.domain in domains), default=1.0)


def group_of(fabric: Fabric, name: str, domain: int) -> tuple[int, int, int] | None:
    """Return the lowest slower level, and the named level's group of domains around one; None if not there.

    A part of level 0 (a NIC) slows what leaves the domain, not what stays inside.
    """
    for index, level in enumerate(fabric.levels):
        if level.name == name:
            size = max(1, level.group_gpus // fabric.gpus_per_domain)
            first = domain // size * size
            return max(index, 1), first, first + size - 1
    return None


def broken_part(
    spec: DegradationSpec, domain: int, *, topology: Topology, gpu: Gpu, fabric: Fabric
) -> Degradation | None:
    """Return what breaks around a domain; None if the network has no such level or part."""
    if spec.fraction is not None:
        group = group_of(fabric, spec.level, domain)
        return None if group is None else Degradation(*group, spec.fraction)
    try:
        lost = lost_part(
            spec.part or "", spec.level, topology=topology, gpu=gpu, fabric=fabric, name=spec.name
        )
    except ValueError:
        return None
    if lost.first_gpu is not None:
        domains = fabric.gpus_per_domain
        start = lost.first_gpu // domains
        return Degradation(lost.level, start, (lost.first_gpu + lost.group_gpus - 1) // domains, lost.share)
    size = max(1, lost.group_gpus // fabric.gpus_per_domain)
    first = domain // size * size
    return Degradation(lost.level, first, first + size - 1, lost.share)


def limited(
    bandwidths: tuple[float, ...], domains: Iterable[int], broken: Sequence[Degradation]
) -> tuple[float, ...]:
    """Return the bandwidth of each level for a job that runs at the pace of its worst group. [B/s]

    Losses in one group multiply; of several groups the worst counts.
    """
    left: dict[tuple[int, int, int], float] = {}
    for part in broken:
        if part.touches(domains):
            key = part[:3]
            left[key] = left.get(key, 1.0) * (1.0 - part.fraction)
    if not left:
        return bandwidths
    return tuple(
        rate * min((share for (low, *_), share in left.items() if low <= level), default=1.0)
        for level, rate in enumerate(bandwidths)
    )
