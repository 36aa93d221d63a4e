"""The title lines of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from colossus_sim.plots.roadmap import JobRow
from colossus_sim.plots.series import end_of, start_of
from colossus_sim.plots.style import plain, shorten, text_width, theme
from colossus_sim.units import DAY, format_instant

_SIZES = (15.0, 14.0, 13.0, 12.0, 11.0)
"""Sizes of a title, the one to begin with first. [pt]"""


def run_title(result: Any) -> str:
    """Return the scenario's title, or its name where only the tables are known."""
    scenario = getattr(result, "scenario", None)
    if scenario is not None and scenario.title not in ("", "untitled"):
        return str(scenario.title)
    for frame in result.tables.values():
        if frame.attrs.get("scenario"):
            return str(frame.attrs["scenario"])
    return "Simulated run"


def run_span(result: Any) -> str:
    """Return first and last simulated day, in words."""
    first, last = start_of(result.tables), end_of(result) * DAY
    return f"simulated {format_instant(first)} to {format_instant(last)} (UTC)"


def write_header(figure: Figure, head: str, note: str, *, dark: bool, left: float = 0.16) -> None:
    """Write a title and a line under it at the top left; a long title shrinks before it is cut."""
    width, height = (float(size) for size in figure.get_size_inches())
    room = width - left - 0.2
    fitting = (size for size in _SIZES if text_width(figure, plain(head), size, bold=True) <= room)
    size = next(fitting, _SIZES[-1])
    figure.text(left / width, 1.0 - 0.33 / height, shorten(figure, head, size, room, bold=True), size=size,
                weight="bold", va="baseline")  # fmt: skip
    figure.text(left / width, 1.0 - 0.6 / height, shorten(figure, note, 9.5, room), size=9.5,
                color=theme(dark).muted, va="baseline")  # fmt: skip


def draw_header(
    figure: Figure, result: Any, jobs: Sequence[JobRow], *, title: str | None, dark: bool
) -> None:
    """Write the title of the Gantt chart and what it comes to: jobs done, late, median slip, failures."""
    write_header(figure, run_title(result) if title is None else title, headline(result, jobs), dark=dark)


def signed_days(days: float) -> str:
    """Return days with their sign, whole from ten days on: ``+0.4 d``, ``-38 d``."""
    digits = 0 if abs(days) >= 10.0 else 1
    return f"{round(days, digits) + 0.0:+,.{digits}f} d".replace("-", "\u2212")


def slip_words(words: str, days: float) -> str:
    """Return a slip behind what it is, e.g. ``median slip +0.4 d``; infinite: ``never``."""
    return f"{words}: never" if math.isinf(days) else f"{words} {signed_days(days)}"


def headline(result: Any, jobs: Sequence[JobRow]) -> str:
    """Return one line on the outcome."""
    if not jobs:
        return f"no jobs; {run_span(result)}"
    done = sum(not math.isnan(job.finish) for job in jobs)
    parts = [
        f"{done} of {len(jobs)} jobs finished" if len(jobs) > 1 else "finished" if done else "not finished"
    ]
    slips = [job.latest_slip_days for job in jobs if not math.isnan(job.slip_days)]
    verdicts = [job.verdict for job in jobs if job.verdict != "none"]
    late, unknown = verdicts.count("missed"), verdicts.count("unknown")
    words = "projected slip" if any(job.slip_is_lower_bound for job in jobs) else "slip"
    if len(slips) == 1:
        became = "after the simulated time" if unknown else "missed" if late else "met"
        parts.append(f"target {became}, {slip_words(words, slips[0])}")
    elif slips:
        median = slip_words(f"median {words}", float(np.median(slips)))
        open_text = f", {unknown} not known (after the simulated time)" if unknown else ""
        parts.append(f"{late} of {len(slips)} targets missed{open_text}, {median}")
    failures = sum(len(job.failures) for job in jobs)
    parts.append(f"{failures:,} failures hit jobs" if failures != 1 else "1 failure hit a job")
    parts.append(run_span(result))
    return "  \u00b7  ".join(parts)
