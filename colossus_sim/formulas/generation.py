"""Time until a batch of responses is generated and nothing else, when the slowest replica is waited for.

A replica starts as many of its responses as it has slots; a slot whose response ends takes the next one that waits
(continuous batching: Orca, OSDI 2022; vLLM, arXiv:2309.06180). When none waits, the batch drains: the weights are
still read for every token step, but for fewer and fewer sequences, which choose fewer experts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from colossus_sim.formulas.decoding import Array, Values
from colossus_sim.formulas.rollout import log_mean, response_moment

StepTime = Callable[[Array, Array], Values]
CacheSize = Callable[[Array], Array]

_CELLS = 160
"""Cells of the length grid."""
_WAVES = 4.0
"""Responses per slot after which those in the slots are of all ages; more of them only take longer."""
_RARE = 1e-4
"""Longer responses than the grid holds, expected in the whole batch."""
_UNLIKELY = 1e-8
"""Chance, in all replicas, below which a longest rest is left out."""
_TINY = 1e-12
"""Sequences, and squares of time, that count as none."""
_STEP = 1e-4
"""Relative step of what more sequences cost."""
_NORMAL = np.linspace(-4.5, 5.5, 26)
"""Standard scores at which a gamma law is sampled."""
_SKEWS = 1e-4, 1.0
"""Least and largest skewness of a gamma law; what is told by the longest rest takes more skewness away."""


@dataclass(frozen=True, slots=True)
class Course:
    """One slot from its first response to the end of its last one, in expectation.

    Attributes
    ----------
    lengths : ndarray, shape (cells + 1,)
        Probability of each length of the grid [-].
    grid : ndarray, shape (cells + 1,)
        The lengths: 0 and the multiples of the width of a cell [tokens].
    starts : ndarray, shape (n,)
        Responses that start at the beginning of each cell of time, until none waits [-].
    survival : ndarray, shape (cells + 1,)
        Share of the responses that run in each cell of their age [-].
    live : ndarray, shape (n + cells,)
        Sequences in the slot in each cell of time [-].
    """

    lengths: Array
    grid: Array
    starts: Array
    survival: Array
    live: Array

    @property
    def cell(self) -> float:
        """Width of a cell of lengths and of time. [tokens]"""
        return float(self.grid[1])

    @property
    def idle(self) -> Array:
        """Share of slots that are idle, by cells since none waits."""
        return np.clip(1.0 - self.live[len(self.starts) - 1 :], 0.0, 1.0)

    @property
    def ages(self) -> Array:
        """Tokens of a response in the middle of each cell of its age. [tokens]"""
        return self.grid + 0.5 * self.cell

    def mean(self, values: Array) -> float:
        """Return the mean of a function of the length."""
        return float(self.lengths @ values)

    def until(self, rates: Array) -> Array:
        """Return the sums over the cells up to each length of the grid, of a rate per token of age or step."""
        return self.cell * np.append(0.0, np.cumsum(rates[: len(self.grid) - 1]))


def course_of(*, mean_tokens: float, sigma: float, maximum: float, rounds: float, responses: float) -> Course:
    """Return the course of one slot that takes `rounds` responses (1: none waits).

    Parameters
    ----------
    mean_tokens, sigma, maximum : float
        Lognormal law of the response length, cut at `maximum` [tokens, -, tokens].
    rounds : float
        Responses per slot, at least 1 [-].
    responses : float
        Responses of the whole batch, which tell how long the longest may be [-].

    Notes
    -----
    Renewal equation ``b = delta + b * p`` (Feller, An Introduction to Probability Theory II, 1971, ch. XI), on a
    grid whose lengths have the mean of the law (local moment matching: Klugman, Panjer, Willmot, Loss Models,
    sec. 9.6.5).
    """
    tail = math.sqrt(2.0 * math.log(responses / _RARE))
    top = min(maximum, math.exp(log_mean(mean_tokens, sigma) + sigma * tail))
    grid = np.linspace(0.0, top, _CELLS + 1)
    limited = [0.0]
    for limit in grid[1:].tolist():
        limited.append(response_moment(mean_tokens=mean_tokens, sigma=sigma, maximum=limit))
    survival = np.append(np.diff(limited), 0.0) / float(grid[1])
    lengths = -np.diff(survival, prepend=1.0)
    starts = _starts(lengths, rounds)
    return Course(lengths, grid, starts, survival, np.convolve(starts, survival))


def _starts(lengths: Array, rounds: float) -> Array:
    """Responses that start in each cell of time: those that end make room, until all have started."""
    other = 1.0 - float(lengths[0])
    again = lengths[:0:-1] / other
    starts = [min(rounds, 1.0 / other)]
    left = rounds - starts[0]
    while left > _TINY * rounds:
        recent = starts[-len(again) :]
        starts.append(min(left, float(again[len(again) - len(recent) :] @ np.array(recent))))
        left -= starts[-1]
    return np.array(starts)


def slowest_replica_time(
    *,
    step_time: StepTime,
    reading_time: StepTime,
    cache_size: CacheSize,
    mean_tokens: float,
    sigma: float,
    maximum: float,
    prompt_tokens: float,
    responses: float,
    slots: float,
    replicas: float,
) -> float:
    """Expected time until the slowest replica has decoded the last of its responses [s].

    Parameters
    ----------
    step_time, reading_time : callable
        Time of a token step [s] of so many sequences [-] that have a cache of this size each [B]; and were it bound
        by memory.
    cache_size : callable
        Cache of a sequence [B] with so many tokens of context [tokens].
    mean_tokens, sigma, maximum : float
        Lognormal law of the response length, cut at `maximum` [tokens, -, tokens].
    prompt_tokens : float
        Prompt of each response [tokens].
    responses, slots : float
        Of one replica, each at least 1 [-].
    replicas : float
        Replicas, each with responses of its own [-].

    Notes
    -----
    The mean time of a replica is that of its expected course; some slot is busy with probability ``1 - q^slots``
    where each is idle with probability `q`. To it comes what the slowest replica has drawn, as if memory bound it
    (a slow one has long responses) and to first order about the expected course: its token steps are the mean work
    of a slot, plus the longest rest of a response when none waits, less the mean rest; each response takes its
    cache, and the weights and messages that one more sequence costs a step while it lasts. That longest rest is
    taken with its exact law, all else given it by mean, variance and skewness, as a gamma law (Wilson and Hilferty
    1931, doi:10.1073/pnas.17.12.684). The slowest of R has the distribution function ``F^R`` (David and Nagaraja,
    Order Statistics, 2003, sec. 2.1).
    """
    rounds = max(1.0, responses / slots)
    slots = min(slots, responses)
    whole = max(0.0, math.floor(rounds - _WAVES))
    course = course_of(
        mean_tokens=mean_tokens,
        sigma=sigma,
        maximum=maximum,
        rounds=rounds - whole,
        responses=responses * replicas,
    )
    mean = course.mean(course.grid)
    cache = cache_size(prompt_tokens + course.ages)
    read = course.until(cache)
    steady = course.mean(read) / mean
    busy, sequences, held = _along(course, cache, slots)
    full = step_time(np.array([slots]), np.array([steady]))
    steps = step_time(sequences, held)
    expected = float(whole * mean * np.sum(full) + course.cell * np.sum(busy * steps))
    takes = _takes(reading_time, course, sequences[len(course.starts) - 1 :], read, slots)
    return expected + _largest(*_draws(course, takes, responses, slots), replicas)


def _along(course: Course, cache: Array, slots: float) -> tuple[Array, Array, Array]:
    """Chance that a slot of a replica is busy, its sequences then, and the cache of each, by cells of its course.

    `cache` is that of a sequence in each cell of its age.
    """
    live = np.maximum(course.live, _TINY)
    busy = np.ones_like(live)
    busy[len(course.starts) - 1 :] = 1.0 - course.idle**slots
    busy[course.live <= _TINY] = 0.0
    held = np.convolve(course.starts, course.survival * cache) / live
    return busy, np.clip(slots * live / np.maximum(busy, _TINY), 1.0, slots), held


class _Takes(NamedTuple):
    """What responses take of the time of a replica. [s]"""

    cache: Array
    """Cache of a response of each length."""
    token: float
    """Share of one sequence in the rest of a token step while the slots are full."""
    lasting: Array
    """What one more sequence costs beyond its cache in each rest, when none waits."""
    base: Array
    """What does not depend on the number of sequences in each rest, when none waits."""


def _takes(reading_time: StepTime, course: Course, left: Array, read: Array, slots: float) -> _Takes:
    """Share out the time of a replica that is bound by memory.

    Parameters
    ----------
    reading_time : callable
        As for `slowest_replica_time`.
    left : ndarray
        Expected sequences in each cell of time since none waits [-].
    read : ndarray, shape (cells + 1,)
        Cache that a response of each length reads in all [B].
    """
    numbers = np.concatenate([left, (1.0 + _STEP) * left, [slots, slots]])
    caches = np.zeros_like(numbers)
    caches[-1] = read[-1]
    times = np.broadcast_to(reading_time(numbers, caches), numbers.shape)
    bare, more = times[:-2].reshape(2, -1)
    sequence = (more - bare) / (_STEP * left)
    full, with_cache = times[-2:].tolist()
    return _Takes(
        cache=(with_cache - full) / (slots * read[-1]) * read,
        token=full / slots,
        lasting=course.until(sequence),
        base=course.until(bare - left * sequence),
    )


def _draws(course: Course, takes: _Takes, responses: float, slots: float) -> tuple[Array, Array, Array]:
    """What a replica may take beyond its mean, by the longest rest of a response when none waits.

    Returns
    -------
    chance : ndarray, shape (cells + 1,)
        Probability of that rest [-].
    shift : ndarray, shape (cells + 1,)
        Mean time given that rest, beyond the overall mean [s].
    cumulants : ndarray, shape (2, cells + 1)
        Variance and third cumulant of the time, given that rest [s^2, s^3].
    """
    of_rest = _rests(course, takes)
    up_to = np.cumsum(of_rest, axis=1)
    up_to[0] = np.clip(up_to[0] + 1.0 - up_to[0, -1], _TINY, 1.0)
    chance = np.diff(up_to[0] ** slots, prepend=0.0)
    told = _cumulants(of_rest) + (slots - 1.0) * _cumulants(up_to)
    # Those that are complete: all, less those that run. A response takes its cache, and its share of the steps.
    each = takes.cache + takes.token * course.grid
    runs = np.zeros_like(course.grid)
    recent = course.starts[::-1][: _CELLS + 1]
    runs[: len(recent)] = recent
    runs = course.lengths * np.cumsum(runs)
    powers = each ** np.arange(4)[:, None]
    of_all, of_running = (_cumulants((law * powers).sum(axis=1)) for law in (course.lengths, runs))
    complete = np.maximum(responses * of_all - slots * of_running, 0.0)
    cumulants = told[1:] + complete[1:, None]
    cumulants[0] = np.minimum(cumulants[0], responses * of_all[1])
    shift = told[0] + takes.base
    return chance, shift - chance @ shift, cumulants


def _rests(course: Course, takes: _Takes) -> Array:
    """Mass and first three moments, by the rest of a response when none waits, of the time that it takes.

    That is its cache, its share of the steps of its age until then, and what it costs while it lasts.
    """
    recent = course.starts[-_CELLS - 1 :]
    ages = takes.token * course.cell * np.arange(len(recent) - 1.0, -1.0, -1.0)
    moments = np.zeros((4, len(course.grid)))
    for power in range(4):
        for part in range(power + 1):
            new = np.convolve(recent * ages**part, course.lengths * takes.cache ** (power - part))
            moments[power] += math.comb(power, part) * new[len(recent) - 1 :]
    if len(recent) > 1:
        moments[:, 0] = 0.0
    mass, first, second, third = moments
    more = takes.lasting
    return np.array(
        [
            mass,
            first + more * mass,
            second + more * (2.0 * first + more * mass),
            third + more * (3.0 * second + more * (3.0 * first + more * mass)),
        ]
    )


def _cumulants(moments: Array) -> Array:
    """First three cumulants from the sums of weights, values, squares and cubes; zero where there is no weight."""
    first, second, third = moments[1:] / np.maximum(moments[0], _TINY) * (moments[0] > _TINY)
    return np.array(
        [first, np.maximum(second - first**2, 0.0), third - 3.0 * first * second + 2.0 * first**3]
    )


def _largest(chance: Array, shift: Array, cumulants: Array, draws: float) -> float:
    """Mean of the largest of so many draws from a mixture of gamma laws."""
    kept = chance > _UNLIKELY / draws
    chance, shift, (variance, third) = chance[kept, None], shift[kept, None], cumulants[:, kept, None]
    spread = np.sqrt(variance)
    skew = np.clip(third / np.maximum(spread, _TINY) ** 3, *_SKEWS)
    scores = 2.0 / skew * ((1.0 + skew * _NORMAL / 6.0 - skew**2 / 36.0) ** 3 - 1.0)
    values = (shift + spread * scores).ravel()
    masses = (chance * np.exp(-0.5 * _NORMAL**2)).ravel()
    order = np.argsort(values, kind="stable")
    below = np.cumsum(masses[order])
    return float(values[order] @ np.diff((below / below[-1]) ** draws, prepend=0.0))
