"""What a thinner network costs each job and what it saves, from a sweep that measures the network's bill too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    legend,
    new_figure,
    plain,
    theme,
    themed,
)
from colossus_sim.plots.views import Measured, SweepView
from colossus_sim.units import format_usd

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
LINES: tuple[tuple[str, Literal["-", ":"]], ...] = (
    *((colour, "-") for colour in COLOURS),
    *((colour, ":") for colour in COLOURS),
)
"""Colour and dash of the jobs, in order."""
MAX_COLUMNS = 3
"""Values of the second parameter that are drawn."""
COST, POWER = "cluster.network_cost_MUSD", "cluster.network_power_MW"
_NEAR = {"million USD": ("thousand USD", "billion USD"), "MW": ("kW", "GW")}
"""Units a thousand times smaller and larger."""
_ROWS = (
    (".wall_clock_days", 1.0, "longer by [days]"),
    (".mfu", 100.0, "MFU, change [percentage points]"),
)


def has_tradeoff(view: SweepView) -> bool:
    """Say whether a sweep has what the picture shows: one or two parameters, days or MFU of jobs, and the bill."""
    names = {item.name for item in view.measures}
    some = any(name.endswith(ending) for name in names for ending, *_ in _ROWS)
    return some and {COST, POWER} <= names and len(view.parameters) in (1, 2)


@themed
def draw_network_tradeoff(view: SweepView, *, dark: bool = False) -> Figure:
    """Return changes of days and MFU against the first value of the first parameter, beside cost and power.

    A column per value of the second parameter, a line per job; the last column is the bill of materials.
    """
    width, height = 13.6, 7.6
    figure = new_figure(width, height)
    groups = _columns(view)
    write_header(figure, view.title, _answer(view, groups) or view.note, dark=dark, left=0.3)
    columns = len(groups) + 1
    jobs = list(dict.fromkeys(_job(item) for item in view.measures if item.name.startswith("jobs.")))
    for row, (ending, scale, label) in enumerate(_ROWS):
        chosen = [item for item in view.measures if item.name.endswith(ending)]
        left_axes: Axes | None = None
        for column, (name, points) in enumerate(groups):
            axes = figure.add_axes(_place(row, column, columns), sharey=left_axes)
            for item in chosen:
                colour, dash = LINES[jobs.index(_job(item)) % len(LINES)]
                values = [scale * (item.mean[p] - item.mean[points[0]]) for p in points]
                axes.plot(
                    range(len(points)), values, color=colour, linestyle=dash, marker="o", markersize=4.0
                )
            _finish(axes, view, points, name if row == 0 else "", dark=dark)
            axes.set_ylabel(label if left_axes is None else "")
            axes.tick_params(labelleft=left_axes is None)
            left_axes = left_axes or axes
        bill = next(item for item in view.measures if item.name == (COST, POWER)[row])
        axes = figure.add_axes(_place(row, columns - 1, columns))
        _bill(axes, view, bill, groups[0][1], dark=dark)
    handles = [
        Line2D([], [], color=LINES[k % len(LINES)][0], linestyle=LINES[k % len(LINES)][1], linewidth=2.0)
        for k in range(len(jobs))
    ]
    legend(figure, handles, jobs, loc="lower left", ncols=min(7, len(jobs)), bbox_to_anchor=(0.022, 0.005))
    return figure


def _answer(view: SweepView, groups: Sequence[tuple[str, list[int]]]) -> str:
    """Return in one line what each value costs the job that it delays most, and what it saves."""
    days = [item for item in view.measures if item.name.endswith(_ROWS[0][0])]
    cost = next(item for item in view.measures if item.name == COST)
    parts = []
    for place in range(1, len(groups[0][1])):
        delays = [
            item.mean[points[place]] - item.mean[points[0]]
            for item in days
            for _, points in groups
            if place < len(points)
        ]
        known = [delay for delay in delays if not math.isnan(delay)]
        if known:
            points = groups[0][1]
            saved = cost.mean[points[0]] - cost.mean[points[place]]
            parts.append(f"{_value(view, points[place])} {max(known):.2g} days, {format_usd(1e6 * saved)}")
    first = _value(view, groups[0][1][0])
    return (
        f"Most that a job is delayed against {first}, and what is saved: " + "; ".join(parts) if parts else ""
    )


def _scale(unit: str, largest: float) -> tuple[float, str]:
    """Return by what to multiply numbers of a unit, and the unit then, so that the largest is easy to read."""
    smaller, larger = _NEAR.get(unit, ("", ""))
    if smaller and largest < 1.0:
        return 1e3, smaller
    return (1e-3, larger) if larger and largest >= 1e3 else (1.0, unit)


def _value(view: SweepView, point: int) -> str:
    parameter = view.parameters[0]
    return parameter.texts[point].removesuffix(":1") + (
        ":1" if parameter.name.endswith("oversubscription") else ""
    )


def _job(item: Measured) -> str:
    return item.label.partition(", ")[2] or item.label


def _place(row: int, column: int, columns: int) -> tuple[float, float, float, float]:
    step = 0.93 / columns
    left = 0.055 + column * step + (0.025 if column == columns - 1 else 0.0)
    return left, 0.545 - 0.405 * row, step - (0.035 if column == columns - 1 else 0.022), 0.3


def _columns(view: SweepView) -> list[tuple[str, list[int]]]:
    """Return the points of each column, in order of the first parameter."""
    first = view.parameters[0]
    count = len(first.texts)
    order = first.numbers or tuple(float(list(first.texts).index(text)) for text in first.texts)
    if len(view.parameters) == 1:
        return [("", sorted(range(count), key=lambda p: order[p]))]
    second = view.parameters[1]
    found: dict[str, list[int]] = {}
    for point in range(count):
        found.setdefault(second.texts[point], []).append(point)
    name = second.name.rpartition(".")[2]
    return [
        (f"{name}: {text}", sorted(points, key=lambda p: order[p]))
        for text, points in list(found.items())[:MAX_COLUMNS]
    ]


def _finish(axes: Axes, view: SweepView, points: Sequence[int], title: str, *, dark: bool) -> None:
    """Ticks, grid and title of a panel."""
    look = theme(dark)
    parameter = view.parameters[0]
    axes.set_xticks(range(len(points)), [plain(_value(view, point)) for point in points])
    axes.set_title(plain(title), fontsize=10.0, weight="bold")
    axes.set_xlabel(plain(parameter.name.rpartition(".")[2]))
    axes.axhline(0.0, color=look.muted, linewidth=0.8)
    axes.grid(color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)


def _bill(axes: Axes, view: SweepView, item: Measured, points: Sequence[int], *, dark: bool) -> None:
    """Bars of cost or power, each with what it saves against the first."""
    means = [item.mean[p] for p in points]
    scale, unit = _scale(item.unit, max((abs(mean) for mean in means if not math.isnan(mean)), default=0.0))
    values = [scale * mean for mean in means]
    axes.bar(range(len(points)), values, color=BLUE, width=0.6)
    for place, value in enumerate(values):
        saved = value - values[0]
        text = f"{value:.3g}" + (f"\n({saved:+.2g})" if place and not math.isnan(saved) else "")
        axes.annotate(text, (place, value), ha="center", va="bottom", size=8.5, xytext=(0, 2),
                      textcoords="offset points")  # fmt: skip
    axes.margins(y=0.24)
    _finish(axes, view, points, "network: " + ("cost" if item.name == COST else "power"), dark=dark)
    axes.set_ylabel(plain(f"[{unit}]"))
