"""Pictures of a sweep: lines with bands, heat map, tornado, cost against slip."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from colossus_sim.plots.changes import draw_changes
from colossus_sim.plots.header import write_header
from colossus_sim.plots.network_tradeoff import draw_network_tradeoff, has_tradeoff
from colossus_sim.plots.stacked import rows_figure
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
    shorten,
    text_on,
    theme,
    themed,
)  # fmt: skip
from colossus_sim.plots.views import Bar, Measured, Parameter, SweepView

CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
"""Colours of lines."""
MAX_LINES, MAX_PANELS, MAX_BARS = 6, 6, 25
"""Lines in a panel, panels in a picture, bars of a tornado."""


def sweep_figures(view: SweepView, *, dark: bool = False) -> dict[str, Figure]:
    """Return the pictures that a sweep allows, by name."""
    figures: dict[str, Figure] = {}
    for number, (measure, bars) in enumerate(view.tornado[:MAX_PANELS]):
        name = "tornado" if not number else f"tornado_{number + 1}"
        figures[name] = draw_tornado(view, measure, bars, dark=dark)
    if view.changes:
        figures["changes"] = draw_changes(view, dark=dark)
    if view.tornado or view.changes:
        return figures
    if view.parameters:
        figures["lines"] = draw_lines(view, dark=dark)
    if len(view.parameters) == 2 and view.measures and is_grid(view.parameters):
        figures["heatmap"] = draw_heatmap(view, view.measures[0], dark=dark)
    if has_tradeoff(view):
        figures["network_tradeoff"] = draw_network_tradeoff(view, dark=dark)
    if view.cost is not None and len(view.cost.mean) > 2 and view.measures:
        figures["pareto"] = draw_pareto(view, view.measures[0], view.cost, dark=dark)
    return figures


def is_grid(parameters: Sequence[Parameter]) -> bool:
    """Say whether the points are all combinations of the values of two parameters."""
    first, second = parameters[0].texts, parameters[1].texts
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len(first) == len(set(first)) * len(set(second)) and len(set(second)) > 1


@themed
def draw_lines(view: SweepView, *, dark: bool = False) -> Figure:
    """Return one panel per measure: mean against the first parameter, a band from P10 to P90."""
    measures = view.measures[:MAX_PANELS]
    columns = min(3, max(1, len(measures)))
    rows = max(1, math.ceil(len(measures) / columns))
    width, height = 4.3 * columns + 0.5, 3.1 * rows + 1.35
    figure = new_figure(width, height)
    write_header(figure, view.title, view.note, dark=dark, left=0.3)
    groups = _line_groups(view)
    for number, measure in enumerate(measures):
        left = 0.75 + 4.3 * (number % columns)
        bottom = height - 1.0 - 3.1 * (number // columns) - 2.4
        axes = figure.add_axes((left / width, bottom / height, 3.35 / width, 2.3 / height))
        _panel(axes, view, measure, groups, dark=dark)
    handles = [
        Line2D([], [], color=CYCLE[k], linewidth=2.0, marker="o", markersize=4) for k in range(len(groups))
    ]
    labels = [name for name, _ in groups]
    if len(groups) > 1:
        legend(figure, handles, labels, loc="lower left", ncols=min(6, len(groups)),
               bbox_to_anchor=(0.3 / width, 0.02))  # fmt: skip
    return figure


def _line_groups(view: SweepView) -> list[tuple[str, list[int]]]:
    """Return the lines: a name and the points of each."""
    count = len(view.parameters[0].texts)
    others = view.parameters[1:]
    if not others or any(len(set(item.texts)) > MAX_LINES for item in others[:1]):
        return [("", list(range(count)))]
    found: dict[str, list[int]] = {}
    for point in range(count):
        name = ", ".join(f"{short(item.name)} = {item.texts[point]}" for item in others)
        found.setdefault(name, []).append(point)
    return list(found.items())[:MAX_LINES]


def _panel(
    axes: Axes, view: SweepView, measure: Measured, groups: Sequence[tuple[str, list[int]]], *, dark: bool
) -> None:
    look = theme(dark)
    parameter = view.parameters[0]
    places, ticks = _places(parameter)
    for colour, (_, points) in zip(CYCLE, groups, strict=False):
        kept = sorted((p for p in points if not math.isnan(measure.mean[p])), key=lambda p: places[p])
        x = [places[p] for p in kept]
        axes.fill_between(x, [measure.low[p] for p in kept], [measure.high[p] for p in kept], color=colour,
                          alpha=0.16, linewidth=0.0)  # fmt: skip
        axes.errorbar(x, [measure.mean[p] for p in kept], yerr=[_zero(measure.half_width[p]) for p in kept],
                      color=colour, linewidth=1.8, marker="o", markersize=4.0, capsize=2.5,
                      elinewidth=1.0)  # fmt: skip
    if ticks:
        axes.set_xticks(range(len(ticks)), [plain(text) for text in ticks])
    elif _spread(places) > 30.0:
        axes.set_xscale("log")
    axes.set_xlabel(
        plain(short(parameter.name) + (f" [{parameter.unit}]" if parameter.unit and not ticks else ""))
    )
    axes.set_ylabel(plain(f"[{measure.unit}]"))
    axes.set_title(plain(measure.label), fontsize=9.5, weight="bold")
    axes.grid(color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _places(parameter: Parameter) -> tuple[list[float], list[str]]:
    """Return the place of each point on the axis, and the texts of the ticks if they are few or no numbers."""
    unique = list(dict.fromkeys(parameter.texts))
    if parameter.numbers is not None:
        order = dict(zip(parameter.texts, parameter.numbers, strict=True))
        unique.sort(key=lambda text: order[text])
        if len(unique) > 8:
            return list(parameter.numbers), []
    return [float(unique.index(text)) for text in parameter.texts], unique


def _spread(values: Sequence[float]) -> float:
    return max(values) / min(values) if min(values) > 0.0 else 0.0


def short(name: str) -> str:
    """Return the last two parts of a field path."""
    return ".".join(name.split(".")[-2:])


@themed
def draw_heatmap(view: SweepView, measure: Measured, *, dark: bool = False) -> Figure:
    """Return the mean of a measure over two parameters, each cell with its number."""
    first, second = view.parameters[0], view.parameters[1]
    xs, ys = _places(first), _places(second)
    x_texts, y_texts = xs[1] or _sorted_texts(first), ys[1] or _sorted_texts(second)
    cells = np.full((len(y_texts), len(x_texts)), math.nan)
    for point, value in enumerate(measure.mean):
        cells[y_texts.index(second.texts[point]), x_texts.index(first.texts[point])] = value
    width, height = max(7.0, 2.2 + 0.85 * len(x_texts)), 1.9 + max(1.6, 0.5 * len(y_texts))
    figure = new_figure(width, height)
    write_header(
        figure,
        f"{view.title}: {measure.label}",
        f"mean [{measure.unit}] \u00b7 {view.note.partition(';')[0]}",
        dark=dark,
    )
    axes = figure.add_axes((1.7 / width, 0.75 / height, (width - 2.0) / width, (height - 1.6) / height))
    image = axes.imshow(cells, aspect="auto", origin="lower", cmap="cividis")
    axes.set_xticks(range(len(x_texts)), [plain(text) for text in x_texts])
    axes.set_yticks(range(len(y_texts)), [plain(text) for text in y_texts])
    axes.set_xlabel(plain(short(first.name)))
    axes.set_ylabel(plain(short(second.name)))
    for (row, column), value in np.ndenumerate(cells):
        if not math.isnan(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            ground = "#" + "".join(f"{round(255 * part):02X}" for part in (red, green, blue))
            axes.text(
                column, row, plain(f"{value:.3g}"), ha="center", va="center", color=text_on(ground), size=8.5
            )
    axes.spines[:].set_visible(False)
    return figure


def _sorted_texts(parameter: Parameter) -> list[str]:
    order = dict(zip(parameter.texts, parameter.numbers or range(len(parameter.texts)), strict=True))
    return sorted(order, key=lambda text: order[text])


@themed
def draw_tornado(view: SweepView, measure: Measured, bars: Sequence[Bar], *, dark: bool = False) -> Figure:
    """Return the change of a measure against the central point, the most important unknown on top."""
    look = theme(dark)
    shown = list(bars[:MAX_BARS])
    figure, axes, _ = rows_figure([item.label for item in shown], legend_lines=1)
    note = f"change of the mean against the central point, {measure.mean[0]:.4g} {measure.unit} \u00b7 {view.note}"
    write_header(figure, f"{view.title}: {measure.label}", note, dark=dark)
    for number, item in enumerate(shown):
        for value, half, colour in (
            (item.low, item.low_half_width, BLUE),
            (item.high, item.high_half_width, ORANGE),
        ):
            if math.isnan(value):
                continue
            # Where both ends move to the same side, the longer one lies below.
            longer = abs(value) >= max(_zero(abs(item.low)), _zero(abs(item.high)))
            axes.barh(
                number + 0.5, value, height=0.66 if longer else 0.34, color=colour, zorder=2 if longer else 3
            )
            axes.errorbar(
                value, number + 0.5, xerr=_zero(half), color=look.ink, linewidth=0.8, capsize=2.0, zorder=4
            )
    axes.axvline(0.0, color=look.ink, linewidth=0.9, zorder=5)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_xlabel(plain(f"change of {measure.label} [{measure.unit}]"))
    legend(figure, [Patch(color=BLUE), Patch(color=ORANGE)], ["low end", "high end"], loc="lower left", ncols=2,
           bbox_to_anchor=(0.01, 0.01))  # fmt: skip
    return figure


def pareto_front(cost: Sequence[float], harm: Sequence[float]) -> list[int]:
    """Return the points of which no other is both cheaper and better, by cost."""
    known = [point for point in range(len(cost)) if not (math.isnan(cost[point]) or math.isnan(harm[point]))]
    front: list[int] = []
    for point in sorted(known, key=lambda p: (cost[p], harm[p])):
        if not front or harm[point] < harm[front[-1]]:
            front.append(point)
    return front


@themed
def draw_pareto(view: SweepView, measure: Measured, cost: Measured, *, dark: bool = False) -> Figure:
    """Return cost against a measure, a mark per point, the points that none beats joined."""
    look = theme(dark)
    figure = new_figure(11.0, 5.6)
    write_header(figure, f"{view.title}: cost against {measure.label}", view.note, dark=dark)
    axes = figure.add_axes((0.08, 0.13, 0.55, 0.69))
    front = pareto_front(cost.mean, measure.mean)
    axes.errorbar(cost.mean, measure.mean, xerr=[_zero(v) for v in cost.half_width], linestyle="none", marker="o",
                  yerr=[_zero(v) for v in measure.half_width], color=look.muted, markersize=4.5,
                  elinewidth=0.7)  # fmt: skip
    axes.plot([cost.mean[p] for p in front], [measure.mean[p] for p in front], color=BLUE, marker="o",
              markersize=6.5, linewidth=1.4, zorder=4)  # fmt: skip
    for number, point in enumerate(front[:12], start=1):
        axes.annotate(str(number), (cost.mean[point], measure.mean[point]), xytext=(6, 5), size=9.0, weight="bold",
                      textcoords="offset points", color=BLUE)  # fmt: skip
        words = ", ".join(f"{short(item.name)} = {item.texts[point]}" for item in view.parameters[:4])
        line = shorten(figure, f"{number}  {words}", 8.0, 3.6)
        figure.text(7.2 / 11.0, 0.80 - 0.042 * number, line, size=8.0)
    figure.text(7.2 / 11.0, 0.80, "Not beaten by any other point:", size=8.5, weight="bold")
    axes.margins(0.14)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_xlabel(plain(f"{cost.label} [{cost.unit}]"))
    axes.set_ylabel(plain(f"{measure.label} [{measure.unit}]"))
    axes.grid(color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure
