"""What the rules share: the plans of a scenario, and the capacity of its partitions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from colossus_sim.loading.nodes import join
from colossus_sim.specs.cluster import CapacityStep, Partition, Site
from colossus_sim.specs.job import Job, Phase
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanUse:
    """A parallel plan, the phase that uses it, and the GPUs it is for.

    Attributes
    ----------
    path : str
        Dotted path of the plan.
    gpus_path : str
        Dotted path of the field that gives the GPUs.
    """

    path: str
    gpus_path: str
    job_name: str
    job: Job
    phase: Phase
    plan: ParallelPlan
    gpus: int


def plan_uses(scenario: Scenario) -> Iterator[PlanUse]:
    """Yield each different pair of plan and GPUs of each job once, for phases that train or roll out."""
    for name, job in scenario.jobs.items():
        seen: set[tuple[int, int, str]] = set()
        for phase_name, phase in job.phases.items():
            if phase.kind == "compute":
                continue
            own = f"jobs.{name}.phases.{phase_name}"
            plan = phase.parallel or job.parallel
            gpus = phase_gpus(job, phase)
            key = (id(plan), gpus, phase.kind)
            if key in seen or gpus < 1:
                continue
            seen.add(key)
            yield PlanUse(
                path=f"{own}.parallel" if phase.parallel else f"jobs.{name}.parallel",
                gpus_path=gpus_path(own, f"jobs.{name}", phase),
                job_name=name,
                job=job,
                phase=phase,
                plan=plan,
                gpus=gpus,
            )


def plans(scenario: Scenario) -> Iterator[PlanUse]:
    """Yield each different plan of each job once."""
    seen: set[str] = set()
    for use in plan_uses(scenario):
        if use.path not in seen:
            seen.add(use.path)
            yield use


def phase_gpus(job: Job, phase: Phase) -> int:
    """Return the GPUs that a phase wants."""
    if phase.gpus is not None:
        return phase.gpus
    if phase.gpu_share is not None:
        return max(1, round(job.gpus * phase.gpu_share))
    return job.gpus


def gpus_path(own: str, job: str, phase: Phase) -> str:
    """Return the dotted path of the field that gives the GPUs of a phase."""
    if phase.gpus is not None:
        return f"{own}.gpus"
    return f"{own}.gpu_share" if phase.gpu_share is not None else f"{job}.gpus"


def plan_unit(plan: ParallelPlan, has_experts: bool) -> int:
    """Return the smallest number of GPUs whose multiples the plan can use.

    ``pp x lcm(tp x cp, ep x etp)`` with experts (each pipeline stage must hold whole groups of both meshes),
    ``tp x cp x pp`` without.
    """
    inner = plan.tensor_parallel * plan.context_parallel
    if has_experts:
        inner = math.lcm(inner, plan.expert_parallel * plan.expert_tensor_parallel)
    return inner * plan.pipeline_parallel


def replicas(use: PlanUse) -> int:
    """Return how many replicas train: those that the plan gives, else as many as the GPUs make."""
    plan, gpus = use.plan, use.gpus
    replica = plan.tensor_parallel * plan.context_parallel * plan.pipeline_parallel
    unit = plan_unit(plan, use.job.model.moe is not None)
    if use.phase.kind == "rl" and use.phase.rollouts.mode == "asynchronous":
        gpus -= use.phase.rollouts.generating_gpus(gpus)
    return plan.data_parallel or gpus // unit * unit // replica


def partitions(scenario: Scenario) -> Iterator[tuple[str, str, str, Partition]]:
    """Yield (path, site name, partition name, partition)."""
    for site_name, site in scenario.cluster.sites.items():
        for name, partition in site.partitions.items():
            yield f"cluster.sites.{site_name}.partitions.{name}", site_name, name, partition


def installed_at(partition: Partition, moment: float) -> int:
    """Return the GPUs of a partition that are installed at a moment."""
    return next((step.gpus for step in reversed(partition.capacity) if step.at <= moment), 0)


def usable_gpus(partition: Partition, step: CapacityStep) -> int:
    """Return the GPUs that jobs can have at a capacity step: whole domains, less spares and reserve."""
    domain = max(1, partition.gpu.scale_up_domain)
    return max(0, step.gpus // domain - partition.kept_domains) * partition.used_per_domain


def _room_for(job: Job, partition: Partition, step: CapacityStep) -> int:
    """Return the GPUs that a job can have at a capacity step beside its own spares."""
    return max(0, usable_gpus(partition, step) - job.spare_domains * partition.used_per_domain)


def rooms(scenario: Scenario, job: Job) -> Iterator[tuple[int, str, CapacityStep]]:
    """Yield the GPUs that a job can have beside its own spares, at which partition, at each capacity step.

    A partition of which nothing is used is refused by itself.
    """
    for name, partition in job_partitions(scenario, job).items():
        if partition.used_per_domain > 0:
            for step in partition.capacity:
                yield _room_for(job, partition, step), name, step


def needs(name: str, job: Job) -> Iterator[tuple[str, int]]:
    """Yield the fields that say without how many GPUs a job does not run, and how many."""
    if job.min_gpus is not None:
        yield f"jobs.{name}.min_gpus", job.min_gpus
        return
    yield f"jobs.{name}.gpus", job.gpus
    for phase_name, phase in job.phases.items():
        if phase.gpus is not None:
            yield f"jobs.{name}.phases.{phase_name}.gpus", phase.gpus


def capacity_moments(site: Site, end: float) -> list[float]:
    """Return when the installed GPUs of a site change before `end`."""
    return [step.at for part in site.partitions.values() for step in part.capacity if step.at < end]


def idle_power(site: Site, moment: float) -> float:
    """Return what the installed GPUs of a site and their hosts draw without work, cooling left out. [W]"""
    return math.fsum(installed_at(part, moment) * part.gpu.base_power for part in site.partitions.values())


def busy_at_once(site: Site, partition: Partition) -> int:
    """Return the most GPUs of one partition that a site's power limit ever lets run at full clocks."""
    gpu = partition.gpu
    domain = max(1, gpu.scale_up_domain)
    each = partition.used_per_domain * gpu.dynamic_power
    most = 0
    for moment in capacity_moments(site, math.inf):
        left = (site.power_limit or math.inf) / site.pue - idle_power(site, moment)
        if each <= 0 or math.isinf(left):
            return partition.most_gpus
        domains = min(math.floor(left / each + 1e-9), installed_at(partition, moment) // domain)
        most = max(most, domains * partition.used_per_domain)
    return most


def job_partitions(scenario: Scenario, job: Job) -> dict[str, Partition]:
    """Return the partitions that a job may run in; empty if its site or partition is unknown."""
    site = scenario.cluster.sites.get(job.site)
    if site is None:
        return {}
    if job.partition is None:
        return dict(site.partitions)
    return {job.partition: site.partitions[job.partition]} if job.partition in site.partitions else {}


def records(value: object, path: str = "") -> Iterator[tuple[str, BaseModel]]:
    """Yield every record below `value` with its dotted path, the record itself first."""
    if isinstance(value, BaseModel):
        yield path, value
        for name in type(value).model_fields:
            yield from records(getattr(value, name), join(path, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from records(item, join(path, str(name)))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from records(item, join(path, index))
