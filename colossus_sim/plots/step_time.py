"""From arithmetic to wall time: what one training step of each job is spent on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from colossus_sim.plots.bars import add_boxes
from colossus_sim.plots.header import run_title, write_header
from colossus_sim.plots.panels import most, panel, panel_title, panels_figure
from colossus_sim.plots.series import column
from colossus_sim.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    theme,
    themed,
)
from colossus_sim.units import format_duration

SMALLEST = 0.01
"""Parts below this share of the step are added to ``small parts``."""

_GROUPS = (
    (GREEN, ("gemm", "attention", "elementwise")),
    (SKY, ("recomputation", "quantisation", "launch", "optimizer")),
    (BLUE, ("tensor_communication", "context_communication", "expert_communication", "pipeline_communication",
            "data_communication", "overlap_slowdown")),
    (ORANGE, ("bubble", "imbalance")),
    (VERMILLION, ("straggler", "overhead")),
)  # fmt: skip


@themed
def draw_step_time(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return a waterfall per job: the parts of its first phase's step add up to the step time; MFU is noted."""
    found = steps(result)
    shown, part = most(found, lambda step: float(step.gpus), "those with most GPUs")
    figure = panels_figure(len(shown))
    head = f"{run_title(result)}: what a training step is spent on" if title is None else title
    note = (
        f"{part}first phase of each job, alone and healthy; parts on the critical path; MFU of the dense peak"
    )
    if not shown:
        note = "no step estimates are known for this run"
    write_header(figure, head, note, dark=dark)
    for number, step in enumerate(shown):
        axes = panel(figure, number, len(shown))
        _draw_waterfall(axes, step, dark=dark)
        panel_title(figure, axes, step.title, _note(step), dark=dark)
    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One training step of a job: its parts [s], and what it is measured against."""

    title: str
    phase: str
    parts: Mapping[str, float]
    gpus: int
    mfu: float
    precision: str

    @property
    def time(self) -> float:
        """Step time. [s]"""
        return math.fsum(self.parts.values())


def steps(result: Any) -> tuple[Step, ...]:
    """Return the step of the first phase of each job that has an estimate, from the table ``step_time``."""
    table = result.tables["step_time"]
    phases = {(row["job"], row["phase"]): row for row in result.tables["phases"].to_dict("records")}
    titles = {row["job"]: row["title"] for row in result.tables["jobs"].to_dict("records")}
    found: dict[str, Step] = {}
    for (job, phase), part in table.groupby(["job", "phase"], sort=False):
        row = phases.get((job, phase))
        if job in found or row is None:
            continue
        found[job] = Step(
            title=str(titles.get(job) or job),
            phase=str(phase),
            parts=dict(zip(part["part"].astype(str), (column(part, "time_ms") / 1e3).tolist(), strict=True)),
            gpus=int(row["gpus_wanted"]),
            mfu=float(row["mfu_modelled"]),
            precision=str(row["precision"]),
        )
    return tuple(found.values())


def visible_parts(parts: Mapping[str, float], step_time: float) -> dict[str, float]:
    """Return the parts worth a bar of their own; the others are added up as ``small parts``."""
    large = {name: value for name, value in parts.items() if value >= SMALLEST * step_time}
    small = math.fsum(value for name, value in parts.items() if name not in large)
    return {**large, "small parts": small} if small > 0.0 else large


def _colour(part: str) -> str:
    return next((colour for colour, names in _GROUPS if part in names), GREY)


def _draw_waterfall(axes: Axes, step: Step, *, dark: bool) -> None:
    look = theme(dark)
    parts = visible_parts(step.parts, step.time)
    scale, unit = (1.0, "s") if step.time >= 1.0 else (1e3, "ms")
    boxes, colours, left = [], [], 0.0
    for number, (part, value) in enumerate(parts.items()):
        boxes.append((left * scale, (left + value) * scale, number + 0.12, number + 0.88))
        colours.append(_colour(part))
        axes.text((left + value) * scale, number + 0.5, f" {value / step.time:.0%}", size=6.5, color=look.muted,
                  va="center_baseline", zorder=4.0)  # fmt: skip
        left += value
    count = len(parts)
    boxes.append((0.0, left * scale, count + 0.12, count + 0.88))
    colours.append(look.ink)
    add_boxes(axes, boxes, colours, zorder=2.0)
    axes.set_ylim(count + 1, 0)
    axes.set_xlim(0.0, 1.12 * left * scale)
    axes.set_yticks(
        [n + 0.5 for n in range(count + 1)],
        [*(part.replace("_", " ") for part in parts), "step time"],
        size=7.0,
    )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7.0)
    axes.set_xlabel(f"Time of one step [{unit}]", size=7.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_axisbelow(True)


def _note(step: Step) -> str:
    note = f"{step.phase} \u00b7 {format_duration(step.time)} \u00b7 {step.gpus:,} GPUs"
    return note if math.isnan(step.mfu) else f"{note} \u00b7 MFU {step.mfu:.1%} of {step.precision} peak"
