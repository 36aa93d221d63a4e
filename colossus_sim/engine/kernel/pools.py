"""The scale-up domains of the partitions, as in `engine.pool`, and the rows of their levels."""

from __future__ import annotations

import math

from colossus_sim.engine.kernel.jit import compiled
from colossus_sim.engine.kernel.state import ABSENT, FREE, OUT, RESERVED, SPARE, State


@compiled
def note_level(state: State, part: int) -> None:
    """Write down the state of a partition when everything of this instant has happened."""
    world, it = state.world[0], state.parts[part]
    if not it.changed:
        it.changed = 1
        state.changed[world.changed] = part
        world.changed += 1
    world.changed_at = world.now


@compiled
def record_levels(state: State) -> None:
    """Write down the partitions that changed in the instant that is over."""
    world = state.world[0]
    for index in range(world.changed):
        part = state.changed[index]
        state.parts[part].changed = 0
        _record_level(state, part)
    world.changed = 0


@compiled
def close_level(state: State, part: int, time: float) -> None:
    """Book the GPU-seconds of the last state of a partition up to `time`."""
    it = state.parts[part]
    if it.has_level:
        it.idle_seconds += it.level_idle * (time - it.level_time)
        it.spare_seconds += it.level_spare * (time - it.level_time)
        it.stranded_seconds += it.level_stranded * (time - it.level_time)
        it.down_seconds += it.level_down * (time - it.level_time)


@compiled
def _record_level(state: State, part: int) -> None:
    world, it = state.world[0], state.parts[part]
    time = world.changed_at
    close_level(state, part, time)
    used, down = it.owned * it.used, it.broken
    idle = it.free * it.domain_gpus + it.installed % it.domain_gpus - it.broken_free
    stranded = it.out * it.domain_gpus - it.broken_out
    spare = it.installed - used - idle - stranded - down
    if time < state.sites[it.site].outage_until:
        idle, spare, stranded, down = 0, 0, 0, down + idle + spare + stranded
    it.has_level, it.level_time = 1, time
    it.level_idle, it.level_spare, it.level_stranded, it.level_down = idle, spare, stranded, down
    if not world.keep_levels:
        return
    row = state.levels[world.levels]
    world.levels += 1
    row.time, row.part, row.installed, row.allocated = time, part, it.installed, used
    row.running, row.idle, row.spare, row.stranded, row.down = it.computing_gpus, idle, spare, stranded, down
    row.queued = _queued(state, part)
    row.power = it_power(state, part, state.sites[it.site].speed) * it.pue
    row.fragmentation = it.fragmentation


@compiled
def it_power(state: State, part: int, speed: float) -> float:
    """Return the power of a partition without cooling, at a clock factor. [W]"""
    it = state.parts[part]
    dynamic = it.busy_power * math.pow(speed, state.sites[it.site].power_exponent)
    return float(it.installed * it.idle_power + it.computing_gpus * dynamic)


@compiled
def _queued(state: State, part: int) -> int:
    count = 0
    for index in range(state.world[0].queued):
        if state.choices[state.queue[index], part].candidate:
            count += 1
    return count


@compiled
def look_at_gaps(state: State, part: int) -> None:
    """Bring the fragmentation of a partition up to date."""
    it = state.parts[part]
    free, run, longest = 0, 0, 0
    for domain in range(it.most):
        if state.owner[part, domain] == FREE:
            free += 1
            run += 1
            longest = max(longest, run)
        else:
            run = 0
    it.fragmentation = 1.0 - float(longest) / free if free else 0.0


