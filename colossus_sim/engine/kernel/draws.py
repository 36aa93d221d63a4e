"""The random streams of the SimPy engine, drawn ahead in the order in which it would draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from colossus_sim.engine.failures import draw_strike, gap, repair_law
from colossus_sim.engine.kernel.jit import entry_point
from colossus_sim.randomness import stream
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
    """Return the next failures of a source: columns place, time of the (first) repair [s], gap, by hand."""
    drawn = np.empty((count, 5))
    if is_exponential(spec):
        _fill_strikes(rng, drawn)
    else:
        for row in drawn:
            one = draw_strike(spec, rng)
            row[:] = one.place, one.auto, one.normal, one.exponential, gap(spec, rng)
    seconds = np.zeros(count) if spec.repair is None else _repair_times(spec, spec.repair, drawn)
    hands = np.zeros(count) if spec.repair is None else drawn[:, 1] >= spec.repair.auto_fraction
    return np.column_stack((drawn[:, 0], seconds, drawn[:, 4], hands))


def _repair_times(spec: FaultClass, repair: Repair, drawn: FloatArray) -> FloatArray:
    """Return what `engine.failures` does of each row for the only stage, or the first, to the last bit. [s]"""
    first = repair.auto_first and spec.per != "site"
    hands = (drawn[:, 1] >= repair.auto_fraction) & (not first)
    mean: FloatArray = np.where(hands, repair.manual_time, repair.auto_time)
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


class Courses:
    """How repairs go that may have two stages or mend nothing: what `engine.defects` draws of each.

    Which numbers it draws depends on the failures that hit, so they cannot be drawn ahead.

    Parameters
    ----------
    names : list
        Site, partition and class of each source.
    specs : list
        Class of each source.
    """

    def __init__(self, seed: int, names: list[tuple[str, ...]], specs: list[FaultClass]) -> None:
        self._seed = seed
        self._names = names
        self._specs = specs
        self._streams: dict[int, np.random.Generator] = {}

    def draw(self, source: int, hands: bool) -> tuple[bool, float]:
        """Return whether the next repair mends, and the time of its second stage [s], of a source.

        Raises
        ------
        ValueError
            If the class has no repair (a bug).
        """
        repair = self._specs[source].repair
        if repair is None:
            raise ValueError(f"{self._names[source]} has no repair")
        if source not in self._streams:
            self._streams[source] = stream(self._seed, "repair", *self._names[source])
        rng = self._streams[source]
        mended = rng.random() >= (repair.manual_unmended if hands else repair.auto_unmended)
        if not (repair.auto_first and hands):
            return mended, 0.0
        normal, exponential = float(rng.standard_normal()), float(rng.standard_exponential())
        return mended, repair_law(repair, repair.manual_time, normal, exponential)
