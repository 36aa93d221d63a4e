"""The step model: exact breakdown, published steps, and the directions in which it must move."""

from __future__ import annotations

import math
from typing import Any

import pytest

from colossus_sim.errors import InfeasibleError
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.layer_cost import PASS_PARTS
from colossus_sim.training.sizes import peak_of
from colossus_sim.training.step_model import PARTS
from tests.counting import function_calls

from .conftest import Bench

GPT3_PLAN: dict[str, Any] = {
    "tensor_parallel": 8,
    "pipeline_parallel": 8,
    "virtual_pipeline": 3,
    "schedule": "interleaved_1f1b",
    "global_batch_size": 64,
    "sequence_length": 2048,
    "precision": "fp16",
}
SMALL: dict[str, Any] = {
    "tensor_parallel": 4,
    "pipeline_parallel": 4,
    "micro_batch_size": 1,
    "global_batch_size": 128,
    "sequence_length": 4096,
}


def small(bench: Bench, gpus: int = 64, **changes: Any) -> StepEstimate:
    """Estimate Llama 3 8B on a few nodes."""
    options = {
        key: changes.pop(key)
        for key in ("bandwidths", "step_time_factor", "flop_multiplier")
        if key in changes
    }
    stack = changes.pop("stack", "megatron_core")
    plan = bench.plan(stack, **{**SMALL, **changes})
    return bench.estimate("llama3_8b", "h100", gpus, plan, **options)


CASES = [
    {},
    {"schedule": "interleaved_1f1b", "virtual_pipeline": 2},
    {"schedule": "gpipe"},
    {"schedule": "zero_bubble"},
    {"schedule": "dualpipe"},
    {"zero_stage": 3, "pipeline_parallel": 1},
    {"zero_stage": 2, "pipeline_parallel": 1},
    {"zero_stage": 0},
    {"context_parallel": 2},
    {"sequence_parallel": False},
    {"activation_recomputation": "full"},
    {"activation_recomputation": "none"},
    {"precision": "fp8"},
    {"stack": "megatron_2021"},
    {"step_time_factor": 1.3},
    {"flop_multiplier": 2.0},
]


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_parts_add_up_exactly(bench: Bench, changes: dict[str, Any]) -> None:
    """The parts are all there, none but bubble is negative, and they add up to the step time exactly."""
    estimate = small(bench, **changes)
    assert tuple(estimate.parts) == PARTS
    assert math.fsum(estimate.parts.values()) == estimate.step_time
    assert all(value >= -1e-9 * estimate.step_time for value in estimate.parts.values())
    assert 0.0 < estimate.mfu < 0.85
    assert estimate.hfu >= estimate.mfu


@pytest.mark.parametrize(
    ("gpus", "recomputation", "sequence_parallel", "measured"),
    [(64, "full", False, 18.13), (64, "selective", True, 13.75)],
)
def test_korthikanti_175b(
    bench: Bench, gpus: int, recomputation: str, sequence_parallel: bool, measured: float
) -> None:
    """GPT-3 175B on 64 A100 takes the measured step time to 10 % (arXiv:2205.05198, table 5)."""
    plan = bench.plan(
        "megatron_2022",
        **GPT3_PLAN,
        activation_recomputation=recomputation,
        sequence_parallel=sequence_parallel,
    )
    estimate = bench.estimate("gpt3_175b", "a100_80gb", gpus, plan)
    assert estimate.step_time == pytest.approx(measured, rel=0.10)


def test_sc21_175b(bench: Bench) -> None:
    """GPT-3 175B on 1,024 A100 does about 140 TFLOP/s per GPU, recomputation counted (arXiv:2104.04473)."""
    plan = bench.plan(
        "megatron_2021",
        **{**GPT3_PLAN, "global_batch_size": 1536, "zero_stage": 0, "sequence_parallel": False},
        activation_recomputation="full",
    )
    estimate = bench.estimate("gpt3_175b", "a100_80gb", 1024, plan)
    seconds = (
        96
        * 1536
        * 2048
        * 96
        * 12288**2
        * (1 + 2048 / (6 * 12288) + 51200 / (16 * 96 * 12288))
        / (1024 * 140e12)
    )
    assert estimate.step_time == pytest.approx(seconds, rel=0.15)


