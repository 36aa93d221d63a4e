"""Many runs of one job under failures at once: exact draws of the time that its work takes, as array operations.

For a job alone, with memoryless failures, fixed saves and fixed restarts, nothing has to be played event by event:
how often segments fail is negative binomial, and what each failure throws away is a truncated exponential. For
anything coupled (queues, spares, shared storage, several tiers) there is the engine.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from colossus_sim.randomness import stream

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_LONGEST = 30.0
"""Longest segment or recovery in mean times between failures: one try in exp(30) succeeds, so no run ends."""

_FACTORS = 16
"""Factors of at least exp(-30) whose product is far from the smallest number."""
_AT_ONCE = 2**18
"""Failures drawn at once: they fit a processor's cache. The numbers do not depend on it."""


def finish_times(
    segments: int,
    interval: float,
    *,
    save_time: float,
    mtbf: float,
    downtime: float = 0.0,
    recovery: float = 0.0,
    final_save: bool = True,
    replicas: int = 1000,
    seed: int = 0,
) -> Array:
    """Times from start to end of so many independent runs of one job [s]; one per replica.

    Parameters
    ----------
    segments : int
        Times that the job works for `interval` and then saves.
    interval, save_time : float
        Working time between saves, and blocking time of one save [s].
    mtbf : float
        Mean time between failures of the job; they strike work, saves and recoveries alike [s].
    downtime, recovery : float
        Time after a failure without and with the hazard of another failure [s].
    final_save : bool
        Whether the last segment ends with a save too; the engine ends a job without.
    replicas, seed : int
        Number of runs, and the seed of their random numbers.

    Raises
    ------
    ValueError
        If a time is negative, or a segment or recovery so long that no run would end.

    Notes
    -----
    The law is that whose mean gives `reliability.efficiency` (Bougeret et al. 2011,
    doi:10.1145/2063384.2063428). With ``T = interval + save_time``, a segment fails ``F`` times before it succeeds,
    ``P(F >= k) = (1 - exp(-T / mu))^k``; so does a recovery with ``R`` for ``T``.
    """
    period = interval + save_time
    if min(interval, save_time, downtime, recovery) < 0.0 or mtbf <= 0.0 or segments < 1 or replicas < 1:
        raise ValueError("times must not be negative; the MTBF, segments and replicas must be more than 0")
    if max(period, recovery) > _LONGEST * mtbf:
        raise ValueError(
            f"a segment or recovery of more than {_LONGEST:.0f} mean times between failures never ends"
        )
    random = stream(seed, "restart_sampling")
    saved = np.full(replicas, segments if final_save else segments - 1)
    failed, time = _tries(random, saved, period, mtbf)
    more, last = _tries(random, segments - saved, interval, mtbf)
    again, recovered = _tries(random, failed + more, recovery, mtbf)
    return time + last + recovered + (failed + more + again) * downtime


def _tries(random: np.random.Generator, wanted: Counts, length: float, mtbf: float) -> tuple[Counts, Array]:
    """Return how often stretches of a length failed until so many succeeded, and the time of all tries [s]."""
    failed: Counts = np.zeros(wanted.size, dtype=np.int64)
    some = wanted > 0
    failed[some] = random.negative_binomial(wanted[some], math.exp(-length / mtbf))
    return failed, wanted * length + mtbf * _cut_off_sums(random, failed, length / mtbf)


def _cut_off_sums(random: np.random.Generator, counts: Counts, limit: float) -> Array:
    """Return sums of so many exponential numbers of mean 1, each known to be below a limit."""
    sums: Array = np.zeros(counts.size)
    struck = np.flatnonzero(counts)
    portions = np.cumsum(counts[struck]) // _AT_ONCE
    for owners in np.split(struck, np.flatnonzero(np.diff(portions)) + 1):
        if owners.size:
            sums[owners] = _products(random, counts[owners], limit)
    return sums


def _products(random: np.random.Generator, counts: Counts, limit: float) -> Array:
    # Inverted law: -log(1 - u (1 - exp(-limit))). A sum of logarithms is one of a product, while that is a number.
    factors = random.random(int(counts.sum()))
    factors *= math.expm1(-limit)
    factors += 1.0
    blocks = -(-counts // _FACTORS)
    first_block = np.cumsum(blocks) - blocks
    inside = np.arange(int(blocks.sum())) - np.repeat(first_block, blocks)
    first_factor = np.repeat(np.cumsum(counts) - counts, blocks) + _FACTORS * inside
    logs: Array = np.log(np.multiply.reduceat(factors, first_factor))
    return -np.add.reduceat(logs, first_block)
