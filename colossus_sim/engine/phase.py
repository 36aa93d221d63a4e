"""The life of one phase of one job, told in order: wait, queue, launch, work, recover, finish."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import simpy

from colossus_sim.engine.failures import JobHazard
from colossus_sim.engine.hits import failure_of, time_out
from colossus_sim.engine.holding import PhaseModel
from colossus_sim.engine.recorder import UnitCost
from colossus_sim.engine.recovery import Recovery
from colossus_sim.engine.shared_saves import shared_saves
from colossus_sim.engine.signals import Failure, Granted, Grow, Rerate, Signal, Stop
from colossus_sim.engine.site import PartitionState
from colossus_sim.engine.waiting import Steps, Waiting

if TYPE_CHECKING:
    from colossus_sim.engine.world import World


class PhaseRun(Waiting):
    """One phase in play. Created by the world; everything that happens to it arrives through `notify`."""

    def __init__(self, world: World, names: tuple[str, str], models: dict[str, PhaseModel]) -> None:
        super().__init__(world, names, models)
        self.leaving = False
        """Whether it was told to give its GPUs back."""
        self.growing = False
        """Whether it was told to save and take more."""
        self.ready = math.nan
        self.started = math.nan
        self.ended = math.nan
        self.trigger = ""
        self.queued_since = math.nan
        self.queue_cause = "gpu_wait"
        self.interruptions = 0
        self.milestones: list[tuple[float, Callable[[], None]]] = []
        """(units, what to do) of successors that may start before this phase ends."""
        self.at_end: list[Callable[[], None]] = []
        self.hazards = [
            JobHazard(world.seed, ("job", self.job_name, self.name), name, spec)
            for name, spec in world.faults.classes("job")
        ]
        self.recovery = Recovery(self)
        self._known_costs: dict[tuple[object, ...], UnitCost] = {}
        """By layout, domains, links as shared and as broken, slow units and clock."""
        self.shared_saves = shared_saves(self)

    def close_interval(self) -> None:
        """Book the interval or the stretch under way; also called when the run ends."""
        super().close_interval()
        if self.work.underway:
            self._close_stretch()

    # -- the story -----------------------------------------------------------------------------------

    def life(self) -> Steps:
        """Play the phase from the moment its predecessors allow it to its end."""
        self.ready = self.now
        yield from self._wait_for_data(self.spec.data_ready)
        while not self.work.finished:
            yield from self._queue()
            yield from self.recovery.launch()
            yield from self._work()
            self._release()
        if math.isnan(self.started):
            self.started = self.now
        floor = self.started + self.spec.min_duration
        while self.now < floor:
            yield from self.spend("calendar_floor", "calendar_floor", floor)
        self.ended = self.now
        self.world.recorder.event(self.now, "finish", *self.where())
        for action in self.at_end:
            action()
        self.world.phase_ended(self)

    def _wait_for_data(self, posix: float | None) -> Steps:
        gate = -math.inf if posix is None else self.world.clock(posix)
        if self.now < gate:
            self.world.recorder.event(self.now, "gate", *self.where(), value=gate)
        while self.now < gate:
            yield from self.spend("data_wait", "data_wait", gate)

    def _queue(self) -> Steps:
        self.queued_since = self.now
        self.leaving = False
        self.world.scheduler.queue.append(self)
        self.world.reschedule()
        while not self.domains:
            cause = "capacity_wait" if self._short_of_capacity() else self.queue_cause
            yield from self.spend(cause, cause, math.inf)
        self.queue_cause = "gpu_wait"
        if math.isnan(self.started):
            self.started = self.now
        self.world.recorder.event(self.now, "start", *self.where(), value=self.gpus)

    def _short_of_capacity(self) -> bool:
        """Whether not even an empty partition would be large enough today."""
        return all(
            len(partition.pool.installed_ids) - partition.pool.spec.kept_domains
            < self.least_to_start(partition)
            for partition in self.candidates
        )

    def _work(self) -> Steps:
        while not self.work.finished and not self.recovery.stopped:
            limit = self.world.released_units(self, self.now)
            if self.work.units >= limit:
                if (yield from self._starve()):
                    return
                continue
            self._open_stretch()
            yield from self.sleep(self._next_stop(limit))
            self._close_stretch()
            self._pass_milestones()
            if self.work.finished:
                yield from self.recovery.deliver()
                continue
            if self.shared_saves is not None:
                yield from self.shared_saves.act()
            if (yield from self.react(self.take())):
                return

    def react(self, signals: list[Signal]) -> Generator[simpy.Event, Any, bool]:
        """Deal with what happened; return True if the phase gives its GPUs back."""
        failures = [signal for signal in signals if isinstance(signal, Failure)]
        for hazard in self.hazards:
            if hazard.fires():
                self.world.recorder.event(self.now, "failure", *self.where(), subject=hazard.name)
                watchdog = time_out(self.world.scenario.faults, hazard.hang)
                failures.append(failure_of(hazard.name, hazard.spec, watchdog=watchdog))
        if failures:
            yield from self.recovery.recover(failures)
        for signal in signals:
            if isinstance(signal, Stop):
                yield from self.recovery.stop(signal)
        if not self.recovery.stopped and any(isinstance(signal, Grow) for signal in signals):
            yield from self.recovery.grow()
        return self.recovery.stopped

    def _starve(self) -> Generator[simpy.Event, Any, bool]:
        """At the data gate: wait for the next release, or give the GPUs back; return True in that case."""
        release = self.world.next_release(self, self.now)
        self.world.recorder.event(self.now, "gate", *self.where(), value=release)
        self.leave()
        self.recovery.excuse()
        if self.job.data.when_starved == "yield":
            yield from self.recovery.save_or_roll_back()
            self._release()
            while self.now < release:
                yield from self.spend("data_wait", "data_wait", release)
            return True
        signals = yield from self.spend("data_wait", "data_wait", release)
        return (yield from self.react(signals))

    # -- stretches -----------------------------------------------------------------------------------

    def enter(self) -> None:
        """Join the phases that compute and communicate."""
        partition = self.held_partition()
        if self.number not in partition.computing:
            partition.enter(self)
            self.world.running_changed(self.site, partition)

    def leave(self) -> None:
        """Leave them, if it was among them."""
        if self.shared_saves is not None:
            self.shared_saves.abandon()
        if self.partition is not None and self.number in self.partition.computing:
            self.partition.leave(self)
            self.world.running_changed(self.site, self.partition)

    def load(self, gpus: int) -> None:
        """Count so many more GPUs (negative = fewer) among those that draw full power, without use of the links."""
        partition = self.held_partition()
        partition.load(self, gpus)
        self.world.running_changed(self.site, partition)

    def _open_stretch(self) -> None:
        self.enter()
        self.inbox = [signal for signal in self.inbox if not isinstance(signal, (Rerate, Granted))]
        self.work.open(self.now, self._cost(self.held_partition()), self.entry("running"))

    def _close_stretch(self) -> None:
        begun, units = self.work.stretch_start, self.work.units
        self.work.close(self.now)
        if self.world.watch is not None:
            self.world.watch(self, begun, self.work.units - units)
        for hazard in self.hazards:
            hazard.age(self.now - begun)

    def _cost(self, partition: PartitionState) -> UnitCost:
        shared, limited = partition.bandwidths[self.number], partition.limited(self)
        slowdown, speed = partition.slowdown(self), self.site.speed
        key = (self.layout, len(self.domains), shared, limited, slowdown, speed)
        cost = self._known_costs.get(key)
        if cost is None:
            cost = self._known_costs[key] = UnitCost(
                planned=self.model.planned_unit_time,
                reference=self.model.reference_time,
                packed=self.packed_time(),
                alone=self.unit_time(partition.alone(self)),
                shared=self.unit_time(shared),
                actual=self.unit_time(limited) * slowdown / speed,
            )
        return cost

    def _next_stop(self, limit: int) -> float:
        """Return when the stretch will end if nothing happens: done, a milestone, the data limit, own software."""
        goal = min(self.work.total, limit)
        if self.world.every_step:
            goal = min(goal, math.floor(self.work.units) + 1)
        if self.shared_saves is not None:
            goal = int(min(goal, self.shared_saves.next_unit()))
        for units, _ in self.milestones:
            if units > self.work.units:
                goal = min(goal, math.ceil(units))
        due = min((hazard.due_in() for hazard in self.hazards), default=math.inf)
        return min(self.work.time_of(goal), self.now + due)

    def _pass_milestones(self) -> None:
        passed = [action for units, action in self.milestones if units <= self.work.units]
        self.milestones = [pair for pair in self.milestones if pair[0] > self.work.units]
        for action in passed:
            action()

    # -- GPUs ----------------------------------------------------------------------------------------

    @property
    def underway(self) -> bool:
        """Whether it computes."""
        return self.work.underway

    def _release(self) -> None:
        if self.partition is None or not self.domains:
            return
        self.leave()
        partition = self.partition
        self.world.scheduler.returned(self)
        partition.pool.release(self.number)
        self.domains = {}
        self.gpus = 0
        self.leaving = self.growing = False
        self.recovery.stopped = self.recovery.evicted = False
        self.world.released(self, partition)
        self.partition = None
