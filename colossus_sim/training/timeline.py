"""One training step as intervals: every pass of every pipeline stage, and what follows the pipeline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from colossus_sim.errors import UsageError
from colossus_sim.formulas.pipeline_events import simulate_pipeline, stage_order
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric
from colossus_sim.training.communication import Network
from colossus_sim.training.layer_cost import PASS_PARTS, Cost, LayerCost, total
from colossus_sim.training.phases import build_phase_model
from colossus_sim.training.sizes import Sizes, resolve_sizes
from colossus_sim.training.step import pass_costs

DRAWABLE = ("1f1b", "interleaved_1f1b", "gpipe", "zero_bubble")
"""Schedules whose order of passes is known."""

TAIL = ("optimizer", "straggler", "overhead", "other")
"""Parts of a step that follow the pipeline, after the exposed exchange of gradients and weights."""


class StepPass(NamedTuple):
    """One pass of one micro-batch on one stage. Times in seconds from the start of the step."""

    stage: int
    kind: str
    """F: forward; B: backward; W: weight gradients where they are separate."""
    chunk: int
    microbatch: int
    start: float
    end: float
    communication: float
    """Exposed communication inside the pass. [s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimeline:
    """One step of one phase, alone and healthy, on packed GPUs.

    Attributes
    ----------
    job, phase, schedule : str
        What is trained, and in which order the stages work.
    stages, microbatches : int
        Pipeline stages, and micro-batches per replica.
    passes : tuple of StepPass
        Every pass.
    tail : tuple of (str, float, float)
        What all stages do after the pipeline: name, start, end. [s]
    step_time : float
        End of the step, as `estimate_step` gives it. [s]
    """

    job: str
    phase: str
    schedule: str
    stages: int
    microbatches: int
    passes: tuple[StepPass, ...]
    tail: tuple[tuple[str, float, float], ...]
    step_time: float

    @property
    def pipeline_time(self) -> float:
        """End of the last pass. [s]"""
        return max(work.end for work in self.passes)


def step_timeline(scenario: Scenario, job_name: str, phase_name: str = "") -> StepTimeline:
    """Return one step of a phase (the first one that trains, unless named).

    Raises
    ------
    UsageError
        If the phase does not train, or its schedule has no known order of passes for its micro-batches.
    InfeasibleError
        If the plan does not fit.
    """
    job = scenario.jobs[job_name]
    name = phase_name or next((n for n, phase in job.phases.items() if phase.kind == "train"), "")
    phase = job.phases.get(name)
    if phase is None or phase.kind != "train":
        raise UsageError(f"job {job_name} has no training phase {name or phase_name!r}")
    plan = phase.parallel or job.parallel
    if plan.schedule not in DRAWABLE:
        raise UsageError(
            f"job {job_name}: the order of passes of schedule {plan.schedule} is not known; "
            f"those of {', '.join(DRAWABLE)} are"
        )
    site = scenario.cluster.sites[job.site]
    partition_name = job.partition or next(iter(site.partitions))
    gpu = site.partitions[partition_name].gpu
    fabric = build_fabric(site.topology, gpu)
    model = build_phase_model(scenario=scenario, job_name=job_name, phase_name=name, site=job.site,
                              partition_name=partition_name, fabric=fabric)  # fmt: skip
    sizes = resolve_sizes(job.model, plan, model.gpus_wanted)
    _check_order(job_name, plan, sizes)
    used = site.partitions[partition_name].gpus_used_per_domain or fabric.gpus_per_domain
    packed = Placement(
        domain_gpus=fabric.gpus_per_domain,
        ranks_per_domain=used,
        runs=((0, -(-model.gpus_wanted // used)),),
    )
    network = Network(sizes, packed, fabric, None, data_fraction=plan.stack.data_bandwidth_fraction)
    table, transfer = pass_costs(architecture=job.model, plan=plan, gpu=gpu, calibration=scenario.calibration,
                                 sizes=sizes, network=network, flop_multiplier=phase.flop_multiplier)  # fmt: skip
    passes = _play(plan.schedule, table, microbatches=sizes.microbatches, transfer=transfer)
    estimate = model.reference
    parts = {} if estimate is None else dict(estimate.parts)
    step_time = math.fsum(parts.values())
    passes, parts = _shortened(passes, parts, job.step_time_factor)
    return StepTimeline(
        job=job_name,
        phase=name,
        schedule=plan.schedule,
        stages=sizes.stages,
        microbatches=sizes.microbatches,
        passes=passes,
        tail=_tail(parts, max(work.end for work in passes), step_time),
        step_time=step_time,
    )


def _check_order(job_name: str, plan: ParallelPlan, sizes: Sizes) -> None:
    m, stages = sizes.microbatches, sizes.stages
    if len(sizes.chunks) > 1 and m > stages and m % stages:
        raise UsageError(
            f"job {job_name}: the order of passes of schedule {plan.schedule} is known only for multiples of "
            f"pipeline_parallel {stages}, not for {m} micro-batches; Megatron-LM refuses the plan"
        )


def _shortened(
    passes: tuple[StepPass, ...], parts: dict[str, float], factor: float
) -> tuple[tuple[StepPass, ...], dict[str, float]]:
    """Share a step that is quicker than modelled out to all its parts: on a time line none can be negative."""
    if factor >= 1.0:
        return passes, parts
    gained = (1.0 - factor) / factor * math.fsum(parts.values())
    own = {**parts, "other": parts["other"] + gained}
    return tuple(
        work._replace(
            start=factor * work.start, end=factor * work.end, communication=factor * work.communication
        )
        for work in passes
    ), {name: factor * value for name, value in own.items()}


def _play(
    schedule: str, table: list[list[LayerCost]], *, microbatches: int, transfer: float
) -> tuple[StepPass, ...]:
    stages, chunks = len(table[0]), len(table)
    orders = [
        stage_order(schedule, stages=stages, stage=stage, microbatches=microbatches, chunks=chunks)
        for stage in range(stages)
    ]
    # Zero-bubble schedules put weight gradients off (arXiv:2401.10241); nothing is sent for them.
    weights = [[cost.weights if schedule == "zero_bubble" else 0.0 for cost in row] for row in table]
    forward = [[total(cost.forward) for cost in row] for row in table]
    backward = [
        [total(cost.backward) - late for cost, late in zip(*rows, strict=True)]
        for rows in zip(table, weights, strict=True)
    ]
    played = simulate_pipeline(orders, forward, backward, transfer=transfer, weight=weights)
    spent = {
        "F": [[_communication(cost.forward) for cost in row] for row in table],
        "B": [[_communication(cost.backward) for cost in row] for row in table],
        "W": [[0.0] * stages for _ in table],
    }
    return tuple(
        StepPass(item.stage, *item.work, item.start, item.end,
                 spent[item.work.kind][item.work.chunk][item.stage])
        for item in played
    )  # fmt: skip


def _communication(cost: Cost) -> float:
    return math.fsum(
        value for name, value in zip(PASS_PARTS, cost, strict=True) if name.endswith("communication")
    )


def _tail(parts: dict[str, float], start: float, step_time: float) -> tuple[tuple[str, float, float], ...]:
    """Return what follows the pipeline; the exchange of data parallelism is what the other parts leave."""
    lengths = {name: parts.get(name, 0.0) for name in TAIL}
    exchange = step_time - start - math.fsum(lengths.values())
    if exchange < -1e-9 * step_time:
        raise ValueError(f"the passes end at {start} s, {-exchange} s later than the step leaves room for")
    rows, at = [], start
    for name, length in (("data_communication", exchange), *lengths.items()):
        if length > 1e-9:
            rows.append((name, at, at + length))
            at += length
    return tuple(rows)
