"""The order of simultaneous events, and the one door through which anything is scheduled.

At the same instant completions come first, then failures, then repairs, then capacity changes, then
scheduling: a checkpoint that ends at the moment of a failure counts, a repair at the moment of a failure
does not prevent it, and the scheduler sees everything that has happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

import simpy
from simpy.events import EventPriority

from colossus_sim.errors import SimulationError


class Order(IntEnum):
    """Order of simultaneous events. SimPy resumes processes at priority 1, right after completions."""

    COMPLETION = 0
    RESUME = 1
    FAILURE = 2
    REPAIR = 3
    CAPACITY = 4
    SCHEDULING = 5
    RECORD = 6


class Agenda:
    """A thin layer over a SimPy environment: callbacks at a time, in a documented order."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.processed = 0

    @property
    def now(self) -> float:
        """Seconds since the scenario's start."""
        return float(self.env.now)

    def at(self, time: float, order: Order, action: Callable[[], None]) -> None:
        """Call `action` at `time`, among the events of that instant in the place that `order` gives it.

        Raises
        ------
        SimulationError
            If the time is NaN, or lies in the past.
        """
        now = self.now
        if not time >= now:  # also true of NaN
            raise SimulationError(f"an event was scheduled at {time} s, but it is already {now} s")
        if math.isinf(time):
            return
        event = simpy.Event(self.env)
        event._ok = True
        event._value = None
        event.callbacks = [lambda _: self._run(action)]
        self.env.schedule(event, priority=EventPriority(order), delay=time - now)

    def _run(self, action: Callable[[], None]) -> None:
        self.processed += 1
        action()
