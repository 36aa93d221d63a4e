"""Flows from event to event: exact max-min rates, re-solved only where something changed.

When flows start or end, the flows whose bottleneck link changed are solved again while all others keep their
rates (`filling`); where that drags in many, all are solved at once (`whole`). Afterwards each flow is among the
fastest on a full link, which is max-min fairness (Bertsekas and Gallager 1992, Data Networks, section 6.5.2).
Progress is lazy: a flow stores what was left when its rate last changed, and one heap holds the ends (`ends`).

The functions of these modules are written so that they run as they are on lists, and compiled (see `jit`) on
arrays, with the same arithmetic in the same order. Each comes after those that it calls.
"""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.network.ends import heapify, join_links, leave_links, pop, reorder
from colossus_sim.network.filling import choose, choose_bottlenecked, fill, verify
from colossus_sim.network.state import CHOSEN, EPOCH, TOUCHED, WAITING, Work
from colossus_sim.network.whole import fill_whole

_SAME = 1e-14
"""Relative change of a rate that is not worth an update."""

_MANY = 8
"""All flows are solved at once as soon as one of so many has to be."""


def renew(work: Work, flow: int, now: float) -> bool:
    """Book the progress of a solved flow and give it its new rate and end; return whether they changed."""
    new, old = work.fresh[flow], work.rate[flow]
    if abs(new - old) <= _SAME * new:
        return False
    left = max(work.left[flow] - old * (now - work.since[flow]), 0.0)
    work.left[flow] = left
    work.since[flow] = now
    work.rate[flow] = new
    work.due[flow] = now + left / new
    return True


def settle(work: Work, now: float) -> None:
    """Give the solved flows their new rates and ends."""
    for at in range(work.counter[CHOSEN]):
        if renew(work, work.chosen[at], now):
            reorder(work, work.chosen[at])


def solve_whole(work: Work, now: float) -> None:
    """Solve all flows that are under way, and give them their rates from now on."""
    fill_whole(work)
    for at in range(work.counter[CHOSEN]):
        renew(work, work.chosen[at], now)
    heapify(work)


def solve(work: Work, now: float) -> None:
    """Solve the chosen flows, and those that they drag in, and give them their rates from now on."""
    while _MANY * work.counter[CHOSEN] < work.counter[WAITING]:
        fill(work)
        if verify(work):
            settle(work, now)
            return
    solve_whole(work, now)


def change(work: Work, flow: int) -> None:
    """Choose the flows that a start or an end disturbs: those with their bottleneck on one of its links."""
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        choose_bottlenecked(work, work.idx[hop])


def disturb(work: Work, ended: int, order: Any, first: int, last: int) -> None:
    """Choose the flows that these ends and starts disturb, and those that start."""
    for at in range(ended):
        change(work, work.ended[at])
    for at in range(first, last):
        if work.flow_epoch[order[at]] != work.counter[EPOCH]:
            choose(work, order[at])
        change(work, order[at])


def start_flows(work: Work, now: float, order: Any, arrived: int, start: Any) -> int:
    """Put all flows that start by now on their links; return how many have come so far."""
    while arrived < len(order) and start[order[arrived]] <= now:
        flow = order[arrived]
        join_links(work, flow)
        work.since[flow] = now
        work.due[flow] = math.inf
        reorder(work, flow)
        arrived += 1
    return arrived


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


def play(work: Work, order: Any, start: Any, finish: Any) -> None:
    """Go from one start or end to the next; `order` names the flows by start time, `finish` is filled in."""
    counter = work.counter
    arrived = 0
    while arrived < len(order) or counter[WAITING] > 0:
        now = start[order[arrived]] if arrived < len(order) else math.inf
        if counter[WAITING] > 0:
            now = min(now, work.due[work.heap[0]])
        counter[EPOCH] += 1
        counter[CHOSEN] = 0
        counter[TOUCHED] = 0
        # All are on or off their links before anything is added up.
        first = arrived
        arrived = start_flows(work, now, order, arrived, start)
        ended = end_flows(work, now, finish)
        if _MANY * (arrived - first) > counter[WAITING]:
            solve_whole(work, now)
            continue
        disturb(work, ended, order, first, arrived)
        if counter[CHOSEN] > 0:
            solve(work, now)
