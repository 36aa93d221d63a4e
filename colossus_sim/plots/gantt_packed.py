"""The rows of a crowded Gantt chart: jobs that do not meet in time share a line and carry their own names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from colossus_sim.plots.gantt_rows import Row, beside, free_stretch, name_size, slip_label
from colossus_sim.plots.header import slip_words
from colossus_sim.plots.roadmap import JobRow
from colossus_sim.plots.style import plain, shorten, text_width, theme

MANY = 40
"""Jobs above which they share lines."""
BODY = 7.6
"""Height that the lines fill if there are few enough of them. [in]"""
LINE_MIN, LINE_MAX, GROUP_GAP = 0.105, 0.26, 0.16
"""Least and greatest height of a line, and the space between two sites. [in]"""
SPACE = 0.1
"""Space between a job with its name and the next one on its line. [in]"""
LONGEST = 1.7
"""Room for a name beside its bar. [in]"""
LATEST = 15
"""Most late jobs that are named beside a site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The jobs of a site and their place. [in]"""

    title: str
    jobs: tuple[JobRow, ...]
    top: float
    height: float


def packed_rows(
    figure: Figure,
    jobs: Sequence[JobRow],
    sites: Mapping[str, str],
    *,
    xlim: tuple[float, float],
    width: float,
) -> tuple[list[Row], list[Group]]:
    """Return a row per job on as few lines as it takes, site by site, and the place of each site.

    `sites` holds the title of each job's site; `xlim` [days] is shown on `width` [in].
    """
    scale = width / (xlim[1] - xlim[0])
    by_site = {
        site: [job for job in jobs if sites[job.name] == site]
        for site in dict.fromkeys(sites[job.name] for job in jobs)
    }
    guess = _line(len(jobs))
    for _ in range(
        3
    ):  # the height of a line decides the size of its names, and these how many lines there are
        packed = {site: _pack(figure, own, guess, xlim, scale) for site, own in by_site.items()}
        count = sum(len(lines) for lines in packed.values())
        if _line(count) == guess:
            break
        guess = _line(count)
    rows: list[Row] = []
    groups: list[Group] = []
    top = 0.0
    for site, lines in packed.items():
        for number, line in enumerate(lines):
            rows += [replace(row, top=top + number * guess, height=guess) for row in line]
        height = guess * len(lines)
        groups.append(Group(title=site, jobs=tuple(by_site[site]), top=top, height=height))
        top += height + GROUP_GAP
    return rows, groups


def without_far_targets(jobs: Sequence[JobRow]) -> tuple[JobRow, ...]:
    """Return the jobs without the targets that are not marked where jobs share rows."""
    return tuple(job if job.late else replace(job, target=math.nan, target_end=math.nan) for job in jobs)


def _line(count: int) -> float:
    return min(LINE_MAX, max(LINE_MIN, BODY / max(1, count)))


def _pack(
    figure: Figure, jobs: Sequence[JobRow], height: float, xlim: tuple[float, float], scale: float
) -> list[list[Row]]:
    """Put each job, by its first moment, on the first line that is free by then."""
    lines: list[list[Row]] = []
    until: list[float] = []
    placed = [_placed(figure, job, height, xlim, scale) for job in jobs]
    for row, first, last in sorted(placed, key=lambda item: (item[1], item[0].job.name)):
        number = next((n for n, end in enumerate(until) if end <= first), len(lines))
        if number == len(lines):
            lines.append([])
            until.append(0.0)
        lines[number].append(row)
        until[number] = last + SPACE / scale
    return lines


def _placed(
    figure: Figure, job: JobRow, height: float, xlim: tuple[float, float], scale: float
) -> tuple[Row, float, float]:
    """Return a job with the place of its name, and the first and last moment that it covers on its line."""
    row = Row(job=job, top=0.0, height=height, packed=True)
    named = _named_phase(figure, row, xlim[1], scale)
    size = name_size(row)
    name = "" if named else shorten(figure, job.title, size, LONGEST)
    row = replace(row, named=named, name=name)
    first, last = beside(job, xlim)
    room = text_width(figure, name, size) + text_width(figure, plain(slip_label(job)), size, bold=True)
    room = (room + 0.16) / scale
    if last + room > xlim[1]:
        return replace(row, left=True), first - room, last
    return row, first, last + room


def _named_phase(figure: Figure, row: Row, right: float, scale: float) -> str:
    """Return the phase whose bar has the most room for the title of the job; nothing if none has enough."""
    top, bottom = row.lane(0)
    needed = text_width(figure, plain(row.job.title), name_size(row)) + 0.08
    best, named = needed, ""
    for phase in row.job.phases:
        if math.isnan(phase.start) or 72.0 * (bottom - top) < name_size(row):
            continue
        left, end = free_stretch(row.job, phase, right if math.isnan(phase.end) else phase.end)
        if (end - left) * scale >= best:
            best, named = (end - left) * scale, phase.name
    return named


def write_groups(figure: Figure, groups: Sequence[Group], top: float, *, room: float, dark: bool) -> None:
    """Write left of each site how its jobs did, and which of them end latest after their targets."""
    look = theme(dark)
    width, total = (float(size) for size in figure.get_size_inches())
    for group in groups:
        y = top + group.top + 0.12
        lines = [(group.title, 9.5, "bold", look.ink), (_note(group), 7.5, "normal", look.muted)]
        for text, size, weight, colour in lines:
            figure.text(0.16 / width, 1.0 - y / total, shorten(figure, text, size, room, bold=weight == "bold"),
                        size=size, weight=weight, color=colour, va="center_baseline")  # fmt: skip
            y += 0.2
        late = sorted(
            (job for job in group.jobs if job.late), key=lambda job: (-job.latest_slip_days, job.name)
        )
        late = late[: max(0, min(LATEST, int((group.height - 0.75) / 0.17)))]
        if late:
            y += 0.1
            figure.text(0.16 / width, 1.0 - y / total, "The latest of them", size=7.5, va="center_baseline")
        labels = [slip_label(job) for job in late]
        left = 0.16 + 0.1 + max((text_width(figure, label, 7.5, bold=True) for label in labels), default=0.0)
        for job, label in zip(late, labels, strict=True):
            y += 0.17
            figure.text(0.16 / width, 1.0 - y / total, label, size=7.5, weight="bold", color=look.late,
                        va="center_baseline")  # fmt: skip
            title = shorten(figure, job.title, 7.5, room + 0.16 - left)
            figure.text(
                left / width, 1.0 - y / total, title, size=7.5, color=look.muted, va="center_baseline"
            )


def _note(group: Group) -> str:
    slips = [job.latest_slip_days for job in group.jobs if not math.isnan(job.slip_days)]
    parts = [f"{len(group.jobs):,} jobs" if len(group.jobs) != 1 else "1 job"]
    if slips:
        parts.append(f"{sum(job.late for job in group.jobs):,} late")
        parts.append(slip_words("median slip", float(np.median(slips))))
    return ", ".join(parts)
