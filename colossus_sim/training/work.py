"""The kinds of work a phase can be: optimizer steps, RL updates, plain compute; each timed per unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from colossus_sim.errors import Problem
from colossus_sim.formulas import rollout, transformer
from colossus_sim.parallelism.groups import GroupSpan
from colossus_sim.parallelism.mesh import mesh_of, usable_gpus
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Calibration, Gpu
from colossus_sim.specs.job import Rollouts
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import Routes, spans_of
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.generation import Generation
from colossus_sim.training.memory import peak_memory
from colossus_sim.training.sizes import resolve_sizes
from colossus_sim.training.step_model import StepModel
from colossus_sim.units import format_si

Spans = Mapping[str, GroupSpan]
"""Where the groups of each axis lie, and the copies that generate."""


@dataclass(frozen=True, slots=True)
class UnitEstimate:
    """Time of one unit of work, and what it sends.

    Attributes
    ----------
    time : float
        Wall time of one unit. [s]
    traffic : tuple of float
        Bytes that one GPU (mean) sends per unit at each fabric level. [B]
    parts : tuple of (str, float)
        For an RL update: what it consists of, summing to `time`; what runs beside something longer is taken off
        as ``beside``. [s]
    slots, slots_wanted : int
        For an RL update: responses that a replica decodes at once, and would if memory were no matter. 0 otherwise.
    flatness : tuple of float
        See `StepEstimate`.
    """

    time: float
    traffic: tuple[float, ...]
    parts: tuple[tuple[str, float], ...] = ()
    slots: int = 0
    slots_wanted: int = 0
    flatness: tuple[float, ...] = ()


class Work(Protocol):
    """What one unit of a phase takes."""

    tokens_per_unit: float
    model_flops_per_unit: float

    def usable_gpus(self, gpus: int) -> int:
        """Return the largest count of at most `gpus` that can be used; 0 if none."""

    def spans(self, gpus: int, placement: Placement) -> Spans:
        """Return all that the step on so many GPUs depends on of a placement: where its groups lie."""

    def step(
        self,
        gpus: int,
        placement: Placement,
        bandwidths: Sequence[float] | None,
        spans: Spans | None = None,
    ) -> StepEstimate | None:
        """Return the training step inside a unit, if there is one; `spans` are those of this placement."""

    def unit_of(
        self, gpus: int, step: StepEstimate | None, placement: Placement, bandwidths: Sequence[float] | None
    ) -> UnitEstimate:
        """Return time and traffic of one unit that contains this training step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all kinds of work share: the model, its plan, and the machine."""

    architecture: Architecture
    plan: ParallelPlan
    gpu: Gpu
    fabric: Fabric
    calibration: Calibration
    step_time_factor: float
    flop_multiplier: float
    attended: float | None = None
    """As for `resolve_sizes`."""
    models: dict[int, StepModel] = field(default_factory=dict, init=False, compare=False, repr=False)
    """Models of the step known so far, by number of GPUs."""
    routes: Routes = field(default_factory=Routes, init=False, compare=False, repr=False)
    """Routes known so far."""

    def token_flops(self, attended: float) -> float:
        """Return the model FLOPs of training on one token of so many that attend to each other, multiplied."""
        among = self.architecture.attended_tokens(attended)
        return transformer.token_flops(self.architecture, among).training * self.flop_multiplier

    def estimate(
        self,
        gpus: int,
        placement: Placement,
        bandwidths: Sequence[float] | None,
        spans: Spans | None,
    ) -> StepEstimate:
        """Return the step of the plan on these GPUs."""
        if gpus not in self.models:
            self.models[gpus] = StepModel(
                self.architecture,
                self.plan,
                self.gpu,
                resolve_sizes(self.architecture, self.plan, gpus, self.attended),
                self.calibration,
                flop_multiplier=self.flop_multiplier,
            )
        model = self.models[gpus]
        network = model.network(placement, self.fabric, bandwidths, spans=spans, routes=self.routes)
        return model.estimate(network, self.step_time_factor)

    def spans(self, gpus: int, placement: Placement) -> Spans:
        """Return where the groups of the plan lie.

        Raises
        ------
        ValueError
            If the plan does not fit.
        """
        return spans_of(mesh_of(self.plan, gpus), placement, self.fabric)


class TrainWork:
    """Optimizer steps."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        plan = setting.plan
        self.tokens_per_unit = float(plan.global_batch_size * plan.sequence_length)
        self.model_flops_per_unit = self.tokens_per_unit * setting.token_flops(plan.sequence_length)

    def usable_gpus(self, gpus: int) -> int:
        """Return the largest count of at most `gpus` that the plan can use."""
        return usable_gpus(self._setting.plan, gpus)

    def spans(self, gpus: int, placement: Placement) -> Spans:
        """Return where the groups of the plan lie."""
        return self._setting.spans(gpus, placement)

    def step(
        self,
        gpus: int,
        placement: Placement,
        bandwidths: Sequence[float] | None,
        spans: Spans | None = None,
    ) -> StepEstimate:
        """Return the training step."""
        return self._setting.estimate(gpus, placement, bandwidths, spans)

    def unit_of(
        self, gpus: int, step: StepEstimate | None, placement: Placement, bandwidths: Sequence[float] | None
    ) -> UnitEstimate:
        """Return time and traffic of one step."""
        if step is None:
            return UnitEstimate(0.0, ())
        return UnitEstimate(step.step_time, step.traffic, flatness=step.flatness)


