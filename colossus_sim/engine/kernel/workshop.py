"""Repairs by hand at a site, by a crew of limited size and with parts that may run out, as in `engine.workshop`."""

from __future__ import annotations

from colossus_sim.engine.kernel.agenda import push
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.state import Kind, State

BY_HAND, WORKED, DELIVERED = int(Kind.BY_HAND), int(Kind.WORKED), int(Kind.DELIVERED)


@compiled
def plan_work(state: State, source: int, unit: int, gpus: int, kind: int) -> None:
    """Let a unit be mended by hand, at once or after its automatic stage; then it returns as an event of `kind`."""
    it, world = state.sources[source], state.world[0]
    number = world.works
    world.works += 1
    work = state.works[number]
    work.source, work.unit, work.gpus, work.kind = source, unit, gpus, kind
    if it.auto_first:
        work.seconds = it.second
        push(state, world.now + it.seconds, BY_HAND, number, 0, 0)
    else:
        work.seconds = it.seconds
        take_in(state, number)


@compiled
def take_in(state: State, number: int) -> None:
    """Let a unit join those that wait for hands and a part."""
    place = state.sources[state.works[number].source].site
    site = state.sites[place]
    state.works[number].next = -1
    if site.first_work < 0:
        site.first_work = number
    else:
        state.works[site.last_work].next = number
    site.last_work = number
    begin_work(state, place)


@compiled
def begin_work(state: State, place: int) -> None:
    """Begin the repairs for which there are hands and parts; -1 of either = never short of them."""
    site, now = state.sites[place], state.world[0].now
    while site.first_work >= 0 and site.crew != 0 and site.stock != 0:
        number = site.first_work
        site.first_work = state.works[number].next
        if site.crew > 0:
            site.crew -= 1
        if site.stock > 0:
            site.stock -= 1
            push(state, now + site.lead_time, DELIVERED, place, 0, 0)
        push(state, now + state.works[number].seconds, WORKED, number, 0, 0)


@compiled
def free_hands(state: State, place: int) -> None:
    """A technician is done."""
    site = state.sites[place]
    if site.crew >= 0:
        site.crew += 1


@compiled
def delivered(state: State, place: int) -> None:
    """A part arrives."""
    state.sites[place].stock += 1
    begin_work(state, place)
