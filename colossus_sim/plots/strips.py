"""Utilization and power over time, as panels on a date axis."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from colossus_sim.plots.bars import count_axis, power_axis
from colossus_sim.plots.series import Floats, Levels
from colossus_sim.plots.style import GREEN, ORANGE, blend, theme

LAYERS = ("productive", "allocated, not productive", "down or stranded", "idle or spare")
"""Layers of the utilization panel, from the bottom; they add up to installed GPUs."""


def _colours(dark: bool) -> tuple[str, ...]:
    paper = theme(dark).paper
    return (GREEN, blend(GREEN, paper, 0.45), blend("#D55E00", paper, 0.75), blend("#8C8C8C", paper, 0.35))


def layers(levels: Levels) -> tuple[Floats, ...]:
    """Return the GPUs of each of `LAYERS`; they add up to installed GPUs."""
    allocated = np.minimum(levels.allocated, levels.installed)
    productive = np.minimum(levels.productive, allocated)
    unusable = np.minimum(levels.unusable, levels.installed - allocated)
    return productive, allocated - productive, unusable, levels.installed - allocated - unusable


def draw_gpus(axes: Axes, levels: Levels, *, dark: bool) -> None:
    """Draw stacked areas of GPUs by what they do, and the installed GPUs as a line."""
    stack = np.cumsum(np.vstack([np.zeros_like(levels.installed), *layers(levels)]), axis=0)
    for lower, upper, colour in zip(stack[:-1], stack[1:], _colours(dark), strict=True):
        axes.fill_between(
            _stairs(levels), _double(lower), _double(upper), color=colour, linewidth=0.0, zorder=2
        )
    axes.plot(_stairs(levels), _double(levels.installed), color=theme(dark).ink, linewidth=0.9, zorder=3)
    largest = float(levels.installed.max(initial=0.0))
    axes.set_ylim(0.0, 1.08 * largest if largest > 0 else 1.0)
    unit = count_axis(axes, largest)
    axes.set_ylabel(f"GPUs [{unit}]" if unit else "GPUs [count]")


def draw_power(axes: Axes, levels: Levels, *, dark: bool) -> None:
    """Draw power, and its limit if there is one."""
    look = theme(dark)
    colour = ORANGE
    axes.fill_between(_stairs(levels), 0.0, _double(levels.power), color=blend(colour, look.paper, 0.35),
                      linewidth=0.0, zorder=2)  # fmt: skip
    axes.plot(_stairs(levels), _double(levels.power), color=colour, linewidth=1.0, zorder=3)
    largest = float(levels.power.max(initial=0.0))
    if not math.isnan(levels.power_limit):
        largest = max(largest, levels.power_limit)
        axes.axhline(levels.power_limit, color=look.ink, linewidth=0.9, linestyle=(0, (5, 3)), zorder=4)
    axes.set_ylim(0.0, 1.12 * largest if largest > 0 else 1.0)
    axes.set_ylabel(f"Power [{power_axis(axes, largest)}]")


def entries(dark: bool, *, limit: bool) -> tuple[list[Artist], list[str]]:
    """Return handles and labels of the legend of both panels."""
    look = theme(dark)
    handles: list[Artist] = [Patch(facecolor=colour, edgecolor="none") for colour in _colours(dark)]
    labels = list(LAYERS)
    handles += [Line2D([], [], color=look.ink, linewidth=1.0), Line2D([], [], color=ORANGE, linewidth=1.5)]
    labels += ["installed", "power"]
    if limit:
        handles.append(Line2D([], [], color=look.ink, linewidth=1.0, linestyle=(0, (5, 3))))
        labels.append("power limit")
    return handles, labels


def shares(levels: Levels) -> tuple[float, float]:
    """Return allocated and productive GPU-time as shares of installed GPU-time."""
    widths = np.diff(levels.edges)
    installed = float(np.sum(levels.installed * widths))
    if installed <= 0.0:
        return 0.0, 0.0
    return float(np.sum(levels.allocated * widths)) / installed, float(
        np.sum(levels.productive * widths)
    ) / installed


def _stairs(levels: Levels) -> Floats:
    return np.repeat(levels.edges, 2)[1:-1]


def _double(values: Floats) -> Floats:
    return np.repeat(values, 2)
