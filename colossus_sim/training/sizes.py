"""A plan resolved against an architecture: every size that the step model multiplies."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from colossus_sim.errors import InfeasibleError, Problem
from colossus_sim.formulas import transformer
from colossus_sim.formulas.transformer import ParameterCount
from colossus_sim.parallelism.mesh import Mesh, mesh_of
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Calibration, Gpu, KernelCalibration
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.shares import ENDS

_SIXTEEN_BIT = ("bf16", "fp16")
_ELEMENT_BYTES = {
    "fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "mxfp8": 1.03125, "nvfp4": 0.5625,
}  # fmt: skip
"""Bytes per element with scales: one 8-bit scale per 32 elements (mxfp8), per 16 (nvfp4)."""


class Chunk(NamedTuple):
    """A run of layers on one stage."""

    dense: int
    moe: int
    first: bool
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Resolved sizes of one job.

    Attributes
    ----------
    mesh : Mesh
        Degrees with defaults resolved.
    count : ParameterCount
        Parameters by part.
    chunks : tuple of tuple of Chunk
        ``[virtual chunk][stage]``.
    stage_layers : tuple of (int, int)
        Dense and routed layers of each stage, all its chunks together.
    microbatches : int
        Micro-batches per replica and step.
    tokens : float
        Tokens of one micro-batch on one rank (after context parallelism).
    sequence : float
        Tokens that attend to each other: a sequence, or a sample of a diffusion transformer.
    samples : float
        Such sequences in one micro-batch.
    causal : bool
        Whether attention is masked.
    element_bytes : float
        Bytes per element of GEMM inputs at the plan's precision.
    expert_imbalance : float
        Tokens on the busiest expert-parallel rank over the mean: 1 where every rank holds all experts.
    """

    mesh: Mesh
    count: ParameterCount
    chunks: tuple[tuple[Chunk, ...], ...]
    stage_layers: tuple[tuple[int, int], ...]
    microbatches: int
    tokens: float
    sequence: float
    samples: float
    causal: bool
    element_bytes: float
    expert_imbalance: float

    @property
    def stages(self) -> int:
        """Pipeline stages."""
        return self.mesh.pp


def resolve_sizes(
    architecture: Architecture, plan: ParallelPlan, gpus: int, attended: float | None = None
) -> Sizes:
    """Return the sizes of a plan on `gpus` GPUs.

    Parameters
    ----------
    attended : float, optional
        Tokens that attend to each other, where sequences are packed from pieces of their own; left out = the
        plan's sequences, or the samples of a video model.

    Raises
    ------
    InfeasibleError
        If the degrees do not divide or there are more pipeline chunks than layers.
    """
    try:
        mesh = mesh_of(plan, gpus)
    except ValueError as error:
        raise InfeasibleError([Problem(path="parallel", message=str(error))]) from error
    attended = architecture.attended_tokens(plan.sequence_length if attended is None else attended)
    microbatches = math.ceil(plan.global_batch_size / (mesh.dp * plan.micro_batch_size))
    chunks = split_layers(
        architecture, mesh.pp, virtual_chunks(plan), by_cost=plan.stack.stage_balance == "cost"
    )
    return Sizes(
        mesh=mesh,
        count=transformer.count_parameters(architecture),
        chunks=chunks,
        stage_layers=tuple(
            (sum([chunk.dense for chunk in column]), sum([chunk.moe for chunk in column]))
            for column in zip(*chunks, strict=True)
        ),
        microbatches=microbatches,
        tokens=plan.micro_batch_size * plan.sequence_length / mesh.cp,
        sequence=attended,
        samples=plan.micro_batch_size * plan.sequence_length / attended,
        causal=architecture.kind == "transformer",
        element_bytes=_ELEMENT_BYTES[plan.precision],
        expert_imbalance=architecture.moe.imbalance if architecture.moe is not None and mesh.ep > 1 else 1.0,
    )


def virtual_chunks(plan: ParallelPlan) -> int:
    """Model chunks per stage; one for every schedule that is not interleaved."""
    return plan.virtual_pipeline if plan.schedule == "interleaved_1f1b" else 1


def shares_gradients(plan: ParallelPlan, mesh: Mesh) -> bool:
    """Whether ranks keep shares of the gradients from micro-batch to micro-batch.

    In a pipeline ZeRO-2 keeps weights and gradients whole until the last micro-batch (Llama 3, arXiv:2407.21783,
    sec. 3.3.2: no resharding after forward).
    """
    return plan.zero_stage == 3 or (plan.zero_stage == 2 and mesh.pp == 1)


