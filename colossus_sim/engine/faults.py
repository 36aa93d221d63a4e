"""Failures as they reach the phases: what is hit, what leaves for repair, who is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.degradation import Degradation, SlowUnit, broken_part
from colossus_sim.engine.failures import FailureSource, Strike, repair_time
from colossus_sim.engine.groups import domains_hit, groups_installed, groups_touched
from colossus_sim.engine.hits import Hit, failure_of
from colossus_sim.engine.lemons import NodeHistory
from colossus_sim.engine.lifetimes import LifetimeSource, lifetime_source
from colossus_sim.engine.network_parts import check_network_parts
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.service import OutOfService
from colossus_sim.engine.signals import Rerate
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import Degradation as DegradationSpec
from colossus_sim.specs.faults import FaultClass, Repair

if TYPE_CHECKING:
    from colossus_sim.engine.holding import Holding
    from colossus_sim.engine.phase import PhaseRun
    from colossus_sim.engine.world import World


_EVERY = ("gpu", "node", "domain", "group", "site", "job")
"""All that a rate may count."""


class FaultInjector:
    """All failure sources of a run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._broken_parts = 0
        self._histories: dict[tuple[str, str], NodeHistory] = {}
        self._service = OutOfService(world)
        self._sources: dict[tuple[str, str, str], FailureSource | LifetimeSource] = {}
        self._lifetimes: dict[tuple[str, str, str], LifetimeSource] = {}
        self._stopping = [
            (name, spec, failure_of(name, spec).rank)
            for name, spec in self.classes(*_EVERY)
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
        units = {
            "gpu": used,
            "node": used / pool.node_gpus,
            "domain": domains,
            "group": 1,
            "site": 1,
            "job": 1,
        }
        for name, spec, rank in self._stopping:
            rate = spec.rate
            if spec.lifetime is not None:
                rate = self._lifetimes[phase.site.name, pool.name, name].hazard_ahead()
            count = units[spec.per] if spec.group is None else groups_touched(phase.domains, spec.group)
            rates[rank] += count * rate
        return tuple(rates)

    @property
    def ageing(self) -> bool:
        """Whether rates change with the age of units."""
        return bool(self._lifetimes)

    def add_sources(self) -> None:
        """Create the failure sources of all sites and partitions."""
        check_network_parts(self._world.sites.values(), self.classes(*_EVERY))
        for site in self._world.sites.values():
            self._service.open_workshop(site)
            for name, spec in self.classes("site"):
                self._add(site, None, name, spec).set_population(1.0)
            for partition in site.partitions.values():
                for name, spec in self.classes("gpu", "node", "domain", "group"):
                    self._add(site, partition, name, spec)
                self._add_history(site, partition.pool)

    def _add_history(self, site: SiteState, pool: PartitionPool) -> None:
        faults = self._world.scenario.faults
        if faults.enabled and (faults.lemons is not None or faults.eviction is not None):
            self._histories[site.name, pool.name] = NodeHistory(
                self._world.seed, pool, lemons=faults.lemons, eviction=faults.eviction
            )

    def watchdog(self, hang: bool) -> float | None:
        """Return the time-out of a hang, or None for a failure that shows itself. [s]"""
        return self._world.scenario.faults.watchdog if hang else None

    def _add(
        self, site: SiteState, partition: PartitionState | None, name: str, spec: FaultClass
    ) -> FailureSource | LifetimeSource:
        key = (site.name, partition.pool.name if partition else "", name)
        strike: Callable[[Strike], None]
        if partition is None:
            strike = partial(self._strike_site, site, name, spec)
        elif spec.group is not None:
            strike = self._group_strike(site, partition, name, spec)
        else:
            strike = partial(self._strike, site, partition, name, spec)
        source: FailureSource | LifetimeSource
        if spec.lifetime is not None and partition is not None:
            source = self._lifetimes[key] = lifetime_source(self._world, partition.pool, key, spec, strike)
        else:
            source = FailureSource(self._world.agenda, self._world.seed, key, spec, strike)
        self._sources[key] = source
        return source

    def _group_strike(
        self, site: SiteState, partition: PartitionState, name: str, spec: FaultClass
    ) -> Callable[[Strike], None]:
        """Return what a failure of a whole group does."""
        chooses = stream(self._world.seed, "group", site.name, partition.pool.name, name)

        def strike(drawn: Strike) -> None:
            if spec.group is not None:
                struck = domains_hit(partition.pool, spec.group, drawn.place, chooses)
                first = Hit(site=site, partition=partition, name=name, spec=spec, strike=drawn)
                self._strike_group(first, struck)

        return strike

    def set_populations(self, site: SiteState, partition: PartitionState) -> None:
        """Tell the sources of a partition how many units there are now."""
        pool = partition.pool
        domains = len(pool.installed_ids)
        units = {
            "gpu": domains * pool.domain_gpus,
            "node": domains * pool.nodes_per_domain,
            "domain": domains,
        }
        for name, spec in self.classes(*units, "group"):
            count = units[spec.per] if spec.group is None else groups_installed(pool, spec.group)
            self._sources[(site.name, pool.name, name)].set_population(count)

    # -- one failure ---------------------------------------------------------------------------------

    def _strike(
        self, site: SiteState, partition: PartitionState, name: str, spec: FaultClass, strike: Strike
    ) -> None:
        """Let a failure hit the unit at its place, and the phase that uses it."""
        pool = partition.pool
        place: float | None = strike.place
        history = self._histories.get((site.name, pool.name)) if self._histories else None
        if history is not None and spec.per in ("gpu", "node") and spec.lifetime is None:
            place = history.place(strike.place)
        located = None if place is None else pool.locate(place, spec.per)
        if located is None:
            return
        domain, node = located
        phase = self._world.scheduler.holders.get(int(pool.owner[domain]))
        if (
            spec.per != "domain"
            and spec.removes != "domain"
            and node * pool.node_gpus >= pool.used_per_domain
            and pool.has_hot_spare(domain)
        ):
            phase = None  # it hits a hot spare inside the domain, not a GPU in use
        where = phase.where() if phase else {"site": site.name, "partition": pool.name}
        self._world.recorder.event(self._world.agenda.now, "failure", subject=name, value=domain, **where)
        hit = Hit(
            site=site,
            partition=partition,
            name=name,
            spec=spec,
            strike=strike,
            domain=domain,
            node=node,
            phase=phase,
        )
        if spec.degrades is not None and not spec.interrupts:
            self._degrade(hit, spec.degrades)
        elif spec.interrupts:
            self._remove(hit, planned=spec.planned)
        elif phase is not None:
            self._slow_down(hit, phase)

    def _degrade(self, hit: Hit, spec: DegradationSpec) -> None:
        """Take bandwidth from the group around the broken part until it is mended."""
        partition = hit.partition
        part = broken_part(
            spec,
            hit.domain,
            topology=hit.site.spec.topology,
            gpu=partition.pool.spec.gpu,
            fabric=partition.fabric,
        )
        if part is None or hit.spec.repair is None:
            return  # this partition has no such level or part
        if part.fraction >= 1.0:
            self._cut_off(hit, part, hit.spec.repair)
            return
        self._broken_parts += 1
        number = self._broken_parts
        partition.degradations[number] = part
        self._tell(hit, number)

        def mended() -> None:
            self._tell(hit, number)
            del partition.degradations[number]
            self._world.recorder.event(self._world.agenda.now, "repair", **hit.where)

        self._service.repair(hit, hit.spec.repair, mended)

    def _cut_off(self, hit: Hit, part: Degradation, repair: Repair) -> None:
        """Take a group that no way leads to out of service until the repair, and stop the jobs in it."""
        pool = hit.partition.pool
        members = range(part.first, min(part.last + 1, len(pool.owner)))
        domains = [domain for domain in members if pool.gpus_left(domain)]
        phases = self._service.users(pool, domains)
        self._service.take_together(hit, domains, repair)
        failure = failure_of(hit.name, hit.spec.model_copy(update={"removes": "domain"}))
        for phase in phases:
            phase.notify(failure)

    def _tell(self, hit: Hit, number: int) -> None:
        """Let the phases that a broken network part touches work out their steps anew."""
        part = hit.partition.degradations[number]
        for phase in hit.partition.computing.values():
            if part.touches(phase.domains):
                phase.notify(Rerate())

    def _slow_down(self, hit: Hit, phase: PhaseRun) -> None:
        """Slow whoever uses a degraded unit until it is found; then take it out in a controlled stop.

        The unit stays slow and is found at its time whether or not the phase that it struck still has it.
        """
        pool, slow = hit.partition.pool, hit.partition.slow
        self._broken_parts += 1
        number = self._broken_parts
        slow[number] = SlowUnit(hit.domain, hit.node, hit.spec.slowdown)
        phase.notify(Rerate())

        def found() -> None:
            if slow.pop(number, None) is None or not pool.gpus_left(hit.domain):
                return  # it left service before, with something else that broke there or with its capacity
            holder = self._world.scheduler.holders.get(int(pool.owner[hit.domain]))
            self._remove(hit._replace(phase=holder), planned=True)

        now = self._world.agenda.now
        self._world.agenda.at(now + hit.spec.detection, Order.FAILURE, found)

    def _remove(self, hit: Hit, *, planned: bool) -> None:
        """Take what broke out for repair and tell the phase that used it."""
        pool, domain, phase = hit.partition.pool, hit.domain, hit.phase
        if hit.spec.removes in ("node", "domain") and hit.spec.repair is not None:
            gpus = pool.node_gpus if hit.spec.removes == "node" else pool.domain_gpus
            gpus = min(gpus, pool.domain_gpus - pool.broken.get(domain, 0))
            if pool.fail(domain, gpus) and phase is not None and domain in phase.domains:
                del phase.domains[domain]
            self._service.forget_slow(hit)
            self._service.repair(
                hit, self._repair_of(hit, hit.spec.repair), partial(self._service.mended, hit, gpus)
            )
            self._world.note_level(hit.site, hit.partition)
        if phase is not None:
            watchdog = self.watchdog(hit.strike.hang)
            phase.notify(failure_of(hit.name, hit.spec, planned=planned, watchdog=watchdog))

    def _repair_of(self, hit: Hit, usual: Repair) -> Repair:
        """Return what a unit that leaves service gets: the repair of its class, or an exchange of the node."""
        history = self._histories.get((hit.site.name, hit.partition.pool.name)) if self._histories else None
        if history is None or hit.spec.removes != "node":
            return usual
        now = self._world.agenda.now
        repair = history.repair(hit.domain, hit.node, now, usual)
        if repair is not usual:
            self._world.recorder.event(now, "evict", value=hit.domain, **hit.where)
        return repair

    def _strike_group(self, first: Hit, domains: list[int]) -> None:
        """Let a failure hit several domains and every phase on them; one repair brings all of them back."""
        if not domains:
            return
        pool, spec = first.partition.pool, first.spec
        self._world.recorder.event(self._world.agenda.now, "failure", value=len(domains), **first.where)
        phases = self._service.users(pool, domains)
        if spec.removes == "group" and spec.repair is not None:
            self._service.take_together(first, domains, spec.repair)
            for domain in domains:
                self._service.forget_slow(first._replace(domain=domain))
        for phase in phases:
            phase.notify(failure_of(first.name, spec, watchdog=self.watchdog(first.strike.hang)))

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
                    phase.notify(failure_of(name, spec, watchdog=self.watchdog(strike.hang)))
            self._world.note_level(site, partition)

    def _back_up(self, site: SiteState, name: str) -> None:
        self._world.recorder.event(self._world.agenda.now, "repair", site=site.name, subject=name)
        for partition in site.partitions.values():
            self._world.note_level(site, partition)
        self._world.reschedule()
