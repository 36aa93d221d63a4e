"""The report of a run: what was asked, what came out, why, and what it rests on."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from colossus_sim.results.columns import CAUSE_MEANING, STATE_MEANING
from colossus_sim.results.comparisons import backtest_section, published_section
from colossus_sim.results.document import Section, Table, render_markdown, render_text
from colossus_sim.results.job_words import finish_text, job_sentence, slip_text
from colossus_sim.results.metrics import CLUSTER_METRICS, METRICS
from colossus_sim.results.slip import GROUPS
from colossus_sim.results.words import NONE, day, number, percent, signed
from colossus_sim.units import format_duration

Data = Mapping[str, Any]
Tables = Mapping[str, pd.DataFrame]
_MOST_WARNINGS = 10
"""Warnings that a terminal shows after a run."""


def markdown_report(summary: Data, tables: Tables, manifest: Data) -> str:
    """Return the whole report as Markdown."""
    return render_markdown(_title(summary), all_sections(summary, tables, manifest))


def text_report(summary: Data, tables: Tables, manifest: Data) -> str:
    """Return the whole report as plain text."""
    return render_text(_title(summary), all_sections(summary, tables, manifest))


def short_report(summary: Data) -> str:
    """Return what a terminal shows after a run: jobs, slip, cluster."""
    return render_text(_title(summary), short_sections(summary))


def short_sections(summary: Data) -> list[Section]:
    """Return the sections that a terminal shows after a run."""
    sections = [
        jobs_section(summary),
        slip_section(summary),
        cluster_section(summary),
        published_section(summary),
        Section(title="Warnings", points=_first_warnings(summary["warnings"])),
    ]
    return [section for section in sections if section.points or _filled(section)]


def _first_warnings(warnings: Sequence[str]) -> tuple[str, ...]:
    """Return as many warnings as a terminal has room for, and how many the report has beside them."""
    if len(warnings) <= _MOST_WARNINGS:
        return tuple(warnings)
    more = f"... and {len(warnings) - _MOST_WARNINGS + 1} more warnings, in report.md"
    return (*warnings[: _MOST_WARNINGS - 1], more)


def all_sections(summary: Data, tables: Tables, manifest: Data) -> list[Section]:
    """Return every section in reading order."""
    sections = [
        asked_section(summary),
        jobs_section(summary),
        Section(title="In words", points=tuple(job_sentence(job) for job in summary["jobs"])),
        slip_section(summary),
        phases_section(summary),
        cluster_section(summary),
        monthly_section(tables["utilization_daily"]),
        accounting_section(summary),
        failures_section(summary),
        loss_section(summary),
        backtest_section(summary),
        published_section(summary),
        ranges_section(tables["assumptions"]),
        sources_section(tables["assumptions"]),
        Section(title="Warnings", points=tuple(summary["warnings"])),
        definitions_section(),
        Section(title="What is not modelled", points=not_modelled()),
        reproduce_section(summary, manifest),
    ]
    return [section for section in sections if section.points or section.paragraphs or _filled(section)]


def _filled(section: Section) -> bool:
    return bool(section.code) or (section.table is not None and bool(section.table.rows))


def _title(summary: Data) -> str:
    return f"{summary['title']} ({summary['scenario']})"


def asked_section(summary: Data) -> Section:
    """Say what was asked and what was run."""
    ran = (
        f"Simulated {day(summary['start_date'])} to {day(summary['end_date'])} "
        f"({number(summary['cluster']['simulated_days'], 1)} days), seed {summary['seed']}, "
        f"{summary['case']} case of the assumptions. Dates are UTC. One run is one draw of the failures: "
        "other seeds give other dates."
    )
    question = summary["question"].strip()
    return Section(title="Question", paragraphs=(question, ran) if question else (ran,))


def jobs_section(summary: Data) -> Section:
    """Show the headline of each job."""
    header = (
        "job", "GPUs", "start", "finish", "target", "slip", "wall-clock", "queued", "MFU", "goodput", "ETTR",
        "stops", "energy", "MFU's peak",
    )  # fmt: skip
    rows = tuple(
        (
            job["name"],
            f"{job['gpus']:,}",
            day(job["start_date"]),
            finish_text(job),
            day(job["target_date"]),
            slip_text(job),
            f"{number(job['wall_clock_days'], 1)} d",
            f"{number(job['queue_wait_days'], 1)} d",
            percent(job["mfu"]),
            percent(job["goodput"]),
            percent(job["ettr"]),
            number(job["interruptions"], 0),
            f"{number(job['energy_MWh'], 0)} MWh",
            job["mfu_peak"] or NONE,
        )
        for job in summary["jobs"]
    )
    return Section(title="Jobs", table=Table(header=header, rows=rows, right=(1, *range(5, 13))))


def phases_section(summary: Data) -> Section:
    """Show start and end of each phase."""
    header = (
        "job", "phase", "GPUs", "start", "end", "days", "done", "of units", "unit time", "MFU alone", "stops",
        "critical",
    )  # fmt: skip
    rows = tuple(
        (
            job["name"],
            phase["name"],
            f"{phase['gpus']:,}",
            day(phase["start"]),
            day(phase["end"]) if phase["finished"] else "not finished",
            number(phase["wall_clock_days"], 1),
            f"{number(phase['units_done'], 0)}",
            f"{number(phase['units'], 0)}",
            NONE if phase["unit_time_s"] is None else format_duration(phase["unit_time_s"]),
            percent(phase["mfu_modelled"]),
            f"{phase['interruptions']:,}",
            "yes" if phase["on_critical_path"] else "",
        )
        for job in summary["jobs"]
        for phase in job["phases"]
    )
    about = "Units are training steps, RL updates, or units of other work; their time is alone and healthy."
    return Section(
        title="Phases",
        paragraphs=(about,),
        table=Table(header=header, rows=rows, right=(2, 5, 6, 7, 8, 9, 10)),
    )


def slip_section(summary: Data) -> Section:
    """Show slip by group of causes, in days; rows add up."""
    jobs = [job for job in summary["jobs"] if job["slip_days"] is not None]
    used = [name for name in GROUPS if any(abs(job["slip_groups"][name]) >= 0.005 for job in jobs)]
    rows = tuple(
        (job["name"], slip_text(job), *(signed(job["slip_groups"][name], unit="") for name in used))
        for job in jobs
    )
    about = (
        "Days along the critical path of each job, from submission to the end that the target means; "
        "the causes add up to the slip. 'plan against target' is the plan's own work minus the time that the "
        "target left: positive where the target was tighter than the plan."
    )
    return Section(
        title="Slip by cause [days]",
        paragraphs=(about,) if rows else (),
        table=Table(
            header=("job", "slip", *used), rows=rows, right=tuple(range(1, len(used) + 2))
        ) if rows else None,
    )  # fmt: skip


def cluster_section(summary: Data) -> Section:
    """Show the cluster's utilization, power and queue."""
    cluster = summary["cluster"]
    points = (
        f"capacity {number(cluster['capacity_gpu_days'], 0)} GPU-days: {percent(cluster['allocated'])} "
        f"allocated, {percent(cluster['busy'])} busy, {percent(cluster['productive'])} productive",
        f"energy {number(cluster['energy_MWh'], 0)} MWh, mean power {number(cluster['mean_power_MW'], 1)} MW, "
        f"peak {number(cluster['peak_power_MW'], 1)} MW (PUE included)",
        f"waits for GPUs: mean {number(cluster['mean_queue_wait_days'], 1)} days, longest "
        f"{number(cluster['max_queue_wait_days'], 1)} days",
        f"failures: {number(cluster['failures'], 0)}",
    )
    return Section(title="Cluster", points=points)


