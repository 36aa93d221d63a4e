"""Jobs that take turns: each is slowed until the links carry just what they can."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from colossus_sim.network.boundary import Boundary

_Array = npt.NDArray[np.float64]

_LEAST_SLOPE, _MOST_SLOPE = -1.0, -0.1
"""Relative change of a link's load over that of how long its jobs take to send: between -1 (they only communicate)
and 0 (they compute meanwhile), where a step would have no end."""
_NOTHING = 1e-30
"""Stands for the load of an empty link, in shares of its capacity."""
_WHOLE_STEPS = 8
"""Steps that are taken whole; most answers need five to seven."""
_FITS = 1e-3
"""Share of a link by which the load may be above its capacity where the least rates are not quite settled."""


class Turns:
    """How much longer jobs take over the uplinks of each group of one level than alone.

    Bursts that never meet fill a link to the last byte, so nobody is slowed while the mean loads fit. Beyond that
    all who use a link are slowed by one factor, at which its load is its capacity; loads follow from the slowed
    steps. Nobody gets less than bursts that do meet would leave. Steps of a secant method, link by link, in
    logarithms.

    Parameters
    ----------
    boundary : Boundary
        The uplinks, and the jobs on them.
    least, means : array of float
        What a GPU of each job gets at least, and what it sends on average if it gets no more; where that does not
        fit, a fair share instead.
    """

    def __init__(self, boundary: Boundary, least: _Array, means: _Array) -> None:
        self._boundary, self._on = boundary, boundary.usage > 0
        full = means @ boundary.usage > boundary.capacity * (1.0 + _FITS)
        if bool(full.any()):
            least = np.where((self._on & full).any(axis=1), boundary.fair(means > 0), least)
        alone = boundary.alone()
        self._least = np.minimum(least, alone)
        self._most: _Array = np.where(self._on, np.log(alone / self._least)[:, None], 0.0).max(axis=0)
        """Logarithm of the factor of each group at which all get the least."""
        self._factors: _Array = np.zeros(len(boundary.capacity))
        """Logarithm of the factor of each group, 0 or more."""
        self._before: tuple[_Array, _Array] | None = None
        """Factors and excess of the step before."""
        self._steps = 0

    def rates(self) -> list[float]:
        """Return each job's rate per GPU."""
        rates = np.maximum(self._boundary.stretched(np.exp(self._factors)), self._least)
        found: list[float] = rates.tolist()
        return found

    def step(self, means: _Array) -> float:
        """Change the factors, given what a GPU of each job sends on average with those so far.

        Returns
        -------
        float
            How far the loads were from where they settle, as the logarithm of the worst link's.
        """
        factors = self._factors
        load = means @ self._boundary.usage / self._boundary.capacity
        excess = np.log(np.maximum(load, _NOTHING))
        # A factor matters from the one on that some job on the link is slowed by elsewhere.
        slowed = np.where(self._on, factors, 0.0).max(axis=1)
        matters = np.where(self._on, slowed[:, None], np.inf).min(axis=0)
        over, felt = excess > 0, factors >= matters
        moved = np.maximum(factors, np.where(over, matters, 0.0)) - self._share() * excess / self._slope(
            excess
        )
        self._before = factors, excess
        self._factors = np.where(over | felt, np.clip(moved, 0.0, self._most), 0.0)
        apart = np.where(over & (factors < self._most), excess, 0.0)
        return float(np.where(~over & felt & (factors > 0), -excess, apart).max(initial=0.0))

    def _share(self) -> float:
        """Return how much of a step to take: ever less of it where links pull jobs to and fro."""
        self._steps += 1
        return min(1.0, _WHOLE_STEPS / self._steps)

    def _slope(self, excess: _Array) -> _Array:
        """Return how the load of each link follows its factor, from the step before."""
        slope = np.full(len(excess), _LEAST_SLOPE)
        if self._before is not None:
            moved = self._factors - self._before[0]
            np.divide(excess - self._before[1], moved, out=slope, where=moved != 0)
        np.clip(slope, _LEAST_SLOPE, _MOST_SLOPE, out=slope)
        return slope
