"""A forecast: when each job will be done, how sure that is, and what the spread comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colossus_sim.errors import UsageError
from colossus_sim.loading.load import Case
from colossus_sim.results.targets import Verdict, verdict
from colossus_sim.sweeps.assumptions import Group, draw_quantiles, groups
from colossus_sim.sweeps.cut_off import is_cut_off, least
from colossus_sim.sweeps.plan import Plan, Point, make_plan
from colossus_sim.sweeps.statistics import (
    chance_level,
    first_order_index,
    mean_interval,
    quantile_rank,
    quantiles,
    rank_correlation,
    wilson_interval,
)
from colossus_sim.sweeps.task import Outcome
from colossus_sim.units import DAY

LEVELS = (0.1, 0.5, 0.8, 0.9)
"""Quantiles that a forecast shows."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Plan of a forecast and what its draws were.

    Attributes
    ----------
    plan : Plan
        The runs.
    groups : tuple of Group
        What is drawn besides the seed; empty if nothing is.
    draws : array
        Quantile of each group (column) in each replica (row).
    """

    plan: Plan
    groups: tuple[Group, ...]
    draws: NDArray[np.float64]

    @property
    def replicas(self) -> int:
        """Runs planned."""
        return len(self.plan.points) * self.plan.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How much one unknown moves a job's end.

    Attributes
    ----------
    beyond_chance : bool
        Whether its share of the variance is more than unknowns that do nothing would seem to have.
    """

    name: str
    rank_correlation: float
    first_order_index: float
    beyond_chance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForecast:
    """What the replicas say about one job. Days since the scenario's start.

    Attributes
    ----------
    finish, slip : tuple of float
        Quantiles at `LEVELS`: the day by which that share of the replicas is done; slip is NaN without a target. A
        replica without an end and without a projection counts with the horizon, before which it did not end. [days]
    finish_mean_half_width : float
        Half of the 95 % interval of the mean end. [days]
    finished : int
        Replicas in which it ended before the horizon; the others enter with their projected end.
    projected : tuple of bool
        Which quantiles are ends that did not come before the horizon, or lie behind one; such a one is a lower
        bound.
    met, unknown : int
        Replicas in which it ended by its target, and which stopped at the horizon before both.
    probability : tuple of float
        Share of `met` and its 95 % Wilson interval; NaN without a target. With `unknown` ones the share is NaN, and
        the interval goes from that where they all miss to that where they all meet it.
    drivers : tuple of Driver
        What moves its end, the most important first.
    """

    job: str
    count: int
    finish: tuple[float, ...]
    slip: tuple[float, ...]
    finish_mean: float
    finish_mean_half_width: float
    finished: int
    projected: tuple[bool, ...]
    met: int
    unknown: int
    probability: tuple[float, float, float]
    drivers: tuple[Driver, ...]


def make_forecast(
    source: str,
    replicas: int,
    *,
    overrides: Sequence[str] = (),
    case: Case = "central",
    seed: int | None = None,
    sample_assumptions: bool = False,
) -> Forecast:
    """Return the plan of a forecast.

    Parameters
    ----------
    sample_assumptions : bool
        Draw the assumptions of the scenario anew in each replica, from triangular laws between low and high with
        the mode at central; otherwise only the seed differs.

    Raises
    ------
    ScenarioError
        If the scenario is wrong.
    UsageError
        If assumptions are to be drawn from one end of their ranges.
    """
    if sample_assumptions and case != "central":
        raise UsageError(
            f"--case {case} does nothing with --assumptions sample, which draws every range from low to high: "
            "leave one of them out"
        )
    base = make_plan(source, [Point(values={}, overrides=())], replicas=replicas, overrides=overrides, case=case,
                     seed=seed, kind="forecast")  # fmt: skip
    if not sample_assumptions:
        return Forecast(plan=base, groups=(), draws=np.empty((replicas, 0)))
    sites = {name: job.site for name, job in base.scenario.jobs.items()}
    found = groups(base.scenario.loaded.assumptions, sites)
    draws = draw_quantiles(found, base.seed, replicas)
    points = [_point(found, row) for row in draws]
    plan = make_plan(source, points, replicas=1, overrides=overrides, case=case, seed=seed, kind="forecast")
    return Forecast(plan=plan, groups=found, draws=draws)


def _point(found: Sequence[Group], row: NDArray[np.float64]) -> Point:
    overrides = [text for group, u in zip(found, row, strict=True) for text in group.overrides(float(u))]
    return Point(values={}, overrides=tuple(overrides))


