"""Where every GPU-hour went: 100 % stacked bars for the cluster, its partitions, and each job."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from colossus_sim.plots.header import run_span, run_title, write_header
from colossus_sim.plots.series import column
from colossus_sim.plots.stacked import (
    MOST_ROWS,
    draw_parts,
    parts_legend,
    rows_figure,
    share_axis,
    used,
    write_shares,
)
from colossus_sim.plots.style import gpu_state_look, theme, themed


@themed
def draw_accounting(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return shares of GPU-time by state: of what is installed (cluster), and of what it was given (job)."""
    labels, hours, part = accounting_rows(result)
    colours = gpu_state_look(dark)
    totals = [sum(row.values()) for row in hours]
    parts = [
        {state: value / total for state, value in row.items()} if total > 0 else {}
        for row, total in zip(hours, totals, strict=True)
    ]
    names = used(parts, colours)
    figure, axes, row = rows_figure(labels, legend_lines=1 + (len(names) - 1) // 7)
    head = f"{run_title(result)}: where every GPU-hour went" if title is None else title
    write_header(figure, head, part + run_span(result), dark=dark)
    look = {name: colours[name] for name in names}
    draw_parts(axes, parts, look, dark=dark)
    write_shares(axes, parts, look, row=row, dark=dark)
    share_axis(axes)
    axes.set_xlabel("Share of GPU-time: installed (cluster and partitions), given to the job (jobs) [%]")
    for number, total in enumerate(totals):
        axes.text(1.01, number + 0.5, f"{large_number(total)} GPU-h", size=8.0, va="center_baseline",
                  color=theme(dark).muted)  # fmt: skip
    if not labels:
        axes.text(0.5, 0.5, "no GPU-time", ha="center", va="center", color=theme(dark).muted)
    parts_legend(figure, names, look, dark=dark)
    return figure


def large_number(value: float) -> str:
    """Return a number with three digits and k, M or B (10**9), as GPU-hours are usually given."""
    for scale, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{letter}"
    return f"{value:.3g}"


def accounting_rows(result: Any) -> tuple[list[str], list[dict[str, float]], str]:
    """Return labels and GPU-hours by state: cluster, partitions (if several), jobs; and a note."""
    table = result.tables["accounting"]
    if not len(table):
        return [], [], ""
    labels, rows = ["Whole cluster"], [_by_state(table)]
    places = list(table.groupby(["site", "partition"], sort=False))
    for (site, partition), part in places if len(places) > 1 else ():
        labels.append(f"{site} / {partition}")
        rows.append(_by_state(part))
    owned = table[table["job"].fillna("") != ""]
    by_job = dict(tuple(owned.groupby("job", sort=False)))
    jobs: list[tuple[str, dict[str, float]]] = []
    for name, text in zip(result.tables["jobs"]["job"], result.tables["jobs"]["title"], strict=True):
        if name in by_job:
            label = str(text) if not pd.isna(text) and str(text) else str(name)
            jobs.append((label, _by_state(by_job[name])))
    shown, note = _largest(jobs)
    return [*labels, *(label for label, _ in shown)], [*rows, *(hours for _, hours in shown)], note


def _largest(
    jobs: list[tuple[str, dict[str, float]]],
) -> tuple[list[tuple[str, dict[str, float]]], str]:
    """Return the jobs; of many those with most GPU-hours, the others as one row, and a note on it."""
    if len(jobs) <= MOST_ROWS:
        return jobs, ""
    ordered = sorted(jobs, key=lambda job: -sum(job[1].values()))
    rest: dict[str, float] = {}
    for _, hours in ordered[MOST_ROWS - 1 :]:
        for state, value in hours.items():
            rest[state] = rest.get(state, 0.0) + value
    others = f"{len(jobs) - MOST_ROWS + 1:,} other jobs"
    return [*ordered[: MOST_ROWS - 1], (others, rest)], f"the jobs with most GPU-hours of {len(jobs):,}; "


def _by_state(table: pd.DataFrame) -> dict[str, float]:
    sums: dict[str, float] = {}
    for state, hours in zip(table["state"].astype(str), column(table, "gpu_hours").tolist(), strict=True):
        sums[state] = sums.get(state, 0.0) + hours
    return sums
