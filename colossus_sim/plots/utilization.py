"""GPUs and power over time, site by site."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colossus_sim.plots.bars import date_axis
from colossus_sim.plots.gantt import site_title
from colossus_sim.plots.header import run_span, run_title, write_header
from colossus_sim.plots.series import Levels, end_of, levels, start_of
from colossus_sim.plots.strips import draw_gpus, draw_power, entries, shares
from colossus_sim.plots.style import legend, new_figure, shorten, theme, themed
from colossus_sim.units import DAY

WIDTH, LEFT, RIGHT, HEADER, FOOT = 13.0, 0.85, 0.3, 1.05, 0.35
"""Width of the figure, its margins, and the heights above and below the panels. [in]"""
GPUS, POWER, GAP = 2.1, 1.05, 0.72
"""Heights of the panels of a site, and the space for the title of each. [in]"""
BINS = 700
"""Columns of the panels."""


@themed
def draw_utilization(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return GPUs of each site over time by what they do, and its power against its limit."""
    sites = sorted(set(result.tables["utilization"]["site"].astype(str))) or [""]
    first = start_of(result.tables) / DAY
    edges = np.linspace(first, max(end_of(result), first + 1.0), BINS + 1)
    block = GPUS + 0.15 + POWER + GAP
    figure = new_figure(WIDTH, HEADER + len(sites) * block + FOOT)
    head = f"{run_title(result)}: utilization and power" if title is None else title
    write_header(figure, head, run_span(result), dark=dark)
    limited = False
    for number, site in enumerate(sites):
        shown = levels(result, edges, site=site)
        limited |= not np.isnan(shown.power_limit)
        _draw_site(figure, HEADER + number * block, shown, site_title(result, site), dark=dark)
    handles, labels = entries(dark, limit=limited)
    legend(figure, handles, labels, loc="lower left", bbox_to_anchor=(0.16 / WIDTH, 0.1 / figure.get_figheight()),
           ncols=len(handles), borderaxespad=0.0, handlelength=1.6)  # fmt: skip
    return figure


def _draw_site(figure: Figure, top: float, shown: Levels, name: str, *, dark: bool) -> None:
    allocated, productive = shares(shown)
    head = shorten(figure, name, 10.5, 6.0, bold=True)
    gpus = _panel(figure, top, GPUS, shown, dark=dark)
    draw_gpus(gpus, shown, dark=dark)
    gpus.set_title(head, size=10.5, weight="bold")
    gpus.set_title(f"{allocated:.0%} allocated, {productive:.0%} productive of installed GPU-time", loc="right",
                   size=8.5, color=theme(dark).muted)  # fmt: skip
    date_axis(gpus, labels=False)
    power = _panel(figure, top + GPUS + 0.15, POWER, shown, dark=dark)
    draw_power(power, shown, dark=dark)
    date_axis(power)


def _panel(figure: Figure, top: float, height: float, shown: Levels, *, dark: bool) -> Axes:
    total = figure.get_figheight()
    axes = figure.add_axes(
        (LEFT / WIDTH, 1.0 - (top + height) / total, (WIDTH - LEFT - RIGHT) / WIDTH, height / total)
    )
    axes.set_xlim(shown.edges[0], shown.edges[-1])
    axes.grid(color=theme(dark).grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.yaxis.set_label_coords(-0.55 / (WIDTH - LEFT - RIGHT), 0.5)
    return axes
