"""Arithmetic of a stretch: steps at a constant pace, with saves every so many steps.

A stretch is never simulated step by step. Units (steps) are counted from the start of the phase; tier i saves
after each unit whose number is a multiple of its period, and the periods nest (each divides the next), so the
time of any unit, and the unit of any time, have closed forms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

_SLACK = 1e-9
"""Relative tolerance, in units, of a step that ends exactly at an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveTier:
    """One tier of saves, in units.

    Attributes
    ----------
    name : str
        Tier name.
    period : int
        Units between saves.
    stall : float
        Time that training stops for one save. [s]
    drain : float
        Further time until the save can be read back. [s]
    restore : float
        Time to load it. [s]
    survives : int
        Rank of the largest failure after which it can be read (see ``checkpointing.SURVIVAL``).
    """

    name: str
    period: int
    stall: float
    drain: float
    restore: float
    survives: int


@dataclass(slots=True)
class Stretch:
    """Units at a constant pace from a starting point.

    Attributes
    ----------
    start : float
        Time at which the stretch begins. [s]
    units : float
        Units done before it; the fraction is a step under way.
    unit_time : float
        Time of one unit. [s]
    stall_left : float
        Rest of a save under way at the start. [s]
    tiers : tuple of SaveTier
        Saves, periods nested, shortest first.
    """

    start: float
    units: float
    unit_time: float
    stall_left: float
    tiers: tuple[SaveTier, ...]
    _ends: dict[int, float] = field(default_factory=dict, repr=False, compare=False)
    """Ends of units that have been worked out; the last one is asked for several times."""

    def stall_after(self, unit: int) -> float:
        """Return the stall right after this unit: that of the largest tier that saves there. [s]"""
        for tier in reversed(self.tiers):
            if unit % tier.period == 0:
                return tier.stall
        return 0.0

    def stalls_between(self, low: float, high: int) -> float:
        """Return the stalls after all units n with ``low < n < high``. [s]"""
        first = math.floor(low)
        total = 0.0
        for index, tier in enumerate(self.tiers):
            count = (high - 1) // tier.period - first // tier.period
            if index + 1 < len(self.tiers):
                larger = self.tiers[index + 1].period
                count -= (high - 1) // larger - first // larger
            if count > 0:
                total += count * tier.stall
        return total

    def end_of(self, unit: int) -> float:
        """Return the time at which this unit completes, before any save after it. [s]"""
        end = self._ends.get(unit)
        if end is None:
            end = self._ends[unit] = (
                self.start
                + self.stall_left
                + (unit - self.units) * self.unit_time
                + self.stalls_between(self.units, unit)
            )
        return end

    def saved_at(self, unit: int) -> float:
        """Return the time at which the save after this unit no longer stalls training. [s]"""
        return self.end_of(unit) + self.stall_after(unit)

    def last_unit_by(self, time: float) -> int:
        """Return the last whole unit completed by `time` (those before the stretch included)."""
        first = math.floor(self.units)
        elapsed = max(0.0, time - self.start)
        low, high = first, first + math.ceil(elapsed / self.unit_time) + 1
        middle = high
        if self.tiers:
            period = self.tiers[-1].period
            cycle = period * self.unit_time + self.stalls_between(0, period) + self.tiers[-1].stall
            cycles = int(elapsed / cycle)
            low = max(low, first + (cycles - 2) * period)
            high = min(high, first + (cycles + 2) * period)
            middle = self._guess(elapsed, period, cycle)
        tolerance = time + _SLACK * self.unit_time
        low, high = self._bracket(middle, low, high, tolerance)
        while low < high:
            middle = (low + high + 1) // 2
            if self.end_of(middle) <= tolerance:
                low = middle
            else:
                high = middle - 1
        return low

    def _guess(self, elapsed: float, period: int, cycle: float) -> int:
        """Return about which unit is done so long after the start; exact up to rounding where one tier saves."""
        inside = self.units % period
        since = max(0.0, elapsed - self.stall_left) + inside * self.unit_time
        whole = int(since / cycle)
        last = math.floor(self.units - inside + 0.5) + whole * period
        return last + min(int((since - whole * cycle) / self.unit_time), period)

    def _bracket(self, guess: int, low: int, high: int, limit: float) -> tuple[int, int]:
        """Narrow the range of the last unit that ends by `limit`, in growing strides from a good guess."""
        guess = min(max(guess, low), high)
        stride = 1
        if guess == low or self.end_of(guess) <= limit:
            low = guess
            while low + stride < high and self.end_of(low + stride) <= limit:
                low += stride
                stride *= 2
            return low, min(high, low + stride)
        high = guess - 1
        while high - stride > low and self.end_of(high - stride) > limit:
            high -= stride + 1
            stride *= 2
        return max(low, high - stride), high

    def at(self, time: float) -> Moment:
        """Return the state of the stretch at `time`."""
        return Moment(self, time, self.last_unit_by(time))


class Moment(NamedTuple):
    """A stretch seen at one time; `unit` is the last whole unit completed by then."""

    stretch: Stretch
    time: float
    unit: int

    def position(self) -> tuple[float, float]:
        """Return (units done, rest of the save under way)."""
        stretch = self.stretch
        if self.unit <= stretch.units:
            rest = stretch.start + stretch.stall_left - self.time
            return (stretch.units, rest) if rest > 0 else (self._fraction(stretch.units, -rest), 0.0)
        free = stretch.saved_at(self.unit)
        if self.time < free:
            return float(self.unit), free - self.time
        return self._fraction(float(self.unit), self.time - free), 0.0

    def _fraction(self, units: float, elapsed: float) -> float:
        return min(units + elapsed / self.stretch.unit_time, math.floor(units) + 1 - _SLACK)

    def last_save(self, tier: SaveTier) -> int | None:
        """Return the last unit whose save by this tier is readable, if it was made in this stretch."""
        unit = self.unit // tier.period * tier.period
        while unit > self.stretch.units:
            if self.stretch.saved_at(unit) + tier.drain <= self.time + _SLACK * self.stretch.unit_time:
                return unit
            unit -= tier.period
        return None

    def pending_save(self, tier: SaveTier) -> tuple[int, float] | None:
        """Return (unit, time when readable) of the last save that has begun but is not readable yet."""
        unit = self.unit // tier.period * tier.period
        if unit <= self.stretch.units:
            return None
        ready = self.stretch.saved_at(unit) + tier.drain
        return (unit, ready) if ready > self.time else None

    def stall_time(self) -> float:
        """Return the seconds stalled for saves since the start."""
        stretch = self.stretch
        stalled = min(stretch.stall_left, self.time - stretch.start)
        if self.unit <= stretch.units:
            return stalled
        stalled += stretch.stalls_between(stretch.units, self.unit)
        return stalled + min(stretch.stall_after(self.unit), max(0.0, self.time - stretch.end_of(self.unit)))

    def saves(self) -> int:
        """Return the number of saves whose stall ended since the start."""
        stretch = self.stretch
        if not stretch.tiers:
            return 0
        period = stretch.tiers[0].period
        unit = self.unit // period * period
        count = unit // period - math.floor(stretch.units) // period
        if unit > stretch.units and stretch.saved_at(unit) > self.time:
            count -= 1
        if 0.0 < stretch.stall_left <= self.time - stretch.start:
            count += 1
        return max(count, 0)
