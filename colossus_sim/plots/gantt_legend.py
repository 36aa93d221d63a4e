"""The legend of the Gantt chart: only what the chart shows, in labelled lines under it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from colossus_sim.plots.gantt_rows import Row
from colossus_sim.plots.roadmap import JobRow
from colossus_sim.plots.series import Levels
from colossus_sim.plots.strips import entries
from colossus_sim.plots.style import (
    FAMILIES,
    FAMILY_COLOURS,
    GREY,
    STATE_LABELS,
    WAIT_HATCHES,
    Theme,
    legend,
    swatch,
    theme,
)

Entries = tuple[list[Artist], list[str]]
LINE = 0.2
"""Height of a line of the legend. [in]"""


def draw_legend(figure: Figure, rows: Sequence[Row], levels: Levels, *, dark: bool) -> None:
    """Write the lines Phases, Waits, Marks and Cluster at the bottom of the figure."""
    width, height = (float(size) for size in figure.get_size_inches())
    lines = (
        ("Phases", _phases(rows)),
        ("Waits", _waits(rows, dark=dark)),
        ("Marks", _marks(rows, theme(dark))),
        ("Cluster", entries(dark, limit=not math.isnan(levels.power_limit))),
    )
    shown = [(name, content) for name, content in lines if content[0]]
    for number, (name, (handles, labels)) in enumerate(shown):
        middle = 0.12 + LINE * (len(shown) - 1 - number) + 0.5 * LINE
        figure.text(0.16 / width, middle / height, name, size=8.0, weight="bold", va="center")
        legend(figure, handles, labels, loc="center left", bbox_to_anchor=(0.78 / width, middle / height),
               ncols=len(handles), fontsize=8.0, borderpad=0.0, borderaxespad=0.0, handlelength=1.6,
               handleheight=0.9, columnspacing=1.3, handletextpad=0.5)  # fmt: skip


def _phases(rows: Sequence[Row]) -> Entries:
    used = {phase.family for row in rows for phase in row.job.phases}
    names = [family for family in FAMILIES if family in used]
    return [Patch(facecolor=FAMILY_COLOURS[name], edgecolor="none") for name in names], names


def _waits(rows: Sequence[Row], *, dark: bool) -> Entries:
    used = {state for row in rows for phase in row.job.phases for state, _, _ in phase.waits}
    names = [state for state in WAIT_HATCHES if state in used]
    handles: list[Artist] = [swatch(WAIT_HATCHES[n][0] or GREY, WAIT_HATCHES[n][1], dark) for n in names]
    return handles, [STATE_LABELS[name] for name in names]


def _open(jobs: Sequence[JobRow]) -> bool:
    """Say whether a reported outcome has no latest date, and so an arrow."""
    return any(math.isinf(latest) for job in jobs for _, latest in job.observed)


def _marks(rows: Sequence[Row], look: Theme) -> Entries:
    jobs = [row.job for row in rows]
    packed = any(row.packed for row in rows)

    def mark(shape: str, face: str, size: float = 5.5) -> Line2D:
        return Line2D([], [], linestyle="none", marker=shape, markersize=size, markerfacecolor=face,
                      markeredgecolor=look.edge, markeredgewidth=0.7)  # fmt: skip

    failure = Line2D(
        [], [], linestyle="none", marker="|", markersize=8, markeredgewidth=1.2, color=look.failure
    )
    late = Line2D([], [], color=look.late, linewidth=1.6)
    early = Line2D([], [], color=look.early, linewidth=1.6)
    ahead = Line2D([], [], color=look.muted, linewidth=1.2, linestyle=(0, (3, 2)))
    slow = Line2D([], [], color=look.ink, linewidth=3.0)
    verdicts = {job.verdict for job in jobs}
    choices = (
        (any(len(job.failures) for job in jobs), failure, "failures (stronger: more of them)"),
        (any(phase.slowed for job in jobs for phase in job.phases), slow,
         "slowed by other jobs"),
        (any(len(job.gates) for job in jobs), mark("D", "#F0E442"), "data ready"),
        (any(not math.isnan(row.target) for row in rows), mark(">", look.ink),
         "target of a late job" if packed else "target"),
        ("missed" in verdicts, late, "late"),
        ("met" in verdicts and not packed, early, "early or on time"),
        ("unknown" in verdicts and not packed, Line2D([], [], color=look.muted, linewidth=1.6),
         "not known: target after the simulated time"),
        (any(job.observed for job in jobs), mark("o", look.paper),
         "reported outcome (arrow: not by then)" if _open(jobs) else "reported outcome"),
        (any(math.isnan(job.finish) and not math.isnan(job.projected) for job in jobs), ahead,
         "projected, not simulated"),
    )  # fmt: skip
    kept = [(handle, text) for wanted, handle, text in choices if wanted]
    return [handle for handle, _ in kept], [text for _, text in kept]
