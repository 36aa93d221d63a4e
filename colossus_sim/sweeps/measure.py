"""What a sweep keeps of a run: named numbers, most of them those of the run's own summary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from colossus_sim.records import PhaseRow, RunResult
from colossus_sim.results.ledger import JobLedger, build_ledger
from colossus_sim.results.metrics import CLUSTER_METRICS, METRICS
from colossus_sim.results.slip import GROUPS
from colossus_sim.sweeps.network_bill import MEASURES as BILL_MEASURES
from colossus_sim.units import DAY

COMPLETE = "complete"
"""Measure of a job and of the cluster: whether all phases ended before the horizon."""
SIMULATED = "cluster.simulated_days"
"""Measure: how long was simulated."""

JOB_MEASURES: dict[str, tuple[str, str]] = {
    "finished": ("bool", "1 if what the target means (without one: the whole job) ended before the horizon"),
    COMPLETE: ("bool", "1 if all its phases ended before the horizon"),
    "finish_days": (
        "days",
        "end of what the target means, counted from the scenario's start; projected if it did not end, empty if it "
        "never will, for want of GPUs",
    ),
    "slip_days": (
        "days",
        "end of what the target means, minus the target; as for finish_days if it did not end",
    ),
}
"""Unit and meaning of the measures of a job that its metrics do not have."""

_OF_JOB = (
    "wall_clock_days", "queue_wait_days", "gpu_days", "goodput", "ettr", "mfu", "interruptions",
    "lost_work_gpu_days", "energy_MWh",
)  # fmt: skip
_OF_CLUSTER = (
    "capacity_gpu_days",
    "allocated",
    "productive",
    "energy_MWh",
    "failures",
    "mean_queue_wait_days",
)

_ALL_JOBS = {
    "simulated_days": ("days", "start of the scenario to the end of the last job, at most to the horizon"),
    COMPLETE: ("bool", "1 if all phases of all jobs ended before the horizon"),
    "gpu_days": ("GPU-days", "GPU-time given to all jobs: what the roadmap costs"),
    "mean_slip_days": ("days", "mean slip of the jobs that have a target; empty if one of them never ends"),
}


def measure(run: RunResult) -> dict[str, float]:
    """Return the measures of a run by name: ``jobs.NAME.MEASURE`` and ``cluster.MEASURE``.

    Raises
    ------
    SimulationError
        If GPU time or slip does not add up.
    """
    ledger = build_ledger(run)
    values: dict[str, float] = {}
    for name, job in ledger.jobs.items():
        for key, value in _of_job(job).items():
            values[f"jobs.{name}.{key}"] = value
    for key in _OF_CLUSTER:
        function = CLUSTER_METRICS[key].of_cluster
        if function is not None:
            values[f"cluster.{key}"] = function(ledger)
    values[SIMULATED] = run.end_time / DAY
    values[f"cluster.{COMPLETE}"] = min(
        (values[f"jobs.{name}.{COMPLETE}"] for name in ledger.jobs), default=1.0
    )
    days = [values[f"jobs.{name}.gpu_days"] for name in ledger.jobs]
    values["cluster.gpu_days"] = math.fsum(days)
    slips = [value for key, value in values.items() if key.endswith(".slip_days") and not math.isnan(value)]
    values["cluster.mean_slip_days"] = math.fsum(slips) / len(slips) if slips else math.nan
    return values


def _of_job(job: JobLedger) -> dict[str, float]:
    slip = job.slip
    values = {
        "finished": float(slip.finished),
        COMPLETE: float(not math.isnan(job.finish)),
        "finish_days": slip.projected_end / DAY,
        "slip_days": slip.projected_slip / DAY,
    }
    for key in _OF_JOB:
        function = METRICS[key].of_job
        if function is not None:
            values[key] = function(job)
    for group, seconds in slip.groups.items():
        values[group_measure(group)] = seconds / DAY
    return values


def known_measures(jobs: Iterable[str]) -> list[str]:
    """Return the names of all measures that a run of these jobs has."""
    keys = [*JOB_MEASURES, *(key for key in _OF_JOB if METRICS[key].of_job is not None)]
    keys += [group_measure(group) for group in GROUPS]
    cluster = [key for key in _OF_CLUSTER if CLUSTER_METRICS[key].of_cluster is not None]
    cluster += [*_ALL_JOBS, *BILL_MEASURES]
    return [*(f"jobs.{name}.{key}" for name in jobs for key in keys), *(f"cluster.{key}" for key in cluster)]


def group_measure(group: str) -> str:
    """Return the measure of one group of causes of slip, e.g. ``slip_failures_days``."""
    return f"slip_{group.replace(' ', '_')}_days"


def phase_times(run: RunResult) -> dict[str, tuple[float, float]]:
    """Return start and end of each ``job/phase`` since the scenario's start, NaN where it did not. [days]"""
    return {f"{row.job}/{row.phase}": (row.start / DAY, row.end / DAY) for row in _ordered(run.phases)}


def _ordered(rows: Sequence[PhaseRow]) -> list[PhaseRow]:
    return sorted(rows, key=lambda row: (row.job, row.phase))


def describe_measure(name: str) -> tuple[str, str]:
    """Return unit and meaning of a measure."""
    key = name.rpartition(".")[2]
    if name.startswith("cluster."):
        if key in _ALL_JOBS:
            return _ALL_JOBS[key]
        if key in BILL_MEASURES:
            return BILL_MEASURES[key]
        return CLUSTER_METRICS[key].unit, CLUSTER_METRICS[key].formula
    if key in JOB_MEASURES:
        return JOB_MEASURES[key]
    if key in METRICS:
        return METRICS[key].unit, METRICS[key].formula
    for group in GROUPS:
        if key == group_measure(group):
            return "days", f"part of the slip until the horizon: {group}"
    return "1", ""
