"""Rules about parallel plans."""

from __future__ import annotations

import math
from collections.abc import Iterator

from colossus_sim.errors import Problem
from colossus_sim.loading.checks.walk import (
    PlanUse,
    job_partitions,
    phase_gpus,
    plan_unit,
    plan_uses,
    plans,
    replicas,
)
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.scenario import Scenario
from colossus_sim.specs.shares import MAX_IDLE_SHARE, shares


def degrees_match_gpus(scenario: Scenario) -> Iterator[Problem]:
    """The product of the degrees is the number of GPUs (with automatic dp: up to 1 % less)."""
    for use in plan_uses(scenario):
        unit = plan_unit(use.plan, use.job.model.moe is not None)
        if use.phase.kind == "rl" and use.phase.rollouts.mode == "asynchronous":
            yield from _trainers(use, unit)
        elif use.plan.data_parallel is None:
            yield from _automatic(use, unit)
        else:
            yield from _explicit(use, use.plan.data_parallel)


def _explicit(use: PlanUse, dp: int) -> Iterator[Problem]:
    plan = use.plan
    dense = plan.tensor_parallel * plan.context_parallel * plan.pipeline_parallel
    world = dense * dp
    if world != use.gpus:
        hint = "leave data_parallel out"
        if use.gpus % dense == 0 and use.phase.parallel is None and use.gpus != use.job.gpus:
            hint += f", or give the phase its own plan: parallel: {{data_parallel: {use.gpus // dense}}}"
        elif use.gpus % dense == 0:
            hint += f", or set it to {use.gpus // dense}"
        yield Problem(
            path=f"{use.path}.data_parallel",
            message=f"{_product(plan, dp)} = {world}, but {use.gpus_path} is {use.gpus}",
            hint=hint,
        )
    yield from _expert_mesh(use, world)


def _expert_mesh(use: PlanUse, world: int) -> Iterator[Problem]:
    plan = use.plan
    experts = plan.expert_parallel * plan.expert_tensor_parallel
    stage = world // plan.pipeline_parallel
    if use.job.model.moe is not None and stage % experts:
        yield Problem(
            path=f"{use.path}.expert_parallel",
            message=f"ep {plan.expert_parallel} x etp {plan.expert_tensor_parallel} = {experts} does not divide "
            f"the {stage} GPUs of a pipeline stage (tp x cp x dp)",
            hint=f"a divisor of {stage}",
        )


def _automatic(use: PlanUse, unit: int) -> Iterator[Problem]:
    usable = use.gpus // unit * unit
    idle = use.gpus - usable
    if usable and idle <= MAX_IDLE_SHARE * use.gpus:
        return
    plan = use.plan
    near = " or ".join(str(count) for count in (usable, usable + unit) if count)
    yield Problem(
        path=use.gpus_path,
        message=f"{use.gpus} GPUs do not divide by the plan: {_product(plan, None)} = {unit} GPUs per replica"
        f"{_experts(use)}, so {idle} of {use.gpus} would stay idle ({idle / use.gpus:.1%})",
        hint=f"ask for {near} GPUs, or change the degrees in {use.path}",
    )


def idle_gpus(scenario: Scenario) -> Iterator[Problem]:
    """An automatic data-parallel degree leaves a few GPUs unused."""
    seen: set[str] = set()
    for use in plan_uses(scenario):
        unit = plan_unit(use.plan, use.job.model.moe is not None)
        idle = use.gpus % unit
        asynchronous = use.phase.kind == "rl" and use.phase.rollouts.mode == "asynchronous"
        if idle and use.plan.data_parallel is None and not asynchronous and use.gpus_path not in seen:
            seen.add(use.gpus_path)
            yield Problem(
                path=use.gpus_path,
                message=f"{idle} of {use.gpus} GPUs stay idle: {_product(use.plan, None)} = {unit} GPUs per "
                f"replica{_experts(use)}",
                hint=f"{use.gpus - idle} or {use.gpus - idle + unit} would all be used",
            )


