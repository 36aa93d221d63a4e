"""Which failure classes can break a part of the networks at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from colossus_sim.engine.degradation import broken_part
from colossus_sim.errors import Problem
from colossus_sim.specs.faults import Degradation, FaultClass
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Clos, Topology
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.lost_parts import lost_part


class Network(NamedTuple):
    """The network of one partition, and what it was built from."""

    topology: Topology
    gpu: Gpu
    fabric: Fabric


def network_part_problems(
    networks: Collection[Network], classes: Iterable[tuple[str, FaultClass]]
) -> Iterator[Problem]:
    """Find classes that break what no network here has, or what is never repaired."""
    for name, spec in classes:
        if spec.degrades is None:
            continue
        path = f"faults.classes.{name}"
        if not _breakable(networks, spec.degrades) and not (
            spec.per == "switch" and _drawn(networks, spec.degrades)
        ):
            yield Problem(path=f"{path}.degrades", message=_missing(networks, spec.degrades))
        if spec.repair is None or spec.interrupts or spec.per in ("group", "site", "job"):
            text = "degrades needs a repair, interrupts: false, and a rate per gpu, node, domain or switch"
            yield Problem(path=path, message=text)


def switches_installed(fabric: Fabric, spec: FaultClass, domains: int) -> float:
    """Return how many switches of the level that a class degrades serve so many installed domains."""
    level = spec.degrades.level if spec.degrades is not None else ""
    if spec.degrades is not None and spec.degrades.name:
        return 1.0  # the one that is named
    whole = -(-fabric.gpus // fabric.gpus_per_domain)
    return fabric.switches.get(level, 0) * domains / whole


def _breakable(networks: Collection[Network], spec: Degradation) -> bool:
    return any(broken_part(spec, 0, **one._asdict()) for one in networks)


def _drawn(networks: Collection[Network], spec: Degradation) -> bool:
    """Say whether a network has the level at its full size, though the partitions at hand do not reach so far."""
    fabrics = [one.topology.fabric for one in networks]
    return any(tier.name == spec.level for one in fabrics if isinstance(one, Clos) for tier in one.tiers)


def _why(networks: Collection[Network], spec: Degradation) -> Iterator[str]:
    """Say for each network why it has no part of that name."""
    for one in networks:
        try:
            lost_part(spec.part or "", spec.level, name=spec.name, **one._asdict())
        except ValueError as error:
            yield str(error)


def _missing(networks: Collection[Network], spec: Degradation) -> str:
    known = ", ".join(sorted({level.name for one in networks for level in one.fabric.levels}))
    if spec.name or spec.part == "cable":
        return "; ".join(dict.fromkeys(_why(networks, spec)))
    if spec.part is None or spec.part == "switch" or (spec.level and spec.level not in known.split(", ")):
        return f"no network here has a level {spec.level!r} of that kind; levels: {known}"
    return f"no network here has more than one {spec.part}; its loss is an outage of the site"
