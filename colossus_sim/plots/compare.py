"""Two runs on one axis: plan against forecast, or one scenario against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from colossus_sim.plots.bars import add_boxes, add_hatched, date_axis
from colossus_sim.plots.gantt import title_lines
from colossus_sim.plots.header import run_title, write_header
from colossus_sim.plots.roadmap import JobRow, job_rows, span, without_short_waits
from colossus_sim.plots.series import end_of, start_of
from colossus_sim.plots.style import (
    FAMILIES,
    FAMILY_COLOURS,
    GREY,
    STATE_LABELS,
    WAIT_HATCHES,
    legend,
    new_figure,
    plain,
    shorten,
    swatch,
    theme,
    themed,
)
from colossus_sim.units import DAY

WIDTH, LEFT, RIGHT, HEADER, FOOT = 15.0, 3.05, 1.2, 1.2, 0.8
"""Width of the figure and margins. [in]"""
LANES = ((0.12, 0.48), (0.54, 0.90))
"""Where the bars of the two runs lie in a row, as shares of its height."""
BINS = 440
MOST_JOBS = 30
"""Jobs that have a row: what can be read on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A job in both runs; None where a run does not have it."""

    name: str
    first: JobRow | None
    second: JobRow | None

    @property
    def title(self) -> str:
        """Name for people."""
        row = self.first or self.second
        return self.name if row is None else row.title

    @property
    def shift(self) -> float:
        """How much later the job ends in the second run; NaN unless it ends in both. [days]"""
        if self.first is None or self.second is None:
            return math.nan
        return self.second.finish - self.first.finish


@themed
def draw_comparison(
    first: Any,
    second: Any,
    *,
    names: tuple[str, str] = ("A", "B"),
    dark: bool = False,
    title: str | None = None,
) -> Figure:
    """Return a Gantt chart with two bars per job: the first run (A) above, the second (B) under it.

    At the right stands how much later (+) or earlier the job ends in the second run. [days]
    """
    every, xlim = _pairs(first, second)
    pairs, part = _shown(every)
    row = min(0.6, max(0.3, 5.2 / max(1, len(pairs))))
    height = HEADER + row * max(1, len(pairs)) + FOOT
    figure = new_figure(WIDTH, height)
    shown = tuple(plain(name) for name in names)
    head = f"{run_title(first)}: {shown[0]} and {shown[1]}" if title is None else title
    shifts = [pair.shift for pair in every if not math.isnan(pair.shift)]
    later = sum(shift >= 0.5 for shift in shifts)
    earlier = sum(shift <= -0.5 for shift in shifts)
    note = f"{later} of {len(shifts)} jobs that end in both end later in {shown[1]}, {earlier} earlier"
    write_header(figure, head, f"{note}{part}", dark=dark)
    box = (LEFT / WIDTH, FOOT / height, (WIDTH - LEFT - RIGHT) / WIDTH, 1.0 - (HEADER + FOOT) / height)
    axes = figure.add_axes(box)
    axes.set_xlim(*xlim)
    axes.set_ylim(max(1, len(pairs)), 0.0)
    _draw_rows(axes, pairs, dark=dark)
    _label_rows(figure, axes, pairs, row, dark=dark)
    _legend(figure, pairs, (shown[0], shown[1]), dark=dark)
    return figure


def _pairs(first: Any, second: Any) -> tuple[list[Pair], tuple[float, float]]:
    rows, limits = [], []
    for result in (first, second):
        horizon = end_of(result)
        jobs = job_rows(result, horizon=horizon)
        limits.append(span(jobs, begin=start_of(result.tables) / DAY, horizon=horizon))
        jobs = without_short_waits(jobs, (limits[-1][1] - limits[-1][0]) / BINS)
        rows.append({job.name: job for job in jobs})
    names = dict.fromkeys((*rows[0], *rows[1]))
    pairs = [Pair(name=name, first=rows[0].get(name), second=rows[1].get(name)) for name in names]
    return pairs, (min(low for low, _ in limits), max(high for _, high in limits))


def _shown(pairs: list[Pair]) -> tuple[list[Pair], str]:
    """Return the jobs that have a row, of many those whose ends differ most, and a note if some have none."""
    if len(pairs) <= MOST_JOBS:
        return pairs, ""

    def difference(pair: Pair) -> float:
        ends = [job is not None and not math.isnan(job.finish) for job in (pair.first, pair.second)]
        return abs(pair.shift) if all(ends) else math.inf if any(ends) else -1.0

    shown = sorted(pairs, key=lambda pair: -difference(pair))[:MOST_JOBS]
    return shown, f"; shown: the {MOST_JOBS} of {len(pairs):,} jobs whose ends differ most"


def _draw_rows(axes: Axes, pairs: Sequence[Pair], *, dark: bool) -> None:
    look = theme(dark)
    left, right = axes.get_xlim()
    stripes = [(left, right, float(n), n + 1.0) for n in range(1, len(pairs), 2)]
    add_boxes(axes, stripes, [look.stripe] * len(stripes), zorder=0.1)
    for lane in (0, 1):
        boxes, colours = [], []
        for number, pair in enumerate(pairs):
            job = (pair.first, pair.second)[lane]
            for phase in job.phases if job is not None else ():
                if math.isnan(phase.start):
                    continue
                end = right if math.isnan(phase.end) else phase.end
                top, bottom = number + LANES[lane][0], number + LANES[lane][1]
                step = (bottom - top) / (job.lanes if job is not None else 1)
                top += phase.lane * step
                boxes.append((phase.start, end, top, top + step))
                colours.append(FAMILY_COLOURS[phase.family])
                _draw_waits(axes, phase.waits, (top, top + step), dark=dark)
        add_boxes(axes, boxes, colours, zorder=2.0, edge=look.paper).set_gid(f"run-{lane}")
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    date_axis(axes, top=True)


def _draw_waits(
    axes: Axes, waits: Sequence[tuple[str, float, float]], lane: tuple[float, float], *, dark: bool
) -> None:
    for state, begin, end in waits:
        colour, hatch = WAIT_HATCHES[state]
        add_hatched(axes, [(begin, end, *lane)], colour or "#8C8C8C", hatch, dark=dark, zorder=2.5)


def _label_rows(figure: Figure, axes: Axes, pairs: Sequence[Pair], row: float, *, dark: bool) -> None:
    look = theme(dark)
    size = 9.5 if row > 0.4 else 7.5
    height = figure.get_figheight()
    for number, pair in enumerate(pairs):
        y = 1.0 - (HEADER + row * (number + 0.5)) / height
        (name,), own = title_lines(figure, plain(pair.title), size, LEFT - 0.36, height=0.0)
        figure.text(0.16 / WIDTH, y, name, size=own, weight="bold", va="center_baseline")
        text, colour = _shift_text(pair), look.muted
        if not math.isnan(pair.shift) and abs(pair.shift) >= 0.5:
            colour = look.late if pair.shift > 0 else look.early
        figure.text(1.0 - 0.12 / WIDTH, y, text, size=size, weight="bold", color=colour, ha="right",
                    va="center_baseline")  # fmt: skip
        for letter, job, lane in (("A", pair.first, LANES[0]), ("B", pair.second, LANES[1])):
            middle = number + 0.5 * (lane[0] + lane[1])
            axes.text(-0.004, middle, letter, transform=axes.get_yaxis_transform(), size=0.8 * size,
                      color=look.muted, ha="right", va="center_baseline")  # fmt: skip
            if job is not None and not math.isnan(job.target):
                axes.plot([job.target] * 2, [number + lane[0] - 0.05, number + lane[1] + 0.03], color=look.ink,
                          linewidth=1.3, zorder=4.0)  # fmt: skip


def _shift_text(pair: Pair) -> str:
    if pair.first is None or pair.second is None:
        return "only A" if pair.second is None else "only B"
    if math.isnan(pair.shift):
        ends = (pair.first.finish, pair.second.finish)
        return (
            "no end"
            if all(map(math.isnan, ends))
            else "no end in B"
            if math.isnan(ends[1])
            else "no end in A"
        )
    if abs(pair.shift) < 0.5:
        return "same"
    return f"{pair.shift:+,.0f} d".replace("-", "\u2212")


def _legend(figure: Figure, pairs: Sequence[Pair], names: tuple[str, str], *, dark: bool) -> None:
    rows = [job for pair in pairs for job in (pair.first, pair.second) if job is not None]
    used = {phase.family for job in rows for phase in job.phases}
    families = [family for family in FAMILIES if family in used]
    handles = [Patch(facecolor=FAMILY_COLOURS[family], edgecolor="none") for family in families]
    seen = {state for job in rows for phase in job.phases for state, _, _ in phase.waits}
    waits = [state for state in WAIT_HATCHES if state in seen]
    handles += [swatch(WAIT_HATCHES[state][0] or GREY, WAIT_HATCHES[state][1], dark) for state in waits]
    words = [*families, *(STATE_LABELS[state] for state in waits)]
    height = figure.get_figheight()
    legend(figure, handles, words, loc="lower left", ncols=max(1, len(words)), borderaxespad=0.0,
           handlelength=1.6, columnspacing=1.1, handletextpad=0.5,
           bbox_to_anchor=(0.16 / WIDTH, 0.36 / height))  # fmt: skip
    text = (
        f"upper bar, A: {names[0]}; lower bar, B: {names[1]}; vertical line: target; right: end of B minus A"
    )
    figure.text(0.16 / WIDTH, 0.14 / height, shorten(figure, text, 8.0, WIDTH - 0.4), size=8.0,
                color=theme(dark).muted)  # fmt: skip
