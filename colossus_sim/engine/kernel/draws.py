"""The random streams of the SimPy engine, drawn ahead in the order in which it would draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from colossus_sim.engine.failures import draw_strike, gap
from colossus_sim.engine.kernel.jit import entry_point
from colossus_sim.specs.faults import FaultClass, Repair

FloatArray = npt.NDArray[np.float64]


@entry_point
def _fill_strikes(rng: Any, out: Any) -> None:
    for row in range(out.shape[0]):
        out[row, 0] = rng.random()
        out[row, 1] = rng.random()
        out[row, 2] = rng.standard_normal()
        out[row, 3] = rng.standard_exponential()
        out[row, 4] = rng.standard_exponential()


@entry_point
def _fill_restarts(rng: Any, out: Any) -> None:
    for row in range(out.shape[0]):
        out[row, 0] = rng.random()
        out[row, 1] = rng.standard_exponential()


def is_exponential(spec: FaultClass) -> bool:
    """Say whether the gaps of a class are plain exponential draws."""
    return spec.distribution == "exponential" or (spec.distribution == "weibull" and spec.shape == 1.0)


def strikes(spec: FaultClass, rng: np.random.Generator, count: int) -> FloatArray:
    """Return the next failures of a source: columns place, repair time [s], gap after it."""
    drawn = np.empty((count, 5))
    if is_exponential(spec):
        _fill_strikes(rng, drawn)
    else:
        for row in drawn:
            one = draw_strike(spec, rng)
            row[:] = one.place, one.auto, one.normal, one.exponential, gap(spec, rng)
    seconds = np.zeros(count) if spec.repair is None else _repair_times(spec.repair, drawn)
    return np.column_stack((drawn[:, 0], seconds, drawn[:, 4]))


def _repair_times(repair: Repair, drawn: FloatArray) -> FloatArray:
    """Return what `engine.failures.repair_time` does of each row, to the last bit. [s]"""
    mean: FloatArray = np.where(drawn[:, 1] >= repair.auto_fraction, repair.manual_time, repair.auto_time)
    if repair.distribution == "fixed":
        return mean
    if repair.distribution == "exponential":
        return mean * drawn[:, 3]
    exponents = repair.sigma * drawn[:, 2] - 0.5 * repair.sigma**2
    # numpy's own exponential may differ in the last bit
    factors: FloatArray = np.array([math.exp(value) for value in exponents.tolist()])
    return mean * factors


def gaps(spec: FaultClass, rng: np.random.Generator, count: int) -> FloatArray:
    """Return the next gaps of a job's own failures."""
    if is_exponential(spec):
        return rng.standard_exponential(count)
    return np.array([gap(spec, rng) for _ in range(count)])


def restarts(rng: np.random.Generator, count: int) -> FloatArray:
    """Return the draws of the next restarts: by hand, and how long."""
    drawn = np.empty((count, 2))
    _fill_restarts(rng, drawn)
    return drawn