def idle_pools(scenario: Scenario) -> Iterator[Problem]:
    """Whole copies of the model generate and whole replicas train: pools of an RL phase may leave GPUs over."""
    for name, job in scenario.jobs.items():
        for phase_name, phase in job.phases.items():
            if phase.kind != "rl":
                continue
            gpus, own = phase_gpus(job, phase), f"jobs.{name}.phases.{phase_name}"
            copy, generate = phase.rollouts.gpus_per_replica, phase.rollouts.generating_gpus(gpus)
            over = generate % copy
            words = [f"{over} of the {generate} that generate, {copy} for each copy of the model"] * (
                over > 0
            )
            hint = f"gpus_per_replica that divides {generate}"
            if phase.rollouts.mode == "asynchronous":
                plan = phase.parallel or job.parallel
                unit = plan_unit(plan, job.model.moe is not None)
                left = _left_over(plan, unit, gpus - generate)
                words += [f"{left} of the {gpus - generate} that train, {unit} for each replica"] * (left > 0)
                over += left
                hint = _other_share(gpus, generate, copy, unit)
            if words:
                yield Problem(
                    path=f"{own}.rollouts",
                    message=f"{over} of {gpus} GPUs stay idle: {'; '.join(words)}",
                    hint=hint,
                )


def _left_over(plan: ParallelPlan, unit: int, gpus: int) -> int:
    if plan.data_parallel is None:
        return gpus % unit
    dense = plan.tensor_parallel * plan.context_parallel * plan.pipeline_parallel
    return max(0, gpus - dense * plan.data_parallel)


def _other_share(gpus: int, generate: int, copy: int, unit: int) -> str:
    """The nearest split of the GPUs into whole copies and whole replicas, if there is one."""
    whole = [gpus - train for train in range(unit, gpus, unit) if (gpus - train) % copy == 0]
    if not whole:
        return f"no generation_share of {gpus} GPUs fills both pools: other gpus or gpus_per_replica"
    nearest = min(whole, key=lambda count: abs(count - generate))
    return f"generation_share {nearest / gpus:.6f} would use all of them"


def _trainers(use: PlanUse, unit: int) -> Iterator[Problem]:
    trainers = use.gpus - use.phase.rollouts.generating_gpus(use.gpus)
    if trainers < unit:
        yield Problem(
            path=use.gpus_path,
            message=f"{use.gpus} GPUs leave {trainers} to train beside generation, but one replica of "
            f"the plan needs {unit}",
            hint=f"ask for more GPUs, lower generation_share, or change the degrees in {use.path}",
        )


def _product(plan: ParallelPlan, dp: int | None) -> str:
    terms = [
        f"tp {plan.tensor_parallel}",
        f"pp {plan.pipeline_parallel}",
        f"cp {plan.context_parallel}",
    ]
    if dp is not None:
        terms.append(f"dp {dp}")
    return " x ".join(terms)


def _experts(use: PlanUse) -> str:
    plan = use.plan
    inner = plan.tensor_parallel * plan.context_parallel
    experts = plan.expert_parallel * plan.expert_tensor_parallel
    if use.job.model.moe is None or math.lcm(inner, experts) == inner:
        return ""
    return f" with ep {plan.expert_parallel} x etp {plan.expert_tensor_parallel} inside a stage"


def divisibility(scenario: Scenario) -> Iterator[Problem]:
    """Heads, experts and widths can be shared by the degrees."""
    for use in plans(scenario):
        yield from shares(use.path, use.plan, use.job.model)
        yield from _whole_samples(use)


def _whole_samples(use: PlanUse) -> Iterator[Problem]:
    length, video = use.plan.sequence_length, use.job.model.video
    if video is None or length % video.tokens_per_sample == 0:
        return
    sample = f"{video.tokens_per_sample:.15g}"
    yield Problem(
        path=f"{use.path}.sequence_length",
        message=f"{length} is not a whole number of samples of model.video.tokens_per_sample {sample}",
        hint=f"{sample} for one sample per sequence, or a multiple; text_tokens are not part of it",
    )


def experts_to_share(scenario: Scenario) -> Iterator[Problem]:
    """Experts are shared only where the model has some: the mesh divides by these degrees in any case."""
    for use in plans(scenario):
        plan = use.plan
        if use.job.model.moe is None and plan.expert_parallel * plan.expert_tensor_parallel > 1:
            yield Problem(
                path=f"{use.path}.expert_parallel",
                message=f"ep {plan.expert_parallel} x etp {plan.expert_tensor_parallel}, but the model has no "
                "experts",
                hint="leave expert_parallel and expert_tensor_parallel out",
            )


