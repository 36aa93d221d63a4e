"""How often to save: time lost against the interval between saves, with the optimum and what was used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from colossus_sim.formulas.reliability import efficiency, optimal_interval
from colossus_sim.plots.header import run_title, write_header
from colossus_sim.plots.panels import most, panel, panel_title, panels_figure
from colossus_sim.plots.series import column
from colossus_sim.plots.style import BLUE, GREEN, VERMILLION, theme, themed
from colossus_sim.units import DAY, HOUR, format_duration

_ROUND = (1.0, 4.0, 15.0, 60.0, 240.0, 900.0, HOUR, 4.0 * HOUR, DAY, 7.0 * DAY)
"""Intervals that are named on the axis. [s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """How one job saved and failed, measured from its intervals.

    Attributes
    ----------
    stall, interval, mtbf : float
        Mean stall per save, working time per save, and working time per stop. [s]
    """

    title: str
    stall: float
    interval: float
    mtbf: float


@themed
def draw_checkpoints(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return a panel per job: share of time lost to saves and lost work against the interval between saves."""
    found = savings(result)
    shown, part = most(found, excess, "those that lose most by their interval")
    figure = panels_figure(len(shown))
    head = f"{run_title(result)}: how often to save" if title is None else title
    note = (
        "curve: memoryless failures, restart time left out (Daly 2006); stall and MTBF as measured in the run"
    )
    write_header(figure, head, part + note if shown else "no job both saved and failed", dark=dark)
    for number, saving in enumerate(shown):
        axes = panel(figure, number, len(shown), left=0.75)
        _draw(axes, saving, dark=dark)
        text = (
            f"used {format_duration(saving.interval)}, best {format_duration(best(saving))}; stall "
            f"{format_duration(saving.stall)}, MTBF {format_duration(saving.mtbf)}"
        )
        panel_title(figure, axes, saving.title, text, dark=dark)
    return figure


def best(saving: Saving) -> float:
    """Return the interval that loses least. [s]"""
    return optimal_interval(saving.stall, saving.mtbf)


def excess(saving: Saving) -> float:
    """Return the share of time that the interval used loses more than the best one."""
    return lost_share(saving, saving.interval) - lost_share(saving, best(saving))


def lost_share(saving: Saving, interval: float) -> float:
    """Return the share of time lost to stalls and work done again, if saved every `interval` [s] of work."""
    kept = efficiency(interval, save_time=saving.stall, mtbf=saving.mtbf)
    return 1.0 - kept


def savings(result: Any) -> list[Saving]:
    """Return how each job saved that stalled for saves and was stopped at least once."""
    intervals, phases = result.tables["intervals"], result.tables["phases"]
    found = []
    for job in result.tables["jobs"].to_dict("records"):
        own = intervals[intervals["job"] == job["job"]]
        running = own[own["state"] == "running"]
        saves = float(np.nansum(column(own, "saves")))
        stalled = float(np.nansum(column(own, "checkpoint_s")))
        stops = float(np.nansum(column(phases[phases["job"] == job["job"]], "interruptions")))
        worked = float(np.nansum(column(running, "end_s") - column(running, "start_s"))) - stalled
        if saves <= 0.0 or stalled <= 0.0 or stops <= 0.0 or worked <= 0.0:
            continue
        title = str(job["title"]) if not pd.isna(job["title"]) and job["title"] else str(job["job"])
        found.append(Saving(title=title, stall=stalled / saves, interval=worked / saves, mtbf=worked / stops))
    return found


def _draw(axes: Axes, saving: Saving, *, dark: bool) -> None:
    look = theme(dark)
    optimum = best(saving)
    low, high = min(optimum, saving.interval) / 12.0, max(optimum, saving.interval) * 12.0
    grid = np.geomspace(low, high, 200)
    lost = np.array([lost_share(saving, float(t)) for t in grid])
    axes.plot(grid, lost, color=BLUE, linewidth=1.8, zorder=3.0)
    axes.fill_between(
        grid, saving.stall / (grid + saving.stall), color=BLUE, alpha=0.18, linewidth=0.0, zorder=2.0
    )
    for at, colour, marker in ((optimum, GREEN, "o"), (saving.interval, VERMILLION, "D")):
        axes.plot([at], [lost_share(saving, at)], linestyle="none", marker=marker, color=colour, markersize=6,
                  markeredgecolor=look.paper, zorder=4.0)  # fmt: skip
        axes.axvline(at, color=colour, linewidth=0.9, linestyle=(0, (4, 2)), zorder=2.5)
    top = min(1.0, 2.5 * max(lost_share(saving, optimum), lost_share(saving, saving.interval)))
    axes.set_ylim(0.0, max(top, 1e-3))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([t for t in _ROUND if low <= t <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_duration(value)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:g}"))
    axes.tick_params(labelsize=7.0)
    axes.set_xlabel("Work between saves (circle: best, diamond: used; shaded: stalls alone)", size=7.0)
    axes.set_ylabel("Time lost [%]", size=7.0)
    axes.grid(color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)
