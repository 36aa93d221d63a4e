"""What the pictures show, from the outcomes of a sweep or forecast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from colossus_sim.errors import UsageError
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.loading.yaml_source import scalar
from colossus_sim.plots.views import (
    Bar,
    Change,
    ForecastView,
    JobBand,
    Measured,
    Parameter,
    PhaseBand,
    SweepView,
)
from colossus_sim.results.words import open_note
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.cut_off import grows, is_cut_off
from colossus_sim.sweeps.forecast import LEVELS, Forecast, JobForecast, job_forecasts, phase_bands
from colossus_sim.sweeps.measure import describe_measure
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.precision import runs_per_point, runs_text
from colossus_sim.sweeps.quantities import numbers
from colossus_sim.sweeps.statistics import chance_level, mean_interval, paired_difference, quantiles
from colossus_sim.sweeps.table import measures_of, replicas_of, unfinished_runs
from colossus_sim.sweeps.task import Outcome
from colossus_sim.units import DAY

COST = "cluster.gpu_days"
_BETTER = frozenset({"ettr", "goodput", "mfu", "mfu_overall", "finished", "busy", "productive"})
_SHORT = {"ettr": "ETTR", "mfu": "MFU"}
_BAND = tuple(LEVELS.index(level) for level in (0.1, 0.5, 0.9))


def title_of(scenario: Scenario) -> str:
    """Return the title of a scenario, or its name."""
    return scenario.title if scenario.title not in ("", "untitled") else scenario.name


def check_measures(outcomes: Mapping[int, Outcome], names: Sequence[str]) -> None:
    """Refuse measures that runs do not have.

    Raises
    ------
    UsageError
        With the nearest name.
    """
    known = measures_of(outcomes)
    for name in names:
        if known and name not in known:
            raise UsageError(f"runs have no measure {name!r}; {nearest_hint(name, known)}")


def sweep_view(
    plan: Plan, outcomes: Mapping[int, Outcome], measures: Sequence[str], title: str = ""
) -> SweepView:
    """Return what the pictures of a sweep show; the title is the scenario's unless another is given."""
    check_measures(outcomes, measures)
    drawn = tuple(_measured(plan, outcomes, name) for name in measures)
    runs = runs_text(runs_per_point(plan, outcomes))
    failed = sum(1 for item in outcomes.values() if item.status == "failed")
    failed_text = f", {failed} of {len(outcomes)} runs failed" if failed else ""
    marks = {
        "tornado": "thin lines: 95 % interval",
        "changes": "thin lines: 95 % interval",
    }.get(plan.kind, "marks: mean with 95 % interval")
    band = f"; {marks}" if plan.replicas > 1 else ""
    return SweepView(
        title=title or title_of(plan.scenario),
        note=f"{len(plan.points)} points, {runs}{failed_text}{_open_text(plan, outcomes, drawn)}{band}",
        parameters=tuple(_parameter(plan, name) for name in plan.parameters),
        measures=tuple(item for item in drawn if item.name != COST or len(drawn) == 1),
        cost=_measured(plan, outcomes, COST),
        tornado=tuple((item, _bars(plan, outcomes, item.name)) for item in drawn)
        if plan.kind == "tornado"
        else (),
        changes=tuple((item, _changes(plan, outcomes, item.name)) for item in drawn)
        if plan.kind == "changes"
        else (),
        sampled=plan.kind == "sample",
        replicated=plan.replicas > 1,
    )


def _open_text(plan: Plan, outcomes: Mapping[int, Outcome], drawn: Sequence[Measured]) -> str:
    """Say how many runs the horizon cut off before one of the drawn measures had its last value."""
    count = sum(
        1 for item in outcomes.values() if any(is_cut_off(measure.name, item.values) for measure in drawn)
    )
    if not count:
        return ""
    mark = "hatched" if plan.kind in ("tornado", "changes") else "hollow"
    return f", {open_note(mark, f'{count:,} of {len(outcomes):,} runs')}"


def _changes(plan: Plan, outcomes: Mapping[int, Outcome], measure: str) -> tuple[Change, ...]:
    base = replicas_of(plan, outcomes, 0, measure)
    found = []
    for number, point in enumerate(plan.points[1:], start=1):
        change = paired_difference(replicas_of(plan, outcomes, number, measure), base)
        found.append(
            Change(
                label=point.values["change"],
                mean=_drawn(change.mean),
                half_width=change.half_width,
                open=_is_open(plan, outcomes, number, measure),
            )
        )
    return tuple(found)


def _is_open(plan: Plan, outcomes: Mapping[int, Outcome], point: int, measure: str) -> bool:
    """Say whether a difference to the first point rests on runs that the horizon cut off."""
    return any(unfinished_runs(plan, outcomes, number, measure) for number in (0, point))


def _parameter(plan: Plan, name: str) -> Parameter:
    texts = tuple(point.values.get(name, "") for point in plan.points)
    found = numbers([scalar(text) for text in texts])
    if found is None:
        return Parameter(name=name, texts=texts, numbers=None, unit="")
    values, scale = found
    if scale.date:
        days = tuple((value - plan.scenario.start) / DAY for value in values)
        return Parameter(name=name, texts=texts, numbers=days, unit="days after the start")
    return Parameter(name=name, texts=texts, numbers=tuple(values), unit=scale.unit)


