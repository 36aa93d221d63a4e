"""A figure of small panels, three to a line, each with a title and a note: one panel per job."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colossus_sim.plots.style import new_figure, shorten, theme

WIDTH, PANEL, HEADER, COLUMNS = 4.67, 2.75, 0.95, 3
"""Width and height of a panel, height of the title [in]; most panels per line."""
LEFT = 1.62
"""Room for the labels of a panel. [in]"""
MOST_PANELS = 12
"""Panels that are drawn: what can be read on one page."""

T = TypeVar("T")


def most(items: Sequence[T], weight: Callable[[T], float], words: str) -> tuple[list[T], str]:
    """Return what there is room for, and a note: all in their order, or those of the greatest weight first."""
    if len(items) <= MOST_PANELS:
        return list(items), ""
    shown = sorted(items, key=lambda item: -weight(item))[:MOST_PANELS]
    return shown, f"{len(shown)} of {len(items):,} jobs, {words}; "


def _columns(count: int) -> int:
    return min(COLUMNS, max(1, count))


def _width(count: int) -> float:
    """Width of a panel; one alone takes the space of two. [in]"""
    return WIDTH if count > 1 else 2.0 * WIDTH


def panels_figure(count: int) -> Figure:
    """Return an empty figure with room for so many panels."""
    lines = max(1, math.ceil(count / _columns(count)))
    return new_figure(_columns(count) * _width(count), HEADER + lines * PANEL + 0.15)


def panel(figure: Figure, number: int, count: int, *, left: float = LEFT) -> Axes:
    """Add a panel; panels are counted along the lines from the top left."""
    line, place = divmod(number, _columns(count))
    own = _width(count)
    width, height = (float(size) for size in figure.get_size_inches())
    bottom = 1.0 - (HEADER + (line + 1) * PANEL - 0.5) / height
    box = ((place * own + left) / width, bottom, (own - left - 0.4) / width, (PANEL - 0.98) / height)
    return figure.add_axes(box)


def panel_title(figure: Figure, axes: Axes, head: str, note: str, *, dark: bool) -> None:
    """Write title and note above a panel, from the left edge of its labels."""
    box = axes.get_position()
    width, height = (float(size) for size in figure.get_size_inches())
    left = (math.floor(box.x0 * width / WIDTH) * WIDTH + 0.2) / width
    room = WIDTH - 0.5
    figure.text(left, box.y1 + 0.27 / height, shorten(figure, head, 9.0, room, bold=True), size=9.0,
                weight="bold", va="baseline")  # fmt: skip
    figure.text(left, box.y1 + 0.1 / height, shorten(figure, note, 7.5, room), size=7.5,
                color=theme(dark).muted, va="baseline")  # fmt: skip
