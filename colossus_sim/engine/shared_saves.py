"""Saves of one phase to a shared storage at which jobs queue: each is an event of its own."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from colossus_sim.engine.progress import SaveTier
from colossus_sim.engine.signals import Failure, Rerate, Signal, Stop
from colossus_sim.engine.storage_desk import StorageDesk, Transfer

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun

Steps = Generator[simpy.Event, Any, None]


class SharedSaves:
    """When a phase saves to the shared storage, and its place in the queue there."""

    def __init__(self, phase: PhaseRun, desk: StorageDesk, index: int) -> None:
        self._phase = phase
        self._desk = desk
        self._index = index
        """Place of the shared tier in the saving policy."""
        self._counted_from: float | None = None
        self._last_save = 0.0
        self._transfer: Transfer | None = None
        self._moves_alone = False
        """Whether the transfer under way no longer stops the job."""

    @property
    def tier(self) -> SaveTier:
        """The tier at the present pace."""
        return self._phase.work.tiers[self._index]

    @property
    def _asynchronous(self) -> bool:
        return self._phase.policy.tiers[self._index].mode == "async"

    def next_unit(self) -> float:
        """Return the unit after which the phase has something to do here; infinity if it only waits."""
        units = self._phase.work.units
        if self._counted_from is None:
            self._counted_from = units
        if self._transfer is None:
            # A transfer may have taken longer than the interval: then at the end of the unit under way.
            return max(math.floor(self._counted_from) + self.tier.period, math.ceil(units))
        if self._transfer.granted and not self._moves_alone:
            return math.ceil(units)
        return math.inf

    def act(self) -> Steps:
        """Ask for the storage when a save is due, and save when it is granted."""
        phase = self._phase
        whole = phase.work.units == math.floor(phase.work.units)
        if self._transfer is None and whole and phase.work.units >= self.next_unit():
            if self._asynchronous:
                yield from self._snapshot()
                return
            self._transfer = self._ask(stops=not self._desk.jobs_compute_on)
        transfer = self._transfer
        if transfer is None or self._moves_alone:
            return
        if transfer.stops or (transfer.granted and whole):
            yield from self._write(transfer)

    def abandon(self) -> None:
        """The phase stops computing: nothing more of a save under way counts."""
        if self._transfer is not None:
            self._desk.cancel(self._transfer)
        self._transfer = None
        self._moves_alone = False
        self._counted_from = None

    def load(self) -> Generator[simpy.Event, Any, list[Signal]]:
        """Read the newest copy; return the signals that cut it short."""
        self._last_save = self._phase.now
        return (yield from self.move(self.tier.restore, "restarting", "restart"))

    def move(
        self, seconds: float, state: str, cause: str, *, read: bool = True
    ) -> Generator[simpy.Event, Any, list[Signal]]:
        """Stand still until a transfer of so many seconds is over; return the signals that cut it short."""
        phase = self._phase
        transfer = self._ask(stops=True, seconds=seconds, read=read)
        if not read:
            self._begun()
        signals: list[Signal] = []
        while not transfer.done and not signals:
            if transfer.granted and not transfer.running:
                self._desk.begin(transfer)
            found = yield from phase.spend(state, cause, math.inf)
            signals = [signal for signal in found if not isinstance(signal, Rerate)]
        if not transfer.done:
            self._desk.cancel(transfer)
        return signals

    # -- one save ------------------------------------------------------------------------------------

    def _ask(self, *, stops: bool, seconds: float | None = None, read: bool = True) -> Transfer:
        phase, tier = self._phase, self.tier
        storage = phase.site.spec.storage
        bandwidth = storage.read_bandwidth if read and seconds is not None else storage.write_bandwidth
        since = self._last_save if seconds is None and not stops else phase.now
        transfer = Transfer(
            seconds=(tier.drain if self._asynchronous else tier.stall) if seconds is None else seconds,
            most=min(1.0, storage.bandwidth_per_gpu * phase.gpus / bandwidth),
            gpus=phase.gpus,
            stops=stops,
            at_risk_since=since,
            failure_rate=math.fsum(phase.world.faults.rates(phase)),
            restore=tier.restore,
            changed=lambda: phase.notify(Rerate()),
        )
        self._desk.ask(transfer)
        return transfer

    def _write(self, transfer: Transfer) -> Steps:
        """Stand still until the copy is written, or until something more urgent comes."""
        phase = self._phase
        later: list[Signal] = []
        self._begun()
        while not transfer.done:
            if transfer.granted and not transfer.running:
                self._desk.begin(transfer)
            signals = yield from phase.spend("running", "checkpoint", math.inf)
            later += [signal for signal in signals if not isinstance(signal, Rerate)]
            if any(isinstance(signal, (Failure, Stop)) for signal in later):
                break
        phase.inbox = later + phase.inbox
        if transfer.done:
            phase.world.recorder.entries[-1].saves = 1.0
            self._saved(math.floor(phase.work.units))
        else:
            self.abandon()

    def _begun(self) -> None:
        """Count the work of a save that begins, where the desk has it so."""
        if self._desk.counts_from_start:
            self._phase.work.saved.keep(self.tier.name, math.floor(self._phase.work.units))

    def _snapshot(self) -> Steps:
        """Stand still for the copy to host memory; the rest moves by itself."""
        phase, unit = self._phase, math.floor(self._phase.work.units)
        end, later = phase.now + self.tier.stall, list[Signal]()
        while phase.now < end and not any(isinstance(signal, (Failure, Stop)) for signal in later):
            later += yield from phase.spend("running", "checkpoint", end)
        phase.inbox = later + phase.inbox
        if phase.now < end:
            self.abandon()
            return
        self._moves_alone = True
        self._counted_from = float(unit)
        transfer = self._ask(stops=False)
        self._transfer = transfer

        def moved() -> None:
            if transfer.done:
                self._saved(unit)
                phase.notify(Rerate())
            elif transfer.granted and not transfer.running:
                self._desk.begin(transfer)

        transfer.changed = moved
        moved()

    def _saved(self, unit: int) -> None:
        phase = self._phase
        phase.work.saved.keep(self.tier.name, unit)
        self._last_save = phase.now
        self._transfer = None
        if not self._moves_alone:
            self._counted_from = phase.work.units
        self._moves_alone = False


def shared_saves(phase: PhaseRun) -> SharedSaves | None:
    """Return what a phase needs to queue at its site's storage; None if it never saves there."""
    desk, tiers = phase.site.desk, phase.policy.tiers
    shared = [index for index, tier in enumerate(tiers) if tier.write_bandwidth is None]
    if desk is None or not shared or phase.model.state_bytes <= 0:
        return None
    phase.work.by_event = tiers[shared[-1]].name
    return SharedSaves(phase, desk, shared[-1])
