"""Settings that have no effect, or that look like a mistake. Warnings only."""

from __future__ import annotations

import math
from collections.abc import Iterator

from colossus_sim.errors import Problem
from colossus_sim.formulas import rollout
from colossus_sim.formulas.reliability import restart_time
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.loading.checks.faults import policies
from colossus_sim.loading.checks.walk import (
    job_partitions,
    needs,
    partitions,
    phase_gpus,
    plan_uses,
    plans,
    replicas,
    rooms,
)
from colossus_sim.specs.checkpoint import CheckpointPolicy
from colossus_sim.specs.cluster import Partition
from colossus_sim.specs.faults import FaultClass
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.job import Job, Rollouts
from colossus_sim.specs.scenario import Scenario
from colossus_sim.units import HOUR, format_duration, format_instant, format_tokens


def no_effect_site(scenario: Scenario) -> Iterator[Problem]:
    """Site settings that nothing reads."""
    for name, site in scenario.cluster.sites.items():
        needs = (
            ("power_control", "power_limit", site.power_control != "throttle"),
            ("power_exponent", "power_limit", "power_exponent" in site.model_fields_set),
            ("part_lead_time", "repair_parts", "part_lead_time" in site.model_fields_set),
        )
        for field, needed, given in needs:
            if given and getattr(site, needed) is None:
                yield Problem(
                    path=f"cluster.sites.{name}.{field}", message=f"has no effect: the site has no {needed}"
                )


def no_effect_plan(scenario: Scenario) -> Iterator[Problem]:
    """Plan settings that nothing reads."""
    for use in plans(scenario):
        plan = use.plan
        if plan.pipeline_parallel == 1 and plan.virtual_pipeline > 1:
            yield Problem(
                path=f"{use.path}.virtual_pipeline", message="has no effect: pipeline_parallel is 1"
            )
        if plan.recomputed_share != 1.0 and plan.activation_recomputation != "full":
            yield Problem(
                path=f"{use.path}.recomputed_share",
                message=f"has no effect: activation_recomputation is {plan.activation_recomputation}",
                hint="use activation_recomputation: full",
            )
        if plan.data_parallel is not None:
            for field in ("min_gpus", "max_gpus"):
                if getattr(use.job, field) not in (None, use.job.gpus):
                    yield Problem(
                        path=f"jobs.{use.job_name}.{field}",
                        message=f"has no effect: {use.path}.data_parallel fixes the number of GPUs",
                        hint="leave data_parallel out",
                    )


def no_effect_phase(scenario: Scenario) -> Iterator[Problem]:
    """Phase settings that nothing reads."""
    for name, job in scenario.jobs.items():
        first = True
        gated = False
        for phase_name, phase in job.phases.items():
            path = f"jobs.{name}.phases.{phase_name}"
            gated = gated or phase.data_gated
            if phase.data_gated and not job.data.releases:
                yield Problem(
                    path=f"{path}.data_gated", message="has no effect: the job has no data releases"
                )
            if phase.overlap > 0 and (phase.after == () or (first and phase.after is None)):
                yield Problem(
                    path=f"{path}.overlap", message="has no effect: nothing comes before this phase"
                )
            if phase.kind != "rl" and "rollouts" in phase.model_fields_set:
                yield Problem(
                    path=f"{path}.rollouts", message=f"has no effect in a phase of kind {phase.kind}"
                )
            first = False
        if job.data.releases and not gated:
            yield Problem(
                path=f"jobs.{name}.data.releases",
                message="have no effect: no phase has data_gated: true",
            )


def no_effect_faults(scenario: Scenario) -> Iterator[Problem]:
    """Fault settings that nothing reads."""
    for name, fault in scenario.faults.classes.items():
        path = f"faults.classes.{name}"
        if fault.removes == "nothing" and fault.repair is not None and fault.interrupts:
            yield Problem(path=f"{path}.repair", message="has no effect: the class removes nothing")
        if fault.distribution == "exponential" and fault.shape != 1.0:
            yield Problem(
                path=f"{path}.shape",
                message="has no effect: the distribution is exponential",
                hint="use distribution: weibull",
            )
        if fault.distribution != "empirical" and fault.gaps is not None:
            yield Problem(
                path=f"{path}.gaps",
                message=f"have no effect: the distribution is {fault.distribution}",
                hint="use distribution: empirical",
            )
        if fault.interrupts and fault.slowdown > 1.0:
            yield Problem(path=f"{path}.slowdown", message="has no effect: the class interrupts jobs")
        idle = not fault.interrupts and fault.removes == "nothing" and fault.slowdown == 1.0
        if idle and fault.degrades is None:
            yield Problem(
                path=path, message="has no effect: it neither interrupts, slows nor removes anything"
            )


