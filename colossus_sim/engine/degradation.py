"""Hardware that goes on, but worse: broken parts of the network, and units that compute slowly."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from colossus_sim.errors import Problem, ScenarioError
from colossus_sim.specs.faults import FaultClass
from colossus_sim.topology.fabric import Fabric


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


def check_levels(fabrics: Iterable[Fabric], classes: Iterable[tuple[str, FaultClass]]) -> None:
    """Refuse a class that degrades a level that no network here has, or that is never repaired.

    Raises
    ------
    ScenarioError
        With the levels that there are.
    """
    known = sorted({level.name for fabric in fabrics for level in fabric.levels})
    for name, spec in classes:
        if spec.degrades is None:
            continue
        path = f"faults.classes.{name}"
        if spec.degrades.level not in known:
            text = f"no network here has a level {spec.degrades.level!r}; levels: {', '.join(known)}"
            raise ScenarioError([Problem(path=f"{path}.degrades.level", message=text)])
        if spec.repair is None or spec.interrupts or spec.per in ("group", "site", "job"):
            text = "degrades needs a repair, interrupts: false, and a rate per gpu, node or domain"
            raise ScenarioError([Problem(path=path, message=text)])


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