def monthly_section(daily: pd.DataFrame) -> Section:
    """Show utilization by month."""
    months: dict[str, list[Mapping[Any, Any]]] = {}
    for row in daily.to_dict("records"):
        if row["capacity_gpu_hours"] > 0.0:
            months.setdefault(row["day_date"][:7], []).append(row)
    rows = []
    for month, days in months.items():
        hours = math.fsum(row["capacity_gpu_hours"] for row in days)
        shares = (
            math.fsum(row[name] * row["capacity_gpu_hours"] for row in days) / hours
            for name in ("allocated", "busy", "productive", "fragmentation")
        )
        rows.append((month, number(hours / 24.0, 0), *(percent(share) for share in shares)))
    return Section(
        title="Utilization by month",
        table=Table(
            header=("month", "capacity [GPU-days]", "allocated", "busy", "productive", "fragmentation"),
            rows=tuple(rows),
            right=(1, 2, 3, 4, 5),
        ),
    )


def accounting_section(summary: Data) -> Section:
    """Show the one state of every GPU-second of capacity."""
    capacity = summary["cluster"]["capacity_gpu_days"] or 0.0
    shares: Data = summary["cluster"]["gpu_time_shares"]
    rows = tuple(
        (state, percent(shares[state], 2), number(shares[state] * capacity, 0), meaning)
        for state, meaning in STATE_MEANING.items()
        if shares.get(state)
    )
    total = (("sum", percent(sum(shares.values()), 2), number(capacity, 0), "installed capacity"),)
    return Section(
        title="Where the GPU-time went",
        table=Table(header=("state", "share", "GPU-days", "meaning"), rows=rows + total, right=(1, 2)),
    )


