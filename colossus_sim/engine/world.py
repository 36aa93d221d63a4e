"""The state of a run that everybody shares, and the few things that change it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from colossus_sim.engine.agenda import Agenda, Order
from colossus_sim.engine.faults import FaultInjector
from colossus_sim.engine.holding import Holding
from colossus_sim.engine.phase import PhaseRun
from colossus_sim.engine.recorder import Recorder
from colossus_sim.engine.scheduler import Scheduler
from colossus_sim.engine.signals import Rerate, Stop
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.engine.storage_traffic import storage_demand
from colossus_sim.randomness import stream
from colossus_sim.specs.scenario import Scenario

Watch = Callable[[PhaseRun, float, float], None]
"""Gets the phase, when its stretch began [s], and the units done in it."""


class World:
    """Sites, phases, scheduler, clock and record of one run."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.agenda = Agenda()
        self.recorder = Recorder()
        self.placement_rng: np.random.Generator = stream(seed, "placement")
        self.scheduler = Scheduler(scenario.policies, self.placement_rng)
        self.sites: dict[str, SiteState] = {}
        self.phases: list[PhaseRun] = []
        self.unfinished = 0
        self.every_step = False
        """Whether each unit of work is an event of its own (slow; the fast engine must agree)."""
        self.on_all_done: Callable[[], None] = lambda: None
        self.watch: Watch | None = None
        """Told of every stretch of computing that ends; it changes nothing."""
        self.faults = FaultInjector(self)
        self._pending_resize: dict[tuple[str, str], int] = {}
        self._evicted: set[int] = set()
        self._changed_at = 0.0
        self._changed: dict[PartitionState, SiteState] = {}
        self.agenda.settle, self.agenda.unsettled = self.record_levels, self._changed
        self._reschedule_at = -1.0

    @property
    def domains(self) -> int:
        """Scale-up domains of all partitions, at their largest."""
        return sum(len(part.pool.owner) for site in self.sites.values() for part in site.partitions.values())

    # -- time and data -------------------------------------------------------------------------------

    def clock(self, posix: float) -> float:
        """Return the simulated time of a moment. [s]"""
        return posix - self.scenario.start

    def released_units(self, phase: PhaseRun, now: float) -> int:
        """Return how many units of a phase its released data allow."""
        releases = phase.job.data.releases
        if not phase.spec.data_gated or not releases or phase.model.tokens_per_unit <= 0:
            return phase.work.total
        tokens = max((part.tokens for part in releases if self.clock(part.ready) <= now), default=0.0)
        tokens = tokens * phase.job.data.max_epochs - self._tokens_before(phase)
        units = tokens / phase.model.tokens_per_unit
        # the last step is rounded up, so it may want a few tokens more than there are
        if units > phase.work.total - 1 or self.next_release(phase, now) == math.inf:
            return phase.work.total
        return max(0, math.floor(units))

    def _tokens_before(self, phase: PhaseRun) -> float:
        """Return the tokens that earlier gated phases of the same job consume."""
        total = 0.0
        for other in self.phases:
            if other is phase:
                break
            if other.job_name == phase.job_name and other.spec.data_gated:
                total += other.work.total * other.model.tokens_per_unit
        return total

    def next_release(self, phase: PhaseRun, now: float) -> float:
        """Return when the next data of a phase arrive; infinity if none do. [s]"""
        times = (self.clock(part.ready) for part in phase.job.data.releases)
        return min((time for time in times if time > now), default=math.inf)

    # -- scheduling ----------------------------------------------------------------------------------

    def reschedule(self) -> None:
        """Run the scheduler at this instant, after everything else, if there is anything to decide."""
        if not self.scheduler.has_work or self._reschedule_at == self.agenda.now:
            return
        self._reschedule_at = self.agenda.now
        self.agenda.at(self.agenda.now, Order.SCHEDULING, self._schedule)

    def _schedule(self) -> None:
        self._reschedule_at = -1.0
        self.scheduler.run()

    def running_changed(self, site: SiteState, partition: PartitionState) -> None:
        """A phase began or stopped to compute: share links and power anew."""
        partition.share_links()
        if site.throttle():
            for other in site.partitions.values():
                for _, phase in sorted(other.under_power().items()):
                    phase.notify(Rerate())
                self.note_level(site, other)
        self.note_level(site, partition)

    def holding_changed(self, phase: Holding) -> None:
        """A phase has taken or given back GPUs: share the storage anew."""
        site = phase.site
        if phase.domains and phase.model.state_bytes > 0:
            site.savers[phase.number] = 0.0
        else:
            site.savers.pop(phase.number, None)
        holders = [self.phases[number] for number in sorted(site.savers)]
        for holder in holders:
            before = holder.work.tiers
            holder.refresh_tiers()
            site.savers[holder.number] = storage_demand(holder)
            if holder.work.tiers != before and holder.underway:
                holder.notify(Rerate())
        if phase.partition is not None:
            self.note_level(site, phase.partition)

    def released(self, phase: PhaseRun, partition: PartitionState) -> None:
        """A phase has given its GPUs back."""
        self._evicted.discard(phase.number)
        self.holding_changed(phase)
        key = (phase.site.name, partition.pool.name)
        if key in self._pending_resize:
            self.set_capacity(phase.site, partition, self._pending_resize.pop(key))
        self.note_level(phase.site, partition)
        self.reschedule()

    def phase_ended(self, phase: PhaseRun) -> None:
        """A phase is complete."""
        self.unfinished -= 1
        if not self.unfinished:
            self.on_all_done()

    def note_level(self, site: SiteState, partition: PartitionState) -> None:
        """Record the state of a partition when everything of this instant has happened."""
        self._changed[partition] = site
        self._changed_at = self.agenda.now

    def record_levels(self) -> None:
        """Write down the partitions that changed in the instant that is over."""
        queue = self.scheduler.queue
        for partition, site in self._changed.items():
            queued = sum(1 for phase in queue if partition in phase.candidates) if queue else 0
            self.recorder.level(site.level_row(self._changed_at, partition, queued))
        self._changed.clear()

    # -- capacity ------------------------------------------------------------------------------------

    def set_capacity(self, site: SiteState, partition: PartitionState, gpus: int) -> None:
        """Change the installed GPUs; phases on GPUs that leave have saved and stop now."""
        pool = partition.pool
        holders = [phase for phase in self.scheduler.holders.values() if phase.partition is partition]
        victims = sorted(holders, key=lambda phase: (phase.job.priority, -phase.number))
        in_use = pool.resize(gpus, [phase.number for phase in victims])
        if in_use:
            self._pending_resize[(site.name, pool.name)] = gpus
            owners = {int(pool.owner[domain]) for domain in in_use}
            for phase in victims:
                if phase.number in owners and phase.number not in self._evicted:
                    self._evicted.add(phase.number)
                    phase.leaving = True
                    phase.notify(Stop("capacity_wait", at_once=True))
            return
        self.faults.set_populations(site, partition)
        for phase in self.scheduler.queue:
            phase.notify(Rerate())
        self.running_changed(site, partition)
        self.reschedule()

    def announce_capacity(self, site: SiteState, partition: PartitionState, gpus: int, note: str) -> None:
        """Change the installed GPUs as the scenario says, and record it."""
        self.recorder.event(
            self.agenda.now, "capacity", site=site.name, partition=partition.pool.name, value=gpus, note=note
        )
        self.set_capacity(site, partition, gpus)
