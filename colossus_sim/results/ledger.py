"""Rows of a run grouped by job and summed once, and the check that every GPU-second has exactly one state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from colossus_sim.errors import SimulationError
from colossus_sim.intervals import PhaseTotals, as_table
from colossus_sim.records import CAUSES, GPU_STATES, GpuTimeRow, PhaseRow, RunResult
from colossus_sim.results.slip import JobSlip, job_slips
from colossus_sim.specs.cluster import Partition, Site
from colossus_sim.specs.job import Job

Key = tuple[str, str, str]
"""Site, partition, job (empty where the GPUs belong to none)."""

RELATIVE_TOLERANCE = 1e-9
"""Largest relative gap between the states and the capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLedger:
    """What one job did.

    Attributes
    ----------
    gpu_seconds : mapping of (str, str, str) to array
        GPU-seconds per state of `GPU_STATES`, for each site and partition that it used. [GPU-s]
    full_power : mapping of (str, str, str) to float
        GPU-seconds at full power that draw as much on top of idling as its GPUs did, for the same. [GPU-s]
    """

    name: str
    spec: Job
    slip: JobSlip
    start: float
    """POSIX seconds of the scenario's start."""
    end_time: float
    phases: tuple[PhaseRow, ...]
    totals: Mapping[str, PhaseTotals]
    """By phase; phases without intervals may be left out."""
    gpu_seconds: Mapping[Key, NDArray[np.float64]]
    full_power: Mapping[Key, float]
    sites: Mapping[str, Site]

    def state(self, *names: str) -> float:
        """GPU-seconds of the job in the named states. [GPU-s]"""
        columns = [GPU_STATES.index(name) for name in names]
        return math.fsum(float(row[column]) for row in self.gpu_seconds.values() for column in columns)

    @property
    def allocated(self) -> float:
        """GPU-seconds given to the job, all states. [GPU-s]"""
        return self.state(*GPU_STATES)

    def cause(self, *names: str) -> float:
        """Seconds of all phases spent on the named causes. [s]"""
        columns = [CAUSES.index(name) for name in names]
        return math.fsum(total.causes[column] for total in self.totals.values() for column in columns)

    @property
    def finish(self) -> float:
        """End of the last phase; NaN if any did not end. [s]"""
        ends = [row.end for row in self.phases]
        done = len(ends) == len(self.spec.phases) and not any(math.isnan(end) for end in ends)
        return max(ends) if done else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the whole cluster did.

    Attributes
    ----------
    gpu_seconds : mapping of (str, str, str) to array
        GPU-seconds per state of `GPU_STATES`, for each site, partition and job. [GPU-s]
    full_power : mapping of (str, str, str) to float
        GPU-seconds at full power that draw as much on top of idling as the GPUs did, for the same. [GPU-s]
    capacity : mapping of (str, str) to float
        Installed GPU-seconds of each partition until the end of the simulation. [GPU-s]
    """

    run: RunResult
    jobs: Mapping[str, JobLedger]
    gpu_seconds: Mapping[Key, NDArray[np.float64]]
    full_power: Mapping[Key, float]
    capacity: Mapping[tuple[str, str], float]

    @property
    def total_capacity(self) -> float:
        """Installed GPU-seconds of all partitions. [GPU-s]"""
        return math.fsum(self.capacity.values())

    def state(self, *names: str) -> float:
        """GPU-seconds of the cluster in the named states. [GPU-s]"""
        columns = [GPU_STATES.index(name) for name in names]
        return math.fsum(float(row[column]) for row in self.gpu_seconds.values() for column in columns)

    @property
    def allocated(self) -> float:
        """GPU-seconds given to jobs, all states. [GPU-s]"""
        return math.fsum(job.allocated for job in self.jobs.values())


def build_ledger(run: RunResult) -> Ledger:
    """Group and sum the rows of a run, and check that the states add up to the capacity.

    Raises
    ------
    SimulationError
        If they do not, or the causes of some job do not add up to its time.
    """
    seconds, drawn = _sum_gpu_time(run)
    capacity = installed_gpu_seconds(run)
    check_conservation(seconds, capacity)
    slips = job_slips(run)
    phases = _by_job(run.phases)
    totals: dict[str, dict[str, PhaseTotals]] = {}
    for (name, phase), total in as_table(run.intervals).totals.items():
        totals.setdefault(name, {})[phase] = total
    jobs = {
        name: JobLedger(
            name=name,
            spec=spec,
            slip=slips[name],
            start=run.scenario.start,
            end_time=run.end_time,
            phases=tuple(phases.get(name, ())),
            totals=totals.get(name, {}),
            gpu_seconds={key: row for key, row in seconds.items() if key[2] == name},
            full_power={key: value for key, value in drawn.items() if key[2] == name},
            sites=run.scenario.cluster.sites,
        )
        for name, spec in run.scenario.jobs.items()
    }
    return Ledger(run=run, jobs=jobs, gpu_seconds=seconds, full_power=drawn, capacity=capacity)


def _by_job(rows: tuple[PhaseRow, ...]) -> dict[str, list[PhaseRow]]:
    groups: dict[str, list[PhaseRow]] = {}
    for row in rows:
        groups.setdefault(row.job, []).append(row)
    return groups


def _sum_gpu_time(run: RunResult) -> tuple[dict[Key, NDArray[np.float64]], dict[Key, float]]:
    rows: dict[Key, list[GpuTimeRow]] = {}
    for row in run.gpu_time:
        rows.setdefault((row.site, row.partition, row.job), []).append(row)
    groups = sorted(rows.items())
    seconds = {key: np.array([row.seconds for row in group]).sum(axis=0) for key, group in groups}
    return seconds, {key: math.fsum(row.full_power for row in group) for key, group in groups}


def installed_gpu_seconds(run: RunResult) -> dict[tuple[str, str], float]:
    """Integrate the installed GPUs of each partition from the scenario's start to the end. [GPU-s]"""
    return {
        (site_name, name): _integral(partition, run.scenario.start, run.end_time)
        for site_name, site in run.scenario.cluster.sites.items()
        for name, partition in site.partitions.items()
    }


def _integral(partition: Partition, start: float, end_time: float) -> float:
    steps = partition.capacity
    total = []
    for index, step in enumerate(steps):
        begin = min(max(step.at - start, 0.0), end_time)
        end = steps[index + 1].at - start if index + 1 < len(steps) else end_time
        total.append(step.gpus * max(0.0, min(end, end_time) - begin))
    return math.fsum(total)


def check_conservation(
    seconds: Mapping[Key, NDArray[np.float64]], capacity: Mapping[tuple[str, str], float]
) -> None:
    """Check that the GPU states of each partition add up to its capacity.

    Raises
    ------
    SimulationError
        Naming the partition and the gap.
    """
    for (site, partition), installed in capacity.items():
        booked = math.fsum(float(row.sum()) for key, row in seconds.items() if key[:2] == (site, partition))
        gap = installed - booked
        if abs(gap) > RELATIVE_TOLERANCE * max(installed, 1.0):
            raise SimulationError(
                f"GPU time of {site}/{partition} does not add up: {installed / 3600:.6f} GPU-h are "
                f"installed, {booked / 3600:.6f} are accounted for (gap {gap / 3600:.6f} GPU-h); "
                "this is a bug of the engine, please report it"
            )
    for key, row in seconds.items():
        negative = [state for state, value in zip(GPU_STATES, row, strict=True) if value < -1e-3]
        if negative:
            raise SimulationError(f"GPU time of {'/'.join(key)} is negative in state {', '.join(negative)}")
