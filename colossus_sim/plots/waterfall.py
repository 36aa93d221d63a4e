"""Slip of each job as a waterfall: from the target, cause by cause, to the end."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from colossus_sim.plots.bars import Box, add_boxes
from colossus_sim.plots.header import run_title, write_header
from colossus_sim.plots.panels import most, panel, panel_title, panels_figure
from colossus_sim.plots.series import column
from colossus_sim.plots.style import theme, themed

SMALLEST = 0.02
"""Causes below this share of the largest one are added to ``small causes``."""


@themed
def draw_waterfall(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return a panel per job with a target: causes of slip, largest first, and their sum. [days]"""
    found = slip_groups(result)
    shown, part = most(list(found.items()), lambda item: math.fsum(item[1].values()), "the latest ones")
    figure = panels_figure(len(shown))
    head = f"{run_title(result)}: from target to end, cause by cause" if title is None else title
    note = f"{part}days along the critical path; causes add up to the slip; start is the target date"
    write_header(figure, head, note if shown else "no job has a target date", dark=dark)
    for number, (name, groups) in enumerate(shown):
        axes = panel(figure, number, len(shown))
        _draw(axes, groups, dark=dark)
        total = math.fsum(groups.values())
        panel_title(figure, axes, name, f"slip {total:+,.1f} d".replace("-", "\u2212"), dark=dark)
    return figure


def slip_groups(result: Any) -> dict[str, dict[str, float]]:
    """Return slip by group of causes of each job with a target, largest first. [days]"""
    found: dict[str, dict[str, float]] = {}
    table = result.tables["slip"]
    causes = dict(tuple(table.groupby("job", sort=False)))
    for job in result.tables["jobs"].to_dict("records"):
        mine = causes.get(job["job"])
        if mine is None or pd.isna(job["slip_days"]):
            continue
        groups: dict[str, float] = {}
        words = mine["group"].where(mine["group"].notna(), mine["cause"]).astype(str)
        for name, days in zip(words, column(mine, "slip_days").tolist(), strict=True):
            groups[name] = groups.get(name, 0.0) + days
        title = str(job["title"]) if not pd.isna(job["title"]) and job["title"] else str(job["job"])
        label = title if title not in found else f"{title} ({job['job']})"
        found[label] = _ordered(groups)
    return found


def _ordered(groups: dict[str, float]) -> dict[str, float]:
    largest = max((abs(days) for days in groups.values()), default=0.0)
    kept = {name: days for name, days in groups.items() if abs(days) >= SMALLEST * largest and days}
    small = math.fsum(days for name, days in groups.items() if name not in kept)
    ordered = dict(sorted(kept.items(), key=lambda item: (-abs(item[1]), item[0])))
    return {**ordered, "small causes": small} if abs(small) > 1e-9 else ordered


def _draw(axes: Axes, groups: dict[str, float], *, dark: bool) -> None:
    look = theme(dark)
    boxes: list[Box] = []
    colours, at = [], 0.0
    lowest = highest = 0.0
    for number, days in enumerate(groups.values()):
        boxes.append((min(at, at + days), max(at, at + days), number + 0.14, number + 0.86))
        colours.append(look.late if days > 0 else look.early)
        at += days
        lowest, highest = min(lowest, at), max(highest, at)
    count = len(groups)
    boxes.append((min(0.0, at), max(0.0, at), count + 0.14, count + 0.86))
    colours.append(look.ink)
    add_boxes(axes, boxes, colours, zorder=2.0).set_gid("causes")
    room = 0.22 * max(highest - lowest, 1.0)
    axes.set_xlim(lowest - 0.3 * room, highest + room)
    axes.set_ylim(count + 1, 0)
    for number, (box, days) in enumerate(zip(boxes, [*groups.values(), at], strict=True)):
        axes.text(box[1] + 0.04 * room, number + 0.5, f"{days:+.1f}".replace("-", "\u2212"), size=6.5,
                  color=look.muted, va="center_baseline", zorder=4.0,
                  bbox={"facecolor": look.paper, "edgecolor": "none", "pad": 0.3})  # fmt: skip
    axes.axvline(0.0, color=look.ink, linewidth=0.8, zorder=3.0)
    axes.set_yticks([n + 0.5 for n in range(count + 1)], [*groups, "slip"], size=7.0)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.0)
    axes.set_xlabel("Days after the target [days]", size=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)