class ComputeWork:
    """GPU work that is neither training nor generation; takes inversely as long on more GPUs."""

    def __init__(self, gpus_wanted: int, unit_time: float, levels: int) -> None:
        self._wanted, self._unit_time, self._levels = gpus_wanted, unit_time, levels
        self.tokens_per_unit = 0.0
        self.model_flops_per_unit = 0.0

    def usable_gpus(self, gpus: int) -> int:
        """Every count can be used."""
        return gpus

    def spans(self, gpus: int, placement: Placement) -> Spans:
        """It does not matter where."""
        return {}

    def step(
        self,
        gpus: int,
        placement: Placement,
        bandwidths: Sequence[float] | None,
        spans: Spans | None = None,
    ) -> None:
        """There is no training step."""
        return

    def unit_of(
        self, gpus: int, step: StepEstimate | None, placement: Placement, bandwidths: Sequence[float] | None
    ) -> UnitEstimate:
        """Return the time of one unit; it sends nothing worth counting."""
        return UnitEstimate(self._unit_time * self._wanted / gpus, (0.0,) * self._levels)


class RlWork:
    """Reinforcement learning: responses are generated, scored, and trained on."""

    def __init__(self, setting: Setting, rollouts: Rollouts) -> None:
        self._setting, self._rollouts = setting, rollouts
        self._generation = Generation(
            architecture=setting.architecture,
            rollouts=rollouts,
            gpu=setting.gpu,
            fabric=setting.fabric,
            calibration=setting.calibration,
            precision=setting.plan.precision,
        )
        plan = setting.plan
        mean_response = rollout.response_moment(**rollouts.length_law)
        self.tokens_per_unit = rollouts.responses * (rollouts.prompt_tokens + mean_response)
        # Responses are packed into full sequences for the update; each attends to itself only.
        self._attended = rollout.attending_tokens(prompt_tokens=rollouts.prompt_tokens, **rollouts.length_law)
        sequences = max(1, math.ceil(self.tokens_per_unit / plan.sequence_length))
        self._plan = plan.model_copy(update={"global_batch_size": sequences})
        self._update = replace(setting, plan=self._plan, attended=self._attended)
        self.model_flops_per_unit = self.tokens_per_unit * setting.token_flops(self._attended)

    def usable_gpus(self, gpus: int) -> int:
        """Return `gpus` if both pools get what they need, else 0."""
        train, generate = self._pools(gpus)
        return gpus if train > 0 and generate >= self._rollouts.gpus_per_replica else 0

    def _pools(self, gpus: int) -> tuple[int, int]:
        """GPUs that train and GPUs that generate; a synchronous run uses all for both in turn."""
        generate = self._rollouts.generating_gpus(gpus)
        train = gpus if self._rollouts.mode == "synchronous" else gpus - generate
        return usable_gpus(self._plan, train), generate

    def spans(self, gpus: int, placement: Placement) -> Spans:
        """Return where the groups of the training step of one update lie, and the copies that generate."""
        train, generate = self._pools(gpus)
        copies = self._generation.span(generate, placement)
        return {**self._setting.spans(train, placement), "generation": copies}

    def step(
        self,
        gpus: int,
        placement: Placement,
        bandwidths: Sequence[float] | None,
        spans: Spans | None = None,
    ) -> StepEstimate:
        """Return the training step of one update."""
        train = self._pools(gpus)[0]
        return self._update.estimate(train, placement, bandwidths, spans)

    def longest_response(self, gpus: int) -> Problem | None:
        """Return in words that the sequences of the plan do not hold the longest response, or None if they do."""
        rollouts, setting = self._rollouts, self._setting
        longest = math.ceil(rollouts.prompt_tokens + rollouts.max_response_tokens)
        plan = self._plan
        if longest <= plan.sequence_length:
            return None
        whole = -(-longest // plan.context_parallel) * plan.context_parallel
        alone = plan.model_copy(update={"sequence_length": whole, "micro_batch_size": 1})
        sizes = resolve_sizes(setting.architecture, alone, self._pools(gpus)[0], longest)
        need = peak_memory(setting.architecture, alone, sizes)
        return Problem(
            path="rollouts.max_response_tokens",
            message=f"the update of the longest response, {longest:,} tokens with its prompt, needs "
            f"{format_si(need, 'B')} per GPU with this plan, of {format_si(setting.gpu.hbm_capacity, 'B')}; the "
            f"estimate packs sequences of {plan.sequence_length:,} tokens",
            hint=f"a plan of the phase (parallel) with a sequence_length of {whole} and the context_parallel that "
            "it needs to fit",
        )

    def unit_of(
        self, gpus: int, step: StepEstimate | None, placement: Placement, bandwidths: Sequence[float] | None
    ) -> UnitEstimate:
        """Return time and traffic of one update."""
        train_gpus, generate_gpus = self._pools(gpus)
        levels = len(self._setting.fabric.levels)
        training, sent = (0.0, (0.0,) * levels) if step is None else (step.step_time, step.traffic)
        prefill, decode, summed = self._generation.of_update(generate_gpus, placement, bandwidths)
        parts = {
            "generation": prefill + decode,
            "reward": self._rollouts.reward_time,
            "training": training,
            "weight_sync": self._generation.weight_sync_time,
        }
        if self._rollouts.mode == "synchronous":
            time = rollout.synchronous_update_time(**parts)
        else:
            time = rollout.asynchronous_update_time(**parts)
        told = (("prefill", prefill), ("decode", decode), *tuple(parts.items())[1:])
        beside = time - math.fsum(seconds for _, seconds in told)
        told += (("beside", beside),) if self._rollouts.mode == "asynchronous" else ()
        traffic = tuple(
            (train_gpus * one + generate_gpus * other) / gpus for one, other in zip(sent, summed, strict=True)
        )
        slots, wanted = self._generation.slots, self._rollouts.responses_at_once(generate_gpus)
        flat = () if step is None else step.flatness
        slots = min(wanted, slots)
        return UnitEstimate(time, traffic, told, slots=slots, slots_wanted=wanted, flatness=flat)