def _measured(plan: Plan, outcomes: Mapping[int, Outcome], name: str) -> Measured:
    rows = [replicas_of(plan, outcomes, point, name) for point in range(len(plan.points))]
    means = [mean_interval(row) for row in rows]
    bands = [quantiles(row, (0.1, 0.9)) for row in rows]
    return Measured(
        name=name,
        label=label_of(plan.scenario, name),
        unit=describe_measure(name)[0],
        mean=tuple(_drawn(item.mean) for item in means),
        half_width=tuple(item.half_width for item in means),
        low=tuple(_drawn(item[0]) for item in bands),
        high=tuple(_drawn(item[1]) for item in bands),
        more_is_better=more_is_better(name),
        unfinished=tuple(unfinished_runs(plan, outcomes, point, name) for point in range(len(plan.points))),
        grows=grows(name),
    )


def _drawn(value: float) -> float:
    """Return what a chart can show of a number: nothing (NaN) of one that is infinite, as of what never ends."""
    return value if math.isfinite(value) else math.nan


def more_is_better(name: str) -> bool | None:
    """Say whether more of a measure is welcome; None where that depends on what is asked."""
    key = name.rpartition(".")[2]
    if key in _BETTER:
        return True
    return False if key.endswith("_days") else None


def label_of(scenario: Scenario, name: str) -> str:
    """Return words for a measure, e.g. ``slip, Grok 5 class 10T``."""
    where, _, key = name.rpartition(".")
    words = (
        key.removesuffix("_days").replace("_", " ").replace("gpu", "GPU days" if key == "gpu_days" else "GPU")
    )
    words = _SHORT.get(key, words)
    if where.startswith("jobs."):
        job = scenario.jobs.get(where.removeprefix("jobs."))
        return f"{words}, {job.title if job is not None and job.title else where.removeprefix('jobs.')}"
    return words if where != "cluster" else f"{words} (all jobs)" if key == "gpu_days" else words


def _bars(plan: Plan, outcomes: Mapping[int, Outcome], measure: str) -> tuple[Bar, ...]:
    base = replicas_of(plan, outcomes, 0, measure)
    ends: dict[str, dict[str, tuple[float, float, bool]]] = {}
    for number, point in enumerate(plan.points[1:], start=1):
        change = paired_difference(replicas_of(plan, outcomes, number, measure), base)
        ends.setdefault(point.values["assumption"], {})[point.values["end"]] = (
            _drawn(change.mean),
            change.half_width,
            _is_open(plan, outcomes, number, measure),
        )
    bars = [
        Bar(label=name, low=item["low"][0], high=item["high"][0], low_half_width=item["low"][1],
            high_half_width=item["high"][1], low_open=item["low"][2], high_open=item["high"][2])
        for name, item in ends.items()
    ]  # fmt: skip
    return tuple(sorted(bars, key=_reach, reverse=True))


def _reach(bar: Bar) -> float:
    return max((abs(value) for value in (bar.low, bar.high) if not math.isnan(value)), default=0.0)


def forecast_view(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> ForecastView:
    """Return what the pictures of a forecast show."""
    scenario = forecast.plan.scenario
    bands = phase_bands(outcomes)
    start = scenario.start / DAY
    jobs = job_forecasts(forecast, outcomes)
    done = sum(1 for item in outcomes.values() if item.status == "done")
    drawn = (
        "assumptions drawn between low and high" if forecast.groups else "assumptions fixed, failures drawn"
    )
    return ForecastView(
        title=f"Forecast: {title_of(scenario)}",
        note=f"{done} runs, {drawn} \u00b7 bars: median schedule",
        start=start,
        horizon=start + scenario.horizon / DAY,
        jobs=tuple(_job_band(scenario, item, bands, start) for item in jobs),
        drivers=tuple(
            (
                scenario.jobs[item.job].title or item.job,
                tuple((d.name, _share(d.first_order_index)) for d in item.drivers),
            )
            for item in jobs
        ),
        chance=chance_level(done, len(forecast.groups)),
    )  # fmt: skip


def _share(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _job_band(
    scenario: Scenario,
    item: JobForecast,
    bands: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]],
    start: float,
) -> JobBand:
    spec = scenario.jobs[item.job]
    phases = []
    for name, phase in spec.phases.items():
        if f"{item.job}/{name}" in bands:
            starts, ends = bands[f"{item.job}/{name}"]
            phases.append(
                PhaseBand(name=name, kind=phase.kind, start=_picked(starts, start), end=_picked(ends, start))
            )
    return JobBand(
        title=spec.title or item.job,
        target=math.nan if spec.target is None else spec.target.date / DAY,
        finish=_picked(item.finish, start),
        probability=item.probability[0],
        phases=tuple(phases),
        projected=item.projected[LEVELS.index(0.5)],
    )


def _picked(values: Sequence[float], start: float) -> tuple[float, float, float]:
    low, middle, high = (start + values[place] for place in _BAND)
    return low, middle, high
