"""When a job that the horizon cut off would end: what is left at its healthy pace, while there are GPUs for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from colossus_sim.loading.checks.walk import phase_gpus, rooms
from colossus_sim.records import PhaseRow, RunResult
from colossus_sim.specs.job import Job, Phase
from colossus_sim.specs.scenario import Scenario


class Projection(NamedTuple):
    """When something ends if nothing goes wrong any more. Seconds since the scenario's start."""

    end: float
    """Infinite if there will never be GPUs enough to finish it; NaN where unknown."""
    gpus_gone: float = math.nan
    """When the last GPUs leave that are enough, if it never ends; NaN otherwise."""


def projection(run: RunResult, name: str, rows: Mapping[str, PhaseRow], wanted: str = "") -> Projection:
    """Project when a job (or its phase `wanted`) ends if nothing goes wrong any more.

    Phases that run go on with their remaining units, the others follow their predecessors, each unit taking
    its modelled time alone and healthy, and only while some partition that the job may use has GPUs enough
    installed for it (if it is elastic, for its smallest size). Calendar floors and data-ready dates are kept, data
    releases and other jobs are not. Unknown if a phase has no row.
    """
    job: Job = run.scenario.jobs[name]
    ends: dict[str, Projection] = {}
    for phase in _in_order(job, wanted):
        ends[phase] = _phase(run, job, phase, rows, ends)
    return ends[wanted] if wanted else _last(list(ends.values()))


def _last(ends: Sequence[Projection]) -> Projection:
    """Return the last of several; one that never comes before one that is unknown, the first of equals."""
    return max(ends, key=lambda item: (math.isinf(item.end), math.isnan(item.end), item.end))


def predecessors(job: Job, phase: str) -> tuple[str, ...]:
    """Return the phases that must be done before `phase` starts."""
    after = job.phases[phase].after
    if after is not None:
        return after
    names = list(job.phases)
    index = names.index(phase)
    return (names[index - 1],) if index else ()


def _in_order(job: Job, wanted: str = "") -> list[str]:
    """Return the phases (or those up to `wanted`) so that predecessors come first; the file's order otherwise."""
    done: list[str] = []

    def visit(phase: str) -> None:
        if phase not in done:
            for name in predecessors(job, phase):
                visit(name)
            done.append(phase)

    for phase in [wanted] if wanted else job.phases:
        visit(phase)
    return done


def _phase(
    run: RunResult, job: Job, name: str, rows: Mapping[str, PhaseRow], ends: Mapping[str, Projection]
) -> Projection:
    if name not in rows:
        return Projection(math.nan)
    row, spec = rows[name], job.phases[name]
    if not math.isnan(row.end):
        return Projection(row.end)
    start = _start(run, job, name, rows, ends)
    if not math.isfinite(start.end):
        return start
    # What is left is done after the horizon by a phase that runs, and after its start by one that waits.
    work = (row.units - row.units_done) * row.unit_time
    spans = spans_with_room(run.scenario, job, row.gpus_wanted)
    began, end = _worked(max(start.end, run.end_time), work, spans)
    if math.isinf(end):
        return Projection(end, spans[-1][1] if spans else 0.0)
    began = began if math.isnan(row.start) else row.start
    return Projection(max(end, began + spec.min_duration))


def _start(
    run: RunResult, job: Job, name: str, rows: Mapping[str, PhaseRow], ends: Mapping[str, Projection]
) -> Projection:
    row = rows[name]
    if not math.isnan(row.start):
        return Projection(row.start)
    spec: Phase = job.phases[name]
    starts = [Projection(run.end_time), Projection(job.submit - run.scenario.start)]
    if spec.data_ready is not None:
        starts.append(Projection(spec.data_ready - run.scenario.start))
    if math.isnan(row.ready):
        for before in predecessors(job, name):
            work = rows[before].units * rows[before].unit_time if before in rows else math.nan
            starts.append(ends[before]._replace(end=ends[before].end - spec.overlap * work))
    return _last(starts)


def spans_with_room(scenario: Scenario, job: Job, gpus: int) -> list[tuple[float, float]]:
    """Return from when to when some partition of a job has room for a phase on so many GPUs, other jobs left out.

    Room is installed GPUs less the spares and the reserve of the partition and the spares of the job; an elastic
    job needs it for its smallest size. In order, apart from each other, the last one perhaps without an end.
    [s since the scenario's start]
    """
    least = gpus if job.min_gpus is None else min(gpus, job.min_gpus)
    steps = list(rooms(scenario, job))
    found: list[tuple[float, float]] = []
    for (room, partition, step), following in zip_longest(steps, steps[1:]):
        same = following is not None and following[1] == partition
        after = following[2].at if same else math.inf
        if room >= least and after > step.at:
            found.append((step.at - scenario.start, after - scenario.start))
    joined: list[tuple[float, float]] = []
    for first, last in sorted(found):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def gpus_gone(scenario: Scenario, job: Job) -> float:
    """Return when the last GPUs leave that are enough for every phase up to what the target means.

    Infinite if some stay for good. [s since the scenario's start]
    """
    wanted = job.target.phase if job.target is not None else ""
    phases = _in_order(job, wanted)
    spans = [spans_with_room(scenario, job, phase_gpus(job, job.phases[name])) for name in phases]
    return min((span[-1][1] if span else 0.0 for span in spans), default=math.inf)


def _worked(start: float, work: float, spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return when work [s] that may begin at `start` begins and ends; infinite where the spans are too short."""
    began, left = math.inf, work
    if left <= 0.0:
        return start, start
    for first, last in spans:
        now = max(start, first)
        if now >= last:
            continue
        began = min(began, now)
        if now + left <= last:
            return began, now + left
        left -= last - now
    return began, math.inf
