"""Flows from event to event: exact max-min rates, re-solved only where something changed.

When flows start or end, the flows whose bottleneck link changed are solved again while all others keep their
rates; then every link that the solved ones touch is verified, and a flow whose bottleneck no longer holds joins
them, until nothing is left to correct. At that point each flow is among the fastest on a full link, which is
max-min fairness (Bertsekas and Gallager 1992, Data Networks, section 6.5.2). Progress is lazy: a flow stores
what was left when its rate last changed, and one heap holds the ends.

The functions here are written so that they run as they are on lists, and compiled (see `jit`) on arrays, with
the same arithmetic in the same order.
"""

from __future__ import annotations

from typing import Any

from colossus_sim.network.state import CHOSEN, EPOCH, LINKS, TOUCHED, WAITING, Work

_TIE = 1e-11
"""Relative difference below which rates count as equal and links as full."""
_SAME = 1e-14
"""Relative change of a rate that is not worth an update."""


# -- heap of ends ------------------------------------------------------------------------------------


def rise(work: Work, at: int) -> int:
    """Move a flow of the event heap towards the top until its parent ends no later; return its place."""
    heap, place, due = work.heap, work.place, work.due
    flow = heap[at]
    key = due[flow]
    while at > 0:
        parent = (at - 1) >> 2
        other = heap[parent]
        if due[other] <= key:
            break
        heap[at] = other
        place[other] = at
        at = parent
    heap[at] = flow
    place[flow] = at
    return at


def sink(work: Work, at: int) -> None:
    """Move a flow of the event heap away from the top until its four children end no earlier."""
    heap, place, due = work.heap, work.place, work.due
    size = work.counter[WAITING]
    flow = heap[at]
    key = due[flow]
    while True:
        child = 4 * at + 1
        if child >= size:
            break
        best, best_key = child, due[heap[child]]
        for other in range(child + 1, min(child + 4, size)):
            if due[heap[other]] < best_key:
                best, best_key = other, due[heap[other]]
        if key <= best_key:
            break
        heap[at] = heap[best]
        place[heap[at]] = at
        at = best
    heap[at] = flow
    place[flow] = at


def reorder(work: Work, flow: int) -> None:
    """Put a flow whose end changed to its place in the event heap."""
    at = work.place[flow]
    if at < 0:
        at = work.counter[WAITING]
        work.counter[WAITING] += 1
        work.heap[at] = flow
    sink(work, rise(work, at))


def pop(work: Work) -> int:
    """Take the flow that ends first out of the event heap."""
    heap = work.heap
    flow = heap[0]
    work.place[flow] = -1
    work.counter[WAITING] -= 1
    last = work.counter[WAITING]
    if last > 0:
        heap[0] = heap[last]
        work.place[heap[0]] = 0
        sink(work, 0)
    return int(flow)


# -- who is on which link ----------------------------------------------------------------------------


def join_links(work: Work, flow: int) -> None:
    """Enter a flow on its links."""
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        link = work.idx[hop]
        at = work.first[link] + work.on_link[link]
        work.on_link[link] += 1
        work.slot[hop] = at
        work.slot_flow[at] = flow
        work.slot_hop[at] = hop
        work.slot_weight[at] = work.weight[hop]


def leave_links(work: Work, flow: int) -> None:
    """Take a flow off its links; the last slot fills the gap."""
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        link = work.idx[hop]
        work.on_link[link] -= 1
        last = work.first[link] + work.on_link[link]
        at = work.slot[hop]
        if at != last:
            work.slot_flow[at] = work.slot_flow[last]
            work.slot_hop[at] = work.slot_hop[last]
            work.slot_weight[at] = work.slot_weight[last]
            work.slot[work.slot_hop[at]] = at


# -- one solve ---------------------------------------------------------------------------------------


