"""Play a scenario from its start to its horizon, or until all jobs are done."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import simpy

from colossus_sim.engine.agenda import Agenda, Order, most_at_once
from colossus_sim.engine.maintenance import plan_maintenance
from colossus_sim.engine.phase import PhaseRun
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.engine.storage_desk import StorageDesk
from colossus_sim.engine.world import Watch, World
from colossus_sim.intervals import IntervalTable
from colossus_sim.records import PhaseRow, RunResult
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.phases import ModelBuilder, PhaseModel, build_phase_model

Progress = Callable[[float, str], None]
DeskBuilder = Callable[[Agenda, str], StorageDesk]

_PROGRESS_STEPS = 100
_COLLECTION_THRESHOLD = 100_000


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    progress: Progress | None = None,
    build_model: ModelBuilder = build_phase_model,
    every_step: bool = False,
    build_desk: DeskBuilder = StorageDesk,
    watch: Watch | None = None,
) -> RunResult:
    """Run the discrete-event simulation of a scenario.

    Parameters
    ----------
    scenario : Scenario
        What to play.
    seed : int, optional
        Root seed of all random streams; default: the scenario's.
    progress : callable, optional
        Called about a hundred times with (fraction of the horizon, text).
    build_model : callable, optional
        Where the times of steps come from; default: the analytic step model.
    every_step : bool
        Play each step as an event of its own instead of whole stretches; for tests: the answer is the same.
    build_desk : callable, optional
        How saves queue at a shared storage; for comparisons with other programs.
    watch : callable, optional
        Told of every stretch of computing that ends (see ``engine.world.Watch``).

    Returns
    -------
    RunResult
        All rows that the run wrote.

    Raises
    ------
    SimulationError
        If a job restarts again and again without progress.
    InfeasibleError
        If a plan does not fit its GPUs.
    """
    world, models = build_world(scenario, scenario.seed if seed is None else seed, build_model, build_desk)
    world.every_step, world.watch = every_step, watch
    world.faults.add_sources()
    _plan_capacity(world)
    plan_maintenance(world)
    _plan_submissions(world)
    end = _play(world, progress)
    return _result(world, models, end)


def build_world(
    scenario: Scenario, seed: int, build_model: ModelBuilder, build_desk: DeskBuilder = StorageDesk
) -> tuple[World, dict[str, PhaseModel]]:
    """Return sites and phases before anything is planned, and the reference model of each ``job/phase``."""
    world = World(scenario, seed)
    _build_sites(world, build_desk)
    return world, _build_phases(world, build_model)


def _build_sites(world: World, build_desk: DeskBuilder) -> None:
    policies = world.scenario.policies
    for name, spec in world.scenario.cluster.sites.items():
        partitions = {}
        for key, part in spec.partitions.items():
            fabric = build_fabric(spec.topology, part.gpu, part.most_gpus)
            pool = PartitionPool(name, key, part, level_domains(fabric))
            partitions[key] = PartitionState(pool, fabric, policies.contention)
        site = world.sites[name] = SiteState(name, spec, partitions)
        if policies.storage_access != "mean":
            site.desk = build_desk(world.agenda, policies.storage_access)


def level_domains(fabric: Fabric) -> tuple[int, ...]:
    """Return the scale-up domains below one group of each scale-out level but the last, or of the only one."""
    sizes = [max(1, level.group_gpus // fabric.gpus_per_domain) for level in fabric.levels[1:]]
    return tuple(sizes[:-1] or sizes or [1])


def _build_phases(world: World, build_model: ModelBuilder) -> dict[str, PhaseModel]:
    """Create a player for every phase of every job; return the reference model of each."""
    reference = {}
    for job_name, job in world.scenario.jobs.items():
        site = world.sites[job.site]
        for phase_name in job.phases:
            names = [job.partition] if job.partition is not None else list(site.partitions)
            models = {
                name: build_model(
                    scenario=world.scenario,
                    job_name=job_name,
                    phase_name=phase_name,
                    site=job.site,
                    partition_name=name,
                    fabric=site.partitions[name].fabric,
                )
                for name in names
            }
            phase = PhaseRun(world, (job_name, phase_name), dict(models))
            world.phases.append(phase)
            reference[f"{job_name}/{phase_name}"] = models[names[0]]
    world.unfinished = len(world.phases)
    world.scheduler.elastic = any(
        job.min_gpus is not None or job.max_gpus is not None for job in world.scenario.jobs.values()
    )
    return reference


def _plan_capacity(world: World) -> None:
    for site in world.sites.values():
        for partition in site.partitions.values():
            world.note_level(site, partition)
            for step in partition.pool.spec.capacity:
                change = partial(world.announce_capacity, site, partition, step.gpus, step.note)
                world.agenda.at(max(0.0, world.clock(step.at)), Order.CAPACITY, change)


def _plan_submissions(world: World) -> None:
    """Start each phase when its predecessors allow it."""
    for phase, before in predecessors(world.phases):
        if before:
            _chain(world, phase, before)
        else:
            if phase.job.reserved:
                world.scheduler.bookings.add(phase)
            start = max(0.0, world.clock(phase.job.submit))
            world.agenda.at(start, Order.CAPACITY, partial(_begin, world, phase, ""))


def predecessors(phases: Iterable[PhaseRun]) -> Iterator[tuple[PhaseRun, list[PhaseRun]]]:
    """Yield each phase with those that it waits for: `after`, or else the one before it in its job."""
    by_job: dict[str, dict[str, PhaseRun]] = {}
    for phase in phases:
        by_job.setdefault(phase.job_name, {})[phase.name] = phase
    for own in by_job.values():
        before: list[PhaseRun] = []
        for phase in own.values():
            after = phase.spec.after
            yield phase, before if after is None else [own[name] for name in after]
            before = [phase]


def _begin(world: World, phase: PhaseRun, trigger: str) -> None:
    phase.trigger = trigger
    world.agenda.process(phase.life())


def _chain(world: World, phase: PhaseRun, predecessors: list[PhaseRun]) -> None:
    waiting = {other.name for other in predecessors}

    def done(name: str) -> None:
        waiting.discard(name)
        if not waiting and math.isnan(phase.ready):
            _begin(world, phase, name)

    for other in predecessors:
        action = partial(done, other.name)
        if phase.spec.overlap > 0 and other.work.total > 0:
            other.milestones.append((other.work.total * (1.0 - phase.spec.overlap), action))
        else:
            other.at_end.append(action)


@contextmanager
def rare_collections(*, frozen: bool = False) -> Iterator[None]:
    """Let the garbage collector look less often: a run makes many rows and hardly any cycles.

    What is there already (libraries, the scenario) is left out of its rounds meanwhile, unless the caller says
    that it is `frozen` (to find out takes milliseconds).
    """
    before = gc.get_threshold()
    freeze = not frozen and not gc.get_freeze_count()
    gc.set_threshold(_COLLECTION_THRESHOLD, *before[1:])
    if freeze:
        gc.freeze()
    try:
        yield
    finally:
        if freeze:
            gc.unfreeze()
        gc.set_threshold(*before)


def _play(world: World, progress: Progress | None) -> float:
    """Run the events; return when the simulation stopped. [s]"""
    horizon = world.scenario.horizon
    stop = simpy.Event(world.agenda)

    def halt() -> None:
        if not stop.triggered:
            stop.succeed()

    world.on_all_done = halt
    world.agenda.at(horizon, Order.SCHEDULING, halt)
    if progress is not None:
        for index in range(1, _PROGRESS_STEPS):
            time = horizon * index / _PROGRESS_STEPS
            report = partial(progress, index / _PROGRESS_STEPS, f"day {time / 86400:.0f}")
            world.agenda.at(time, Order.SCHEDULING, report)
    with rare_collections():
        world.agenda.play(stop, most_at_once(len(world.phases), world.domains))
    end = world.agenda.now
    world.record_levels()
    for phase in world.phases:
        phase.close_interval()
    for site in world.sites.values():
        for partition in site.partitions.values():
            world.recorder.close_level((site.name, partition.pool.name), end)
    return end


def _result(world: World, models: dict[str, PhaseModel], end: float) -> RunResult:
    recorder = world.recorder
    tokens = {key: model.tokens_per_unit for key, model in models.items()}
    flops = {key: model.model_flops_per_unit for key, model in models.items()}
    return RunResult(
        scenario=world.scenario,
        seed=world.seed,
        case=world.scenario.case,
        end_time=end,
        events_processed=world.agenda.processed,
        intervals=IntervalTable.of(recorder.interval_rows(tokens, flops)),
        gpu_time=tuple(recorder.gpu_time_rows(end)),
        levels=tuple(recorder.levels),
        events=tuple(recorder.events),
        phases=tuple(_played_row(phase, models[f"{phase.job_name}/{phase.name}"]) for phase in world.phases),
        estimates={key: model.reference for key, model in models.items()},
        warnings=tuple(_warnings(world)),
    )


def phase_row(
    phase: PhaseRun,
    model: PhaseModel,
    *,
    times: tuple[float, float, float],
    trigger: str,
    kept: float,
    interruptions: int,
) -> PhaseRow:
    """Return the row of a phase: its names, its model, and what became of it (`times`: ready, start, end [s])."""
    ready, start, end = times
    reference = model.reference
    return PhaseRow(
        job=phase.job_name,
        phase=phase.name,
        kind=phase.spec.kind,
        ready=ready,
        start=start,
        end=end,
        trigger=trigger,
        gpus_wanted=model.gpus_wanted,
        units=float(model.units),
        units_done=kept,
        unit_time=model.reference_time,
        planned_unit_time=model.planned_unit_time,
        tokens=model.units * model.tokens_per_unit,
        tokens_done=kept * model.tokens_per_unit,
        peak=model.peak,
        precision=model.precision,
        mfu=reference.mfu if reference is not None else 0.0,
        interruptions=interruptions,
    )


def _played_row(phase: PhaseRun, model: PhaseModel) -> PhaseRow:
    return phase_row(
        phase,
        model,
        times=(phase.ready, phase.started, phase.ended),
        trigger=phase.trigger,
        kept=phase.work.units,
        interruptions=phase.interruptions,
    )


def _warnings(world: World) -> list[str]:
    """Say which phases are not done, and what they were waiting for."""
    found = []
    for phase in world.phases:
        if not math.isnan(phase.ended):
            continue
        share = phase.work.units / phase.work.total if phase.work.total else 1.0
        found.append(
            f"{phase.job_name}/{phase.name} is not done at the end of the simulated time ({share:.1%} of its work)"
        )
    return found
