"""Failures as they reach the phases, as in `engine.faults` and `engine.failures`."""

from __future__ import annotations

from typing import Any

from colossus_sim.engine.kernel.agenda import notify_change, notify_failure, push, reschedule
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.pools import among_lemons, fail, lemon_mended, locate, note_level, repair
from colossus_sim.engine.kernel.state import ABSENT, RESERVE, Ask, Error, Kind, State
from colossus_sim.engine.kernel.workshop import begin_work, free_hands, plan_work

FIRE, MENDED, BACK_UP, FOUND = int(Kind.FIRE), int(Kind.REPAIR), int(Kind.BACK_UP), int(Kind.FOUND)
UNMENDED, ASKED = int(Kind.UNMENDED), int(Error.ASKED)
BLAME, RETURNED = int(Ask.BLAME), int(Kind.RETURNED)
COMES_BACK, RECUR_AFTER, RECUR = int(Kind.RECUR), int(Ask.RECUR_AFTER), int(Ask.RECUR)
PER_GPU, PER_NODE, PER_DOMAIN, PER_SITE = 0, 1, 2, 3
NODE, DOMAIN, SITE = 1, 2, 3
"""What a failure removes, as in `engine.checkpointing.REMOVES`."""


@compiled
def set_population(state: State, source: int, units: float) -> None:
    """Say that from now on so many units can fail."""
    it, now = state.sources[source], state.world[0].now
    it.left -= (now - it.since) * it.units * it.rate
    it.since = now
    it.units = units
    plan_failure(state, source)


@compiled
def plan_failure(state: State, source: int) -> None:
    """Schedule the next failure of a source."""
    it, now = state.sources[source], state.world[0].now
    it.version += 1
    rate = it.units * it.rate
    if rate > 0:
        push(state, now + max(it.left, 0.0) / rate, FIRE, source, it.version, 0)


