"""The kinds of work a phase can be: optimizer steps, RL updates, plain compute; each timed per unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from colossus_sim.errors import InfeasibleError, Problem
from colossus_sim.formulas import rollout, transformer
from colossus_sim.formulas.generation import Values, decode_step_time, slowest_replica_time
from colossus_sim.parallelism.groups import GroupSpan
from colossus_sim.parallelism.mesh import mesh_of, usable_gpus
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Calibration, Gpu
from colossus_sim.specs.job import Rollouts
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import spans_of
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.sizes import kernels_of, peak_of
from colossus_sim.training.step import estimate_step
from colossus_sim.units import format_si


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
    """

    time: float
    traffic: tuple[float, ...]
    parts: tuple[tuple[str, float], ...] = ()
    slots: int = 0
    slots_wanted: int = 0


class Work(Protocol):
    """What one unit of a phase takes."""

    tokens_per_unit: float
    model_flops_per_unit: float

    def usable_gpus(self, gpus: int) -> int:
        """Return the largest count of at most `gpus` that can be used; 0 if none."""

    def spans(self, gpus: int, placement: Placement) -> tuple[GroupSpan, ...]:
        """Return all that the step on so many GPUs depends on of a placement: where its groups lie."""

    def step(
        self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None
    ) -> StepEstimate | None:
        """Return the training step inside a unit, if there is one."""

    def unit_of(self, gpus: int, step: StepEstimate | None) -> UnitEstimate:
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

    @property
    def token_flops(self) -> float:
        """Model FLOPs of training on one token, without the multiplier."""
        attended = self.architecture.attended_tokens(self.plan.sequence_length)
        return transformer.token_flops(self.architecture, attended).training

    def estimate(
        self,
        gpus: int,
        placement: Placement,
        bandwidths: Sequence[float] | None,
        plan: ParallelPlan | None = None,
    ) -> StepEstimate:
        """Return the step of the plan (or of another one) on these GPUs."""
        return estimate_step(
            architecture=self.architecture,
            plan=self.plan if plan is None else plan,
            gpu=self.gpu,
            fabric=self.fabric,
            placement=placement,
            gpus=gpus,
            calibration=self.calibration,
            bandwidths=bandwidths,
            step_time_factor=self.step_time_factor,
            flop_multiplier=self.flop_multiplier,
        )

    def spans(self, gpus: int, placement: Placement) -> tuple[GroupSpan, ...]:
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
        self.model_flops_per_unit = self.tokens_per_unit * setting.token_flops * setting.flop_multiplier

    def usable_gpus(self, gpus: int) -> int:
        """Return the largest count of at most `gpus` that the plan can use."""
        return usable_gpus(self._setting.plan, gpus)

    def spans(self, gpus: int, placement: Placement) -> tuple[GroupSpan, ...]:
        """Return where the groups of the plan lie."""
        return self._setting.spans(gpus, placement)

    def step(self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None) -> StepEstimate:
        """Return the training step."""
        return self._setting.estimate(gpus, placement, bandwidths)

    def unit_of(self, gpus: int, step: StepEstimate | None) -> UnitEstimate:
        """Return time and traffic of one step."""
        return UnitEstimate(0.0, ()) if step is None else UnitEstimate(step.step_time, step.traffic)


class ComputeWork:
    """GPU work that is neither training nor generation; takes inversely as long on more GPUs."""

    def __init__(self, gpus_wanted: int, unit_time: float, levels: int) -> None:
        self._wanted, self._unit_time, self._levels = gpus_wanted, unit_time, levels
        self.tokens_per_unit = 0.0
        self.model_flops_per_unit = 0.0

    def usable_gpus(self, gpus: int) -> int:
        """Every count can be used."""
        return gpus

    def spans(self, gpus: int, placement: Placement) -> tuple[GroupSpan, ...]:
        """It does not matter where."""
        return ()

    def step(self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None) -> None:
        """There is no training step."""
        return

    def unit_of(self, gpus: int, step: StepEstimate | None) -> UnitEstimate:
        """Return the time of one unit; it sends nothing worth counting."""
        return UnitEstimate(self._unit_time * self._wanted / gpus, (0.0,) * self._levels)


