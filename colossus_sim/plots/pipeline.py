"""The pipeline schedule of one training step: who works on which micro-batch, when."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from colossus_sim.plots.bars import add_boxes
from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    blend,
    legend,
    new_figure,
    text_on,
    theme,
    themed,
)
from colossus_sim.training.timeline import StepTimeline
from colossus_sim.units import format_duration

WIDTH, LEFT, RIGHT, HEADER, FOOT = 15.0, 0.95, 0.3, 0.85, 0.85
"""Width of the figure and margins. [in]"""
UNSEEN = 2e-4
"""What follows the pipeline for a shorter share of the step is not in the legend: a fraction of a pixel."""
KINDS = {"F": (BLUE, "forward"), "B": (GREEN, "backward"), "W": (SKY, "weight gradients")}
"""Colour and words of each kind of pass."""
TAIL = {
    "data_communication": (ORANGE, "gradient and weight exchange"),
    "optimizer": (YELLOW, "optimizer"),
    "straggler": (VERMILLION, "stragglers"),
    "overhead": (GREY, "overhead"),
    "other": (PURPLE, "other"),
}
"""Colour and words of what follows the pipeline."""


@themed
def draw_pipeline(step: StepTimeline, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return the schedule of one step: a row per stage; numbers are micro-batches, later chunks are paler."""
    row = min(0.42, max(0.16, 5.0 / step.stages))
    height = HEADER + row * step.stages + FOOT
    figure = new_figure(WIDTH, height)
    head = f"{step.job}: one training step of {step.phase}" if title is None else title
    busy = sum(work.end - work.start for work in step.passes) / (step.stages * step.pipeline_time)
    schedule = step.schedule.replace("_", " ").replace("1f1b", "1F1B")
    plural = "s" if step.stages > 1 else ""
    note = (
        f"{schedule}, {step.stages} stage{plural}, {step.microbatches} micro-batches; step "
        f"{format_duration(step.step_time)}, bubbles take {1.0 - busy:.1%} of the pipeline's time"
    )
    if any(work.chunk for work in step.passes):
        note += "; later chunks of layers are " + ("darker" if dark else "paler")
    write_header(figure, head, note, dark=dark)
    box = (LEFT / WIDTH, FOOT / height, (WIDTH - LEFT - RIGHT) / WIDTH, 1.0 - (HEADER + FOOT) / height)
    axes = figure.add_axes(box)
    scale, unit = (1.0, "s") if step.step_time >= 1.0 else (1e3, "ms")
    axes.set_xlim(0.0, step.step_time * scale)
    axes.set_ylim(step.stages, 0.0)
    axes.set_yticks([n + 0.5 for n in range(step.stages)], [f"stage {n}" for n in range(step.stages)],
                    size=min(8.0, 60 * row))  # fmt: skip
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"Time from the start of the step [{unit}]")
    _draw_passes(axes, step, scale, row, dark=dark)
    _draw_legend(figure, step, dark=dark)
    return figure


def _draw_passes(axes: Axes, step: StepTimeline, scale: float, row: float, *, dark: bool) -> None:
    paper = theme(dark).paper
    chunks = 1 + max(work.chunk for work in step.passes)
    boxes, colours = [], []
    inch = (WIDTH - LEFT - RIGHT) / (step.step_time * scale)
    for work in step.passes:
        colour = blend(KINDS[work.kind][0], paper, 1.0 - 0.6 * work.chunk / chunks)
        left, right = work.start * scale, work.end * scale
        boxes.append((left, right, work.stage + 0.06, work.stage + 0.94))
        colours.append(colour)
        if (right - left) * inch > 0.17 and row > 0.2:
            axes.text(0.5 * (left + right), work.stage + 0.5, str(work.microbatch), size=6.5, ha="center",
                      va="center_baseline", color=text_on(colour), zorder=4.0)  # fmt: skip
    idle = [(0.0, step.pipeline_time * scale, n + 0.06, n + 0.94) for n in range(step.stages)]
    add_boxes(axes, idle, [theme(dark).grid] * step.stages, zorder=1.0)
    for name, start, end in step.tail:
        boxes += [(start * scale, end * scale, n + 0.06, n + 0.94) for n in range(step.stages)]
        colours += [TAIL[name][0]] * step.stages
    edge = paper if len(boxes) < 3000 else "none"
    add_boxes(axes, boxes, colours, zorder=2.0, edge=edge).set_gid("passes")


def _draw_legend(figure: Figure, step: StepTimeline, *, dark: bool) -> None:
    used = {work.kind for work in step.passes}
    looks = [look for kind, look in KINDS.items() if kind in used]
    looks += [TAIL[name] for name, start, end in step.tail if end - start > UNSEEN * step.step_time]
    if step.stages > 1:
        looks.append((theme(dark).grid, "bubble"))
    handles = [Patch(facecolor=colour, edgecolor="none") for colour, _ in looks]
    legend(figure, handles, [words for _, words in looks], loc="lower left", ncols=len(looks), borderaxespad=0.0,
           bbox_to_anchor=(0.16 / WIDTH, 0.1 / figure.get_figheight()))  # fmt: skip
