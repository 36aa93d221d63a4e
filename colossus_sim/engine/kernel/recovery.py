"""From a failure, or a controlled stop, back to work, as in `engine.recovery`; steps as in `life`."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.kernel.holding import (
    drop,
    leave,
    power_changed,
    refresh_tiers,
    take_replacements,
    transfer_time,
)
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.pools import spares_missing, win
from colossus_sim.engine.kernel.state import RESERVE, Error, State
from colossus_sim.engine.kernel.steps import CAUSE, STATE, Step
from colossus_sim.engine.kernel.stretches import restore_point, roll_back, save_all
from colossus_sim.engine.kernel.waiting import computing_and_held, end_spending, spend

STUCK = int(Error.STUCK)
RUNNING, DETECTING, RESTARTING = STATE["running"], STATE["detecting"], STATE["restarting"]
REPAIR_STATE = STATE["repair_wait"]
LOST_WORK, CHECKPOINT, RESTART_CAUSE = CAUSE["lost_work"], CAUSE["checkpoint"], CAUSE["restart"]
REPAIR_CAUSE, CAPACITY_CAUSE = CAUSE["repair_wait"], CAUSE["capacity_wait"]
SPEND, SPEND_DONE = int(Step.SPEND), int(Step.SPEND_DONE)
RESTART, RESTARTED = int(Step.RESTART), int(Step.RESTARTED)
RECOVER, RECOVERING = int(Step.RECOVER), int(Step.RECOVERING)
RECOVER_SAVED, RECOVER_NOTICED = int(Step.RECOVER_SAVED), int(Step.RECOVER_NOTICED)
RECOVER_DETECTED = int(Step.RECOVER_DETECTED)
REFILL, REFILLING = int(Step.REFILL), int(Step.REFILLING)
WIN, WIN_SPENT = int(Step.WIN), int(Step.WIN_SPENT)
REFILL_SPENT, REFILLED = int(Step.REFILL_SPENT), int(Step.REFILLED)
SAVE, SAVING, SAVE_SPENT = int(Step.SAVE), int(Step.SAVING), int(Step.SAVE_SPENT)


@compiled
def note_stop(state: State, phase: int) -> None:
    """Note that the GPUs go back."""
    it = state.phases[phase]
    it.stopped = 1
    it.queue_cause = CAPACITY_CAUSE
    it.interruptions += 1


@compiled
def go_spend(state: State, phase: int, doing: int, cause: int, until: float, then: int) -> None:
    """Spend time in a state, heeding failures and stops, and go on with step `then`."""
    it = state.phases[phase]
    it.spend_state, it.spend_cause, it.spend_until, it.after_spend = doing, cause, until, then
    it.step = SPEND


@compiled
def spending(state: State, phase: int) -> bool:
    """Step SPEND: wait, unless it is time; no failure is at hand then."""
    it = state.phases[phase]
    if state.world[0].now < it.spend_until:
        return spend(state, phase, it.spend_state, it.spend_cause, it.spend_until, SPEND_DONE)
    it.failures = it.unplanned = 0
    it.step = it.after_spend
    return False


@compiled
def spend_done(state: State, phase: int) -> None:
    """Step SPEND_DONE: go on if something came, else wait for the rest."""
    it = state.phases[phase]
    end_spending(state, phase)
    for _ in range(it.stops):
        note_stop(state, phase)
    if it.failures or it.stopped or it.spend_cause == REPAIR_CAUSE:
        it.step = it.after_spend
    else:
        it.step = SPEND


@compiled
def restart(state: State, hook: Any, phase: int) -> None:
    """Step RESTART: requeue, start processes, load (unless `load_rank` is -1: from scratch)."""
    it, world = state.phases[phase], state.world[0]
    drawn = state.restarts[phase, it.restart_draw]
    it.restart_draw += 1
    if it.restart_draw + RESERVE > it.restart_limit:
        world.refill = 1
    seconds = it.restart_base
    if it.replaced:
        seconds += world.swap_time
    if it.chosen_anew:
        seconds += world.selection_time
    it.chosen_anew = 0
    if drawn.by_hand < world.manual_fraction:
        seconds += world.manual_time * drawn.exponential
    state.sites[it.site].readers += 1
    refresh_tiers(state, hook, phase)
    loading = 0.0
    if not it.units:
        site = state.sites[it.site]
        bandwidth = site.read_bandwidth * (1.0 / max(1, site.readers))
        loading = transfer_time(state, phase, it.input_bytes, bandwidth)
    if it.load_rank >= 0:
        _, tier = restore_point(state, phase, it.load_rank, world.now)
        loading += state.tiers[it.tiers][tier].restore if tier >= 0 else 0.0
    seconds += loading
    go_spend(state, phase, RESTARTING, RESTART_CAUSE, world.now + seconds, RESTARTED)


@compiled
def recover_loop(state: State, phase: int) -> None:
    """Step RECOVERING: begin with the failures at hand, or go on if there are none left."""
    it, world = state.phases[phase], state.world[0]
    if not it.failures or it.stopped:
        it.step = it.after_recover
        return
    it.interruptions += 1
    it.unnoticed, it.to_detect = it.undetected, it.detection if it.unplanned else 0.0
    if not it.standing:  # a job that only waits for repairs is not stuck
        _check_progress(state, phase)
    if not it.unplanned and it.first:
        it.after_save = RECOVER_SAVED
        it.step = SAVE
        return
    if it.unplanned:
        it.recover_rank = max(it.recover_rank, it.rank)
        roll_back(state, phase, it.recover_rank, world.now)
    go_on_in_vain(state, phase)


@compiled
def go_on_in_vain(state: State, phase: int) -> None:
    """Compute on what is lost, as long as nobody notices."""
    it, now = state.phases[phase], state.world[0].now
    it.first = 0
    it.in_vain = max(it.in_vain, now + it.unnoticed)
    it.loaded = -1
    if now < it.in_vain:
        it.loaded = computing_and_held(state, phase)[0]
        load(state, phase, it.loaded)
    go_spend(state, phase, RUNNING, LOST_WORK, it.in_vain, RECOVER_NOTICED)


@compiled
def load(state: State, phase: int, gpus: int) -> None:
    """Count so many more GPUs (negative = fewer) among those that draw full power."""
    part = state.phases[phase].part
    state.parts[part].computing_gpus += gpus
    power_changed(state, part)


@compiled
def _check_progress(state: State, phase: int) -> None:
    it, world = state.phases[phase], state.world[0]
    safe = 0
    for tier in range(state.saved.shape[1]):
        safe = max(safe, state.saved[phase, tier].units)
    it.attempts = 0 if safe > it.safe else it.attempts + 1
    it.safe = safe
    if it.attempts > world.most_restarts:
        world.error = STUCK


@compiled
def refill_end(state: State, phase: int) -> None:
    """Leave the list of those that wait for replacements."""
    it, world = state.phases[phase], state.world[0]
    if it.in_broken:
        it.in_broken = 0
        world.broken = drop(state.waiting, world.broken, phase)
    it.step = REFILLED


@compiled
def win_step(state: State, phase: int) -> None:
    """Steps WIN and WIN_SPENT: win domains of the reserve one after another, then join those that wait."""
    it, world = state.phases[phase], state.world[0]
    pool = state.parts[it.part]
    if it.step == WIN_SPENT and (it.failures or it.stopped):
        it.step = REFILLED
    elif it.step == WIN_SPENT and world.now < it.spend_until:
        go_spend(state, phase, REPAIR_STATE, REPAIR_CAUSE, it.spend_until, WIN_SPENT)
    elif it.step == WIN_SPENT:
        if pool.reserve:
            win(state, it.part)
        take_replacements(state, phase)
        it.step = WIN
    elif pool.reserve and (state.owned[phase] < it.wanted or spares_missing(state, it.part)):
        until = world.now + pool.reserve_time
        go_spend(state, phase, REPAIR_STATE, REPAIR_CAUSE, until, WIN_SPENT)
    elif take_replacements(state, phase):
        it.step = REFILLED
    else:
        it.in_broken = 1
        state.waiting[world.broken] = phase
        world.broken += 1
        it.step = REFILLING


@compiled
def refill_step(state: State, phase: int) -> None:
    """Steps REFILL to REFILLED: get replacements, or wait for them."""
    it = state.phases[phase]
    if it.step == REFILL:
        it.replaced = int(state.owned[phase] < it.wanted)
        it.failures = it.unplanned = 0
        if take_replacements(state, phase):
            it.step = REFILLED
            return
        it.chosen_anew = 1
        it.step = WIN
    elif it.step == WIN or it.step == WIN_SPENT:
        win_step(state, phase)
    elif it.step == REFILLING:
        if it.in_broken and not it.failures and not it.stopped:
            go_spend(state, phase, REPAIR_STATE, REPAIR_CAUSE, math.inf, REFILL_SPENT)
        else:
            refill_end(state, phase)
    elif it.step == REFILL_SPENT:
        if it.in_broken and take_replacements(state, phase):
            refill_end(state, phase)
        else:
            it.step = REFILLING
    else:
        it.standing = int(it.failures > 0)
        it.load_rank, it.after_restart = it.recover_rank, RECOVERING
        it.step = RECOVERING if it.failures or it.stopped else RESTART


@compiled
def save_step(state: State, hook: Any, phase: int) -> None:
    """Steps SAVE, SAVING and SAVE_SPENT: save before a controlled stop; failures that spoil it are left."""
    it, world = state.phases[phase], state.world[0]
    if it.step == SAVE:
        leave(state, hook, phase)
        count = state.tier_count[it.tiers]
        seconds = 0.0
        if count:
            last = state.tiers[it.tiers][count - 1]
            seconds = last.stall + last.drain
        it.save_end = world.now + seconds
        it.step = SAVING
    elif it.step == SAVE_SPENT and it.unplanned and not it.stopped:
        it.step = it.after_save
    elif it.step == SAVE_SPENT and not it.stopped:
        it.step = SAVING
    elif it.step == SAVING and world.now < it.save_end:
        go_spend(state, phase, RUNNING, CHECKPOINT, it.save_end, SAVE_SPENT)
    else:
        save_all(state, phase)
        it.failures = it.unplanned = 0
        it.step = it.after_save


@compiled
def recovery_step(state: State, hook: Any, phase: int) -> bool:
    """Play a step of the recovery; return whether the phase waits."""
    it = state.phases[phase]
    step = it.step
    if step == SPEND:
        return spending(state, phase)
    if step == SPEND_DONE:
        spend_done(state, phase)
    elif step == RESTART:
        restart(state, hook, phase)
    elif step == RESTARTED:
        state.sites[it.site].readers -= 1
        it.step = it.after_restart
    elif step == RECOVER:
        leave(state, hook, phase)
        it.recover_rank, it.first, it.standing = 0, 1, 0
        it.in_vain = state.world[0].now
        it.step = RECOVERING
    elif step == RECOVERING:
        recover_loop(state, phase)
    elif step == RECOVER_SAVED:
        if it.failures:
            it.first = 0
            it.step = RECOVERING
        else:
            go_on_in_vain(state, phase)
    elif step == RECOVER_NOTICED:
        if it.loaded >= 0:
            gpus = it.loaded
            it.loaded = -1
            load(state, phase, -gpus)
        if it.failures or it.stopped:
            it.step = RECOVERING
        else:
            until = state.world[0].now + it.to_detect
            go_spend(state, phase, DETECTING, RESTART_CAUSE, until, RECOVER_DETECTED)
    elif step == RECOVER_DETECTED:
        it.step = RECOVERING if it.failures or it.stopped else REFILL
    elif step <= REFILLED:
        refill_step(state, phase)
    else:
        save_step(state, hook, phase)
    return False
