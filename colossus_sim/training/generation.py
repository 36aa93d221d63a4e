"""Generation of RL phases: copies of the model that decode responses, and what one token step of a copy takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from colossus_sim.errors import InfeasibleError, Problem
from colossus_sim.formulas import kernels, rollout, transformer
from colossus_sim.formulas.decoding import Array, Values, cache_bytes, decode_step_time, parameters_read
from colossus_sim.formulas.generation import slowest_replica_time
from colossus_sim.parallelism.collective_time import Route
from colossus_sim.parallelism.groups import GroupSpan, group_span
from colossus_sim.parallelism.mesh import MeshAxis
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Calibration, Gpu
from colossus_sim.specs.job import Rollouts
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.sizes import kernels_of, peak_of, sixteen_bit
from colossus_sim.units import format_si

_ACTIVATION_BYTES = 2.0
"""Hidden states travel in 16 bits."""
_SUMS_PER_LAYER = 2.0
"""All-reduces of one layer forward: behind attention, and behind the feed-forward block or the experts."""


class Generated(NamedTuple):
    """What the responses of one update take."""

    prefill: float
    """Reading the prompts. [s]"""
    decode: float
    """Until the responses are there. [s]"""
    traffic: tuple[float, ...]
    """Bytes that one generating GPU (mean) sends at each fabric level. [B]"""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The copies of a model that generate for one phase."""

    architecture: Architecture
    rollouts: Rollouts
    gpu: Gpu
    fabric: Fabric
    calibration: Calibration
    precision: str

    def span(self, gpus: int, placement: Placement) -> GroupSpan:
        """Return where the copies on so many GPUs lie: on neighbours, from the first GPU of the placement on.

        A synchronous update waits for the copy that lies worst. An asynchronous one gets what the copies give
        together, nearly all of which lie as one on neighbouring domains does.
        """
        size, number = self.rollouts.gpus_per_replica, self.rollouts.replicas(gpus)
        if self.rollouts.mode == "asynchronous":
            number, domains = 1, -(-size // placement.ranks_per_domain)
            placement = replace(placement, runs=((0, domains),))
        axis = MeshAxis(name="replica", size=size, stride=1, inner=1, outer=number, block=size)
        return group_span(axis, placement, self.fabric)

    @property
    def weight_sync_time(self) -> float:
        """New weights to every copy, each GPU receiving its share at its own NIC (broadcast chain). [s]"""
        return self._weights / (self.rollouts.gpus_per_replica * self.fabric.injection_bandwidth)

    def of_update(self, gpus: int, placement: Placement, bandwidths: Sequence[float] | None) -> Generated:
        """Return what the responses of one update take on so many GPUs."""
        rollouts = self.rollouts
        replicas = rollouts.replicas(gpus)
        mine = rollouts.responses / replicas
        slots = min(float(rollouts.concurrency_per_replica), float(self.slots), max(1.0, mine))
        step = _TokenStep(self, Route(self.span(gpus, placement), self.fabric, bandwidths), slots)
        each = self._prompt_time + step.sums_time(rollouts.prompt_tokens) if rollouts.prompt_tokens else 0.0
        tokens = rollout.response_moment(**rollouts.length_law)
        traffic = step.token_traffic(mine * (rollouts.prompt_tokens + tokens))
        if rollouts.mode == "asynchronous":
            decode = mine / slots * tokens * float(step(slots, self._running_cache))
            return Generated(mine * each, decode, traffic)
        decode = slowest_replica_time(
            step_time=step,
            reading_time=step.reading,
            cache_size=self._cache,
            **rollouts.length_law,
            prompt_tokens=rollouts.prompt_tokens,
            responses=max(1.0, mine),
            slots=slots,
            replicas=float(min(replicas, rollouts.responses)),
        )
        return Generated(mine * each, decode, traffic)

    @cached_property
    def count(self) -> transformer.ParameterCount:
        """Parameters of the model by part."""
        return transformer.count_parameters(self.architecture)

    @property
    def _weights(self) -> float:
        """All weights of a copy. [B]"""
        return self.count.total * self.rollouts.weight_bytes

    @cached_property
    def rate(self) -> tuple[float, float]:
        """Peak of the matrix products [FLOP/s], and the share of it that they reach [-]."""
        kernel = kernels_of(self.calibration, self.gpu, self.precision)
        return peak_of(self.gpu, self.precision), kernel.gemm_peak_fraction

    @cached_property
    def _prompt_time(self) -> float:
        """Compute time of one prompt in one copy. [s]"""
        arch, tokens = self.architecture, float(self.rollouts.prompt_tokens)
        kernel = kernels_of(self.calibration, self.gpu, self.precision)
        score, value = transformer.head_widths(arch)
        keys = transformer.mean_attended_keys(arch, tokens)
        flops = transformer.attention_core_flops(arch.num_attention_heads, score, value, keys)
        attention = kernels.attention_time(
            arch.num_hidden_layers * flops,
            peak=peak_of(self.gpu, sixteen_bit(self.gpu)),
            fraction=kernel.attention_fraction,
            keys=tokens,
            half_keys=kernel.attention_half_sequence,
            head_size=0.5 * (score + value),
            half_head_size=kernel.attention_half_head_size,
            launch=0.0,
        )
        peak, fraction = self.rate
        return rollout.prefill_time(
            active_params=float(self.count.active),
            attention_time=attention,
            tokens=tokens,
            gpus=self.rollouts.gpus_per_replica,
            peak_flops=peak,
            flops_fraction=fraction,
        )

    def _cache(self, context: Array) -> Array:
        return cache_bytes(self.architecture, context)

    @cached_property
    def _running_cache(self) -> float:
        """Mean cache of a running response. [B]"""
        rollouts = self.rollouts
        return rollout.running_cache_bytes(
            self.architecture, prompt_tokens=rollouts.prompt_tokens, **rollouts.length_law
        )

    @cached_property
    def slots(self) -> int:
        """Responses for which one copy has memory.

        Raises
        ------
        InfeasibleError
            If memory does not hold one.
        """
        rollouts, gpu = self.rollouts, self.gpu
        weights, cache = self._weights, self._running_cache
        each = gpu.hbm_capacity * rollouts.hbm_fraction
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


class _TokenStep:
    """Time of one token step of a copy, by sequences and the cache of each. [s]

    Its GPUs share every layer, so they add up the hidden states of all sequences twice per layer (Megatron-LM,
    arXiv:1909.08053, sec. 3): small messages, bound by latency. They are priced for numbers of sequences that
    double, and interpolated.
    """

    def __init__(self, generation: Generation, route: Route, slots: float) -> None:
        self._generation, self._route = generation, route
        self._layers = generation.architecture.num_hidden_layers
        self._state = generation.architecture.hidden_size * _ACTIVATION_BYTES
        self._priced = 2.0 ** np.arange(math.ceil(math.log2(slots)) + 1)
        self._sums = np.array([self.sums_time(number) for number in self._priced.tolist()])

    def sums_time(self, tokens: float) -> float:
        """Time of the all-reduces that add up the hidden states of so many tokens. [s]"""
        time = self._route.time("all_reduce", tokens * self._state).time
        return _SUMS_PER_LAYER * self._layers * time

    def token_traffic(self, tokens: float) -> tuple[float, ...]:
        """Bytes that one GPU sends at each fabric level for so many tokens. [B]"""
        sent = self._route.time("all_reduce", tokens * self._state).bytes_per_level
        return tuple([_SUMS_PER_LAYER * self._layers * level for level in sent])

    def __call__(self, sequences: Values, cache: Values) -> Values:
        """Return the time of a step."""
        return self._time(sequences, cache, self._generation.rate[0])

    def reading(self, sequences: Values, cache: Values) -> Values:
        """Return the time of a step, were it bound by memory."""
        return self._time(sequences, cache, math.inf)

    def _time(self, sequences: Values, cache: Values, peak: float) -> Values:
        generation, rollouts = self._generation, self._generation.rollouts
        return decode_step_time(
            weight_bytes=rollouts.weight_bytes * parameters_read(generation.count, sequences),
            kv_bytes_per_sequence=cache,
            sequences=sequences,
            active_params=float(generation.count.active),
            gpus=rollouts.gpus_per_replica,
            memory_bandwidth=generation.gpu.hbm_bandwidth,
            bandwidth_fraction=rollouts.bandwidth_fraction,
            peak_flops=peak,
            flops_fraction=generation.rate[1],
            collective_time=np.interp(sequences, self._priced, self._sums),
        )
