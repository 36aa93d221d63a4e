"""What the report of a forecast shows, as plain data: ends with their spread, chances by date, drivers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from colossus_sim.plots.forecast import lanes
from colossus_sim.plots.style import FAMILY_COLOURS, phase_family
from colossus_sim.results.document import Section, Table
from colossus_sim.results.forecast_words import NO_DRIVER, NOT_KNOWN, NOT_TOLD, cautions
from colossus_sim.results.words import bound, day

DAY_MS = 86_400_000.0
LEVELS = ("p10", "p50", "p80", "p90")


def forecast_chart(
    study: Mapping[str, Any],
    forecast: Mapping[str, Any],
    phases: pd.DataFrame,
    runs: pd.DataFrame,
    start: float,
) -> dict[str, Any]:
    """Return the data of the charts; moments in ms since 1970. `start` is the scenario's, in ms."""
    done = runs[runs["status"] == "done"]
    groups = dict(tuple(phases.groupby("job", sort=False)))
    return {
        "kind": "forecast",
        "title": study["title"],
        "question": study["question"],
        "headline": _headline(forecast),
        "start": start,
        "horizon": start + float(study["horizon_days"]) * DAY_MS,
        "sampled": forecast["assumptions"] == "sampled",
        "no_driver": NO_DRIVER,
        "not_told": NOT_TOLD,
        "replicas": forecast["replicas"],
        "families": [{"name": name, "colour": colour} for name, colour in FAMILY_COLOURS.items()],
        "jobs": [_job(job, groups.get(job["name"]), done, study, start) for job in forecast["jobs"]],
    }


def _headline(forecast: Mapping[str, Any]) -> str:
    jobs = [job for job in forecast["jobs"] if job["probability_to_meet_target"] is not None]
    likely = sum(job["probability_to_meet_target"] >= 0.5 for job in jobs)
    failed = f", {forecast['failed']} failed" if forecast["failed"] else ""
    drawn = (
        "failures and assumptions drawn anew in each"
        if forecast["assumptions"] == "sampled"
        else "failures drawn anew in each, assumptions fixed"
    )
    targets = f"{likely} of {len(jobs)} targets more likely met than missed \u00b7 " if jobs else ""
    unknown = sum(bool(job["target_not_known"]) for job in forecast["jobs"])
    if unknown:
        targets += f"{unknown} not known: after the horizon \u00b7 "
    return f"{targets}{forecast['replicas']} runs{failed}, {drawn}"


def _job(
    job: Mapping[str, Any],
    phases: pd.DataFrame | None,
    runs: pd.DataFrame,
    study: Mapping[str, Any],
    start: float,
) -> dict[str, Any]:
    ends = runs.get(f"jobs.{job['name']}.finish_days", pd.Series(dtype=float)).dropna().sort_values()
    rows = [] if phases is None else [_phase(job["name"], row, study, start) for _, row in phases.iterrows()]
    medians = [(row["start"][1], row["end"][1]) for row in rows]
    found = lanes([(_or_infinite(first), _or_infinite(last)) for first, last in medians])
    return {
        "name": job["name"],
        "title": job["title"] or job["name"],
        "target": _date_ms(job["target_date"]),
        "means": job["target_means"],
        "finish": {name: _moment(job["finish_days"][name], start) for name in LEVELS},
        "slip": job["slip_days"],
        "chance": job["probability_to_meet_target"],
        "interval": job["probability_interval"],
        "projected": job["is_lower_bound"],
        "finished": job["finished_before_horizon"],
        "never": job.get("never_ends", 0),
        "unknown": job["target_not_known"] or 0,
        "ends": [round(start + days * DAY_MS) for days in ends.tolist()],
        "drivers": [
            [d["name"], d["rank_correlation"], d["first_order_index"], d["beyond_chance"]]
            for d in job["drivers"]
        ],
        "lanes": 1 + max(found, default=0),
        "phases": [row | {"lane": lane} for row, lane in zip(rows, found, strict=True)],
    }


