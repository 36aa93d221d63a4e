"""Pictures of a forecast: the Gantt chart with bands, and what drives the spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from colossus_sim.plots.bars import date_axis
from colossus_sim.plots.header import write_header
from colossus_sim.plots.stacked import HEADER, LEFT, RIGHT, WIDTH, rows_figure
from colossus_sim.plots.style import (
    BLUE,
    FAMILIES,
    FAMILY_COLOURS,
    blend,
    legend,
    new_figure,
    phase_family,
    plain,
    shorten,
    theme,
    themed,
)  # fmt: skip
from colossus_sim.plots.views import ForecastView, JobBand, PhaseBand
from colossus_sim.units import DAY, format_instant

MAX_DRIVERS = 5
LEAST = 0.005
"""Shares of variance below this are not drawn."""


def forecast_figures(view: ForecastView, *, dark: bool = False) -> dict[str, Figure]:
    """Return the pictures of a forecast, by name."""
    figures = {"gantt_bands": draw_bands(view, dark=dark)}
    if any(items for _, items in view.drivers):
        figures["drivers"] = draw_drivers(view, dark=dark)
    return figures


@themed
def draw_bands(view: ForecastView, *, dark: bool = False) -> Figure:
    """Return a Gantt chart of the median schedule with the P10 to P90 range of every phase's start and end.

    A row per job. Bars go from median start to median end of a phase, light boxes from P10 to P90 of its end; the
    diamond is the median end of what the target means, the line through it P10 to P90, the flag the target.
    """
    look = theme(dark)
    figure, axes, _ = rows_figure([job.title for job in view.jobs], legend_lines=2)
    write_header(figure, view.title, view.note, dark=dark)
    left, right = _span(view)
    axes.set_xlim(left, right)
    for number, job in enumerate(view.jobs):
        if number % 2:
            axes.axhspan(number, number + 1, color=look.stripe, zorder=0)
        _draw_job(axes, job, number, limits=(left, right), dark=dark)
        _right_text(figure, axes, job, number, dark=dark)
    beyond = view.horizon <= right
    if beyond:
        axes.axvline(view.horizon, color=look.muted, linewidth=1.0, linestyle=":")
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    date_axis(axes)
    _bands_legend(figure, view, beyond=beyond, dark=dark)
    return figure


def _span(view: ForecastView) -> tuple[float, float]:
    ends = [
        v for job in view.jobs for phase in job.phases for v in (*phase.start, *phase.end) if math.isfinite(v)
    ]
    ends += [v for job in view.jobs for v in (*job.finish, job.target) if math.isfinite(v)]
    first, last = min(ends, default=view.start), max(ends, default=view.horizon)
    # A few ends that lie far away (projected ones) would squeeze everything else.
    last = min(last, view.horizon + 0.5 * (view.horizon - view.start))
    room = 0.02 * max(1.0, last - first)
    return first - room, last + room


def _draw_job(axes: Axes, job: JobBand, number: int, *, limits: tuple[float, float], dark: bool) -> None:
    look = theme(dark)
    lanes = _lanes(job.phases)
    count = max(lanes, default=0) + 1
    height = 0.74 / count
    for phase, lane in zip(job.phases, lanes, strict=True):
        _draw_phase(axes, phase, number + 0.13 + height * lane, height, limits=limits, dark=dark)
    low, middle, high = (min(value, limits[1]) for value in job.finish)
    if math.isfinite(middle):
        y = number + 0.5
        axes.plot([low, high], [y, y], color=look.ink, linewidth=2.2, solid_capstyle="butt", zorder=6)
        for edge in (low, high):
            axes.plot([edge, edge], [y - 0.16, y + 0.16], color=look.ink, linewidth=1.6, zorder=6)
        axes.plot([middle], [y], marker="D", markersize=5.5, markerfacecolor=look.paper, markeredgecolor=look.ink,
                  zorder=7)  # fmt: skip
    if math.isfinite(job.target):
        axes.plot([job.target] * 2, [number + 0.05, number + 0.95], color=look.late, linewidth=2.0, zorder=5)
        axes.plot([job.target], [number + 0.1], marker="v", markersize=6.0, color=look.late, zorder=5)


def _lanes(phases: Sequence[PhaseBand]) -> list[int]:
    """Put phases whose median times overlap by more than a little under each other."""
    ends: list[float] = []
    lanes = []
    for phase in phases:
        start, end = phase.start[1], phase.end[1]
        slack = 0.02 * (end - start) if math.isfinite(end) and math.isfinite(start) else 0.0
        lane = next((k for k, free in enumerate(ends) if free <= start + slack), len(ends))
        if lane == len(ends):
            ends.append(end)
        ends[lane] = end
        lanes.append(lane)
    return lanes


def _draw_phase(
    axes: Axes, phase: PhaseBand, top: float, height: float, *, limits: tuple[float, float], dark: bool
) -> None:
    look = theme(dark)
    colour = FAMILY_COLOURS[phase_family(phase.name, phase.kind)]
    start, end = phase.start[1], min(phase.end[1], limits[1])
    if math.isfinite(start) and start < limits[1]:
        long = max(0.0, end - start)
        axes.add_patch(
            Rectangle((start, top), long, height * 0.92, facecolor=colour, linewidth=0.0, zorder=2)
        )
    # The range of the end: a light box from P10 to P90.
    low, high = (min(value, limits[1]) for value in (phase.end[0], phase.end[2]))
    if math.isfinite(low) and high > low:
        light = blend(colour, look.paper, 0.35)
        box = Rectangle((low, top + 0.2 * height), high - low, 0.52 * height, facecolor=light, edgecolor=colour,
                        linewidth=0.7, zorder=3, alpha=0.85)  # fmt: skip
        axes.add_patch(box)


def _right_text(figure: Figure, axes: Axes, job: JobBand, number: int, *, dark: bool) -> None:
    """Write the chance to meet the target, and the median end."""
    look = theme(dark)
    place = axes.get_yaxis_transform()
    if not math.isnan(job.probability):
        colour = look.early if job.probability >= 0.5 else look.late
        axes.text(1.008, number + 0.36, f"{job.probability:.0%}", transform=place, size=9.0, weight="bold",
                  color=colour, va="center_baseline")  # fmt: skip
    if math.isfinite(job.finish[1]):
        spot = number + (0.68 if not math.isnan(job.probability) else 0.5)
        axes.text(1.008, spot, format_instant(job.finish[1] * DAY), transform=place, size=7.0, color=look.muted,
                  va="center_baseline")  # fmt: skip


def _bands_legend(figure: Figure, view: ForecastView, *, beyond: bool, dark: bool) -> None:
    look = theme(dark)
    seen = {phase_family(phase.name, phase.kind) for job in view.jobs for phase in job.phases}
    handles: list[Patch | Line2D] = [Patch(color=FAMILY_COLOURS[name]) for name in FAMILIES if name in seen]
    labels = [name for name in FAMILIES if name in seen]
    width, height = (float(size) for size in figure.get_size_inches())
    legend(figure, handles, labels, loc="lower left", ncols=7, bbox_to_anchor=(0.1 / width, 0.32 / height))
    marks: list[Patch | Line2D] = [
        Patch(facecolor=blend(BLUE, look.paper, 0.35), edgecolor=BLUE),
        Line2D([], [], color=look.ink, marker="D", markerfacecolor=look.paper, linewidth=2.0, markersize=5),
        Line2D([], [], color=look.late, marker="v", linewidth=2.0, markersize=6),
    ]
    words = ["P10 to P90 of a phase's end", "end that the target means: P10, median, P90",
             "target; on the right the chance to meet it, and the median end"]  # fmt: skip
    if beyond:
        marks.append(Line2D([], [], color=look.muted, linewidth=1.0, linestyle=":"))
        words.append("end of the simulated time; later ends are projected")
    legend(figure, marks, words, loc="lower left", ncols=4, bbox_to_anchor=(0.1 / width, 0.08 / height))


@themed
def draw_drivers(view: ForecastView, *, dark: bool = False) -> Figure:
    """Return per job the shares of variance of what drives its end."""
    look = theme(dark)
    jobs = [
        (title, [item for item in items if item[1] >= LEAST][:MAX_DRIVERS]) for title, items in view.drivers
    ]
    lines = sum(max(1, len(items)) for _, items in jobs)
    step = 0.24
    height = HEADER + step * (lines + 0.5 * len(jobs)) + 0.6
    figure = new_figure(WIDTH, height)
    note = "share of the variance of the end that would go away if this were known (first-order Sobol index)"
    write_header(figure, f"{view.title}: what drives the spread", note, dark=dark)
    axes = figure.add_axes(
        (LEFT / WIDTH, 0.6 / height, (WIDTH - LEFT - RIGHT) / WIDTH, 1 - (HEADER + 0.6) / height)
    )
    total = lines + 0.5 * len(jobs)
    axes.set_ylim(total, 0.0)
    axes.set_xlim(0.0, 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    top = 0.0
    for title, items in jobs:
        middle = 1 - (HEADER + step * (top + 0.5)) / height
        figure.text(
            0.16 / WIDTH, middle, shorten(figure, title, 9.0, LEFT - 0.3), size=9.0, va="center_baseline"
        )
        for number, (name, share) in enumerate(items):
            axes.barh(top + number + 0.5, share, height=0.7, color=BLUE)
            label = f"{share:.0%}  {shorten(figure, name, 8.0, 7.5 - 8.85 * min(share, 0.4))}"
            inside = share > 0.45
            axes.text(0.006 if inside else share + 0.006, top + number + 0.5, plain(label), size=8.0,
                      va="center_baseline", color="#FFFFFF" if inside else look.ink)  # fmt: skip
        if not items:
            axes.text(
                0.006, top + 0.5, "nothing above 0.5 %", size=8.0, color=look.muted, va="center_baseline"
            )
        top += max(1, len(items)) + 0.5
    axes.set_xlabel("share of variance")
    return figure
