"""Schedule slip of each job, split into causes that add up to it exactly.

The critical path is found by walking back from the end through the predecessor that came last. At every
instant between submission and end, one phase is critical; that instant is attributed to what the phase
spent it on. Planned seconds on the path are compared with the time the target left: the difference is the
cause ``plan``. So the causes add up to end - target by construction, and this is checked to 1e-6 s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from colossus_sim.errors import SimulationError
from colossus_sim.intervals import IntervalTable, as_table, cause_seconds
from colossus_sim.records import CAUSES, PhaseRow, RunResult
from colossus_sim.results.projection import Projection, predecessors, projection
from colossus_sim.specs.job import Job

SLIP_CAUSES = (*CAUSES[1:], "plan")
"""Causes of slip: every cause but ``planned``, and ``plan``."""

GROUPS: dict[str, tuple[str, ...]] = {
    "waiting for data": ("data_wait",),
    "waiting for GPUs": ("gpu_wait",),
    "slower step than planned": ("slower_step",),
    "network contention": ("contention",),
    "failures": ("lost_work", "restart", "repair_wait"),
    "slow parts and power limit": ("degraded",),
    "checkpoint stalls": ("checkpoint",),
    "calendar floors": ("calendar_floor",),
    "capacity changes": ("capacity_wait",),
    "fewer GPUs than wanted": ("fewer_gpus",),
    "scattered placement": ("placement",),
    "plan against target": ("plan",),
}
"""The causes in the words of the report."""

TOLERANCE = 1e-6
"""Largest error of the attribution, but for `ROUNDING`. [s]"""

ROUNDING = 1e-15
"""Error that sums of floats may have besides, as a share of what is added: a plan may count on far more or less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSegment:
    """A stretch of time in which one phase is critical. Times in seconds since the scenario's start."""

    phase: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSlip:
    """Slip of one job and where it comes from. All times in seconds since the scenario's start.

    Attributes
    ----------
    submit, target : float
        When the job enters the queue; the date to compare with (NaN if there is none). [s]
    end : float
        End of what the target means, or of the simulation if it did not end. [s]
    finished : bool
        Whether what the target means ended; if not, `slip` is a lower bound.
    path : tuple of PathSegment
        Critical path from submission to `end`.
    spent : mapping of str to float
        Seconds of the path per cause, ``planned`` included; adds up to end - submit. [s]
    causes : mapping of str to float
        Seconds of slip per cause of `SLIP_CAUSES`; adds up to `slip`; empty without a target. [s]
    projected_end : float
        Projection, not simulated (see `results.projection`): infinite where it never ends on the capacity that
        there is; NaN where unknown. [s]
    gpus_gone : float
        When the last GPUs leave that would be enough for it, if it never ends; NaN otherwise. [s]
    """

    job: str
    submit: float
    target: float
    end: float
    finished: bool
    path: tuple[PathSegment, ...]
    spent: Mapping[str, float]
    causes: Mapping[str, float]
    projected_end: float
    gpus_gone: float = math.nan

    @property
    def slip(self) -> float:
        """End minus target; a lower bound if not `finished`; NaN without a target. [s]"""
        return self.end - self.target

    @property
    def projected_slip(self) -> float:
        """Projected end minus target. [s]"""
        return self.projected_end - self.target

    @property
    def groups(self) -> dict[str, float]:
        """Seconds of slip per group of causes. [s]"""
        if not self.causes:
            return {}
        return {name: math.fsum(self.causes[cause] for cause in members) for name, members in GROUPS.items()}


def job_slips(run: RunResult) -> dict[str, JobSlip]:
    """Return the slip of every job, by name.

    Raises
    ------
    SimulationError
        If some instant of a critical path is covered by no interval, or the causes do not add up.
    """
    phases: dict[str, dict[str, PhaseRow]] = {name: {} for name in run.scenario.jobs}
    for row in run.phases:
        phases[row.job][row.phase] = row
    intervals = as_table(run.intervals)
    return {name: _job_slip(run, name, phases[name], intervals) for name in run.scenario.jobs}


