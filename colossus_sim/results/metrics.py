"""Metrics of jobs and of the cluster: one function, one unit and one formula in words each.

Papers define the same words differently; what is computed here is what the formula of each entry of
`METRICS` says, all from one ledger of GPU-seconds and phase-seconds. NaN means: not defined for this run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from colossus_sim.intervals import PhaseTotals
from colossus_sim.records import UNDISTURBED, PhaseRow
from colossus_sim.results.ledger import JobLedger, Ledger
from colossus_sim.results.loss import predicted_loss
from colossus_sim.specs.cluster import Site
from colossus_sim.units import DAY

COMPUTING_STATES = ("productive", "contention", "degraded", "lost_work")
"""GPU states in which steps are computed, kept or not."""

_PRODUCTIVE_CAUSES = (*UNDISTURBED, "contention", "degraded")
_UNAVAILABLE_CAUSES = ("data_wait", "calendar_floor")
_MWH = 3.6e9
_TIME = attrgetter("time")


@dataclass(frozen=True, slots=True)
class Metric:
    """A named number and how it is computed.

    Attributes
    ----------
    name, unit : str
        Column name and unit.
    formula : str
        The formula in words.
    of_job, of_cluster : callable or None
        The function; exactly one is set.
    """

    name: str
    unit: str
    formula: str
    of_job: Callable[[JobLedger], float] | None = None
    of_cluster: Callable[[Ledger], float] | None = None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan


def _peaks(job: JobLedger) -> dict[str, float]:
    """Return the peak of each phase that has an MFU: those that train and do nothing else."""
    return {row.phase: row.peak for row in job.phases if has_mfu(row)}


def has_mfu(row: PhaseRow) -> bool:
    """Whether an MFU is defined for a phase; rollouts and other work are not counted in model FLOPs."""
    return row.kind == "train" and row.peak > 0.0 and row.mfu > 0.0


def _utilization(job: JobLedger, spent: Callable[[PhaseTotals], float]) -> float:
    """Return the model FLOPs kept over what the peak gives in these GPU-seconds of each phase."""
    peaks = _peaks(job)
    phases = [(peaks[name], total) for name, total in job.totals.items() if name in peaks]
    flops = math.fsum(total.model_flops for _, total in phases)
    return _ratio(flops, math.fsum(peak * spent(total) for peak, total in phases))


def mfu(job: JobLedger) -> float:
    """Return the model FLOPs utilization while the job made progress undisturbed."""
    return _utilization(job, attrgetter("undisturbed"))


def mfu_overall(job: JobLedger) -> float:
    """Return the model FLOPs utilization over all time that the plan's GPUs were held."""
    return _utilization(job, attrgetter("held"))


def mfu_modelled(job: JobLedger) -> float:
    """Return the MFU of the first phase of kind train, as the step model gives it alone and healthy."""
    return next((row.mfu for row in job.phases if has_mfu(row)), math.nan)


def goodput(job: JobLedger) -> float:
    """Return the productive share of the GPU-time given to the job."""
    return _ratio(job.state("productive"), job.allocated)


def ettr(job: JobLedger) -> float:
    """Return the effective training time ratio (Kokolis et al. 2024, arXiv:2410.21680, section III)."""
    elapsed = math.fsum(total.elapsed for total in job.totals.values())
    return _ratio(job.cause(*_PRODUCTIVE_CAUSES), elapsed - job.cause(*_UNAVAILABLE_CAUSES))


def interruptions(job: JobLedger) -> float:
    """Return how often failures or preemption stopped the job."""
    return float(sum(row.interruptions for row in job.phases))


def saves(job: JobLedger) -> float:
    """Return the checkpoints completed."""
    return math.fsum(total.saves for total in job.totals.values())


def lost_work_days(job: JobLedger) -> float:
    """Return the wall time of work done again. [days]"""
    return job.cause("lost_work") / DAY


def lost_work_gpu_days(job: JobLedger) -> float:
    """Return the GPU-time of work done again. [GPU-days]"""
    return job.state("lost_work") / DAY


def gpu_days(job: JobLedger) -> float:
    """Return the GPU-time given to the job. [GPU-days]"""
    return job.allocated / DAY


def tokens(job: JobLedger) -> float:
    """Return the training tokens kept. [tokens]"""
    return math.fsum(total.tokens for total in job.totals.values())


def steps(job: JobLedger) -> float:
    """Return the optimizer steps and RL updates kept (work units of compute phases are not steps)."""
    kinds = {name: phase.kind for name, phase in job.spec.phases.items()}
    return math.fsum(total.units for name, total in job.totals.items() if kinds[name] != "compute")


