"""Pictures of a forecast: the Gantt chart with bands, and what drives the spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from colossus_sim.plots.bars import add_fade, date_axis
from colossus_sim.plots.header import write_header
from colossus_sim.plots.stacked import HEADER, LEFT, MOST_ROWS, RIGHT, WIDTH, rows_figure
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
    text_width,
    theme,
    themed,
)  # fmt: skip
from colossus_sim.plots.views import ForecastView, JobBand, PhaseBand
from colossus_sim.units import DAY, format_instant

BARS, RANGES, END = (0.1, 0.5), (0.52, 0.78), 0.88
"""Where bars, ranges of the ends of phases, and the end that the target means lie in a row."""
LOW_ROW, CHANCE_WIDTH = 0.4, 0.38
"""Height of a row that has no room for two lines of text, and room for a chance in front of a date. [inches]"""
OPEN_SHARE = 0.6
"""Part of the bar of a phase without an end that is solid; the rest fades out towards the horizon."""
GOES_ON = 4.5
"""Size of the arrow of a range that goes on. [points]"""
MAX_DRIVERS, MOST_JOBS = 5, 8
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

    A row per job. Bars go from median start to median end of a phase, thin lines under them from P10 to P90 of its
    end; the diamond is the median end of what the target means, the line through it P10 to P90, the flag the
    target. Of many jobs those least likely to meet their targets are drawn.
    """
    look = theme(dark)
    jobs, note = list(view.jobs), view.note
    if len(jobs) > MOST_ROWS:
        likely = sorted(jobs, key=lambda job: 2.0 if math.isnan(job.probability) else job.probability)
        jobs = likely[:MOST_ROWS]
        note = f"the {MOST_ROWS} of {len(view.jobs):,} jobs least likely to meet their targets; {note}"
    view = replace(view, jobs=tuple(jobs))
    figure, axes, row = rows_figure([job.title for job in jobs], legend_lines=2, highest=0.66, body=5.9)
    write_header(figure, view.title, note, dark=dark)
    left, right = _span(view)
    axes.set_xlim(left, right)
    for number, job in enumerate(jobs):
        if number % 2:
            axes.axhspan(number, number + 1, color=look.stripe, zorder=0)
        _draw_job(axes, job, number, limits=(left, right), horizon=min(view.horizon, right), dark=dark)
        _right_text(axes, job, number, row=row, dark=dark)
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


def _draw_job(
    axes: Axes, job: JobBand, number: int, *, limits: tuple[float, float], horizon: float, dark: bool
) -> None:
    look = theme(dark)
    found = lanes([(phase.start[1], phase.end[1]) for phase in job.phases])
    height = (BARS[1] - BARS[0]) / (max(found, default=0) + 1)
    step = (RANGES[1] - RANGES[0]) / max(1, len(job.phases))
    for order, (phase, lane) in enumerate(zip(job.phases, found, strict=True)):
        _draw_phase(axes, phase, number + BARS[0] + height * lane, height, right=limits[1], horizon=horizon)
        _draw_range(axes, phase, number + RANGES[0] + step * (order + 0.5), horizon)
    _draw_end(axes, job, number + END, limits[1], dark=dark)
    if job.target > limits[1]:
        axes.annotate(f"{format_instant(job.target * DAY)}", xy=(limits[1], number + 0.08), xytext=(-16.0, 0.0),
                      textcoords="offset points", size=7.0, ha="right", va="center_baseline", color=look.late,
                      arrowprops={"arrowstyle": "-|>,head_width=0.2,head_length=0.4", "color": look.late,
                                  "shrinkA": 1.0, "shrinkB": 0.0})  # fmt: skip
    elif math.isfinite(job.target):
        axes.plot([job.target] * 2, [number + 0.04, number + 0.96], color=look.late, linewidth=1.8, zorder=5)
        axes.plot([job.target], [number + 0.08], marker="v", markersize=5.5, color=look.late, zorder=5)


