"""Picture of a sampled sweep: every measure against every field, a mark per point."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import BLUE, draw_hollow, new_figure, numeral, plain, shorten, theme, themed
from colossus_sim.plots.views import Measured, Parameter, SweepView

NUMBERS = FuncFormatter(lambda value, _: numeral(value))
"""Ticks with thousands separators."""
CELL, LINE = 3.7, 3.0
"""Width and height of a panel with its labels. [in]"""
MOST = 6
"""Fields and measures that have panels."""
DECADES = 30.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""


@themed
def draw_scatter(view: SweepView, *, dark: bool = False) -> Figure:
    """Return a row of panels per measure and a column per field; no line joins points that differ in all fields."""
    fields, measures = view.parameters[:MOST], view.measures[:MOST]
    width, height = CELL * len(fields) + 0.6, LINE * len(measures) + 1.0
    figure = new_figure(width, height)
    write_header(figure, view.title, view.note, dark=dark, left=0.3)
    for row, measure in enumerate(measures):
        for column, field in enumerate(fields):
            left, bottom = 0.85 + CELL * column, height - 1.15 - LINE * row - 2.15
            axes = figure.add_axes((left / width, bottom / height, (CELL - 0.85) / width, 2.15 / height))
            _panel(axes, field, measure, dark=dark)
            axes.set_title(
                plain(shorten(figure, measure.label, 9.5, CELL - 0.9)), fontsize=9.5, weight="bold"
            )
            axes.set_xlabel(plain(shorten(figure, _label(field), 9.0, CELL - 0.6)))
    return figure


def _panel(axes: Axes, field: Parameter, measure: Measured, *, dark: bool) -> None:
    values = field.numbers or ()
    known = [point for point, _ in enumerate(values) if not math.isnan(measure.mean[point])]
    x, y = [values[point] for point in known], [measure.mean[point] for point in known]
    half = [0.0 if math.isnan(measure.half_width[point]) else measure.half_width[point] for point in known]
    axes.errorbar(x, y, yerr=half, color=BLUE, linestyle="none", marker="o", markersize=4.0, elinewidth=0.9,
                  alpha=0.8)  # fmt: skip
    cut = [point for point in known if measure.is_open(point)]
    draw_hollow(axes, [values[p] for p in cut], [measure.mean[p] for p in cut], BLUE, theme(dark).paper, 5.0)
    number_axis(axes, values)
    axes.yaxis.set_major_formatter(NUMBERS)
    axes.set_ylabel(plain(f"[{measure.unit}]"))
    axes.grid(color=theme(dark).grid, linewidth=0.6)
    axes.set_axisbelow(True)


def number_axis(axes: Axes, values: Sequence[float]) -> None:
    """Give the x axis plain numbers, on a logarithmic scale if the values are far apart."""
    if values and min(values) > 0.0 and max(values) > DECADES * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(NUMBERS)


def _label(field: Parameter) -> str:
    return f"{short(field.name)} [{field.unit}]" if field.unit else short(field.name)


def short(name: str) -> str:
    """Return the last two parts of a field path."""
    return ".".join(name.split(".")[-2:])
