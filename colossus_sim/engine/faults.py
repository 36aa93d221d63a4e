"""Failures as they reach the phases: what is hit, what leaves for repair, who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.degradation import SlowUnit
from colossus_sim.engine.failures import FailureSource, Strike, by_hand, repair_time
from colossus_sim.engine.groups import domains_hit, groups_installed, groups_touched, take_out
from colossus_sim.engine.hits import Hit, failure_of
from colossus_sim.engine.lemons import NodeHistory
from colossus_sim.engine.lifetimes import LifetimeSource, lifetime_source
from colossus_sim.engine.network_parts import check_network_parts, cut_off, part_at, tell_touched
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.signals import Rerate
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.engine.workshop import Workshop
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
        self._workshops: dict[str, Workshop] = {}
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
            self._workshops[site.name] = Workshop(
                self._world.agenda,
                crew=site.spec.repair_crew,
                parts=site.spec.repair_parts,
                lead_time=site.spec.part_lead_time,
            )
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
        chooses = stream(self._world.seed, "group", *key) if spec.group is not None else None

        def strike(drawn: Strike) -> None:
            if partition is None:
                self._strike_site(site, name, spec, drawn)
            elif chooses is not None and spec.group is not None:
                struck = domains_hit(partition.pool, spec.group, drawn.place, chooses)
                first = Hit(site=site, partition=partition, name=name, spec=spec, strike=drawn)
                self._strike_group(first, struck)
            else:
                self._strike(site, partition, name, spec, drawn)

        source: FailureSource | LifetimeSource
        if spec.lifetime is not None and partition is not None:
            source = self._lifetimes[key] = lifetime_source(self._world, partition.pool, key, spec, strike)
        else:
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
        history = self._histories.get((site.name, pool.name))
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
        part = part_at(hit, spec)
        if part is None or hit.spec.repair is None:
            return  # this partition has no such level or part
        if part.fraction >= 1.0:
            self._stop_group(*cut_off(hit, part))
            return
        self._broken_parts += 1
        number = self._broken_parts
        partition.degradations[number] = part
        tell_touched(partition, number)

        def mended() -> None:
            tell_touched(partition, number)
            del partition.degradations[number]
            self._world.recorder.event(self._world.agenda.now, "repair", **hit.where)

        self._repair(hit, hit.spec.repair, mended)

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
            self._remove(replace(hit, phase=holder), planned=True)

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
            self._forget_slow(hit)
            self._repair(hit, self._repair_of(hit, hit.spec.repair), lambda: self._mended(hit, gpus))
            self._world.note_level(hit.site, hit.partition)
        if phase is not None:
            watchdog = self.watchdog(hit.strike.hang)
            phase.notify(failure_of(hit.name, hit.spec, planned=planned, watchdog=watchdog))

    def _repair_of(self, hit: Hit, usual: Repair) -> Repair:
        """Return what a unit that leaves service gets: the repair of its class, or an exchange of the node."""
        history = self._histories.get((hit.site.name, hit.partition.pool.name))
        if history is None or hit.spec.removes != "node":
            return usual
        now = self._world.agenda.now
        repair = history.repair(hit.domain, hit.node, now, usual)
        if repair is not usual:
            self._world.recorder.event(now, "evict", value=hit.domain, **hit.where)
        return repair

    def _strike_group(self, first: Hit, domains: list[int]) -> None:
        """Let a failure hit several domains and every phase on them."""
        if not domains:
            return
        self._world.recorder.event(self._world.agenda.now, "failure", value=len(domains), **first.where)
        self._stop_group(first, domains)

    def _stop_group(self, first: Hit, domains: list[int]) -> None:
        """Take domains out until one repair, if the class removes them, and stop every phase on them."""
        pool, spec, holders = first.partition.pool, first.spec, self._world.scheduler.holders
        owners = (holders.get(int(pool.owner[domain])) for domain in domains)
        phases = {phase.number: phase for phase in owners if phase is not None}
        if spec.removes == "group" and spec.repair is not None:
            taken = take_out(pool, domains, holders)
            for domain in domains:
                self._forget_slow(replace(first, domain=domain))

            def mended() -> None:
                for domain, gpus in taken.items():
                    pool.repair(domain, gpus)
                self._back(first, sum(taken.values()))

            self._repair(first, spec.repair, mended)
            self._world.note_level(first.site, first.partition)
        for phase in phases.values():
            phase.notify(failure_of(first.name, spec, watchdog=self.watchdog(first.strike.hang)))

    def _forget_slow(self, hit: Hit) -> None:
        """Slow units that go for repair with what broke are mended there."""
        whole = hit.spec.removes in ("domain", "group")
        for number, unit in list(hit.partition.slow.items()):
            if unit.domain == hit.domain and (whole or unit.node == hit.node):
                del hit.partition.slow[number]
                user = self._world.scheduler.holders.get(int(hit.partition.pool.owner[hit.domain]))
                if user is not None:
                    user.notify(Rerate())

    def _repair(self, hit: Hit, repair: Repair, done: Callable[[], None]) -> None:
        """Mend a unit: by itself, or by hand when a technician and a part are there."""
        seconds = repair_time(repair, hit.strike)
        if by_hand(repair, hit.strike):
            self._workshops[hit.site.name].repair(seconds, done)
        else:
            self._world.agenda.at(self._world.agenda.now + seconds, Order.REPAIR, done)

    def _mended(self, hit: Hit, gpus: int) -> None:
        hit.partition.pool.repair(hit.domain, gpus)
        self._back(hit, gpus)

    def _back(self, hit: Hit, gpus: int) -> None:
        """Record that GPUs are back, and let waiting phases have them."""
        self._world.recorder.event(self._world.agenda.now, "repair", value=gpus, **hit.where)
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
                    phase.notify(failure_of(name, spec, watchdog=self.watchdog(strike.hang)))
            self._world.note_level(site, partition)

    def _back_up(self, site: SiteState, name: str) -> None:
        self._world.recorder.event(self._world.agenda.now, "repair", site=site.name, subject=name)
        for partition in site.partitions.values():
            self._world.note_level(site, partition)
        self._world.reschedule()
