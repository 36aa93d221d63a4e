"""Failures as they reach the phases: what is hit, what leaves for repair, who is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.failures import FailureSource, Strike, repair_time
from colossus_sim.engine.signals import Failure, Slow
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.specs.faults import FaultClass

if TYPE_CHECKING:
    from colossus_sim.engine.holding import Holding
    from colossus_sim.engine.phase import PhaseRun
    from colossus_sim.engine.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    """One failure at its place."""

    site: SiteState
    partition: PartitionState
    name: str
    spec: FaultClass
    strike: Strike
    domain: int
    phase: PhaseRun | None


def failure_of(name: str, spec: FaultClass, *, planned: bool | None = None) -> Failure:
    """Return the message that a failure of this class sends."""
    rank = REMOVES["site"] if spec.needs_storage_checkpoint else REMOVES[spec.removes]
    return Failure(
        cause=name, rank=rank, detection=spec.detection, planned=spec.planned if planned is None else planned
    )


class FaultInjector:
    """All failure sources of a run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sources: dict[tuple[str, str, str], FailureSource] = {}
        self._stopping = [
            (spec.per, spec.rate, failure_of(name, spec).rank)
            for name, spec in self.classes("gpu", "node", "domain", "site", "job")
            if spec.interrupts and not spec.planned
        ]

    def classes(self, *per: str) -> list[tuple[str, FaultClass]]:
        """Return the failure classes whose rate counts one of these."""
        faults = self._world.scenario.faults
        if not faults.enabled:
            return []
        return [(name, spec) for name, spec in faults.classes.items() if spec.per in per]

    def rates(self, phase: Holding) -> tuple[float, ...]:
        """Return the rate at which failures of each rank stop a phase. [1/s]"""
        rates = [0.0] * len(REMOVES)
        if not phase.domains:
            return tuple(rates)
        pool = phase.held_partition().pool
        domains = len(phase.domains)
        used = domains * pool.used_per_domain
        units = {"gpu": used, "node": used / pool.node_gpus, "domain": domains, "site": 1, "job": 1}
        for per, rate, rank in self._stopping:
            rates[rank] += units[per] * rate
        return tuple(rates)

    def add_sources(self) -> None:
        """Create the failure sources of all sites and partitions."""
        for site in self._world.sites.values():
            for name, spec in self.classes("site"):
                self._add(site, None, name, spec).set_population(1.0)
            for partition in site.partitions.values():
                for name, spec in self.classes("gpu", "node", "domain"):
                    self._add(site, partition, name, spec)

    def _add(
        self, site: SiteState, partition: PartitionState | None, name: str, spec: FaultClass
    ) -> FailureSource:
        def strike(drawn: Strike) -> None:
            if partition is None:
                self._strike_site(site, name, spec, drawn)
            else:
                self._strike(site, partition, name, spec, drawn)

        key = (site.name, partition.pool.name if partition else "", name)
        source = FailureSource(self._world.agenda, self._world.seed, key, spec, strike)
        self._sources[key] = source
        return source

    def set_populations(self, site: SiteState, partition: PartitionState) -> None:
        """Tell the sources of a partition how many units there are now."""
        pool = partition.pool
        domains = len(pool.installed_ids)
        units = {
            "gpu": domains * pool.domain_gpus,
            "node": domains * pool.nodes_per_domain,
            "domain": domains,
        }
        for name, spec in self.classes(*units):
            self._sources[(site.name, pool.name, name)].set_population(units[spec.per])

    # -- one failure ---------------------------------------------------------------------------------

    def _strike(
        self, site: SiteState, partition: PartitionState, name: str, spec: FaultClass, strike: Strike
    ) -> None:
        """Let a failure hit the unit at its place, and the phase that uses it."""
        pool = partition.pool
        located = pool.locate(strike.place, spec.per)
        if located is None:
            return
        domain, node = located
        phase = self._world.scheduler.holders.get(int(pool.owner[domain]))
        if (
            spec.per != "domain"
            and node * pool.node_gpus >= pool.used_per_domain
            and pool.has_hot_spare(domain)
        ):
            phase = None  # it hits a hot spare inside the domain, not a GPU in use
        where = phase.where() if phase else {"site": site.name, "partition": pool.name}
        self._world.recorder.event(self._world.agenda.now, "failure", subject=name, value=domain, **where)
        hit = _Hit(
            site=site, partition=partition, name=name, spec=spec, strike=strike, domain=domain, phase=phase
        )
        if spec.interrupts:
            self._remove(hit, planned=spec.planned)
        elif phase is not None:
            self._slow_down(hit, phase)

    def _slow_down(self, hit: _Hit, phase: PhaseRun) -> None:
        """Slow a phase until the degraded unit is found; then take the unit out in a controlled stop."""
        phase.notify(Slow(hit.domain, hit.spec.slowdown))

        def found() -> None:
            owner = int(hit.partition.pool.owner[hit.domain])
            if self._world.scheduler.holders.get(owner) is phase:
                phase.notify(Slow(hit.domain, 1.0))
                self._remove(hit, planned=True)

        now = self._world.agenda.now
        self._world.agenda.at(now + hit.spec.detection, Order.FAILURE, found)

    def _remove(self, hit: _Hit, *, planned: bool) -> None:
        """Take what broke out for repair and tell the phase that used it."""
        pool, domain, phase = hit.partition.pool, hit.domain, hit.phase
        if hit.spec.removes in ("node", "domain") and hit.spec.repair is not None:
            gpus = pool.node_gpus if hit.spec.removes == "node" else pool.domain_gpus
            gpus = min(gpus, pool.domain_gpus - pool.broken.get(domain, 0))
            if pool.fail(domain, gpus) and phase is not None and domain in phase.domains:
                phase.domains.remove(domain)
            now = self._world.agenda.now
            back = now + repair_time(hit.spec.repair, hit.strike)
            self._world.agenda.at(back, Order.REPAIR, lambda: self._mended(hit, gpus))
            self._world.note_level(hit.site, hit.partition)
        if phase is not None:
            phase.notify(failure_of(hit.name, hit.spec, planned=planned))

    def _mended(self, hit: _Hit, gpus: int) -> None:
        pool = hit.partition.pool
        pool.repair(hit.domain, gpus)
        self._world.recorder.event(
            self._world.agenda.now,
            "repair",
            site=hit.site.name,
            partition=pool.name,
            subject=hit.name,
            value=gpus,
        )
        self._world.note_level(hit.site, hit.partition)
        self._world.reschedule()

    def _strike_site(self, site: SiteState, name: str, spec: FaultClass, strike: Strike) -> None:
        """Let a failure hit a whole site."""
        now = self._world.agenda.now
        self._world.recorder.event(now, "failure", site=site.name, subject=name)
        if spec.removes == "site" and spec.repair is not None:
            site.outage_until = max(site.outage_until, now + repair_time(spec.repair, strike))
            self._world.agenda.at(site.outage_until, Order.REPAIR, lambda: self._back_up(site, name))
        for partition in site.partitions.values():
            for phase in list(self._world.scheduler.holders.values()):
                if phase.partition is partition:
                    phase.notify(failure_of(name, spec))
            self._world.note_level(site, partition)

    def _back_up(self, site: SiteState, name: str) -> None:
        self._world.recorder.event(self._world.agenda.now, "repair", site=site.name, subject=name)
        for partition in site.partitions.values():
            self._world.note_level(site, partition)
        self._world.reschedule()
