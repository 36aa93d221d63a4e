"""What the intervals of a run come to: sums for each phase, GPU time of each job, and the columns of the rows."""

from __future__ import annotations

from typing import Any, NamedTuple

from colossus_sim.engine.kernel.jit import compiled, entry_point
from colossus_sim.engine.kernel.steps import CAUSE
from colossus_sim.engine.recorder import FULL_POWER, GPU_STATE, STATE_OF
from colossus_sim.records import CAUSES, UNDISTURBED

_STRANDED = GPU_STATE["stranded"]
_PLANNED, _SLOWER, _FEWER, _PLACEMENT = (
    CAUSE[name] for name in ("planned", "slower_step", "fewer_gpus", "placement")
)
_CONTENTION, _DEGRADED, _LOST, _CHECKPOINT = (
    CAUSE[name] for name in ("contention", "degraded", "lost_work", "checkpoint")
)
_LOSSES = (_CHECKPOINT, _SLOWER, _FEWER, _PLACEMENT, _CONTENTION, _DEGRADED, _LOST)
"""Causes of a stretch of work besides what was planned, which is the rest of its length."""
_UNDISTURBED = tuple(CAUSE[name] for name in UNDISTURBED)

SUMS = ("elapsed", "held", "undisturbed", "units", "tokens", "model_flops", "saves")
"""What is added up for each phase besides the seconds of each cause, as in `intervals.PhaseTotals`."""
_NUMBERS = len(CAUSES)
ELAPSED, HELD, FREE_RUN, UNITS, TOKENS, FLOPS, SAVES = range(_NUMBERS, _NUMBERS + len(SUMS))
MOST_PARTS = 42
"""Most floats that do not overlap: all bits of the largest and of the smallest, 53 in each."""


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


class Sums(NamedTuple):
    """What `add_up` reads and writes."""

    owners: Any
    """Job of each phase."""
    per_unit: Any
    """Phase x (tokens, model FLOPs) of a unit."""
    parts: Any
    """Phase x sum (those of the causes, then `SUMS`) x part: floats that do not overlap, the largest last."""
    counts: Any
    """Phase x sum: number of parts; zero at first."""
    results: Any
    """Phase x sum, rounded once; then the start of the first interval and the end of the last, 0 and -1 at first.
    [s]"""
    spent: Any
    """Partition x job x (`GPU_STATES`, full power, number of entries), zero at first. [GPU-s]"""
    scratch: Any
    """Two rows of `MOST_PARTS` numbers."""


# -- exact sums ------------------------------------------------------------------------------------------


@compiled
def add(parts: Any, count: int, value: float) -> int:
    """Add a number to the `count` parts of a sum; return how many there are then.

    As `math.fsum` does it: Shewchuk 1997, Discrete Comput. Geom. 18, GROW-EXPANSION, doi:10.1007/PL00009321.
    """
    kept = 0
    for place in range(count):
        other = parts[place]
        if abs(value) < abs(other):
            value, other = other, value
        total = value + other
        rest = other - (total - value)
        if rest != 0.0:
            parts[kept] = rest
            kept += 1
        value = total
    if value != 0.0:
        parts[kept] = value
        kept += 1
    return kept


@compiled
def rounded(parts: Any, count: int) -> float:
    """Return a sum, rounded once: half to even, as by `math.fsum`."""
    if not count:
        return 0.0
    place = count - 1
    total, rest = parts[place], 0.0
    while place > 0 and rest == 0.0:
        place -= 1
        value, other = total, parts[place]
        total = value + other
        rest = other - (total - value)
    if place > 0 and rest != 0.0 and (rest < 0.0) == (parts[place - 1] < 0.0):
        # what is still smaller decides where the rest is just half a unit
        further = total + 2.0 * rest
        if 2.0 * rest == further - total:
            total = further
    return float(total)


# -- one interval ----------------------------------------------------------------------------------------


