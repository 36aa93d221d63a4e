"""The random streams of the SimPy engine, drawn ahead in the order in which it would draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from colossus_sim.engine.failures import by_hand, draw_strike, gap, hangs, repair_law, repair_time
from colossus_sim.engine.kernel.jit import entry_point
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import Diagnosis, FaultClass, Repair

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


@entry_point
def _fill_courses(rng: Any, out: Any) -> None:
    for row in range(out.shape[0]):
        out[row, 0] = rng.random()
        out[row, 1] = rng.standard_normal()
        out[row, 2] = rng.standard_exponential()


def is_exponential(spec: FaultClass) -> bool:
    """Say whether the gaps of a class are plain exponential draws."""
    return spec.distribution == "exponential" or (spec.distribution == "weibull" and spec.shape == 1.0)


def strikes(spec: FaultClass, rng: np.random.Generator, count: int) -> FloatArray:
    """Return the next failures of a source: columns place, time of the (first) repair [s], gap, by hand, hang."""
    drawn = np.zeros((count, 6))
    if is_exponential(spec) and not spec.hang_fraction:
        _fill_strikes(rng, drawn)
    else:
        for row in drawn:
            one = draw_strike(spec, rng)
            row[:] = one.place, one.auto, one.normal, one.exponential, gap(spec, rng), one.hang
    seconds = np.zeros(count) if spec.repair is None else _repair_times(spec, spec.repair, drawn)
    hands = np.zeros(count) if spec.repair is None else drawn[:, 1] >= spec.repair.auto_fraction
    return np.column_stack((drawn[:, 0], seconds, drawn[:, 4], hands, drawn[:, 5]))


def _repair_times(spec: FaultClass, repair: Repair, drawn: FloatArray) -> FloatArray:
    """Return what `engine.failures` does of each row for the only stage, or the first, to the last bit. [s]"""
    first = repair.auto_first and spec.per != "site"
    hands = (drawn[:, 1] >= repair.auto_fraction) & (not first)
    mean: FloatArray = np.where(hands, repair.manual_time, repair.auto_time)
    return _times(repair, mean, drawn[:, 2], drawn[:, 3])


def _times(repair: Repair, mean: FloatArray, normal: FloatArray, exponential: FloatArray) -> FloatArray:
    """Return times of these means [s] from standard draws, to the last bit what `repair_law` does one by one."""
    if repair.distribution == "fixed":
        return mean
    if repair.distribution == "exponential":
        return mean * exponential
    exponents = repair.sigma * normal - 0.5 * repair.sigma**2
    # numpy's own exponential may differ in the last bit
    factors: FloatArray = np.fromiter(map(math.exp, exponents.tolist()), np.float64, len(exponents))
    return mean * factors


def courses(spec: FaultClass, rng: np.random.Generator, count: int) -> FloatArray:
    """Return the next courses of repairs: what decides whether they mend, and the time of a second stage [s]."""
    if spec.repair is None:
        raise ValueError("a failure without repair has no course of repair")
    drawn = np.empty((count, 3))
    _fill_courses(rng, drawn)
    seconds = _times(spec.repair, np.full(count, spec.repair.manual_time), drawn[:, 1], drawn[:, 2])
    return np.column_stack((drawn[:, 0], seconds))


def gaps(spec: FaultClass, rng: np.random.Generator, count: int) -> FloatArray:
    """Return the next gaps of a job's own failures, and whether those before them are hangs."""
    if is_exponential(spec) and not spec.hang_fraction:
        return np.column_stack((rng.standard_exponential(count), np.zeros(count)))
    return np.array([(gap(spec, rng), hangs(spec, rng)) for _ in range(count)])


def restarts(rng: np.random.Generator, count: int) -> FloatArray:
    """Return the draws of the next restarts: by hand, and how long."""
    drawn = np.empty((count, 2))
    _fill_restarts(rng, drawn)
    return drawn


class Defects:
    """What comes back, and which unit is blamed: what `engine.defects` draws.

    Which numbers it draws depends on the failures that hit, so they cannot be drawn ahead.

    Parameters
    ----------
    names : list
        Site, partition and class of each source.
    specs : list
        Class of each source.
    diagnosis : optional
        How often another unit is blamed, or none.
    """

    def __init__(
        self,
        seed: int,
        names: list[tuple[str, ...]],
        specs: list[FaultClass],
        diagnosis: Diagnosis | None,
    ) -> None:
        self._diagnosis = diagnosis
        self._seed = seed
        self._names = names
        self._specs = specs
        self._streams: dict[tuple[str, int], np.random.Generator] = {}

    def _rng(self, purpose: str, source: int) -> np.random.Generator:
        key = purpose, source
        if key not in self._streams:
            self._streams[key] = stream(self._seed, purpose, *self._names[source])
        return self._streams[key]

    def _repair(self, source: int) -> Repair:
        repair = self._specs[source].repair
        if repair is None:
            raise ValueError(f"{self._names[source]} has no repair")
        return repair

    def recurs_after(self, source: int) -> float:
        """Return the time until something that was not mended fails again. [s]"""
        mean = self._repair(source).recurs_after or math.inf
        return mean * float(self._rng("recurrence", source).standard_exponential())

    def again(self, source: int) -> tuple[float, bool, bool]:
        """Return (time of the (first) repair [s], by hand, a hang) of a failure that comes back."""
        spec, repair = self._specs[source], self._repair(source)
        strike = draw_strike(spec, self._rng("recurrence", source), 0.0)
        if repair.auto_first:
            seconds = repair_law(repair, repair.auto_time, strike.normal, strike.exponential)
        else:
            seconds = repair_time(repair, strike)
        return seconds, by_hand(repair, strike), strike.hang

    def blamed(self, source: int, unit: int, domains: list[int], nodes: int) -> int:
        """Return the unit (a node of the partition) that goes for repair; -1 = none.

        Parameters
        ----------
        domains : list of int
            Those of the job that was hit, in rank order.
        nodes : int
            Nodes of a domain.
        """
        spec = self._diagnosis
        if spec is None:
            return unit
        rng = self._rng("diagnosis", source)
        if rng.random() < spec.missed:
            return -1
        if rng.random() >= spec.wrong or len(domains) < 2:
            return unit
        others = [domain for domain in domains if domain != unit // nodes]
        domain = others[int(rng.integers(len(others)))]
        return domain * nodes + int(rng.integers(nodes))
