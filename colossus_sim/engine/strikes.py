"""What a failure does: what leaves for repair, who is slowed, who is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.defects import Course, Defects
from colossus_sim.engine.degradation import Degradation, SlowUnit, broken_part
from colossus_sim.engine.failures import Strike, repair_time
from colossus_sim.engine.groups import give_back, phases_on, take_out
from colossus_sim.engine.hits import Hit, failure_of, time_out
from colossus_sim.engine.lemons import NodeHistory
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.signals import Failure, Rerate
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.engine.workshop import Workshop
from colossus_sim.specs.faults import Degradation as DegradationSpec
from colossus_sim.specs.faults import FaultClass, Repair

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun
    from colossus_sim.engine.world import World


class Strikes:
    """Failures at their places, the repairs that follow, and the nodes' histories."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._broken_parts = 0
        self._known_parts: dict[tuple[str, str, str], Degradation | None] = {}
        """What the loss of a named part takes, by partition: paths are worked out once."""
        self._histories: dict[tuple[str, str], NodeHistory] = {}
        self._workshops: dict[str, Workshop] = {}
        self._defects = Defects(world, self._again)

    def open_site(self, site: SiteState) -> None:
        """Set up the repairs of a site, and the histories of its nodes where they matter."""
        self._workshops[site.name] = Workshop(
            self._world.agenda,
            crew=site.spec.repair_crew,
            parts=site.spec.repair_parts,
            lead_time=site.spec.part_lead_time,
        )
        faults = self._world.scenario.faults
        if faults.enabled and (faults.lemons is not None or faults.eviction is not None):
            for name, partition in site.partitions.items():
                self._histories[site.name, name] = NodeHistory(
                    self._world.seed, partition.pool, lemons=faults.lemons, eviction=faults.eviction
                )

    def strike(
        self, site: SiteState, partition: PartitionState, name: str, spec: FaultClass, strike: Strike
    ) -> None:
        """Let a failure hit the unit at its place, and the phase that uses it."""
        if spec.under_load and not partition.computing:
            return
        pool = partition.pool
        place: float | None = strike.place
        if self._histories and spec.per in ("gpu", "node") and spec.lifetime is None:
            place = self._histories[site.name, pool.name].place(strike.place)
        located = None if place is None else pool.locate(place, spec.per)
        if located is None:
            return
        domain, node = located
        phase = self._user(pool, spec, domain, node)
        self._hit(Hit(site, partition, name, spec, strike, domain, node, phase))

    def _user(self, pool: PartitionPool, spec: FaultClass, domain: int, node: int) -> PhaseRun | None:
        """Return the phase that a failure of this unit concerns, if any."""
        if (
            spec.per not in ("domain", "switch")
            and spec.removes != "domain"
            and node * pool.node_gpus >= pool.used_per_domain
            and pool.has_hot_spare(domain)
        ):
            return None  # it hits a hot spare inside the domain, not a GPU in use
        return self._world.scheduler.holders.get(int(pool.owner[domain]))

    def _hit(self, hit: Hit) -> bool:
        """Let a failure hit a unit, and the phase that uses it; return False if the unit cannot fail now."""
        spec, phase = hit.spec, hit.phase
        if spec.under_load and (phase is None or not phase.underway):
            return False
        where = phase.where() if phase else hit.where
        self._world.recorder.event(
            self._world.agenda.now, "failure", *where, subject=hit.name, value=hit.domain
        )
        if spec.degrades is not None and not spec.interrupts:
            self._degrade(hit, spec.degrades)
        elif spec.interrupts:
            self._remove(hit, planned=spec.planned)
        elif phase is not None:
            self._slow_down(hit, phase)
        return True

    def _again(self, hit: Hit) -> bool:
        """Let a failure that was not mended come back; return False if the unit cannot fail now."""
        pool = hit.partition.pool
        phase = self._user(pool, hit.spec, hit.domain, hit.node)
        return pool.gpus_left(hit.domain) > 0 and self._hit(hit._replace(phase=phase))

    def _degrade(self, hit: Hit, spec: DegradationSpec) -> None:
        """Take bandwidth from the group around the broken part until it is mended."""
        partition = hit.partition
        part = self._lost(hit, spec)
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
            self._world.recorder.event(self._world.agenda.now, "repair", *hit.where, subject=hit.name)

        self._repair(hit, self._defects.course(hit, hit.spec.repair), mended)

    def _lost(self, hit: Hit, spec: DegradationSpec) -> Degradation | None:
        """Return what breaks around the struck domain, or with the named part."""
        key = (hit.site.name, hit.partition.pool.name, hit.name)
        if spec.name and key in self._known_parts:
            return self._known_parts[key]
        part = broken_part(
            spec,
            hit.domain,
            topology=hit.site.spec.topology,
            gpu=hit.partition.pool.spec.gpu,
            fabric=hit.partition.fabric,
        )
        if spec.name:
            self._known_parts[key] = part
        return part

    def _cut_off(self, hit: Hit, part: Degradation, repair: Repair) -> None:
        """Take a group that no way leads to out of service until the repair, and stop the jobs in it."""
        pool = hit.partition.pool
        members = range(part.first, min(part.last + 1, len(pool.owner)))
        domains = [domain for domain in members if pool.gpus_left(domain)]
        phases = phases_on(pool, domains, self._world.scheduler.holders)
        self._out_together(hit, domains, repair)
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
        blamed = hit if planned else self._defects.blamed(hit)
        if blamed is not None and hit.spec.removes in ("node", "domain") and hit.spec.repair is not None:
            self._take_out(blamed, hit.spec.repair, found=blamed is hit)
        if hit.phase is not None:
            hit.phase.notify(self._message(hit.name, hit.spec, hit.strike, planned=planned))

    def _take_out(self, hit: Hit, usual: Repair, *, found: bool) -> None:
        """Take a unit out for repair; `found` says whether it is the one that failed."""
        pool, domain, phase = hit.partition.pool, hit.domain, hit.phase
        gpus = pool.node_gpus if hit.spec.removes == "node" else pool.domain_gpus
        gpus = min(gpus, pool.domain_gpus - pool.broken.get(domain, 0))
        if pool.fail(domain, gpus) and phase is not None and domain in phase.domains:
            del phase.domains[domain]
        self._forget_slow(hit)
        repair = self._repair_of(hit, usual)
        course = self._defects.course(hit, repair)
        self._repair(hit, course, partial(self._returned, hit, gpus, course, found=found))
        self._world.note_level(hit.site, hit.partition)

    def _message(
        self, name: str, spec: FaultClass, strike: Strike, *, planned: bool | None = None
    ) -> Failure:
        """Return what a phase that is hit is told."""
        watchdog = time_out(self._world.scenario.faults, strike.hang)
        return failure_of(name, spec, planned=planned, watchdog=watchdog)

    def _history(self, hit: Hit) -> NodeHistory | None:
        return self._histories.get((hit.site.name, hit.partition.pool.name)) if self._histories else None

    def _repair_of(self, hit: Hit, usual: Repair) -> Repair:
        """Return what a unit that leaves service gets: the repair of its class, or an exchange of the node."""
        history = self._history(hit)
        if history is None or hit.spec.removes != "node":
            return usual
        now = self._world.agenda.now
        repair = history.repair(hit.domain, hit.node, now, usual)
        if repair is not usual:
            self._world.recorder.event(now, "evict", *hit.where, value=hit.domain, subject=hit.name)
        return repair

    def strike_group(self, first: Hit, domains: list[int]) -> None:
        """Let a failure hit several domains and every phase on them; one repair brings all of them back."""
        if not domains:
            return
        pool, spec = first.partition.pool, first.spec
        self._world.recorder.event(
            self._world.agenda.now, "failure", *first.where, value=len(domains), subject=first.name
        )
        phases = phases_on(pool, domains, self._world.scheduler.holders)
        if spec.removes == "group" and spec.repair is not None:
            self._out_together(first, domains, spec.repair)
            for domain in domains:
                self._forget_slow(first._replace(domain=domain))
        for phase in phases:
            phase.notify(self._message(first.name, spec, first.strike))

    def _out_together(self, hit: Hit, domains: list[int], repair: Repair) -> None:
        """Take domains out of service; one repair brings all of them back."""
        pool = hit.partition.pool
        taken = take_out(pool, domains, self._world.scheduler.holders)

        course = self._defects.course(hit, repair)
        self._repair(hit, course, lambda: self._back(hit, give_back(pool, taken), course.note))
        self._world.note_level(hit.site, hit.partition)

    def _forget_slow(self, hit: Hit) -> None:
        """Slow units that go for repair with what broke are mended there."""
        if not hit.partition.slow:
            return
        whole = hit.spec.removes in ("domain", "group")
        for number, unit in list(hit.partition.slow.items()):
            if unit.domain == hit.domain and (whole or unit.node == hit.node):
                del hit.partition.slow[number]
                user = self._world.scheduler.holders.get(int(hit.partition.pool.owner[hit.domain]))
                if user is not None:
                    user.notify(Rerate())

    def _repair(self, hit: Hit, course: Course, done: Callable[[], None]) -> None:
        """Mend a unit: by itself, or (or then) by hand when a technician and a part are there."""
        agenda, workshop = self._world.agenda, self._workshops[hit.site.name]
        if course.manual is None or workshop.unlimited:
            agenda.at(agenda.now + ((course.automatic or 0.0) + (course.manual or 0.0)), Order.REPAIR, done)
        elif course.automatic is None:
            workshop.repair(course.manual, done)
        else:
            by_hand = partial(workshop.repair, course.manual, done)
            agenda.at(agenda.now + course.automatic, Order.REPAIR, by_hand)

    def _returned(self, hit: Hit, gpus: int, course: Course, *, found: bool) -> None:
        """A unit comes back from repair, mended or not."""
        hit.partition.pool.repair(hit.domain, gpus)
        if course.mended:
            self._defects.mended(hit)
            history = self._history(hit)
            if history is not None:
                history.mended(hit.domain, hit.node)
        elif found:
            self._defects.stays(hit)
        self._back(hit, gpus, course.note)

    def _back(self, hit: Hit, gpus: int, note: str = "") -> None:
        """Record that GPUs are back, and let waiting phases have them."""
        self._world.recorder.event(
            self._world.agenda.now, "repair", *hit.where, value=gpus, note=note, subject=hit.name
        )
        self._world.note_level(hit.site, hit.partition)
        self._world.reschedule()

    def strike_site(self, site: SiteState, name: str, spec: FaultClass, strike: Strike) -> None:
        """Let a failure hit a whole site."""
        now = self._world.agenda.now
        self._world.recorder.event(now, "failure", site=site.name, subject=name)
        if spec.removes == "site" and spec.repair is not None:
            site.outage_until = max(site.outage_until, now + repair_time(spec.repair, strike))
            self._world.agenda.at(site.outage_until, Order.REPAIR, lambda: self._back_up(site, name))
        for partition in site.partitions.values():
            for phase in list(self._world.scheduler.holders.values()):
                if phase.partition is partition:
                    phase.notify(self._message(name, spec, strike))
            self._world.note_level(site, partition)

    def _back_up(self, site: SiteState, name: str) -> None:
        self._world.recorder.event(self._world.agenda.now, "repair", site=site.name, subject=name)
        for partition in site.partitions.values():
            self._world.note_level(site, partition)
        self._world.reschedule()