def _phase(job: str, row: pd.Series, study: Mapping[str, Any], start: float) -> dict[str, Any]:
    name = str(row["phase"])
    family = phase_family(name, study["phase_kinds"].get(f"{job}/{name}", ""))
    return {
        "name": name,
        "family": family,
        "colour": FAMILY_COLOURS[family],
        "start": [_moment(row[f"start_{level}_days"], start) for level in LEVELS],
        "end": [_moment(row[f"end_{level}_days"], start) for level in LEVELS],
    }


def _or_infinite(moment: float | None) -> float:
    return math.inf if moment is None else moment


def _moment(days: float | None, start: float) -> int | None:
    return None if days is None or not math.isfinite(days) else round(start + days * DAY_MS)


def _date_ms(text: str | None) -> float | None:
    return None if not text else pd.Timestamp(text).timestamp() * 1000.0


def forecast_sections(study: Mapping[str, Any], forecast: Mapping[str, Any]) -> list[Section]:
    """Return the tables of a forecast: jobs, and what drives each."""
    header = ("job", "target", "P10", "P50", "P80", "P90", "slip P50 [d]", "slip P90 [d]", "chance",
              "95 % interval", "unfinished")  # fmt: skip
    rows = tuple(_row(job, int(forecast["replicas"])) for job in forecast["jobs"])
    about = (
        "Dates are the end of what each target means (without a target: of the whole job). P80: in 80 % of the "
        "runs it is done by then. A run in which a job was not done at the end of the simulated time counts with "
        "its projected end (>=: a lower bound), and as a miss of a target that lay before that. Chance: share of "
        "runs that meet the target, with its Wilson interval."
    )
    jobs = Section(
        title="Jobs",
        paragraphs=(about, *(f"{text}." for text in cautions(forecast))),
        table=Table(header=header, rows=rows, right=(6, 7, 8, 9, 10)),
    )
    return [jobs, *_drivers(forecast)]


def _row(job: Mapping[str, Any], runs: int) -> tuple[str, ...]:
    slip, chance = job["slip_days"], job["probability_to_meet_target"]
    shifts = (
        ("", "") if slip is None else tuple(bound(job, name, _signed(slip[name])) for name in ("p50", "p90"))
    )
    low, high = job["probability_interval"]
    share = ("", "")
    if slip is not None and low is not None:
        share = (NOT_KNOWN if chance is None else f"{chance:.0%}", f"{low:.0%} to {high:.0%}")
    return (
        job["name"], day(job["target_date"]) if job["target_date"] else "none",
        *(bound(job, name, job["finish_date"][name]) for name in LEVELS), *shifts, *share,
        str(runs - job["finished_before_horizon"]),
    )  # fmt: skip


def _signed(days: float | None) -> str | None:
    return None if days is None else f"{days:+.1f}"


def _drivers(forecast: Mapping[str, Any]) -> list[Section]:
    rows = tuple(
        (
            job["name"], str(driver["name"]), _number(driver["rank_correlation"]),
            "" if driver["first_order_index"] is None else f"{driver['first_order_index']:.0%}",
            "yes" if driver["beyond_chance"] else NOT_TOLD,
        )
        for job in forecast["jobs"] for driver in job["drivers"]
    )  # fmt: skip
    about = (
        "Share: first-order Sobol index, the part of the variance of the end that would go away if this were "
        f"known. With {forecast['replicas']} runs assumptions that do nothing may seem to have a share too; what "
        "is not told from that needs more runs before anyone acts on it."
    )
    header = ("job", "assumption", "rank correlation", "share", "beyond chance")
    if not rows:
        return []
    return [
        Section(
            title="What drives the spread",
            paragraphs=(about,),
            table=Table(header=header, rows=rows, right=(2, 3)),
        )
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