@compiled
def move(state: State, part: int, domain: int, owner: int) -> None:
    """Give a domain another owner and keep all counts up to date."""
    old = state.owner[part, domain]
    if old == owner:
        return
    it, broken = state.parts[part], state.broken[part, domain]
    _count_broken(state, part, old, -broken)
    _count_broken(state, part, owner, broken)
    if old >= 0:
        state.owned[old] -= 1
        it.owned -= 1
    elif old != ABSENT:
        _count(state, part, domain, old, -1)
    if owner >= 0:
        state.owned[owner] += 1
        it.owned += 1
    elif owner != ABSENT:
        _count(state, part, domain, owner, 1)
    state.owner[part, domain] = owner


@compiled
def _count_broken(state: State, part: int, place: int, gpus: int) -> None:
    """Count so many more GPUs under repair (negative = fewer) in the domains of an owner or a place."""
    it = state.parts[part]
    if place == ABSENT:
        return
    it.broken += gpus
    if place == FREE:
        it.broken_free += gpus
    elif place == OUT:
        it.broken_out += gpus


@compiled
def _count(state: State, part: int, domain: int, place: int, more: int) -> None:
    """Count a domain that comes to a place without a job (`more` 1) or leaves it (-1)."""
    it = state.parts[part]
    if place == FREE:
        it.free += more
    elif place == SPARE:
        it.spare += more
    elif place == OUT:
        it.out += more
    else:
        it.reserve += more
    state.blocks[part, -place, domain // it.block] += more


@compiled
def home(state: State, part: int, domain: int) -> int:
    """Return where a domain goes that nobody uses: out of service, spare, reserve, or free."""
    it = state.parts[part]
    if it.domain_gpus - state.broken[part, domain] < it.used:
        return OUT
    if it.spare < it.spares:
        return SPARE
    return RESERVED if it.reserves - it.won - it.reserve > 0 else FREE


@compiled
def release(state: State, part: int, owner: int) -> None:
    """Take all domains back from an owner."""
    for domain in range(state.parts[part].most):
        if state.owner[part, domain] == owner:
            move(state, part, domain, ABSENT)
            move(state, part, domain, home(state, part, domain))
    look_at_gaps(state, part)


@compiled
def replace(state: State, part: int, owner: int) -> bool:
    """Give an owner one spare, or else free, domain; return whether there was one."""
    it = state.parts[part]
    if not it.spare and not it.free:
        return False
    domain = _first(state, part, SPARE if it.spare else FREE)
    move(state, part, domain, owner)
    state.joined[part, domain] = state.world[0].joined
    state.world[0].joined += 1
    return True


@compiled
def _first(state: State, part: int, place: int) -> int:
    """Return the first domain of a place that has one; block by block, so in the square root of all domains."""
    block = 0
    while not state.blocks[part, -place, block]:
        block += 1
    domain = block * state.parts[part].block
    while state.owner[part, domain] != place:
        domain += 1
    return int(domain)


@compiled
def spares_missing(state: State, part: int) -> int:
    """Return the spares that are in use or under repair."""
    return int(max(0, state.parts[part].spares - state.parts[part].spare))


@compiled
def refill_spares(state: State, part: int) -> None:
    """Make free domains spares, until none is missing or free."""
    while state.parts[part].free and spares_missing(state, part):
        move(state, part, _first(state, part, FREE), SPARE)


@compiled
def win(state: State, part: int) -> None:
    """Take one domain from the reserve for good."""
    domain = _first(state, part, RESERVED)
    state.parts[part].won += 1
    move(state, part, domain, ABSENT)
    move(state, part, domain, home(state, part, domain))


@compiled
def locate(state: State, part: int, fraction: float, per_domain: bool) -> tuple[int, int]:
    """Return (domain, node) that a failure at this place of a partition hits; (-1, -1) if nothing is there."""
    it = state.parts[part]
    if not it.present:
        return -1, -1
    place = fraction * it.present
    index = min(int(place), it.present - 1)
    domain = state.installed[part, index]
    nodes = it.domain_gpus // it.node_gpus
    node = min(int((place - index) * nodes), nodes - 1)
    if state.owner[part, domain] == OUT and per_domain:
        return -1, -1
    alive = 1.0 - state.broken[part, domain] / it.domain_gpus
    offset = (place - index) * it.domain_gpus % 1.0
    if offset >= alive:
        return -1, -1
    return domain, node


@compiled
def fail(state: State, part: int, domain: int, gpus: int) -> None:
    """Take GPUs of a domain out for repair; the domain leaves its owner if too few are left."""
    owner = state.owner[part, domain]
    move(state, part, domain, ABSENT)
    state.broken[part, domain] += gpus
    where = home(state, part, domain)
    move(state, part, domain, owner if owner >= 0 and where != OUT else where)


@compiled
def repair(state: State, part: int, domain: int, gpus: int) -> None:
    """Bring repaired GPUs back (nothing happens if the domain has left meanwhile)."""
    if not state.broken[part, domain]:
        return
    owner = state.owner[part, domain]
    move(state, part, domain, ABSENT)
    state.broken[part, domain] = max(state.broken[part, domain] - gpus, 0)
    move(state, part, domain, owner if owner >= 0 else home(state, part, domain))


@compiled
def grow_or_shrink(state: State, part: int, gpus: int) -> None:
    """Set the installed GPUs; no domain that leaves is in use."""
    it = state.parts[part]
    wanted = gpus // it.domain_gpus
    if wanted < it.present:
        left = it.present - wanted
        for source in (OUT, FREE, SPARE, RESERVED):
            for domain in range(it.most - 1, -1, -1):
                if left and state.owner[part, domain] == source:
                    move(state, part, domain, ABSENT)
                    state.broken[part, domain] = 0
                    left -= 1
    else:
        more = wanted - it.present
        for domain in range(it.most):
            if more and state.owner[part, domain] == ABSENT:
                move(state, part, domain, home(state, part, domain))
                more -= 1
    it.installed = gpus
    it.present = 0
    for domain in range(it.most):
        if state.owner[part, domain] != ABSENT:
            state.installed[part, it.present] = domain
            it.present += 1
    look_at_gaps(state, part)
    find_lemons(state, part)


# -- nodes that fail more often than others --------------------------------------------------------------


@compiled
def find_lemons(state: State, part: int) -> None:
    """Note which lemons of a partition are installed, and their places among the installed nodes."""
    it = state.parts[part]
    nodes = it.domain_gpus // it.node_gpus
    it.lemons_here, index = 0, 0
    for number in range(it.lemons):
        lemon = state.lemons[part, number]
        domain = lemon.node // nodes
        while index < it.present and state.installed[part, index] < domain:
            index += 1
        if index < it.present and state.installed[part, index] == domain:
            lemon.place = index * nodes + lemon.node % nodes
            state.lemons[part, it.lemons_here].here = number
            it.lemons_here += 1


@compiled
def among_lemons(state: State, part: int, place: float) -> float:
    """Return where a failure drawn at a uniform place hits; -1 if it does not happen after all."""
    it = state.parts[part]
    count = it.lemons_here
    if not count:
        return place
    nodes = it.present * (it.domain_gpus // it.node_gpus)
    extra = count * (state.world[0].lemon_factor - 1.0)
    share = extra / (nodes + extra)
    if place >= share:
        return float((place - share) / (1.0 - share))
    which = place / share * count
    number = state.lemons[part, min(int(which), count - 1)].here
    lemon = state.lemons[part, number]
    return -1.0 if lemon.exchanged else float((lemon.place + which % 1.0) / nodes)


@compiled
def lemon_mended(state: State, part: int, node: int) -> None:
    """A repair has mended a node: if it was a lemon, it is one no longer."""
    low, high = 0, state.parts[part].lemons
    while low < high:
        middle = (low + high) // 2
        if state.lemons[part, middle].node < node:
            low = middle + 1
        else:
            high = middle
    if low < state.parts[part].lemons and state.lemons[part, low].node == node:
        state.lemons[part, low].exchanged = 1
