"""Repairs by hand at one site: a crew of limited size, and parts that may run out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from colossus_sim.engine.agenda import Agenda, Order


class Workshop:
    """First come, first served: a repair needs one technician from start to end, and one part.

    Used parts are ordered again at once, one for one, and arrive after the lead time (base-stock policy).
    """

    def __init__(self, agenda: Agenda, *, crew: int | None, parts: int | None, lead_time: float) -> None:
        self._agenda = agenda
        self._crew = crew
        self._parts = parts
        self._lead_time = lead_time
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()

    @property
    def unlimited(self) -> bool:
        """Whether nobody ever waits."""
        return self._crew is None and self._parts is None

    @property
    def waiting(self) -> int:
        """Units that wait for hands or for a part."""
        return len(self._waiting)

    def repair(self, seconds: float, done: Callable[[], None]) -> None:
        """Take in a unit whose repair takes so many seconds of work; `done` is called when it is mended."""
        if self.unlimited:
            self._agenda.at(self._agenda.now + seconds, Order.REPAIR, done)
            return
        self._waiting.append((seconds, done))
        self._begin()

    def _begin(self) -> None:
        while self._waiting and self._crew != 0 and self._parts != 0:
            seconds, done = self._waiting.popleft()
            now = self._agenda.now
            if self._crew is not None:
                self._crew -= 1
            if self._parts is not None:
                self._parts -= 1
                self._agenda.at(now + self._lead_time, Order.REPAIR, self._delivered)
            self._agenda.at(now + seconds, Order.REPAIR, partial(self._finished, done))

    def _finished(self, done: Callable[[], None]) -> None:
        if self._crew is not None:
            self._crew += 1
        done()
        self._begin()

    def _delivered(self) -> None:
        if self._parts is not None:
            self._parts += 1
        self._begin()
