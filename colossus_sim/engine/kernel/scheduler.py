"""Who gets GPUs, as in `engine.scheduler`, for policies whose order is fixed and that never preempt."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.kernel.agenda import notify_change
from colossus_sim.engine.kernel.holding import drop, holding_changed, take_replacements
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.pools import it_power, look_at_gaps
from colossus_sim.engine.kernel.state import Ask, Error, State
from colossus_sim.engine.site import ROUNDING

PLACE, ASKED = int(Ask.PLACE), int(Error.ASKED)


@compiled
def goes_first(state: State, one: int, other: int) -> bool:
    """Say whether one phase comes before another in the queue."""
    a, b = state.phases[one], state.phases[other]
    if state.world[0].by_priority and a.priority != b.priority:
        return bool(a.priority > b.priority)
    if a.queued_since != b.queued_since:
        return bool(a.queued_since < b.queued_since)
    return one < other


@compiled
def put_in_order(state: State, ordered: Any, phases: Any, count: int) -> None:
    """Write the first `count` phases of a list to `ordered`, those that go first first."""
    for index in range(count):
        phase, place = phases[index], index
        while place > 0 and goes_first(state, phase, ordered[place - 1]):
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = phase


@compiled
def schedule(state: State, hook: Any) -> None:
    """Serve everybody who can be served now."""
    world = state.world[0]
    world.reschedule_at = -1.0
    ordered, count = state.in_turn, world.broken
    put_in_order(state, ordered, state.waiting, count)
    for index in range(count):
        phase = ordered[index]
        before = state.owned[phase]
        complete = take_replacements(state, phase)
        if complete:
            state.phases[phase].in_broken = 0
            world.broken = drop(state.waiting, world.broken, phase)
        if complete or state.owned[phase] > before:
            notify_change(state, phase)
    world.passes += 1
    count = world.queued
    put_in_order(state, ordered, state.queue, count)
    for index in range(count):
        phase = ordered[index]
        site = state.sites[state.phases[phase].site]
        if world.strict and site.blocked_in == world.passes:
            continue  # nobody passes anybody at the same site
        if not start(state, hook, phase):
            site.blocked_in = world.passes


@compiled
def room(state: State, part: int) -> int:
    """Return the domains of a partition that jobs could take now: free ones, as far as the power goes."""
    it, site = state.parts[part], state.sites[state.parts[part].site]
    if not site.queues:
        return int(it.free)
    left = site.power
    for other in range(site.first_part, site.first_part + site.parts):
        left -= it_power(state, other, 0.0)
    for index in range(state.world[0].holders):
        phase = state.holders[index]
        holder = state.phases[phase]
        if holder.site == it.site and holder.part >= 0:
            pool = state.parts[holder.part]
            left -= max(holder.wanted, state.owned[phase]) * (pool.used * pool.busy_power)
    each = it.used * it.busy_power
    if each <= 0:
        return int(it.free)
    return int(max(0, min(it.free, math.floor(left / each + ROUNDING))))


@compiled
def start(state: State, hook: Any, phase: int) -> bool:
    """Give a queued phase GPUs, if it can start now; return whether it does."""
    it, world = state.phases[phase], state.world[0]
    if world.now < state.sites[it.site].outage_until:
        return False
    for part in range(state.parts.shape[0]):
        choice = state.choices[phase, part]
        if not choice.candidate or room(state, part) < choice.domains:
            continue
        if hook(PLACE, phase, part, choice.domains):
            world.error = ASKED
            return False
        look_at_gaps(state, part)
        it.part, it.wanted, it.held_since = part, choice.domains, world.now
        it.reference, it.planned = choice.reference, choice.planned
        it.layout += 1
        it.chosen_anew = 1
        holding_changed(state, hook, phase)
        state.holders[world.holders] = phase
        world.holders += 1
        world.queued = drop(state.queue, world.queued, phase)
        notify_change(state, phase)
        return True
    return False
