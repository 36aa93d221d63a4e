"""Compute and communication of one layer put together: what is exposed, what hides, what hiding costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from colossus_sim.specs.hardware import Stack
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.training.communication import PricedCall
from colossus_sim.training.compute import Block, Work

PASS_PARTS = (
    "gemm",
    "attention",
    "elementwise",
    "recomputation",
    "quantisation",
    "launch",
    "tensor_communication",
    "context_communication",
    "expert_communication",
    "pipeline_communication",
    "data_communication",
    "overlap_slowdown",
)
"""Parts of one forward or backward pass, in the order of a `Cost`."""

Cost = tuple[float, ...]
"""Seconds per part, in the order of `PASS_PARTS`."""

_AXES = ("tp", "cp", "ep", "dp")
_NONE = (0.0,) * len(_AXES)


class LayerCost(NamedTuple):
    """Forward and backward cost of a layer, and which share of each axis's communication is exposed."""

    forward: Cost
    backward: Cost
    weights: float
    """Part of the backward cost that can be put off: the products for weight gradients, and their sums. [s]"""
    exposed_forward: dict[str, float]
    exposed_backward: dict[str, float]


def total(cost: Cost) -> float:
    """Time of a pass. [s]"""
    return math.fsum(cost)


def weighted(terms: Sequence[tuple[float, Cost]]) -> Cost:
    """Sum of costs with weights, part by part."""
    if not terms:
        return (0.0,) * len(PASS_PARTS)
    scaled = [[weight * part for part in cost] for weight, cost in terms]
    return tuple(map(sum, zip(*scaled, strict=True)))


def slowdown_of(hidden: float, stack: Stack) -> float:
    """Extra compute time that hidden communication causes. [s]"""
    return hidden * stack.overlap_slowdown


def layer_cost(
    block: Block,
    priced: Sequence[PricedCall],
    plan: ParallelPlan,
    *,
    multiplier: float = 1.0,
    edge: bool = False,
    routed: tuple[float, float] | None = None,
    counted: bool = True,
    pipeline_crosses: bool = False,
) -> LayerCost:
    """Return the cost of one layer for one micro-batch.

    Parameters
    ----------
    block : Block
        Its compute.
    priced : sequence of PricedCall
        Its collectives.
    plan : ParallelPlan
        Recomputation and stack.
    multiplier : float
        Multiplies all compute.
    edge : bool
        Embedding or logits: not recomputed, and few kernels.
    routed : (float, float), optional
        For a layer with routed experts: kernels that the host launches one by one for its local experts in the
        forward and in the backward pass.
    counted : bool
        Whether the host must learn the token counts of the experts.
    pipeline_crosses : bool
        Whether the pipeline spans several scale-up domains.
    """
    repeated = 0.0
    if not edge and plan.activation_recomputation == "full":
        repeated = block.forward.time * multiplier * plan.recomputed_share
    elif not edge and plan.activation_recomputation == "selective":
        again = block.forward.elementwise
        if plan.stack.selective_repeats == "attention":
            again = block.repeated.time
        elif plan.stack.selective_repeats == "half_products":
            again += 0.5 * (block.forward.gemm + block.forward.quantisation)
        repeated = again * multiplier
    sent = _tally(priced, plan.stack, pipeline_crosses)
    kernels = 0.0 if edge else plan.stack.kernels_per_layer * plan.stack.host_launch
    passes = 1.0
    if repeated and plan.activation_recomputation == "full":
        passes += plan.recomputed_share
    hosts = (kernels + sent.host_forward, passes * kernels + sent.host_backward)
    if plan.stack.cuda_graphs:
        hosts = (0.0, 0.0)
    waiting = 0.0
    if routed is not None:
        stack = plan.stack
        waiting = stack.expert_sync_time * (1.0 - _covered(stack)) if counted else 0.0
        loops = [stack.expert_host_time + count * stack.expert_launch for count in routed]
        hosts = (hosts[0] + loops[0], hosts[1] + loops[1] + (passes - 1.0) * loops[0])
    forward, exposed_forward = _pass_cost(
        block.forward.times(multiplier),
        repeated=0.0,
        times=sent.forward,
        beside=_NONE,
        stack=plan.stack,
        host=hosts[0],
        waiting=waiting,
    )
    backward, exposed_backward = _pass_cost(
        block.backward.times(multiplier).plus(Work(elementwise=block.sums)),
        repeated=repeated,
        times=sent.backward,
        beside=sent.beside,
        stack=plan.stack,
        host=hosts[1],
        waiting=waiting * passes,
    )
    weights = multiplier * block.weights + block.sums
    return LayerCost(forward, backward, weights, exposed_forward, exposed_backward)