def split_layers(
    architecture: Architecture, stages: int, chunks: int, *, by_cost: bool = False
) -> tuple[tuple[Chunk, ...], ...]:
    """Deal the layers to chunks and stages, in model order.

    Parameters
    ----------
    architecture : Architecture
        What is dealt.
    stages, chunks : int
        Pipeline stages, and model chunks of each.
    by_cost : bool
        Equal work with the logits counted in (nanotron), not equal numbers of layers. Else, where the layers
        do not divide, the last and the first part, which also hold logits and embedding, get one layer less
        before others do (as Llama 3 did, arXiv:2407.21783, sec. 3.3.2); they may even hold none. Modules that
        predict further tokens are layers of the last part.

    Raises
    ------
    InfeasibleError
        If a part between them would have no layer.
    """
    layers, parts = architecture.num_hidden_layers, stages * chunks
    if layers < max(1, parts - ENDS):
        raise InfeasibleError(
            [
                Problem(
                    path="parallel",
                    message=f"{layers} layers cannot fill {stages} pipeline stages x {chunks} chunks",
                    hint=f"pipeline_parallel x virtual_pipeline must be at most {layers + ENDS}",
                )
            ]
        )
    if by_cost:
        bounds = _bounds_by_cost(architecture, parts)
    elif architecture.num_nextn_predict_layers:
        bounds = _bounds_before_predictions(layers, parts)
    else:
        bounds = _bounds_by_number(layers, parts)
    routed = [_routed_before(architecture, layer) for layer in bounds]
    dealt = [
        Chunk(dense=held - experts, moe=experts, first=part == 0, last=part == parts - 1)
        for part, (held, experts) in enumerate(zip(_steps(bounds), _steps(routed), strict=True))
    ]
    kind, modules = ("moe" if routed[-1] else "dense"), architecture.num_nextn_predict_layers
    dealt[-1] = dealt[-1]._replace(**{kind: getattr(dealt[-1], kind) + modules})
    return tuple(tuple(dealt[start : start + stages]) for start in range(0, parts, stages))


def _steps(running: Sequence[int]) -> Iterator[int]:
    return map(operator.sub, running[1:], running)


def _routed_before(architecture: Architecture, layer: int) -> int:
    moe = architecture.moe
    if moe is None:
        return 0
    return transformer.moe_layers_before(layer, moe.first_k_dense, moe.moe_layer_frequency)


def _bounds_by_number(layers: int, parts: int) -> list[int]:
    few, extra = divmod(layers, parts)
    if not extra:
        return list(range(0, layers + 1, few))
    short = _short_parts(parts, parts - extra)
    return list(itertools.accumulate((few + (part not in short) for part in range(parts)), initial=0))


def _bounds_before_predictions(layers: int, parts: int) -> list[int]:
    """Full parts, and for the last one, which also predicts further tokens, what is left; the first one gives
    where nothing is (as the recipes of NVIDIA-NeMo/Megatron-Bridge deal DeepSeek-V3)."""
    few = -(-layers // parts)
    missing = few * (parts - 1) - layers
    if parts == 1 or missing > few:
        return _bounds_by_number(layers, parts)
    first = few - max(0, missing)
    return [0, *range(first, first + few * (parts - 1), few), layers]


def _bounds_by_cost(architecture: Architecture, parts: int) -> list[int]:
    """Cut behind the layer whose running cost exceeds a stage's share; logits cost their parameters.

    Source: huggingface/nanotron, src/nanotron/models/base.py (``block_cumulative_costs`` and thresholds).
    """
    count = transformer.count_parameters(architecture)
    layers = architecture.num_hidden_layers
    layer = (count.dense_layers * count.dense_layer + count.moe_layers * count.block) / layers
    share = (layers * layer + (count.output or count.embedding)) / parts
    cuts = [min(layers, max(part, math.floor(part * share / layer) + 1)) for part in range(1, parts)]
    return [0, *cuts, layers]


def _short_parts(parts: int, number: int) -> frozenset[int]:
    # Last part first, then the first, then inwards from the end.
    order = [parts - 1, 0, *range(parts - 2, 0, -1)]
    return frozenset(order[:number])


def peak_of(gpu: Gpu, precision: str) -> float:
    """Dense peak of a device at a number format, or at its closest relative. [FLOP/s]

    Raises
    ------
    InfeasibleError
        If the device has neither.
    """
    peak = gpu.peak_at(precision)
    if peak is not None:
        return peak
    raise InfeasibleError(
        [
            Problem(
                path="parallel.precision",
                message=f"{gpu.title} has no {precision} units",
                hint=f"it has {', '.join(gpu.trains_in)}",
            )
        ]
    )


def sixteen_bit(gpu: Gpu) -> str:
    """The 16-bit format of a device, which attention and logits use."""
    return next((name for name in _SIXTEEN_BIT if name in gpu.peak), next(iter(gpu.peak)))


def kernels_of(calibration: Calibration, gpu: Gpu, precision: str) -> KernelCalibration:
    """Return the most specific entry: device and precision, device, precision, anything.

    Raises
    ------
    InfeasibleError
        If nothing matches, not even ``*``.
    """
    best = calibration.kernels_at(gpu.name, precision)
    if best is None:
        raise InfeasibleError(
            [Problem(path="calibration", message=f"no entry for {gpu.name} at {precision}, nor for '*'")]
        )
    return best
