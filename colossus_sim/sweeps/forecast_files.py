"""The files of a forecast: ``forecast.json``, tables, and a report to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from colossus_sim.results.forecast_words import NO_DRIVER, cautions, chance_text
from colossus_sim.results.projection import gpus_gone
from colossus_sim.results.report import command_line
from colossus_sim.results.words import bound
from colossus_sim.sweeps.forecast import LEVELS, Forecast, JobForecast, job_forecasts, phase_bands
from colossus_sim.sweeps.table import Cell, Column, SweepTable, csv_text, dictionary_text, run_table
from colossus_sim.sweeps.task import Outcome
from colossus_sim.units import DAY, format_instant

SCHEMA_VERSION = 1
MAX_DRIVERS = 8
"""Drivers shown per job in report and JSON."""


def forecast_document(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> dict[str, Any]:
    """Return what ``forecast.json`` holds; undefined numbers are null."""
    scenario = forecast.plan.scenario
    failed = [outcome for outcome in outcomes.values() if outcome.status == "failed"]
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.name,
        "title": scenario.title,
        "case": forecast.plan.case,
        "seed": forecast.plan.seed,
        "assumptions": "sampled" if forecast.groups else "fixed",
        "replicas": len(outcomes) - len(failed),
        "failed": len(failed),
        "errors": sorted({outcome.error.splitlines()[0] for outcome in failed if outcome.error})[:20],
        "start_date": format_instant(scenario.start, seconds=True),
        "levels": list(LEVELS),
        "jobs": [_job(forecast, item) for item in job_forecasts(forecast, outcomes)],
    }


def _job(forecast: Forecast, item: JobForecast) -> dict[str, Any]:
    scenario = forecast.plan.scenario
    spec = scenario.jobs[item.job]
    target = spec.target
    gone = gpus_gone(scenario, spec) if item.never else math.inf
    names = [f"p{round(100 * level)}" for level in LEVELS]
    return {
        "name": item.job,
        "title": spec.title,
        "target_date": None if target is None else format_instant(target.date),
        "target_means": "" if target is None else target.means,
        "finish_date": dict(zip(names, (_date(forecast, days) for days in item.finish), strict=True)),
        "finish_days": dict(zip(names, map(_number, item.finish), strict=True)),
        "finish_days_mean": _number(item.finish_mean),
        "finish_days_mean_ci_half_width": _number(item.finish_mean_half_width),
        "slip_days": dict(zip(names, map(_number, item.slip), strict=True)) if target is not None else None,
        "finished_before_horizon": item.finished,
        "never_ends": item.never,
        "gpus_gone_date": _date(forecast, gone / DAY),
        "is_lower_bound": dict(zip(names, item.projected, strict=True)),
        "met_target": item.met if target is not None else None,
        "target_not_known": item.unknown if target is not None else None,
        "probability_to_meet_target": _number(item.probability[0]),
        "probability_interval": [_number(value) for value in item.probability[1:]],
        "drivers": [
            {
                "name": driver.name,
                "rank_correlation": _number(driver.rank_correlation),
                "first_order_index": _number(driver.first_order_index),
                "beyond_chance": driver.beyond_chance,
            }
            for driver in item.drivers[:MAX_DRIVERS]
        ],
    }


def _number(value: float) -> float | None:
    return float(f"{value:.12g}") if math.isfinite(value) else None


def _date(forecast: Forecast, days: float) -> str | None:
    return format_instant(forecast.plan.scenario.start + days * DAY) if math.isfinite(days) else None


def forecast_tables(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> dict[str, SweepTable]:
    """Return the tables: every replica, the bands of every phase, and what was drawn for each replica."""
    tables = {"results": run_table(forecast.plan, outcomes), "phases": _phase_table(forecast, outcomes)}
    return tables | ({"draws": draws_table(forecast, outcomes)} if forecast.groups else {})


def draws_table(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> SweepTable:
    """Return what was drawn for each replica: a column per assumption, and the command that plays the run alone."""
    plan = forecast.plan
    columns = (
        Column("point", "count", "number of the replica, as in results.csv"),
        Column("seed", "count", "root seed"),
        *(
            Column(item.path, "text", f"drawn value, as it is written after --set; one unknown: {group.name}")
            for group in forecast.groups
            for item in group.members
        ),
        Column("command", "text", "plays this run alone, with all its tables and pictures"),
    )
    rows: list[tuple[Cell, ...]] = []
    for task in plan.each_task():
        if task.index in outcomes:
            drawn = [text.partition("=")[2] for text in plan.points[task.point].overrides]
            command = command_line(plan.source, task.overrides, seed=task.seed, case=plan.case)
            rows.append((task.point, task.seed, *drawn, command))
    return SweepTable(columns, tuple(rows))


def _phase_table(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> SweepTable:
    names = [f"p{round(100 * level)}" for level in LEVELS]
    columns = (
        Column("job", "text", "job name in the scenario"),
        Column("phase", "text", "phase name in the job"),
        *(
            Column(f"{what}_{name}_days", "days", f"{name.upper()} of its {what} since the start; empty: none")
            for what in ("start", "end")
            for name in names
        ),
    )  # fmt: skip
    bands = phase_bands(outcomes)
    rows: list[tuple[Cell, ...]] = []
    for job, spec in forecast.plan.scenario.jobs.items():
        for phase in spec.phases:
            if f"{job}/{phase}" in bands:
                starts, ends = bands[f"{job}/{phase}"]
                rows.append((job, phase, *starts, *ends))
    return SweepTable(columns, tuple(rows))


def forecast_files(forecast: Forecast, outcomes: Mapping[int, Outcome]) -> dict[str, str]:
    """Return the text files of a forecast by name."""
    document = forecast_document(forecast, outcomes)
    tables = forecast_tables(forecast, outcomes)
    return {
        **{f"{name}.csv": csv_text(table) for name, table in tables.items()},
        "columns.json": dictionary_text(tables),
        "forecast.json": json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "report.md": forecast_report(document),
    }


def job_lines(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of jobs, for people."""
    header = ["job", "target", "P10", "P50", "P80", "P90", "slip P50 [P10, P90]", "meets target"]
    runs = document["replicas"]
    unfinished = any(job["finished_before_horizon"] < runs for job in document["jobs"])
    rows = []
    for job in document["jobs"]:
        rows.append(
            [
                job["name"],
                job["target_date"] or "none",
                *(bound(job, name, job["finish_date"][name]) for name in ("p10", "p50", "p80", "p90")),
                _slip(job),
                chance_text(job),
                *([f"{job['finished_before_horizon']} of {runs}"] if unfinished else ()),
            ]
        )
    return [*header, *(["finished"] if unfinished else ())], rows


