"""Intervals, quantiles and shares of variance of replicas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Confidence level of all intervals."""
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean with its interval; NaN where there are too few values."""

    count: int
    mean: float
    sd: float
    half_width: float
    """Half of the two-sided interval at `LEVEL`."""


_NOTHING = Mean(count=0, mean=math.nan, sd=math.nan, half_width=math.nan)


def mean_interval(values: Sequence[float]) -> Mean:
    """Return mean, standard deviation and the t interval of independent replicas (NaN are left out)."""
    kept = [value for value in values if value == value]  # the quickest test for NaN
    count = len(kept)
    if not count:
        return _NOTHING
    mean = math.fsum(kept) / count
    if count < 2:
        return Mean(count=1, mean=mean, sd=math.nan, half_width=math.nan)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in kept) / (count - 1))
    return Mean(count=count, mean=mean, sd=sd, half_width=t_quantile(count - 1) * sd / math.sqrt(count))


def t_quantile(freedom: int) -> float:
    """Return the two-sided quantile of Student's t at `LEVEL`."""
    # scipy.special takes a tenth of the time that scipy.stats takes to import.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + LEVEL / 2.0))


def paired_difference(values: Sequence[float], base: Sequence[float]) -> Mean:
    """Return the interval of the differences of runs with the same seeds.

    With common random numbers it is much narrower than the intervals of the two means (Law, Simulation Modeling
    and Analysis, 5th edition, McGraw-Hill 2015, section 11.2).
    """
    return mean_interval([value - other for value, other in zip(values, base, strict=False)])


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """Return the score interval of a probability at `LEVEL` (Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212)."""
    if not count:
        return 0.0, 1.0
    share, weight = successes / count, _Z**2 / count
    middle = (share + weight / 2.0) / (1.0 + weight)
    half = _Z * math.sqrt(share * (1.0 - share) / count + weight / (4.0 * count)) / (1.0 + weight)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == count else min(1.0, middle + half)
    return low, high


def quantile_rank(level: float, count: int) -> int:
    """Return the place, from 1, of a quantile among so many sorted values."""
    return max(1, math.ceil(round(level * count, 9)))  # 0.07 of 100 are 7.000000000000001 in floats


def quantiles(values: Sequence[float], levels: Sequence[float]) -> tuple[float, ...]:
    """Return quantiles: the smallest value with at least a share `level` of the values at or below it.

    Each is one of the values (Hyndman and Fan, Am. Stat. 50 (1996), 361, type 1), which may be infinite; NaN are
    left out.
    """
    kept = sorted(value for value in values if not math.isnan(value))
    if not kept:
        return tuple(math.nan for _ in levels)
    return tuple(kept[quantile_rank(level, len(kept)) - 1] for level in levels)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


def rank_correlation(inputs: Sequence[float], outputs: Sequence[float]) -> float:
    """Return Spearman's rank correlation; NaN where either does not vary."""
    x, y = _ranks(np.asarray(inputs, dtype=float)), _ranks(np.asarray(outputs, dtype=float))
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 0.0 else math.nan


def _classes(count: int) -> int:
    return min(20, max(4, int(math.sqrt(count) / 1.5)))


def chance_level(count: int, inputs: int, *, confidence: float = 0.95) -> float:
    """Return what the largest first-order index of inputs that do nothing stays below with this confidence.

    Between the means of k classes of `count` values in all, chance alone puts a variance that is distributed as
    chi-squared with k - 1 degrees of freedom over `count`; the largest of many inputs is judged together (Sidak,
    J. Am. Stat. Assoc. 62 (1967), 626, doi:10.1080/01621459.1967.10482935). At most 1; 0 without inputs.
    """
    if inputs < 1:
        return 0.0
    from scipy.special import chdtri

    freedom = _classes(count) - 1
    beyond = 1.0 - confidence ** (1.0 / inputs)
    return min(1.0, max(0.0, (float(chdtri(freedom, beyond)) - freedom) / count)) if count else 1.0


def first_order_index(quantile: Sequence[float], outputs: Sequence[float]) -> float:
    """Return the first-order Sobol index of an input, from the sample that is there.

    The variance of the means of classes of equal probability, without what chance alone would give, over the whole
    variance: Plischke, Borgonovo and Smith, Eur. J. Oper. Res. 226 (2013), 536-550
    (doi:10.1016/j.ejor.2012.11.047). NaN for fewer than 20 values or without any variance.
    """
    y = np.asarray(outputs, dtype=float)
    count = y.size
    total = float(np.var(y)) if count else 0.0
    if count < 20 or total <= 0.0:
        return math.nan
    classes = _classes(count)
    order = np.argsort(np.asarray(quantile, dtype=float), kind="stable")
    parts = [part for part in np.array_split(y[order], classes) if part.size > 1]
    between = math.fsum(part.size * (float(part.mean()) - float(y.mean())) ** 2 for part in parts) / count
    within = math.fsum(part.size * float(part.var(ddof=1)) for part in parts) / count
    # A class of n values has a mean that varies by variance / n even if the input does nothing.
    chance = within * (len(parts) - 1) / count
    return min(1.0, max(0.0, (between - chance) / total))
