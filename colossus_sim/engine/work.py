"""The work of one phase: units done, copies saved, and the pace at which it goes on."""

from __future__ import annotations

import math

from colossus_sim.engine.checkpointing import SavedState
from colossus_sim.engine.progress import SaveTier, Stretch
from colossus_sim.engine.recorder import Entry, Recorder, UnitCost


class Work:
    """Units of a phase and what is known to be safe.

    Attributes
    ----------
    total : int
        Units of the whole phase.
    units : float
        Units done; the fraction is a step under way.
    tiers : tuple of SaveTier
        Saves at the present pace.
    """

    def __init__(self, total: int, recorder: Recorder) -> None:
        self.total = total
        self.units = 0.0
        self.stall_left = 0.0
        self.tiers: tuple[SaveTier, ...] = ()
        self.saved = SavedState()
        self.by_event = ""
        """Name of the tier whose saves are events of their own, if any."""
        self._recorder = recorder
        self._stretch: Stretch | None = None
        self._entry: Entry | None = None
        self._unsettled: list[Entry] = []

    @property
    def finished(self) -> bool:
        """Whether all units are done."""
        return self.units >= self.total

    @property
    def underway(self) -> bool:
        """Whether a stretch is open."""
        return self._stretch is not None

    def open(self, now: float, cost: UnitCost, entry: Entry) -> None:
        """Begin a stretch; `entry` is the interval that will hold it."""
        tiers = self.tiers
        if self.by_event:
            tiers = tuple(tier for tier in tiers if tier.name != self.by_event)
        self._stretch = Stretch(now, self.units, cost.actual, self.stall_left, tiers)
        entry.begun = self.units
        entry.cost = cost
        self._entry = entry

    @property
    def stretch_start(self) -> float:
        """When the open stretch began. [s]"""
        return math.nan if self._stretch is None else self._stretch.start

    @property
    def safe_units(self) -> int:
        """Units of the newest copy, whatever it survives."""
        return max(self.saved.units.values(), default=0)

    def time_of(self, unit: int) -> float:
        """Return when this unit will complete, if nothing happens. [s]"""
        if self._stretch is None:
            raise RuntimeError("no stretch is open")
        return self._stretch.end_of(unit)

    def close(self, now: float) -> None:
        """End the stretch: count the units done, note the saves, and book the interval."""
        stretch, entry = self._stretch, self._entry
        if stretch is None or entry is None:
            return
        end = stretch.at(now)
        self.units, self.stall_left = end.position()
        if self.units >= self.total:
            self.units, self.stall_left = float(self.total), 0.0
        self.saved.note(end)
        entry.end = now
        entry.done = self.units
        entry.kept = self.units - entry.begun
        entry.stalled = end.stall_time()
        entry.saves = float(end.saves())
        self._recorder.entries.append(entry)
        self._unsettled.append(entry)
        self._stretch = self._entry = None

    def roll_back(self, rank: int, now: float) -> None:
        """Return to the newest copy that survives a failure of this rank, or to the start if there is none."""
        unit = self.saved.readable_point(self.tiers, rank, now)
        self._keep_until(unit)
        self.saved.rolled_back(unit)
        self._forget_settled()

    def save_all(self) -> None:
        """Note that everything up to the last whole unit is safe, as after a controlled stop."""
        unit = math.floor(self.units)
        self._keep_until(unit)
        self.saved.all_at(self.tiers, unit)
        self._unsettled.clear()

    def _keep_until(self, unit: int) -> None:
        """Count nothing after this unit as kept, and go on from there."""
        for entry in reversed(self._unsettled):
            if entry.done <= unit:
                break
            entry.kept = min(entry.kept, max(0.0, unit - entry.begun))
        self.units = float(unit)
        self.stall_left = 0.0

    def _forget_settled(self) -> None:
        """Drop intervals that no failure can reach any more: those before the oldest copy."""
        oldest = min((self.saved.units.get(tier.name, 0) for tier in self.tiers), default=0)
        if self.saved.copies is not None:
            oldest = min(oldest, self.saved.copies.oldest())
        self._unsettled = [entry for entry in self._unsettled if entry.done > oldest and entry.kept > 0]

    @property
    def final_save_time(self) -> float:
        """Time of a controlled save to the last tier, until it can be read back. [s]"""
        if not self.tiers:
            return 0.0
        return self.tiers[-1].stall + self.tiers[-1].drain
