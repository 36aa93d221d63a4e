"""What ``sweep`` prints in the end: means, intervals and paired differences, and what was cut off."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colossus_sim.cli.common import Settings, echo, echo_json, text_table

if TYPE_CHECKING:
    from colossus_sim.sweeps.plan import Plan
    from colossus_sim.sweeps.task import Outcome

MAX_ROWS = 40
"""Rows of the table on standard output; all are in points.csv."""


def show(
    folder: Path,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    measures: tuple[str, ...],
    settings: Settings,
) -> None:
    """Show means, intervals and paired differences."""
    from colossus_sim.results.words import OPEN_MARKS
    from colossus_sim.sweeps.table import summary_table

    failed = sum(1 for item in outcomes.values() if item.status == "failed")
    table = summary_table(plan, outcomes, measures)
    names = [column.name for column in table.columns]
    wanted = [dict(zip(names, row, strict=True)) for row in table.rows]
    if settings.json:
        rows = [{key: _jsonable(value) for key, value in row.items()} for row in wanted]
        echo_json(
            {
                "schema_version": 1,
                "folder": str(folder),
                "runs": len(outcomes),
                "failed": failed,
                "rows": rows,
            }
        )
        return
    if settings.quiet:
        return
    parameters = plan.parameters
    cut = {(int(row["point"]), str(row["measure"])) for row in wanted if row["unfinished"]}
    header = ["point", *parameters, "measure", "runs", *(["unfinished"] if cut else ()), "mean", "+-", "difference",
              "+-"]  # fmt: skip
    cells = [_cells(row, parameters, cut) for row in wanted[:MAX_ROWS]]
    echo(text_table(header, cells, right=range(1 + len(parameters) + 1, len(header))))
    if cut:
        echo(OPEN_MARKS)
    if len(wanted) > MAX_ROWS:
        echo(f"... and {len(wanted) - MAX_ROWS} more rows in points.csv")
    first = next((item.error for item in outcomes.values() if item.error), "")
    if failed:
        echo(f"\n{failed} of {len(outcomes)} runs failed, e.g.: {first.splitlines()[0] if first else ''}")
    echo(f"\nwrote {folder}: results.csv (every run), points.csv (means, 95 % intervals, paired differences)")
    echo(f"as one interactive page: colossus-sim report {folder}")


def _cells(row: Mapping[str, Any], parameters: Sequence[str], cut: Collection[tuple[int, str]]) -> list[str]:
    """Return a row of the table; `cut` are the points and measures that the horizon cut off."""
    from colossus_sim.results.words import open_mark
    from colossus_sim.sweeps.cut_off import grows

    name = row["measure"]
    bound = "" if row["mean"] == math.inf else open_mark(row["unfinished"], grows=grows(name))
    rests = row["point"] and not {(row["point"], name), (0, name)}.isdisjoint(cut)
    vague = "~ " if rests and row["difference"] != math.inf else ""
    keys = ("ci_half_width", "difference", "difference_ci_half_width")
    half, change, half_of_change = (_cell(row[key]) for key in keys)
    return [
        *(_cell(row[key]) for key in ("point", *parameters, "measure", "runs")),
        *([_cell(row["unfinished"])] if cut else ()),
        bound + _cell(row["mean"]), half, vague + change if change else "", half_of_change,
    ]  # fmt: skip


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else "never" if value == math.inf else f"{value:.4g}"
    return str(value)


def _jsonable(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
