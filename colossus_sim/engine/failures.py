"""Failure sources: one per failure class and partition, drawing from the whole population at once.

A source never knows about jobs: when and where it strikes depends on its own stream and on the installed
capacity only, so that adding a job does not move any failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from colossus_sim.engine.agenda import Agenda, Order
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import FaultClass, Repair


class Strike(NamedTuple):
    """One failure: where it hits, and the draws that decide its repair.

    Attributes
    ----------
    place : float
        Where in the population, from 0 to 1.
    auto : float
        Uniform draw that decides between automatic and manual repair.
    normal, exponential : float
        Standard draws for the law of the repair time.
    hang : bool
        Whether it raises no error, so that only the watchdog notices.
    """

    place: float
    auto: float
    normal: float
    exponential: float
    hang: bool = False


def by_hand(repair: Repair, strike: Strike) -> bool:
    """Return whether the repair takes a technician (a reset or a reboot does not)."""
    return strike.auto >= repair.auto_fraction


def repair_time(repair: Repair, strike: Strike) -> float:
    """Return the time until the unit is back. [s]"""
    mean = repair.manual_time if by_hand(repair, strike) else repair.auto_time
    return repair_law(repair, mean, strike.normal, strike.exponential)


def repair_law(repair: Repair, mean: float, normal: float, exponential: float) -> float:
    """Return a time of this mean, from the draw that the law of the repair needs. [s]"""
    if repair.distribution == "fixed":
        return mean
    if repair.distribution == "exponential":
        return mean * exponential
    return mean * math.exp(repair.sigma * normal - 0.5 * repair.sigma**2)


def gap(spec: FaultClass, rng: np.random.Generator) -> float:
    """Return the next gap between failures, in units of the mean gap."""
    if spec.distribution == "weibull" and spec.shape != 1.0:
        return float(rng.weibull(spec.shape)) / math.gamma(1.0 + 1.0 / spec.shape)
    if spec.distribution == "empirical" and spec.gaps is not None:
        drawn = spec.gaps[int(rng.integers(len(spec.gaps)))]
        return drawn * len(spec.gaps) / math.fsum(spec.gaps)
    return float(rng.standard_exponential())


def hangs(spec: FaultClass, rng: np.random.Generator) -> bool:
    """Draw whether a failure is a hang; nothing is drawn for a class without hangs."""
    return spec.hang_fraction > 0.0 and float(rng.random()) < spec.hang_fraction


def draw_strike(spec: FaultClass, rng: np.random.Generator, place: float | None = None) -> Strike:
    """Return a failure of a class at a place, or at a place of its own choice."""
    return Strike(
        place=rng.random() if place is None else place,
        auto=rng.random(),
        normal=rng.standard_normal(),
        exponential=rng.standard_exponential(),
        hang=spec.hang_fraction > 0.0 and hangs(spec, rng),
    )


class FailureSource:
    """Failures of one class in one population, whose size may change."""

    def __init__(
        self,
        agenda: Agenda,
        seed: int,
        names: tuple[str, ...],
        spec: FaultClass,
        strike: Callable[[Strike], None],
    ) -> None:
        self._agenda = agenda
        self._spec = spec
        self._strike = strike
        self._rng = stream(seed, "failure", *names)
        self._units = 0.0
        self._left = gap(spec, self._rng)
        self._since = agenda.now
        self._version = 0
        self._due: Callable[[], None] = lambda: None
        """What the next failure calls; replaced when the population changes."""

    def set_population(self, units: float) -> None:
        """Say that from now on so many units can fail."""
        now = self._agenda.now
        self._left -= (now - self._since) * self._units * self._spec.rate
        self._since = now
        self._units = units
        self._version += 1
        self._due = partial(self._fire, self._version)
        self._plan()

    def _plan(self) -> None:
        rate = self._units * self._spec.rate
        if rate > 0:
            self._agenda.at(self._agenda.now + max(self._left, 0.0) / rate, Order.FAILURE, self._due)

    def _fire(self, version: int) -> None:
        if version != self._version:
            return
        rng = self._rng
        strike = draw_strike(self._spec, rng)
        self._left = gap(self._spec, rng)
        self._since = self._agenda.now
        self._plan()
        self._strike(strike)


class JobHazard:
    """Failures that a job brings on itself (software): they age only while it computes."""

    def __init__(self, seed: int, names: tuple[str, ...], name: str, spec: FaultClass) -> None:
        self.name = name
        self.spec = spec
        self._rng = stream(seed, "failure", *names, name)
        self._left = gap(spec, self._rng)
        self.hang = False
        """Whether the last one that fired is a hang."""

    def due_in(self) -> float:
        """Return the computing time until the next one. [s]"""
        return self._left / self.spec.rate if self.spec.rate > 0 else math.inf

    def age(self, seconds: float) -> None:
        """Let computing time pass."""
        self._left -= seconds * self.spec.rate

    def fires(self) -> bool:
        """Return whether it is due; if so, draw the next one."""
        if self._left > 1e-12:
            return False
        self._left = gap(self.spec, self._rng)
        self.hang = hangs(self.spec, self._rng)
        return True