@compiled
def set_populations(state: State, part: int) -> None:
    """Tell the sources of a partition how many units there are now."""
    it = state.parts[part]
    for source in range(it.first_source, it.first_source + it.sources):
        per = state.sources[source].per
        units = it.present
        if per == PER_GPU:
            units = it.present * it.domain_gpus
        elif per == PER_NODE:
            units = it.present * (it.domain_gpus // it.node_gpus)
        set_population(state, source, float(units))


@compiled
def fire(state: State, hook: Any, source: int, version: int) -> None:
    """A failure comes due, unless the population has changed since it was planned."""
    it, world = state.sources[source], state.world[0]
    if version != it.version:
        return
    drawn = state.strikes[source, it.drawn]
    it.drawn += 1
    if it.drawn + RESERVE > it.limit:
        world.refill = 1
    it.left, it.seconds, it.by_hand, it.hang = drawn.gap, drawn.seconds, drawn.by_hand, drawn.hang
    it.since = world.now
    plan_failure(state, source)
    if it.per == PER_SITE:
        strike_site(state, source)
    else:
        strike(state, hook, source, drawn.place)


@compiled
def strike(state: State, hook: Any, source: int, place: float) -> None:
    """Let a failure hit the unit at its place, and the phase that uses it."""
    it = state.sources[source]
    if it.lemons:
        place = among_lemons(state, it.part, place)
    if place < 0:
        return
    domain, node = locate(state, it.part, place, it.per == PER_DOMAIN)
    if domain >= 0:
        hit(state, hook, source, domain, node)


@compiled
def hit(state: State, hook: Any, source: int, domain: int, node: int) -> bool:
    """Let a failure hit a unit, and the phase that uses it; return False if the unit cannot fail now."""
    it = state.sources[source]
    pool = state.parts[it.part]
    phase = state.owner[it.part, domain]
    if (
        it.per != PER_DOMAIN
        and it.removes != DOMAIN
        and node * pool.node_gpus >= pool.used
        and pool.domain_gpus - state.broken[it.part, domain] - pool.node_gpus >= pool.used
    ):
        phase = -1  # it hits a hot spare inside the domain, not a GPU in use
    if it.under_load and (phase < 0 or not state.phases[phase].working):
        return False
    state.world[0].failures += 1
    if it.interrupts:
        remove(state, hook, source, (domain, node), phase, it.planned)
    elif phase >= 0:
        slow_down(state, source, domain, node, phase)
    return True


@compiled
def slow_down(state: State, source: int, domain: int, node: int, phase: int) -> None:
    """Slow whoever uses a degraded unit until it is found."""
    it, world = state.sources[source], state.world[0]
    number = world.slow_units
    world.slow_units += 1
    unit = state.slow[number]
    unit.source, unit.domain, unit.node, unit.active = source, domain, node, 1
    unit.factor, unit.seconds, unit.by_hand, unit.hang = it.slowdown, it.seconds, it.by_hand, it.hang
    part = state.parts[it.part]
    state.slow_now[it.part, part.slow] = number
    part.slow += 1
    notify_change(state, phase)
    push(state, world.now + it.detection, FOUND, number, 0, 0)


@compiled
def forget(state: State, part: int, place: int) -> None:
    """A slow unit is slow no longer."""
    it = state.parts[part]
    state.slow[state.slow_now[part, place]].active = 0
    it.slow -= 1
    state.slow_now[part, place] = state.slow_now[part, it.slow]


@compiled
def found(state: State, hook: Any, number: int) -> None:
    """A slow unit is found and goes out in a controlled stop."""
    unit = state.slow[number]
    if not unit.active:
        return
    part = state.sources[unit.source].part
    for place in range(state.parts[part].slow):
        if state.slow_now[part, place] == number:
            forget(state, part, place)
            break
    owner = state.owner[part, unit.domain]
    if owner == ABSENT or state.parts[part].domain_gpus <= state.broken[part, unit.domain]:
        return
    it = state.sources[unit.source]
    it.seconds, it.by_hand, it.hang = unit.seconds, unit.by_hand, unit.hang
    remove(state, hook, unit.source, (unit.domain, unit.node), owner, 1)


@compiled
def remove(state: State, hook: Any, source: int, place: tuple[int, int], phase: int, planned: int) -> None:
    """Take what broke out for repair and tell the phase that used it."""
    it = state.sources[source]
    part = it.part
    pool = state.parts[part]
    nodes = pool.domain_gpus // pool.node_gpus
    hit_unit = place[0] * nodes + place[1]
    unit = hit_unit
    if state.world[0].diagnosis and not planned and phase >= 0:
        unit = blamed(state, hook, source, hit_unit, phase)
    if unit >= 0 and (it.removes == NODE or it.removes == DOMAIN) and it.mends:
        domain, node = unit // nodes, unit % nodes
        gpus = pool.node_gpus if it.removes == NODE else pool.domain_gpus
        gpus = min(gpus, pool.domain_gpus - state.broken[part, domain])
        fail(state, part, domain, gpus)
        forget_slow(state, part, domain, -1 if it.removes == DOMAIN else node)
        plan_return(state, source, unit, gpus, unit == hit_unit)
        note_level(state, part)
    if phase >= 0:
        notify_failure(state, phase, it.rank, (detection(state, source), it.undetected), planned)


@compiled
def blamed(state: State, hook: Any, source: int, unit: int, phase: int) -> int:
    """Return the unit of a job that goes for repair; -1 = none. What failed stays if it is another one."""
    it = state.sources[source]
    if it.removes != NODE and it.removes != DOMAIN:
        return unit
    if hook(BLAME, source, unit, phase):
        state.world[0].error = ASKED
        return unit
    if it.blamed != unit and it.recurs:
        stays(state, hook, source, unit)
    return int(it.blamed)


@compiled
def detection(state: State, source: int) -> float:
    """Return the time until the failure at hand is noticed, a hang by the watchdog. [s]"""
    it = state.sources[source]
    return float(state.world[0].watchdog if it.hang else it.detection)


@compiled
def draw_course(state: State, source: int) -> None:
    """Decide whether the repair of a source that begins now mends, and how long its second stage takes."""
    it = state.sources[source]
    it.mended, it.second = 1, 0.0
    if not it.imperfect:
        return
    drawn = state.courses[source, it.course]
    it.course += 1
    if it.course + RESERVE > it.course_limit:
        state.world[0].refill = 1
    it.mended = drawn.lot >= (it.manual_unmended if it.by_hand else it.auto_unmended)
    if it.auto_first and it.by_hand:
        it.second = drawn.second


@compiled
def plan_return(state: State, source: int, unit: int, gpus: int, is_found: bool) -> None:
    """Let a node, or its domain, come back when its repair is over, mended or not."""
    it, world = state.sources[source], state.world[0]
    draw_course(state, source)
    kind = MENDED if it.mended else UNMENDED if is_found else RETURNED
    if it.by_hand and state.sites[it.site].limited:
        plan_work(state, source, unit, gpus, kind)
        return
    push(state, world.now + (it.seconds + it.second), kind, source, unit, gpus)


@compiled
def forget_slow(state: State, part: int, domain: int, node: int) -> None:
    """Slow units that go for repair with what broke are mended there; node -1 = all of the domain."""
    place = 0
    while place < state.parts[part].slow:
        unit = state.slow[state.slow_now[part, place]]
        if unit.domain == domain and (node < 0 or unit.node == node):
            forget(state, part, place)
            user = state.owner[part, domain]
            if user >= 0:
                notify_change(state, user)
        else:
            place += 1


@compiled
def returned(state: State, hook: Any, source: int, unit: int, gpus: int, kind: int) -> None:
    """A unit comes back from repair: mended, or not (RETURNED = it was not the one that failed)."""
    part = state.sources[source].part
    repair(state, part, unit // (state.parts[part].domain_gpus // state.parts[part].node_gpus), gpus)
    if kind == MENDED:
        close_defects(state, source, unit)
        if state.world[0].lemons_mended:
            lemon_mended(state, part, unit)
    elif kind == UNMENDED and state.sources[source].recurs:
        stays(state, hook, source, unit)
    note_level(state, part)
    reschedule(state)


@compiled
def worked(state: State, hook: Any, number: int) -> None:
    """A repair by hand is over: the unit returns, and the next one is begun."""
    work = state.works[number]
    place = state.sources[work.source].site
    free_hands(state, place)
    returned(state, hook, work.source, work.unit, work.gpus, work.kind)
    begin_work(state, place)


# -- failures that come back -----------------------------------------------------------------------------


@compiled
def same_unit(state: State, source: int, one: int, other: int) -> bool:
    """Say whether two nodes are one unit to the repairs of a source, which may be about whole domains."""
    part = state.parts[state.sources[source].part]
    nodes = part.domain_gpus // part.node_gpus if state.sources[source].removes == DOMAIN else 1
    return bool(one // nodes == other // nodes)


@compiled
def known_as(state: State, source: int, unit: int) -> int:
    """Return the node under which a defect of a unit is known: of a whole domain, the first."""
    part = state.parts[state.sources[source].part]
    nodes = part.domain_gpus // part.node_gpus if state.sources[source].removes == DOMAIN else 1
    return int(unit // nodes * nodes)


@compiled
def close_defect(state: State, place: int) -> None:
    """A defect comes back no longer."""
    world = state.world[0]
    state.defects[state.defects[place].now].active = 0
    world.open_defects -= 1
    state.defects[place].now = state.defects[world.open_defects].now


@compiled
def close_defects(state: State, source: int, unit: int) -> None:
    """A repair has mended a unit: nothing comes back."""
    place = 0
    while place < state.world[0].open_defects:
        defect = state.defects[state.defects[place].now]
        known = known_as(state, defect.source, defect.unit)
        here = state.sources[defect.source].part == state.sources[source].part
        if here and same_unit(state, source, known, unit):
            close_defect(state, place)
        else:
            place += 1


@compiled
def stays(state: State, hook: Any, source: int, unit: int) -> None:
    """What was hit is in service again and was not mended: its failure comes back some time."""
    world = state.world[0]
    for place in range(world.open_defects):
        defect = state.defects[state.defects[place].now]
        if defect.source == source and same_unit(state, source, defect.unit, unit):
            close_defect(state, place)
            break
    number = world.defects
    world.defects += 1
    state.defects[number].source, state.defects[number].unit = source, unit
    wait_for(state, hook, number)


@compiled
def wait_for(state: State, hook: Any, number: int) -> None:
    """Let a defect come back after a time."""
    world, defect = state.world[0], state.defects[number]
    defect.active = 1
    state.defects[world.open_defects].now = number
    world.open_defects += 1
    if hook(RECUR_AFTER, defect.source, 0, 0):
        world.error = ASKED
    push(state, world.now + state.sources[defect.source].wait, COMES_BACK, number, 0, 0)


@compiled
def comes_back(state: State, hook: Any, number: int) -> None:
    """Let a failure come back; a unit that cannot fail now (under repair, at rest) goes on waiting."""
    world, defect = state.world[0], state.defects[number]
    if not defect.active:
        return
    for place in range(world.open_defects):
        if state.defects[place].now == number:
            close_defect(state, place)
            break
    source = defect.source
    if hook(RECUR, source, 0, 0):
        world.error = ASKED
        return
    part = state.sources[source].part
    pool = state.parts[part]
    nodes = pool.domain_gpus // pool.node_gpus
    domain, node = defect.unit // nodes, defect.unit % nodes
    left = state.owner[part, domain] != ABSENT and pool.domain_gpus > state.broken[part, domain]
    if not (left and hit(state, hook, source, domain, node)):
        wait_for(state, hook, number)


@compiled
def strike_site(state: State, source: int) -> None:
    """Let a failure hit a whole site."""
    it, world = state.sources[source], state.world[0]
    site = state.sites[it.site]
    times = detection(state, source), it.undetected
    world.failures += 1
    if it.removes == SITE and it.mends:
        site.outage_until = max(site.outage_until, world.now + it.seconds)
        push(state, site.outage_until, BACK_UP, it.site, 0, 0)
    for part in range(site.first_part, site.first_part + site.parts):
        for index in range(world.holders):
            phase = state.holders[index]
            if state.phases[phase].part == part:
                notify_failure(state, phase, it.rank, times, it.planned)
        note_level(state, part)


@compiled
def back_up(state: State, site: int) -> None:
    """A site has power and cooling again."""
    it = state.sites[site]
    for part in range(it.first_part, it.first_part + it.parts):
        note_level(state, part)
    reschedule(state)
