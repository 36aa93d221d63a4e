"""Jobs that communicate at independent random moments: what a link gives on average, over who else is using it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Rates = Callable[[FloatArray, FloatArray, float], FloatArray]
"""(capacity of each link, jobs x links usage, most per GPU) -> rate per GPU of each job."""

MOST_JOBS = 6
"""Jobs of which every combination is looked at; the mean demand of the least busy others is taken away instead."""
_SAME = 1e-9
"""Relative slow-down below which a job counts as undisturbed (rounding of equal sums in another order)."""


def independent_rates(
    capacity: FloatArray, usage: FloatArray, alone: FloatArray, means: FloatArray, limit: float, fair: Rates
) -> FloatArray:
    """Return what each job gets, per GPU, on average over which of the others communicate at the same time.

    Each job is on or off: it sends at its rate alone for a share ``mean / alone`` of the time (its duty cycle), at
    moments independent of the others'. In each combination those that are on share max-min fairly. A transfer
    that meets many combinations takes the mean time per byte, so the answer is the harmonic mean of the rates; it
    is the rate alone, to the last bit, where no combination slows the job.

    Parameters
    ----------
    capacity : array of float
        Capacity of each link, in any unit.
    usage : array of float, jobs x links
        GPUs of the job that use each link.
    alone : array of float
        Rate per GPU of each job with the links to itself.
    means : array of float
        Mean rate per GPU of each job.
    limit : float
        Most that any GPU can send.
    fair : callable
        Max-min fair rates of jobs that are on together.
    """
    duty = np.minimum(np.divide(means, alone, out=np.zeros(len(means)), where=alone > 0), 1.0)
    rates = np.empty(len(usage))
    known: dict[tuple[int, ...], FloatArray] = {}
    for job in range(len(usage)):
        others = _rivals(usage, duty, job)
        kept = _left(capacity, usage, means, (job, *others))
        # A rate on thinned links is of no use to jobs that look at the whole of them.
        seen = known if kept is capacity else {}
        excess = [0.0]
        for on in _subsets(others):
            weight = math.prod(duty[k] if k in on else 1.0 - duty[k] for k in others)
            members = tuple(sorted((job, *on)))
            if members not in seen:
                seen[members] = fair(kept, usage[list(members)], limit)
            slower = alone[job] / seen[members][members.index(job)] - 1.0
            excess.append(weight * slower if slower > _SAME else 0.0)
        rates[job] = alone[job] / (1.0 + math.fsum(excess))
    return rates


def _rivals(usage: FloatArray, duty: FloatArray, job: int) -> list[int]:
    """Return the busiest jobs that share a link with one."""
    mine = usage[job] > 0
    rivals = [k for k in range(len(usage)) if k != job and duty[k] > 0 and bool((usage[k][mine] > 0).any())]
    rivals.sort(key=lambda k: (-duty[k] * float(usage[k][mine].sum()), k))
    return sorted(rivals[: MOST_JOBS - 1])


def _left(capacity: FloatArray, usage: FloatArray, means: FloatArray, looked_at: Sequence[int]) -> FloatArray:
    """Return the capacity without the mean demand of jobs that are not seen one by one, at least half of it."""
    rest = np.ones(len(usage), dtype=np.bool_)
    rest[list(looked_at)] = False
    rest &= means > 0
    if len(looked_at) < MOST_JOBS or not rest.any():
        return capacity
    left: FloatArray = np.maximum(capacity - means[rest] @ usage[rest], capacity / 2)
    return left


def _subsets(jobs: Sequence[int]) -> list[tuple[int, ...]]:
    return [on for size in range(len(jobs) + 1) for on in itertools.combinations(jobs, size)]
