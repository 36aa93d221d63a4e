"""The run: takes event after event off the agenda."""

from __future__ import annotations

from typing import Any

from colossus_sim.engine.kernel.agenda import drop_first, halt, push, wake
from colossus_sim.engine.kernel.faults import (
    PER_SITE,
    back_up,
    comes_back,
    fire,
    found,
    returned,
    set_population,
    worked,
)
from colossus_sim.engine.kernel.holding import set_capacity
from colossus_sim.engine.kernel.jit import compiled, entry_point
from colossus_sim.engine.kernel.life import advance
from colossus_sim.engine.kernel.pools import close_level, note_level, record_levels
from colossus_sim.engine.kernel.scheduler import schedule
from colossus_sim.engine.kernel.state import Error, Kind, State
from colossus_sim.engine.kernel.waiting import book_interval, close_stretch
from colossus_sim.engine.kernel.workshop import delivered, take_in

STUCK = int(Error.STUCK)
BEGIN_RUN, GO_ON, CLOSE_RUN = range(3)
SLEEP, WAKE, BEGIN, FIRE = int(Kind.SLEEP), int(Kind.WAKE), int(Kind.BEGIN), int(Kind.FIRE)
REPAIR, BACK_UP, FOUND = int(Kind.REPAIR), int(Kind.BACK_UP), int(Kind.FOUND)
CAPACITY, SUBMIT, SCHEDULE = int(Kind.CAPACITY), int(Kind.SUBMIT), int(Kind.SCHEDULE)
HALT, STOP = int(Kind.HALT), int(Kind.STOP)
UNMENDED, RECUR, RETURNED = int(Kind.UNMENDED), int(Kind.RECUR), int(Kind.RETURNED)
BY_HAND, WORKED, DELIVERED = int(Kind.BY_HAND), int(Kind.WORKED), int(Kind.DELIVERED)


@entry_point
def play(state: State, hook: Any, reserve: int, part: int) -> None:
    """Play one part of a run: BEGIN_RUN, GO_ON, or CLOSE_RUN."""
    if part == BEGIN_RUN:
        begin(state)
    elif part == GO_ON:
        go_on(state, hook, reserve)
    else:
        close(state)


@compiled
def begin(state: State) -> None:
    """Plan the first failures of the sites, and what the scenario plans."""
    for source in range(state.sources.shape[0]):
        if state.sources[source].per == PER_SITE:
            set_population(state, source, 1.0)
    for part in range(state.parts.shape[0]):
        note_level(state, part)
    for number in range(state.plan.shape[0]):
        event = state.plan[number]
        push(state, event.time, event.kind, event.a, event.b, 0)


@compiled
def go_on(state: State, hook: Any, reserve: int) -> None:
    """Play until the end, an error, or until an array has fewer than `reserve` free places."""
    world = state.world[0]
    while not world.error and not world.finished and not world.refill:
        if (
            world.pending + reserve > state.events.shape[0]
            or world.entries + reserve > state.entries.shape[0]
            or world.levels + reserve > state.levels.shape[0]
            or world.slow_units + reserve > state.slow.shape[0]
            or world.defects + reserve > state.defects.shape[0]
            or world.works + reserve > state.works.shape[0]
        ):
            return
        event = state.events[0]
        time, kind, a, b, c = event.time, event.kind, event.a, event.b, event.c
        drop_first(state)
        world.now = time
        if kind == STOP:
            world.finished = 1
        elif kind == WAKE:
            state.phases[a].wake = 0
            advance(state, hook, a)
        elif kind == BEGIN:
            advance(state, hook, a)
        else:
            if time != world.instant:
                record_levels(state)
                world.instant, world.at_once = time, 0
            else:
                world.at_once += 1
                if world.at_once > world.most_at_once:
                    world.error = STUCK
            act(state, hook, kind, a, b, c)


@compiled
def act(state: State, hook: Any, kind: int, a: int, b: int, c: int) -> None:
    """Do what an event says."""
    if kind == SLEEP:
        if state.phases[a].version == b:
            wake(state, a)
    elif kind == FIRE:
        fire(state, hook, a, b)
    elif kind in (REPAIR, UNMENDED, RETURNED):
        returned(state, hook, a, b, c, kind)
    elif kind == WORKED:
        worked(state, hook, a)
    elif kind == BY_HAND:
        take_in(state, a)
    elif kind == DELIVERED:
        delivered(state, a)
    elif kind == RECUR:
        comes_back(state, hook, a)
    elif kind == FOUND:
        found(state, hook, a)
    elif kind == SCHEDULE:
        schedule(state, hook)
    elif kind == CAPACITY:
        set_capacity(state, a, b)
    elif kind == BACK_UP:
        back_up(state, a)
    elif kind == HALT:
        halt(state)
    elif kind == SUBMIT:
        push(state, state.world[0].now, BEGIN, a, 0, 0)


@compiled
def close(state: State) -> None:
    """Book what is under way when the run ends."""
    record_levels(state)
    for phase in range(state.phases.shape[0]):
        book_interval(state, phase)
        close_stretch(state, phase)
    for part in range(state.parts.shape[0]):
        close_level(state, part, state.world[0].now)