def test_llama3_405b(bench: Bench) -> None:
    """Llama 3 405B on 16,384 H100 reaches about 400 TFLOP/s per GPU (arXiv:2407.21783, table 4)."""
    plan = bench.plan(
        "megatron_core_0_8",
        tensor_parallel=8,
        pipeline_parallel=16,
        virtual_pipeline=4,
        schedule="interleaved_1f1b",
        activation_recomputation="none",
        global_batch_size=2048,
        sequence_length=8192,
    )
    estimate = bench.estimate("llama3_405b", "h100", 16384, plan)
    assert estimate.mfu * estimate.peak == pytest.approx(400e12, rel=0.17)


def test_deepseek_v3_on_its_own_cluster(bench: Bench) -> None:
    """180K GPU-hours of H800 per trillion tokens (arXiv:2412.19437, sec. 1): 19.9 s a step, in 80 GB without tensor
    parallelism (sec. 3.2.3); nothing is fitted."""
    plan = bench.plan(
        "deepseek_v3",
        pipeline_parallel=16,
        expert_parallel=64,
        schedule="dualpipe",
        activation_recomputation="selective",
        global_batch_size=15360,
        sequence_length=4096,
        precision="fp8",
    )
    estimate = bench.estimate("deepseek_v3", "h800", 2048, plan)
    assert estimate.step_time == pytest.approx(180e3 * 3600 / 2048 * 15360 * 4096 / 1e12, rel=0.12)
    assert estimate.parts["expert_communication"] < 0.01 * estimate.step_time
    assert estimate.fits
    assert estimate.peak_memory > 0.9 * 80e9


def test_deepseek_v3_on_gb300(bench: Bench) -> None:
    """DeepSeek-V3 on 256 GB300 in MXFP8 lies in the published region of 1,200 to 1,700 TFLOP/s per GPU."""
    plan = bench.plan(
        "megatron_core_2026",
        pipeline_parallel=4,
        virtual_pipeline=4,
        expert_parallel=64,
        schedule="interleaved_1f1b",
        activation_recomputation="none",
        global_batch_size=4096,
        sequence_length=4096,
        precision="mxfp8",
    )
    estimate = bench.estimate("deepseek_v3", "gb300_nvl72", 256, plan, ranks_per_domain=64)
    assert 1100e12 < estimate.mfu * estimate.peak < 1800e12


def test_recomputation_costs_a_forward_pass(bench: Bench) -> None:
    """Full recomputation repeats the forward compute of every layer, and no logits."""
    none = small(bench, activation_recomputation="none")
    full = small(bench, activation_recomputation="full")
    assert none.parts["recomputation"] == 0.0
    assert none.hardware_flops == none.model_flops
    third = 0.33 * (none.parts["gemm"] + none.parts["attention"] + none.parts["elementwise"])
    assert full.parts["recomputation"] == pytest.approx(third, rel=0.15)
    assert full.step_time > none.step_time


@pytest.mark.parametrize("sequence", [4096, 131072])
def test_only_weight_gradients_fill_the_bubble(bench: Bench, sequence: int) -> None:
    """Of equal stages zero bubble saves 2 (S - 1) W against 1f1b, W being a third of the matrix products and of
    nothing else; what recomputation adds to a backward pass everybody waits for (arXiv:2401.10241, table 2)."""
    model = bench.entry("models", "llama3_8b").model_copy(update={"vocab_size": 0})
    stages, microbatches = 4, 16

    def parts(schedule: str, recomputation: str) -> dict[str, float]:
        plan = bench.plan(
            "generic",
            tensor_parallel=8,
            pipeline_parallel=stages,
            schedule=schedule,
            activation_recomputation=recomputation,
            global_batch_size=microbatches,
            sequence_length=sequence,
        )
        return dict(bench.estimate(model, "h100", 8 * stages, plan).parts)

    plain, filled, again = (
        parts(schedule, repeats)
        for schedule, repeats in (("1f1b", "none"), ("zero_bubble", "none"), ("zero_bubble", "full"))
    )
    saved = 2.0 * (stages - 1) / microbatches * plain["gemm"] / 3.0
    assert plain["bubble"] - filled["bubble"] == pytest.approx(saved, rel=0.1)
    longer = math.fsum(again[name] - filled[name] for name in PASS_PARTS)
    assert longer > again["recomputation"]
    assert again["bubble"] - filled["bubble"] == pytest.approx((stages - 1) / microbatches * longer, rel=1e-6)


