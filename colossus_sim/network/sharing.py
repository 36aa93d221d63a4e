"""Bandwidth that concurrent jobs leave each other on shared tiers.

Seen per boundary: the uplinks out of each group of the level below (a leaf group, a pod) are one fat link
(adaptive routing or packet spraying), and all GPUs of the group share it. Collectives run in lockstep, so a
job's rate is that of its worst-placed group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from colossus_sim.network.collisions import independent_rates
from colossus_sim.topology.fabric import Fabric

MODES = ("none", "average", "worst_case", "best_case", "independent")

_Array = npt.NDArray[np.float64]


class DomainRuns(Protocol):
    """What is needed of a placement (see parallelism.placement.Placement)."""

    @property
    def domain_gpus(self) -> int:
        """GPUs of one scale-up domain."""

    @property
    def ranks_per_domain(self) -> int:
        """Ranks that the job puts into one domain."""

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """Runs of neighbouring domains: (first, count)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDemand:
    """What one job asks of the network.

    Attributes
    ----------
    name : str
        Job.
    placement : DomainRuns
        Its GPUs.
    gpus : int
        GPUs that communicate.
    traffic : tuple of float
        Bytes per GPU and step to peers at each fabric level (``StepEstimate.traffic``). [B]
    step_time : float
        Time of one step. [s]
    storage, storage_peak : float
        What one GPU exchanges with the storage over the same links, on average and while it saves; 0 = storage
        has a network of its own. [B/s]
    """

    name: str
    placement: DomainRuns
    gpus: int
    traffic: tuple[float, ...]
    step_time: float
    storage: float = 0.0
    storage_peak: float = 0.0

    def mean_rate(self, level: int) -> float:
        """Return what one GPU (mean) sends across the boundary below `level`. [B/s]"""
        return math.fsum(self.traffic[level:]) / self.step_time if self.step_time > 0 else 0.0


def shared_bandwidths(
    *, fabric: Fabric, demands: Sequence[JobDemand], mode: str
) -> dict[str, tuple[float, ...]]:
    """Return per job the per-GPU bandwidth of each level, as its worst-placed GPUs see it. [B/s]

    Parameters
    ----------
    fabric : Fabric
        The network of one partition.
    demands : sequence of JobDemand
        The jobs that run on it, on disjoint domains.
    mode : str
        none: links to itself (a job that fills only part of a group may use more than its share of the
        uplinks, up to what its NICs carry); best_case: jobs interleave, each sends while the others compute, so
        a link holds nobody back until the mean demands exceed it, and then all by as much; average: the others
        take their mean demand away, never more than leaves the fair share; independent: each of the others
        communicates or computes at random moments, and the mean is taken over all combinations (see
        `collisions`); worst_case: all that use a level communicate at the same moment and share it by max-min
        fairness. Storage traffic takes its mean away, in the worst case its peak, at most half of a link.

    Raises
    ------
    ValueError
        If the mode is unknown, or two jobs have one name.
    """
    if mode not in MODES:
        raise ValueError(f"unknown contention mode {mode!r}; one of {', '.join(MODES)}")
    names = [demand.name for demand in demands]
    if len(set(names)) != len(names):
        raise ValueError("two jobs have the same name")
    return _shared(fabric, demands, mode, _usages(fabric, demands))