def uneven_layers(scenario: Scenario) -> Iterator[Problem]:
    """Stages that differ by more than what the embedding layers fill up."""
    for use in plans(scenario):
        layers = use.job.model.num_hidden_layers
        chunks = use.plan.pipeline_parallel * use.plan.virtual_pipeline
        largest = math.ceil(layers / chunks)
        if largest * chunks - layers > 2:
            yield Problem(
                path=f"{use.path}.pipeline_parallel",
                message=f"{layers} layers over {chunks} chunks: the largest has {largest}, the mean is "
                f"{layers / chunks:.2f}; the others wait for it",
            )


def uneven_batch(scenario: Scenario) -> Iterator[Problem]:
    """Batches that do not divide by the replicas: each runs whole micro-batches, so the largest share decides."""
    for use in plan_uses(scenario):
        plan, dp = use.plan, replicas(use)
        share = dp * plan.micro_batch_size
        # The batch of an RL update follows from its responses.
        if use.phase.kind == "rl" or plan.global_batch_size % share == 0:
            continue
        whole = math.ceil(plan.global_batch_size / share) * share
        yield Problem(
            path=f"{use.path}.global_batch_size",
            message=f"{plan.global_batch_size} is not a multiple of dp x micro_batch_size = {share}; some of the "
            f"{dp} replicas wait for the others: a step takes as long as one of {whole} sequences",
            hint=f"{whole - share} or {whole} for {use.gpus} GPUs",
        )


def incomplete_domains(scenario: Scenario) -> Iterator[Problem]:
    """GPUs in a domain that is not whole are never used."""
    for path, _, _, partition in partitions(scenario):
        domain = partition.gpu.scale_up_domain
        for index, step in enumerate(partition.capacity):
            if step.gpus % domain:
                yield Problem(
                    path=f"{path}.capacity[{index}].gpus",
                    message=f"{step.gpus} is not a whole number of domains of {domain} GPUs; "
                    f"{step.gpus % domain} are never used",
                )


def beyond_horizon(scenario: Scenario) -> Iterator[Problem]:
    """Dates that the clock does not reach."""
    end = scenario.start + scenario.horizon
    for name, job in scenario.jobs.items():
        if job.submit >= end:
            yield Problem(
                path=f"jobs.{name}.submit",
                message=f"the job never starts: the horizon ends {format_instant(end)}",
            )
        if job.target is not None and job.target.date > end:
            yield Problem(
                path=f"jobs.{name}.target.date",
                message=f"lies after the horizon, which ends {format_instant(end)}: of a run that has not ended "
                "by then nobody knows whether it meets the target",
                hint="a longer horizon",
            )
        for phase_name, phase in job.phases.items():
            if phase.data_ready is not None and phase.data_ready >= end:
                yield Problem(
                    path=f"jobs.{name}.phases.{phase_name}.data_ready",
                    message=f"the phase never starts: the horizon ends {format_instant(end)}",
                )


def late_data(scenario: Scenario) -> Iterator[Problem]:
    """Releases after the horizon that a gated phase cannot end without."""
    end = scenario.start + scenario.horizon
    for name, job in scenario.jobs.items():
        if job.submit >= end:
            continue
        ready = max((item.tokens for item in job.data.releases if item.ready < end), default=0.0)
        late = [index for index, item in enumerate(job.data.releases) if item.ready >= end]
        wanted = 0.0
        for phase_name, phase in job.phases.items():
            wanted += phase.tokens or 0.0 if phase.data_gated else 0.0
            if late and wanted > ready * job.data.max_epochs * (1 + 1e-9):
                yield Problem(
                    path=f"jobs.{name}.data.releases[{late[0]}].ready",
                    message=f"phase {phase_name} waits to the end: up to it {format_tokens(wanted)} tokens are "
                    f"needed, and {format_tokens(ready)} unique ones are ready before the horizon, "
                    f"{format_instant(end)}",
                    hint="a longer horizon",
                )
                break


def late_capacity(scenario: Scenario) -> Iterator[Problem]:
    """Jobs whose GPUs come after the horizon."""
    end = scenario.start + scenario.horizon
    for name, job in scenario.jobs.items():
        if job.submit >= end:
            continue
        found = [(step.at, room) for room, _, step in rooms(scenario, job)]
        most = max((room for at, room in found if at < end), default=0)
        for path, need in needs(name, job):
            enough = min((at for at, room in found if room >= need), default=end)
            if need > most and enough >= end:
                yield Problem(
                    path=path,
                    message=f"the job waits to the end: jobs at {job.site} can have {most} of these {need} GPUs "
                    f"before the horizon, {format_instant(end)}, and all of them from {format_instant(enough)} on",
                    hint="a longer horizon",
                )


