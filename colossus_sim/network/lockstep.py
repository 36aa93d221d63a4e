"""Collectives of jobs that share links: all flows of a job advance together, at the pace of the slowest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from colossus_sim.network.boundary import lockstep_rates
from colossus_sim.network.maxmin import Routes, read_routes

_Array = npt.NDArray[np.float64]


def simulate_collectives(
    capacities: npt.ArrayLike,
    routes: Routes,
    jobs: npt.ArrayLike,
    sizes: npt.ArrayLike,
    start_times: npt.ArrayLike,
) -> _Array:
    """Return when each job's collective ends, with max-min fair rates between jobs at every instant. [s]

    In a ring or an all-to-all nobody can be ahead of the slowest, so all flows of a job have one rate, and rates
    change only when a job starts or ends: twice as many solutions as jobs, whatever the number of flows.

    Parameters
    ----------
    capacities, routes
        As for `max_min_rates`: of all flows of all jobs.
    jobs : array of int
        Job of each flow, from 0.
    sizes : array of float
        Bytes that each flow of a job carries. [B]
    start_times : array of float
        When each job starts. [s]

    Raises
    ------
    ValueError
        If a number makes no sense or lengths differ.

    Examples
    --------
    Two rings of two flows meet on one link; the second has it to itself at the end.

    >>> simulate_collectives([10.0], [[0], [0], [0], [0]], [0, 0, 1, 1], [10.0, 15.0], [0.0, 0.0]).tolist()
    [4.0, 5.0]
    """
    capacity, ptr, idx = read_routes(capacities, routes)
    job = np.asarray(jobs, dtype=np.int64)
    size, start = np.asarray(sizes, dtype=np.float64), np.asarray(start_times, dtype=np.float64)
    _check(job, size, start, flows=len(ptr) - 1)
    if not len(size):
        return start.copy()
    usage = _usage(np.repeat(job, np.diff(ptr)), idx, jobs=len(size), links=len(capacity))
    kept, usage = _binding(capacity, usage)
    return _play(kept, usage, size, start)


def _check(job: npt.NDArray[np.int64], size: _Array, start: _Array, *, flows: int) -> None:
    if len(job) != flows or len(size) != len(start):
        raise ValueError(
            f"{flows} routes, {len(job)} jobs of flows, {len(size)} sizes, {len(start)} start times"
        )
    if len(job) and (job.min() < 0 or job.max() >= len(size)):
        raise ValueError(f"jobs are numbered from 0 to {len(size) - 1}, got {job.min()} to {job.max()}")
    if not (np.all(np.isfinite(size)) and np.all(size >= 0) and np.all(np.isfinite(start))):
        raise ValueError("sizes must be finite and not negative, start times finite")


def _usage(job: npt.NDArray[np.int64], idx: npt.NDArray[np.int64], *, jobs: int, links: int) -> _Array:
    """Return how many flows of each job cross each link."""
    counts = np.bincount(job * links + idx, minlength=jobs * links)
    return counts.astype(np.float64).reshape(jobs, links)


def _binding(capacity: _Array, usage: _Array) -> tuple[_Array, _Array]:
    """Leave out links that cannot matter: of those that one job has to itself, all but its tightest."""
    users = np.count_nonzero(usage, axis=0)
    keep = users > 1
    for row in usage:
        own = np.flatnonzero((users == 1) & (row > 0))
        if len(own):
            keep[own[np.argmin(capacity[own] / row[own])]] = True
    return capacity[keep], usage[:, keep]


def _play(capacity: _Array, usage: _Array, size: _Array, start: _Array) -> _Array:
    """Go from start to end to start."""
    left, finish = size.copy(), start.copy()
    todo = np.flatnonzero((size > 0) & (usage > 0).any(axis=1))
    waiting = todo[np.argsort(start[todo], kind="stable")].tolist()
    active: list[int] = []
    now = start[waiting[0]] if waiting else 0.0
    while waiting or active:
        while waiting and start[waiting[0]] <= now:
            active.append(waiting.pop(0))
        rates = lockstep_rates(capacity, usage[active], np.inf)
        ends = now + left[active] / rates
        then = float(ends.min(initial=np.inf))
        if waiting and start[waiting[0]] < then:
            then = start[waiting[0]]
        left[active] -= rates * (then - now)
        for job, end in zip(tuple(active), ends, strict=True):
            if end <= then:
                finish[job] = end
                active.remove(job)
        if not active and waiting:
            then = max(then, start[waiting[0]])
        now = then
    return finish
