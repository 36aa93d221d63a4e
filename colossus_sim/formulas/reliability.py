"""Failure rates, checkpoint intervals and effective training time in closed form.

The engine is tested against these in the limits where they hold. Symbols in the notes: ``mu`` mean time
between failures, ``C`` blocking time of a save, ``T`` period from save to save (``C`` included), ``D``
downtime in which nothing can fail, ``R`` recovery in which failures can strike again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_NEWTON_STEPS = 60
_NEWTON_TOLERANCE = 1e-14


def series_rate(parts: Iterable[tuple[float, float]]) -> float:
    """Failure rate of a system that stops when any part fails [1/s], from pairs (number, rate of one).

    Source: superposition of independent exponential laws (Trivedi, Probability and Statistics, 2002, sec. 3.6).
    """
    return math.fsum(number * rate for number, rate in parts)


def young_interval(save_time: float, mtbf: float) -> float:
    """Working time between saves by Young's first-order rule [s]: ``sqrt(2 C mu)``.

    Source: Young 1974, doi:10.1145/361147.361115.
    """
    return math.sqrt(2.0 * save_time * mtbf)


def daly_interval(save_time: float, mtbf: float) -> float:
    """Working time between saves by Daly's higher-order estimate [s].

    Notes
    -----
    ``sqrt(2 C mu) (1 + (1/3) sqrt(C / 2 mu) + (1/9) C / 2 mu) - C`` for ``C < 2 mu``, else ``mu``
    (Daly 2006, doi:10.1016/j.future.2004.11.016, eq. 37).
    """
    if save_time >= 2.0 * mtbf:
        return mtbf
    ratio = save_time / (2.0 * mtbf)
    return math.sqrt(2.0 * save_time * mtbf) * (1.0 + math.sqrt(ratio) / 3.0 + ratio / 9.0) - save_time


def optimal_interval(save_time: float, mtbf: float) -> float:
    """Working time between saves that maximises `efficiency`, exactly [s]; it depends on neither D nor R.

    Notes
    -----
    ``T* = C + mu (1 + W0(-exp(-1 - C / mu)))`` with Lambert's W (Daly 2006,
    doi:10.1016/j.future.2004.11.016, exact root). With ``x = T* / mu`` that is the root of
    ``x - C / mu = 1 - exp(-x)``, found here by Newton's method from Young's value.
    """
    cost = save_time / mtbf
    x = cost + math.sqrt(2.0 * cost)
    for _ in range(_NEWTON_STEPS):
        decay = -math.expm1(-x)
        if decay == 0.0:
            break
        step = (x - cost - decay) / decay
        x -= step
        if abs(step) <= _NEWTON_TOLERANCE * x:
            break
    return mtbf * (x - cost)


def efficiency(
    interval: float, *, save_time: float, mtbf: float, downtime: float = 0.0, recovery: float = 0.0
) -> float:
    """Share of wall-clock time that ends up as kept work, for memoryless failures; exact [-].

    Parameters
    ----------
    interval : float
        Working time between saves, the save not included [s].
    save_time, mtbf : float
        Blocking time of one save, mean time between failures of the job [s].
    downtime, recovery : float
        Time after a failure without and with the hazard of another failure [s].

    Notes
    -----
    ``eff = (T - C) / ((mu + D) exp(R / mu) (exp(T / mu) - 1))`` with ``T = interval + C``; failures also
    strike saves and recoveries (Bougeret et al. 2011, Checkpointing strategies for parallel jobs,
    doi:10.1145/2063384.2063428).
    """
    period = interval + save_time
    exponent = period / mtbf
    if exponent + recovery / mtbf > 700.0:
        return 0.0
    return interval / ((mtbf + downtime) * math.exp(recovery / mtbf) * math.expm1(exponent))


def first_order_waste(
    interval: float, *, save_time: float, mtbf: float, downtime: float = 0.0, recovery: float = 0.0
) -> float:
    """Share of time lost, to first order; good only while the period is far below the MTBF [-].

    ``C / T + (1 - C / T) (D + R + T / 2) / mu`` (Aupy et al. 2013, doi:10.1016/j.jpdc.2013.10.010, eq. 12).
    """
    period = interval + save_time
    saving = save_time / period
    return saving + (1.0 - saving) * (downtime + recovery + period / 2.0) / mtbf


def kokolis_ettr(
    *, nodes: float, node_rate: float, restart: float, interval: float, save_time: float
) -> float:
    """Expected effective training time ratio by Meta's estimator [-].

    ``(1 - N r (u0 + dt / 2)) / (1 + w / dt)``: ``nodes`` N, ``node_rate`` r [1/s], ``restart`` u0 [s],
    ``interval`` dt [s], ``save_time`` w [s]. Good while ``N r (u0 + dt / 2)`` stays below about 0.1.

    Source: Kokolis et al. 2024, Revisiting Reliability (arXiv:2410.21680), sec. III and appendix.
    """
    return (1.0 - nodes * node_rate * (restart + interval / 2.0)) / (1.0 + save_time / interval)


def two_level_intervals(
    *, fast_save: float, slow_save: float, fast_share: float, mtbf: float
) -> tuple[float, float]:
    """Intervals of a fast (memory) and a slow (storage) tier that minimise the first-order waste [s, s].

    ``fast_share`` p of the failures can be recovered from the fast tier: ``T1 = sqrt(2 C1 mu / p)`` and
    ``T2 = sqrt(2 C2 mu / (1 - p))``; infinite where the tier serves no failure.

    Source: Benoit, Cavelan, Le Fevre, Robert, Sun 2017, doi:10.1109/TC.2016.2643660, sec. 3.
    """
    slow_share = 1.0 - fast_share
    fast = math.sqrt(2.0 * fast_save * mtbf / fast_share) if fast_share > 0.0 else math.inf
    slow = math.sqrt(2.0 * slow_save * mtbf / slow_share) if slow_share > 0.0 else math.inf
    return fast, slow


def shared_storage_waste(
    classes: Iterable[tuple[float, float, float]], *, nodes: float, node_mtbf: float
) -> float:
    """Least waste of a platform whose jobs save to one storage system, one at a time [-].

    Parameters
    ----------
    classes : iterable of (n, q, C)
        Jobs of the class at any time, nodes of one, time of one save with the storage to itself [s].
    nodes, node_mtbf : float
        Nodes of the platform; mean time between failures of one [s].

    Notes
    -----
    ``P_i = sqrt(2 mu N / q_i^2 (q_i / N + lambda) C_i)`` with the least ``lambda >= 0`` for which the saves fit,
    ``sum n_i C_i / P_i <= 1``; waste ``sum n_i q_i / N (C_i / P_i + q_i / mu (P_i / 2 + C_i))`` (Herault et al.
    2019, Checkpointing strategies for shared high-performance computing platforms, INRIA RR-9109, Theorem 1).
    """
    known = list(classes)

    def period(q: float, save: float, extra: float) -> float:
        return math.sqrt(2.0 * node_mtbf * nodes * (q / nodes + extra) * save) / q

    def load(extra: float) -> float:
        return math.fsum(n * save / period(q, save, extra) for n, q, save in known)

    low, high = 0.0, 0.0
    if load(0.0) > 1.0:
        high = 1.0
        while load(high) > 1.0:
            high *= 2.0
        for _ in range(_NEWTON_STEPS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if load(middle) > 1.0 else (low, middle)
    return math.fsum(
        n * q / nodes * (save / period(q, save, high) + q / node_mtbf * (0.5 * period(q, save, high) + save))
        for n, q, save in known
    )


def availability(mtbf: float, mttr: float) -> float:
    """Long-run share of time in service [-]: ``MTBF / (MTBF + MTTR)``.

    Source: alternating renewal process (Trivedi 2002, sec. 6.6).
    """
    return mtbf / (mtbf + mttr)


def mean_units_down(*, units: float, rate: float, mttr: float) -> float:
    """Mean number of units in repair when hands are not scarce [-]: ``N r MTTR`` (M/G/infinity).

    Source: insensitivity of M/G/infinity to the repair law (Mirasol 1963, doi:10.1287/opre.11.2.282).
    """
    return units * rate * mttr


def spares_needed(mean_down: float, confidence: float) -> int:
    """Smallest number of spares that covers the units in repair with this probability [-].

    The number in repair is Poisson with mean ``mean_down`` (M/G/infinity, Mirasol 1963,
    doi:10.1287/opre.11.2.282).
    """
    if mean_down <= 0.0:
        return 0
    spares = 0
    covered = _poisson(0, mean_down)
    # Stops by itself: once the terms fall below the rounding of the sum nothing more can be gained.
    while covered < confidence:
        spares += 1
        term = _poisson(spares, mean_down)
        covered += term
        if spares > mean_down and term < 1e-17:
            break
    return spares


def _poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1.0))


RESTART_GPUS = 1024
"""World size for which restart times are stated."""


def restart_time(gpus: float, *, base: float, per_doubling: float = 0.0, exponent: float = 0.0) -> float:
    """Time of a part of a restart on so many GPUs [s]: ``base (n / 1024)^exponent + per_doubling log2(n / 1024)``.

    Logarithmic: ByteRobust, arXiv:2509.16293, Table 7 (454 s at 2,048 and 768 s at 16,384 GPUs). In proportion:
    communicator set-up, MegaScale, arXiv:2402.15627, sec. 3.5 (below 5 s at 2,048 and 30 s beyond 10,000 GPUs).
    """
    size = gpus / RESTART_GPUS
    return base * math.pow(size, exponent) + per_doubling * max(0.0, math.log2(size))