def wall_clock_days(job: JobLedger) -> float:
    """Return the time from submission to the last phase's end, or to the end of the simulation. [days]"""
    end = job.end_time if math.isnan(job.finish) else job.finish
    return max(0.0, end - job.slip.submit) / DAY


def queue_wait_days(job: JobLedger) -> float:
    """Return the time that phases waited for GPUs. [days]"""
    return job.cause("gpu_wait", "capacity_wait") / DAY


def energy_mwh(job: JobLedger) -> float:
    """Return the energy of the GPUs given to the job, hosts and cooling included. [MWh]"""
    return _energy_mwh(job, job.sites)


def _energy_mwh(ledger: JobLedger | Ledger, sites: Mapping[str, Site]) -> float:
    joules = []
    for key, seconds in ledger.gpu_seconds.items():
        site = sites[key[0]]
        gpu = site.partitions[key[1]].gpu
        there = math.fsum(seconds.tolist()) * gpu.base_power
        joules.append(site.pue * (there + ledger.full_power[key] * gpu.dynamic_power))
    return math.fsum(joules) / _MWH


def _loss(job: JobLedger, end: str) -> float:
    interval = predicted_loss(job.spec, {row.phase: row for row in job.phases})
    return math.nan if interval is None else float(getattr(interval, end))


def loss_low(job: JobLedger) -> float:
    """Return the predicted loss if every parameter counts like a dense one. [nats/token]"""
    return _loss(job, "optimistic")


def loss_central(job: JobLedger) -> float:
    """Return the predicted loss at the effective parameter count. [nats/token]"""
    return _loss(job, "central")


def loss_high(job: JobLedger) -> float:
    """Return the predicted loss if only active parameters count. [nats/token]"""
    return _loss(job, "pessimistic")


def capacity_gpu_days(cluster: Ledger) -> float:
    """Return the installed GPU-time. [GPU-days]"""
    return cluster.total_capacity / DAY


def allocated_utilization(cluster: Ledger) -> float:
    """Return the share of capacity given to jobs."""
    return _ratio(cluster.allocated, cluster.total_capacity)


def busy_utilization(cluster: Ledger) -> float:
    """Return the share of capacity that computes, useful or not."""
    return _ratio(cluster.state(*COMPUTING_STATES), cluster.total_capacity)


def productive_utilization(cluster: Ledger) -> float:
    """Return the share of capacity that computes steps that were kept."""
    return _ratio(cluster.state("productive"), cluster.total_capacity)


def energy_of_cluster_mwh(cluster: Ledger) -> float:
    """Return the energy of all partitions: that of the jobs and of the GPUs that no job had. [MWh]"""
    return _energy_mwh(cluster, cluster.run.scenario.cluster.sites)


def mean_power_mw(cluster: Ledger) -> float:
    """Return the mean power of all partitions. [MW]"""
    return _ratio(energy_of_cluster_mwh(cluster) * _MWH, cluster.run.end_time) / 1e6


def peak_power_mw(cluster: Ledger) -> float:
    """Return the largest total power at any moment. [MW]"""
    now: dict[tuple[str, str], float] = {}
    peak, moment = 0.0, 0.0
    for row in sorted(cluster.run.levels, key=_TIME):
        if row.time > moment:
            peak, moment = max(peak, math.fsum(now.values())), row.time
        now[row.site, row.partition] = row.power
    return max(peak, math.fsum(now.values())) / 1e6


def failures(cluster: Ledger) -> float:
    """Return the failures of all kinds."""
    return float(sum(1 for row in cluster.run.events if row.kind == "failure"))


def mean_queue_wait_days(cluster: Ledger) -> float:
    """Return the mean over jobs of the time that their phases waited for GPUs. [days]"""
    return _ratio(math.fsum(queue_wait_days(job) for job in cluster.jobs.values()), len(cluster.jobs))


def max_queue_wait_days(cluster: Ledger) -> float:
    """Return the largest such wait of any job. [days]"""
    return max((queue_wait_days(job) for job in cluster.jobs.values()), default=math.nan)


def failures_by_kind(cluster: Ledger) -> dict[str, int]:
    """Return the number of failures of each class, by name."""
    counts: dict[str, int] = {}
    for row in cluster.run.events:
        if row.kind == "failure":
            counts[row.subject] = counts.get(row.subject, 0) + 1
    return dict(sorted(counts.items()))


