"""Which failure classes can break a part of the networks at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from colossus_sim.engine.degradation import broken_part
from colossus_sim.engine.site import SiteState
from colossus_sim.errors import Problem
from colossus_sim.specs.faults import Degradation, FaultClass
from colossus_sim.specs.topology import Clos
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.lost_parts import lost_part


def network_part_problems(
    sites: Collection[SiteState], classes: Iterable[tuple[str, FaultClass]]
) -> Iterator[Problem]:
    """Find classes that break what no network here has, or what is never repaired."""
    for name, spec in classes:
        if spec.degrades is None:
            continue
        path = f"faults.classes.{name}"
        if not _breakable(sites, spec.degrades) and not (
            spec.per == "switch" and _drawn(sites, spec.degrades)
        ):
            yield Problem(path=f"{path}.degrades", message=_missing(sites, spec.degrades))
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


def _breakable(sites: Iterable[SiteState], spec: Degradation) -> bool:
    return any(
        broken_part(spec, 0, topology=site.spec.topology, gpu=part.pool.spec.gpu, fabric=part.fabric)
        for site in sites
        for part in site.partitions.values()
    )


def _drawn(sites: Iterable[SiteState], spec: Degradation) -> bool:
    """Say whether a network has the level at its full size, though the partitions at hand do not reach so far."""
    fabrics = [site.spec.topology.fabric for site in sites]
    return any(tier.name == spec.level for one in fabrics if isinstance(one, Clos) for tier in one.tiers)


def _why(sites: Iterable[SiteState], spec: Degradation) -> Iterator[str]:
    """Say for each network why it has no part of that name."""
    for site in sites:
        for part in site.partitions.values():
            try:
                lost_part(
                    spec.part or "", spec.level, topology=site.spec.topology, gpu=part.pool.spec.gpu,
                    fabric=part.fabric, name=spec.name,
                )  # fmt: skip
            except ValueError as error:
                yield str(error)


def _missing(sites: Iterable[SiteState], spec: Degradation) -> str:
    fabrics = [part.fabric for site in sites for part in site.partitions.values()]
    known = ", ".join(sorted({level.name for fabric in fabrics for level in fabric.levels}))
    if spec.name or spec.part == "cable":
        return "; ".join(dict.fromkeys(_why(sites, spec)))
    if spec.part is None or spec.part == "switch" or (spec.level and spec.level not in known.split(", ")):
        return f"no network here has a level {spec.level!r} of that kind; levels: {known}"
    return f"no network here has more than one {spec.part}; its loss is an outage of the site"
