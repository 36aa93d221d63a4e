"""Horizontal stacked bars with a label per row: the common frame of the accounting and slip pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from colossus_sim.plots.bars import Box, add_boxes, add_hatched
from colossus_sim.plots.style import STATE_LABELS, blend, legend, new_figure, shorten, swatch, text_on, theme

WIDTH, LEFT, RIGHT, HEADER = 13.0, 2.9, 1.25, 0.95
"""Width of the figure, margins, and height of the title. [in]"""
ROW_MIN, ROW_MAX, BODY = 0.22, 0.46, 4.4
"""Least and greatest height of a row, and the height that rows fill if they are few. [in]"""
MOST_ROWS = 40
"""Jobs that have a row: what can be read on one page."""

Look = Mapping[str, tuple[str, str]]
"""Colour and hatch of each part."""


def rows_figure(
    labels: Sequence[str], *, legend_lines: int, highest: float = ROW_MAX, body: float = BODY
) -> tuple[Figure, Axes, float]:
    """Return a figure, its panel (y counts rows from the top), and the height of a row. [in]"""
    count = max(1, len(labels))
    row = min(highest, max(ROW_MIN, body / count))
    foot = 0.75 + 0.21 * legend_lines
    height = HEADER + row * count + foot
    figure = new_figure(WIDTH, height)
    axes = figure.add_axes(
        (LEFT / WIDTH, foot / height, (WIDTH - LEFT - RIGHT) / WIDTH, 1.0 - (foot + HEADER) / height)
    )
    axes.set_ylim(count, 0.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(True)
    size = 9.0 if row > 0.3 else 7.0
    for number, label in enumerate(labels):
        middle = (foot + row * (count - number - 0.5)) / height
        figure.text(
            0.16 / WIDTH, middle, shorten(figure, label, size, LEFT - 0.3), size=size, va="center_baseline"
        )
    return figure, axes, row


def draw_parts(axes: Axes, parts: Sequence[Mapping[str, float]], look: Look, *, dark: bool) -> None:
    """Draw one stacked bar per row; positive parts go right from zero, negative ones left."""
    boxes: dict[str, list[Box]] = {name: [] for name in look}
    for number, row in enumerate(parts):
        right = left = 0.0
        for name in look:
            value = row.get(name, 0.0)
            if value > 0.0:
                boxes[name].append((right, right + value, number + 0.16, number + 0.84))
                right += value
            elif value < 0.0:
                boxes[name].append((left + value, left, number + 0.16, number + 0.84))
                left += value
    paper = theme(dark).paper
    for name, places in boxes.items():
        colour, hatch = look[name]
        if not places:
            continue
        if hatch:
            bars = add_hatched(axes, places, colour, hatch, dark=dark, zorder=2.0)
        else:
            bars = add_boxes(axes, places, [colour] * len(places), zorder=2.0, edge=paper)
        bars.set_gid(f"part-{name}")


def write_shares(
    axes: Axes, parts: Sequence[Mapping[str, float]], look: Look, *, row: float, dark: bool
) -> None:
    """Write the value in % into every part that has room for it; on a hatch it stands on a plate."""
    paper = theme(dark)
    for number, values in enumerate(parts):
        left = 0.0
        for name in look:
            value = values.get(name, 0.0)
            colour, hatch = look[name]
            if value >= (0.06 if hatch else 0.045):
                text = axes.text(left + 0.5 * value, number + 0.5, f"{value:.0%}", size=8.0 if row > 0.3 else 6.5,
                                 color=paper.ink if hatch else text_on(colour), ha="center", va="center_baseline",
                                 zorder=4.0)  # fmt: skip
                if hatch:
                    text.set_bbox(
                        {"facecolor": blend(colour, paper.paper, 0.25), "edgecolor": "none", "pad": 1.2}
                    )
            left += value


def share_axis(axes: Axes) -> None:
    """Make the x axis run from 0 to 100 %."""
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0, symbol=""))


def parts_legend(figure: Figure, names: Sequence[str], look: Look, *, dark: bool, columns: int = 7) -> None:
    """Write the legend of the parts at the bottom."""
    if names:
        legend(figure, [swatch(*look[name], dark) for name in names], [STATE_LABELS.get(n, n) for n in names],
               loc="lower left", bbox_to_anchor=(0.16 / WIDTH, 0.08 / figure.get_figheight()), ncols=columns,
               borderaxespad=0.0, handlelength=1.6, columnspacing=1.2)  # fmt: skip


def used(parts: Sequence[Mapping[str, float]], look: Look) -> list[str]:
    """Return the names of the parts that are large enough to be seen, in the order of `look`."""
    return [name for name in look if any(abs(row.get(name, 0.0)) > 5e-4 for row in parts)]
