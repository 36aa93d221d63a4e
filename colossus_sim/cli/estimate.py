"""``colossus-sim estimate``: the training step of each job, without the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import (
    Settings,
    check_feasible,
    echo,
    echo_json,
    load,
    scenario_options,
    text_table,
)
from colossus_sim.units import format_duration, format_si

if TYPE_CHECKING:
    from colossus_sim.cli.contention import JobBand
    from colossus_sim.specs.hardware import Gpu
    from colossus_sim.specs.parallel import ParallelPlan
    from colossus_sim.specs.scenario import Scenario
    from colossus_sim.topology.fabric import Fabric
    from colossus_sim.training.estimate import StepEstimate
    from colossus_sim.training.phases import ModelCache, PhaseModel, UnitEstimate

SCHEMA_VERSION = 1

_OF_UPDATES = (
    "\nrl: a unit is one update (generation included); plan, tokens/s and MFU are of the step inside it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The model of one phase."""

    job: str
    phase: str
    kind: str
    plan: ParallelPlan
    model: PhaseModel
    gpu: Gpu
    fabric: Fabric


@click.command("estimate")
@click.argument("file")
@click.option("--job", "jobs", multiple=True, metavar="NAME", help="Only this job. Repeatable.")
@click.option(
    "--explain",
    is_flag=True,
    help="Add the waterfall from peak to achieved, collectives, memory per stage, RL updates, sources.",
)
@click.option(
    "--contention",
    is_flag=True,
    help="Add the step time of each job beside the others, from interleaved to all at once.",
)
@scenario_options
def estimate(file: str, jobs: tuple[str, ...], explain: bool, contention: bool, settings: Settings) -> None:
    """Print step time and its breakdown, memory per GPU and MFU of each job, alone and healthy.

    FILE is a scenario file, the name of a shipped scenario, or - for standard input.

    \b
    Examples:
      colossus-sim estimate quickstart
      colossus-sim estimate scenarios/colossus_roadmap.yaml --job grok_5_10t --explain
    """
    scenario = load(file, settings)
    _known(jobs, scenario)
    models = check_feasible(scenario)
    lines = [line for line in _lines(scenario, models) if not jobs or line.job in jobs]
    bands = _bands(scenario, models) if contention else []
    if settings.json:
        document = {"schema_version": SCHEMA_VERSION, "phases": [_document(line) for line in lines]}
        echo_json(document | ({"contention": [band.document() for band in bands]} if contention else {}))
        return
    echo(_overview(lines))
    if contention:
        from colossus_sim.cli.contention import band_table

        echo("\n" + band_table(bands))
    _details(lines, scenario, explain=explain)


def _details(lines: list[Line], scenario: Scenario, *, explain: bool) -> None:
    """Print the step of each job's first phase; to explain, of every phase whose unit differs."""
    shown: dict[str, list[tuple[StepEstimate, UnitEstimate]]] = {}
    for line in lines:
        step = line.model.reference
        known = shown.setdefault(line.job, [])
        if step is None or (known and not explain) or (step, line.model.reference_unit) in known:
            continue
        known.append((step, line.model.reference_unit))
        echo("\n" + (_explained(line, step, scenario) if explain else _shares(line, step)))


def _bands(scenario: Scenario, models: ModelCache) -> list[JobBand]:
    from colossus_sim.cli.contention import job_bands

    return job_bands(scenario, models)


def _known(jobs: tuple[str, ...], scenario: Scenario) -> None:
    from colossus_sim.errors import UsageError
    from colossus_sim.loading.suggest import nearest

    for name in jobs:
        if name not in scenario.jobs:
            near = nearest(name, scenario.jobs)
            raise UsageError(
                f"error: no job {name!r} in this scenario" + (f"; did you mean {near!r}?" if near else "")
            )


def _lines(scenario: Scenario, models: ModelCache) -> Iterator[Line]:
    from colossus_sim.cli.feasibility import build_fabrics

    fabrics = build_fabrics(scenario)
    for name, job in scenario.jobs.items():
        partition = job.partition or next(iter(scenario.cluster.sites[job.site].partitions))
        for phase_name, phase in job.phases.items():
            model = models(
                scenario=scenario,
                job_name=name,
                phase_name=phase_name,
                site=job.site,
                partition_name=partition,
                fabric=fabrics[job.site, partition],
            )
            yield Line(
                job=name,
                phase=phase_name,
                kind=phase.kind,
                plan=phase.parallel or job.parallel,
                model=model,
                gpu=scenario.cluster.sites[job.site].partitions[partition].gpu,
                fabric=fabrics[job.site, partition],
            )


