"""The life of a phase, as in `engine.phase`, one step between two waits after the other.

Each step sets the next one and returns whether the phase waits first. What is a call in the SimPy engine's
generators is a jump here that notes where to go on afterwards (the fields that begin with ``after_``).
"""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.kernel.agenda import halt, reschedule, take_signals
from colossus_sim.engine.kernel.holding import leave, release_gpus, storage_share, transfer_time
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.recovery import CHECKPOINT, RUNNING, note_stop, recovery_step
from colossus_sim.engine.kernel.state import State
from colossus_sim.engine.kernel.steps import CAUSE, STATE, Step
from colossus_sim.engine.kernel.stretches import roll_back, save_all
from colossus_sim.engine.kernel.waiting import (
    close_stretch,
    end_spending,
    fire_hazards,
    next_stop,
    open_stretch,
    pass_links,
    sleep,
    spend,
)

DATA_STATE, DATA_CAUSE = STATE["data_wait"], CAUSE["data_wait"]
GPU_STATE, GPU_CAUSE = STATE["gpu_wait"], CAUSE["gpu_wait"]
CAPACITY_STATE, CAPACITY_CAUSE = STATE["capacity_wait"], CAUSE["capacity_wait"]
FLOOR_STATE, FLOOR_CAUSE = STATE["calendar_floor"], CAUSE["calendar_floor"]
START, GATE, GATE_SPENT = int(Step.START), int(Step.GATE), int(Step.GATE_SPENT)
QUEUE, QUEUED, QUEUE_SPENT = int(Step.QUEUE), int(Step.QUEUED), int(Step.QUEUE_SPENT)
LAUNCH, LAUNCHED = int(Step.LAUNCH), int(Step.LAUNCHED)
WORK, WORK_DONE, LEAVE = int(Step.WORK), int(Step.WORK_DONE), int(Step.LEAVE)
REACT, REACT_STOPS, REACTED = int(Step.REACT), int(Step.REACT_STOPS), int(Step.REACTED)
STARVE, STARVE_SAVED, STARVE_SPENT = int(Step.STARVE), int(Step.STARVE_SAVED), int(Step.STARVE_SPENT)
STARVE_YIELD, STARVE_YIELD_SPENT = int(Step.STARVE_YIELD), int(Step.STARVE_YIELD_SPENT)
DELIVER, DELIVERING, DELIVERED = int(Step.DELIVER), int(Step.DELIVERING), int(Step.DELIVERED)
FLOOR, FLOOR_SPENT = int(Step.FLOOR), int(Step.FLOOR_SPENT)
END, ENDED = int(Step.END), int(Step.ENDED)
RESTART, RECOVER, SAVE = int(Step.RESTART), int(Step.RECOVER), int(Step.SAVE)


@compiled
def advance(state: State, hook: Any, phase: int) -> None:
    """Play the life of a phase up to its next wait, or to its end."""
    it = state.phases[phase]
    waits = False
    while not waits and it.step != ENDED and not state.world[0].error:
        if it.step <= QUEUE_SPENT:
            waits = queue_step(state, phase)
        elif it.step <= REACTED:
            waits = work_step(state, hook, phase)
        elif it.step <= END:
            waits = late_step(state, hook, phase)
        else:
            waits = recovery_step(state, hook, phase)


# -- until it has GPUs -----------------------------------------------------------------------------------


@compiled
def queue_step(state: State, phase: int) -> bool:
    """Steps START to QUEUE_SPENT."""
    it, world = state.phases[phase], state.world[0]
    if it.step == START:
        it.ready = world.now
        it.step = GATE
    elif it.step == GATE:
        if world.now < it.gate:
            return spend(state, phase, DATA_STATE, DATA_CAUSE, it.gate, GATE_SPENT)
        it.step = QUEUE if it.units < it.total else FLOOR
        if it.step == FLOOR and math.isnan(it.start):
            it.start = world.now
    elif it.step == GATE_SPENT:
        end_spending(state, phase)
        it.step = GATE
    elif it.step == QUEUE:
        it.queued_since, it.leaving = world.now, 0
        state.queue[world.queued] = phase
        world.queued += 1
        reschedule(state)
        it.step = QUEUED
    elif it.step == QUEUED:
        if not state.owned[phase]:
            if short_of_capacity(state, phase) or it.queue_cause == CAPACITY_CAUSE:
                return spend(state, phase, CAPACITY_STATE, CAPACITY_CAUSE, math.inf, QUEUE_SPENT)
            return spend(state, phase, GPU_STATE, GPU_CAUSE, math.inf, QUEUE_SPENT)
        it.queue_cause = GPU_CAUSE
        if math.isnan(it.start):
            it.start = world.now
        it.step = LAUNCH
    else:
        end_spending(state, phase)
        it.step = QUEUED
    return False


@compiled
def short_of_capacity(state: State, phase: int) -> bool:
    """Say whether not even an empty partition would be large enough today."""
    for part in range(state.parts.shape[0]):
        choice, pool = state.choices[phase, part], state.parts[part]
        if choice.candidate and pool.present - pool.spares - pool.reserves >= choice.domains:
            return False
    return True


# -- work ------------------------------------------------------------------------------------------------


@compiled
def released_units(state: State, phase: int) -> int:
    """Return how many units the released data allow, and note the next release."""
    it, now = state.phases[phase], state.world[0].now
    limit = it.total
    it.release = math.inf
    for index in range(it.first_gate, it.first_gate + it.gates):
        gate = state.gates[index]
        if gate.time <= now:
            limit = gate.limit
        else:
            it.release = gate.time
            break
    return int(limit)


@compiled
def begin_work(state: State, hook: Any, phase: int) -> bool:
    """Step WORK: compute until something happens, unless the data are used up."""
    it = state.phases[phase]
    if it.units >= it.total or it.stopped:
        it.step = LEAVE
        return False
    limit = released_units(state, phase)
    if it.units >= limit:
        it.step = STARVE
        return False
    open_stretch(state, hook, phase)
    it.step = WORK_DONE
    return sleep(state, phase, next_stop(state, phase, limit))


@compiled
def work_step(state: State, hook: Any, phase: int) -> bool:
    """Steps LAUNCH to REACTED."""
    it = state.phases[phase]
    if it.step == WORK:
        return begin_work(state, hook, phase)
    if it.step == LAUNCH:
        it.load_rank = 0 if it.units else -1
        it.replaced, it.after_restart = 0, LAUNCHED
        it.step = RESTART
    elif it.step == LAUNCHED:
        it.after_recover = WORK
        it.step = RECOVER if it.failures else WORK
    elif it.step == WORK_DONE:
        close_stretch(state, phase)
        pass_links(state, phase, it.units)
        it.step = DELIVER
        if it.units < it.total:
            take_signals(state, phase)
            it.step = REACT
    elif it.step == REACT:
        it.react_stops = it.stops
        fire_hazards(state, phase)
        it.after_recover = REACT_STOPS
        it.step = RECOVER if it.failures else REACT_STOPS
    elif it.step == REACT_STOPS:
        for _ in range(it.react_stops):
            leave(state, hook, phase)
            save_all(state, phase)
            note_stop(state, phase)
        it.step = REACTED
    else:
        it.step = LEAVE if it.stopped else WORK
    return False


# -- data gates and the end ------------------------------------------------------------------------------


@compiled
def late_step(state: State, hook: Any, phase: int) -> bool:
    """Steps STARVE to END."""
    it, world = state.phases[phase], state.world[0]
    if DELIVER <= it.step <= DELIVERED:
        return deliver_step(state, hook, phase)
    if it.step == STARVE:
        leave(state, hook, phase)
        it.attempts = 0  # it makes no progress because it waits for data
        if not it.yields:
            return spend(state, phase, DATA_STATE, DATA_CAUSE, it.release, STARVE_SPENT)
        it.after_save = STARVE_SAVED
        it.step = SAVE
    elif it.step == STARVE_SAVED:
        if it.failures:
            roll_back(state, phase, it.rank, world.now)
        release_gpus(state, hook, phase)
        it.step = STARVE_YIELD
    elif it.step == STARVE_YIELD:
        if world.now < it.release:
            return spend(state, phase, DATA_STATE, DATA_CAUSE, it.release, STARVE_YIELD_SPENT)
        it.step = LEAVE
    elif it.step == STARVE_YIELD_SPENT:
        end_spending(state, phase)
        it.step = STARVE_YIELD
    elif it.step == STARVE_SPENT:
        end_spending(state, phase)
        it.step = REACT
    elif it.step == LEAVE:
        release_gpus(state, hook, phase)
        it.step = QUEUE if it.units < it.total else FLOOR
        if it.step == FLOOR and math.isnan(it.start):
            it.start = world.now
    elif it.step == FLOOR:
        if world.now < it.start + it.min_duration:
            floor = it.start + it.min_duration
            return spend(state, phase, FLOOR_STATE, FLOOR_CAUSE, floor, FLOOR_SPENT)
        it.step = END
    elif it.step == FLOOR_SPENT:
        end_spending(state, phase)
        it.step = FLOOR
    else:
        finish(state, phase)
    return False


@compiled
def deliver_step(state: State, hook: Any, phase: int) -> bool:
    """Steps DELIVER to DELIVERED: write the output; a failure meanwhile rolls back to the newest copy."""
    it, now = state.phases[phase], state.world[0].now
    if it.step == DELIVER:
        bandwidth = state.sites[it.site].write_bandwidth * storage_share(state, phase)
        seconds = transfer_time(state, phase, it.output_bytes, bandwidth)
        it.step = LEAVE
        if seconds > 0:
            leave(state, hook, phase)
            it.save_end = now + seconds
            it.step = DELIVERING
    elif it.step == DELIVERING:
        return spend(state, phase, RUNNING, CHECKPOINT, it.save_end, DELIVERED)
    else:
        end_spending(state, phase)
        for _ in range(it.stops):
            note_stop(state, phase)
        it.after_recover = WORK
        it.step = RECOVER if it.failures else LEAVE if now >= it.save_end else DELIVERING
    return False


@compiled
def finish(state: State, phase: int) -> None:
    """Step END: the phase is complete."""
    it, world = state.phases[phase], state.world[0]
    it.end = world.now
    pass_links(state, phase, math.inf)
    world.unfinished -= 1
    if not world.unfinished:
        halt(state)
    it.step = ENDED
