"""Phases of a job as units of work: steps, RL updates or stretches of plain compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from colossus_sim.errors import InfeasibleError, Problem
from colossus_sim.formulas import transformer
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.cluster import Site
from colossus_sim.specs.hardware import Storage
from colossus_sim.specs.job import Phase
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import Seat, seat_of
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.memory import check_memory
from colossus_sim.training.sizes import peak_of
from colossus_sim.training.work import (
    ComputeWork,
    RlWork,
    Setting,
    Spans,
    TrainWork,
    UnitEstimate,
    Work,
)
from colossus_sim.units import HOUR

__all__ = ["ModelBuilder", "ModelCache", "PhaseModel", "UnitEstimate", "build_phase_model"]

_MEMO_LIMIT = 20_000
"""Remembered placements per phase; beyond it the oldest knowledge is dropped at once to bound memory."""


class PhaseModel:
    """What the engine asks about one phase.

    Attributes
    ----------
    units : int
        Steps, updates or work units of the phase.
    tokens_per_unit, model_flops_per_unit : float
        Training tokens and model FLOPs of one unit.
    state_bytes : float
        Size of one checkpoint. [B]
    gpus_wanted : int
        GPUs of the phase, rounded down to what the plan can use.
    reference : StepEstimate or None
        The training step on the wanted GPUs, packed, alone and healthy.
    reference_unit : UnitEstimate
        One unit there.
    reference_time : float
        Its time. [s]
    planned_unit_time : float
        Time of one unit that the plan counts on. [s]
    peak : float
        Dense peak of one GPU at `precision`. [FLOP/s]
    precision : str
        Number format of `peak`.
    warnings : tuple of Problem
        What the model of the phase leaves out that matters for it.
    """

    def __init__(
        self,
        *,
        work: Work,
        gpus_wanted: int,
        placement: Placement,
        bandwidths: Sequence[float],
        state_bytes: float,
        peak: float,
        precision: str,
        storage: Storage,
        input_bytes: float = 0.0,
    ) -> None:
        self._work = work
        self._storage, self._input_bytes = storage, input_bytes
        self._memo: dict[tuple[int, Placement, tuple[float, ...] | None], UnitEstimate] = {}
        self._by_seat: dict[tuple[int, Seat], UnitEstimate] = {}
        self._spans: dict[tuple[int, Placement], Spans] = {}
        self._bandwidths = bandwidths
        self.tokens_per_unit = work.tokens_per_unit
        self.model_flops_per_unit = work.model_flops_per_unit
        self.state_bytes = state_bytes
        self.gpus_wanted = gpus_wanted
        self.peak, self.precision = peak, precision
        self.reference: StepEstimate | None = work.step(gpus_wanted, placement, None)
        unit = self._fed(gpus_wanted, work.unit_of(gpus_wanted, self.reference, placement, None))
        self._memo[gpus_wanted, placement, None] = unit
        self._by_seat[gpus_wanted, self._seat(gpus_wanted, placement, None)] = unit
        self.reference_unit = unit
        self.reference_time = unit.time
        self.planned_unit_time = self.reference_time
        self.units = 0
        self.warnings: tuple[Problem, ...] = ()

    def unit(
        self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None = None
    ) -> UnitEstimate:
        """Return time and traffic of one unit on these GPUs; memoised.

        Parameters
        ----------
        gpus : int
            GPUs that compute.
        placement : Placement
            Where they are.
        bandwidths : sequence of float, optional
            Per-GPU bandwidth of each fabric level; left out = the fabric's own. [B/s]
        """
        key = (gpus, placement, None if bandwidths is None else tuple(bandwidths))
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
                self._by_seat.clear()
                self._spans.clear()
            found = self._memo[key] = self._seated(gpus, placement, bandwidths)
        return found

    def _seated(self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None) -> UnitEstimate:
        """Time the unit, unless another placement was the same to it."""
        seat = gpus, self._seat(gpus, placement, bandwidths)
        found = self._by_seat.get(seat)
        if found is None:
            step = self._work.step(gpus, placement, bandwidths, self._spans[gpus, placement])
            unit = self._work.unit_of(gpus, step, placement, bandwidths)
            found = self._by_seat[seat] = self._fed(gpus, unit)
        return found

    def _fed(self, gpus: int, unit: UnitEstimate) -> UnitEstimate:
        """Return the unit, as long as reading its training data takes at least; reads run beside the work."""
        if not self._input_bytes:
            return unit
        rate = min(self._storage.read_bandwidth, self._storage.bandwidth_per_gpu * gpus)
        return replace(unit, time=max(unit.time, self._input_bytes / rate))

    def _seat(self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None) -> Seat:
        place = gpus, placement
        if place not in self._spans:
            self._spans[place] = self._work.spans(gpus, placement)
        return seat_of(self._spans[place].values(), self._bandwidths if bandwidths is None else bandwidths)

    def usable_gpus(self, gpus: int) -> int:
        """Return the largest count of at most `gpus` that the plan can use; 0 if none."""
        return self._work.usable_gpus(gpus)


def build_phase_model(
    *, scenario: Scenario, job_name: str, phase_name: str, site: str, partition_name: str, fabric: Fabric
) -> PhaseModel:
    """Return the model of one phase at one site.

    Raises
    ------
    InfeasibleError
        If the plan does not fit: too few GPUs, layers that do not divide, memory; or if its `step_time_factor`
        asks for more than the peak.
    """
    builder = _Builder(scenario, job_name, scenario.cluster.sites[site], partition_name, fabric)
    return builder.counted(phase_name)


class ModelBuilder(Protocol):
    """Builds the model of one phase at one partition: `build_phase_model`, or what stands in for it."""

    def __call__(
        self,
        *,
        scenario: Scenario,
        job_name: str,
        phase_name: str,
        site: str,
        partition_name: str,
        fabric: Fabric,
    ) -> PhaseModel:
        """Return the model."""


class ModelCache:
    """Builds each phase model of one scenario once; what it remembers are pure functions of the scenario."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str, str, str], PhaseModel] = {}

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Warnings of the phases, each field named once."""
        found = [problem for model in self._models.values() for problem in model.warnings]
        return tuple({problem.path: problem for problem in reversed(found)}.values())[::-1]

    def __call__(
        self,
        *,
        scenario: Scenario,
        job_name: str,
        phase_name: str,
        site: str,
        partition_name: str,
        fabric: Fabric,
    ) -> PhaseModel:
        """Return the model of one phase, built on the first call."""
        key = (job_name, phase_name, site, partition_name)
        found = self._models.get(key)
        if found is None:
            found = self._models[key] = build_phase_model(
                scenario=scenario,
                job_name=job_name,
                phase_name=phase_name,
                site=site,
                partition_name=partition_name,
                fabric=fabric,
            )
        return found


class _Builder:
    """Builds the models of one job at one partition."""

    def __init__(self, scenario: Scenario, name: str, site: Site, partition: str, fabric: Fabric) -> None:
        self._scenario, self._name, self._job = scenario, name, scenario.jobs[name]
        self._storage, self._partition, self._fabric = site.storage, site.partitions[partition], fabric

    def counted(self, phase_name: str) -> PhaseModel:
        """Return the model of a phase with its number of units and its planned time."""
        phase = self._job.phases[phase_name]
        model = self._model(phase_name)
        model.units = self._units(phase, model)
        mfu = self._job.planned_mfu
        if mfu is not None and phase.kind == "train":
            model.planned_unit_time = model.model_flops_per_unit / (mfu * model.peak * model.gpus_wanted)
        return model

    def _model(self, phase_name: str) -> PhaseModel:
        phase, job = self._job.phases[phase_name], self._job
        plan = phase.parallel or job.parallel
        work = self._work(phase)
        wanted = self._wanted(phase_name, work)
        checkpoint = job.checkpoint or self._scenario.checkpoint
        parameters = transformer.count_parameters(job.model).trained
        try:
            model = PhaseModel(
                work=work,
                gpus_wanted=wanted,
                placement=self._packed(wanted),
                bandwidths=self._fabric.bandwidths,
                state_bytes=checkpoint.size(parameters),
                peak=peak_of(self._partition.gpu, plan.precision),
                precision=plan.precision,
                storage=self._storage,
                input_bytes=work.tokens_per_unit * job.data.bytes_per_token if phase.kind == "train" else 0.0,
            )
            if model.reference is not None:
                apart = phase.kind == "rl" and phase.rollouts.mode == "asynchronous"
                check_memory(
                    model.reference,
                    architecture=job.model,
                    plan=plan,
                    gpu=self._partition.gpu,
                    gpus=model.reference.gpus if apart else self._asked(phase),
                )
                self._check_rate(model.reference)
        except InfeasibleError as error:
            raise InfeasibleError([self._placed(problem, phase_name) for problem in error.problems]) from None
        if isinstance(work, RlWork) and (long := work.longest_response(wanted)) is not None:
            model.warnings = (self._placed(long, phase_name),)
        return model

    def _check_rate(self, step: StepEstimate) -> None:
        """Raise if a step would do more than the peak of its GPUs, recomputation counted."""
        used, factor = max(step.mfu, step.hfu), self._job.step_time_factor
        if used > 1.0:
            least = math.ceil(100.0 * factor * used) / 100.0
            problem = Problem(
                path=f"jobs.{self._name}.step_time_factor",
                message=f"at {factor:g} a GPU would do {used * step.peak / 1e12:,.0f} TFLOP/s (MFU {step.mfu:.0%}, "
                f"HFU {step.hfu:.0%}), but its peak at {step.precision} is {step.peak / 1e12:,.0f}",
                hint=f"at least {least:g}",
            )
            raise InfeasibleError([problem])

    def _placed(self, problem: Problem, phase_name: str) -> Problem:
        """Turn a path inside a plan into one of the scenario; leave one that is."""
        if problem.path.startswith("jobs."):
            return problem
        own = self._job.phases[phase_name].parallel is not None or not problem.path.startswith("parallel")
        prefix = f"jobs.{self._name}"
        if own:
            prefix += f".phases.{phase_name}"
        return Problem(path=f"{prefix}.{problem.path}", message=problem.message, hint=problem.hint)

    def _work(self, phase: Phase) -> Work:
        job = self._job
        if phase.kind == "compute":
            return ComputeWork(self._asked(phase), phase.unit_time, len(self._fabric.levels))
        setting = Setting(
            architecture=job.model,
            plan=phase.parallel or job.parallel,
            gpu=self._partition.gpu,
            fabric=self._fabric,
            calibration=self._scenario.calibration,
            step_time_factor=job.step_time_factor,
            flop_multiplier=phase.flop_multiplier,
        )
        return RlWork(setting, phase.rollouts) if phase.kind == "rl" else TrainWork(setting)

    def _asked(self, phase: Phase) -> int:
        """GPUs that the scenario names for a phase."""
        if phase.gpus is not None:
            return phase.gpus
        if phase.gpu_share is not None:
            return max(1, round(phase.gpu_share * self._job.gpus))
        return self._job.gpus

    def _wanted(self, phase_name: str, work: Work) -> int:
        usable = work.usable_gpus(self._asked(self._job.phases[phase_name]))
        if usable == 0:
            raise InfeasibleError([self._too_few(phase_name)])
        return usable

    def _too_few(self, phase_name: str) -> Problem:
        """Which pool of a phase has too few GPUs for what it must hold."""
        phase, own = self._job.phases[phase_name], f"jobs.{self._name}.phases.{phase_name}"
        asked, rollouts = self._asked(phase), phase.rollouts
        generate, apart = rollouts.generating_gpus(asked), rollouts.mode == "asynchronous"
        if phase.kind == "rl" and generate < rollouts.gpus_per_replica:
            return Problem(
                path=f"{own}.rollouts.gpus_per_replica",
                message=f"a copy of the model needs {rollouts.gpus_per_replica} GPUs to generate, but only "
                f"{generate} of the phase's {asked} generate",
                hint=f"at most {generate}, or more GPUs{' or a larger generation_share' if apart else ''}",
            )
        plan = phase.parallel or self._job.parallel
        replica = plan.tensor_parallel * plan.context_parallel * plan.pipeline_parallel
        training = (
            f"{asked - generate} of {asked} GPUs train: they"
            if phase.kind == "rl" and apart
            else f"{asked} GPUs"
        )
        field = next((name for name in ("gpus", "gpu_share") if getattr(phase, name) is not None), None)
        return Problem(
            path=f"{own}.{field}" if field else f"jobs.{self._name}.gpus",
            message=f"{training} are too few for the parallel plan",
            hint=f"one replica needs tp x cp x pp = {replica} GPUs, and expert groups whole multiples",
        )

    def _packed(self, gpus: int) -> Placement:
        """Neighbouring scale-up domains from the first one on."""
        domain = self._fabric.gpus_per_domain
        used = self._partition.gpus_used_per_domain or domain
        needed = -(-gpus // used)
        if needed * domain > self._fabric.gpus:
            raise InfeasibleError(
                [
                    Problem(
                        path=f"jobs.{self._name}.gpus",
                        message=f"{gpus} GPUs fill {needed} scale-up domains, the network joins "
                        f"{self._fabric.gpus // domain}",
                        hint="ask for fewer GPUs or name a larger topology",
                    )
                ]
            )
        return Placement(domain_gpus=domain, ranks_per_domain=used, runs=((0, needed),))

    def _units(self, phase: Phase, model: PhaseModel) -> int:
        """Units from whichever of updates, tokens, GPU-hours or GPU-time share the phase gives."""
        if phase.updates is not None:
            return phase.updates
        if phase.tokens is not None and model.tokens_per_unit > 0.0:
            return math.ceil(phase.tokens / model.tokens_per_unit)
        if phase.gpu_hours is not None:
            seconds = phase.gpu_hours * HOUR
        else:
            seconds = (phase.gpu_time_share or 0.0) * self._token_gpu_time()
        length = phase.unit_time if phase.kind == "compute" else model.reference_time
        return math.ceil(seconds / (length * model.gpus_wanted) - 1e-9)

    def _token_gpu_time(self) -> float:
        """Reference GPU-seconds of the phases whose work is given in tokens."""
        spent = []
        for name, phase in self._job.phases.items():
            if phase.tokens is not None and phase.kind == "train":
                model = self._model(name)
                spent.append(self._units(phase, model) * model.reference_time * model.gpus_wanted)
        return math.fsum(spent)
