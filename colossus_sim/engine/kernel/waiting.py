"""How a phase waits and works, as in `engine.waiting` and `engine.phase`: intervals, stretches, hazards."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.kernel.agenda import push, take_signals
from colossus_sim.engine.kernel.holding import enter, under_power
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.state import RESERVE, Ask, Error, Kind, State
from colossus_sim.engine.kernel.stretches import (
    end_of,
    last_unit_by,
    note_saves,
    position,
    saves_made,
    stall_time,
)
from colossus_sim.records import STATES

SLEEP, BEGIN = int(Kind.SLEEP), int(Kind.BEGIN)
COST, ASKED = int(Ask.COST), int(Error.ASKED)
RUNNING = STATES.index("running")


# -- sleeping --------------------------------------------------------------------------------------------


@compiled
def sleep(state: State, phase: int, until: float) -> bool:
    """Wait until a moment or a signal; return whether there is anything to wait for."""
    it = state.phases[phase]
    it.version += 1
    if it.inbox:
        return False
    it.wake = 1
    push(state, max(until, state.world[0].now), SLEEP, phase, it.version, 0)
    return True


@compiled
def computing_and_held(state: State, phase: int) -> tuple[int, int]:
    """Return (GPUs computing, GPUs held)."""
    it = state.phases[phase]
    held = state.owned[phase] * state.parts[it.part].used if it.part >= 0 else 0
    return min(it.gpus, held), held


@compiled
def open_entry(state: State, phase: int) -> None:
    """Begin an interval: note the time, the GPUs, and the share of their dynamic power that they draw."""
    it = state.phases[phase]
    it.entry_start = state.world[0].now
    it.entry_gpus, it.entry_held = computing_and_held(state, phase)
    it.entry_power = 0.0
    if under_power(state, phase):
        it.entry_power = math.pow(state.sites[it.site].speed, state.sites[it.site].power_exponent)


@compiled
def spend(state: State, phase: int, doing: int, cause: int, until: float, then: int) -> bool:
    """Spend time in a state until a moment or a signal, then go on with step `then`; return whether it waits."""
    it = state.phases[phase]
    it.spending, it.entry_state, it.entry_cause = 1, doing, cause
    open_entry(state, phase)
    it.step = then
    return sleep(state, phase, until)


@compiled
def book_interval(state: State, phase: int) -> None:
    """Book the interval under way, if any."""
    it, world = state.phases[phase], state.world[0]
    if not it.spending:
        return
    it.spending = 0
    if world.now <= it.entry_start:
        return
    entry = state.entries[world.entries]
    world.entries += 1
    entry.phase, entry.state, entry.cause = phase, it.entry_state, it.entry_cause
    entry.start, entry.end = it.entry_start, world.now
    entry.gpus, entry.held, entry.part = it.entry_gpus, it.entry_held, it.part
    entry.power = it.entry_power
    entry.kept = entry.saves = 0.0


@compiled
def end_spending(state: State, phase: int) -> None:
    """Book the interval that is over and take the signals."""
    book_interval(state, phase)
    take_signals(state, phase)


# -- stretches -------------------------------------------------------------------------------------------


@compiled
def slowdown(state: State, phase: int) -> float:
    """Return the step-time factor of the slow units among a phase's domains."""
    part = state.phases[phase].part
    worst, any_slow = 1.0, False
    for place in range(state.parts[part].slow):
        unit = state.slow[state.slow_now[part, place]]
        if state.owner[part, unit.domain] == phase and (not any_slow or unit.factor > worst):
            worst, any_slow = unit.factor, True
    return worst


