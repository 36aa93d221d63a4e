"""Several tiers of saves together: the efficiency of a nested pattern, and the best one.

A pattern is what lies between two saves of the last tier. Tier 1 saves after every segment of work, tier 2 after
every m2-th, tier 3 after every (m2 m3)-th, and so on; where several are due only the largest saves. Failures are
memoryless; one of class i can be recovered from tiers i, i + 1, ... only. Failures strike work, saves and
recoveries alike; a copy is of use when its stall and its drain are over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

_STEPS = (2.0, 1.3, 1.1, 1.03)
"""Factors by which an interval is varied, coarse to fine."""
_ROUNDS = 60
"""More sweeps over the tiers than any search needs."""


class TierCost(NamedTuple):
    """One tier of saves, from the fastest to the safest."""

    stall: float
    """Time that work stops for one save. [s]"""
    drain: float
    """Further time until the copy can be used. [s]"""
    rate: float
    """Failures that need this tier: the tiers before do not survive them. [1/s]"""
    recovery: float
    """From such a failure until work goes on. [s]"""


def pattern_efficiency(segment: float, multiples: Sequence[int], tiers: Sequence[TierCost]) -> float:
    """Return the share of time that ends up as kept work under a nested pattern [-]; exact without drains.

    Parameters
    ----------
    segment : float
        Work between two saves of the first tier. [s]
    multiples : sequence of int
        Of each tier, how many periods of the tier before make one of its own; the first is 1.
    tiers : sequence of TierCost
        From the fastest to the safest.

    Notes
    -----
    With E_j the mean time from position j of the pattern to the next one (first passage), p the chance to get
    there without a failure, q_c that of a failure whose worst class, recoveries included, is c, and b_c the
    position to which such a failure leads back:
    ``E_j p = mean time of an attempt + sum_c q_c (mean recovery + sum of E_i for b_c <= i < j)``.
    A drain that a failure aborts counts as done when the work has come as far again: a little too good where
    drains span several segments. With one tier it is `reliability.efficiency` (Bougeret et al. 2011,
    doi:10.1145/2063384.2063428); two tiers to first order: Benoit et al. 2017, doi:10.1109/TC.2016.2643660.
    """
    if math.fsum(tier.rate for tier in tiers) <= 0.0:
        return _without_failures(segment, multiples, tiers)
    stages = _stages(segment, multiples, tiers)
    worst, recovery = _recoveries(tiers)
    sums = [0.0] * (len(stages) + 1)
    for _ in range(_ROUNDS):
        before, sums = sums, _pattern_times(stages, tiers, worst, recovery, sums)
        if not math.isfinite(sums[-1]):
            return 0.0
        if abs(sums[-1] - before[-1]) <= 1e-13 * sums[-1]:
            break
    return segment * math.prod(multiples) / sums[-1]


class _Stage(NamedTuple):
    """A piece of a pattern in which nothing becomes safe."""

    length: float
    back: tuple[int, ...]
    """Of each class of failure, the stage that it leads back to; negative in the pattern before, as in Python."""


def _without_failures(segment: float, multiples: Sequence[int], tiers: Sequence[TierCost]) -> float:
    count, stalls = math.prod(multiples), 0.0
    for number in range(1, count + 1):
        stalls += tiers[_saves(number, multiples)].stall
    return segment * count / (segment * count + stalls)


def _saves(number: int, multiples: Sequence[int]) -> int:
    """Return the largest tier that saves after so many segments."""
    tier, period = 0, 1
    for index, multiple in enumerate(multiples):
        period *= multiple
        if number % period == 0:
            tier = index
    return tier


def _stages(segment: float, multiples: Sequence[int], tiers: Sequence[TierCost]) -> list[_Stage]:
    """Cut a pattern in the middle of many where segments end and where copies become usable."""
    count = math.prod(multiples)
    cuts: list[_Stage] = []
    safe = [0] * len(tiers)
    arriving: list[tuple[float, int, int]] = []  # (rest of the drain, tier, position of the copy)
    begins = []
    for number in range(3 * count):
        if number % count == 0:
            begins.append(len(cuts))
        saver = _saves(number + 1, multiples)
        left = segment + tiers[saver].stall
        done = 0.0
        for rest, tier, position in sorted(arriving):
            if rest >= left:
                break
            if rest > done:
                cuts.append(_Stage(rest - done, tuple(safe)))
                done = rest
            safe[: tier + 1] = [max(known, position) for known in safe[: tier + 1]]
        cuts.append(_Stage(left - done, tuple(safe)))
        arriving = [(rest - left, tier, position) for rest, tier, position in arriving if rest >= left]
        arriving = [item for item in arriving if item[1] > saver]
        arriving += [(tiers[tier].drain, tier, len(cuts)) for tier in range(saver + 1)]
    first = begins[2]
    return [_Stage(cut.length, tuple(back - first for back in cut.back)) for cut in cuts[first:]]


def _recoveries(tiers: Sequence[TierCost]) -> tuple[list[list[float]], list[float]]:
    """Return, of each class, the chances of the worst class in its recovery and the mean time of it."""
    total, count = math.fsum(tier.rate for tier in tiers), len(tiers)
    worst, mean = [[0.0] * count for _ in tiers], [0.0] * count
    for own in reversed(range(count)):
        lasts = tiers[own].recovery
        fails = -math.expm1(-total * lasts)
        same = fails * math.fsum(tier.rate for tier in tiers[: own + 1]) / total
        worst[own][own] += 1.0 - fails
        mean[own] += fails / total
        for other in range(own + 1, count):
            share = fails * tiers[other].rate / total
            mean[own] += share * mean[other]
            for last in range(count):
                worst[own][last] += share * worst[other][last]
        worst[own] = [chance / (1.0 - same) for chance in worst[own]] if same < 1.0 else worst[own]
        mean[own] = mean[own] / (1.0 - same) if same < 1.0 else math.inf
    return worst, mean


def _pattern_times(
    stages: Sequence[_Stage],
    tiers: Sequence[TierCost],
    worst: Sequence[Sequence[float]],
    recovery: Sequence[float],
    before: Sequence[float],
) -> list[float]:
    """Return the mean times to each stage and to the end, if those of the pattern before are `before`. [s]"""
    total = math.fsum(tier.rate for tier in tiers)
    chances = [tier.rate / total for tier in tiers]
    again = math.fsum(chance * mean for chance, mean in zip(chances, recovery, strict=True))
    last = [
        math.fsum(chance * row[c] for chance, row in zip(chances, worst, strict=True))
        for c in range(len(tiers))
    ]
    sums = [0.0]
    for stage in stages:
        odds = math.expm1(total * stage.length) if total * stage.length < 700.0 else math.inf
        here = sums[-1]
        back = math.fsum(
            chance * (here - sums[start] if start >= 0 else here + before[-1] - before[start - 1])
            for chance, start in zip(last, stage.back, strict=True)
        )
        sums.append(here + odds * (1.0 / total + again + back))
    return sums


def best_pattern(
    tiers: Sequence[TierCost],
    periods: Sequence[float],
    *,
    free: Sequence[bool],
    efficiency: Callable[[float, Sequence[int], Sequence[TierCost]], float] = pattern_efficiency,
) -> tuple[float, tuple[int, ...]]:
    """Return (segment [s], multiples) with the best efficiency, by a search from given periods.

    Parameters
    ----------
    tiers : sequence of TierCost
        From the fastest to the safest.
    periods : sequence of float
        Where the search begins: work between two saves of each tier, not falling. [s]
    free : sequence of bool
        Which periods may be changed.
    efficiency : callable
        What is made as large as possible.
    """
    best = list(periods)
    value = efficiency(*nested(best), tiers)
    for step in _STEPS:
        for _ in range(_ROUNDS):
            moved = False
            for tried in _neighbours(best, step, free):
                other = efficiency(*nested(tried), tiers)
                if other > value:
                    best, value, moved = tried, other, True
                    break
            if not moved:
                break
    return nested(best)


def _neighbours(periods: Sequence[float], step: float, free: Sequence[bool]) -> Iterator[list[float]]:
    """Yield periods that differ in one tier: by a factor, by a period of the tier before, or by one save more or
    less of it in a period of the next tier."""
    for index, period in enumerate(periods):
        if not free[index]:
            continue
        values = [period * step, period / step]
        if index:
            values += [period + periods[index - 1], period - periods[index - 1]]
        if index + 1 < len(periods):
            count = max(1, round(periods[index + 1] / period))
            values += [periods[index + 1] / (count + 1), periods[index + 1] / max(1, count - 1)]
        for value in values:
            tried = [*periods[:index], value, *periods[index + 1 :]]
            if value > 0.0 and tried == sorted(tried):
                yield tried


def nested(periods: Sequence[float]) -> tuple[float, tuple[int, ...]]:
    """Return the segment and the multiples nearest to these periods."""
    multiples, period = [1], periods[0]
    for wanted in periods[1:]:
        multiples.append(max(1, round(wanted / period)))
        period *= multiples[-1]
    return periods[0], tuple(multiples)