def _overview(lines: list[Line]) -> str:
    header = (
        "job", "phase", "GPUs", "tp pp dp cp ep", "step or unit", "units", "time alone", "tokens/s", "MFU",
        "of peak", "memory/GPU", "limit",
    )  # fmt: skip
    table = text_table(header, [_overview_row(line) for line in lines], right=(2, 4, 5, 6, 7, 8, 10, 11))
    notes = [_OF_UPDATES] if any(line.kind == "rl" for line in lines) else []
    for line in lines:
        unit = line.model.reference_unit
        if unit.slots < unit.slots_wanted:
            notes.append(
                f"\n{line.job}/{line.phase}: of {unit.slots_wanted:,} responses at once per replica memory holds "
                f"{unit.slots:,}; the others wait."
            )
        notes.extend(f"\n{line.job}/{line.phase}: {problem.message}." for problem in line.model.warnings)
    return table + "".join(notes)


def _overview_row(line: Line) -> tuple[str, ...]:
    model, step, plan = line.model, line.model.reference, line.plan
    first = (line.job, line.phase, f"{model.gpus_wanted:,}")
    times = (
        format_duration(model.reference_time),
        f"{model.units:,}",
        format_duration(model.reference_time * model.units),
    )
    if step is None:
        return (*first, "-", *times, "-", "-", "-", "-", "-")
    dp = step.gpus // (plan.tensor_parallel * plan.pipeline_parallel * plan.context_parallel)
    degrees = (plan.tensor_parallel, plan.pipeline_parallel, dp, plan.context_parallel, plan.expert_parallel)
    return (
        *first,
        " ".join(str(degree) for degree in degrees),
        *times,
        format_si(step.tokens_per_second, "", 4).strip(),
        f"{step.mfu:.1%}",
        f"{format_si(step.peak, 'FLOP/s', 4)} {step.precision}",
        format_si(step.peak_memory, "B"),
        format_si(step.memory_capacity, "B"),
    )


def _shares(line: Line, step: StepEstimate) -> str:
    """Where the step's time goes, without what is negligible."""
    from colossus_sim.cli.explain import overall

    rows = [
        (name.replace("_", " "), f"{seconds * 1e3:,.2f}", f"{seconds / step.step_time:.1%}")
        for name, seconds in step.parts.items()
        if abs(seconds) >= 5e-4 * step.step_time
    ]
    rows.append(("step", f"{step.step_time * 1e3:,.2f}", "100.0%"))
    table = text_table(("part", "ms", "share"), rows, right=(1, 2))
    return f"{overall(step, line.job, line.phase)}\n{table}"


def _explained(line: Line, step: StepEstimate, scenario: Scenario) -> str:
    """Every term of the phase, its collectives, its memory, and the sources of the constants."""
    from colossus_sim.cli import explain

    blocks = [
        f"{explain.overall(step, line.job, line.phase)}\n{explain.waterfall(step)}",
        explain.communication(step, line.fabric),
        explain.memory(step),
        explain.sources(line.plan, line.gpu, scenario.calibration, line.fabric),
    ]
    unit = line.model.reference_unit
    if unit.parts:
        title = (
            f"{line.job}/{line.phase}: update {format_duration(unit.time)} on {line.model.gpus_wanted:,} GPUs"
        )
        blocks.append(f"{title}\n{explain.update(unit)}")
    return "\n\n".join(blocks)


def _document(line: Line) -> dict[str, Any]:
    model, step = line.model, line.model.reference
    document: dict[str, Any] = {
        "job": line.job,
        "phase": line.phase,
        "kind": line.kind,
        "gpus": model.gpus_wanted,
        "units": model.units,
        "unit_time_s": model.reference_time,
    }
    if model.reference_unit.parts:
        document["unit_parts_s"] = dict(model.reference_unit.parts)
        document["slots_per_replica"] = model.reference_unit.slots
    if step is None:
        return document
    return document | {
        "step_time_s": step.step_time,
        "parts_s": dict(step.parts),
        "tokens_per_s": step.tokens_per_second,
        "mfu": step.mfu,
        "hfu": step.hfu,
        "peak_FLOP_per_s": step.peak,
        "precision": step.precision,
        "memory_per_gpu_B": step.peak_memory,
        "memory_capacity_B": step.memory_capacity,
        "communication": [
            {
                "axis": row.axis,
                "operation": row.operation,
                "algorithm": row.algorithm,
                "group_size": row.group_size,
                "level": row.level,
                "message_B": row.message_bytes,
                "calls": row.calls,
                "time_s": row.time,
                "exposed_s": row.exposed,
                "busbw_B_per_s": row.busbw,
            }
            for row in step.communication
        ],
    }