class _Sent(NamedTuple):
    """Communication of a layer: time per axis in either pass and beside the backward pass, and to issue it. [s]"""

    forward: list[float]
    backward: list[float]
    beside: list[float]
    host_forward: float
    host_backward: float


def _tally(priced: Sequence[PricedCall], stack: Stack, pipeline_crosses: bool) -> _Sent:
    forward, backward, beside = ([0.0] * len(_AXES) for _ in range(3))
    host_forward = host_backward = 0.0
    for call, cost, span in priced:
        axis = _AXES.index(call.axis)
        forward[axis] += call.forward * cost.time
        backward[axis] += call.backward * cost.time
        beside[axis] += call.beside * cost.time
        if call.axis == "dp":
            # Weights are gathered ahead, by a thread and a stream of their own.
            continue
        host = stack.collective_host_time
        if span.level > 0:
            host += stack.collective_host_time_per_rank * span.size
        if pipeline_crosses:
            host += stack.pipelined_collective_host_time_per_rank * span.size
        host_forward += host * call.forward
        host_backward += host * (call.backward + call.beside)
    return _Sent(forward, backward, beside, host_forward, host_backward)


def _pass_cost(
    work: Work,
    *,
    repeated: float,
    times: Sequence[float],
    beside: Sequence[float],
    stack: Stack,
    host: float,
    waiting: float,
) -> tuple[Cost, dict[str, float]]:
    gemm, attention, elementwise, quantisation = work
    compute = gemm + attention + elementwise + quantisation + repeated
    overlaps = stack.tensor_overlap, stack.context_overlap, stack.expert_overlap, stack.data_overlap
    windows = gemm, attention, compute, compute
    exposed, ratios = [0.0] * len(_AXES), [0.0] * len(_AXES)
    hidden_total, room = 0.0, compute
    for axis, (time, extra) in enumerate(zip(times, beside, strict=True)):
        whole = time + extra
        if whole > 0.0:
            hidden = min(overlaps[axis] * time + extra, windows[axis], room)
            room -= hidden
            hidden_total += hidden
            exposed[axis] = whole - hidden
            ratios[axis] = exposed[axis] / whole
    slowdown = slowdown_of(hidden_total, stack)
    device = compute + math.fsum(exposed) + slowdown
    launch = _joined(host, device, stack if waiting > 0.0 else None) - device + waiting
    cost = (
        gemm,
        attention,
        elementwise,
        repeated,
        quantisation,
        launch,
        *exposed[:3],
        0.0,
        exposed[3],
        slowdown,
    )
    return cost, dict(zip(_AXES, ratios, strict=True))


def _joined(host: float, device: float, stack: Stack | None) -> float:
    """Time of a pass that needs both: the longer where the host runs ahead (no stack), more where it cannot."""
    longer = max(host, device)
    if stack is None or not host or stack.expert_host_norm <= 0.0:
        return longer
    norm = stack.expert_host_norm
    joined = longer * math.pow((host / longer) ** norm + (device / longer) ** norm, 1.0 / norm)
    return longer + (1.0 - _covered(stack)) * (joined - longer)


def _covered(stack: Stack) -> float:
    """Share of the host's waits for token counts of one micro-batch during which the device has work of another."""
    return stack.expert_overlap if stack.batch_level_overlap else 0.0
