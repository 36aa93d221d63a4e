"""Solving all flows at once, in rounds: for events that disturb many of them.

A link whose fair share is the least of all links that its flows cross is a bottleneck for good, since shares of
the others can only grow. All such links are filled in one round, without any order among them; what is left
after the rounds that settle many flows goes by the heap of `filling`.
"""

from __future__ import annotations

import math

from colossus_sim.network.filling import TIE, drain, push_link
from colossus_sim.network.state import CHOSEN, EPOCH, LINKS, ROUND, TOUCHED, WAITING, Work

_MANY = 8
"""A round must settle one flow of so many that are left; otherwise the heap is faster."""


def choose_whole(work: Work) -> None:
    """Choose every flow that is under way, and forget what was chosen before."""
    counter, spare, weights = work.counter, work.spare, work.open
    counter[EPOCH] += 1
    counter[CHOSEN] = counter[WAITING]
    counter[TOUCHED] = 0
    epoch = counter[EPOCH]
    for at in range(counter[WAITING]):
        flow = work.heap[at]
        work.chosen[at] = flow
        work.flow_epoch[flow] = epoch
        work.fresh[flow] = -1.0
        for hop in range(work.ptr[flow], work.ptr[flow + 1]):
            link = work.idx[hop]
            if work.link_epoch[link] != epoch:
                work.link_epoch[link] = epoch
                work.touched[counter[TOUCHED]] = link
                counter[TOUCHED] += 1
                spare[link] = work.capacity[link]
                weights[link] = work.weight[hop]
            else:
                weights[link] += work.weight[hop]


def mark_links(work: Work, flow: int) -> None:
    """Find the least fair share of a flow's links, and mark the others: this round they hold back nobody."""
    spare, weights = work.spare, work.open
    least = math.inf
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        link = work.idx[hop]
        least = min(least, spare[link] / weights[link])
    work.least[flow] = least
    limit = least * (1.0 + TIE)
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        link = work.idx[hop]
        if spare[link] > limit * weights[link]:
            work.passed[link] = work.counter[ROUND]


def find_bottleneck(work: Work, flow: int) -> int:
    """Return a link of a flow that holds back all flows on it, or -1."""
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        link = work.idx[hop]
        if work.passed[link] != work.counter[ROUND]:
            return int(link)
    return -1


def give_rate(work: Work, flow: int, link: int) -> None:
    """Give a flow the share of its bottleneck, and take it off what is left of its links."""
    share = work.least[flow]
    work.fresh[flow] = share
    work.bottleneck[flow] = link
    for hop in range(work.ptr[flow], work.ptr[flow + 1]):
        crossed, weight = work.idx[hop], work.weight[hop]
        work.spare[crossed] = max(work.spare[crossed] - share * weight, 0.0)
        work.open[crossed] -= weight


def fill_round(work: Work, missing: int) -> int:
    """Fill every link that is a bottleneck now; return how many flows are still without a rate (listed first)."""
    chosen = work.chosen
    work.counter[ROUND] += 1
    for at in range(missing):
        mark_links(work, chosen[at])
    at = 0
    while at < missing:
        flow = chosen[at]
        link = find_bottleneck(work, flow)
        if link < 0:
            at += 1
            continue
        give_rate(work, flow, link)
        missing -= 1
        chosen[at] = chosen[missing]
        chosen[missing] = flow
    return missing


def fill_whole(work: Work) -> None:
    """Give every flow that is under way its rate."""
    counter = work.counter
    choose_whole(work)
    missing, before = counter[CHOSEN], math.inf
    while missing > 0 and _MANY * missing < (_MANY - 1) * before:
        before = missing
        missing = fill_round(work, missing)
    if missing > 0:
        counter[LINKS] = 0
        for at in range(counter[TOUCHED]):
            link = work.touched[at]
            if work.open[link] > 0.5:
                push_link(work, link, work.spare[link] / work.open[link])
        drain(work, missing)
