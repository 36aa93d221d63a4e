"""Slip of each job by cause: what pushed it out to the right, what won time back to the left."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from colossus_sim.plots.header import run_span, run_title, write_header
from colossus_sim.plots.series import column
from colossus_sim.plots.stacked import MOST_ROWS, draw_parts, parts_legend, rows_figure, used
from colossus_sim.plots.style import CAUSE_COLOURS, legend, theme, themed
from colossus_sim.results.targets import verdict

SLIP_COLOURS = {
    **{name: look for name, look in CAUSE_COLOURS.items() if name != "planned"},
    "plan": ("#404A57", ""),
}
"""Colour and hatch of each cause of slip."""


@themed
def draw_slip(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return stacked bars of slip by cause [days], with the total of each job marked and written."""
    labels, totals, bounds, parts, part = _rows(result)
    names = used(parts, SLIP_COLOURS)
    figure, axes, _ = rows_figure(labels, legend_lines=2 + (len(names) - 1) // 6)
    look = theme(dark)
    head = f"{run_title(result)}: slip by cause" if title is None else title
    note = f"{part}end minus target, split into causes that add up to it; {run_span(result)}"
    write_header(figure, head, note, dark=dark)
    colours = {**SLIP_COLOURS, "plan": ("#8A94A3" if dark else "#404A57", "")}
    draw_parts(axes, parts, colours, dark=dark)
    ends = (
        [sum(v for v in p.values() if v > 0) for p in parts],
        [sum(v for v in p.values() if v < 0) for p in parts],
    )
    low, high = min([0.0, *ends[1], *totals]), max([1.0, *ends[0], *totals])
    room = 0.06 * (high - low)
    axes.set_xlim(low - room, high + room)
    axes.axvline(0.0, color=look.ink, linewidth=0.9, zorder=3.0)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_xlabel("Slip against the target date [days]")
    marks = axes.scatter(totals, [n + 0.5 for n in range(len(totals))], marker="D", s=26, color=look.paper,
                         edgecolors=look.ink, linewidths=1.1, zorder=5.0)  # fmt: skip
    marks.set_gid("totals")
    for number, (total, bound) in enumerate(zip(totals, bounds, strict=True)):
        colour = look.of_verdict(verdict(total, ended=not bound))
        axes.text(1.012, number + 0.5, _text(total, bound), transform=axes.get_yaxis_transform(), size=9.0,
                  weight="bold", color=colour, va="center_baseline")  # fmt: skip
    if not labels:
        axes.text(0.5, 0.5, "no job has a target date", transform=axes.transAxes, ha="center", va="center",
                  color=look.muted)  # fmt: skip
    _legend(figure, names, colours, dark=dark)
    return figure


def _text(total: float, bound: bool) -> str:
    text = f"{round(total, 1) + 0.0:+,.1f} d".replace("-", "\u2212")
    return f"\u2265 {text}" if bound else text


def _legend(figure: Figure, names: list[str], colours: dict[str, tuple[str, str]], *, dark: bool) -> None:
    look = theme(dark)
    if not names:
        return
    parts_legend(figure, names, colours, dark=dark, columns=6)
    total = Line2D([], [], linestyle="none", marker="D", markersize=5, markerfacecolor=look.paper,
                   markeredgecolor=look.ink)  # fmt: skip
    width, height = (float(size) for size in figure.get_size_inches())
    lines = 1 + (len(names) - 1) // 6
    legend(figure, [total], ["slip (sum of all causes)"], loc="lower left",
           bbox_to_anchor=(0.16 / width, (0.1 + 0.19 * lines) / height), borderaxespad=0.0)  # fmt: skip


def _rows(result: Any) -> tuple[list[str], list[float], list[bool], list[dict[str, float]], str]:
    """Labels, slips, whether these are lower bounds, causes, and a note where only the latest jobs are shown."""
    jobs, table = result.tables["jobs"], result.tables["slip"]
    causes = dict(tuple(table.groupby("job", sort=False)))
    found = []
    for job in jobs.to_dict("records"):
        mine = causes.get(job["job"])
        if mine is None or pd.isna(job["slip_days"]):
            continue
        values = dict(zip(mine["cause"].astype(str), column(mine, "slip_days").tolist(), strict=True))
        label = str(job["title"] if not pd.isna(job["title"]) and job["title"] else job["job"])
        found.append((label, math.fsum(values.values()), bool(job["slip_is_lower_bound"]), values))
    part = ""
    if len(found) > MOST_ROWS:
        part = f"the {MOST_ROWS} latest of {len(found):,} jobs; "
        found = sorted(found, key=lambda row: -row[1])[:MOST_ROWS]
    return (
        [label for label, _, _, _ in found],
        [total for _, total, _, _ in found],
        [bound for _, _, bound, _ in found],
        [causes_of for _, _, _, causes_of in found],
        part,
    )
