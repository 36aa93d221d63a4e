"""Scaling of one job: step time and MFU against GPUs, at the same global batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from colossus_sim.errors import InfeasibleError, UsageError
from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import BLUE, GREY, VERMILLION, new_figure, theme, themed
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric
from colossus_sim.training.phases import build_phase_model

FACTORS = (1 / 16, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""GPUs tried, as multiples of what the job asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of a job.

    Attributes
    ----------
    gpus : int
        GPUs that compute.
    step_time, mfu : float
        Time of one step [s], and MFU of it.
    """

    gpus: int
    step_time: float
    mfu: float


def scaling_points(scenario: Scenario, job_name: str) -> tuple[list[Point], int]:
    """Return the sizes that are possible, and the GPUs that the job has, by the plan of its first training phase.

    Raises
    ------
    UsageError
        If the job has no training phase, or no size is possible.
    """
    job = scenario.jobs[job_name]
    phase = next((name for name, spec in job.phases.items() if spec.kind == "train"), "")
    if not phase:
        raise UsageError(f"job {job_name} has no training phase")
    site = scenario.cluster.sites[job.site]
    partition = job.partition or next(iter(site.partitions))
    fabric = build_fabric(site.topology, site.partitions[partition].gpu)
    found: dict[int, Point] = {}
    for factor in FACTORS:
        other = job.model_copy(update={"gpus": round(factor * job.gpus), "min_gpus": None, "max_gpus": None})
        changed = scenario.model_copy(update={"jobs": {**scenario.jobs, job_name: other}})
        try:
            model = build_phase_model(scenario=changed, job_name=job_name, phase_name=phase, site=job.site,
                                      partition_name=partition, fabric=fabric)  # fmt: skip
        except InfeasibleError:
            continue
        if model.reference is not None:
            step = model.reference
            found[step.gpus] = Point(gpus=step.gpus, step_time=step.step_time, mfu=step.mfu)
    if not found:
        raise UsageError(f"job {job_name}: no size of the job is possible")
    return [found[gpus] for gpus in sorted(found)], job.gpus


@themed
def draw_scaling(
    points: Sequence[Point], gpus: int, *, dark: bool = False, title: str | None = None, job: str = ""
) -> Figure:
    """Return step time (beside ideal scaling) and MFU against GPUs; a line marks what the job has."""
    figure = new_figure(11.0, 4.9)
    head = f"{job}: scaling at the same global batch" if title is None else title
    note = "alone and healthy, packed; sizes that the plan cannot use are left out; the dashed line is what it has"
    write_header(figure, head, note, dark=dark)
    look = theme(dark)
    x = [point.gpus for point in points]
    times = figure.add_axes((0.075, 0.13, 0.39, 0.66))
    ideal = [points[0].step_time * points[0].gpus / n for n in x]
    times.plot(x, ideal, color=GREY, linewidth=1.1, linestyle=(0, (2, 2)), label="ideal")
    times.plot(
        x, [p.step_time for p in points], color=BLUE, marker="o", markersize=4.5, linewidth=1.6, label="model"
    )
    times.set_yscale("log")
    times.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    times.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    times.yaxis.set_minor_formatter(NullFormatter())
    times.set_ylabel("Step time [s]")
    times.legend(loc="lower left", frameon=True, facecolor=look.paper, edgecolor="none", framealpha=1.0)
    shares = figure.add_axes((0.575, 0.13, 0.39, 0.66))
    shares.plot(x, [p.mfu for p in points], color=VERMILLION, marker="o", markersize=4.5, linewidth=1.6)
    shares.set_ylim(0.0, 1.25 * max(p.mfu for p in points))
    shares.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:g}"))
    shares.set_ylabel("MFU [%]")
    for axes in (times, shares):
        _finish(axes, x, gpus, look.grid, look.ink)
    return figure


def _finish(axes: Axes, x: Sequence[int], gpus: int, grid: str, ink: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.88 * min(x), 1.14 * max(x))
    axes.set_xticks([x[i] for i in sorted({0, len(x) // 3, 2 * len(x) // 3, len(x) - 1})])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("GPUs [count]")
    axes.grid(color=grid, linewidth=0.6)
    axes.axvline(gpus, color=ink, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1.5)
    axes.set_axisbelow(True)