def _job_slip(
    run: RunResult,
    name: str,
    rows: Mapping[str, PhaseRow],
    intervals: IntervalTable,
) -> JobSlip:
    job: Job = run.scenario.jobs[name]
    submit = max(0.0, job.submit - run.scenario.start)
    target = math.nan if job.target is None else job.target.date - run.scenario.start
    wanted = job.target.phase if job.target is not None else ""
    last, end, finished = _end_of_path(job, rows, wanted, max(run.end_time, submit))
    path = critical_path(rows, last, submit=submit, end=end)
    spent = _spent(name, path, intervals)
    _check_total(name, spent, end - submit)
    causes: dict[str, float] = {}
    if not math.isnan(target):
        causes = {cause: spent[cause] for cause in CAUSES[1:]}
        causes["plan"] = spent["planned"] - (target - submit)
    ahead = Projection(end) if finished else projection(run, name, rows, wanted)
    return JobSlip(
        job=name,
        submit=submit,
        target=target,
        end=end,
        finished=finished,
        path=path,
        spent=spent,
        causes=causes,
        projected_end=ahead.end,
        gpus_gone=ahead.gpus_gone,
    )


def _end_of_path(
    job: Job, rows: Mapping[str, PhaseRow], wanted: str, horizon: float
) -> tuple[str, float, bool]:
    """Return the phase where the path ends, when, and whether what is meant by the target ended."""
    ended = [name for name in job.phases if name in rows and not math.isnan(rows[name].end)]
    if wanted in ended:
        return wanted, rows[wanted].end, True
    latest = max(ended, key=lambda name: rows[name].end, default="")
    if not wanted and len(ended) == len(job.phases):
        return latest, rows[latest].end, True
    open_phases = [name for name in job.phases if name in rows and _is_open(rows[name])]
    last = open_phases[-1] if open_phases else ""
    stuck = _stuck_phase(job, rows, wanted) if wanted else last
    return stuck or last or latest, horizon, False


def _is_open(row: PhaseRow) -> bool:
    return math.isnan(row.end) and not math.isnan(row.ready)


def _stuck_phase(job: Job, rows: Mapping[str, PhaseRow], wanted: str) -> str:
    """Return the open phase that `wanted` waits for (or `wanted` itself); empty if nothing is open."""
    if wanted in rows and _is_open(rows[wanted]):
        return wanted
    for name in reversed(predecessors(job, wanted)):
        if name in rows and not math.isnan(rows[name].end):
            continue
        stuck = _stuck_phase(job, rows, name)
        if stuck:
            return stuck
    return ""


def critical_path(
    rows: Mapping[str, PhaseRow], last: str, *, submit: float, end: float
) -> tuple[PathSegment, ...]:
    """Walk back from `last` through the predecessors that came last; the first segment starts at `submit`.

    An overlapping phase takes over from its predecessor at the moment when it became ready.
    """
    segments: list[PathSegment] = []
    name = last
    while name and end > submit and len(segments) <= len(rows):
        row = rows[name]
        start = row.ready if row.trigger else submit
        start = min(max(start, submit), end)
        segments.append(PathSegment(phase=name, start=start, end=end))
        name, end = row.trigger, start
    return tuple(reversed(segments))


def _spent(
    job: str,
    path: Sequence[PathSegment],
    intervals: IntervalTable,
) -> dict[str, float]:
    parts = []
    for segment in path:
        phase = job, segment.phase
        total = intervals.totals.get(phase)
        if total is not None and segment.start <= total.start and total.end <= segment.end:
            parts.append(total.causes)
        elif total is not None:
            parts.append(cause_seconds(intervals.by_phase[phase], segment.start, segment.end))
    return {cause: math.fsum(part[index] for part in parts) for index, cause in enumerate(CAUSES)}


def _check_total(job: str, spent: Mapping[str, float], length: float) -> None:
    gap = length - math.fsum(spent.values())
    added = math.fsum(abs(seconds) for seconds in spent.values())
    if abs(gap) > TOLERANCE + ROUNDING * added:
        raise SimulationError(
            f"job {job}: the causes on its critical path add up to {length - gap:.6f} s, but the path is "
            f"{length:.6f} s long (gap {gap:.6f} s); this is a bug of the engine, please report it"
        )
