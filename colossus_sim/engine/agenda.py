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


class _Action(simpy.Event):
    """An event that has one thing to do."""

    def __init__(self, env: simpy.Environment, action: Callable[[], None]) -> None:
        super().__init__(env)
        self.action = action
        self._ok = True
        self._value = None


class Agenda:
    """A thin layer over a SimPy environment: callbacks at a time, in a documented order.

    Attributes
    ----------
    env : simpy.Environment
        Where processes live.
    processed : int
        Callbacks run so far.
    settle : callable
        Called when an instant is over: before the first callback of the next one.
    """

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.processed = 0
        self.settle: Callable[[], None] = lambda: None
        self._instant = 0.0

    @property
    def now(self) -> float:
        """Seconds since the scenario's start."""
        return self.env.now

    def at(self, time: float, order: Order, action: Callable[[], None]) -> None:
        """Call `action` at `time`, among the events of that instant in the place that `order` gives it.

        Raises
        ------
        SimulationError
            If the time is NaN, or lies in the past.
        """
        now = self.env.now
        if not time >= now:  # also true of NaN
            raise SimulationError(f"an event was scheduled at {time} s, but it is already {now} s")
        if time == math.inf:
            return
        event = _Action(self.env, action)
        event.callbacks = [self._run]
        self.env.schedule(event, priority=EventPriority(order), delay=time - now)

    def _run(self, event: simpy.Event) -> None:
        now = self.env.now
        if now != self._instant:
            self.settle()
            self._instant = now
        self.processed += 1
        event.action()  # type: ignore[attr-defined]  # only actions have this callback
