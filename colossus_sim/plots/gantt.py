"""The Gantt chart: every job on one axis of dates, with the state of the cluster under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colossus_sim.plots.bars import date_axis
from colossus_sim.plots.gantt_legend import draw_legend
from colossus_sim.plots.gantt_rows import Row, draw_rows
from colossus_sim.plots.header import draw_header
from colossus_sim.plots.roadmap import JobRow, job_rows, span, without_short_waits
from colossus_sim.plots.series import Levels, end_of, levels, start_of
from colossus_sim.plots.strips import draw_gpus, draw_power, shares
from colossus_sim.plots.style import new_figure, plain, shorten, text_width, theme, themed
from colossus_sim.units import DAY

WIDTH, LEFT, RIGHT = 15.0, 3.05, 0.3
"""Width of the figure, of the column of labels, and of the right margin. [in]"""
HEADER, DATES, STRIPS, FOOT = 0.78, 0.32, (1.0, 0.72), 1.32
"""Heights of the title, the dates, the two strips, and dates plus legend at the bottom. [in]"""
GAP = 0.14
"""Space between panels. [in]"""
BODY = 4.0
"""Height that the rows fill if there are few enough jobs. [in]"""
ROW_LOW, ROW_MIN, ROW_MAX = 0.18, 0.26, 0.62
"""Least height of a job with one lane in a chart of many jobs, and of few, and the greatest. [in]"""
MANY = 80
"""Jobs from which rows become low."""
BINS = 440
"""Columns of the density of failures and of the strips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything is. [in], from the top left corner of the figure."""

    height: float
    body: float
    row: float


@themed
def draw_gantt(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return the Gantt chart of a run.

    A row per job: phases in colour, waits hatched, failures as a strip of thin marks whose opacity is their
    number, data gates, target dates, slip from target to end, reported outcomes; under them the GPUs by what
    they do, and the power.
    """
    horizon = end_of(result)
    begin = start_of(result.tables) / DAY
    jobs = job_rows(result, horizon=horizon)
    left, right = span(jobs, begin=begin, horizon=horizon)
    jobs = without_short_waits(jobs, (right - left) / BINS)
    layout = _layout(jobs)
    figure = new_figure(WIDTH, layout.height)
    draw_header(figure, result, jobs, title=title, dark=dark)
    rows = _rows(jobs, layout)
    axes = _panel(figure, HEADER + DATES, layout.body, xlim=(left, right))
    edges = np.linspace(left, right, BINS + 1)
    draw_rows(axes, rows, edges=edges, horizon=horizon, dark=dark)
    _labels(figure, rows, dark=dark)
    shown = levels(result, np.linspace(begin, max(begin + 1e-6, min(right, horizon)), BINS + 1))
    _strips(figure, layout, shown, axes, dark=dark)
    draw_legend(figure, rows, shown, dark=dark)
    return figure


def _layout(jobs: Sequence[JobRow]) -> Layout:
    weight = max(1.0, math.fsum(_weight(job) for job in jobs))
    row = min(ROW_MAX, max(ROW_LOW if len(jobs) > MANY else ROW_MIN, BODY / weight))
    body = row * weight
    return Layout(height=HEADER + DATES + body + sum(STRIPS) + 2 * GAP + FOOT, body=body, row=row)


def _weight(job: JobRow) -> float:
    return 1.0 + 0.4 * (job.lanes - 1)


def _rows(jobs: Sequence[JobRow], layout: Layout) -> list[Row]:
    rows, top = [], 0.0
    for job in jobs:
        height = layout.row * _weight(job)
        rows.append(Row(job=job, top=top, height=height))
        top += height
    return rows


def _panel(
    figure: Figure, top: float, height: float, *, xlim: tuple[float, float], share: Axes | None = None
) -> Axes:
    """Add a panel whose top is so many inches under that of the figure."""
    width, total = (float(size) for size in figure.get_size_inches())
    box = (LEFT / width, 1.0 - (top + height) / total, (width - LEFT - RIGHT) / width, height / total)
    axes = figure.add_axes(box, sharex=share)
    axes.set_xlim(*xlim)
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def _labels(figure: Figure, rows: Sequence[Row], *, dark: bool) -> None:
    """Write title and caption of each job left of its row; on one line where rows are low."""
    look = theme(dark)
    width, total = (float(size) for size in figure.get_size_inches())
    room = LEFT - 0.32
    low = min((row.height for row in rows), default=1.0) < 0.36
    size, small = (9.5, 7.5) if not low else (8.0, 6.5) if rows[0].height > 0.3 else (7.0, 6.0)
    for row in rows:
        middle = 1.0 - (HEADER + DATES + row.top + 0.5 * row.height) / total
        name = plain(row.job.title)
        own = size if text_width(figure, name, size, bold=True) <= room else 0.85 * size
        title = shorten(figure, name, own, room, bold=True)
        shift = 0.0 if low else 0.085 / total
        figure.text(0.16 / width, middle + shift, title, size=own, weight="bold", va="center_baseline")
        left, space = 0.16, room
        if low:
            left += text_width(figure, title, own, bold=True) + 0.1
            space -= left - 0.16
        if space > 0.55:
            caption = shorten(figure, row.job.caption, small, space)
            figure.text(
                left / width, middle - shift, caption, size=small, color=look.muted, va="center_baseline"
            )


def _strips(figure: Figure, layout: Layout, shown: Levels, above: Axes, *, dark: bool) -> None:
    look = theme(dark)
    width, total = (float(size) for size in figure.get_size_inches())
    top = HEADER + DATES + layout.body + GAP
    allocated, productive = shares(shown)
    hours = float(np.sum(shown.power * np.diff(shown.edges))) * 24.0
    texts = (
        ("Cluster GPUs", f"{allocated:.0%} allocated, {productive:.0%} productive"),
        ("Power", f"{hours / 1e3:,.0f} GWh" if hours >= 1e4 else f"{hours:,.0f} MWh"),
    )
    for number, (height, draw) in enumerate(zip(STRIPS, (draw_gpus, draw_power), strict=True)):
        axes = _panel(figure, top, height, xlim=above.get_xlim(), share=above)
        draw(axes, shown, dark=dark)
        axes.grid(axis="x", color=look.grid, linewidth=0.6)
        axes.spines["bottom"].set_visible(True)
        date_axis(axes, labels=number == len(STRIPS) - 1)
        axes.yaxis.label.set_fontsize(7.5)
        axes.yaxis.set_label_coords(-0.55 / (width - LEFT - RIGHT), 0.5)
        head, note = texts[number]
        middle = 1.0 - (top + 0.5 * height) / total
        figure.text(0.16 / width, middle + 0.085 / total, head, size=9.5, weight="bold", va="center_baseline")
        figure.text(
            0.16 / width, middle - 0.085 / total, note, size=7.5, color=look.muted, va="center_baseline"
        )
        top += height + GAP
    date_axis(above, top=True)
