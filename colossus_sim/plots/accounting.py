"""Where every GPU-hour went: 100 % stacked bars for the cluster, its partitions, and each job."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from colossus_sim.plots.header import run_span, run_title, write_header
from colossus_sim.plots.series import column
from colossus_sim.plots.stacked import draw_parts, parts_legend, rows_figure, share_axis, used, write_shares
from colossus_sim.plots.style import GPU_STATE_COLOURS, theme, themed
from colossus_sim.units import format_si


@themed
def draw_accounting(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return shares of GPU-time by state: of what is installed (cluster), and of what it was given (job)."""
    labels, hours = _rows(result)
    totals = [sum(row.values()) for row in hours]
    parts = [
        {state: value / total for state, value in row.items()} if total > 0 else {}
        for row, total in zip(hours, totals, strict=True)
    ]
    names = used(parts, GPU_STATE_COLOURS)
    figure, axes, row = rows_figure(labels, legend_lines=1 + (len(names) - 1) // 7)
    head = f"{run_title(result)}: where every GPU-hour went" if title is None else title
    write_header(figure, head, run_span(result), dark=dark)
    look = {name: GPU_STATE_COLOURS[name] for name in names}
    draw_parts(axes, parts, look, dark=dark)
    write_shares(axes, parts, look, row=row)
    share_axis(axes)
    axes.set_xlabel("Share of GPU-time: installed (cluster and partitions), given to the job (jobs) [%]")
    for number, total in enumerate(totals):
        axes.text(1.01, number + 0.5, f"{format_si(total, '').strip()} GPU-h", size=8.0, va="center_baseline",
                  color=theme(dark).muted)  # fmt: skip
    if not labels:
        axes.text(0.5, 0.5, "no GPU-time", ha="center", va="center", color=theme(dark).muted)
    parts_legend(figure, names, look, dark=dark)
    return figure


def _rows(result: Any) -> tuple[list[str], list[dict[str, float]]]:
    """Labels and GPU-hours by state: cluster, partitions (if there are several), jobs."""
    table = result.tables["accounting"]
    if not len(table):
        return [], []
    labels, rows = ["Whole cluster"], [_by_state(table)]
    places = list(table.groupby(["site", "partition"], sort=False))
    for (site, partition), part in places if len(places) > 1 else ():
        labels.append(f"{site} / {partition}")
        rows.append(_by_state(part))
    owned = table[table["job"].fillna("") != ""]
    jobs = dict(tuple(owned.groupby("job", sort=False)))
    for name, text in zip(result.tables["jobs"]["job"], result.tables["jobs"]["title"], strict=True):
        if name in jobs:
            labels.append(str(text) if not pd.isna(text) and str(text) else str(name))
            rows.append(_by_state(jobs[name]))
    return labels, rows


def _by_state(table: pd.DataFrame) -> dict[str, float]:
    sums: dict[str, float] = {}
    for state, hours in zip(table["state"].astype(str), column(table, "gpu_hours").tolist(), strict=True):
        sums[state] = sums.get(state, 0.0) + hours
    return sums
