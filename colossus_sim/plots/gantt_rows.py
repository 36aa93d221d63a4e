"""The rows of the Gantt chart; y is inches from the top of the panel, x is days since 1970."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from colossus_sim.plots.bars import Box, add_boxes, add_density, add_fade, add_hatched, count_marks
from colossus_sim.plots.roadmap import JobRow, PhaseBar
from colossus_sim.plots.series import Floats
from colossus_sim.plots.style import FAMILY_COLOURS, WAIT_HATCHES, Theme, plain, text_on, text_width, theme
from colossus_sim.units import DAY, format_instant

Shares = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

ROOMY: Shares = ((0.06, 0.28), (0.30, 0.78), (0.82, 0.95))
"""Where markers, phase bars and failure marks lie in a row of one lane, as shares of its height."""
PACKED: Shares = ((0.04, 0.18), (0.20, 0.80), (0.84, 0.96))
"""The same in a row that jobs share."""

FADE = 1.0
"""Length over which the bar of an unfinished phase fades out before the horizon. [in]"""


SLOW_BAND = 0.16
"""Height of the mark of a slowed stretch, as a share of its bar."""

OPEN = 0.42
"""Length of the arrow of a reported outcome without a latest date. [in]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job and its place. [in]

    Attributes
    ----------
    packed : bool
        Whether other jobs may lie on the same row, so that the job has to carry its name itself.
    named, name : str
        Phase whose bar holds the name, or the name beside the bars.
    left : bool
        Whether name and slip stand left of the job.
    """

    job: JobRow
    top: float
    height: float
    packed: bool = False
    named: str = ""
    name: str = ""
    left: bool = False

    @property
    def shares(self) -> Shares:
        """Where markers, bars and failure marks lie."""
        return PACKED if self.packed else ROOMY

    @property
    def unit(self) -> float:
        """Height that one lane alone would have. [in]"""
        return self.height if self.packed else self.height / (1.0 + 0.4 * (self.job.lanes - 1))

    @property
    def target(self) -> float:
        """Target that is marked, NaN if none: on a shared row that of a late job only; others may lie far off."""
        return self.job.target if self.job.late or not self.packed else math.nan

    @property
    def marks(self) -> float:
        """Middle of the lane of markers."""
        return self.top + self.unit * 0.5 * sum(self.shares[0])

    @property
    def rug(self) -> tuple[float, float]:
        """Top and bottom of the failure marks."""
        bottom = self.top + self.height
        first, last = self.shares[2]
        return bottom - (1.0 - first) * self.unit, bottom - (1.0 - last) * self.unit

    def lane(self, number: int) -> tuple[float, float]:
        """Return top and bottom of a lane of bars."""
        first, last = self.shares[1]
        top = self.top + first * self.unit
        bottom = self.top + self.height - (1.0 - last) * self.unit
        step = (bottom - top) / self.job.lanes
        gap = 0.04 * step if self.job.lanes > 1 else 0.0
        return top + number * step + gap, top + (number + 1) * step - gap

    @property
    def middle(self) -> float:
        """Middle of all lanes of bars."""
        return 0.5 * (self.lane(0)[0] + self.lane(self.job.lanes - 1)[1])


def draw_rows(axes: Axes, rows: Sequence[Row], *, edges: Floats, horizon: float, dark: bool) -> None:
    """Draw every job into a panel whose x limits are set."""
    look = theme(dark)
    axes.set_ylim(max((row.top + row.height for row in rows), default=1.0), 0.0)
    axes.set_yticks([])
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    left, right = axes.get_xlim()
    places = sorted({(row.top, row.top + row.height) for row in rows})[1::2]
    add_boxes(axes, [(left, right, *place) for place in places], [look.stripe] * len(places), zorder=0.1)
    if not rows:
        axes.text(0.5, 0.5, "no jobs", transform=axes.transAxes, ha="center", va="center", color=look.muted)
    _draw_phases(axes, rows, horizon, dark=dark)
    _draw_waits(axes, rows, dark=dark)
    _draw_slowed(axes, rows, look)
    marks = [(*count_marks(row.job.failures, edges), *row.rug) for row in rows]
    add_density(axes, marks, look.failure, zorder=3.0, width=1.0)
    _draw_markers(axes, rows, look)
    for row in rows:
        _draw_slip(axes, row, look)
    if any(math.isnan(row.job.finish) for row in rows):
        axes.axvline(horizon, color=look.muted, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1.5)
        _draw_projections(axes, rows, horizon, look)


def _draw_phases(axes: Axes, rows: Sequence[Row], horizon: float, *, dark: bool) -> None:
    boxes: list[Box] = []
    colours: list[str] = []
    fade = FADE / _inches_per_day(axes)
    for row in rows:
        for phase in row.job.phases:
            if math.isnan(phase.start):
                continue
            colour = FAMILY_COLOURS[phase.family]
            top, bottom = row.lane(phase.lane)
            end = horizon if math.isnan(phase.end) else phase.end
            solid = end
            if math.isnan(phase.end):
                # The edge of a solid bar would look like an end, so both parts go without one.
                solid = max(phase.start + 0.6 * (end - phase.start), end - fade)
                add_fade(axes, (solid, end, top, bottom), colour, zorder=2.0)
                add_boxes(axes, [(phase.start, solid, top, bottom)], [colour], zorder=2.0)
            else:
                boxes.append((phase.start, solid, top, bottom))
                colours.append(colour)
            _name_phase(axes, row, phase, (phase.start, solid, top, bottom))
    bars = add_boxes(axes, boxes, colours, zorder=2.0, edge=theme(dark).paper)
    bars.set_gid("phases")


def free_stretch(job: JobRow, phase: PhaseBar, end: float) -> tuple[float, float]:
    """Return the longest stretch of a phase without a wait or a marker."""
    best, left = (phase.start, phase.start), phase.start
    blocks = [(begin, stop) for _, begin, stop in phase.waits]
    blocks += [(job.target, job.target)] if not math.isnan(job.target) else []
    blocks += list(job.observed) if phase.lane == 0 else []
    for begin, stop in sorted(blocks):
        if stop <= phase.start:
            continue
        if min(begin, end) - left > best[1] - best[0]:
            best = (left, min(begin, end))
        left = max(left, stop)
    return (left, end) if end - left > best[1] - best[0] else best


def name_size(row: Row) -> float:
    """Return the size of the name of a job that shares its row. [pt]"""
    return min(7.0, max(5.0, 72.0 * 0.48 * row.unit))


def _name_phase(axes: Axes, row: Row, phase: PhaseBar, box: Box) -> None:
    """Write the name of a phase into its bar if there is room; on a shared row that of the job."""
    figure = axes.get_figure()
    if not isinstance(figure, Figure):
        return
    colour = FAMILY_COLOURS[phase.family]
    size = name_size(row) if row.packed else min(8.0, 0.72 * 72.0 * (box[3] - box[2]))
    names = phase.labels if not row.packed else (row.job.title,) if row.named == phase.name else ()
    left, right = free_stretch(row.job, phase, box[1])
    room = (right - left) * _inches_per_day(axes) - 0.08
    name = next((text for text in map(plain, names) if text_width(figure, text, size) <= room), "")
    if size < 4.5 or not name:
        return
    axes.text(0.5 * (left + right), 0.5 * (box[2] + box[3]), name, size=size, color=text_on(colour), ha="center",
              va="center_baseline", zorder=4.0, clip_on=True)  # fmt: skip


def _inches_per_day(axes: Axes) -> float:
    left, right = axes.get_xlim()
    figure = axes.get_figure()
    width = float(figure.get_size_inches()[0]) if isinstance(figure, Figure) else 1.0
    return axes.get_position().width * width / (right - left)


def _draw_waits(axes: Axes, rows: Sequence[Row], *, dark: bool) -> None:
    groups: dict[tuple[str, str], list[Box]] = {}
    for row in rows:
        for phase in row.job.phases:
            top, bottom = row.lane(phase.lane)
            for state, begin, end in phase.waits:
                colour = WAIT_HATCHES[state][0] or FAMILY_COLOURS[phase.family]
                groups.setdefault((colour, WAIT_HATCHES[state][1]), []).append((begin, end, top, bottom))
    for (colour, hatch), boxes in groups.items():
        waits = add_hatched(axes, boxes, colour, hatch, dark=dark, zorder=2.5)
        waits.set_gid("waits")


def _draw_slowed(axes: Axes, rows: Sequence[Row], look: Theme) -> None:
    """Underline the stretches of a phase that traffic of other jobs slowed."""
    boxes: list[Box] = []
    for row in rows:
        for phase in row.job.phases:
            top, bottom = row.lane(phase.lane)
            upper = bottom - SLOW_BAND * (bottom - top)
            boxes += [(begin, end, upper, bottom) for begin, end, _ in phase.slowed]
    if boxes:
        marks = add_boxes(axes, boxes, [look.ink] * len(boxes), zorder=2.6, edge=look.paper)
        marks.set_gid("slowed")


def _draw_markers(axes: Axes, rows: Sequence[Row], look: Theme) -> None:
    unit = rows[0].unit if rows else 1.0
    size = 26.0 if unit > 0.36 else 12.0 if unit > 0.24 else 5.0
    gates = [(moment, row.lane(0)[0]) for row in rows for moment in row.job.gates.tolist()]
    targets = [(row.target, row.marks) for row in rows if not math.isnan(row.target)]
    seen = [
        (moment, sum(row.lane(0)) / 2)
        for row in rows
        for pair in row.job.observed
        for moment in sorted(set(pair))
        if math.isfinite(moment)
    ]
    for row in rows:
        if not math.isnan(row.target):
            axes.plot([row.target] * 2, [row.top + 0.06 * row.unit, row.rug[0]], color=look.ink, linewidth=1.1,
                      zorder=5.0, solid_capstyle="butt")  # fmt: skip
        for first, last in row.job.observed:
            middle = sum(row.lane(0)) / 2
            if math.isfinite(last):
                axes.plot([first, last], [middle] * 2, color=look.ink, linewidth=1.2, zorder=5.5)
            else:
                _draw_open(axes, first, middle, look)
    for gid, points, marker, face in (
        ("gates", gates, "D", "#F0E442"),
        ("targets", targets, ">", look.ink),
        ("observed", seen, "o", look.paper),
    ):
        x, y = [x for x, _ in points], [y for _, y in points]
        edge = 1.0 if marker == "o" else 0.7
        marks = axes.scatter(
            x, y, s=size, marker=marker, c=face, edgecolors=look.edge, linewidths=edge, zorder=6.0
        )
        marks.set_gid(gid)


def _draw_open(axes: Axes, first: float, y: float, look: Theme) -> None:
    """Draw an arrow from the day on which it had not happened yet towards the future."""
    length = OPEN / _inches_per_day(axes)
    arrow = axes.annotate("", xy=(first + length, y), xytext=(first, y), zorder=5.5, annotation_clip=True,
                          arrowprops={"arrowstyle": "->,head_width=0.15,head_length=0.25", "color": look.ink,
                                      "linewidth": 1.2, "shrinkA": 2.0, "shrinkB": 0.0})  # fmt: skip
    arrow.set_gid("open-outcome")


def slip_label(job: JobRow) -> str:
    """Return the slip in words: ``+23 d``, ``-4 d``, ``on time``, ``+90 d projected``, ``never``, or nothing.

    On time: met by less than half a day.
    """
    if math.isnan(job.slip_days):
        return ""
    if not math.isnan(job.gone):
        return "never"
    near = abs(job.slip_days) < 0.5
    if near and job.verdict == "met":
        return "on time"
    days = max(job.slip_days, 0.1) if near and job.late else job.slip_days
    text = f"{days:+,.{1 if near else 0}f} d".replace("-", "\u2212")
    return f"{text} projected" if job.slip_is_lower_bound else text


def _draw_slip(axes: Axes, row: Row, look: Theme) -> None:
    job, label = row.job, slip_label(row.job)
    if row.packed:
        _write_beside(axes, row, label, look)
    if not label or math.isnan(row.target):
        return
    left, right = axes.get_xlim()
    colour = job.slip_colour(look)
    end = min(max(job.target_end, left), right - 0.002 * (right - left))
    if row.packed:
        axes.plot([job.target, end], [row.marks] * 2, color=colour, linewidth=1.1, zorder=5.2,
                  solid_capstyle="butt")  # fmt: skip
    elif abs(end - job.target) * _inches_per_day(axes) > 0.1:
        axes.annotate("", xy=(end, row.marks), xytext=(job.target, row.marks), zorder=5.2, annotation_clip=False,
                      arrowprops={"arrowstyle": "-|>,head_width=0.16,head_length=0.34", "color": colour,
                                  "linewidth": 1.6, "shrinkA": 3.5, "shrinkB": 0.0})  # fmt: skip
    if not row.packed:
        _write_slip(axes, row, label, end, look)


def beside(job: JobRow, xlim: tuple[float, float]) -> tuple[float, float]:
    """Return the first and last moment that the bars and marks of a job cover on a shared row. [days]"""
    points = [job.submit, job.finish, job.projected, *job.gates.tolist()]
    points += [job.target, job.target_end] if job.late else []
    points += [moment for phase in job.phases for moment in (phase.start, phase.end)]
    points += [moment for pair in job.observed for moment in pair]
    if math.isnan(job.finish) and math.isnan(job.projected):
        points.append(xlim[1])
    known = [min(max(point, xlim[0]), xlim[1]) for point in points if not math.isnan(point)]
    return min(known, default=xlim[0]), max(known, default=xlim[0])


def _write_beside(axes: Axes, row: Row, label: str, look: Theme) -> None:
    """Write the name, where no bar holds it, and the slip of a job on a shared row."""
    figure = axes.get_figure()
    if not isinstance(figure, Figure):
        return
    size, scale = name_size(row), _inches_per_day(axes)
    halo = [withStroke(linewidth=1.5, foreground=look.paper)]
    first, last = beside(row.job, axes.get_xlim())
    widths = [text_width(figure, text, size, bold=bold) for text, bold in ((row.name, False), (label, True))]
    x = first - (sum(widths) + 0.11) / scale if row.left else last + 0.05 / scale
    for text, width, weight, colour in (
        (row.name, widths[0], "normal", look.ink),
        (label, widths[1], "bold", row.job.slip_colour(look)),
    ):
        if text:
            drawn = axes.text(
                x, row.middle, text, size=size, weight=weight, color=colour, va="center_baseline"
            )
            drawn.set(zorder=7.0, path_effects=halo, gid="slip" if text == label else "name")
            x += (width + 0.06) / scale


def _write_slip(axes: Axes, row: Row, label: str, end: float, look: Theme) -> None:
    """Write the slip right of target and end, or left of both where there is no room."""
    figure = axes.get_figure()
    if not isinstance(figure, Figure):
        return
    size = min(8.5, max(6.0, 72.0 * 0.24 * row.unit))
    scale = _inches_per_day(axes)
    first, last = min(row.job.target, end), max(row.job.target, end)
    fits = last + (text_width(figure, label, size, bold=True) + 0.16) / scale <= axes.get_xlim()[1]
    x, side = (last + 0.1 / scale, "left") if fits else (first - 0.09 / scale, "right")
    colour = row.job.slip_colour(look)
    halo = [withStroke(linewidth=2.2, foreground=look.paper)]
    text = axes.text(
        x, row.marks, label, size=size, weight="bold", color=colour, ha=side, va="center_baseline"
    )
    text.set(zorder=7.0, path_effects=halo, gid="slip")


def _draw_projections(axes: Axes, rows: Sequence[Row], horizon: float, look: Theme) -> None:
    """Draw how far an unfinished job still has to go, with the date, or that no GPUs are left to go on with."""
    right = axes.get_xlim()[1]
    scale = _inches_per_day(axes)
    for row in rows:
        job = row.job
        middle, size = 0.5 * sum(row.lane(job.lanes - 1)), min(7.5, 30.0 * row.unit)
        if not math.isnan(job.gone) and not row.packed:
            axes.text(horizon + 0.08 / scale, middle, "no GPUs there", size=size, color=look.muted,
                      va="center_baseline", zorder=4.0, gid="never")  # fmt: skip
        if not math.isnan(job.finish) or math.isnan(job.projected):
            continue
        inside = job.projected + 0.9 / scale <= right
        end = job.projected if inside else right - 0.9 / scale
        axes.plot(
            [horizon, end], [middle] * 2, color=look.muted, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1.8
        )
        tip = "|" if inside else ">"
        axes.plot(
            [end], [middle], marker=tip, markersize=6, markeredgewidth=1.4, color=look.muted, zorder=4.0
        )
        left = _clear_of_markers(job, end, room=0.75 / scale) + 0.08 / scale
        if row.packed:
            continue
        date = format_instant(job.projected * DAY)
        axes.text(left, middle, date, size=size, color=look.muted, va="center_baseline", zorder=4.0)


def _clear_of_markers(job: JobRow, left: float, *, room: float) -> float:
    """Return where a text of width `room` can begin, at `left` or after the markers that would cross it."""
    for first, last in sorted([(job.target, job.target), *job.observed]):
        if first <= left + room and last >= left:
            left = last
    return left
