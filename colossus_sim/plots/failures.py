"""Failures by class: how many, which of them stopped a job."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colossus_sim.plots.bars import add_boxes
from colossus_sim.plots.header import run_span, run_title, write_header
from colossus_sim.plots.stacked import WIDTH, rows_figure
from colossus_sim.plots.style import VERMILLION, blend, legend, theme, themed

MOST_ROWS = 40
"""Classes that are shown, the most frequent first."""

_SPELLING = MappingProxyType({
    "gpu": "GPU", "hbm": "HBM", "nvlink": "NVLink", "nic": "NIC", "cpu": "CPU", "nccl": "NCCL", "ssd": "SSD",
    "io": "I/O", "sram": "SRAM", "dram": "DRAM", "pcie": "PCIe", "psu": "PSU", "bmc": "BMC",
})  # fmt: skip


@themed
def draw_failures(result: Any, *, dark: bool = False, title: str | None = None) -> Figure:
    """Return bars of failures per class, split into those that hit a job and those that did not. [count]"""
    counts = failure_counts(result)
    shown = dict(list(counts.items())[:MOST_ROWS])
    look = theme(dark)
    figure, axes, _ = rows_figure([spelled(name) for name in shown], legend_lines=1)
    total = sum(hit + missed for hit, missed in counts.values())
    hits = sum(hit for hit, _ in counts.values())
    head = f"{run_title(result)}: failures by class" if title is None else title
    write_header(
        figure, head, f"{total:,} failures, {hits:,} of them hit a job; {run_span(result)}", dark=dark
    )
    faces = (VERMILLION, blend(VERMILLION, look.paper, 0.35))
    boxes = [(0.0, float(hit), n + 0.16, n + 0.84) for n, (hit, _) in enumerate(shown.values())]
    others = [
        (float(hit), float(hit + missed), n + 0.16, n + 0.84)
        for n, (hit, missed) in enumerate(shown.values())
    ]
    for places, colour in zip((boxes, others), faces, strict=True):
        add_boxes(axes, places, [colour] * len(places), zorder=2.0, edge=look.paper)
    largest = max((hit + missed for hit, missed in shown.values()), default=1)
    axes.set_xlim(0.0, 1.04 * largest)
    axes.grid(axis="x", color=look.grid, linewidth=0.6)
    axes.set_xlabel("Failures [count]")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for number, (hit, missed) in enumerate(shown.values()):
        axes.text(1.012, number + 0.5, f"{hit + missed:,}", transform=axes.get_yaxis_transform(), size=8.5,
                  va="center_baseline")  # fmt: skip
    if not shown:
        axes.text(
            0.5, 0.5, "no failures", transform=axes.transAxes, ha="center", va="center", color=look.muted
        )
    handles = [Patch(facecolor=colour, edgecolor="none") for colour in faces]
    legend(figure, handles, ["hit a job", "hit no job"], loc="lower left", ncols=2, borderaxespad=0.0,
           bbox_to_anchor=(0.16 / WIDTH, 0.08 / figure.get_figheight()))  # fmt: skip
    return figure


def spelled(name: str) -> str:
    """Return the name of a class with its abbreviations as people write them."""
    return " ".join(_SPELLING.get(word, word) for word in name.split(" "))


def failure_counts(result: Any) -> dict[str, tuple[int, int]]:
    """Return per class how many failures hit a job and how many did not, most frequent first."""
    events = result.tables["events"]
    failed = events[events["kind"] == "failure"]
    found: dict[str, tuple[int, int]] = {}
    for name, own in failed.groupby(failed["subject"].fillna("").astype(str), sort=True):
        hit = int((own["job"].fillna("") != "").sum())
        found[str(name).replace("_", " ") or "unnamed"] = (hit, len(own) - hit)
    return dict(sorted(found.items(), key=lambda item: (-sum(item[1]), item[0])))
