"""What a phase has of a site, as in `engine.holding`, `engine.site` and `engine.world`."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.engine.kernel.agenda import notify_change, notify_stop, reschedule
from colossus_sim.engine.kernel.faults import set_populations
from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.pools import (
    grow_or_shrink,
    it_power,
    note_level,
    refill_spares,
    release,
    replace,
)
from colossus_sim.engine.kernel.state import KNOWN, Ask, Error, State
from colossus_sim.engine.site import LEAST_SPEED

SAVES, SHARES = int(Ask.SAVES), int(Ask.SHARES)
ASKED = int(Error.ASKED)


# -- storage ---------------------------------------------------------------------------------------------


@compiled
def storage_share(state: State, phase: int) -> float:
    """Return the share of the storage's write bandwidth that a phase gets."""
    number = state.phases[phase].site
    site = state.sites[number]
    total, correction, users, itself = 0.0, 0.0, site.savers, 0
    for index in range(site.savers):
        saver = state.savers[number, index]
        if saver == phase:
            itself = 1
            continue
        rate = state.phases[saver].saver_rate
        if state.world[0].neumaier:  # sum() of Python 3.12 and later
            new = total + rate
            correction += (total - new) + rate if abs(total) >= abs(rate) else (rate - new) + total
            total = new
        else:
            total += rate
    others = (total + correction) / site.write_bandwidth
    return float(max(1.0 / max(users + 1 - itself, 1), 1.0 - others))


@compiled
def transfer_time(state: State, phase: int, size: float, bandwidth: float) -> float:
    """Return how long a phase takes to move so many bytes at this bandwidth of the storage. [s]"""
    it = state.phases[phase]
    return float(size / min(bandwidth, state.sites[it.site].bandwidth_per_gpu * it.gpus) if size else 0.0)


@compiled
def refresh_tiers(state: State, hook: Any, phase: int) -> None:
    """Work out the saves anew: the share of the storage or the GPUs have changed."""
    it = state.phases[phase]
    share = storage_share(state, phase)
    readers = max(1, state.sites[it.site].readers)
    for index in range(it.known):
        row = state.known[phase, index]
        if (
            row.layout == it.layout
            and row.domains == state.owned[phase]
            and row.readers == readers
            and row.share == share
        ):
            it.tiers, it.demand = row.tiers, row.demand
            return
    state.world[0].share = share
    if hook(SAVES, phase, readers, 0):
        state.world[0].error = ASKED
        return
    row = state.known[phase, it.known_next]
    row.layout, row.domains, row.readers, row.share = it.layout, state.owned[phase], readers, share
    row.tiers, row.demand = it.tiers, it.demand
    it.known_next = (it.known_next + 1) % KNOWN
    it.known = min(it.known + 1, KNOWN)


@compiled
def _set_saver(state: State, phase: int, saves: bool) -> None:
    number = state.phases[phase].site
    site = state.sites[number]
    place = -1
    for index in range(site.savers):
        if state.savers[number, index] == phase:
            place = index
    if saves:
        state.phases[phase].saver_rate = 0.0
        if place < 0:
            state.savers[number, site.savers] = phase
            site.savers += 1
    elif place >= 0:
        site.savers -= 1
        for index in range(place, site.savers):
            state.savers[number, index] = state.savers[number, index + 1]


@compiled
def holding_changed(state: State, hook: Any, phase: int) -> None:
    """A phase has taken or given back GPUs: share the storage anew."""
    it = state.phases[phase]
    number = it.site
    _set_saver(state, phase, state.owned[phase] > 0 and it.saving > 0)
    site = state.sites[number]
    last = -1
    for _ in range(site.savers):
        holder = state.phases.shape[0]
        for index in range(site.savers):
            other = state.savers[number, index]
            if last < other < holder:
                holder = other
        last = holder
        saver = state.phases[holder]
        before = saver.tiers
        refresh_tiers(state, hook, holder)
        saver.saver_rate = saver.demand
        if saver.tiers != before and saver.working:
            notify_change(state, holder)
    if it.part >= 0:
        note_level(state, it.part)


# -- links -----------------------------------------------------------------------------------------------


@compiled
def running_changed(state: State, hook: Any, phase: int) -> None:
    """A phase began or stopped to compute: share links and power anew, and tell those for which it changed."""
    it = state.phases[phase]
    if state.world[0].share_links:
        share_links(state, hook, phase)
    power_changed(state, it.part)


@compiled
def share_links(state: State, hook: Any, phase: int) -> None:
    """Find the set of phases that compute on a partition now, and tell those whose bandwidths changed."""
    it = state.phases[phase]
    part = state.parts[it.part]
    old = part.node
    if state.next_set[old, phase] >= 0 and state.next_layout[old, phase] == it.layout:
        part.node = state.next_set[old, phase]
    else:
        _list_members(state, it.part)
        if hook(SHARES, it.part, phase, 0):
            state.world[0].error = ASKED
            return
    new = part.node
    for other in range(state.phases.shape[0]):
        before, after = state.shares[old, other], state.shares[new, other]
        if before >= 0 and after >= 0 and before != after:
            notify_change(state, other)


@compiled
def _list_members(state: State, part: int) -> None:
    """Note who computes on a partition, for the question about their shares."""
    count = 0
    for phase in range(state.phases.shape[0]):
        it = state.phases[phase]
        if it.computing and it.part == part:
            state.members[count, 0], state.members[count, 1] = phase, it.layout
            count += 1
    state.world[0].members = count


