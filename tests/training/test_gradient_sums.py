"""Sums of gradients over micro-batches by kernels of their own, against hand arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Stack
from colossus_sim.training.estimate import StepEstimate

from .conftest import Bench

BLOCKS, VOCABULARY = 6.98e9, 128256 * 4096.0
"""Parameters of the layers of Llama 3 8B (its norms, 0.3 million, left out), of the embedding and of the output."""
PARAMETERS = BLOCKS + 2.0 * VOCABULARY
ONE_NODE: dict[str, Any] = {"tensor_parallel": 8, "micro_batch_size": 1}


def step(
    bench: Bench,
    each: float,
    *,
    first: float | None = None,
    model: str | Architecture = "llama3_8b",
    gpus: int = 8,
    batch: int = 4,
    flop_multiplier: float = 1.0,
    **plan: Any,
) -> StepEstimate:
    """Estimate a model with so many bytes for each parameter and micro-batch, of the first one too by default."""
    fields = {
        "gradient_sum_bytes": each,
        "first_gradient_bytes": each if first is None else first,
        "gradient_bytes": 2,
        "compute_jitter": 0.0,
        "overlap_slowdown": 0.0,
    }
    stack: Stack = bench.entry("stacks", "generic").model_copy(update=fields)
    made = bench.plan("generic", global_batch_size=batch, sequence_length=4096, **plan)
    plan_on_stack = made.model_copy(update={"stack": stack})
    return bench.estimate(model, "h100", gpus, plan_on_stack, flop_multiplier=flop_multiplier)


def seconds(bench: Bench, parameters: float, each: float) -> float:
    """Return the time that an H100 takes to move so many bytes for each parameter. [s]"""
    kernels = bench.entry("calibrations", "default").kernels
    kernel = next(one for one in kernels if one.gpu == "h100" and one.precision == "*")
    return float(parameters * each / (bench.entry("gpus", "h100").hbm_bandwidth * kernel.memory_fraction))


def added(bench: Bench, each: float, **options: Any) -> float:
    """Return by how much the element-wise part grows against fused sums. [s]"""
    plain = step(bench, 0.0, **{**options, "first": 0.0})
    return step(bench, each, **options).parts["elementwise"] - plain.parts["elementwise"]


def test_each_micro_batch_is_added(bench: Bench) -> None:
    """18 bytes for each parameter of a rank, as DeepSpeed's BF16_Optimizer moves them, four times a step."""
    expected = seconds(bench, PARAMETERS / 8, 4 * 18.0)
    assert added(bench, 18.0, **ONE_NODE) == pytest.approx(expected, rel=0.002)
    fused, summed = step(bench, 0.0, **ONE_NODE), step(bench, 18.0, **ONE_NODE)
    assert summed.step_time - fused.step_time == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("first", "batch", "moved"), [(0.0, 4, 18.0), (0.0, 1, 0.0), (4.0, 4, 22.0), (6.0, 1, 6.0)]
)
def test_the_first_micro_batch_may_cost_less(bench: Bench, first: float, batch: int, moved: float) -> None:
    """Autograd keeps the first gradients (0), FSDP2 copies them into fp32; the others cost 6 bytes here."""
    expected = seconds(bench, PARAMETERS / 8, moved)
    assert added(bench, 6.0, first=first, batch=batch, **ONE_NODE) == pytest.approx(
        expected, rel=0.002, abs=1e-9
    )


@pytest.mark.parametrize(
    ("plan", "shares"),
    [
        ({"zero_stage": 1}, 1),
        ({"zero_stage": 2}, 8),
        ({"zero_stage": 3}, 8),
        ({"zero_stage": 2, "pipeline_parallel": 2}, 2),
        ({"zero_stage": 3, "tensor_parallel": 8}, 8),
    ],
    ids=["whole", "ZeRO-2", "ZeRO-3", "ZeRO-2 in a pipeline", "nobody to share with"],
)
def test_ranks_add_to_their_share(bench: Bench, plan: dict[str, Any], shares: int) -> None:
    """ZeRO-2 and ZeRO-3 add to shares of the sum, but for ZeRO-2 in a pipeline, which keeps it whole."""
    found = added(bench, 10.0, batch=32, micro_batch_size=1, **plan)
    replicas = 8 // (plan.get("pipeline_parallel", 1) * plan.get("tensor_parallel", 1))
    assert found == pytest.approx(seconds(bench, PARAMETERS / shares, 10.0 * 32 / replicas), rel=0.002)


def test_longer_clips_do_not_lengthen_sums(bench: Bench) -> None:
    """`flop_multiplier` multiplies the work on tokens, not the parameters."""
    once, thrice = (added(bench, 18.0, flop_multiplier=by, **ONE_NODE) for by in (1.0, 3.0))
    assert once == pytest.approx(thrice, rel=1e-9)


def test_a_tied_matrix_is_added_once(bench: Bench) -> None:
    """The gradients of its two uses are added in 16 bits (6 bytes), then their sum to that of the step."""
    tied = bench.entry("models", "llama3_8b").model_copy(update={"tie_word_embeddings": True})
    found = added(bench, 18.0, model=tied, **ONE_NODE)
    each = seconds(bench, (BLOCKS + VOCABULARY) / 8, 4 * 18.0) + seconds(bench, VOCABULARY / 8, 4 * 6.0)
    assert found == pytest.approx(each, rel=0.002)


def test_predictions_of_further_tokens_share_the_output_matrix(bench: Bench) -> None:
    """A further module brings its layer and its projection; the output matrix is used once more."""
    model = bench.entry("models", "llama3_8b")
    more = model.model_copy(update={"num_nextn_predict_layers": 1})
    layer, projection = BLOCKS / 32, 2.0 * 4096 * 4096
    expected = seconds(bench, (layer + projection) / 8, 4 * 18.0) + seconds(bench, VOCABULARY / 8, 4 * 6.0)
    found = added(bench, 18.0, model=more, **ONE_NODE) - added(bench, 18.0, **ONE_NODE)
    assert found == pytest.approx(expected, rel=0.01)


def test_a_pipeline_waits_for_the_sums_of_its_stages(bench: Bench) -> None:
    """Four stages hold a quarter of the layers each: the busiest one, with the logits, sets the pace."""
    plan: dict[str, Any] = {"tensor_parallel": 2, "pipeline_parallel": 4, "micro_batch_size": 1}
    fused, summed = (step(bench, each, batch=32, **plan) for each in (0.0, 18.0))
    assert summed.step_time - fused.step_time > seconds(bench, PARAMETERS / 8, 32 * 18.0)


def test_experts_are_summed_too(bench: Bench) -> None:
    """All experts of a rank are parameters of it, whichever tokens reach them: 1.6e9 dense, 45.1e9 in experts."""
    plan: dict[str, Any] = {"expert_parallel": 8, "micro_batch_size": 1}
    found = added(bench, 18.0, model="mixtral_8x7b", gpus=64, batch=256, **plan)
    assert found == pytest.approx(seconds(bench, 1.6e9 + 45.1e9 / 8, 4 * 18.0), rel=0.02)