def test_imbalance_of_dualpipe_is_between_its_devices(bench: Bench) -> None:
    """A device holds the last stage, with the logits, and the first: of four stages it exceeds the mean by a third
    of what the last stage alone does; what is left of the step is the closed form's bubble."""
    alone, paired = (small(bench, schedule=name).parts for name in ("1f1b", "dualpipe"))
    assert paired["imbalance"] == pytest.approx(alone["imbalance"] / 3.0, rel=0.1)
    assert paired["bubble"] > 0.0


def test_one_gpu_does_not_communicate(bench: Bench) -> None:
    """A job of one GPU has no communication, no bubble and no straggler."""
    plan = bench.plan("megatron_core", global_batch_size=4, sequence_length=4096)
    estimate = bench.estimate("llama3_8b", "h100", 1, plan)
    for part in PARTS:
        if part.endswith("_communication") or part in ("bubble", "imbalance", "straggler"):
            assert estimate.parts[part] == 0.0
    assert estimate.communication == ()
    assert sum(estimate.traffic) == 0.0


def test_tensor_parallel_calls_and_volume(bench: Bench) -> None:
    """Without sequence parallelism a layer issues four all-reduces of s b h elements per step."""
    estimate = small(
        bench, sequence_parallel=False, activation_recomputation="none", pipeline_parallel=1, gpus=64
    )
    rows = [row for row in estimate.communication if row.axis == "tp" and row.calls >= 32 * 4]
    (row,) = rows
    microbatches = 128 / 16
    # Four per layer, one for the embedding forward and one for the logits backward.
    assert row.calls == microbatches * (32 * 4 + 2)
    assert row.message_bytes == 4096 * 4096 * 2
    assert row.group_size == 4
    assert row.level == "scale_up"


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({"pipeline_parallel": 1}, 32 * 6 + 3),
        ({"pipeline_parallel": 2}, 16 * 6 + 2),
        ({"pipeline_parallel": 2, "schedule": "dualpipe"}, 16 * 6 + 1.5),
    ],
)
def test_calls_are_those_of_one_rank(bench: Bench, changes: dict[str, Any], calls: float) -> None:
    """Six all-gathers per layer, one for the embedding and two for the logits, which have a rank each unless there
    is one stage, or half of the micro-batches on either end of DualPipe."""
    estimate = small(bench, **changes, activation_recomputation="none")
    microbatches = 128 / (64 / 4 / changes["pipeline_parallel"])
    row = next(r for r in estimate.communication if (r.axis, r.operation) == ("tp", "all_gather"))
    assert row.calls == microbatches * calls


def test_the_fullest_pair_of_stages_sets_the_exchange_of_gradients(bench: Bench) -> None:
    """29 layers on eight devices of DualPipe: some hold eight, the others a shorter stage or two."""
    model = bench.entry("models", "llama3_8b").model_copy(update={"num_hidden_layers": 29, "vocab_size": 0})
    plan = bench.plan("generic", pipeline_parallel=8, schedule="dualpipe", global_batch_size=64,
                      sequence_length=4096)  # fmt: skip
    rows = bench.estimate(model, "h100", 16, plan).communication
    message = next(row.message_bytes for row in rows if row.operation == "reduce_scatter")
    assert message == 8 * count_parameters(model).dense_layer * plan.stack.gradient_bytes


def test_data_parallel_volume(bench: Bench) -> None:
    """ZeRO-1 reduces fp32 gradients and gathers bf16 weights once per step, across nodes."""
    estimate = small(bench, tensor_parallel=1, pipeline_parallel=1)
    rows = {row.operation: row for row in estimate.communication if row.axis == "dp"}
    assert rows["reduce_scatter"].message_bytes == pytest.approx(8.03e9 * 4, rel=1e-3)
    assert rows["all_gather"].message_bytes == pytest.approx(8.03e9 * 2, rel=1e-3)
    assert rows["all_gather"].calls == 1
    assert rows["all_gather"].level == "leaf"


def test_group_inside_a_node_is_found_by_placement(bench: Bench) -> None:
    """A data-parallel group of 4 whose ranks sit on 4 nodes crosses the fabric, whatever its size."""
    estimate = small(bench, gpus=32, tensor_parallel=8, pipeline_parallel=1)
    row = next(row for row in estimate.communication if row.axis == "dp")
    assert row.group_size == 4
    assert row.level == "leaf"