def choose(work: Work, flow: int) -> None:
    """Add a flow to those that are solved again."""
    counter, frozen, link_epoch = work.counter, work.frozen, work.link_epoch
    epoch, known = counter[EPOCH], counter[TOUCHED]
    rate = work.rate[flow]
    work.flow_epoch[flow] = epoch
    work.fresh[flow] = rate
    work.chosen[counter[CHOSEN]] = flow
    counter[CHOSEN] += 1
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        link = work.idx[hop]
        if link_epoch[link] != epoch:
            link_epoch[link] = epoch
            work.touch[link] = counter[TOUCHED]
            work.touched[counter[TOUCHED]] = link
            counter[TOUCHED] += 1
            add_up(work, link)
        elif work.touch[link] < known:
            weight = work.weight[hop]
            frozen[link] -= rate * weight
            work.others[link] -= 1
            work.taken[link] += weight


def add_up(work: Work, link: int) -> None:
    """Add up what flows that keep their rates take of a link, and the weight of the solved ones."""
    epoch = work.counter[EPOCH]
    frozen, others, taken = 0.0, 0, 0.0
    start = work.first[link]
    for at in range(start, start + work.on_link[link]):
        flow = work.slot_flow[at]
        if work.flow_epoch[flow] == epoch:
            taken += work.slot_weight[at]
        else:
            frozen += work.rate[flow] * work.slot_weight[at]
            others += 1
    work.frozen[link] = frozen
    work.others[link] = others
    work.taken[link] = taken
    work.level[link] = -1.0


def choose_bottlenecked(work: Work, link: int) -> None:
    """Choose all flows whose bottleneck is this link."""
    epoch = work.counter[EPOCH]
    start = work.first[link]
    for at in range(start, start + work.on_link[link]):
        flow = work.slot_flow[at]
        if work.bottleneck[flow] == link and work.flow_epoch[flow] != epoch:
            choose(work, flow)


def choose_all(work: Work) -> None:
    """Choose every flow that is under way."""
    epoch = work.counter[EPOCH]
    for at in range(work.counter[WAITING]):
        if work.flow_epoch[work.heap[at]] != epoch:
            choose(work, work.heap[at])


def push_link(work: Work, link: int, key: float) -> None:
    """Put a link into the heap of one solve."""
    heap, keys = work.link_heap, work.link_key
    at = work.counter[LINKS]
    work.counter[LINKS] += 1
    while at > 0:
        parent = (at - 1) >> 1
        if keys[parent] <= key:
            break
        heap[at], keys[at] = heap[parent], keys[parent]
        at = parent
    heap[at], keys[at] = link, key


def lower_top(work: Work, link: int, key: float) -> None:
    """Replace the top of the heap of one solve by this link and key."""
    heap, keys = work.link_heap, work.link_key
    size, at = work.counter[LINKS], 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        heap[at], keys[at] = heap[child], keys[child]
        at = child
    heap[at], keys[at] = link, key


def drop_top(work: Work) -> None:
    """Remove the top of the heap of one solve."""
    work.counter[LINKS] -= 1
    last = work.counter[LINKS]
    if last > 0:
        lower_top(work, work.link_heap[last], work.link_key[last])


def fill(work: Work) -> None:
    """Fill what the other flows leave of the touched links, bottleneck after bottleneck."""
    counter, spare, weights = work.counter, work.spare, work.open
    for at in range(counter[CHOSEN]):
        work.fresh[work.chosen[at]] = -1.0
    counter[LINKS] = 0
    for at in range(counter[TOUCHED]):
        link = work.touched[at]
        spare[link] = max(work.capacity[link] - work.frozen[link], 0.0)
        weights[link] = work.taken[link]
        work.level[link] = -1.0
        push_link(work, link, spare[link] / weights[link])
    missing = counter[CHOSEN]
    while missing > 0:
        link, key = work.link_heap[0], work.link_key[0]
        if weights[link] < 0.5:
            drop_top(work)
            continue
        share = spare[link] / weights[link]
        if share > key and counter[LINKS] > 1:
            # Shares only grow while others are filled, so the key was a lower bound.
            lower_top(work, link, share)
            if work.link_heap[0] != link:
                continue
        work.level[link] = share
        missing -= fix(work, link, share)


