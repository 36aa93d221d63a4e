"""Sums of gradients over micro-batches by kernels of their own, against hand arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.specs.hardware import Stack
from colossus_sim.training.estimate import StepEstimate

from .conftest import Bench

PARAMETERS = 8.03e9
"""Llama 3 8B, its norms (0.3 million) left out."""


def step(bench: Bench, each: float, *, replicas: int = 1, batch: int = 4, **plan: Any) -> StepEstimate:
    """Estimate Llama 3 8B with so many bytes for each parameter and micro-batch."""
    fields = {"gradient_sum_bytes": each, "gradient_bytes": 2, "compute_jitter": 0.0, "overlap_slowdown": 0.0}
    stack: Stack = bench.entry("stacks", "generic").model_copy(update=fields)
    made = bench.plan("generic", global_batch_size=batch * replicas, sequence_length=4096, **plan)
    return bench.estimate("llama3_8b", "h100", 8 * replicas, made.model_copy(update={"stack": stack}))


def test_each_micro_batch_is_added_once(bench: Bench) -> None:
    """18 bytes for each parameter of a rank, as DeepSpeed's BF16_Optimizer moves them, four times a step."""
    plan: dict[str, Any] = {"tensor_parallel": 8, "micro_batch_size": 1}
    fused, added = step(bench, 0.0, **plan), step(bench, 18.0, **plan)
    gpu = bench.entry("gpus", "h100")
    kernel = next(
        one
        for one in bench.entry("calibrations", "default").kernels
        if one.gpu == "h100" and one.precision == "*"
    )
    bandwidth = gpu.hbm_bandwidth * kernel.memory_fraction
    expected = 4 * 18.0 * PARAMETERS / 8 / bandwidth
    assert added.parts["elementwise"] - fused.parts["elementwise"] == pytest.approx(expected, rel=0.002)
    assert added.step_time - fused.step_time == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("plan", "replicas", "batch"),
    [
        ({"tensor_parallel": 8, "micro_batch_size": 1}, 1, 1),
        ({"micro_batch_size": 1, "zero_stage": 3}, 1, 32),
    ],
    ids=["one micro-batch", "sums in shares"],
)
def test_nothing_to_add(bench: Bench, plan: dict[str, Any], replicas: int, batch: int) -> None:
    """The first micro-batch's gradients are the sum; where ranks keep shares of it, they add next to nothing."""
    fused, added = (step(bench, each, replicas=replicas, batch=batch, **plan) for each in (0.0, 18.0))
    assert added.step_time == pytest.approx(fused.step_time, rel=1e-9)


def test_a_pipeline_waits_for_the_sums_of_its_stages(bench: Bench) -> None:
    """Four stages hold a quarter of the layers each: the busiest one, with the logits, sets the pace."""
    plan: dict[str, Any] = {"tensor_parallel": 2, "pipeline_parallel": 4, "micro_batch_size": 1}
    fused, added = (step(bench, each, batch=32, **plan) for each in (0.0, 18.0))
    whole = 32 * 18.0 * PARAMETERS / 8 / 3.35e12
    assert added.step_time - fused.step_time > whole


def test_experts_are_summed_too(bench: Bench) -> None:
    """All experts of a rank are parameters of it, whichever tokens reach them."""
    gpus, mixtral = 64, bench.entry("models", "mixtral_8x7b")
    times = []
    for each in (0.0, 18.0):
        fields = {
            "gradient_sum_bytes": each,
            "gradient_bytes": 2,
            "overlap_slowdown": 0.0,
            "compute_jitter": 0.0,
        }
        stack = bench.entry("stacks", "generic").model_copy(update=fields)
        plan = bench.plan(
            "generic", global_batch_size=256, sequence_length=4096, expert_parallel=8, micro_batch_size=1
        )
        estimate = bench.estimate(mixtral, "h100", gpus, plan.model_copy(update={"stack": stack}))
        times.append(estimate.parts["elementwise"])
    # A rank holds all of the dense parameters (1.6e9) and one expert of eight in each layer (45.1e9 / 8).
    expected = 4 * 18.0 * (1.6e9 + 45.1e9 / 8) / 3.35e12
    assert expected < times[1] - times[0] < 1.4 * expected
