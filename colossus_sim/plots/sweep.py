"""Pictures of a sweep: lines with bands, heat map, tornado, cost against slip."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from colossus_sim.plots.changes import draw_changes
from colossus_sim.plots.header import write_header
from colossus_sim.plots.network_tradeoff import draw_network_tradeoff, has_tradeoff
from colossus_sim.plots.scatter import NUMBERS, draw_scatter, number_axis, short
from colossus_sim.plots.stacked import rows_figure
from colossus_sim.plots.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    draw_hollow,
    hatched,
    legend,
    new_figure,
    numeral,
    plain,
    shorten,
    text_on,
    text_width,
    theme,
    themed,
)  # fmt: skip
from colossus_sim.plots.views import Bar, Measured, Parameter, SweepView
from colossus_sim.results.words import open_mark

CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
"""Colours of lines."""
CELL = 4.3
"""Width of a panel where there are several. [in]"""
MAX_LINES, MAX_PANELS, MAX_BARS, MAX_FRONT = 6, 6, 25, 8
"""Lines in a panel, panels in a picture, bars of a tornado, points of a front that are named."""


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
    if view.sampled and view.measures:
        figures["scatter"] = draw_scatter(view, dark=dark)
    elif view.parameters:
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
    cell = CELL if columns > 1 else 2.0 * CELL
    width = cell * columns + 0.5
    groups = _line_groups(view)
    labels = [name for name, _ in groups]
    scratch = new_figure(width, 1.0)
    ncols = max(1, int((width - 0.5) / (0.6 + max(text_width(scratch, plain(name), 8.0) for name in labels))))
    lines = math.ceil(len(groups) / ncols) if len(groups) > 1 else 0
    slant = slanted(scratch, _places(view.parameters[0])[1], cell - 0.95)
    line, foot = 3.1 + slant, 0.15 + 0.21 * lines
    height = 0.95 + line * rows + foot
    figure = new_figure(width, height)
    note = f"{view.note}, bands: P10 to P90" if view.replicated else view.note
    write_header(figure, view.title, note, dark=dark, left=0.3)
    for index, measure in enumerate(measures):
        left = 0.75 + cell * (index % columns)
        bottom = height - 1.15 - line * (index // columns) - 2.25
        axes = figure.add_axes((left / width, bottom / height, (cell - 0.95) / width, 2.25 / height))
        _panel(axes, view, measure, groups, dark=dark)
        slant_ticks(axes, slant)
    if lines:
        handles = [Line2D([], [], color=CYCLE[k], linewidth=2.0, marker="o", markersize=4)
                   for k in range(len(groups))]  # fmt: skip
        legend(figure, handles, labels, loc="lower left", ncols=min(ncols, len(groups)),
               bbox_to_anchor=(0.2 / width, 0.02 / height))  # fmt: skip
    return figure


def slanted(figure: Figure, ticks: Sequence[str], room: float) -> float:
    """Return the height that tick labels take when they have to be slanted, 0 if they fit side by side. [in]"""
    widest = max((text_width(figure, plain(text), 8.0) for text in ticks), default=0.0)
    return 0.5 * widest if widest + 0.08 > room / max(1, len(ticks)) else 0.0


def slant_ticks(axes: Axes, slant: float) -> None:
    """Turn the labels of the x axis if they need to be."""
    for text in axes.get_xticklabels() if slant else ():
        text.set(rotation=30.0, ha="right", rotation_mode="anchor")


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
    for line, (colour, (_, points)) in enumerate(zip(CYCLE, groups, strict=False)):
        kept = sorted((p for p in points if not math.isnan(measure.mean[p])), key=lambda p: places[p])
        x = [places[p] for p in kept]
        low, high = [measure.low[p] for p in kept], [measure.high[p] for p in kept]
        joined = parameter.numbers is not None
        if joined:
            axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0.0)
        else:  # between names there is nothing that a line could mean
            x = [place + 0.14 * (line - 0.5 * (len(groups) - 1)) for place in x]
            axes.vlines(x, low, high, color=colour, alpha=0.22, linewidth=6.0)
        axes.errorbar(x, [measure.mean[p] for p in kept], yerr=[_zero(measure.half_width[p]) for p in kept],
                      color=colour, linewidth=1.8, marker="o", markersize=4.0, capsize=2.5, elinewidth=1.0,
                      linestyle="-" if joined else "none")  # fmt: skip
        cut = [(place, measure.mean[p]) for place, p in zip(x, kept, strict=True) if measure.is_open(p)]
        draw_hollow(axes, [place for place, _ in cut], [mean for _, mean in cut], colour, look.paper, 5.0)
    if ticks:
        axes.set_xticks(range(len(ticks)), [plain(text) for text in ticks])
    else:
        number_axis(axes, places)
    axes.set_xlabel(
        plain(short(parameter.name) + (f" [{parameter.unit}]" if parameter.unit and not ticks else ""))
    )
    axes.yaxis.set_major_formatter(NUMBERS)
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


@themed
def draw_heatmap(view: SweepView, measure: Measured, *, dark: bool = False) -> Figure:
    """Return the mean of a measure over two parameters, each cell with its number."""
    first, second = view.parameters[0], view.parameters[1]
    xs, ys = _places(first), _places(second)
    x_texts, y_texts = xs[1] or _sorted_texts(first), ys[1] or _sorted_texts(second)
    cells = np.full((len(y_texts), len(x_texts)), math.nan)
    cut: dict[tuple[int, int], str] = {}
    for point, value in enumerate(measure.mean):
        cell = y_texts.index(second.texts[point]), x_texts.index(first.texts[point])
        cells[cell] = value
        if measure.is_open(point):
            cut[cell] = open_mark(True, grows=measure.grows)
    width = max(7.0, 2.2 + 0.85 * len(x_texts))
    slant = slanted(new_figure(width, 1.0), x_texts, width - 2.0)
    foot = 0.75 + slant
    height = 1.15 + foot + max(1.6, 0.5 * len(y_texts))
    figure = new_figure(width, height)
    write_header(
        figure,
        f"{view.title}: {measure.label}",
        f"mean [{measure.unit}] \u00b7 {_heat_note(view.note)}",
        dark=dark,
    )
    axes = figure.add_axes((1.7 / width, foot / height, (width - 2.0) / width, 1.0 - (foot + 0.85) / height))
    image = axes.imshow(cells, aspect="auto", origin="lower", cmap="cividis")
    axes.set_xticks(range(len(x_texts)), [plain(text) for text in x_texts])
    slant_ticks(axes, slant)
    decimals = decimals_for([value for value in measure.mean if not math.isnan(value)])
    axes.set_yticks(range(len(y_texts)), [plain(text) for text in y_texts])
    axes.set_xlabel(plain(short(first.name)))
    axes.set_ylabel(plain(short(second.name)))
    for (row, column), value in np.ndenumerate(cells):
        if not math.isnan(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            ground = "#" + "".join(f"{round(255 * part):02X}" for part in (red, green, blue))
            text = cut.get((row, column), "") + numeral(value, decimals)
            axes.text(column, row, text, ha="center", va="center", color=text_on(ground),
                      size=8.5)  # fmt: skip
    axes.spines[:].set_visible(False)
    return figure


def _heat_note(note: str) -> str:
    return note.partition(";")[0].replace("hollow:", ">= or ~:")


def decimals_for(values: Sequence[float]) -> int:
    """Return how many decimals numbers that stand side by side need for three digits of the largest."""
    largest = max((abs(value) for value in values), default=0.0)
    return next((digits for digits, limit in enumerate((99.95, 9.995, 0.9995)) if largest >= limit), 3)


def _sorted_texts(parameter: Parameter) -> list[str]:
    order = dict(zip(parameter.texts, parameter.numbers or range(len(parameter.texts)), strict=True))
    return sorted(order, key=lambda text: order[text])


@themed
def draw_tornado(view: SweepView, measure: Measured, bars: Sequence[Bar], *, dark: bool = False) -> Figure:
    """Return the change of a measure against the central point, the most important unknown on top."""
    look = theme(dark)
    shown = list(bars[:MAX_BARS])
    figure, axes, _ = rows_figure([item.label for item in shown], legend_lines=1)
    centre = f"{numeral(measure.mean[0])} {measure.unit}"
    note = f"change of the mean against the central point, {centre} \u00b7 {view.note}"
    write_header(figure, f"{view.title}: {measure.label}", note, dark=dark)
    for number, item in enumerate(shown):
        for value, half, colour, cut in (
            (item.low, item.low_half_width, BLUE, item.low_open),
            (item.high, item.high_half_width, ORANGE, item.high_open),
        ):
            if math.isnan(value):
                continue
            # Where both ends move to the same side, the longer one lies below.
            longer = abs(value) >= max(_zero(abs(item.low)), _zero(abs(item.high)))
            axes.barh(number + 0.5, value, height=0.66 if longer else 0.34, color=colour,
                      zorder=2 if longer else 3, **hatched(cut, look))  # fmt: skip
            axes.errorbar(
                value, number + 0.5, xerr=_zero(half), color=look.ink, linewidth=0.8, capsize=2.0, zorder=4
            )
    axes.axvline(0.0, color=look.ink, linewidth=0.9, zorder=5)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.xaxis.set_major_formatter(NUMBERS)
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
    cut = [point for point in range(len(cost.mean)) if cost.is_open(point) or measure.is_open(point)]
    known = [math.nan if point in cut else value for point, value in enumerate(cost.mean)]
    front = pareto_front(known, measure.mean)
    shown = front[:MAX_FRONT]
    width, below = 11.0, 0.75
    height = 5.0 + below + 0.2 * len(shown)
    figure = new_figure(width, height)
    note = view.note.replace("hollow:", "hollow, not compared:")
    write_header(figure, f"{view.title}: cost against {measure.label}", note, dark=dark)
    foot = 0.6 + below + 0.2 * len(shown)
    axes = figure.add_axes((0.9 / width, foot / height, (width - 1.2) / width, 1.0 - (foot + 0.95) / height))
    axes.errorbar(cost.mean, measure.mean, xerr=[_zero(v) for v in cost.half_width], linestyle="none", marker="o",
                  yerr=[_zero(v) for v in measure.half_width], color=look.muted, markersize=4.5,
                  elinewidth=0.7)  # fmt: skip
    draw_hollow(
        axes, [cost.mean[p] for p in cut], [measure.mean[p] for p in cut], look.muted, look.paper, 5.0
    )
    axes.plot([cost.mean[p] for p in front], [measure.mean[p] for p in front], color=BLUE, marker="o",
              markersize=6.5, linewidth=1.4, zorder=4)  # fmt: skip
    line = below + 0.2 * len(shown) - 0.3
    figure.text(0.3 / width, line / height, "Not beaten by any other point:", size=8.5, weight="bold")
    for rank, point in enumerate(shown, start=1):
        axes.annotate(str(rank), (cost.mean[point], measure.mean[point]), xytext=(6, 5), size=9.0, weight="bold",
                      textcoords="offset points", color=look.ink)  # fmt: skip
        words = ", ".join(f"{short(item.name)} = {item.texts[point]}" for item in view.parameters[:4])
        values = f"{numeral(cost.mean[point])} {cost.unit}, {numeral(measure.mean[point])} {measure.unit}"
        text = shorten(figure, f"{rank}   {words}:  {values}", 8.0, width - 0.6)
        figure.text(0.3 / width, (line - 0.2 * rank) / height, text, size=8.0)
    axes.margins(0.14)
    axes.xaxis.set_major_formatter(NUMBERS)
    axes.yaxis.set_major_formatter(NUMBERS)
    axes.set_xlabel(plain(f"{cost.label} [{cost.unit}]"))
    axes.set_ylabel(plain(f"{measure.label} [{measure.unit}]"))
    axes.grid(color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure
