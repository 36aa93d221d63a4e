"""Events in the order of the SimPy engine: time, then order of simultaneous events, then order of creation."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.state import Kind, State

_ORDERS = {
    Kind.SLEEP: Order.COMPLETION,
    Kind.WAKE: Order.RESUME,
    Kind.BEGIN: Order.COMPLETION,
    Kind.FIRE: Order.FAILURE,
    Kind.REPAIR: Order.REPAIR,
    Kind.UNMENDED: Order.REPAIR,
    Kind.RETURNED: Order.REPAIR,
    Kind.BY_HAND: Order.REPAIR,
    Kind.WORKED: Order.REPAIR,
    Kind.DELIVERED: Order.REPAIR,
    Kind.RECUR: Order.FAILURE,
    Kind.BACK_UP: Order.REPAIR,
    Kind.FOUND: Order.FAILURE,
    Kind.CAPACITY: Order.CAPACITY,
    Kind.SUBMIT: Order.CAPACITY,
    Kind.SCHEDULE: Order.SCHEDULING,
    Kind.HALT: Order.SCHEDULING,
    Kind.STOP: Order.RESUME,
}
ORDER_OF = tuple(int(_ORDERS[kind]) for kind in Kind)
"""Order of simultaneous events, by kind."""
WAKE, SCHEDULE, STOP = int(Kind.WAKE), int(Kind.SCHEDULE), int(Kind.STOP)


@compiled
def push(state: State, time: float, kind: int, a: int, b: int, c: int) -> None:
    """Put an event on the agenda; never at infinity."""
    if time == math.inf:
        return
    world, events, order = state.world[0], state.events, ORDER_OF[kind]
    time = world.now + (time - world.now)  # as SimPy counts: by delays
    place = world.pending
    world.pending += 1
    world.sequence += 1
    while place > 0:
        above = (place - 1) // 2
        other = events[above]
        if other.time < time or (other.time == time and other.order <= order):
            break
        events[place] = events[above]
        place = above
    event = events[place]
    event.time, event.order, event.sequence = time, order, world.sequence
    event.kind, event.a, event.b, event.c = kind, a, b, c


@compiled
def earlier(events: Any, one: int, other: int) -> bool:
    """Say whether the event at one place comes before that at another."""
    first, second = events[one], events[other]
    if first.time != second.time:
        return bool(first.time < second.time)
    if first.order != second.order:
        return bool(first.order < second.order)
    return bool(first.sequence < second.sequence)


@compiled
def drop_first(state: State) -> None:
    """Take the first event off the agenda."""
    world, events = state.world[0], state.events
    world.pending -= 1
    count, place = world.pending, 0
    # the last one sinks from the top
    while True:
        below = 2 * place + 1
        if below >= count:
            break
        if below + 1 < count and earlier(events, below + 1, below):
            below += 1
        if earlier(events, count, below):
            break
        events[place] = events[below]
        place = below
    events[place] = events[count]


@compiled
def wake(state: State, phase: int) -> None:
    """Let a phase that sleeps go on at this instant."""
    it = state.phases[phase]
    if it.wake == 1:
        it.wake = 2
        push(state, state.world[0].now, WAKE, phase, 0, 0)


@compiled
def halt(state: State) -> None:
    """End the run when what is due at this instant, up to completions, is done."""
    world = state.world[0]
    if not world.halted:
        world.halted = 1
        push(state, world.now, STOP, 0, 0, 0)


@compiled
def reschedule(state: State) -> None:
    """Run the scheduler at this instant, after everything else, if there is anything to decide."""
    world = state.world[0]
    if world.reschedule_at == world.now or not (world.queued or world.broken):
        return
    world.reschedule_at = world.now
    push(state, world.now, SCHEDULE, 0, 0, 0)


@compiled
def notify_failure(state: State, phase: int, rank: int, times: tuple[float, float], planned: int) -> None:
    """Tell a phase that something broke under it; `times` are those to detect it, and undetected before."""
    it = state.phases[phase]
    it.in_detection = max(it.in_detection, times[0])  # 0 as long as nothing has failed
    it.in_undetected = max(it.in_undetected, times[1])
    it.in_rank = max(it.in_rank, rank)
    it.in_failures += 1
    it.in_unplanned += 1 - planned
    it.inbox += 1
    wake(state, phase)


@compiled
def notify_stop(state: State, phase: int) -> None:
    """Tell a phase that its GPUs go."""
    it = state.phases[phase]
    it.in_stops += 1
    it.inbox += 1
    wake(state, phase)


@compiled
def notify_change(state: State, phase: int) -> None:
    """Tell a phase that its pace may have changed, or that it was given GPUs."""
    it = state.phases[phase]
    it.in_others += 1
    it.inbox += 1
    wake(state, phase)


@compiled
def take_signals(state: State, phase: int) -> None:
    """Move the inbox to the failures and stops at hand."""
    it = state.phases[phase]
    it.failures, it.unplanned, it.rank = it.in_failures, it.in_unplanned, it.in_rank
    it.detection, it.undetected, it.stops = it.in_detection, it.in_undetected, it.in_stops
    it.inbox = it.in_failures = it.in_unplanned = it.in_rank = it.in_stops = it.in_others = 0
    it.in_detection = it.in_undetected = 0.0