def failures_section(summary: Data) -> Section:
    """Show failures by class, and what they cost each job."""
    kinds: Mapping[str, int] = summary["cluster"]["failures_by_kind"]
    lost = tuple(
        f"{job['name']}: {number(job['interruptions'], 0)} interruptions, "
        f"{number(job['lost_work_days'], 2)} days of work done again, {number(job['saves'], 0)} checkpoints"
        for job in summary["jobs"]
        if job["interruptions"]
    )
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple((kind, f"{count:,}") for kind, count in ordered)
    return Section(
        title="Failures", points=lost, table=Table(header=("class", "failures"), rows=rows, right=(1,))
    )


def loss_section(summary: Data) -> Section:
    """Show the predicted pre-training losses."""
    rows = tuple(
        (
            job["name"],
            *(f"{job['predicted_loss'][end]:.3f}" for end in ("low", "central", "high")),
            job["predicted_loss"]["law"],
        )
        for job in summary["jobs"]
        if job["predicted_loss"] is not None
    )
    about = (
        "Extrapolated from published scaling laws (nats per token of the law's text); the interval runs from "
        "the total to the active parameter count. Only tokens kept in phases of this scenario count: a model that "
        "goes on from an earlier one has seen more. It is not a measure of what a model can do."
    )
    header = ("job", "low", "central", "high", "law")
    return Section(
        title="Predicted pre-training loss",
        paragraphs=(about,) if rows else (),
        table=Table(header=header, rows=rows, right=(1, 2, 3)),
    )


def ranges_section(assumptions: pd.DataFrame) -> Section:
    """Show the values that have a range."""
    ranged = assumptions[assumptions["kind"] == "scenario"]
    rows = _text_rows(ranged, ("path", "value", "low", "central", "high", "source"))
    about = "Run the low and high cases (--case low, --case high) to see the spread."
    header = ("field", "used", "low", "central", "high", "source")
    return Section(
        title="Assumptions with a range",
        paragraphs=(about,) if rows else (),
        table=Table(header=header, rows=rows),
    )


def sources_section(assumptions: pd.DataFrame) -> Section:
    """Show where the other inputs come from, pure assumptions first."""
    others = assumptions[assumptions["kind"] != "scenario"]
    guessed = others["kind"] == "assumption"
    ordered = pd.concat([others[guessed], others[~guessed]])
    rows = _text_rows(ordered, ("path", "value", "kind", "source"))
    return Section(
        title="Sources of the other inputs",
        table=Table(header=("field", "entry", "kind", "source"), rows=rows),
    )


def _text_rows(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(row[name]) for name in columns) for row in frame.to_dict("records"))


def definitions_section() -> Section:
    """Say how each metric and cause is defined."""
    rows = [(metric.name, metric.unit, metric.formula) for metric in METRICS.values()]
    rows += [(f"cluster {metric.name}", metric.unit, metric.formula) for metric in CLUSTER_METRICS.values()]
    rows += [(f"slip: {cause}", "days", text) for cause, text in CAUSE_MEANING.items() if cause != "planned"]
    return Section(title="Definitions", table=Table(header=("name", "unit", "formula"), rows=tuple(rows)))


def not_modelled() -> tuple[str, ...]:
    """Return what the simulator leaves out, one point each."""
    text = (files("colossus_sim.results") / "not_modelled.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


def reproduce_section(summary: Data, manifest: Data) -> Section:
    """Give the command that makes the same bytes again."""
    about = (
        f"Version {manifest['version']} (model version {summary['model_version']}), seed {summary['seed']}, "
        f"case {summary['case']}. The same version, scenario and seed give the same results."
    )
    notes = (manifest["note"],) if manifest.get("note") else ()
    return Section(title="How to reproduce", paragraphs=(about, *notes), code=manifest["command"])


def command_line(source: str, overrides: Sequence[str], *, seed: int, case: str) -> str:
    """Return the shell command of a run."""
    words = ["colossus-sim", "run", source, "--seed", str(seed), "--case", case]
    for override in overrides:
        words += ["--set", override]
    return shlex.join(words)