class RlWork:
    """Reinforcement learning: responses are generated, scored, and trained on."""

    def __init__(self, setting: Setting, rollouts: Rollouts) -> None:
        self._setting, self._rollouts = setting, rollouts
        self._mean_response = rollout.response_moment(**rollouts.length_law)
        plan = setting.plan
        self.tokens_per_unit = rollouts.responses * (rollouts.prompt_tokens + self._mean_response)
        # Responses are packed into full sequences for the update.
        sequences = max(1, math.ceil(self.tokens_per_unit / plan.sequence_length))
        self._plan = plan.model_copy(update={"global_batch_size": sequences})
        self.model_flops_per_unit = self.tokens_per_unit * setting.token_flops * setting.flop_multiplier
        self._count = transformer.count_parameters(setting.architecture)

    def usable_gpus(self, gpus: int) -> int:
        """Return `gpus` if both pools get what they need, else 0."""
        train, generate = self._pools(gpus)
        return gpus if train > 0 and generate >= self._rollouts.gpus_per_replica else 0

    def _pools(self, gpus: int) -> tuple[int, int]:
        """GPUs that train and GPUs that generate; a synchronous run uses all for both in turn."""
        generate = self._rollouts.generating_gpus(gpus)
        train = gpus if self._rollouts.mode == "synchronous" else gpus - generate
        return usable_gpus(self._plan, train), generate

    def spans(self, gpus: int, placement: Placement) -> tuple[GroupSpan, ...]:
        """Return where the groups of the training step of one update lie."""
        return self._setting.spans(self._pools(gpus)[0], placement)

    def step(self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None) -> StepEstimate:
        """Return the training step of one update."""
        return self._setting.estimate(self._pools(gpus)[0], placement, bandwidths, self._plan)

    def unit_of(self, gpus: int, step: StepEstimate | None) -> UnitEstimate:
        """Return time and traffic of one update."""
        train_gpus, generate_gpus = self._pools(gpus)
        training, sent = (0.0, ()) if step is None else (step.step_time, step.traffic)
        prefill, decode = self._generation_times(generate_gpus)
        parts = {
            "generation": prefill + decode,
            "reward": self._rollouts.reward_time,
            "training": training,
            "weight_sync": self._weight_sync_time(),
        }
        if self._rollouts.mode == "synchronous":
            time = rollout.synchronous_update_time(**parts)
        else:
            time = rollout.asynchronous_update_time(**parts)
        share = train_gpus / gpus
        told = (("prefill", prefill), ("decode", decode), *tuple(parts.items())[1:])
        beside = time - math.fsum(seconds for _, seconds in told)
        told += (("beside", beside),) if self._rollouts.mode == "asynchronous" else ()
        traffic = tuple(share * level for level in sent)
        wanted = self._rollouts.responses_at_once(generate_gpus)
        return UnitEstimate(time, traffic, told, slots=min(wanted, self._slots), slots_wanted=wanted)

    def _weight_sync_time(self) -> float:
        """New weights to every replica, each GPU receiving its share at its own NIC (broadcast chain)."""
        size = self._count.total * self._rollouts.weight_bytes
        return size / (self._rollouts.gpus_per_replica * self._setting.fabric.injection_bandwidth)

    def _generation_times(self, gpus: int) -> tuple[float, float]:
        """Time to read the prompts of one update, and until its responses are there. [s]"""
        rollouts = self._rollouts
        replicas = rollouts.replicas(gpus)
        mine = rollouts.responses / replicas
        prefill = rollout.prefill_time(
            active_params=float(self._count.active),
            tokens=mine * rollouts.prompt_tokens,
            gpus=rollouts.gpus_per_replica,
            peak_flops=peak_of(self._setting.gpu, self._setting.plan.precision),
            flops_fraction=self._flops_fraction(),
        )
        slots = min(float(rollouts.concurrency_per_replica), float(self._slots), max(1.0, mine))
        if rollouts.mode == "asynchronous":
            steps = mine / slots * self._mean_response
            return prefill, steps * float(self._token_step(slots, self._running_context))
        decode = slowest_replica_time(
            step_time=self._token_step,
            **rollouts.length_law,
            prompt_tokens=rollouts.prompt_tokens,
            responses=max(1.0, mine),
            slots=slots,
            replicas=float(min(replicas, rollouts.responses)),
        )
        return prefill, decode

    def _token_step(self, sequences: Values, context: Values) -> Values:
        """Time of one token step of a replica. [s]"""
        rollouts, gpu = self._rollouts, self._setting.gpu
        return decode_step_time(
            weight_bytes=self._count.total * rollouts.weight_bytes,
            kv_bytes_per_sequence=self._cache_bytes() * context,
            sequences=sequences,
            active_params=float(self._count.active),
            gpus=rollouts.gpus_per_replica,
            memory_bandwidth=gpu.hbm_bandwidth,
            bandwidth_fraction=rollouts.bandwidth_fraction,
            peak_flops=peak_of(gpu, self._setting.plan.precision),
            flops_fraction=self._flops_fraction(),
        )

    def _flops_fraction(self) -> float:
        setting = self._setting
        return kernels_of(setting.calibration, setting.gpu, setting.plan.precision).gemm_peak_fraction

    def _cache_bytes(self) -> float:
        """Key-value cache of one token. [B]"""
        return rollout.cache_bytes_per_token(self._setting.architecture)

    @cached_property
    def _running_context(self) -> float:
        """Mean context of a running response. [tokens]"""
        return self._rollouts.prompt_tokens + rollout.running_response_tokens(**self._rollouts.length_law)

    @cached_property
    def _slots(self) -> int:
        """Responses for which one replica has memory.

        Raises
        ------
        InfeasibleError
            If memory does not hold one.
        """
        rollouts, gpu = self._rollouts, self._setting.gpu
        weights = self._count.total * rollouts.weight_bytes
        each = gpu.hbm_capacity * rollouts.hbm_fraction
        cache = self._cache_bytes() * self._running_context
        memory = each * rollouts.gpus_per_replica
        slots = rollout.slots_in_memory(memory=memory, weight_bytes=weights, cache_bytes=cache)
        if slots > 0:
            return slots
        raise InfeasibleError(
            [
                Problem(
                    path="rollouts.gpus_per_replica",
                    message=f"the weights need {format_si(weights, 'B')} and the cache of one response "
                    f"{format_si(cache, 'B')}, {rollouts.gpus_per_replica} GPUs have {format_si(memory, 'B')} "
                    f"(hbm_fraction {rollouts.hbm_fraction:g})",
                    hint=f"at least {math.ceil((weights + cache) / each)} GPUs per replica, or fewer weight_bytes",
                )
            ]
        )