_JOB_METRICS = (
    Metric("mfu", "ratio", "phases of kind train: model FLOPs of kept steps / (GPUs of the plan x seconds of "
           "productive work x dense peak at the plan's precision); recomputation does not count; contention, "
           "degraded time, stalls and lost work are left out", of_job=mfu),
    Metric("mfu_overall", "ratio", "the same FLOPs / (GPUs of the plan x all seconds they were held x dense "
           "peak): mfu times everything that was lost", of_job=mfu_overall),
    Metric("mfu_modelled", "ratio", "MFU of one step of the first phase of kind train, alone and healthy",
           of_job=mfu_modelled),
    Metric("goodput", "ratio", "GPU-time in state productive / GPU-time given to the job (all states, stranded "
           "GPUs included)", of_job=goodput),
    Metric("ettr", "ratio", "productive runtime / available wall clock, summed over phases (Kokolis et al., "
           "arXiv:2410.21680): productive runtime = planned + slower_step + fewer_gpus + placement + contention "
           "+ degraded seconds; available = all seconds, queueing included, without data gates and calendar "
           "floors; checkpoint stalls count as unproductive", of_job=ettr),
    Metric("interruptions", "count", "stops by failures or preemption", of_job=interruptions),
    Metric("saves", "count", "checkpoints completed", of_job=saves),
    Metric("lost_work_days", "days", "wall time of work done again after failures, summed over phases",
           of_job=lost_work_days),
    Metric("lost_work_gpu_days", "GPU-days", "GPU-time in state lost_work", of_job=lost_work_gpu_days),
    Metric("gpu_days", "GPU-days", "GPU-time given to the job, in any state", of_job=gpu_days),
    Metric("tokens", "tokens", "training tokens of kept steps", of_job=tokens),
    Metric("steps", "count", "optimizer steps and RL updates kept", of_job=steps),
    Metric("wall_clock_days", "days", "submission (or scenario start, if later) to the end of the last phase, "
           "or to the end of the simulation", of_job=wall_clock_days),
    Metric("queue_wait_days", "days", "gpu_wait + capacity_wait, summed over phases", of_job=queue_wait_days),
    Metric("energy_MWh", "MWh", "PUE x (GPU-time given to the job x (power_idle + host_power_per_gpu) + GPU-time "
           "computing x (power_max - power_idle) x clock^power_exponent), where computing lasts from the start of "
           "a stretch of steps to its end, saves included, and while work is done in vain; a job that detects, "
           "restarts, saves before it stops or waits draws idle power", of_job=energy_mwh),
    Metric("predicted_loss_low", "nats/token", "scaling law at the total parameter count and the pre-training "
           "tokens kept (repeats discounted)", of_job=loss_low),
    Metric("predicted_loss", "nats/token", "the same at sqrt(active x total) parameters", of_job=loss_central),
    Metric("predicted_loss_high", "nats/token", "the same at the active parameter count", of_job=loss_high),
)  # fmt: skip

_CLUSTER_METRICS = (
    Metric("capacity_gpu_days", "GPU-days", "installed GPUs integrated over the simulated time",
           of_cluster=capacity_gpu_days),
    Metric("allocated", "ratio", "GPU-time given to jobs / capacity", of_cluster=allocated_utilization),
    Metric("busy", "ratio", "GPU-time in states productive, contention, degraded, lost_work / capacity",
           of_cluster=busy_utilization),
    Metric("productive", "ratio", "GPU-time in state productive / capacity (goodput of the cluster)",
           of_cluster=productive_utilization),
    Metric("energy_MWh", "MWh", "IT power x PUE of all partitions, integrated over time: that of the jobs, and "
           "power_idle + host_power_per_gpu of every other installed GPU, broken ones included",
           of_cluster=energy_of_cluster_mwh),
    Metric("mean_power_MW", "MW", "that energy / simulated time", of_cluster=mean_power_mw),
    Metric("peak_power_MW", "MW", "largest total power at any moment", of_cluster=peak_power_mw),
    Metric("failures", "count", "failures of all classes, interrupting or not", of_cluster=failures),
    Metric("mean_queue_wait_days", "days", "mean over jobs of queue_wait_days", of_cluster=mean_queue_wait_days),
    Metric("max_queue_wait_days", "days", "largest queue_wait_days of any job", of_cluster=max_queue_wait_days),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _JOB_METRICS}
"""Metrics of one job, by name."""

CLUSTER_METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _CLUSTER_METRICS}
"""Metrics of the cluster, by name."""


def job_metrics(job: JobLedger) -> dict[str, float]:
    """Return every metric of a job, by name."""
    return {name: metric.of_job(job) for name, metric in METRICS.items() if metric.of_job is not None}


def cluster_metrics(cluster: Ledger) -> dict[str, float]:
    """Return every metric of the cluster, by name."""
    return {
        name: metric.of_cluster(cluster)
        for name, metric in CLUSTER_METRICS.items()
        if metric.of_cluster is not None
    }
