"""Bandwidth that concurrent jobs leave each other on shared tiers.

Seen per boundary: the uplinks out of each group of the level below (a leaf group, a pod) are one fat link
(adaptive routing or packet spraying), and all GPUs of the group share it. Collectives run in lockstep, so a
job's rate is that of its worst-placed group. It is told per rank of the job's fullest group: as many times as much
as the job has ranks there may leave any group (see `parallelism.groups.Filling`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from colossus_sim.network.boundary import Boundary, flattened
from colossus_sim.network.interleaving import Turns
from colossus_sim.topology.fabric import Fabric, Level

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
    flatness : tuple of float
        For each level, how many times more the groups below it send out, for what the busiest of them does, than in
        proportion to their ranks; empty = in proportion.
    storage, storage_peak : float
        What one GPU exchanges with the storage over the same links, on average and while it saves; 0 = storage
        has a network of its own. [B/s]
    """

    name: str
    placement: DomainRuns
    gpus: int
    traffic: tuple[float, ...]
    step_time: float
    flatness: tuple[float, ...] = ()
    storage: float = 0.0
    storage_peak: float = 0.0

    def mean_rate(self, level: int) -> float:
        """Return what one GPU (mean) sends across the boundary below `level`. [B/s]"""
        return math.fsum(self.traffic[level:]) / self.step_time if self.step_time > 0 else 0.0


StepTime = Callable[[str, tuple[float, ...]], float]
"""Step time of a job, by name, when its levels have these per-GPU bandwidths. [s]"""

_MOST_REMEMBERED = 20_000
"""Placements of which the groups are remembered; beyond it all are forgotten, to bound memory."""
_ROUNDS = 30
"""Most rounds of the fixed point; with damping by half the error is below 1e-8 of the first step by then."""
_SETTLED = 1e-4
"""Relative change of a step time that ends the rounds."""
_GENTLE = 0.01
"""The same for jobs at random moments, whose slow-down is in proportion to the duty cycles of others: a step longer
by 1 % changes a slow-down of 1 % by a hundredth of it."""


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
        a link holds nobody back until the mean demands exceed it, and then all by one factor (with demands of
        slowed steps, see `joint_bandwidths`, that at which the link is just full); average: the others
        take their mean demand away, never more than leaves the fair share; independent: each of the others
        communicates or computes at random moments, and the mean is taken over all combinations (see
        `collisions`); worst_case: all that use a level communicate at the same moment and share it by max-min
        fairness. Storage traffic takes its mean away, in the worst case its peak, at most half of a link.

    Raises
    ------
    ValueError
        If the mode is unknown, or two jobs have one name.
    """
    return LinkSharing(fabric).shared(demands, mode)


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
    return LinkSharing(fabric).joint(demands, mode, step_time)


def contention_band(
    *, fabric: Fabric, demands: Sequence[JobDemand], step_time: StepTime
) -> dict[str, dict[str, float]]:
    """Return per assumption (`MODES`) and job the step time under contention. [s]

    none is each job alone, worst_case the most that jobs can do to each other; average lies between best_case and
    that. independent may lie below best_case for a job that shares a full link with lighter ones, which best_case
    slows less than all others on the link.
    """
    band, links = {}, LinkSharing(fabric)
    for mode in MODES:
        shares = links.joint(demands, mode, step_time)
        band[mode] = {name: step_time(name, mine) for name, mine in shares.items()}
    return band


class LinkSharing:
    """`shared_bandwidths` and `joint_bandwidths` of one fabric; remembers which groups a placement fills."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._occupied: dict[tuple[DomainRuns, int, int], _Array] = {}
        self._flattened: dict[tuple[DomainRuns, int, int, float], _Array] = {}

    def shared(self, demands: Sequence[JobDemand], mode: str) -> dict[str, tuple[float, ...]]:
        """Return what `shared_bandwidths` does."""
        self._check(demands, mode)
        return self._solved(demands, mode, self._boundaries(demands, mode))

    def alone(self, placement: DomainRuns, gpus: int) -> tuple[float, ...]:
        """Return the per-GPU bandwidth of each level for a job that has the links to itself. [B/s]"""
        fabric = self._fabric
        rates = [fabric.levels[0].bandwidth]
        if len(fabric.levels) > 1:
            rates.append(self._injected(placement.ranks_per_domain))
        for below, level in itertools.pairwise(fabric.levels[1:]):
            fullest = float(self._occupancy(placement, gpus, below.group_gpus).max())
            share = min(self._limit(level), below.group_gpus / fullest)
            rates.append(min(rates[-1], level.bandwidth * share))
        return tuple(rates)

    def joint(
        self, demands: Sequence[JobDemand], mode: str, step_time: StepTime
    ) -> dict[str, tuple[float, ...]]:
        """Return what `joint_bandwidths` does."""
        self._check(demands, mode)
        boundaries = self._boundaries(demands, mode)  # jobs stay where they are while their paces settle
        settled = all(boundary.settled(mode) is not None for boundary in boundaries)
        if settled or mode not in ("average", "best_case", "independent"):
            return self._solved(demands, mode, boundaries)
        if mode == "best_case":
            # Bursts that never meet leave no less than bursts that meet as often as not.
            least = self._paced(demands, "average", boundaries, step_time)
            return self._taking_turns(demands, least, boundaries, step_time)
        return self._paced(demands, mode, boundaries, step_time)

    def _paced(
        self, demands: Sequence[JobDemand], mode: str, boundaries: Sequence[Boundary], step_time: StepTime
    ) -> dict[str, tuple[float, ...]]:
        """Return the rates that go with the steps that they lead to."""
        shares = self._solved(demands, mode, boundaries)
        for _ in range(_ROUNDS):
            times = [step_time(demand.name, shares[demand.name]) for demand in demands]
            pairs = list(zip(demands, times, strict=True))
            change = max(abs(time / one.step_time - 1.0) if one.step_time > 0 else 0.0 for one, time in pairs)
            if change <= (_GENTLE if mode == "independent" else _SETTLED):
                break
            demands = [replace(one, step_time=0.5 * (one.step_time + time)) for one, time in pairs]
            shares = self._solved(demands, mode, boundaries)
        return shares

    def _taking_turns(
        self,
        demands: Sequence[JobDemand],
        least: dict[str, tuple[float, ...]],
        boundaries: Sequence[Boundary],
        step_time: StepTime,
    ) -> dict[str, tuple[float, ...]]:
        """Return the rates at which no link carries more than it can, on average over the slowed steps."""
        slow = [replace(one, step_time=step_time(one.name, least[one.name])) for one in demands]
        turns = []
        for index, boundary in enumerate(boundaries, start=2):
            rates = np.array([least[one.name][index] for one in demands])
            rates /= self._fabric.levels[index].bandwidth
            turns.append(Turns(boundary, rates, self._means(slow, index, boundary)))
        for _ in range(_ROUNDS):
            shares = self._given(demands, [one.rates() for one in turns])
            demands = [replace(one, step_time=step_time(one.name, shares[one.name])) for one in demands]
            over = [
                one.step(self._means(demands, index, boundary))
                for index, (one, boundary) in enumerate(zip(turns, boundaries, strict=True), start=2)
            ]
            if max(over) <= _SETTLED:
                break
        return shares

    def _check(self, demands: Sequence[JobDemand], mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"unknown contention mode {mode!r}; one of {', '.join(MODES)}")
        names = [demand.name for demand in demands]
        if len(set(names)) != len(names):
            raise ValueError("two jobs have the same name")

    def _boundaries(self, demands: Sequence[JobDemand], mode: str) -> list[Boundary]:
        """Return the uplinks below each level from 2 up, with the jobs on them."""
        fabric, found = self._fabric, []
        for index, (below, level) in enumerate(itertools.pairwise(fabric.levels[1:]), start=2):
            size, groups = below.group_gpus, self._groups(below.group_gpus)
            rows = [self._occupancy(demand.placement, demand.gpus, size) for demand in demands]
            ranks = np.array(rows).reshape(len(demands), groups)
            capacity = np.full(groups, float(size))
            if mode != "none" and any(demand.storage > 0 for demand in demands):
                capacity = _without_storage(capacity, ranks, demands, level.bandwidth, mode)
            boundary = Boundary(capacity, ranks, self._limit(level))
            if any(demand.flatness for demand in demands) and boundary.settled(mode) is None:
                pairs = zip(demands, rows, strict=True)
                usage = np.array([self._sent(demand, index, row) for demand, row in pairs])
                boundary = Boundary(capacity, usage, self._limit(level), ranks)
            found.append(boundary)
        return found

    def _sent(self, demand: JobDemand, index: int, ranks: _Array) -> _Array:
        """Return as how many ranks each group below a level sends to the others, given those that it holds."""
        if not demand.flatness:
            return ranks
        key = demand.placement, demand.gpus, index, demand.flatness[index]
        found = self._flattened.get(key)
        if found is None:
            if len(self._flattened) >= _MOST_REMEMBERED:
                self._flattened.clear()
            found = self._flattened[key] = flattened(ranks, demand.flatness[index])
        return found

    def _limit(self, level: Level) -> float:
        """Return the most that a GPU can send across the boundary below a level, in shares of its bandwidth."""
        return max(self._fabric.injection_bandwidth / level.bandwidth, 1.0)

    def _solved(
        self, demands: Sequence[JobDemand], mode: str, boundaries: Sequence[Boundary]
    ) -> dict[str, tuple[float, ...]]:
        rates = []
        for index, boundary in enumerate(boundaries, start=2):
            known = boundary.settled(mode)
            if known is None:
                known = boundary.rates(self._means(demands, index, boundary), mode).tolist()
            rates.append(known)
        return self._given(demands, rates)

    def _means(self, demands: Sequence[JobDemand], index: int, boundary: Boundary) -> _Array:
        """Return what a GPU of each job sends on average across the boundary below a level, in shares of that."""
        bandwidth = self._fabric.levels[index].bandwidth
        means = np.array([demand.mean_rate(index) for demand in demands]) / bandwidth
        return means if boundary.per_rank is None else means * boundary.per_rank

    def _given(
        self, demands: Sequence[JobDemand], rates: Sequence[Sequence[float]]
    ) -> dict[str, tuple[float, ...]]:
        """Return the bandwidth of each level, given the rate of each job across each boundary."""
        levels = self._fabric.levels
        columns = [[levels[0].bandwidth] * len(demands)]
        if len(levels) > 1:
            columns.append([self._injected(demand.placement.ranks_per_domain) for demand in demands])
        for level, found in zip(levels[2:], rates, strict=True):
            # A path to this level also crosses all boundaries below.
            below = columns[-1]
            columns.append(
                [min(most, level.bandwidth * rate) for most, rate in zip(below, found, strict=True)]
            )
        return {demand.name: row for demand, row in zip(demands, zip(*columns, strict=True), strict=True)}

    def _injected(self, ranks: int) -> float:
        """Return what each rank can send out of its domain, which jobs do not share, with so many in it. [B/s]"""
        domain, level = self._fabric.levels[:2]
        return level.bandwidth * min(self._limit(level), domain.group_gpus / max(ranks, 1))

    def _occupancy(self, placement: DomainRuns, gpus: int, group_gpus: int) -> _Array:
        """Return how many of a job's ranks each group holds."""
        key = placement, gpus, group_gpus
        found = self._occupied.get(key)
        if found is None:
            if len(self._occupied) >= _MOST_REMEMBERED:
                self._occupied.clear()
            groups = self._groups(group_gpus)
            found = self._occupied[key] = occupancy(placement, gpus, group_gpus, groups)
        return found

    def _groups(self, group_gpus: int) -> int:
        """Return how many groups of so many GPUs the fabric has."""
        return -(-self._fabric.gpus // group_gpus)


def _without_storage(
    capacity: _Array, usage: _Array, demands: Sequence[JobDemand], bandwidth: float, mode: str
) -> _Array:
    """Return what traffic to and from the storage leaves of each group's uplinks, at least a fair half."""
    rates = [demand.storage_peak if mode == "worst_case" else demand.storage for demand in demands]
    left: _Array = np.maximum(capacity - (np.array(rates) / bandwidth) @ usage, capacity / 2)
    return left


def occupancy(placement: DomainRuns, gpus: int, group_gpus: int, groups: int) -> _Array:
    """Return how many ranks of a job of so many GPUs each group holds."""
    size = group_gpus / placement.domain_gpus
    runs = np.array(sorted(placement.runs), dtype=np.float64)
    starts, lengths = runs[:, 0], runs[:, 1]
    ends = np.cumsum(lengths)
    # Domains of the job before a boundary: piecewise linear, so interpolation is exact.
    corners = np.column_stack((starts, starts + lengths)).reshape(-1)
    before = np.column_stack((ends - lengths, ends)).reshape(-1)
    counts = np.diff(np.interp(np.arange(groups + 1) * size, corners, before))
    share = min(1.0, gpus / (ends[-1] * placement.ranks_per_domain))
    occupied: _Array = counts * (placement.ranks_per_domain * share)
    return occupied
