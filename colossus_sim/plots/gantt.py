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
from colossus_sim.plots.gantt_packed import MANY, Group, packed_rows, without_far_targets, write_groups
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
SITE_STRIP, MOST_SITES = 0.74, 4
"""Height of a strip of GPUs where each site has one [in], and most sites for which that is so."""
GAP = 0.14
"""Space between panels. [in]"""
BODY = 4.0
"""Height that the rows fill if there are few enough jobs. [in]"""
ROW_MIN, ROW_MAX = 0.2, 0.62
"""Least and greatest height of the row of a job with one lane. [in]"""
TWO_LINES = 0.45
"""Least height of a row whose title may take two lines. [in]"""
BINS = 440
"""Columns of the density of failures and of the strips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything is. [in], from the top left corner of the figure."""

    height: float
    body: float
    gpus: float
    """Height of a strip of GPUs."""


@themed
def draw_gantt(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return the Gantt chart of a run.

    A row per job, or rows that jobs share where there are more than `MANY`: phases in colour, waits hatched,
    failures as a strip of thin marks whose opacity is their number, data gates, target dates, slip from target to
    end, reported outcomes; under them the GPUs by what they do, and the power.
    """
    horizon = end_of(result)
    begin = start_of(result.tables) / DAY
    jobs = job_rows(result, horizon=horizon)
    marked = without_far_targets(jobs) if len(jobs) > MANY else jobs
    left, right = span(marked, begin=begin, horizon=horizon)
    jobs = without_short_waits(jobs, (right - left) / BINS)
    sites = shown_sites(result)
    rows, groups = _placed_rows(result, jobs, (left, right))
    layout = _layout(rows, max(1, len(sites)))
    figure = new_figure(WIDTH, layout.height)
    draw_header(figure, result, jobs, title=title, dark=dark)
    axes = _panel(figure, HEADER + DATES, layout.body, xlim=(left, right))
    draw_rows(axes, rows, edges=np.linspace(left, right, BINS + 1), horizon=horizon, dark=dark)
    _labels(figure, () if groups else rows, dark=dark)
    write_groups(figure, groups, HEADER + DATES, room=LEFT - 0.32, dark=dark)
    bins = np.linspace(begin, max(begin + 1e-6, min(right, horizon)), BINS + 1)
    shown = levels(result, bins)
    by_site = [(site_title(result, site), levels(result, bins, site=site)) for site in sites]
    _strips(figure, layout, (by_site or [("Cluster GPUs", shown)], shown), axes, dark=dark)
    draw_legend(figure, rows, shown, dark=dark)
    return figure


def shown_sites(result: Any) -> list[str]:
    """Return the sites that get a strip of their own: all, if there are two to `MOST_SITES`; else none."""
    names = sorted(set(result.tables["utilization"]["site"].astype(str)))
    return names if 2 <= len(names) <= MOST_SITES else []


def site_title(result: Any, site: str) -> str:
    """Return the title of a site for people, else its name."""
    scenario = getattr(result, "scenario", None)
    spec = scenario.cluster.sites.get(site) if scenario is not None else None
    return str(spec.title) if spec is not None and spec.title else site


def _placed_rows(
    result: Any, jobs: Sequence[JobRow], xlim: tuple[float, float]
) -> tuple[list[Row], list[Group]]:
    """Return a row of its own for each job, or where there are many rows that they share, site by site."""
    if len(jobs) > MANY:
        table = result.tables["jobs"]
        named = zip(table["job"].astype(str), table["site"].fillna("").astype(str), strict=True)
        sites = {job: site_title(result, site) for job, site in named}
        return packed_rows(new_figure(WIDTH, 1.0), jobs, sites, xlim=xlim, width=WIDTH - LEFT - RIGHT)
    row = min(ROW_MAX, max(ROW_MIN, BODY / max(1.0, math.fsum(_weight(job) for job in jobs))))
    rows, top = [], 0.0
    for job in jobs:
        rows.append(Row(job=job, top=top, height=row * _weight(job)))
        top += rows[-1].height
    return rows, []


def _weight(job: JobRow) -> float:
    return 1.0 + 0.4 * (job.lanes - 1)


def _layout(rows: Sequence[Row], strips: int) -> Layout:
    body = max((row.top + row.height for row in rows), default=ROW_MAX)
    gpus = STRIPS[0] if strips == 1 else SITE_STRIP
    height = HEADER + DATES + body + strips * (gpus + GAP) + STRIPS[1] + GAP + FOOT
    return Layout(height=height, body=body, gpus=gpus)


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
        lines, own = title_lines(figure, plain(row.job.title), size, room, height=row.height)
        line = 1.25 * own / 72.0
        shift = 0.0 if low else 0.085 / total
        top = middle + shift + (0.5 * line * (len(lines) - 1)) / total
        for number, text in enumerate(lines):
            figure.text(0.16 / width, top - number * line / total, text, size=own, weight="bold",
                        va="center_baseline")  # fmt: skip
        left, space = 0.16, room
        if low:
            left += text_width(figure, lines[0], own, bold=True) + 0.1
            space -= left - 0.16
        if space > 0.55:
            caption = _whole_parts(figure, row.job.caption, small, space)
            y = middle - shift - (0.5 * line * (len(lines) - 1)) / total
            figure.text(left / width, y, caption, size=small, color=look.muted, va="center_baseline")


def title_lines(
    figure: Figure, name: str, size: float, room: float, *, height: float
) -> tuple[tuple[str, ...], float]:
    """Return a title in one or two lines and its size: shrunk, then wrapped if the row is high, then cut."""
    for factor in (1.0, 0.85, 0.75):
        if text_width(figure, name, factor * size, bold=True) <= room:
            return (name,), factor * size
    words = name.split(" ")
    own = 0.85 * size
    for cut in range(len(words) - 1, 0, -1):
        first, second = " ".join(words[:cut]), " ".join(words[cut:])
        if height >= TWO_LINES and text_width(figure, first, own, bold=True) <= room:
            return (first, shorten(figure, second, own, room, bold=True)), own
    return (shorten(figure, name, 0.75 * size, room, bold=True),), 0.75 * size


def _strips(
    figure: Figure,
    layout: Layout,
    content: tuple[Sequence[tuple[str, Levels]], Levels],
    above: Axes,
    *,
    dark: bool,
) -> None:
    """Draw the GPUs of each of the named levels, and the power of all."""
    gpus, every = content
    top = HEADER + DATES + layout.body + GAP
    for name, shown in gpus:
        allocated, productive = shares(shown)
        note = f"{allocated:.0%} allocated, {productive:.0%} productive"
        axes = _strip(figure, top, layout.gpus, above, (name, note), dark=dark)
        draw_gpus(axes, shown, dark=dark)
        _finish_strip(axes, dates=False, size=7.5 if layout.gpus >= STRIPS[0] else 6.3)
        top += layout.gpus + GAP
    hours = float(np.sum(every.power * np.diff(every.edges))) * 24.0
    energy = f"{hours / 1e3:,.0f} GWh" if hours >= 1e4 else f"{hours:,.0f} MWh"
    axes = _strip(figure, top, STRIPS[1], above, ("Power", energy), dark=dark)
    draw_power(axes, every, dark=dark)
    _finish_strip(axes, dates=True)
    date_axis(above, top=True)


def _strip(
    figure: Figure, top: float, height: float, above: Axes, words: tuple[str, str], *, dark: bool
) -> Axes:
    """Add an empty strip with its heading and a note at the left."""
    look = theme(dark)
    width, total = (float(size) for size in figure.get_size_inches())
    axes = _panel(figure, top, height, xlim=above.get_xlim(), share=above)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.spines["bottom"].set_visible(True)
    lines, size = title_lines(figure, plain(words[0]), 9.5, LEFT - 0.95, height=height)
    texts = [*((line, size, "bold", look.ink) for line in lines), (words[1], 7.5, "normal", look.muted)]
    for number, (text, own, weight, colour) in enumerate(texts):
        y = 1.0 - (top + 0.5 * height + 0.17 * (number - 0.5 * (len(texts) - 1))) / total
        figure.text(0.16 / width, y, text, size=own, weight=weight, color=colour, va="center_baseline")
    return axes


def _finish_strip(axes: Axes, *, dates: bool, size: float = 7.5) -> None:
    date_axis(axes, labels=dates)
    axes.yaxis.label.set_fontsize(size)
    axes.yaxis.set_label_coords(-0.55 / (WIDTH - LEFT - RIGHT), 0.5)


def _whole_parts(figure: Figure, caption: str, size: float, room: float) -> str:
    """Return as many parts of a caption as fit; a part cut in its middle would be worse than none."""
    parts = caption.split(" \u00b7 ")
    while len(parts) > 1 and text_width(figure, " \u00b7 ".join(parts), size) > room:
        parts.pop()
    return shorten(figure, " \u00b7 ".join(parts), size, room)