def schedule(scenario: Scenario) -> Iterator[Problem]:
    """Schedule and virtual stages belong together."""
    for use in plans(scenario):
        plan = use.plan
        if plan.schedule == "interleaved_1f1b" and plan.virtual_pipeline < 2:
            yield Problem(
                path=f"{use.path}.virtual_pipeline",
                message="the interleaved schedule needs virtual_pipeline of at least 2",
                hint="raise it, or use schedule 1f1b",
            )
        if plan.schedule != "interleaved_1f1b" and plan.virtual_pipeline > 1:
            yield Problem(
                path=f"{use.path}.virtual_pipeline",
                message=f"schedule {plan.schedule} has no virtual stages, got {plan.virtual_pipeline}",
                hint="use schedule interleaved_1f1b",
            )
        if plan.schedule == "dualpipe" and plan.pipeline_parallel % 2:
            yield Problem(
                path=f"{use.path}.pipeline_parallel",
                message=f"each device of schedule dualpipe holds a stage and its mirror image, so their number "
                f"must be even, got {plan.pipeline_parallel}",
                hint="raise it, or use schedule 1f1b",
            )


def batch(scenario: Scenario) -> Iterator[Problem]:
    """Every replica gets at least one micro-batch."""
    for use in plan_uses(scenario):
        plan = use.plan
        dp = replicas(use)
        if plan.global_batch_size < dp * plan.micro_batch_size:
            yield Problem(
                path=f"{use.path}.global_batch_size",
                message=f"{plan.global_batch_size} sequences are too few for {dp} replicas with micro-batches "
                f"of {plan.micro_batch_size}",
                hint=f"at least {dp * plan.micro_batch_size}, or raise tp, pp or cp",
            )


def microbatches(scenario: Scenario) -> Iterator[Problem]:
    """Numbers of micro-batches for which a schedule is not made."""
    for use in plan_uses(scenario):
        plan, stages = use.plan, use.plan.pipeline_parallel
        # The batch of an RL update follows from its responses.
        if use.phase.kind == "rl" or stages == 1:
            continue
        share = replicas(use) * plan.micro_batch_size
        m = math.ceil(plan.global_batch_size / share)
        path = f"{use.path}.global_batch_size"
        if plan.schedule == "interleaved_1f1b" and m > stages and m % stages:
            below = m // stages * stages
            yield Problem(
                path=path,
                message=f"the interleaved schedule needs a multiple of pipeline_parallel {stages}, but a replica "
                f"has {m} micro-batches: Megatron-LM refuses the plan; its step time is interpolated",
                hint=f"{below * share} or {(below + stages) * share} for {use.gpus} GPUs",
            )
        if plan.schedule == "dualpipe" and m < 2 * stages:
            yield Problem(
                path=path,
                message=f"schedule dualpipe is made for at least two micro-batches per stage, {2 * stages}, but a "
                f"replica has {m}: the step time is a lower bound",
                hint=f"at least {2 * stages * share} for {use.gpus} GPUs",
            )


def precision_known(scenario: Scenario) -> Iterator[Problem]:
    """The GPUs can compute at the plan's precision, and the calibration says how fast."""
    for use in plans(scenario):
        choices = job_partitions(scenario, use.job)
        wanted = use.plan.precision
        able = {n: p.gpu for n, p in choices.items() if p.gpu.peak_at(wanted) is not None}
        if choices and not able:
            gpu = next(iter(choices.values())).gpu
            yield Problem(
                path=f"{use.path}.precision",
                message=f"{gpu.title} has no peak rate for {wanted}",
                hint=f"it has {', '.join(gpu.trains_in)}",
            )
        for gpu in able.values():
            if scenario.calibration.kernels_at(gpu.name, wanted) is None:
                yield Problem(
                    path="calibration",
                    message=f"has no entry for {gpu.name or gpu.title} at {wanted} (used by {use.path})",
                    hint="add one, or an entry for gpu '*'",
                )