def fix(work: Work, link: int, share: float) -> int:
    """Give the flows on a bottleneck that have no rate yet their share; return how many there were."""
    epoch, fixed = work.counter[EPOCH], 0
    spare, weights, fresh = work.spare, work.open, work.fresh
    start = work.first[link]
    for at in range(start, start + work.on_link[link]):
        flow = work.slot_flow[at]
        if work.flow_epoch[flow] != epoch or fresh[flow] >= 0.0:
            continue
        fresh[flow] = share
        work.bottleneck[flow] = link
        fixed += 1
        for hop in range(work.ptr[flow], work.ptr[flow + 1]):
            crossed = work.idx[hop]
            weight = work.weight[hop]
            spare[crossed] = max(spare[crossed] - share * weight, 0.0)
            weights[crossed] -= weight
    return fixed


def verify(work: Work) -> bool:
    """Choose every flow whose bottleneck no longer holds; return whether there was none."""
    counter = work.counter
    before = counter[CHOSEN]
    for index in range(counter[TOUCHED]):
        link = work.touched[index]
        if work.others[link] > 0:
            verify_link(work, link)
    return bool(counter[CHOSEN] == before)


def verify_link(work: Work, link: int) -> None:
    """Choose the flows with kept rates that this link must slow down, or no longer holds back."""
    epoch = work.counter[EPOCH]
    start, end = work.first[link], work.first[link] + work.on_link[link]
    level = work.level[link]
    full = work.spare[link] <= _TIE * work.capacity[link]
    fastest = 0.0
    for at in range(start, end):
        flow = work.slot_flow[at]
        fastest = max(fastest, work.fresh[flow] if work.flow_epoch[flow] == epoch else work.rate[flow])
    for at in range(start, end):
        flow = work.slot_flow[at]
        if work.flow_epoch[flow] == epoch:
            continue
        rate = work.rate[flow]
        free = work.bottleneck[flow] == link and (not full or rate < fastest * (1.0 - _TIE))
        if free or 0.0 <= level < rate * (1.0 - _TIE):
            choose(work, flow)


def settle(work: Work, now: float) -> None:
    """Book the progress of the solved flows, and give them their new rates and ends."""
    for at in range(work.counter[CHOSEN]):
        flow = work.chosen[at]
        new, old = work.fresh[flow], work.rate[flow]
        if abs(new - old) <= _SAME * new:
            continue
        left = max(work.left[flow] - old * (now - work.since[flow]), 0.0)
        work.left[flow] = left
        work.since[flow] = now
        work.rate[flow] = new
        work.due[flow] = now + left / new
        reorder(work, flow)


def solve(work: Work, now: float) -> None:
    """Solve the chosen flows, and those that they drag in, and give them their rates from now on."""
    counter = work.counter
    while True:
        fill(work)
        if verify(work):
            break
        if 2 * counter[CHOSEN] > counter[WAITING]:
            choose_all(work)
    settle(work, now)


def change(work: Work, flow: int) -> None:
    """Choose the flows that a start or an end disturbs: those with their bottleneck on one of its links."""
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        choose_bottlenecked(work, work.idx[hop])


def play(work: Work, order: Any, start: Any, finish: Any) -> None:
    """Go from one start or end to the next; `order` names the flows by start time, `finish` is filled in."""
    counter = work.counter
    arrived, total = 0, len(order)
    while arrived < total or counter[WAITING] > 0:
        now = start[order[arrived]] if arrived < total else work.due[work.heap[0]]
        if counter[WAITING] > 0:
            now = min(now, work.due[work.heap[0]])
        counter[EPOCH] += 1
        counter[CHOSEN] = 0
        counter[TOUCHED] = 0
        first = arrived
        while arrived < total and start[order[arrived]] <= now:
            join_links(work, order[arrived])
            arrived += 1
        ended = end_flows(work, now, finish)
        # All are on or off their links before anything is added up.
        for at in range(ended):
            change(work, work.ended[at])
        for at in range(first, arrived):
            if work.flow_epoch[order[at]] != counter[EPOCH]:
                work.since[order[at]] = now
                choose(work, order[at])
            change(work, order[at])
        if counter[CHOSEN] > 0:
            solve(work, now)


def end_flows(work: Work, now: float, finish: Any) -> int:
    """Take all flows that end now off their links; return how many."""
    latest = now + 1e-13 * abs(now)
    count = 0
    while work.counter[WAITING] > 0 and work.due[work.heap[0]] <= latest:
        flow = pop(work)
        finish[flow] = work.due[flow]
        leave_links(work, flow)
        work.ended[count] = flow
        count += 1
    return count
