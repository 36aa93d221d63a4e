"""The heap of the moments at which flows end, and who is on which link; plain on lists, or compiled on arrays."""

from __future__ import annotations

from colossus_sim.network.state import WAITING, Work


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


def heapify(work: Work) -> None:
    """Put the event heap in order after many ends changed."""
    for at in range((work.counter[WAITING] + 2) >> 2, -1, -1):
        if at < work.counter[WAITING]:
            sink(work, at)


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
