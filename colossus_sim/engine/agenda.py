"""The order of simultaneous events, and the one door through which anything is scheduled.

At the same instant completions come first, then failures, then repairs, then capacity changes, then
scheduling: a checkpoint that ends at the moment of a failure counts, a repair at the moment of a failure
does not prevent it, and the scheduler sees everything that has happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sized
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any

import simpy

from colossus_sim.errors import SimulationError


class Order(IntEnum):
    """Order of simultaneous events. SimPy resumes processes at priority 1, right after completions."""

    COMPLETION = 0
    RESUME = 1
    FAILURE = 2
    REPAIR = 3
    CAPACITY = 4
    SCHEDULING = 5


class Agenda(simpy.Environment):
    """A SimPy environment with callbacks at a time, in a documented order.

    A callback is a bare entry of SimPy's own queue, not an event object: most of what happens in a run is a
    failure or a repair that nobody waits for. Processes and the events that they wait for are SimPy's.

    Attributes
    ----------
    processed : int
        Callbacks run so far.
    settle : callable
        Called when an instant is over, before the first callback of the next one, if there is anything `unsettled`.
    unsettled : sized
        What `settle` looks at.
    """

    now: float = 0.0  # SimPy's is a property, and everybody asks all the time
    """Seconds since the start."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.processed = 0
        self.settle: Callable[[], None] = lambda: None
        self.unsettled: Sized = ()
        self._instant = 0.0
        self._entries: Any = self._queue  # the same heap; SimPy's type allows no callbacks in it

    def at(self, time: float, order: Order, action: Callable[[], None]) -> None:
        """Call `action` at `time`, among the events of that instant in the place that `order` gives it.

        Raises
        ------
        SimulationError
            If the time is NaN, or lies in the past.
        """
        now = self._now
        if not time >= now:  # also true of NaN
            raise SimulationError(f"an event was scheduled at {time} s, but it is already {now} s")
        if time != math.inf:
            # as a delay, like SimPy's own entries, so that equal times are equal whoever schedules
            heappush(self._entries, (now + (time - now), order, next(self._eid), action))

    def step(self) -> None:
        """Run the next callback, or let SimPy process its next event."""
        entries = self._entries
        if not entries or isinstance(entries[0][3], simpy.Event):
            self.now = entries[0][0] if entries else self.now
            super().step()
            return
        now, _, _, action = heappop(entries)
        self._now = self.now = now
        if now != self._instant:
            if self.unsettled:
                self.settle()
            self._instant = now
        self.processed += 1
        action()

    def play(self, stop: simpy.Event) -> None:
        """Do what `run(until=stop)` does, without a method call for each callback and event."""
        entries = self._entries
        while stop.callbacks is not None:
            now, _, _, what = heappop(entries)
            self._now = self.now = now
            if isinstance(what, simpy.Event):
                event: Any = what  # SimPy's type has no room for the None that it sets itself
                callbacks, event.callbacks = event.callbacks, None
                for callback in callbacks:
                    callback(event)
                if not event.ok and not event.defused:
                    raise event.value
                continue
            if now != self._instant:
                if self.unsettled:
                    self.settle()
                self._instant = now
            self.processed += 1
            what()