@compiled
def open_stretch(state: State, hook: Any, phase: int) -> None:
    """Begin to compute."""
    enter(state, hook, phase)
    it, world = state.phases[phase], state.world[0]
    it.inbox -= it.in_others
    it.in_others = 0
    node = state.parts[it.part].node
    cost = state.costs[node, phase]
    if cost.domains != state.owned[phase] and hook(COST, phase, node, 0):
        world.error = ASKED
        return
    it.packed, it.alone, it.shared = cost.packed, cost.alone, cost.shared
    it.s_start, it.s_units, it.s_stall, it.s_tiers = world.now, it.units, it.stall_left, it.tiers
    it.s_time = cost.shared * slowdown(state, phase) / state.sites[it.site].speed
    open_entry(state, phase)
    it.working, it.begun = 1, it.units


@compiled
def close_stretch(state: State, phase: int) -> None:
    """Stop computing: count the units done, note the saves, book the interval, let hazards age."""
    it, world = state.phases[phase], state.world[0]
    if not it.working:
        return
    now = world.now
    unit = last_unit_by(state, phase, now)
    it.units, it.stall_left = position(state, phase, now, unit)
    if it.units >= it.total:
        it.units, it.stall_left = float(it.total), 0.0
    note_saves(state, phase, now, unit)
    entry = state.entries[world.entries]
    entry.phase, entry.state, entry.cause, entry.part = phase, RUNNING, -1, it.part
    entry.start, entry.end, entry.begun, entry.done = it.entry_start, now, it.begun, it.units
    entry.gpus, entry.held, entry.power = it.entry_gpus, it.entry_held, it.entry_power
    entry.kept = it.units - it.begun
    entry.stalled = stall_time(state, phase, now, unit)
    entry.saves = float(saves_made(state, phase, now, unit))
    entry.planned, entry.reference, entry.actual = it.planned, it.reference, it.s_time
    entry.packed, entry.alone, entry.shared = it.packed, it.alone, it.shared
    entry.older = it.unsettled
    it.unsettled = world.entries
    world.entries += 1
    it.working = 0
    for number in range(it.hazard, it.hazard + it.hazards):
        state.hazards[number].left -= (now - it.s_start) * state.hazards[number].rate


@compiled
def next_stop(state: State, phase: int, limit: int) -> float:
    """Return when the stretch will end if nothing happens."""
    it = state.phases[phase]
    goal = min(it.total, limit)
    for number in range(state.links.shape[0]):
        link = state.links[number]
        if link.phase == phase and not link.done and it.units < link.units < math.inf:
            goal = min(goal, math.ceil(link.units))
    due = math.inf
    for number in range(it.hazard, it.hazard + it.hazards):
        hazard = state.hazards[number]
        if hazard.rate > 0:
            due = min(due, hazard.left / hazard.rate)
    return float(min(end_of(state, phase, goal), state.world[0].now + due))


@compiled
def pass_links(state: State, phase: int, units: float) -> None:
    """Let successors start for which a phase has done enough; `units` infinite = it has ended."""
    world = state.world[0]
    for number in range(state.links.shape[0]):
        link = state.links[number]
        if link.phase != phase or link.done or link.units > units:
            continue
        link.done = 1
        successor = state.phases[link.successor]
        successor.waiting -= 1
        if not successor.waiting and math.isnan(successor.ready):
            successor.trigger = phase
            push(state, world.now, BEGIN, link.successor, 0, 0)


@compiled
def fire_hazards(state: State, phase: int) -> None:
    """Add the failures of the phase's own software that are due to those at hand."""
    it, world = state.phases[phase], state.world[0]
    for number in range(it.hazard, it.hazard + it.hazards):
        hazard = state.hazards[number]
        if hazard.left > 1e-12:
            continue
        drawn = state.gaps[number, hazard.drawn]
        hazard.left = drawn.gap
        hazard.drawn += 1
        if hazard.drawn + RESERVE > hazard.limit:
            world.refill = 1
        world.failures += 1
        it.rank = max(it.rank, hazard.rank)  # 0 as long as nothing has failed, like the others
        it.detection = max(it.detection, world.watchdog if drawn.hang else hazard.detection)
        it.undetected = max(it.undetected, hazard.undetected)
        it.failures += 1
        it.unplanned += 1 - hazard.planned
