"""Rates of jobs across the uplinks of the groups of one level: pure arrays, solved again and again.

Rates are in shares of the bandwidth of one GPU there and capacities in GPUs, so that a full group alone gets
exactly 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from colossus_sim.network.collisions import independent_rates

_Array = npt.NDArray[np.float64]
_Jobs = npt.NDArray[np.bool_]


class Boundary:
    """The uplinks of the groups of one level, and the jobs in these groups.

    What does not follow from the mean demands is worked out once: paces settle, places stay.

    Attributes
    ----------
    capacity : array of float, groups
        Uplinks of each group, in GPUs that they carry.
    usage : array of float, jobs x groups
        As how many ranks each job sends out of each group (see `flattened`).
    limit : float
        Most that any GPU can send.
    ranks : array of float, jobs x groups
        Ranks of each job in each group; left out = `usage`.
    per_rank : array of float or None, jobs
        Ranks of each job over the sum of its `usage`; None = 1.
    """

    def __init__(self, capacity: _Array, usage: _Array, limit: float, ranks: _Array | None = None) -> None:
        self.capacity, self.usage, self.limit = capacity, usage, limit
        self.ranks = usage if ranks is None else ranks
        self.per_rank: _Array | None = None if ranks is None else ranks.sum(axis=1) / usage.sum(axis=1)
        self._alone: _Array | None = None
        self._roomy: bool | None = None
        self._fair: dict[bytes, _Array] = {}

    def rates(self, means: _Array, mode: str) -> _Array:
        """Return each job's rate per GPU, given what one of its GPUs sends on average.

        Parameters
        ----------
        means : array of float, jobs
            Mean demand per GPU.
        mode : str
            See `sharing.shared_bandwidths`.
        """
        known = self.settled(mode)
        if known is not None:
            return np.array(known)
        if mode == "worst_case":
            return self.fair(means > 0)
        free = self._between(means, mode)
        # A fair rate is never above what the job would get alone, nor that above the limit.
        if bool((free >= self.limit).all()) or bool((free >= self.alone()).all()):
            return free
        return np.maximum(free, self.fair(means > 0))

    def settled(self, mode: str) -> list[float] | None:
        """Return each job's rate where the mean demands do not matter, else None."""
        if mode == "none" or len(self.usage) < 2:
            rates: list[float] = self.alone().tolist()
            return rates
        return [self.limit] * len(self.usage) if self.roomy() else None

    def _between(self, means: _Array, mode: str) -> _Array:
        """Return each job's rate between what the others send on average, or are met with by chance."""
        load = means @ self.usage
        if mode == "best_case":
            return self.stretched(np.maximum(load / self.capacity, 1.0))
        free = worst_groups(self.capacity - (load - means[:, None] * self.usage), self.usage, self.limit)
        if mode == "independent":
            met = independent_rates(
                self.capacity, self.usage, self.alone(), means, self.limit, lockstep_rates
            )
            free = np.minimum(free, met)
        return free

    def stretched(self, factors: _Array) -> _Array:
        """Return each job's rate if what it sends takes longer than alone, by the largest factor of its groups."""
        worst = np.where(self.usage > 0, factors, 1.0).max(axis=1, initial=1.0)
        slowed: _Array = self.alone() / worst
        return slowed

    def roomy(self) -> bool:
        """Return whether all uplinks carry the most that all jobs can send, so that nobody holds anybody back."""
        if self._roomy is None:
            self._roomy = bool((self.ranks.sum(axis=0) * self.limit <= self.capacity).all())
        return self._roomy

    def alone(self) -> _Array:
        """Return the rate of each job with the uplinks to itself."""
        if self._alone is None:
            self._alone = worst_groups(self.capacity, self.usage, self.limit)
        return self._alone

    def fair(self, demanding: _Jobs) -> _Array:
        """Return max-min fair rates of jobs that run in lockstep over all their groups.

        A job without demand gets what it would get if it joined in.
        """
        key = demanding.tobytes()
        if key not in self._fair:
            self._fair[key] = self._solved(demanding)
        return self._fair[key]

    def _solved(self, demanding: _Jobs) -> _Array:
        result = np.full(len(self.usage), self.limit)
        together = self.usage[demanding].sum(axis=0)
        weights = np.where(demanding[:, None], together, together + self.usage)
        levels = np.divide(self.capacity, weights, out=np.full(weights.shape, np.inf), where=weights > 0)
        held_back = levels.min(axis=1, initial=np.inf) < self.limit
        if bool((held_back & demanding).any()):
            result[demanding] = lockstep_rates(self.capacity, self.usage[demanding], self.limit)
        for index in np.flatnonzero(held_back & ~demanding):
            joined = np.vstack((self.usage[demanding], self.usage[index]))
            result[index] = lockstep_rates(self.capacity, joined, self.limit)[-1]
        return result


def flattened(ranks: _Array, flatness: float) -> _Array:
    """Return as how many ranks each group sends, if all groups together send so many times what their ranks would.

    Rings leave a group for each communication group that has a member in it; from some number of ranks on all have.
    So a group sends by its ranks, but no more than the fullest one.

    Parameters
    ----------
    ranks : array of float
        Ranks of the job in each group.
    flatness : float
        1 = by their ranks.
    """
    if flatness <= 1.0 + 1e-9:
        return ranks
    fullest, total = ranks.max(), flatness * ranks.sum()
    ascending = np.sort(ranks[ranks > 0])
    full = np.arange(len(ascending) - 1, -1, -1)
    # With so many groups sending as much as the fullest, the others send so many times what their ranks would.
    times = (total - full * fullest) / np.cumsum(ascending)
    fits = np.flatnonzero((times > 0) & (times * ascending <= fullest))
    if not len(fits):
        return np.where(ranks > 0, fullest, 0.0)
    sent: _Array = np.minimum(fullest, ranks * times[fits[-1]])
    return sent


def worst_groups(left: _Array, usage: _Array, limit: float) -> _Array:
    """Return each job's rate in its worst group.

    Parameters
    ----------
    left : array of float, groups or jobs x groups
        What a job finds there.
    usage : array of float, jobs x groups
        Ranks of each job in each group.
    limit : float
        Most that any GPU can send.
    """
    rates = np.divide(left, usage, out=np.full(usage.shape, np.inf), where=usage > 0)
    worst: _Array = np.minimum(limit, rates.min(axis=1, initial=np.inf))
    return worst


def lockstep_rates(capacity: _Array, usage: _Array, limit: float) -> _Array:
    """Return max-min fair rates x of jobs with ``x @ usage <= capacity`` and ``x <= limit``.

    All rates rise together; a full link stops every job that uses it.

    Parameters
    ----------
    capacity : array of float
        Capacity of each link.
    usage : array of float, jobs x links
        GPUs of the job that use each link, all at the job's one rate.
    limit : float
        Most that any GPU can send.
    """
    rates = np.zeros(len(usage))
    rising = np.ones(len(usage), dtype=np.bool_)
    while rising.any():
        weight = usage[rising].sum(axis=0)
        left = capacity - rates[~rising] @ usage[~rising]
        level = np.divide(left, weight, out=np.full(len(capacity), np.inf), where=weight > 0)
        lowest = min(limit, float(level.min(initial=np.inf)))
        full = level <= lowest * (1 + 1e-12)
        stopped = rising & (usage[:, full] > 0).any(axis=1) if lowest < limit else rising.copy()
        rates[stopped] = lowest
        rising &= ~stopped
    return rates