@compiled
def causes_of(entry: Any, causes: Any, parts: Any) -> None:
    """Write the seconds of each cause of an interval, as `engine.recorder.Entry.causes` does."""
    length, kept = entry.end - entry.start, entry.kept
    for cause in range(_NUMBERS):
        causes[cause] = 0.0
    if entry.cause >= 0:
        causes[entry.cause] = length
        return
    causes[_CHECKPOINT] = entry.stalled
    causes[_SLOWER] = kept * (entry.reference - entry.planned)
    causes[_FEWER] = kept * (entry.packed - entry.reference)
    causes[_PLACEMENT] = kept * (entry.alone - entry.packed)
    causes[_CONTENTION] = kept * (entry.shared - entry.alone)
    causes[_DEGRADED] = kept * (entry.actual - entry.shared)
    causes[_LOST] = max(0.0, (entry.done - entry.begun - kept) * entry.actual)
    count = 0
    for cause in _LOSSES:
        count = add(parts, count, causes[cause])
    causes[_PLANNED] = length - rounded(parts, count)


@compiled
def undisturbed(causes: Any, parts: Any) -> float:
    """Return the seconds of an interval in which the phase made the progress that its GPUs allow."""
    count = 0
    for cause in _UNDISTURBED:
        count = add(parts, count, causes[cause])
    return rounded(parts, count)


# -- a run -----------------------------------------------------------------------------------------------


@entry_point
def fill(entries: Any, count: int, columns: Columns, scratch: Any) -> int:
    """Write the columns of the first `count` entries that last; return how many do."""
    rows = 0
    causes, parts = scratch[0], scratch[1]
    for number in range(count):
        entry = entries[number]
        if not entry.end > entry.start:
            continue
        columns.phase[rows], columns.state[rows] = entry.phase, entry.state
        columns.start[rows], columns.end[rows] = entry.start, entry.end
        columns.gpus[rows], columns.saves[rows] = entry.gpus, entry.saves
        columns.units[rows] = entry.kept
        causes_of(entry, causes, parts)
        for cause in range(_NUMBERS):
            columns.causes[cause, rows] = causes[cause]
        rows += 1
    return rows


@entry_point
def add_up(entries: Any, count: int, sums: Sums) -> None:
    """Add up the first `count` entries that last, in their order."""
    causes, parts = sums.scratch[0], sums.scratch[1]
    first, last = _NUMBERS + len(SUMS), _NUMBERS + len(SUMS) + 1
    for number in range(count):
        entry = entries[number]
        if not entry.end > entry.start:
            continue
        causes_of(entry, causes, parts)
        if entry.held > 0:
            add_gpu_time(entry, causes, sums.spent[entry.part, sums.owners[entry.phase]])
        add_interval(entry, causes, sums, undisturbed(causes, parts))
        mine = sums.results[entry.phase]
        mine[first] = entry.start if mine[last] < 0.0 else min(mine[first], entry.start)
        mine[last] = max(mine[last], entry.end)
    for phase in range(sums.counts.shape[0]):
        for place in range(sums.counts.shape[1]):
            sums.results[phase, place] = rounded(sums.parts[phase, place], sums.counts[phase, place])


@compiled
def add_gpu_time(entry: Any, causes: Any, mine: Any) -> None:
    """Add the GPU time of an interval to that of its job."""
    length = entry.end - entry.start
    mine[_STRANDED] += (entry.held - entry.gpus) * length
    for cause in range(_NUMBERS):
        mine[STATE_OF[cause]] += causes[cause] * entry.gpus
    mine[FULL_POWER] += length * entry.gpus * entry.power
    mine[FULL_POWER + 1] += 1.0


@compiled
def add_interval(entry: Any, causes: Any, sums: Sums, free_run: float) -> None:
    """Add an interval to the sums of its phase."""
    phase = entry.phase
    length = entry.end - entry.start
    parts, counts = sums.parts[phase], sums.counts[phase]
    for cause in range(_NUMBERS):
        if causes[cause] != 0.0:
            counts[cause] = add(parts[cause], counts[cause], causes[cause])
    counts[ELAPSED] = add(parts[ELAPSED], counts[ELAPSED], length)
    counts[HELD] = add(parts[HELD], counts[HELD], entry.gpus * length)
    if free_run != 0.0:
        counts[FREE_RUN] = add(parts[FREE_RUN], counts[FREE_RUN], entry.gpus * free_run)
    if entry.cause < 0:
        counts[UNITS] = add(parts[UNITS], counts[UNITS], entry.kept)
        counts[TOKENS] = add(parts[TOKENS], counts[TOKENS], entry.kept * sums.per_unit[phase, 0])
        counts[FLOPS] = add(parts[FLOPS], counts[FLOPS], entry.kept * sums.per_unit[phase, 1])
        counts[SAVES] = add(parts[SAVES], counts[SAVES], entry.saves)
