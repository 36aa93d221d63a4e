"""Arithmetic of a stretch, as in `engine.progress`, and the copies that it leaves, as in `engine.checkpointing`.

A stretch is described by the fields of its phase that begin with ``s_``.
"""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.state import State

_SLACK = 1e-9  # as in engine.progress


@compiled
def stall_after(tiers: Any, count: int, unit: int) -> float:
    """Return the stall right after a unit. [s]"""
    for index in range(count - 1, -1, -1):
        if unit % tiers[index].period == 0:
            return float(tiers[index].stall)
    return 0.0


@compiled
def stalls_between(tiers: Any, count: int, low: float, high: int) -> float:
    """Return the stalls after all units n with ``low < n < high``. [s]"""
    first = math.floor(low)
    total = 0.0
    for index in range(count):
        period = tiers[index].period
        saves = (high - 1) // period - first // period
        if index + 1 < count:
            larger = tiers[index + 1].period
            saves -= (high - 1) // larger - first // larger
        total += max(saves, 0) * tiers[index].stall
    return total


@compiled
def end_of(state: State, phase: int, unit: int) -> float:
    """Return when a unit of the stretch completes. [s]"""
    it = state.phases[phase]
    tiers, count = state.tiers[it.s_tiers], state.tier_count[it.s_tiers]
    stalls = stalls_between(tiers, count, it.s_units, unit)
    return float(it.s_start + it.s_stall + (unit - it.s_units) * it.s_time + stalls)


@compiled
def saved_at(state: State, phase: int, unit: int) -> float:
    """Return when the save after a unit no longer stalls training. [s]"""
    tiers = state.phases[phase].s_tiers
    return end_of(state, phase, unit) + stall_after(state.tiers[tiers], state.tier_count[tiers], unit)


@compiled
def last_unit_by(state: State, phase: int, time: float) -> int:
    """Return the last whole unit completed by a time."""
    it = state.phases[phase]
    tiers, count = state.tiers[it.s_tiers], state.tier_count[it.s_tiers]
    first = math.floor(it.s_units)
    elapsed = max(0.0, time - it.s_start)
    low, high = first, first + math.ceil(elapsed / it.s_time) + 1
    if count:
        last = tiers[count - 1]
        cycle = last.period * it.s_time + stalls_between(tiers, count, 0.0, last.period) + last.stall
        cycles = int(elapsed / cycle)
        low = max(low, first + (cycles - 2) * last.period)
        high = min(high, first + (cycles + 2) * last.period)
    tolerance = time + _SLACK * it.s_time
    while low < high:
        middle = (low + high + 1) // 2
        if end_of(state, phase, middle) <= tolerance:
            low = middle
        else:
            high = middle - 1
    return int(low)


@compiled
def fraction(units: float, elapsed: float, unit_time: float) -> float:
    """Return the units done so much later, the next one not yet complete."""
    return min(units + elapsed / unit_time, math.floor(units) + 1 - _SLACK)


@compiled
def position(state: State, phase: int, time: float, unit: int) -> tuple[float, float]:
    """Return (units done, rest of the save under way)."""
    it = state.phases[phase]
    if unit <= it.s_units:
        rest = it.s_start + it.s_stall - time
        if rest > 0:
            return it.s_units, rest
        return fraction(it.s_units, -rest, it.s_time), 0.0
    free = saved_at(state, phase, unit)
    if time < free:
        return float(unit), free - time
    return fraction(float(unit), time - free, it.s_time), 0.0


@compiled
def stall_time(state: State, phase: int, time: float, unit: int) -> float:
    """Return the seconds stalled for saves since the start of the stretch."""
    it = state.phases[phase]
    tiers, count = state.tiers[it.s_tiers], state.tier_count[it.s_tiers]
    stalled = min(it.s_stall, time - it.s_start)
    if unit <= it.s_units:
        return float(stalled)
    stalled += stalls_between(tiers, count, it.s_units, unit)
    return float(stalled + min(stall_after(tiers, count, unit), max(0.0, time - end_of(state, phase, unit))))


