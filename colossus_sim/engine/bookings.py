"""Free domains over time as announced run times tell, and GPUs that are booked ahead."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun
    from colossus_sim.engine.scheduler import Scheduler
    from colossus_sim.engine.site import PartitionState, SiteState


class Profile:
    """Free domains over time, as far as announced run times tell."""

    def __init__(self, now: float, free: int) -> None:
        self.times = [now]
        self.free = [free]

    def _cut(self, time: float) -> int:
        """Return the index of the piece that begins at `time`, made if need be."""
        index = bisect_right(self.times, time) - 1
        if self.times[index] == time:
            return index
        self.times.insert(index + 1, time)
        self.free.insert(index + 1, self.free[index])
        return index + 1

    def give(self, time: float, domains: int) -> None:
        """Let domains come free at a time."""
        for index in range(self._cut(max(time, self.times[0])), len(self.free)):
            self.free[index] += domains

    def take(self, start: float, end: float, domains: int) -> None:
        """Take domains from `start` to `end`; nothing happens if the start is never."""
        if math.isinf(start):
            return
        first = self._cut(start)
        last = len(self.free) if math.isinf(end) else self._cut(end)
        for index in range(first, last):
            self.free[index] -= domains

    def earliest(self, domains: int, length: float) -> float:
        """Return when so many domains are free for so long; infinity if never. [s]"""
        begin = 0
        for index in range(len(self.times)):
            if self.times[index] >= self.times[begin] + length and begin < index:
                break
            if self.free[index] < domains:
                begin = index + 1
                if begin >= len(self.times):
                    return math.inf
        return self.times[begin]


def expected_profile(
    scheduler: Scheduler, site: SiteState, partition: PartitionState, now: float, booked: Iterable[PhaseRun]
) -> Profile:
    """Return the free domains of a partition over time, without those that are kept for `booked`."""
    profile = Profile(now, scheduler.room(site, partition))
    for holder in scheduler.holders.values():
        if holder.partition is partition:
            profile.give(holder.expected_end(), partition.pool.held(holder.number))
    for phase in booked:
        begin = max(now, booked_from(phase))
        profile.take(begin, begin + phase.expected_run(), phase.booked_domains(partition))
    return profile


def booked_from(phase: PhaseRun) -> float:
    """Return from when on the GPUs of a phase with a reservation are kept for it. [s]"""
    ready = phase.spec.data_ready
    return phase.world.clock(phase.job.submit if ready is None else max(phase.job.submit, ready))


class Bookings:
    """Phases with a reservation that have not started yet."""

    def __init__(self) -> None:
        self._phases: list[PhaseRun] = []

    def __contains__(self, phase: PhaseRun) -> bool:
        """Whether GPUs are booked for a phase."""
        return phase in self._phases

    def __bool__(self) -> bool:
        """Whether any GPUs are booked."""
        return bool(self._phases)

    def add(self, phase: PhaseRun) -> None:
        """Book GPUs for a phase from its submission on."""
        self._phases.append(phase)
        self._phases.sort(key=lambda one: (booked_from(one), one.number))

    def started(self, phase: PhaseRun) -> None:
        """Note that a phase has its GPUs."""
        if phase in self._phases:
            self._phases.remove(phase)

    def before(self, phase: PhaseRun, partition: PartitionState, until: float) -> list[PhaseRun]:
        """Return the bookings of a partition before a moment, up to the phase's own if it has one."""
        others = self._phases[: self._phases.index(phase)] if phase in self._phases else self._phases
        return [one for one in others if one.candidates[0] is partition and booked_from(one) < until]

    def later(self, partition: PartitionState, now: float) -> list[PhaseRun]:
        """Return the bookings in a partition whose time has not come."""
        return [one for one in self._phases if one.candidates[0] is partition and booked_from(one) > now]

    def leave(
        self, scheduler: Scheduler, phase: PhaseRun, partition: PartitionState, domains: int, until: float
    ) -> bool:
        """Whether the bookings leave so many domains to a phase from now until a moment."""
        booked = self.before(phase, partition, until)
        if not booked:
            return True
        profile = expected_profile(scheduler, phase.site, partition, phase.now, booked)
        return profile.earliest(domains, until - phase.now) <= phase.now
