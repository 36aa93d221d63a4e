"""Replay a job log on one pool of GPUs with any scheduling policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from colossus_sim.engine.bench import BenchJob, a_site, play_bench
from colossus_sim.errors import UsageError
from colossus_sim.records import RunResult
from colossus_sim.specs.policies import Policies
from colossus_sim.traces.jobs import TraceJob

_LEAST = 1e-6
"""Run time given to jobs of no length, so that they queue like the others. [s]"""

_BOUND = 10.0
"""Run time that shorter jobs get in the bounded slowdown (Feitelson 2001, doi:10.1007/3-540-45540-X_11). [s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What a policy did with a log.

    Attributes
    ----------
    jobs : int
        Jobs played.
    mean_wait, max_wait : float
        Time in the queue. [s]
    mean_slowdown : float
        Bounded slowdown: (wait + run) over the larger of run and 10 s, at least 1.
    makespan : float
        From the first submission to the last end. [s]
    utilization : float
        GPU-seconds in use over capacity times makespan.
    result : RunResult
        All rows.
    """

    jobs: int
    mean_wait: float
    max_wait: float
    mean_slowdown: float
    makespan: float
    utilization: float
    result: RunResult


def replay(jobs: Sequence[TraceJob], *, gpus: int, scheduler: str = "fifo", domain: int = 1) -> ReplayResult:
    """Play a log on `gpus` GPUs in one pool, in gangs that may sit anywhere.

    Raises
    ------
    UsageError
        If a job is wider than the pool.
    """
    wide = next((job for job in jobs if job.gpus > gpus // domain * domain), None)
    if wide is not None:
        raise UsageError(f"job {wide.name} of the trace needs {wide.gpus} GPUs, there are {gpus}")
    bench = {
        job.name: BenchJob(
            units=1,
            unit_time=max(job.duration, _LEAST),
            gpus=job.gpus,
            submit=job.submit,
            walltime=max(job.walltime, _LEAST),
            account=job.account,
        )
        for job in jobs
    }
    policies = Policies.model_validate({"scheduler": scheduler, "contention": "none"})
    result = play_bench(bench, site=a_site(gpus, domain=domain), policies=policies)
    waits = [row.start - job.submit for job, row in zip(jobs, result.phases, strict=True)]
    slowdown = math.fsum(
        max(1.0, (wait + job.duration) / max(job.duration, _BOUND))
        for job, wait in zip(jobs, waits, strict=True)
    )
    makespan = max(row.end for row in result.phases)
    return ReplayResult(
        jobs=len(jobs),
        mean_wait=math.fsum(waits) / len(jobs),
        max_wait=max(waits),
        mean_slowdown=slowdown / len(jobs),
        makespan=makespan,
        utilization=math.fsum(job.duration * job.gpus for job in jobs) / (gpus * makespan),
        result=result,
    )
