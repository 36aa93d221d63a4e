"""Bars, density strips and date axes that the time charts share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.dates import UTC, AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colossus_sim.plots.series import Floats
from colossus_sim.plots.style import RASTERISE_ABOVE, blend, theme
from colossus_sim.units import DAY, format_instant

Box = tuple[float, float, float, float]
"""left, right, top, bottom in data units."""


def add_boxes(
    axes: Axes, boxes: Sequence[Box], colours: Sequence[str], *, zorder: float, edge: str = "none"
) -> PolyCollection:
    """Add filled rectangles as one collection."""
    bars = PolyCollection(
        [_corners(box) for box in boxes],
        facecolors=list(colours),
        edgecolors=edge,
        linewidths=0.0 if edge == "none" else 0.5,
        zorder=zorder,
        rasterized=len(boxes) > RASTERISE_ABOVE,
    )
    axes.add_collection(bars, autolim=False)
    return bars


def add_hatched(
    axes: Axes, boxes: Sequence[Box], colour: str, hatch: str, *, dark: bool, zorder: float
) -> PolyCollection:
    """Add light rectangles with a hatch in their colour, as one collection."""
    bars = PolyCollection(
        [_corners(box) for box in boxes],
        facecolors=blend(colour, theme(dark).paper, 0.22),
        edgecolors=colour,
        linewidths=0.5,
        hatch=hatch,
        zorder=zorder,
        rasterized=len(boxes) > RASTERISE_ABOVE,
    )
    axes.add_collection(bars, autolim=False)
    return bars


def add_fade(axes: Axes, box: Box, colour: str, *, zorder: float, slices: int = 24) -> PolyCollection:
    """Add a rectangle that fades out towards the right."""
    left, right, top, bottom = box
    edges = np.linspace(left, right, slices + 1)
    alphas = 1.0 - (np.arange(slices) + 0.5) / slices
    bars = PolyCollection(
        [_corners((a, b, top, bottom)) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)],
        facecolors=[to_rgba(colour, alpha) for alpha in alphas.tolist()],
        edgecolors="none",
        linewidths=0.0,
        antialiaseds=False,
        zorder=zorder,
    )
    axes.add_collection(bars, autolim=False)
    return bars


def _corners(box: Box) -> list[tuple[float, float]]:
    left, right, top, bottom = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def count_marks(moments: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """Return centres and counts of the bins that hold at least one moment; moments outside are left out."""
    counts, _ = np.histogram(moments, bins=edges)
    busy = counts > 0
    centres = 0.5 * (edges[:-1] + edges[1:])
    return centres[busy], counts[busy].astype(np.float64)


def add_density(
    axes: Axes,
    marks: Sequence[tuple[Floats, Floats, float, float]],
    colour: str,
    *,
    zorder: float,
    width: float,
) -> LineCollection:
    """Add thin vertical marks, the more opaque the more events they stand for.

    Each of `marks` is (moments, counts, top, bottom); `width` is that of a mark. [points]
    """
    most = max((float(counts.max()) for _, counts, _, _ in marks if len(counts)), default=1.0)
    lines, colours = [], []
    for moments, counts, top, bottom in marks:
        for moment, count in zip(moments.tolist(), counts.tolist(), strict=True):
            lines.append([(moment, top), (moment, bottom)])
            colours.append(to_rgba(colour, 0.4 + 0.6 * math.sqrt(count / most) if most > 1 else 0.85))
    rug = LineCollection(
        lines,
        colors=colours or None,
        linewidths=width,
        capstyle="butt",
        zorder=zorder,
        rasterized=len(lines) > RASTERISE_ABOVE,
    )
    rug.set_gid("failures")
    axes.add_collection(rug, autolim=False)
    return rug


class _Dates(ConciseDateFormatter):
    """Dates, the first of them always with its year."""

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks."""
        labels: list[str] = super().format_ticks(values)  # type: ignore[no-untyped-call]
        if labels:
            year = format_instant(values[0] * DAY)[:4]
            if year not in labels[0]:
                labels[0] = f"{labels[0]}\n{year}"
        return labels


def date_axis(axes: Axes, *, top: bool = False, labels: bool = True) -> None:
    """Put dates (UTC) on the x axis."""
    locator = AutoDateLocator(tz=UTC, minticks=5, maxticks=14)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = _Dates(locator, tz=UTC, show_offset=False)  # type: ignore[no-untyped-call]
    formatter.formats = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]
    formatter.zero_formats = ["", "%b\n%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"]
    axes.xaxis.set_major_formatter(formatter)
    axes.tick_params(axis="x", length=3, top=top, bottom=not top, labeltop=top and labels,
                     labelbottom=not top and labels)  # fmt: skip


def count_axis(axes: Axes, largest: float) -> str:
    """Put GPU counts on the y axis in a readable unit and return its name, e.g. ``thousand``."""
    scale, name = (1e6, "million") if largest >= 2e6 else (1e3, "thousand") if largest >= 2e3 else (1.0, "")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:,g}"))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    return name


def power_axis(axes: Axes, largest: float) -> str:
    """Put power (data in MW) on the y axis in a readable unit and return the unit."""
    scale, unit = (1e3, "GW") if largest >= 2e3 else (1.0, "MW") if largest >= 1.0 else (1e-3, "kW")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / scale:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
    return unit