def widest_interval(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> float:
    """Return the widest half interval of the mean end of any job. [days]"""
    widths = [
        mean_interval(series(outcomes, f"jobs.{job}.finish_days")).half_width
        for job in forecast.plan.scenario.jobs
    ]
    return max((math.inf if math.isnan(width) else width for width in widths), default=0.0)


def likely_runs(forecast: Forecast, outcomes: Mapping[int, Outcome], precision: float, *, least: int) -> int:
    """Return how many runs a precision [days] is likely to take in all: an interval narrows with their square root.

    At least those of the next look, at most the runs that are asked for.
    """
    width = widest_interval(forecast, outcomes)
    if not outcomes or not math.isfinite(width):
        return min(least, forecast.replicas)
    return min(forecast.replicas, max(least, math.ceil(len(outcomes) * (width / precision) ** 2)))


def series(outcomes: Mapping[int, Outcome], measure: str) -> list[float]:
    """Return a measure of all replicas that are done, in order."""
    return [
        outcomes[index].values.get(measure, math.nan)
        for index in sorted(outcomes)
        if outcomes[index].status == "done"
    ]


def job_forecasts(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> tuple[JobForecast, ...]:
    """Return the forecast of every job, in order of the scenario."""
    return tuple(_job(forecast, outcomes, name) for name in forecast.plan.scenario.jobs)


def _job(forecast: Forecast, outcomes: Mapping[int, Outcome], name: str) -> JobForecast:
    finish = series(outcomes, f"jobs.{name}.finish_days")
    slip = series(outcomes, f"jobs.{name}.slip_days")
    finished = series(outcomes, f"jobs.{name}.finished")
    scenario = forecast.plan.scenario
    target = scenario.jobs[name].target
    late = math.nan if target is None else (scenario.start + scenario.horizon - target.date) / DAY
    ends = _at_least(finish, finished, scenario.horizon / DAY)
    became = _became(forecast, outcomes, name)
    met, unknown = became.count("met"), became.count("unknown")
    mean = mean_interval(finish)
    return JobForecast(
        job=name,
        count=len(finish),
        finish=quantiles(ends, LEVELS),
        slip=quantiles(_at_least(slip, finished, late), LEVELS),
        finish_mean=mean.mean,
        finish_mean_half_width=mean.half_width,
        finished=int(sum(finished)),
        projected=_projected(ends, finished),
        met=met,
        unknown=unknown,
        probability=_probability(met, unknown, len(became)),
        drivers=_drivers(forecast, outcomes, f"jobs.{name}.finish_days"),
    )


def _became(forecast: Forecast, outcomes: Mapping[int, Outcome], name: str) -> list[Verdict]:
    """Say for each replica that is done what became of the target of a job; empty without a target."""
    scenario = forecast.plan.scenario
    target = scenario.jobs[name].target
    if target is None:
        return []
    measure = f"jobs.{name}.slip_days"
    found = []
    for index in sorted(outcomes):
        values = outcomes[index].values
        if outcomes[index].status != "done":
            continue
        open_end = is_cut_off(measure, values)
        slip = least(measure, values)
        if open_end and math.isnan(slip):  # without a projection
            slip = (scenario.start + scenario.horizon - target.date) / DAY
        found.append(verdict(slip, ended=not open_end))
    return found


def _probability(met: int, unknown: int, count: int) -> tuple[float, float, float]:
    if not count:
        return math.nan, math.nan, math.nan
    low, high = wilson_interval(met, count)[0], wilson_interval(met + unknown, count)[1]
    return math.nan if unknown else met / count, low, high


def _at_least(values: Sequence[float], finished: Sequence[float], horizon: float) -> list[float]:
    """Return ends or slips; one that has neither come nor a projection with what it is at the horizon."""
    pairs = zip(values, finished, strict=True)
    return [horizon if math.isnan(value) and not done else value for value, done in pairs]


def _projected(ends: Sequence[float], finished: Sequence[float]) -> tuple[bool, ...]:
    """Say which quantiles are ends that were not simulated, or lie behind one."""
    pairs = list(zip(ends, finished, strict=True))
    first_open = min((end for end, done in pairs if not done), default=math.inf)
    sure = sum(1 for end, done in pairs if done and end <= first_open)
    return tuple(quantile_rank(level, len(pairs)) > sure for level in LEVELS)


def _drivers(forecast: Forecast, outcomes: Mapping[int, Outcome], measure: str) -> tuple[Driver, ...]:
    """Rank what is drawn by its share of the variance of a measure."""
    rows = [index for index in sorted(outcomes) if outcomes[index].status == "done"]
    values = [outcomes[index].values.get(measure, math.nan) for index in rows]
    kept = [number for number, value in enumerate(values) if not math.isnan(value)]
    y = [values[number] for number in kept]
    chance = chance_level(len(kept), len(forecast.groups))
    found = []
    for column, group in enumerate(forecast.groups):
        x = [float(forecast.draws[rows[number], column]) for number in kept]
        if len(x) > 2:
            share = first_order_index(x, y)
            found.append(
                Driver(
                    name=group.name,
                    rank_correlation=rank_correlation(x, y),
                    first_order_index=share,
                    beyond_chance=share >= chance,
                )
            )
    return tuple(sorted(found, key=_importance, reverse=True))


def _importance(driver: Driver) -> tuple[float, float]:
    index, correlation = driver.first_order_index, driver.rank_correlation
    strength = 0.0 if math.isnan(correlation) else correlation**2
    return (strength if math.isnan(index) else max(index, strength), strength)


def phase_bands(outcomes: Mapping[int, Outcome]) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return the quantiles (`LEVELS`) of start and end of each ``job/phase``; infinite where there is none.

    Days since the scenario's start. A phase without an end in a replica counts as later than any other.
    """
    times: dict[str, tuple[list[float], list[float]]] = {}
    for index in sorted(outcomes):
        for name, (start, end) in outcomes[index].phases.items():
            starts, ends = times.setdefault(name, ([], []))
            starts.append(math.inf if math.isnan(start) else start)
            ends.append(math.inf if math.isnan(end) else end)
    return {
        name: (quantiles(starts, LEVELS), quantiles(ends, LEVELS)) for name, (starts, ends) in times.items()
    }