def _slip(job: Mapping[str, Any]) -> str:
    slip = job["slip_days"]
    if slip is None:
        return ""
    low, middle, high = (bound(job, name, _days(slip[name])) for name in ("p10", "p50", "p90"))
    return f"{middle} [{low}, {high}]"


def _days(value: float | None) -> str | None:
    return None if value is None else f"{value:+.1f} d"


def forecast_report(document: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    header, rows = job_lines(document)
    lines = [
        f"# Forecast: {_escape(document['title'])}",
        "",
        f"{document['replicas']} replicas from seed {document['seed']}, case {document['case']}, "
        f"assumptions {document['assumptions']}; {document['failed']} failed.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
        *("| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows),
        "",
        "Dates are the end of what each target means (without a target: of the whole job). P10, P50, P80, P90: in "
        "10, 50, 80, 90 % of the replicas the job is done by then; a replica in which it was not done at the "
        "horizon counts with its projected end (>=: a lower bound), and as a miss of a target that lay before the "
        "horizon. In brackets after the share: its 95 % Wilson interval.",
        *(f"\n{_escape(text)}." for text in cautions(document)),
    ]  # fmt: skip
    if document["assumptions"] == "sampled":
        lines += ["", "draws.csv has the values drawn for each replica, and the command that plays it alone."]
    lines += _driver_lines(document)
    if document["errors"]:
        lines += ["", "## Failed replicas", "", *(f"* {_escape(text)}" for text in document["errors"])]
    return "\n".join(lines) + "\n"


def _driver_lines(document: Mapping[str, Any]) -> list[str]:
    if document["assumptions"] == "fixed":
        return [
            "",
            "The spread comes from failures and placement alone: assumptions were the same in all replicas.",
        ]
    lines = ["", "## What drives the spread", ""]
    lines += [
        "Share: first-order Sobol index, the part of the variance that would go away if this were known. What "
        "chance alone may give with so few replicas is left out.",
        "",
    ]
    for job in document["jobs"]:
        sure = [driver for driver in job["drivers"] if driver["beyond_chance"]]
        lines.append(f"* **{_escape(job['name'])}**: {'; '.join(map(_driver, sure[:4])) or NO_DRIVER}")
    return lines


def _driver(driver: Mapping[str, Any]) -> str:
    index, correlation = driver["first_order_index"], driver["rank_correlation"]
    share = "" if index is None else f", share {index:.0%}"
    rank = "?" if correlation is None else f"{correlation:+.2f}"
    return f"{_escape(driver['name'])} (rank correlation {rank}{share})"


def _escape(text: str) -> str:
    flat = " ".join(str(text).split())
    return "".join(f"\\{c}" if c in "|*_`<>[]#" else c for c in flat)
