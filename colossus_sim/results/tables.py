"""Rows of a run as pandas tables with units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from colossus_sim.records import (
    CAUSES,
    GPU_STATES,
    EventRow,
    GpuTimeRow,
    IntervalRow,
    LevelRow,
    RunResult,
)
from colossus_sim.results.assumptions import assumption_rows
from colossus_sim.results.columns import COLUMNS, Column
from colossus_sim.results.daily import daily_rows
from colossus_sim.results.estimate_tables import communication_rows, memory_rows, step_time_rows
from colossus_sim.results.jobs_table import job_rows
from colossus_sim.results.ledger import Ledger, build_ledger
from colossus_sim.results.slip import GROUPS
from colossus_sim.units import DAY, HOUR

Row = Mapping[str, Any]
Data = Mapping[str, Any]
"""Values (a sequence or an array) by column."""


def build_tables(run: RunResult, ledger: Ledger | None = None) -> Mapping[str, pd.DataFrame]:
    """Return every table of `results.columns.COLUMNS`, with units and meanings in ``.attrs``.

    ``frame.attrs`` holds ``units`` and ``meanings`` (column -> text), ``table`` (its name), ``start`` (POSIX
    seconds of the scenario's start) and ``scenario`` (its name).

    Raises
    ------
    SimulationError
        If GPU time or slip does not add up.
    """
    ledger = build_ledger(run) if ledger is None else ledger
    # The long tables are built by column, the short ones by row.
    data: dict[str, Data] = {
        "intervals": _interval_data(run),
        "gpu_time": _gpu_time_data(run),
        "utilization": _level_data(run),
        "events": _event_data(run),
    }
    rows: dict[str, Sequence[Row]] = {
        "jobs": job_rows(ledger),
        "phases": _phase_rows(ledger),
        "utilization_daily": daily_rows(run),
        "slip": _slip_rows(ledger),
        "critical_path": _path_rows(ledger),
        "accounting": _accounting_rows(ledger),
        "assumptions": assumption_rows(run.scenario),
        "step_time": step_time_rows(run.estimates),
        "memory": memory_rows(run.estimates),
        "communication": communication_rows(run.estimates),
    }
    for name, group in rows.items():
        data[name] = _by_column(name, group)
    return {
        name: make_table(name, data[name], start=run.scenario.start, scenario=run.scenario.name)
        for name in COLUMNS
    }


def _by_column(name: str, rows: Sequence[Row]) -> Data:
    wanted = [column.name for column in COLUMNS[name] if not _is_derived(name, column)]
    return {column: [row[column] for row in rows] for column in wanted}


def _seconds_of(column: Column) -> str:
    return column.name.removesuffix("_date") + "_s"


def _is_derived(name: str, column: Column) -> bool:
    return column.unit == "date" and any(other.name == _seconds_of(column) for other in COLUMNS[name])


def make_table(name: str, data: Data, *, start: float, scenario: str) -> pd.DataFrame:
    """Return one table with typed columns and its dictionary in ``.attrs``.

    ``*_date`` columns are filled from the ``*_s`` column of the same name where there is one.
    """
    arrays: dict[str, Any] = {}
    for column in COLUMNS[name]:
        if _is_derived(name, column):
            arrays[column.name] = _dates(arrays[_seconds_of(column)], start)
        else:
            arrays[column.name] = typed(data[column.name], column)
    return with_attributes(pd.DataFrame(arrays), name, start=start, scenario=scenario)


def with_attributes(frame: pd.DataFrame, name: str, *, start: float, scenario: str) -> pd.DataFrame:
    """Attach name, units, meanings and start to a table and return it."""
    columns = COLUMNS[name]
    frame.attrs = {
        "table": name,
        "scenario": scenario,
        "start": start,
        "units": {column.name: column.unit for column in columns},
        "meanings": {column.name: column.meaning for column in columns},
    }
    return frame


def typed(values: Sequence[Any], column: Column) -> Any:
    """Return the values of a column as the array that a table holds."""
    if column.unit in ("text", "date"):
        return pd.Series(values, dtype="object")
    if column.unit == "bool":
        return np.array(values, dtype=np.bool_)
    # None becomes NaN.
    numbers = np.array(values, dtype=np.float64)
    # Whole numbers beyond the integers of 64 bits, and gaps, stay floats.
    whole = (numbers == np.round(numbers)) & (np.abs(numbers) < 2.0**63)
    if column.unit == "count" and bool(np.all(whole)):
        return numbers.astype(np.int64)
    return numbers


def _dates(seconds: Any, start: float) -> Any:
    """Return ISO 8601 texts, rounded to the second like `format_instant`; empty for NaN."""
    known = np.isfinite(seconds)
    texts = np.full(len(seconds), "", dtype=object)
    posix = np.round(start + seconds[known]).astype(np.int64).astype("datetime64[s]")
    texts[known] = [f"{text}Z" for text in np.datetime_as_string(posix)]
    return pd.Series(texts, dtype="object")


def _fields(rows: Sequence[Any], kind: Any) -> dict[str, Any]:
    """Return named tuples by field."""
    if not rows:
        return dict.fromkeys(kind._fields, ())
    return dict(zip(kind._fields, zip(*rows, strict=True), strict=True))


def _interval_data(run: RunResult) -> Data:
    fields = _fields(run.intervals, IntervalRow)
    spent = np.array(fields["causes"], dtype=np.float64).reshape(-1, len(CAUSES))
    causes = {f"{cause}_s": spent[:, index] for index, cause in enumerate(CAUSES)}
    return {**fields, "start_s": fields["start"], "end_s": fields["end"], **causes}


def _gpu_time_data(run: RunResult) -> Data:
    fields = _fields(run.gpu_time, GpuTimeRow)
    spent = np.array(fields["seconds"], dtype=np.float64).reshape(-1, len(GPU_STATES))
    states = {f"{state}_gpu_s": spent[:, index] for index, state in enumerate(GPU_STATES)}
    return {
        **fields,
        "start_s": fields["start"],
        "end_s": fields["end"],
        **states,
        "full_power_gpu_s": fields["full_power"],
    }


def _level_data(run: RunResult) -> Data:
    fields = _fields(changed_levels(run.levels), LevelRow)
    return {
        **fields,
        "time_s": fields["time"],
        "power_MW": np.array(fields["power"], dtype=np.float64) / 1e6,
    }


def changed_levels(levels: Sequence[LevelRow]) -> list[LevelRow]:
    """Return the levels that lasted and said something new; the step function is the same."""
    latest: dict[tuple[str, str], int] = {}
    kept: list[LevelRow | None] = []
    for row in levels:
        place = latest.get((row.site, row.partition))
        before = None if place is None else kept[place]
        if place is not None and before is not None:
            if before[1:] == row[1:]:
                continue
            if before.time == row.time:
                kept[place] = None
        latest[row.site, row.partition] = len(kept)
        kept.append(row)
    return [row for row in kept if row is not None]


def _event_data(run: RunResult) -> Data:
    fields = _fields(run.events, EventRow)
    return {**fields, "time_s": fields["time"]}


def _phase_rows(ledger: Ledger) -> list[Row]:
    rows: list[Row] = []
    for job in ledger.jobs.values():
        critical = {segment.phase for segment in job.slip.path}
        for row in job.phases:
            end = job.end_time if math.isnan(row.end) else row.end
            rows.append(
                {
                    **row._asdict(),
                    "title": job.spec.phases[row.phase].title,
                    "ready_s": row.ready,
                    "start_s": row.start,
                    "end_s": row.end,
                    "finished": not math.isnan(row.end),
                    "on_critical_path": row.phase in critical,
                    "unit_time_s": row.unit_time,
                    "planned_unit_time_s": row.planned_unit_time,
                    "mfu_modelled": row.mfu if row.mfu > 0.0 else math.nan,
                    "peak_TFLOPs": row.peak / 1e12 if row.peak > 0.0 else math.nan,
                    "wall_clock_days": (end - row.start) / DAY,
                }
            )
    return rows


def _slip_rows(ledger: Ledger) -> list[Row]:
    group_of = {cause: group for group, members in GROUPS.items() for cause in members}
    return [
        {
            "job": name,
            "cause": cause,
            "group": group_of[cause],
            "slip_s": seconds,
            "slip_days": seconds / DAY,
        }
        for name, job in ledger.jobs.items()
        for cause, seconds in job.slip.causes.items()
    ]


def _path_rows(ledger: Ledger) -> list[Row]:
    return [
        {"job": name, "phase": segment.phase, "start_s": segment.start, "end_s": segment.end}
        for name, job in ledger.jobs.items()
        for segment in job.slip.path
    ]


def _accounting_rows(ledger: Ledger) -> list[Row]:
    rows: list[Row] = []
    for (site, partition, job), seconds in ledger.gpu_seconds.items():
        capacity = ledger.capacity.get((site, partition), 0.0)
        for state, value in zip(GPU_STATES, seconds, strict=True):
            if value:
                rows.append(
                    {
                        "site": site,
                        "partition": partition,
                        "job": job,
                        "state": state,
                        "gpu_hours": float(value) / HOUR,
                        "share_of_capacity": float(value) / capacity if capacity > 0.0 else math.nan,
                    }
                )
    return rows
