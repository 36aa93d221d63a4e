"""What the intervals of a run come to: the columns of its rows, and the GPU time of each job in each partition."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from colossus_sim.engine.kernel.jit import compiled, entry_point
from colossus_sim.engine.kernel.steps import CAUSE
from colossus_sim.engine.recorder import FULL_POWER, GPU_STATE, STATE_OF
from colossus_sim.sums import ends, two_sum

_STRANDED = GPU_STATE["stranded"]
_PLANNED, _SLOWER, _FEWER, _PLACEMENT = (
    CAUSE[name] for name in ("planned", "slower_step", "fewer_gpus", "placement")
)
_CONTENTION, _DEGRADED, _LOST, _CHECKPOINT = (
    CAUSE[name] for name in ("contention", "degraded", "lost_work", "checkpoint")
)
_LOSSES = (_CHECKPOINT, _SLOWER, _FEWER, _PLACEMENT, _CONTENTION, _DEGRADED, _LOST)
"""Causes of a stretch of work besides what was planned, which is the rest of its length."""
_two_sum, _ends = compiled(two_sum), compiled(ends)


class Columns(NamedTuple):
    """Columns of the intervals that last, one number each; written by `fill`."""

    phase: Any
    state: Any
    start: Any
    end: Any
    gpus: Any
    units: Any
    saves: Any
    causes: Any
    """`CAUSES` x intervals. [s]"""
    open: Any
    """1 where `planned` is not settled: which number the sum of the others is nearest to remains open."""


@entry_point
def fill(entries: Any, count: int, columns: Columns) -> int:
    """Write the columns of the first `count` entries that last; return how many do."""
    rows = 0
    for number in range(count):
        entry = entries[number]
        length = entry.end - entry.start
        if not entry.end > entry.start:
            continue
        columns.phase[rows], columns.state[rows] = entry.phase, entry.state
        columns.start[rows], columns.end[rows] = entry.start, entry.end
        columns.gpus[rows], columns.saves[rows] = entry.gpus, entry.saves
        columns.units[rows] = 0.0
        columns.open[rows] = 0
        for cause in range(len(STATE_OF)):
            columns.causes[cause, rows] = 0.0
        if entry.cause >= 0:
            columns.causes[entry.cause, rows] = length
        else:
            columns.units[rows] = entry.kept
            work(entry, length, columns, rows)
        rows += 1
    return rows


@compiled
def work(entry: Any, length: float, columns: Columns, row: int) -> None:
    """Write the causes of a stretch of work, as `engine.recorder.Entry.causes` does."""
    causes, kept = columns.causes, entry.kept
    causes[_CHECKPOINT, row] = entry.stalled
    causes[_SLOWER, row] = kept * (entry.reference - entry.planned)
    causes[_FEWER, row] = kept * (entry.packed - entry.reference)
    causes[_PLACEMENT, row] = kept * (entry.alone - entry.packed)
    causes[_CONTENTION, row] = kept * (entry.shared - entry.alone)
    causes[_DEGRADED, row] = kept * (entry.actual - entry.shared)
    causes[_LOST, row] = max(0.0, (entry.done - entry.begun - kept) * entry.actual)
    total = missing = size = 0.0
    for cause in _LOSSES:
        total, rest = _two_sum(total, causes[cause, row])
        missing, lost = _two_sum(missing, rest)
        size += abs(lost)
    low, high = _ends(total, missing, size, len(_LOSSES))
    if low == high and abs(low) < math.inf:
        causes[_PLANNED, row] = length - low
    else:
        columns.open[row] = 1


def settle(columns: Columns, row: int) -> None:
    """Write what was planned of a stretch of work where `fill` left it open."""
    length = float(columns.end[row] - columns.start[row])
    columns.causes[_PLANNED, row] = length - math.fsum(columns.causes[list(_LOSSES), row].tolist())


@entry_point
def gpu_seconds(entries: Any, count: int, causes: Any, owners: Any, spent: Any) -> None:
    """Add up the GPU time of the entries that last, in their order.

    Parameters
    ----------
    entries, count
        As for `fill`, which has written `causes`.
    owners : array of int
        Job of each phase.
    spent : array
        Partition x job x (`GPU_STATES`, full power, number of entries), zero at first. [GPU-s]
    """
    row = 0
    for number in range(count):
        entry = entries[number]
        if not entry.end > entry.start:
            continue
        if entry.held > 0:
            mine = spent[entry.part, owners[entry.phase]]
            length = entry.end - entry.start
            mine[_STRANDED] += (entry.held - entry.gpus) * length
            for cause in range(len(STATE_OF)):
                mine[STATE_OF[cause]] += causes[cause, row] * entry.gpus
            mine[FULL_POWER] += length * entry.gpus * entry.power
            mine[FULL_POWER + 1] += 1.0
        row += 1