@compiled
def saves_made(state: State, phase: int, time: float, unit: int) -> int:
    """Return the number of saves whose stall ended since the start of the stretch."""
    it = state.phases[phase]
    if not state.tier_count[it.s_tiers]:
        return 0
    period = state.tiers[it.s_tiers][0].period
    last = unit // period * period
    count = last // period - math.floor(it.s_units) // period
    if last > it.s_units and saved_at(state, phase, last) > time:
        count -= 1
    if 0.0 < it.s_stall <= time - it.s_start:
        count += 1
    return int(max(count, 0))


@compiled
def settle_save(state: State, phase: int, tier: int, time: float) -> None:
    """Count a pending save of a tier if it has become readable."""
    copy = state.saved[phase, tier]
    if copy.pending >= 0 and copy.ready <= time:
        copy.units = max(copy.pending, copy.units)
        copy.pending = -1


@compiled
def note_saves(state: State, phase: int, time: float, unit: int) -> None:
    """Take over the saves of a stretch that ends now."""
    it = state.phases[phase]
    tiers = state.tiers[it.s_tiers]
    for index in range(state.tier_count[it.s_tiers]):
        settle_save(state, phase, index, time)
        copy, tier = state.saved[phase, index], tiers[index]
        begun = unit // tier.period * tier.period
        done = begun
        while done > it.s_units:
            if saved_at(state, phase, done) + tier.drain <= time + _SLACK * it.s_time:
                copy.units = max(done, copy.units)
                break
            done -= tier.period
        if begun > it.s_units:
            ready = saved_at(state, phase, begun) + tier.drain
            if ready > time:
                copy.pending, copy.ready = begun, ready


@compiled
def restore_point(state: State, phase: int, rank: int, time: float) -> tuple[int, int]:
    """Return (unit, tier) of the newest copy that survives a failure of this rank; (0, -1) if none does."""
    it = state.phases[phase]
    best, chosen = 0, -1
    for index in range(state.tier_count[it.tiers]):
        settle_save(state, phase, index, time)
        unit = state.saved[phase, index].units
        if state.tiers[it.tiers][index].survives >= rank and unit > 0 and (chosen < 0 or unit > best):
            best, chosen = unit, index
    return best, chosen


@compiled
def keep_until(state: State, phase: int, unit: int) -> None:
    """Count nothing after this unit as kept, and go on from there."""
    it = state.phases[phase]
    number = it.unsettled
    while number >= 0:
        entry = state.entries[number]
        if entry.done <= unit:
            break
        entry.kept = min(entry.kept, max(0.0, unit - entry.begun))
        number = entry.older
    it.units = float(unit)
    it.stall_left = 0.0


@compiled
def forget_settled(state: State, phase: int) -> None:
    """Drop intervals that no failure can reach any more."""
    it = state.phases[phase]
    count = state.tier_count[it.tiers]
    oldest = 0
    for index in range(count):
        units = state.saved[phase, index].units
        oldest = units if index == 0 else min(oldest, units)
    number, newer = it.unsettled, -1
    while number >= 0:
        entry = state.entries[number]
        if not (entry.done > oldest and entry.kept > 0):
            if newer < 0:
                it.unsettled = entry.older
            else:
                state.entries[newer].older = entry.older
        else:
            newer = number
        number = entry.older


@compiled
def roll_back(state: State, phase: int, rank: int, time: float) -> None:
    """Return to the newest copy that survives a failure of this rank, or to the start if there is none."""
    unit, _ = restore_point(state, phase, rank, time)
    keep_until(state, phase, unit)
    for index in range(state.saved.shape[1]):
        copy = state.saved[phase, index]
        copy.pending = -1
        copy.units = min(copy.units, unit)
    forget_settled(state, phase)


@compiled
def save_all(state: State, phase: int) -> None:
    """Note that everything up to the last whole unit is safe, as after a controlled stop."""
    it = state.phases[phase]
    unit = math.floor(it.units)
    keep_until(state, phase, unit)
    for index in range(state.saved.shape[1]):
        copy = state.saved[phase, index]
        copy.pending = -1
        copy.units = unit if index < state.tier_count[it.tiers] else 0
    it.unsettled = -1
