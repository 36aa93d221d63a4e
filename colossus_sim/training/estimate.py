"""What the analytic step model returns: a time, its exact breakdown, and where the bytes go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class CommunicationRow(NamedTuple):
    """One collective (or send/recv) of one training step, as the busiest GPU sees it.

    Attributes
    ----------
    axis : str
        tp, cp, ep, dp, pp, or embedding.
    operation : str
        all_reduce, reduce_scatter, all_gather, all_to_all, send_recv.
    algorithm : str
        Which algorithm the time is for (ring, tree, hierarchical, pairwise, ...).
    group_size, level : int, str
        Ranks of one group, and the highest fabric level that it crosses.
    message_bytes : float
        nccl-tests' "size" of one call. [B]
    calls : float
        Calls per training step.
    time : float
        Time of all calls of the step. [s]
    exposed : float
        Part of it that computation does not hide. [s]
    busbw : float
        Bus bandwidth as nccl-tests defines it. [B/s]
    """

    axis: str
    operation: str
    algorithm: str
    group_size: int
    level: str
    message_bytes: float
    calls: float
    time: float
    exposed: float
    busbw: float


class StageMemory(NamedTuple):
    """Peak memory of one GPU of one pipeline stage. All in bytes.

    `update` is what lives during the optimizer step only, when activations are gone; where it is more than they
    and their buffers, `buffers` holds the difference.
    """

    stage: int
    weights: float
    gradients: float
    optimizer: float
    activations: float
    buffers: float
    overhead: float
    update: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the parts. [B]"""
        return math.fsum(
            (
                self.weights,
                self.gradients,
                self.optimizer,
                self.activations,
                self.buffers,
                self.overhead,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEstimate:
    """One training step of one job on one placement.

    Attributes
    ----------
    step_time : float
        Wall time of one optimizer step; equals ``math.fsum(parts.values())``. [s]
    parts : mapping of str to float
        Exact breakdown, on the critical path. [s] Keys, in this order, always all present: gemm, attention,
        elementwise, recomputation, quantisation, launch, tensor_communication, context_communication,
        expert_communication, pipeline_communication, data_communication, overlap_slowdown, bubble,
        imbalance, optimizer, straggler, overhead, other.
    tokens_per_step : float
        Tokens (of one optimizer step, whole job).
    model_flops : float
        FLOPs of forward and backward that the architecture needs, without recomputation, whole job. [FLOP]
    hardware_flops : float
        With recomputation. [FLOP]
    gpus : int
        GPUs that compute.
    peak : float
        Dense peak of one GPU at `precision`. [FLOP/s]
    precision : str
        Number format of `peak`.
    memory : tuple of StageMemory
        Per pipeline stage.
    memory_capacity : float
        Usable memory of one GPU. [B]
    communication : tuple of CommunicationRow
        Every collective of the step.
    traffic : tuple of float
        Bytes that one GPU (mean) sends per step to peers at each fabric level (same index as
        ``Fabric.levels``); level 0 is the scale-up domain. [B]
    flatness : tuple of float
        For each level, how many times more the groups below it send out, for what the busiest of them does, than in
        proportion to their ranks (a ring leaves each group once, however few of its ranks are there); empty if all
        send in proportion.
    """

    step_time: float
    parts: Mapping[str, float]
    tokens_per_step: float
    model_flops: float
    hardware_flops: float
    gpus: int
    peak: float
    precision: str
    memory: tuple[StageMemory, ...]
    memory_capacity: float
    communication: tuple[CommunicationRow, ...]
    traffic: tuple[float, ...]
    flatness: tuple[float, ...] = ()

    @property
    def mfu(self) -> float:
        """Model FLOPs utilization against `peak` at `precision`."""
        return self.model_flops / (self.step_time * self.gpus * self.peak)

    @property
    def hfu(self) -> float:
        """Hardware FLOPs utilization (recomputation counted)."""
        return self.hardware_flops / (self.step_time * self.gpus * self.peak)

    @property
    def tokens_per_second(self) -> float:
        """Training throughput of the whole job. [tokens/s]"""
        return self.tokens_per_step / self.step_time

    @property
    def peak_memory(self) -> float:
        """Largest need of any stage. [B]"""
        return max(stage.total for stage in self.memory)

    @property
    def fits(self) -> bool:
        """Whether every stage fits into memory."""
        return self.peak_memory <= self.memory_capacity
