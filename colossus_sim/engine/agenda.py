"""The order of simultaneous events, and the one door through which anything is scheduled.

At the same instant completions come first, then failures, then repairs, then capacity changes, then
scheduling: a checkpoint that ends at the moment of a failure counts, a repair at the moment of a failure
does not prevent it, and the scheduler sees everything that has happened.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Sized
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any

import simpy

from colossus_sim.errors import SimulationError

LEAST_AT_ONCE, EACH_AT_ONCE = 1_000_000, 1_000
"""Callbacks at one instant beyond which a run is taken to go round in circles: at least, and per phase and domain.
Real ones are a few for each phase and domain that something happens to."""
_LOOKED_AT = 1_000
"""Callbacks and events of such a circle that are looked at to name who is in it."""


def most_at_once(phases: int, domains: int) -> int:
    """Return how many callbacks one instant may have."""
    return max(LEAST_AT_ONCE, EACH_AT_ONCE * (phases + domains))


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

    def play(self, stop: simpy.Event, most: float = math.inf) -> None:
        """Do what `run(until=stop)` does, without a method call for each callback and event.

        Parameters
        ----------
        stop : simpy.Event
            The end.
        most : float
            Callbacks that one instant may have, see `most_at_once`. Events of SimPy are not counted: a phase that
            sleeps is woken by a callback.

        Raises
        ------
        SimulationError
            If an instant has more of them: an endless loop, a bug of the engine.
        """
        entries, latest = self._entries, self.processed + most
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
                latest = self.processed + most
            elif self.processed > latest:
                what()
                raise self._circle(most)
            self.processed += 1
            what()

    def _circle(self, most: float) -> SimulationError:
        """Go round a few times more, to say who is in the circle."""
        jobs: Counter[str] = Counter()
        for _ in range(_LOOKED_AT):
            if not self._entries or self._entries[0][0] != self._now:
                break
            jobs.update({_job_of(self._entries[0][3])} - {""})
            self.step()
        named = ", ".join(job for job, _ in jobs.most_common(3)) or "no job in particular"
        return SimulationError(
            f"internal error: more than {most:,.0f} events at one instant, day {self._now / 86400:.6g} "
            f"({self._now!r} s); going round: {named}. Please report the scenario and its seed"
        )


def _job_of(entry: Any) -> str:
    """Return ``job/phase`` of the phase that a callback or an event of SimPy belongs to; empty if there is none."""
    owners: list[Any] = [getattr(getattr(entry, "func", entry), "__self__", None)]
    for waiting in getattr(entry, "callbacks", None) or ():
        life = getattr(getattr(waiting, "__self__", None), "_generator", None)
        owners.append(inspect.getgeneratorlocals(life).get("self") if inspect.isgenerator(life) else None)
    return next((f"{own.job_name}/{own.name}" for own in owners if hasattr(own, "job_name")), "")