def _draw_end(axes: Axes, job: JobBand, y: float, right: float, *, dark: bool) -> None:
    """Draw the end that the target means: P10 to P90, with an arrow where that goes on beyond the chart."""
    look = theme(dark)
    low, middle, high = job.finish
    if not low < right:
        if not math.isnan(low):
            axes.plot([right], [y], marker=">", markersize=GOES_ON, color=look.ink, clip_on=False, zorder=6)
        return
    axes.plot([low, min(high, right)], [y, y], color=look.ink, linewidth=1.8, solid_capstyle="butt", zorder=6)
    for edge in (low, high):
        if edge <= right:
            axes.plot([edge, edge], [y - 0.07, y + 0.07], color=look.ink, linewidth=1.6, zorder=6)
    if high > right:
        axes.plot([right], [y], marker=">", markersize=GOES_ON, color=look.ink, clip_on=False, zorder=6)
    if middle <= right:
        axes.plot([middle], [y], marker="D", markersize=5.0, markerfacecolor=look.paper, markeredgecolor=look.ink,
                  zorder=7)  # fmt: skip


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Put phases whose times, from start to end, overlap by more than a little under each other.

    One that does not start needs no room; one without an end keeps its lane.
    """
    ends: list[float] = []
    found = []
    for start, end in spans:
        if not math.isfinite(start):
            found.append(0)
            continue
        slack = 0.02 * (end - start) if math.isfinite(end) else 0.0
        lane = next((k for k, free in enumerate(ends) if free <= start + slack), len(ends))
        if lane == len(ends):
            ends.append(end)
        ends[lane] = end
        found.append(lane)
    return found


def _draw_phase(
    axes: Axes, phase: PhaseBand, top: float, height: float, *, right: float, horizon: float
) -> None:
    """Draw the bar of a phase; one whose median end did not come fades out before the horizon."""
    colour = FAMILY_COLOURS[phase_family(phase.name, phase.kind)]
    start, bottom = phase.start[1], top + height * 0.92
    if not (math.isfinite(start) and start < right):
        return
    end = min(phase.end[1], right)
    if math.isinf(phase.end[1]):
        end = max(start, start + OPEN_SHARE * (horizon - start))
        add_fade(axes, (end, max(end, horizon), top, bottom), colour, zorder=2.0)
    long = max(0.0, end - start)
    axes.add_patch(Rectangle((start, top), long, bottom - top, facecolor=colour, linewidth=0.0, zorder=2))


def _draw_range(axes: Axes, phase: PhaseBand, y: float, right: float) -> None:
    """Draw the range of the end of a phase as a thin line; one that goes beyond the horizon ends in an arrow."""
    colour = FAMILY_COLOURS[phase_family(phase.name, phase.kind)]
    low, high = phase.end[0], min(phase.end[2], right)
    if math.isfinite(low) and high > low:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=3)
        goes_on = phase.end[2] > right
        ends = [low] if goes_on else [low, high]
        axes.plot(ends, [y] * len(ends), linestyle="none", marker="|", markersize=3.2, markeredgewidth=1.0,
                  color=colour, zorder=3)  # fmt: skip
        if goes_on:
            axes.plot([high], [y], marker=">", markersize=GOES_ON - 1.0, markeredgewidth=0.0, color=colour,
                      clip_on=False, zorder=3)  # fmt: skip


def _right_text(axes: Axes, job: JobBand, number: int, *, row: float, dark: bool) -> None:
    """Write the chance to meet the target, and the median end: below it, or beside it where rows are low."""
    look = theme(dark)
    place = axes.get_yaxis_transform()
    low = row < LOW_ROW
    known = not math.isnan(job.target)
    if known:
        sure = not math.isnan(job.probability)
        colour = look.muted if not sure else look.early if job.probability >= 0.5 else look.late
        spot, size = (0.5, 7.0) if low else (0.36, 9.0)
        chance = f"{job.probability:.0%}" if sure else "\u2013"
        axes.text(1.008, number + spot, chance, transform=place, size=size, weight="bold",
                  color=colour, va="center_baseline")  # fmt: skip
    if not math.isnan(job.finish[1]):
        beside = CHANCE_WIDTH / (WIDTH - LEFT - RIGHT) if low and known else 0.0
        spot = 0.68 if known and not low else 0.5
        axes.text(1.008 + beside, number + spot, _end_text(job), transform=place, size=7.0, color=look.muted,
                  va="center_baseline")  # fmt: skip


def _end_text(job: JobBand) -> str:
    if math.isinf(job.finish[1]):
        return "never"
    date = format_instant(job.finish[1] * DAY)
    return f">= {date}" if job.projected else date


def _bands_legend(figure: Figure, view: ForecastView, *, beyond: bool, dark: bool) -> None:
    look = theme(dark)
    seen = {phase_family(phase.name, phase.kind) for job in view.jobs for phase in job.phases}
    handles: list[Patch | Line2D] = [Patch(color=FAMILY_COLOURS[name]) for name in FAMILIES if name in seen]
    labels = [name for name in FAMILIES if name in seen]
    width, height = (float(size) for size in figure.get_size_inches())
    legend(figure, handles, labels, loc="lower left", ncols=7, bbox_to_anchor=(0.1 / width, 0.32 / height))
    marks: list[Patch | Line2D] = [
        Line2D([], [], color=BLUE, linewidth=1.3, marker="|", markersize=4),
        Line2D([], [], color=look.ink, marker="D", markerfacecolor=look.paper, linewidth=2.0, markersize=5),
        Line2D([], [], color=look.late, marker="v", linewidth=2.0, markersize=6),
    ]
    words = ["P10 to P90 of a phase's end", "end that the target means: P10, median, P90",
             "target; right: chance to meet it, median end"]  # fmt: skip
    if any(not math.isnan(job.target) and math.isnan(job.probability) for job in view.jobs):
        words[2] += " (\u2013: not known)"
    if beyond:
        marks.append(Line2D([], [], color=look.muted, linewidth=1.0, linestyle=":"))
        words.append("end of the simulated time; later ends are projected")
    if _goes_on(view):
        marks.append(Line2D([], [], color=look.muted, linestyle="none", marker=">", markersize=GOES_ON))
        words.append("goes on")
    legend(figure, marks, words, loc="lower left", ncols=5, bbox_to_anchor=(0.1 / width, 0.08 / height))


def _goes_on(view: ForecastView) -> bool:
    """Say whether some range of ends goes on where its line stops."""
    right = _span(view)[1]
    phases = any(phase.end[0] < view.horizon < phase.end[2] for job in view.jobs for phase in job.phases)
    return phases or any(job.finish[2] > right for job in view.jobs)


@themed
def draw_drivers(view: ForecastView, *, dark: bool = False) -> Figure:
    """Return per job the shares of variance of what drives its end, pale where chance alone could give them."""
    look = theme(dark)
    jobs = _shown_drivers(view)
    lines = sum(max(1, len(items)) for _, items in jobs) + 0.5 * len(jobs)
    step = 0.21
    height = HEADER + step * lines + 0.62
    figure = new_figure(WIDTH, height)
    note = "share of the variance of the end that would go away if this were known (first-order Sobol index)"
    if len(jobs) < len(view.drivers):
        note = f"{len(jobs)} of {len(view.drivers):,} jobs, those with the strongest drivers; {note}"
    write_header(figure, f"{view.title}: what drives the spread", note, dark=dark)
    box = (LEFT / WIDTH, 0.62 / height, (WIDTH - LEFT - 0.3) / WIDTH, 1 - (HEADER + 0.62) / height)
    axes = figure.add_axes(box)
    axes.set_ylim(lines, 0.0)
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
            _draw_driver(axes, top + number, name, share, chance=view.chance, dark=dark)
        if not items:
            axes.text(
                0.006, top + 0.5, "nothing above 0.5 %", size=8.0, color=look.muted, va="center_baseline"
            )
        top += max(1, len(items)) + 0.5
    if view.chance > 0.0:
        axes.axvline(view.chance, color=look.ink, linewidth=1.0, linestyle=(0, (4, 3)), zorder=3)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, symbol=""))
    few = (
        "; pale, left of the dashed line: chance alone may give it with so few runs"
        if view.chance > 0.0
        else ""
    )
    axes.set_xlabel(f"share of variance [%]{few}")
    return figure


def _shown_drivers(view: ForecastView) -> list[tuple[str, list[tuple[str, float]]]]:
    """Return the drivers of each job, the largest first; of many jobs those that have the strongest ones."""
    jobs = [
        (title, sorted((item for item in items if item[1] >= LEAST), key=lambda item: -item[1])[:MAX_DRIVERS])
        for title, items in view.drivers
    ]
    if len(jobs) > 2 * MOST_JOBS:
        jobs = sorted(jobs, key=lambda job: -max((share for _, share in job[1]), default=0.0))[:MOST_JOBS]
    return jobs


def _draw_driver(axes: Axes, top: float, name: str, share: float, *, chance: float, dark: bool) -> None:
    look = theme(dark)
    sure = share >= chance
    axes.barh(top + 0.5, share, height=0.7, color=BLUE if sure else blend(BLUE, look.paper, 0.3), zorder=2)
    figure = axes.get_figure()
    if not isinstance(figure, Figure):
        return
    room = WIDTH - LEFT - 0.3
    text = f"{share:.0%}  {name}"
    inside = share > 0.45 and text_width(figure, plain(text), 8.0) < share * room - 0.1
    text = shorten(figure, text, 8.0, room * share - 0.1 if inside else room * (1.0 - share) - 0.1)
    colour = look.ink if not (inside and sure) else "#FFFFFF"
    label = axes.text(0.006 if inside else share + 0.006, top + 0.5, text, size=8.0, va="center_baseline",
                      color=colour, zorder=4)  # fmt: skip
    if not inside:
        label.set_path_effects([withStroke(linewidth=2.5, foreground=look.paper)])