def test_moe_all_to_all_calls(bench: Bench) -> None:
    """Each routed layer dispatches and combines, forward and backward: four all-to-alls."""
    plan = bench.plan(
        "megatron_core", expert_parallel=8, global_batch_size=64, sequence_length=4096,
        activation_recomputation="none",
    )  # fmt: skip
    estimate = bench.estimate("mixtral_8x7b", "h100", 64, plan)
    row = next(row for row in estimate.communication if row.operation == "all_to_all")
    assert row.calls == 32 * 4
    imbalance = bench.entry("models", "mixtral_8x7b").moe.imbalance
    assert row.message_bytes == pytest.approx(4096 * 2 * 4096 * 2 * imbalance)
    assert estimate.parts["expert_communication"] > 0


def test_experts_on_one_rank_are_never_unbalanced(bench: Bench) -> None:
    """Imbalance is between expert-parallel ranks: a rank that holds all experts computes all of its tokens."""
    mixtral = bench.entry("models", "mixtral_8x7b")
    even, skewed = (
        mixtral.model_copy(update={"moe": mixtral.moe.model_copy(update={"imbalance": factor})})
        for factor in (1.0, 2.0)
    )
    for fields, differs in (({"expert_tensor_parallel": 2}, False), ({"expert_parallel": 2}, True)):
        plan = bench.plan(
            "megatron_core", tensor_parallel=2, global_batch_size=64, sequence_length=4096, **fields
        )
        first, second = (bench.estimate(model, "h100", 64, plan) for model in (even, skewed))
        assert (second.step_time > first.step_time) == differs
        assert (second.memory[0].activations > first.memory[0].activations) == differs
        assert (second.traffic > first.traffic) == differs


def test_expert_gradients_have_their_own_group(bench: Bench) -> None:
    """Expert gradients are reduced over the replicas of the expert, the others over all ranks."""
    plan = bench.plan("megatron_core", expert_parallel=8, global_batch_size=64, sequence_length=4096)
    estimate = bench.estimate("mixtral_8x7b", "h100", 64, plan)
    sizes = {row.group_size for row in estimate.communication if row.operation == "reduce_scatter"}
    assert sizes == {64, 8}


@pytest.mark.parametrize(
    ("tied", "modules", "changes", "calls"),
    [
        (False, 0, {}, 0),
        (True, 0, {}, 1),
        (False, 1, {}, 1),
        (True, 1, {}, 1),
        (True, 1, {"pipeline_parallel": 1}, 0),
        (True, 0, {"schedule": "dualpipe"}, 0),
        (False, 1, {"schedule": "dualpipe"}, 0),
    ],
)
def test_an_embedding_at_both_ends_is_reduced_once(
    bench: Bench, tied: bool, modules: int, changes: dict[str, Any], calls: int
) -> None:
    """The ends of a pipeline sum the gradients of an embedding that is tied, or that predictions of further tokens
    start from; not where one device holds both ends."""
    model = bench.entry("models", "llama3_8b").model_copy(
        update={"tie_word_embeddings": tied, "num_nextn_predict_layers": modules}
    )
    estimate = bench.estimate(model, "h100", 64, bench.plan("generic", **{**SMALL, **changes}))
    rows = [row for row in estimate.communication if row.axis == "embedding"]
    assert sum(row.calls for row in rows) == calls
    for row in rows:
        assert row.message_bytes == 128256 * 4096 / 4 * bench.entry("stacks", "generic").gradient_bytes
        assert row.exposed == row.time > 0.0


def test_less_bandwidth_never_helps(bench: Bench) -> None:
    """Half of the fabric's bandwidth makes the step longer and leaves the traffic as it is."""
    whole = small(bench, tensor_parallel=1, pipeline_parallel=1, gpus=64)
    gpu = bench.entry("gpus", "h100")
    levels = bench.fabric(gpu, 64).bandwidths
    half = small(
        bench, tensor_parallel=1, pipeline_parallel=1, gpus=64, bandwidths=(levels[0], levels[1] / 20)
    )
    assert half.step_time > whole.step_time
    assert half.parts["gemm"] == whole.parts["gemm"]


def test_traffic_counts_gradient_bytes(bench: Bench) -> None:
    """Pure data parallelism sends about (1 - 1/n) of gradients and weights; most of it leaves the node."""
    estimate = small(bench, tensor_parallel=1, pipeline_parallel=1, gpus=64)
    assert sum(estimate.traffic) == pytest.approx(8.03e9 * 6 * 63 / 64, rel=0.15)
    assert len(estimate.traffic) == 2


