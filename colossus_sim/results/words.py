"""Numbers and dates as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colossus_sim.units import DAY, format_duration

NONE = "-"
"""Shown where there is no value."""
SMALL_DAYS = 0.05
"""Times below this read as 0.0 days; causes of slip below it are not worth a word. [days]"""
OPEN_MARKS = (
    "unfinished: runs that the horizon cut off before what is measured had ended; >=: they enter with their end if "
    "nothing goes wrong any more, and with what was spent until then; ~: rests on such runs; never: some never end"
)
"""What the marks of `open_mark` mean."""


def day(text: str | None) -> str:
    """Return the date of an ISO moment."""
    return NONE if text is None else text[:10]


def number(value: float | None, digits: int) -> str:
    """Return a number with thousands separators."""
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a ratio in per cent."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def signed(days: float | None, *, unit: str = " d") -> str:
    """Return days with their sign."""
    return NONE if days is None else f"{days:+.1f}{unit}".replace("-0.0", "0.0").replace("+0.0", "0.0")


def length(days: float) -> str:
    """Return how long a time is, in days; one that would read as 0.0 of them in its own unit."""
    return f"{number(abs(days), 1)} days" if abs(days) >= SMALL_DAYS else format_duration(abs(days) * DAY)


def open_mark(unfinished: bool, *, grows: bool) -> str:
    """Return the mark of a mean over runs that the horizon cut off: ``>= `` if it can only grow, else ``~ ``."""
    return "" if not unfinished else ">= " if grows else "~ "


def open_note(mark: str, runs: str) -> str:
    """Return what a picture says of marks (hollow, hatched, ``>=``): on which runs they rest."""
    return f"{mark}: {runs} that the horizon cut off"


def never(gone: str | None) -> str:
    """Say that a job never ends, and from which moment on there are not enough GPUs for it; empty if it may end."""
    return f"never: too few GPUs there after {day(gone)}" if gone else ""


def bound(job: Mapping[str, Any], name: str, text: str | None) -> str:
    """Return the text of a quantile of a job's end or slip in ``forecast.json``.

    With ``>= `` if it is a lower bound; ``never`` if by then it ends in too few runs for want of GPUs.
    """
    if text is None:
        return "never" if job.get("never_ends") else "?"
    return f">= {text}" if job.get("is_lower_bound", {}).get(name) else text
