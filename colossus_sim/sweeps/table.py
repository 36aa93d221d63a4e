"""The tables of a sweep: one row per run, and one row per point and measure; with their column dictionary."""

from __future__ import annotations

import functools
import io
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from colossus_sim.results.files import check_parquet, output_errors
from colossus_sim.results.spreadsheets import neutralised
from colossus_sim.sweeps.cut_off import is_cut_off
from colossus_sim.sweeps.measure import describe_measure
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.statistics import Mean, mean_interval, paired_difference
from colossus_sim.sweeps.task import Outcome

Cell = str | int | float
Row = tuple[Cell, ...]
Content = str | bytes | Iterable[str]
"""Content of a file: as a whole, or piece by piece."""


class Column(NamedTuple):
    """One column of a table of a sweep."""

    name: str
    unit: str
    meaning: str


class Rows:
    """Rows that are made anew each time they are walked, so that a long table is never in memory as a whole."""

    def __init__(self, make: Callable[[], Iterator[Row]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Row]:
        """Make the rows."""
        return self._make()


class SweepTable(NamedTuple):
    """Columns and rows."""

    columns: tuple[Column, ...]
    rows: Rows | tuple[Row, ...]

    def column(self, name: str) -> list[Cell]:
        """Return the cells of one column."""
        place = [column.name for column in self.columns].index(name)
        return [row[place] for row in self.rows]


_RUN = (
    Column("point", "count", "number of the point, from 0"),
    Column("replica", "count", "number of the run at this point, from 0"),
    Column("seed", "count", "root seed; repeat the run with run --seed and what its point sets (of a forecast "
           "with drawn assumptions: the command in draws.csv)"),
    Column("status", "text", "done or failed"),
    Column("error", "text", "why it failed"),
)  # fmt: skip
_SUMMARY = (
    Column("point", "count", "number of the point, from 0"),
    Column("measure", "text", "what was measured"),
    Column("unit", "text", "its unit"),
    Column("runs", "count", "runs with a value"),
    Column("unfinished", "count", "runs that the horizon cut off before what is measured had ended: what only "
           "grows (times, ends, sums) counts with what it is at least, a ratio with what it was until then; of all "
           "runs of the point, so those without a value, which are not in runs and mean, are among them"),
    Column("mean", "unit of the row", "mean of the runs; empty if in one of them a job never ends"),
    Column("sd", "unit of the row", "standard deviation of the runs"),
    Column("ci_half_width", "unit of the row", "half of the 95 % t interval of the mean"),
    Column("difference", "unit of the row", "mean difference to point 0, run by run (with the same seeds, unless "
           "these are told to differ); rests on incomplete values where either point has unfinished runs"),
    Column("difference_ci_half_width", "unit of the row", "half of its 95 % t interval"),
)  # fmt: skip


def measures_of(outcomes: Mapping[int, Outcome]) -> list[str]:
    """Return the names of all measures, in order of the runs."""
    return list(dict.fromkeys(name for index in sorted(outcomes) for name in outcomes[index].values))


def run_table(plan: Plan, outcomes: Mapping[int, Outcome]) -> SweepTable:
    """Return one row per run that is there, in order of point and replica."""
    parameters, measures = plan.parameters, measures_of(outcomes)
    columns = (
        *_RUN[:3],
        *(Column(name, "text", "value of the field at this point") for name in parameters),
        *_RUN[3:],
        *(Column(name, *describe_measure(name)) for name in measures),
    )

    def rows() -> Iterator[Row]:
        for task in plan.each_task():
            outcome = outcomes.get(task.index)
            if outcome is None:
                continue
            values = plan.points[task.point].values
            yield (
                task.point,
                task.replica,
                task.seed,
                *(values.get(name, "") for name in parameters),
                outcome.status,
                outcome.error,
                *(outcome.values.get(name, math.nan) for name in measures),
            )

    return SweepTable(columns, Rows(rows))


def replicas_of(plan: Plan, outcomes: Mapping[int, Outcome], point: int, measure: str) -> list[float]:
    """Return a measure of every replica of a point, NaN for those that are not there."""
    first = point * plan.replicas
    values = []
    for index in range(first, first + plan.replicas):
        outcome = outcomes.get(index)
        values.append(math.nan if outcome is None else outcome.values.get(measure, math.nan))
    return values


def unfinished_runs(plan: Plan, outcomes: Mapping[int, Outcome], point: int, measure: str) -> int:
    """Return how many runs of a point the horizon cut off before what is measured had ended."""
    first = point * plan.replicas
    found = (outcomes.get(index) for index in range(first, first + plan.replicas))
    return sum(1 for item in found if item is not None and is_cut_off(measure, item.values))


def summary_table(
    plan: Plan, outcomes: Mapping[int, Outcome], only: Collection[str] | None = None
) -> SweepTable:
    """Return mean, spread, interval and difference to the first point, per point and measure (or some of them)."""
    parameters = plan.parameters
    columns = (
        _SUMMARY[0],
        *(Column(name, "text", "value of the field at this point") for name in parameters),
        *_SUMMARY[1:],
    )
    measures = (
        measures_of(outcomes) if only is None else [name for name in measures_of(outcomes) if name in only]
    )
    base = {name: replicas_of(plan, outcomes, 0, name) for name in measures}
    units = {name: describe_measure(name)[0] for name in measures}

    def rows() -> Iterator[Row]:
        for number, point in enumerate(plan.points):
            settings = tuple(point.values.get(name, "") for name in parameters)
            for name in measures:
                values = replicas_of(plan, outcomes, number, name)
                own, change = mean_interval(values), paired_difference(values, base[name])
                cut = unfinished_runs(plan, outcomes, number, name)
                yield (number, *settings, name, units[name], own.count, cut, *_numbers(own, change))

    return SweepTable(columns, Rows(rows))


def _numbers(own: Mean, change: Mean) -> tuple[float, ...]:
    return own.mean, own.sd, own.half_width, change.mean, change.half_width


def csv_text(table: SweepTable) -> str:
    """Return a table as CSV: texts quoted and harmless to spreadsheets, undefined numbers empty."""
    return "".join(csv_lines(table))


def csv_lines(table: SweepTable) -> Iterator[str]:
    """Yield the lines of `csv_text`, each with its end."""
    yield ",".join(_cell(column.name) for column in table.columns) + "\n"
    for row in table.rows:
        yield ",".join(map(_cell, row)) + "\n"


def _cell(value: Cell) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return _quoted(value) if isinstance(value, str) else str(value)


@functools.lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    # Names of measures and values of fields come again in every row.
    doubled = neutralised(text).replace('"', '""')
    return f'"{doubled}"'


def dictionary(tables: Mapping[str, SweepTable]) -> dict[str, Any]:
    """Return name, unit and meaning of every column of every table."""
    return {
        "schema_version": 1,
        "tables": {name: [column._asdict() for column in table.columns] for name, table in tables.items()},
    }


def write_files(folder: Path, files: Mapping[str, Content]) -> None:
    """Write files aside, wait until they are on disk, and give them their names: each is old or new, never mixed.

    Raises
    ------
    OutputError
        If one cannot be written; none has its new name then.
    """
    parts: list[tuple[Path, Path]] = []
    try:
        with output_errors(str(folder)):
            for name, content in files.items():
                part = folder / f".{name}.part"
                parts.append((part, folder / name))
                part.unlink(missing_ok=True)
                with part.open("xb") as handle:
                    if isinstance(content, bytes):
                        handle.write(content)
                    else:
                        pieces = (content,) if isinstance(content, str) else content
                        handle.writelines(piece.encode() for piece in pieces)
                    handle.flush()
                    os.fsync(handle.fileno())
            for part, target in parts:
                part.replace(target)
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)


def table_files(tables: Mapping[str, SweepTable]) -> dict[str, Content]:
    """Return the files of some tables: a CSV each, as lines to be written once, and the column dictionary."""
    files: dict[str, Content] = {f"{name}.csv": csv_lines(table) for name, table in tables.items()}
    return {**files, "columns.json": dictionary_text(tables)}


def dictionary_text(tables: Mapping[str, SweepTable]) -> str:
    """Return the column dictionary as JSON."""
    return json.dumps(dictionary(tables), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parquet_bytes(table: SweepTable) -> bytes:
    """Return a table as Parquet.

    Raises
    ------
    UsageError
        If pyarrow is not installed.
    """
    import pandas as pd

    check_parquet()
    frame = pd.DataFrame({column.name: table.column(column.name) for column in table.columns})
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()
