"""Solving again the flows that an event disturbs, while all others keep their rates.

Bottleneck after bottleneck is filled, by a heap of the touched links. Then every link that the solved flows touch
is verified, and a flow whose bottleneck no longer holds joins them.
"""

from __future__ import annotations

from colossus_sim.network.state import CHOSEN, EPOCH, LINKS, TOUCHED, Work

TIE = 1e-11
"""Relative difference below which rates count as equal and links as full."""


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


def choose_bottlenecked(work: Work, link: int) -> None:
    """Choose all flows whose bottleneck is this link."""
    epoch = work.counter[EPOCH]
    start = work.first[link]
    for at in range(start, start + work.on_link[link]):
        flow = work.slot_flow[at]
        if work.bottleneck[flow] == link and work.flow_epoch[flow] != epoch:
            choose(work, flow)


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


def drain(work: Work, missing: int) -> None:
    """Fill bottlenecks in the order of their shares until no flow is without a rate."""
    counter, spare, weights = work.counter, work.spare, work.open
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
    drain(work, counter[CHOSEN])


def verify_link(work: Work, link: int) -> None:
    """Choose the flows with kept rates that this link must slow down, or no longer holds back."""
    epoch = work.counter[EPOCH]
    start, end = work.first[link], work.first[link] + work.on_link[link]
    level = work.level[link]
    full = work.spare[link] <= TIE * work.capacity[link]
    fastest = 0.0
    for at in range(start, end):
        flow = work.slot_flow[at]
        fastest = max(fastest, work.fresh[flow] if work.flow_epoch[flow] == epoch else work.rate[flow])
    for at in range(start, end):
        flow = work.slot_flow[at]
        if work.flow_epoch[flow] == epoch:
            continue
        rate = work.rate[flow]
        free = work.bottleneck[flow] == link and (not full or rate < fastest * (1.0 - TIE))
        if free or 0.0 <= level < rate * (1.0 - TIE):
            choose(work, flow)


def verify(work: Work) -> bool:
    """Choose every flow whose bottleneck no longer holds; return whether there was none."""
    counter = work.counter
    before = counter[CHOSEN]
    for index in range(counter[TOUCHED]):
        link = work.touched[index]
        if work.others[link] > 0:
            verify_link(work, link)
    return bool(counter[CHOSEN] == before)