@compiled
def power_changed(state: State, part: int) -> None:
    """Share the power of a site anew, and tell everybody there if that changes the clocks."""
    number = state.parts[part].site
    if throttle(state, number):
        site = state.sites[number]
        for place in range(site.first_part, site.first_part + site.parts):
            for phase in range(state.phases.shape[0]):
                if state.phases[phase].part == place and under_power(state, phase):
                    notify_change(state, phase)
            note_level(state, place)
    note_level(state, part)


@compiled
def under_power(state: State, phase: int) -> bool:
    """Whether a phase computes, for its steps or in vain, and so draws more than idle power."""
    return bool(state.phases[phase].computing or state.phases[phase].loaded > 0)


@compiled
def throttle(state: State, number: int) -> bool:
    """Set the clock factor of a site for its power limit; return whether it changed."""
    site = state.sites[number]
    if site.power == math.inf:
        return False
    full, floor = 0.0, 0.0
    for part in range(site.first_part, site.first_part + site.parts):
        full += it_power(state, part, 1.0)
        floor += it_power(state, part, 0.0)
    speed = 1.0
    if full > site.power:
        room = max(site.power - floor, 0.0) / (full - floor) if full > floor else 1.0
        speed = max(math.pow(room, 1.0 / site.power_exponent), LEAST_SPEED)
    before = site.speed
    site.speed = speed
    return bool(speed != before)


@compiled
def enter(state: State, hook: Any, phase: int) -> None:
    """Join the phases that compute and communicate."""
    it = state.phases[phase]
    if not it.computing:
        it.computing = 1
        state.parts[it.part].computing_gpus += it.gpus
        running_changed(state, hook, phase)


@compiled
def leave(state: State, hook: Any, phase: int) -> None:
    """Leave them, if it was among them."""
    it = state.phases[phase]
    if it.computing:
        it.computing = 0
        state.parts[it.part].computing_gpus -= it.gpus
        running_changed(state, hook, phase)


# -- GPUs ------------------------------------------------------------------------------------------------


@compiled
def drop(numbers: Any, count: int, number: int) -> int:
    """Remove a number from the first `count` of a list; return how many are left."""
    for index in range(count):
        if numbers[index] == number:
            for later in range(index, count - 1):
                numbers[later] = numbers[later + 1]
            return count - 1
    return count


@compiled
def take_replacements(state: State, phase: int) -> bool:
    """Fill up with spare or free domains; return whether none is missing."""
    it, now = state.phases[phase], state.world[0].now
    back = now >= state.sites[it.site].outage_until
    while state.owned[phase] < it.wanted and back:
        spares = state.parts[it.part].spare
        if not replace(state, it.part, phase):
            break
        if not spares:
            it.chosen_anew = 1
            if state.parts[it.part].refills:
                refill_spares(state, it.part)
        note_level(state, it.part)
    return bool(state.owned[phase] >= it.wanted and back)


@compiled
def release_gpus(state: State, hook: Any, phase: int) -> None:
    """Give all GPUs back."""
    it, world = state.phases[phase], state.world[0]
    if it.part < 0 or not state.owned[phase]:
        return
    leave(state, hook, phase)
    part = it.part
    world.holders = drop(state.holders, world.holders, phase)
    release(state, part, phase)
    it.gpus = it.leaving = it.stopped = it.evicted = 0
    holding_changed(state, hook, phase)
    pending = state.parts[part].pending
    if pending >= 0:
        state.parts[part].pending = -1
        set_capacity(state, part, pending)
    note_level(state, part)
    reschedule(state)
    it.part = -1


@compiled
def _next_victim(state: State, part: int, after_priority: int, after: int) -> int:
    """Return the holder on a partition that loses its GPUs next: lowest priority first, then the latest phase."""
    best = -1
    for index in range(state.world[0].holders):
        phase = state.holders[index]
        it = state.phases[phase]
        if it.part != part or it.priority < after_priority:
            continue
        if it.priority == after_priority and phase >= after:
            continue
        first = state.phases[best].priority if best >= 0 else it.priority
        if best < 0 or it.priority < first or (it.priority == first and phase > best):
            best = phase
    return best


@compiled
def evict(state: State, part: int, gpus: int) -> bool:
    """Tell the phases whose domains have to leave; return whether there are any."""
    pool = state.parts[part]
    left = pool.present - gpus // pool.domain_gpus - pool.out - pool.free - pool.spare - pool.reserve
    any_left, priority, last = False, -(2**62), 0
    while left > 0:
        phase = _next_victim(state, part, priority, last)
        if phase < 0:
            break
        it = state.phases[phase]
        priority, last = it.priority, phase
        left -= state.owned[phase]
        any_left = any_left or state.owned[phase] > 0
        if state.owned[phase] and not it.evicted:
            it.evicted = it.leaving = 1
            notify_stop(state, phase)
    return any_left


@compiled
def set_capacity(state: State, part: int, gpus: int) -> None:
    """Change the installed GPUs; phases on GPUs that leave have saved and stop now."""
    if evict(state, part, gpus):
        state.parts[part].pending = gpus
        return
    grow_or_shrink(state, part, gpus)
    set_populations(state, part)
    for index in range(state.world[0].queued):
        notify_change(state, state.queue[index])
    power_changed(state, part)
    reschedule(state)