def slow_restart(scenario: Scenario) -> Iterator[Problem]:
    """Jobs that are interrupted about as often as they can restart."""
    if not scenario.faults.enabled:
        return
    for name, job in scenario.jobs.items():
        for partition in list(job_partitions(scenario, job).values())[:1]:
            rate = sum(
                fault.rate * _units(fault, job.gpus, partition)
                for fault in scenario.faults.classes.values()
                if fault.interrupts and not fault.planned
            )
            again = math.fsum(
                restart_time(job.gpus, base=base, per_doubling=per_doubling, exponent=exponent)
                for base, per_doubling, exponent in scenario.faults.restart.laws.values()
            )
            if rate * again > 0.5:
                yield Problem(
                    path=f"jobs.{name}.gpus",
                    message=f"an interruption every {format_duration(1.0 / rate)} against a restart of "
                    f"{format_duration(again)}: most of the time goes into restarts",
                    hint="check the failure rates",
                )


def _units(fault: FaultClass, gpus: int, partition: Partition) -> float:
    sizes = {"gpu": 1, "node": partition.gpu.gpus_per_node, "domain": partition.gpu.scale_up_domain}
    if fault.group is not None:
        sizes["group"] = partition.gpu.scale_up_domain * fault.group.domains
    return gpus / sizes[fault.per] if fault.per in sizes else 1.0


def crowded_replicas(scenario: Scenario) -> Iterator[Problem]:
    """Responses to decode at once whose caches do not fit beside the weights: some wait."""
    for name, job in scenario.jobs.items():
        partition = next(iter(job_partitions(scenario, job).values()), None)
        for phase_name, phase in job.phases.items():
            if phase.kind != "rl" or partition is None:
                continue
            wanted = phase.rollouts.responses_at_once(phase.rollouts.generating_gpus(phase_gpus(job, phase)))
            slots, context = _room(job, phase.rollouts, partition.gpu)
            if 0 < slots < wanted:
                held = phase.rollouts.gpus_per_replica
                yield Problem(
                    path=f"jobs.{name}.phases.{phase_name}.rollouts.concurrency_per_replica",
                    message=f"of {wanted} responses at once {slots} fit beside the weights in {held} GPUs, at "
                    f"a mean context of {context:,.0f} tokens; the others wait",
                    hint=f"at most {slots}, or more gpus_per_replica",
                )


def _room(job: Job, rollouts: Rollouts, gpu: Gpu) -> tuple[int, float]:
    """Responses that fit in the memory of a replica, and their mean context. [tokens]"""
    context = rollouts.prompt_tokens + rollout.running_response_tokens(**rollouts.length_law)
    slots = rollout.slots_in_memory(
        memory=gpu.hbm_capacity * rollouts.hbm_fraction * rollouts.gpus_per_replica,
        weight_bytes=count_parameters(job.model).total * rollouts.weight_bytes,
        cache_bytes=rollout.running_cache_bytes(
            job.model, prompt_tokens=rollouts.prompt_tokens, **rollouts.length_law
        ),
    )
    return slots, context


def long_save(scenario: Scenario) -> Iterator[Problem]:
    """Saves that take longer than the time between them."""
    shared = dict(policies(scenario))["checkpoint"]
    for name, job in scenario.jobs.items():
        path = f"jobs.{name}.checkpoint" if job.checkpoint is not None else "checkpoint"
        site = scenario.cluster.sites[job.site]
        state = count_parameters(job.model).trained
        policy: CheckpointPolicy = job.checkpoint or shared
        gpus = max(phase_gpus(job, phase) for phase in job.phases.values())
        for index, tier in enumerate(policy.tiers):
            if isinstance(tier.interval, str):
                continue
            if tier.write_bandwidth is not None:
                bandwidth = tier.write_bandwidth * gpus
            else:
                bandwidth = min(site.storage.write_bandwidth, site.storage.bandwidth_per_gpu * gpus)
            took = policy.size(state) / bandwidth
            if took > tier.interval:
                yield Problem(
                    path=f"{path}.tiers[{index}].interval",
                    message=f"a save of {name} takes {format_duration(took)}, longer than the "
                    f"{tier.interval / HOUR:.3g} h between saves",
                    hint="a longer interval or faster storage",
                )
