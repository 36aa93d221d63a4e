"""How a phase waits: signals arrive in an inbox, time passes in intervals, every interval is booked."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import simpy

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.holding import Holding, PhaseModel
from colossus_sim.engine.recorder import Entry
from colossus_sim.engine.signals import Signal

if TYPE_CHECKING:
    from colossus_sim.engine.world import World

Steps = Generator[simpy.Event, Any, None]


class Waiting(Holding):
    """A holder of GPUs that sleeps until a moment or a signal, and books where its time went."""

    def __init__(self, world: World, names: tuple[str, str], models: dict[str, PhaseModel]) -> None:
        super().__init__(world, names, models)
        self.inbox: list[Signal] = []
        self._wake: simpy.Event | None = None
        self._version = 0
        self._open: Entry | None = None

    # -- signals -------------------------------------------------------------------------------------

    def notify(self, signal: Signal) -> None:
        """Tell the phase that something happened; it reacts at this same instant."""
        self.inbox.append(signal)
        self._ring(self._version)

    def _ring(self, version: int) -> None:
        if version == self._version and self._wake is not None and not self._wake.triggered:
            self._wake.succeed()

    def sleep(self, until: float) -> Steps:
        """Wait until a moment or until a signal arrives, whichever is first."""
        self._version += 1
        if self.inbox:
            return
        agenda = self._agenda
        self._wake = simpy.Event(agenda)
        agenda.at(max(until, agenda.now), Order.COMPLETION, partial(self._ring, self._version))
        yield self._wake
        self._wake = None

    def take(self) -> list[Signal]:
        """Empty the inbox."""
        signals, self.inbox = self.inbox, []
        return signals

    # -- intervals -----------------------------------------------------------------------------------

    def computing_and_held(self) -> tuple[int, int]:
        """Return (GPUs that compute while it runs, GPUs held)."""
        partition = self.partition
        held = len(self.domains) * partition.pool.used_per_domain if partition is not None else 0
        return min(self.gpus, held), held

    def entry(self, state: str, cause: str = "", note: str = "") -> Entry:
        """Begin an interval of this phase."""
        now, partition = self._agenda.now, self.partition
        computing, held = self.computing_and_held()
        return Entry(
            job=self.job_name,
            phase=self.name,
            state=state,
            start=now,
            end=now,
            gpus=computing,
            held=held,
            site=self.site.name,
            partition=partition.pool.name if partition is not None else "",
            cause=cause,
            note=note,
            power=self.site.power_share(self),
        )

    def spend(
        self, state: str, cause: str, until: float, note: str = ""
    ) -> Generator[simpy.Event, Any, list[Signal]]:
        """Spend time in a state until a moment or a signal; return the signals."""
        self._open = self.entry(state, cause, note)
        yield from self.sleep(until)
        self.close_interval()
        return self.take()

    def close_interval(self) -> None:
        """Book the interval under way, if any."""
        if self._open is not None:
            self._open.end = self.now
            self.world.recorder.entries.append(self._open)
            self._open = None