def _usages(fabric: Fabric, demands: Sequence[JobDemand]) -> list[_Array]:
    """Return, for each level from 2 up, how many ranks of each job each group below it holds."""
    tables = []
    for level in fabric.levels[1:-1]:
        groups = -(-fabric.gpus // level.group_gpus)
        rows = [_occupancy(demand, level.group_gpus, groups) for demand in demands]
        tables.append(np.array(rows).reshape(len(demands), groups))
    return tables


def _shared(
    fabric: Fabric, demands: Sequence[JobDemand], mode: str, usages: Sequence[_Array]
) -> dict[str, tuple[float, ...]]:
    columns = [np.full(len(demands), fabric.levels[0].bandwidth)]
    ceiling = np.full(len(demands), np.inf)
    for level in range(1, len(fabric.levels)):
        # A path to this level also crosses all boundaries below.
        usage = usages[level - 2] if level > 1 else None
        ceiling = np.minimum(ceiling, _boundary(fabric, demands, level, mode, usage))
        columns.append(ceiling)
    table = np.column_stack(columns)
    return {demand.name: tuple(row.tolist()) for demand, row in zip(demands, table, strict=True)}


StepTime = Callable[[str, tuple[float, ...]], float]
"""Step time of a job, by name, when its levels have these per-GPU bandwidths. [s]"""


def joint_bandwidths(
    *, fabric: Fabric, demands: Sequence[JobDemand], mode: str, step_time: StepTime
) -> dict[str, tuple[float, ...]]:
    """Return what `shared_bandwidths` does when every job's demand follows from its own slowed step.

    A job that is slowed asks for less, which leaves more to the others: duty cycles and shares are solved
    together, as a fixed point with damping. Modes that ignore duty cycles need one round. The answer is the
    uncontended one, to the last bit, where nobody is slowed.

    Parameters
    ----------
    fabric, demands, mode
        As for `shared_bandwidths`; step times are those alone.
    step_time : callable
        The step model.

    Raises
    ------
    ValueError
        As `shared_bandwidths`.
    """
    shares = shared_bandwidths(fabric=fabric, demands=demands, mode=mode)
    if mode not in ("average", "best_case", "independent") or len(demands) < 2:
        return shares
    usages = _usages(fabric, demands)  # jobs stay where they are while their paces settle
    for _ in range(_ROUNDS):
        times = [step_time(demand.name, shares[demand.name]) for demand in demands]
        pairs = list(zip(demands, times, strict=True))
        change = max(abs(time / one.step_time - 1.0) if one.step_time > 0 else 0.0 for one, time in pairs)
        if change <= (_GENTLE if mode == "independent" else _SETTLED):
            break
        demands = [replace(one, step_time=0.5 * (one.step_time + time)) for one, time in pairs]
        shares = _shared(fabric, demands, mode, usages)
    return shares


def contention_band(
    *, fabric: Fabric, demands: Sequence[JobDemand], step_time: StepTime
) -> dict[str, dict[str, float]]:
    """Return per assumption (`MODES`) and job the step time under contention. [s]

    best_case and worst_case bound what jobs can do to each other, average lies between; none is each job alone.
    """
    band = {}
    for mode in MODES:
        shares = joint_bandwidths(fabric=fabric, demands=demands, mode=mode, step_time=step_time)
        band[mode] = {name: step_time(name, mine) for name, mine in shares.items()}
    return band


_ROUNDS = 30
"""Most rounds of the fixed point; with damping by half the error is below 1e-8 of the first step by then."""
_SETTLED = 1e-4
"""Relative change of a step time that ends the rounds."""
_GENTLE = 0.01
"""The same for jobs at random moments, whose slow-down is in proportion to the duty cycles of others: a step longer
by 1 % changes a slow-down of 1 % by a hundredth of it."""


def _boundary(
    fabric: Fabric, demands: Sequence[JobDemand], level: int, mode: str, usage: _Array | None
) -> _Array:
    """Return each job's per-GPU rate across the uplinks of the groups below `level`. [B/s]"""
    below = fabric.levels[level - 1].group_gpus
    bandwidth = fabric.levels[level].bandwidth
    # Rates in shares of `bandwidth` and capacity in GPUs, so that a full group alone gets exactly 1.
    limit = max(fabric.injection_bandwidth / bandwidth, 1.0)
    if usage is None:
        # Jobs do not share scale-up domains, so no one else is on these links.
        ranks = np.array([demand.placement.ranks_per_domain for demand in demands], dtype=np.float64)
        return bandwidth * np.minimum(limit, below / np.maximum(ranks, 1.0))
    means = np.array([demand.mean_rate(level) for demand in demands]) / bandwidth
    capacity = np.full(usage.shape[1], float(below))
    if mode != "none" and any(demand.storage > 0 for demand in demands):
        capacity = _without_storage(capacity, usage, demands, bandwidth, mode)
    return bandwidth * _shares(capacity, usage, means, limit, mode)


def _without_storage(
    capacity: _Array, usage: _Array, demands: Sequence[JobDemand], bandwidth: float, mode: str
) -> _Array:
    """Return what traffic to and from the storage leaves of each group's uplinks, at least a fair half."""
    rates = [demand.storage_peak if mode == "worst_case" else demand.storage for demand in demands]
    left: _Array = np.maximum(capacity - (np.array(rates) / bandwidth) @ usage, capacity / 2)
    return left


def _shares(capacity: _Array, usage: _Array, means: _Array, limit: float, mode: str) -> _Array:
    """Return each job's rate per GPU, given what it uses of each group and what it sends on average."""
    if mode == "none" or len(usage) < 2:
        return np.array([_worst_group(capacity, row, limit) for row in usage])
    fair = _fair_rates(capacity, usage, means > 0, limit)
    if mode == "worst_case":
        return fair
    load = means @ usage
    if mode == "best_case":
        alone = [_worst_group(capacity, row, limit) for row in usage]
        excess = np.maximum(load / capacity, 1.0)
        scaled = [
            rate / float(excess[row > 0].max(initial=1.0)) for rate, row in zip(alone, usage, strict=True)
        ]
        return np.maximum(scaled, fair)
    free = [
        _worst_group(capacity - (load - mean * row), row, limit)
        for mean, row in zip(means, usage, strict=True)
    ]
    if mode == "independent":
        solo = np.array([_worst_group(capacity, row, limit) for row in usage])
        met = independent_rates(capacity, usage, solo, means, limit, lockstep_rates)
        free = np.minimum(free, met).tolist()
    return np.maximum(free, fair)


def _occupancy(demand: JobDemand, group_gpus: int, groups: int) -> _Array:
    """Return how many of the job's ranks each group holds."""
    placement = demand.placement
    size = group_gpus / placement.domain_gpus
    runs = np.array(sorted(placement.runs), dtype=np.float64)
    starts, lengths = runs[:, 0], runs[:, 1]
    ends = np.cumsum(lengths)
    # Domains of the job before a boundary: piecewise linear, so interpolation is exact.
    corners = np.column_stack((starts, starts + lengths)).reshape(-1)
    before = np.column_stack((ends - lengths, ends)).reshape(-1)
    counts = np.diff(np.interp(np.arange(groups + 1) * size, corners, before))
    share = min(1.0, demand.gpus / (ends[-1] * placement.ranks_per_domain))
    occupied: _Array = counts * (placement.ranks_per_domain * share)
    return occupied


def _worst_group(capacity: _Array, usage: _Array, limit: float) -> float:
    """Return a job's rate in its worst group, with the capacity to itself."""
    used = usage > 0
    return min(limit, float((capacity[used] / usage[used]).min(initial=np.inf)))


def _fair_rates(capacity: _Array, usage: _Array, demanding: npt.NDArray[np.bool_], limit: float) -> _Array:
    """Return max-min fair rates of jobs that run in lockstep over all their groups.

    A job without demand gets what it would get if it joined in.
    """
    result = np.empty(len(usage))
    result[demanding] = lockstep_rates(capacity, usage[demanding], limit)
    for index in np.flatnonzero(~demanding):
        joined = np.vstack((usage[demanding], usage[index]))
        result[index] = lockstep_rates(capacity, joined, limit)[-1]
    return result


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