def test_factors_scale_what_they_say(bench: Bench) -> None:
    """step_time_factor stretches the whole step, flop_multiplier compute only."""
    plain = small(bench)
    stretched = small(bench, step_time_factor=1.25)
    assert stretched.step_time == pytest.approx(1.25 * plain.step_time)
    assert stretched.parts["gemm"] == plain.parts["gemm"]
    doubled = small(bench, flop_multiplier=2.0)
    assert doubled.parts["gemm"] == pytest.approx(2.0 * plain.parts["gemm"])
    assert doubled.model_flops == pytest.approx(2.0 * plain.model_flops)


def test_partial_last_microbatch_counts_as_whole(bench: Bench) -> None:
    """A global batch that does not divide takes as long as the next one that does."""
    odd = small(bench, global_batch_size=125)
    even = small(bench, global_batch_size=128)
    assert odd.step_time == pytest.approx(even.step_time)
    assert odd.tokens_per_step < even.tokens_per_step


def test_scale_is_not_free(bench: Bench) -> None:
    """At a fixed batch per GPU the efficiency falls with the number of GPUs."""
    mfu = [
        small(bench, gpus=n, global_batch_size=2 * n, tensor_parallel=1, pipeline_parallel=1).mfu
        for n in (64, 1024, 16384, 131072)
    ]
    assert mfu == sorted(mfu, reverse=True)
    assert mfu[-1] < 0.99 * mfu[0]


def test_unknown_precision_is_refused(bench: Bench) -> None:
    """A100 have no fp8 units, and the message says what they have."""
    plan = bench.plan("megatron_core", **{**SMALL, "precision": "fp8"})
    with pytest.raises(InfeasibleError, match=r"no fp8 units.*bf16"):
        bench.estimate("llama3_8b", "a100_80gb", 64, plan)


def test_block_scales_are_not_lent_to_plain_units(bench: Bench) -> None:
    """Units with block scales run plain fp8; those without do not run mxfp8 under another name."""
    hopper, blackwell = bench.entry("gpus", "h100"), bench.entry("gpus", "b200")
    only_blocks = blackwell.model_copy(update={"peak": {"bf16": 1e15, "mxfp8": 2e15}})
    assert peak_of(only_blocks, "fp8") == 2e15
    with pytest.raises(InfeasibleError, match="has no mxfp8 units; it has fp16, bf16, fp8"):
        peak_of(hopper, "mxfp8")


def test_more_stages_than_layers_are_refused(bench: Bench) -> None:
    """35 stages cannot be filled with 32 layers; 34 can, if the ends hold only embedding and logits."""
    plan = bench.plan("megatron_core", pipeline_parallel=35, global_batch_size=35, sequence_length=4096)
    with pytest.raises(InfeasibleError, match="32 layers cannot fill 35"):
        bench.estimate("llama3_8b", "h100", 35, plan)


def test_cost_does_not_grow_with_gpus(bench: Bench) -> None:
    """An estimate for a million GPUs costs at most a few times one for a thousand."""

    def cost(gpus: int) -> float:
        plan = bench.plan("megatron_core", **{**SMALL, "global_batch_size": 2 * gpus})
        return function_calls(lambda: bench.estimate("llama3_8b", "h100", gpus, plan))

    cost(2**10)  # what is built once
    assert cost(2**20) < 2 * cost(2**10)


def test_attention_stays_within_samples(bench: Bench) -> None:
    """Two samples in a sequence cost what two sequences of one do, and less than one sample of their length."""
    model = bench.entry("models", "wan_14b")

    def estimate(tokens: int, length: int, stack: str) -> StepEstimate:
        video = model.video.model_copy(update={"tokens_per_sample": float(tokens)})
        plan = bench.plan(
            stack,
            tensor_parallel=8,
            micro_batch_size=37440 * 2 // length,
            global_batch_size=16 * 37440 * 2 // length,
            sequence_length=length,
        )
        return bench.estimate(model.model_copy(update={"video": video}), "h100", 64, plan)

    for stack in ("megatron_core_2025", "megatron_2021"):
        packed, apart, long = (
            estimate(*way, stack) for way in ((37440, 74880), (37440, 37440), (74880, 74880))
        )
        assert packed.parts["attention"] == pytest.approx(apart.parts["attention"], rel=1e-9)
        assert packed.model_flops == pytest.approx(apart.model_flops, rel=1e-12)
        assert packed.tokens_per_step == long.tokens_per_step
        assert long.model_flops > 1.2 * packed.model_flops
        assert long.parts["attention"] > 1.5 * packed.parts["attention"]
