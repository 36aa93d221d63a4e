"""Tables of a run in the form that the pictures need: arrays on one clock, binned to what a pixel can show.

Moments are days since 1970-01-01 UTC, which is what matplotlib's date axis counts in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from colossus_sim.results.daily import PRODUCTIVE_CAUSES
from colossus_sim.units import DAY

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """GPUs and power over time, as means of equal bins.

    Attributes
    ----------
    edges : array
        Edges of the bins. [days since 1970]
    installed, allocated, running, productive, unusable : array
        Mean GPUs per bin; `productive` counts only work that was kept, spread evenly over each interval; `unusable`
        are those that are in no job and down or stranded.
    power : array
        Mean power. [MW]
    power_limit : float
        Most that may be drawn; NaN if there is no limit. [MW]
    """

    edges: Floats
    installed: Floats
    allocated: Floats
    running: Floats
    productive: Floats
    unusable: Floats
    power: Floats
    power_limit: float

    @property
    def centres(self) -> Floats:
        """Middles of the bins. [days since 1970]"""
        return 0.5 * (self.edges[:-1] + self.edges[1:])


def start_of(tables: Any) -> float:
    """Return the start of the scenario. [POSIX s]"""
    for frame in tables.values():
        if "start" in frame.attrs:
            return float(frame.attrs["start"])
    return 0.0


def column(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as floats, NaN where it is empty."""
    return np.asarray(pd.to_numeric(frame[name], errors="coerce"), dtype=np.float64)


def moments(frame: pd.DataFrame, name: str, start: float) -> Floats:
    """Return a ``*_s`` column as days since 1970-01-01 UTC."""
    return np.asarray((start + column(frame, name)) / DAY, dtype=np.float64)


def words(frame: pd.DataFrame, name: str) -> list[str]:
    """Return a text column, with empty text where nothing is given."""
    return ["" if pd.isna(value) else str(value) for value in frame[name]]


def bin_steps(times: Floats, values: Floats, edges: Floats, *, end: float) -> Floats:
    """Return the mean per bin of a step function that holds each value until the next time, zero before it."""
    if len(times) == 0:
        return np.zeros(len(edges) - 1)
    stops = np.append(times[1:], max(end, float(times[-1])))
    area = np.concatenate(([0.0], np.cumsum(values * (stops - times))))
    knots = np.append(times, stops[-1])
    return np.asarray(np.diff(np.interp(edges, knots, area)) / np.diff(edges), dtype=np.float64)


def bin_stretches(starts: Floats, stops: Floats, amounts: Floats, edges: Floats) -> Floats:
    """Return per bin the sum of amounts that are spread evenly over stretches (any order, overlapping)."""
    keep = stops > starts
    starts, stops, amounts = starts[keep], stops[keep], amounts[keep]
    if len(starts) == 0:
        return np.zeros(len(edges) - 1)
    rates = amounts / (stops - starts)
    knots = np.concatenate((starts, stops))
    jumps = np.concatenate((rates, -rates))
    order = np.argsort(knots, kind="stable")
    knots, slope = knots[order], np.cumsum(jumps[order])
    area = np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(knots))))
    return np.asarray(np.maximum(np.diff(np.interp(edges, knots, area)), 0.0), dtype=np.float64)


def power_limit(scenario: Any, site: str | None) -> float:
    """Return the power limit of a site, or the sum if every site has one; NaN otherwise. [MW]"""
    if scenario is None:
        return float("nan")
    sites = scenario.cluster.sites
    limits = [spec.power_limit for name, spec in sites.items() if site in (None, name)]
    if not limits or any(limit is None for limit in limits):
        return float("nan")
    return float(sum(limits)) / 1e6


def end_of(result: Any) -> float:
    """Return the last moment that the tables speak of. [days since 1970]"""
    tables = result.tables
    start = start_of(tables)
    last = [start / DAY]
    for name, column_name in (("gpu_time", "end_s"), ("intervals", "end_s"), ("utilization", "time_s")):
        if len(tables[name]):
            last.append(float(np.nanmax(moments(tables[name], column_name, start))))
    return max(last)


def levels(result: Any, edges: Floats, *, site: str | None = None) -> Levels:
    """Return GPUs and power over time, of one site or of all."""
    tables = result.tables
    start, end = start_of(tables), end_of(result)
    steps, worked = tables["utilization"], tables["intervals"]
    if site is not None:
        jobs = tables["jobs"]
        here = jobs["job"][jobs["site"] == site]
        steps, worked = steps[steps["site"] == site], worked[worked["job"].isin(here)]
    names = ("installed", "allocated", "running", "stranded", "down", "power_MW")
    sums = {name: np.zeros(len(edges) - 1) for name in names}
    for _, part in steps.groupby(["site", "partition"], sort=True):
        times = moments(part, "time_s", start)
        for name in names:
            sums[name] += bin_steps(times, column(part, name), edges, end=end)
    useful = sum((column(worked, f"{cause}_s") for cause in PRODUCTIVE_CAUSES), np.zeros(len(worked)))
    productive = bin_stretches(
        moments(worked, "start_s", start),
        moments(worked, "end_s", start),
        column(worked, "gpus") * useful / DAY,
        edges,
    ) / np.diff(edges)
    return Levels(
        edges=edges,
        installed=sums["installed"],
        allocated=sums["allocated"],
        running=sums["running"],
        productive=productive,
        unusable=sums["stranded"] + sums["down"],
        power=sums["power_MW"],
        power_limit=power_limit(getattr(result, "scenario", None), site),
    )
