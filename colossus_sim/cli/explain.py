"""``estimate --explain``: where each millisecond, byte and constant of an estimate comes from."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from colossus_sim.cli.common import text_table
from colossus_sim.units import format_duration, format_si

if TYPE_CHECKING:
    from colossus_sim.specs.hardware import Calibration, Gpu
    from colossus_sim.specs.parallel import ParallelPlan
    from colossus_sim.topology.fabric import Fabric
    from colossus_sim.training.estimate import StepEstimate
    from colossus_sim.training.work import UnitEstimate

_WIDTH = 116
_KERNELS = ("gemm", "attention")
_MEANINGS = {
    "elementwise": "norms, activations, rotary embedding, loss, sums of gradients: bytes over HBM bandwidth",
    "recomputation": "forward work done again in the backward pass (in HFU, not in MFU)",
    "quantisation": "casts below 16 bits: bytes over HBM bandwidth",
    "launch": "the host issues kernels more slowly than the device runs them",
    "tensor_communication": "tp lines below, as far as nothing hides them",
    "context_communication": "cp lines below, as far as nothing hides them",
    "expert_communication": "ep lines below, as far as nothing hides them",
    "pipeline_communication": "longer pipeline because stages wait for pp transfers",
    "data_communication": "dp and embedding lines below, as far as nothing hides them",
    "overlap_slowdown": "compute slowed down by the communication beside it",
    "bubble": "stages idle while the pipeline fills and drains",
    "imbalance": "the slowest stage (embedding, logits, odd layers) beyond the mean",
    "optimizer": "Adam: bytes over HBM bandwidth",
    "straggler": "slowest of all ranks beyond the mean (compute_jitter of the stack)",
    "overhead": "step_overhead of the stack: data, logging, host",
    "other": "encoder_share of the model times its compute, and step_time_factor of the job",
}
_RL_MEANINGS = {
    "prefill": "prompts read: FLOPs at the calibrated rates, and all-reduces",
    "decode": "tokens one by one: weights and caches over HBM, or FLOPs, whichever is longer; all-reduces",
    "reward": "reward_time",
    "training": "the step above",
    "weight_sync": "new weights to every replica through the NICs",
    "beside": "the faster of generation and training, hidden beside the slower",
}
_WHO_COUNTS = (
    "Of the busiest rank for each line: its layers, and the embedding or the head if it has one. The waterfall\n"
    "holds the mean over stages; what the busiest has more is imbalance there, and transfers count as far as they\n"
    "delay it.\n"
    "message: nccl-tests' size of one call; busbw: as nccl-tests defines it; calls, ms: per step."
)


def waterfall(step: StepEstimate) -> str:
    """Return the way from the peak to the achieved rate: every row takes time, and the rate that is left."""
    ideal = step.model_flops / (step.gpus * step.peak)
    below = math.fsum(step.parts[name] for name in _KERNELS) - ideal
    times = " and ".join(f"{name} {step.parts[name] * 1e3:,.2f} ms" for name in _KERNELS)
    entries = [
        ("model FLOPs at peak", ideal, "forward and backward of the architecture at the dense peak"),
        ("kernels below peak", below, f"{times}: tiles, waves, inner size, sustained clock"),
    ]
    entries += [
        (name.replace("_", " "), seconds, _MEANINGS[name])
        for name, seconds in step.parts.items()
        if name not in _KERNELS
    ]
    rows, spent = [], 0.0
    for name, seconds, meaning in entries:
        spent += seconds
        rows.append((name, *_time(seconds, step.step_time), _rate(step, spent), meaning))
    rows.append(("step", *_time(step.step_time, step.step_time), _rate(step, step.step_time), "achieved"))
    return text_table(("part", "ms", "share", "rate left", "what it is"), rows, right=(1, 2, 3))


def _time(seconds: float, whole: float) -> tuple[str, str]:
    # Adding zero turns the minus zero of a rounded difference into zero.
    milliseconds, share = round(seconds * 1e3, 2) + 0.0, round(seconds / whole, 3) + 0.0
    return f"{milliseconds:,.2f}", f"{share:.1%}"


def _rate(step: StepEstimate, seconds: float) -> str:
    return format_si(step.model_flops / (step.gpus * seconds), "FLOP/s", 4)


def update(unit: UnitEstimate) -> str:
    """Return what one update of reinforcement learning takes; the rows sum to its time."""
    rows = [
        (name.replace("_", " "), f"{seconds:,.2f}", f"{seconds / unit.time:.1%}", _RL_MEANINGS[name])
        for name, seconds in unit.parts
    ]
    rows.append(("update", f"{unit.time:,.2f}", "100.0%", ""))
    return text_table(("part", "s", "share", "what it is"), rows, right=(1, 2))


def communication(step: StepEstimate, fabric: Fabric) -> str:
    """Return every collective of the step, and what a GPU sends at each level."""
    header = (
        "axis", "operation", "algorithm", "ranks", "crosses", "message", "calls", "total ms", "exposed ms", "busbw",
    )  # fmt: skip
    rows = [
        (
            row.axis,
            row.operation,
            row.algorithm,
            str(row.group_size),
            row.level,
            format_si(row.message_bytes, "B"),
            f"{row.calls:,.0f}",
            f"{row.time * 1e3:,.2f}",
            f"{row.exposed * 1e3:,.2f}",
            format_si(row.busbw, "B/s"),
        )
        for row in step.communication
    ]
    sent = ", ".join(
        f"{level.name} {format_si(size, 'B')}"
        for level, size in zip(fabric.levels, step.traffic, strict=True)
    )
    table = text_table(header, rows, right=(3, 5, 6, 7, 8, 9))
    return f"{table}\n{_WHO_COUNTS}\nThe mean GPU sends per step, by the level that it crosses: {sent}."


def memory(step: StepEstimate) -> str:
    """Return the memory of one GPU of each pipeline stage."""
    header = (
        "stage", "weights", "gradients", "optimizer", "activations", "buffers", "overhead", "total", "limit",
    )  # fmt: skip
    rows = []
    for stage in step.memory:
        parts = (stage.weights, stage.gradients, stage.optimizer, stage.activations, stage.buffers)
        sizes = (*parts, stage.overhead, stage.total, step.memory_capacity)
        rows.append((str(stage.stage), *(format_si(size, "B") for size in sizes)))
    return text_table(header, rows, right=tuple(range(len(header))))


def sources(plan: ParallelPlan, gpu: Gpu, calibration: Calibration, fabric: Fabric) -> str:
    """Return which sets of constants the estimate used, what they are worth, and where they come from."""
    from colossus_sim.training.sizes import kernels_of, sixteen_bit

    # Attention and logits run in 16 bits whatever the plan's precision.
    used = [kernels_of(calibration, gpu, precision) for precision in (plan.precision, sixteen_bit(gpu))]
    rates = {f"kernel rates of {kernels.gpu} at {kernels.precision}": kernels.provenance for kernels in used}
    entries = [
        (f"GPU {gpu.name}", gpu.provenance),
        *rates.items(),
        (f"stack {plan.stack.name}", plan.stack.provenance),
    ]
    if fabric.collectives is not None:
        entries.append(("collectives of the fabric", fabric.collectives.provenance))
    texts = []
    for name, origin in entries:
        text = f"{name}: {origin.kind}; {origin.reference.rstrip().rstrip('.')}. {origin.note}"
        texts.append(textwrap.fill(" ".join(text.split()), _WIDTH, subsequent_indent="  "))
    return "constants (`*` is any 16-bit format; `colossus-sim catalog` shows them)\n" + "\n".join(texts)


def overall(step: StepEstimate, job: str, phase: str) -> str:
    """Return the title of a phase's tables."""
    return (
        f"{job}/{phase}: step {format_duration(step.step_time)} on {step.gpus:,} GPUs, "
        f"MFU {step.mfu:.1%} (HFU {step.hfu:.1%}) of {format_si(step.peak, 'FLOP/s', 4)} dense {step.precision}"
    )
