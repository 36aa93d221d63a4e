"""What named changes are worth: a bar per change and measure, with its interval and its number."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import (
    BLUE,
    VERMILLION,
    hatched,
    new_figure,
    plain,
    shorten,
    text_width,
    theme,
    themed,
)
from colossus_sim.plots.views import Change, Measured, SweepView

_WIDTH, _LEFT, _RIGHT, _HEAD, _FOOT, _ROW, _GAP = 13.0, 4.3, 0.35, 1.15, 0.75, 0.42, 0.35
"""Figure width, most room for the labels, margins, height of a row, and distance between panels. [in]"""
_MAX_PANELS = 3


@themed
def draw_changes(view: SweepView, *, dark: bool = False) -> Figure:
    """Return a row per change, in the order of the sweep, and a panel per measure."""
    panels = view.changes[:_MAX_PANELS]
    labels = [item.label for item in panels[0][1]]
    height = _HEAD + _ROW * len(labels) + _FOOT
    figure = new_figure(_WIDTH, height)
    runs = view.note.partition(";")[0]
    what = "each change alone, on the same random failures \u00b7 blue better, orange worse, 95 % intervals"
    note = f"{what} \u00b7 {runs}"
    write_header(figure, view.title, note, dark=dark)
    for number, label in enumerate(labels):
        middle = (_FOOT + _ROW * (len(labels) - number - 0.5)) / height
        text = shorten(figure, label, 10.0, _LEFT - 0.4)
        figure.text(0.16 / _WIDTH, middle, text, size=10.0, va="center_baseline")
    start = min(_LEFT, 0.5 + max(text_width(figure, plain(label), 10.0) for label in labels))
    room = (_WIDTH - start - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    for number, (measure, changes) in enumerate(panels):
        left = start + number * (room + _GAP)
        box = (left / _WIDTH, _FOOT / height, room / _WIDTH, _ROW * len(labels) / height)
        _panel(figure.add_axes(box), measure, changes, dark=dark)
    return figure


def _panel(axes: Axes, measure: Measured, changes: Sequence[Change], *, dark: bool) -> None:
    look = theme(dark)
    ends = [0.0]
    for number, item in enumerate(changes):
        if math.isnan(item.mean):
            axes.text(0.0, number + 0.5, "  no runs", size=8.5, va="center_baseline", color=look.muted)
            continue
        half = 0.0 if math.isnan(item.half_width) else item.half_width
        colour = look.muted
        if measure.more_is_better is not None:
            colour = BLUE if (item.mean > 0.0) == measure.more_is_better else VERMILLION
        axes.barh(number + 0.5, item.mean, height=0.62, color=colour, zorder=2, **hatched(item.open, look))
        axes.errorbar(
            item.mean, number + 0.5, xerr=half, color=look.ink, linewidth=0.9, capsize=2.5, zorder=4
        )
        ends += [item.mean - half, item.mean + half]
    for number, item in enumerate(changes):
        if not math.isnan(item.mean):
            _number(axes, number, item)
    _make_room(axes, min(ends), max(ends))
    axes.set_ylim(len(changes), 0.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0.0, color=look.ink, linewidth=0.9, zorder=5)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    unit = f" [{measure.unit}]" if measure.unit not in ("", "1", "ratio") else ""
    axes.set_title(plain(f"{measure.label}{unit}"), fontsize=10.5, weight="bold")
    now = f"{measure.mean[0]:.3g}".replace("-", "\u2212")
    axes.set_xlabel(plain(f"change; as it is: {now} {measure.unit if unit else ''}".rstrip()))


def _make_room(axes: Axes, low: float, high: float) -> None:
    """Set the x limits so that the numbers beyond the bars lie inside the panel."""
    figure = axes.get_figure(root=True)
    if not isinstance(figure, Figure):
        return
    words = [text_width(figure, text.get_text(), 9.0) for text in axes.texts]
    label = max(words, default=0.0) + 0.15
    width = axes.get_position().width * figure.get_figwidth()
    sides = (low < 0.0) + (high > 0.0)
    # Data units per inch of what is left beside the labels; at least a fifth of the panel is for the bars.
    unit = ((high - low) or 1.0) / max(width - sides * label, 0.2 * width)
    axes.set_xlim(low - unit * (label if low < 0.0 else 0.05), high + unit * (label if high > 0.0 else 0.05))


def _number(axes: Axes, row: int, item: Change) -> None:
    """Write the value and its interval beyond the end of the bar."""
    half = 0.0 if math.isnan(item.half_width) else item.half_width
    sign = 1.0 if item.mean >= 0.0 else -1.0
    text = f"{item.mean:+.{_digits(item.mean)}f}".replace("-", "\u2212")
    if half:
        text += f" \u00b1 {half:.{_digits(item.mean)}f}"
    axes.annotate(text, (item.mean + sign * half, row + 0.5), (5.0 * sign, 0.0), textcoords="offset points",
                  size=9.0, va="center_baseline", ha="left" if sign > 0.0 else "right")  # fmt: skip


def _digits(value: float) -> int:
    return 1 if abs(value) >= 1.0 or value == 0.0 else 2 if abs(value) >= 0.1 else 3
