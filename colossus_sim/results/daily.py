"""Utilization of all sites by day."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colossus_sim.records import CAUSES, LevelRow, RunResult
from colossus_sim.units import DAY, HOUR

Floats = NDArray[np.float64]

PRODUCTIVE_CAUSES = ("planned", "slower_step", "fewer_gpus", "placement")
"""What GPUs in state ``productive`` spend time on."""
BUSY_CAUSES = (*PRODUCTIVE_CAUSES, "contention", "degraded", "lost_work")
"""The same for GPUs that compute, useful or not."""

_TIME = attrgetter("time")


def daily_rows(run: RunResult) -> list[dict[str, Any]]:
    """Return one row per day since the scenario's start.

    Capacity and allocation come from the levels, which are exact; busy and productive time is spread evenly
    over each interval.
    """
    days = math.ceil(run.end_time / DAY - 1e-9)
    if days <= 0 or not run.levels:
        return []
    start, end, installed, allocated, scattered = _stretches(run)
    capacity = spread(start, end, installed * (end - start), days)
    shares = {
        "allocated": spread(start, end, allocated * (end - start), days),
        "busy": _worked(run, BUSY_CAUSES, days),
        "productive": _worked(run, PRODUCTIVE_CAUSES, days),
        "fragmentation": spread(start, end, installed * scattered * (end - start), days),
    }
    return [
        {
            "day_s": day * DAY,
            "capacity_gpu_hours": capacity[day] / HOUR,
            **{
                name: values[day] / capacity[day] if capacity[day] > 0.0 else math.nan
                for name, values in shares.items()
            },
        }
        for day in range(days)
    ]


def _stretches(run: RunResult) -> tuple[Floats, ...]:
    """Return start, end [s], installed and allocated GPUs, fragmentation of every stretch of every partition."""
    rows: dict[tuple[str, str], list[LevelRow]] = {}
    for row in sorted(run.levels, key=_TIME):
        rows.setdefault((row.site, row.partition), []).append(row)
    stretches = [
        (row.time, min(after, run.end_time), row.installed, row.allocated, row.fragmentation)
        for group in rows.values()
        for row, after in zip(group, [*(row.time for row in group[1:]), run.end_time], strict=True)
        if row.time < min(after, run.end_time)
    ]
    table = np.array(stretches, dtype=np.float64).reshape(-1, 5)
    return tuple(table.T)


def _worked(run: RunResult, names: tuple[str, ...], days: int) -> Floats:
    """Return the GPU-seconds per day that jobs spent on the named causes."""
    columns = [CAUSES.index(name) for name in names]
    rows = [row for row in run.intervals if row.gpus]
    start = np.array([row.start for row in rows], dtype=np.float64)
    end = np.array([row.end for row in rows], dtype=np.float64)
    seconds = np.array([row.causes for row in rows], dtype=np.float64).reshape(-1, len(CAUSES))
    gpus = np.array([row.gpus for row in rows], dtype=np.float64)
    return spread(start, end, gpus * seconds[:, columns].sum(axis=1), days)


def spread(start: Floats, end: Floats, amount: Floats, days: int) -> Floats:
    """Return how much of each amount, spent evenly from start to end [s], falls on each day.

    The cumulative amount is piecewise linear in time, so it is summed up once at every corner and read off
    at the edges of the days: the cost does not grow with days x rows.
    """
    if not len(start):
        return np.zeros(days)
    rate = amount / (end - start)
    corners = np.concatenate((start, end))
    order = np.argsort(corners, kind="stable")
    times = corners[order]
    rates = np.cumsum(np.concatenate((rate, -rate))[order])
    amounts = np.concatenate(([0.0], np.cumsum(rates[:-1] * np.diff(times))))
    edges = np.arange(days + 1, dtype=np.float64) * DAY
    return np.asarray(np.diff(np.interp(edges, times, amounts)), dtype=np.float64)
