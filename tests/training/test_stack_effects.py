"""What a stack's fields do: overlap, host time, dispatch, balance."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.formulas.transformer import token_flops
from colossus_sim.specs.hardware import Stack
from colossus_sim.training.communication import distinct_targets, reachable_targets
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.layer_cost import PASS_PARTS
from colossus_sim.training.sizes import kernels_of, split_layers

from .conftest import Bench


def with_stack(bench: Bench, fields: dict[str, Any], **plan_fields: Any) -> StepEstimate:
    """Estimate Llama 3 8B on 16 H100 with a changed stack."""
    stack: Stack = bench.entry("stacks", "generic").model_copy(update=fields)
    plan = bench.plan("generic", global_batch_size=64, sequence_length=4096, **plan_fields)
    return bench.estimate("llama3_8b", "h100", 16, plan.model_copy(update={"stack": stack}))


def test_tensor_overlap_hides_communication(bench: Bench) -> None:
    """Half of the communication hidden leaves about half exposed, and hiding costs a slow-down."""
    none = with_stack(bench, {"tensor_overlap": 0.0, "overlap_slowdown": 0.0}, tensor_parallel=8)
    half = with_stack(bench, {"tensor_overlap": 0.5, "overlap_slowdown": 0.0}, tensor_parallel=8)
    slowed = with_stack(bench, {"tensor_overlap": 0.5, "overlap_slowdown": 0.2}, tensor_parallel=8)
    assert half.parts["tensor_communication"] == pytest.approx(
        0.5 * none.parts["tensor_communication"], rel=0.1
    )
    assert half.step_time < slowed.step_time < none.step_time


def test_exposed_time_never_exceeds_the_time(bench: Bench) -> None:
    """In the table every collective's exposed time lies between nothing and its whole time."""
    estimate = with_stack(bench, {}, tensor_parallel=4, context_parallel=2)
    assert estimate.communication
    for row in estimate.communication:
        assert 0.0 <= row.exposed <= row.time * (1 + 1e-12)


def test_host_time_is_a_floor(bench: Bench) -> None:
    """A slow host fills the gap up to its own time, graphs take it away."""
    fast = with_stack(bench, {"host_launch": 0.0, "collective_host_time": 0.0})
    slow = with_stack(bench, {"host_launch": 1e-3})
    graphs = with_stack(bench, {"host_launch": 1e-3, "cuda_graphs": True})
    overhead = fast.parts["launch"]
    assert slow.parts["launch"] > 10 * overhead
    assert graphs.parts["launch"] == pytest.approx(overhead)
    # Llama 3 8B: 32 layers, two passes, 4 micro-batches, 40 kernels of a millisecond.
    floor = 32 * 2 * 4 * 40e-3
    assert slow.step_time >= floor


def test_collective_host_time_counts_ranks_across_domains(bench: Bench) -> None:
    """The time per rank counts only for groups that span several domains."""
    fields = {"collective_host_time_per_rank": 1e-3}
    for degree, counts in ((8, False), (16, True)):
        with_time = with_stack(bench, fields, tensor_parallel=degree)
        plain = with_stack(bench, {}, tensor_parallel=degree)
        assert (with_time.parts["launch"] > plain.parts["launch"]) == counts


def test_pipelined_collective_host_time_needs_a_pipeline_across_domains(bench: Bench) -> None:
    """The other time per rank counts for every group, but only where the pipeline spans domains."""
    fields = {"pipelined_collective_host_time_per_rank": 1e-3}
    for stages, counts in ((1, False), (2, True)):
        plan = {"tensor_parallel": 8, "pipeline_parallel": stages}
        with_time = with_stack(bench, fields, **plan)
        plain = with_stack(bench, {}, **plan)
        assert (with_time.step_time > plain.step_time) == counts


def test_slower_kernels_of_a_stack(bench: Bench) -> None:
    """Half the rate of attention doubles its time; a lower rate of matrix products lengthens theirs."""
    plain = with_stack(bench, {"attention_factor": 1.0, "gemm_factor": 1.0})
    slow = with_stack(bench, {"attention_factor": 0.5, "gemm_factor": 0.8})
    assert slow.parts["attention"] == pytest.approx(2.0 * plain.parts["attention"], rel=1e-9)
    assert slow.parts["gemm"] == pytest.approx(plain.parts["gemm"] / 0.8, rel=0.01)


def test_unshared_activations_between_stages_take_longer(bench: Bench) -> None:
    """Without sequence parallelism every tensor-parallel rank sends the whole activation unless it is scattered."""
    plan = {"tensor_parallel": 8, "pipeline_parallel": 2, "sequence_parallel": False}
    times = [
        next(row.time for row in with_stack(bench, fields, **plan).communication if row.axis == "pp")
        for fields in ({"pipeline_scatter": True}, {})
    ]
    assert times[1] > 3.0 * times[0]


def test_expert_host_times(bench: Bench) -> None:
    """Waiting for token counts costs its time per routed layer and pass, less what the work of another micro-batch
    hides; the host paces routed layers that it launches more slowly than the device runs them."""

    def step(**fields: float) -> StepEstimate:
        stack = bench.entry("stacks", "generic").model_copy(update=fields)
        plan = bench.plan("generic", global_batch_size=64, sequence_length=4096, expert_parallel=8)
        return bench.estimate("mixtral_8x7b", "h100", 64, plan.model_copy(update={"stack": stack}))

    def launch(**fields: float) -> float:
        return step(**fields).parts["launch"]

    fast = {"expert_host_time": 0.0, "expert_launch": 0.0, "host_launch": 0.0, "collective_host_time": 0.0}
    plain = step(**fast, expert_sync_time=0.0)
    for overlap, batches, shown in ((0.0, True, 1.0), (0.75, False, 1.0), (0.75, True, 0.25)):
        waiting = launch(**fast, expert_sync_time=1e-3, expert_overlap=overlap, batch_level_overlap=batches)
        assert waiting - plain.parts["launch"] == pytest.approx(32 * 2e-3 * shown, rel=1e-6)
    slow = {**fast, "expert_host_time": 1.0, "expert_sync_time": 1e-9, "expert_host_norm": 1.0}
    whole, longer = step(**slow), step(**{**slow, "expert_host_norm": 0.0})
    assert whole.parts["launch"] - plain.parts["launch"] == pytest.approx(32 * 2.0, rel=1e-6)
    passes = sum(plain.parts[name] for name in PASS_PARTS)
    assert longer.parts["launch"] + passes == pytest.approx(32 * 2.0, rel=0.02)
    # Half of what the norm adds to the longer hides where half of the exchange does, under another micro-batch.
    apart, beside, ahead = (
        launch(**slow, expert_overlap=0.5),
        launch(**slow, expert_overlap=0.5, batch_level_overlap=True),
        launch(**{**slow, "expert_host_norm": 0.0}, expert_overlap=0.5),
    )
    assert beside == pytest.approx((apart + ahead) / 2.0)


def test_host_of_a_loop_over_experts(bench: Bench) -> None:
    """A loop launches two products forward and four backward for each local expert; a norm joins them."""
    stack = bench.entry("stacks", "generic").model_copy(
        update={
            "expert_launch": 1e-2,
            "expert_host_time": 0.0,
            "expert_sync_time": 1e-12,
            "expert_host_norm": 1.0,
        }
    )
    plan = bench.plan("generic", global_batch_size=64, sequence_length=4096, expert_parallel=4)
    estimate = bench.estimate("mixtral_8x7b", "h100", 64, plan.model_copy(update={"stack": stack}))
    assert estimate.parts["launch"] == pytest.approx(32 * 2 * 6 * 1e-2, rel=0.01)


def test_clamped_experts_move_more_bytes(bench: Bench) -> None:
    """Biases and clamps of experts cost their bytes over the memory bandwidth, three times in all."""
    model = bench.entry("models", "mixtral_8x7b")
    clamped = model.model_copy(
        update={"moe": model.moe.model_copy(update={"clamped_bias": True, "imbalance": 1})}
    )
    even = model.model_copy(update={"moe": model.moe.model_copy(update={"imbalance": 1})})
    stack = bench.entry("stacks", "generic").model_copy(update={"clamped_bias_bytes": 10.0})
    plan = bench.plan("generic", global_batch_size=64, sequence_length=4096, expert_parallel=8)
    plan = plan.model_copy(update={"stack": stack})
    extra, plain = (bench.estimate(which, "h100", 64, plan).parts["elementwise"] for which in (clamped, even))
    elements = 4096 * 2 * (2 * 14336 + 4096)
    gpu = bench.entry("gpus", "h100")
    fastest = 32 * 3 * elements * 10.0 / gpu.hbm_bandwidth
    assert fastest < extra - plain < 1.6 * fastest


def test_fixed_capacity_needs_no_counts(bench: Bench) -> None:
    """With a fixed number of tokens per expert the host waits for nothing."""
    model = bench.entry("models", "mixtral_8x7b")
    padded = model.model_copy(update={"moe": model.moe.model_copy(update={"capacity_padded": True})})
    times = []
    for wait in (0.0, 1e-3):
        stack = bench.entry("stacks", "generic").model_copy(update={"expert_sync_time": wait})
        plan = bench.plan("generic", global_batch_size=64, sequence_length=4096, expert_parallel=8)
        times.append(bench.estimate(padded, "h100", 64, plan.model_copy(update={"stack": stack})).step_time)
    assert times[0] == times[1]


def test_plain_context_cut_costs_causal_attention(bench: Bench) -> None:
    """Of n plain pieces the last attends to 2 - 1/n times the mean."""
    for degree in (2, 4):
        even = with_stack(bench, {"context_imbalance": 1.0}, context_parallel=degree)
        uneven = with_stack(bench, {"context_imbalance": 2.0}, context_parallel=degree)
        more = uneven.parts["attention"] / even.parts["attention"]
        assert more == pytest.approx(2.0 - 1.0 / degree, rel=1e-6)


def test_attention_written_for_ampere_is_slow_on_later_devices(bench: Bench) -> None:
    """FlashAttention-2 runs at the device's share of its own kernels' rate on H100, and at full rate on A100."""
    for gpu in ("h100", "a100_80gb"):
        plans = [
            bench.plan("generic", global_batch_size=64, sequence_length=4096).model_copy(
                update={
                    "stack": bench.entry("stacks", "generic").model_copy(update={"ampere_attention": old})
                }
            )
            for old in (True, False)
        ]
        slow, fast = (bench.estimate("llama3_8b", gpu, 16, plan).parts["attention"] for plan in plans)
        share = kernels_of(
            bench.entry("calibrations", "default"), bench.entry("gpus", gpu), "bf16"
        ).attention_ampere_factor
        assert slow * share == pytest.approx(fast)
        assert (share < 1.0) == (gpu == "h100")


def test_attention_takes_as_long_below_16_bits(bench: Bench) -> None:
    """Attention runs in 16 bits at their calibrated rate, whatever the precision of the matrix products."""
    for gpu in ("h100", "h200", "h800", "b200"):
        half, eight = (
            bench.estimate(
                "llama3_8b",
                gpu,
                16,
                bench.plan("generic", global_batch_size=64, sequence_length=4096, precision=precision),
            )
            for precision in ("bf16", "fp8")
        )
        assert eight.parts["attention"] == half.parts["attention"] > 0.0
        assert eight.parts["gemm"] < half.parts["gemm"]


def test_what_selective_recomputation_repeats(bench: Bench) -> None:
    """Saving every second product repeats what lies between products and half of the forward products."""
    again = {
        mode: with_stack(bench, {"selective_repeats": mode}, activation_recomputation="selective").parts
        for mode in ("elementwise", "half_products")
    }
    more = again["half_products"]["recomputation"] - again["elementwise"]["recomputation"]
    # The backward pass has two of the three products of each linear layer.
    assert more == pytest.approx(0.5 * again["elementwise"]["gemm"] / 3.0, rel=0.1)


def test_hardware_flops_count_what_selective_recomputation_repeats(bench: Bench) -> None:
    """The attention core, half of the products of all layers, or nothing for element-wise passes alone."""
    flops = token_flops(bench.entry("models", "llama3_8b"), 4096)
    again = {
        "attention": flops.attention_core,
        "elementwise": 0.0,
        "half_products": 0.5 * (flops.projections + flops.mlp),
    }
    for mode, expected in again.items():
        estimate = with_stack(bench, {"selective_repeats": mode}, activation_recomputation="selective")
        assert estimate.hardware_flops - estimate.model_flops == pytest.approx(
            estimate.tokens_per_step * expected
        )


def test_a_share_of_the_layers_is_recomputed(bench: Bench) -> None:
    """A quarter of the layers again is a quarter of the time, and memory lies as far between all and none."""
    times, kept = {}, {}
    for share in (0.25, 1.0):
        estimate = with_stack(bench, {}, activation_recomputation="full", recomputed_share=share)
        times[share], kept[share] = estimate.parts["recomputation"], estimate.memory[0].activations
    none = with_stack(bench, {}, activation_recomputation="none").memory[0].activations
    assert times[0.25] == pytest.approx(0.25 * times[1.0])
    assert kept[0.25] == pytest.approx(0.25 * kept[1.0] + 0.75 * none)


def test_ring_and_all_gather_move_similar_bytes(bench: Bench) -> None:
    """Both ways to exchange keys and values move cp - 1 shards forward; the calls differ."""
    ring = with_stack(bench, {"context_exchange": "ring"}, context_parallel=4)
    gather = with_stack(bench, {"context_exchange": "all_gather"}, context_parallel=4)
    operations = {
        name: {row.operation for row in estimate.communication if row.axis == "cp"}
        for name, estimate in (("ring", ring), ("gather", gather))
    }
    assert operations == {"ring": {"send_recv"}, "gather": {"all_gather", "reduce_scatter"}}
    assert sum(ring.traffic) == pytest.approx(sum(gather.traffic), rel=0.1)


def test_balanced_stages_count_the_logits(bench: Bench) -> None:
    """With stages balanced by cost the last stage of a model with a large vocabulary has fewer layers."""
    model = bench.entry("models", "llama3_8b")
    (equal,) = split_layers(model, 4, 1)
    (cost,) = split_layers(model, 4, 1, by_cost=True)
    assert [chunk.dense for chunk in equal] == [8, 8, 8, 8]
    assert sum(chunk.dense for chunk in cost) == 32
    assert cost[-1].dense < 8
    balanced = with_stack(bench, {"stage_balance": "cost"}, pipeline_parallel=4)
    plain = with_stack(bench, {"stage_balance": "layers"}, pipeline_parallel=4)
    assert balanced.parts["imbalance"] < plain.parts["imbalance"]


def test_distinct_targets() -> None:
    """One target is met once, many targets are met once per draw, and two of two draws meet 1.5 of 2."""
    assert distinct_targets(1, 8) == 1.0
    assert distinct_targets(2, 2) == 1.5
    assert distinct_targets(10**9, 8) == pytest.approx(8.0, rel=1e-6)


def test_group_limited_routing() -> None:
    """Half of the groups are half of 64 ranks, at most 4 of 8 nodes; two draws of two nodes reach 1.5."""
    assert reachable_targets(64, 8, 4) == 32.0
    assert reachable_targets(8, 8, 4) == 4.0
    assert reachable_targets(2, 8, 2) == 1.5
    assert reachable_targets(64, 1, 1) == reachable_targets(64, 8, 8) == 64.0


def test_calibration_falls_back(bench: Bench) -> None:
    """Device and precision come first, then the device, then any device."""
    calibration = bench.entry("calibrations", "default")
    h100 = bench.entry("gpus", "h100")
    assert kernels_of(calibration, h100, "fp8").precision == "fp8"
    assert kernels_of(calibration, h100, "bf16").precision == "*"
    stranger = h100.model_copy(update={"name": "stranger"})
    assert kernels_of(calibration, stranger, "bf16").gpu == "*"
    # What a device was measured at on the same units is nearer than all that was measured on others.
    v100 = bench.entry("gpus", "v100_32gb")
    assert kernels_of(calibration, v100, "bf16") == kernels_of(calibration, v100, "fp16")
    without = [k for k in calibration.kernels if (k.gpu, k.precision) != ("b200", "fp8")]
    thinned = calibration.model_copy(update={"kernels": tuple(without)})
    assert kernels_of(thinned, bench.entry("gpus", "b200"), "fp8").precision == "mxfp8"


def test_every_shipped_stack_is_valid(bench: Bench) -> None:
    """All stacks load, and a step can be estimated on each."""
    names = bench.names("stacks")
    assert "generic" in names
    for name in names:
        stack = bench.entry("stacks", name)
        plan = bench.plan(
            "generic", global_batch_size=64, sequence_length=4096, tensor_parallel=2, pipeline_parallel=2
        )
        estimate = bench.estimate("llama3_8b", "h100", 16, plan.model_copy(update={"stack": stack}))
        assert 0.05 < estimate.mfu < 0.8


def test_slow_exchange_of_gradients(bench: Bench) -> None:
    """At half the bandwidth the exchange of gradients and weights takes twice the time."""
    times = [
        sum(row.time for row in with_stack(bench, {"data_bandwidth_fraction": share}).communication)
        for share in (1.0, 0.5)
    ]
    assert times[1] == pytest.approx(2.0 * times[0], rel=1e-9)


def test_sorting_tokens_moves_their_bytes(bench: Bench) -> None:
    """Each byte of sorting per routed token and element costs one at the reached bandwidth, forward and twice
    backward; padded experts multiply what routed layers move."""
    model = bench.entry("models", "mixtral_8x7b")
    padded = model.model_copy(update={"moe": model.moe.model_copy(update={"capacity_padded": True})})

    def elementwise(name: Any, **fields: float) -> float:
        stack = bench.entry("stacks", "megatron_core").model_copy(
            update={"routed_elementwise": 1.0, **fields}
        )
        plan = bench.plan("megatron_core", expert_parallel=8, global_batch_size=64, sequence_length=4096)
        plan = plan.model_copy(update={"stack": stack})
        return bench.estimate(name, "h100", 64, plan).parts["elementwise"]

    none, sixteen = (elementwise(model, permutation_bytes=count) for count in (0.0, 16.0))
    gpu = bench.entry("gpus", "h100")
    kernels = kernels_of(bench.entry("calibrations", "default"), gpu, "bf16")
    moved = 3 * 32 * 4096 * 2 * 4096 * 16.0  # passes, layers, tokens, experts per token, hidden size, bytes
    assert sixteen - none == pytest.approx(moved / (gpu.hbm_bandwidth * kernels.memory_fraction), rel=1e-6)
    assert elementwise(padded, padded_elementwise=1.5) > elementwise(padded, padded_elementwise=1.0)
    assert elementwise(model, padded_elementwise=1.5) == elementwise(model, padded_elementwise=1.0)


def test_a_ring_attends_to_one_piece_at_a_time(bench: Bench) -> None:
    """Eight ring members attend over an eighth of the sequence at a time, at the rate that attention has there;
    with all-gathered keys the rate is that of the whole sequence."""
    sequence, ranks = 32768, 8

    def attention(exchange: str, degree: int) -> float:
        fields = {"context_exchange": exchange, "context_imbalance": 1.0}
        stack = bench.entry("stacks", "generic").model_copy(update=fields)
        plan = bench.plan(
            "generic", context_parallel=degree, global_batch_size=16 // degree, sequence_length=sequence
        )
        plan = plan.model_copy(update={"stack": stack})
        return bench.estimate("llama3_8b", "h100", 16, plan).parts["attention"]

    half = kernels_of(bench.entry("calibrations", "default"), bench.entry("gpus", "h100"), "bf16")
    half_keys = half.attention_half_sequence
    slower = (sequence / ranks + half_keys) / (sequence / ranks) * sequence / (sequence + half_keys)
    assert attention("ring", ranks) / attention("all_gather", ranks) == pytest.approx(slower)
    assert attention("ring", 1) == attention("all_gather", 1)


def test_a_16_bit_plan_gathers_two_bytes(bench: Bench) -> None:
    """A stack that gathers fp8 parameters does so only where the plan is below 16 bits."""

    def gathered(precision: str) -> float:
        stack = bench.entry("stacks", "generic").model_copy(update={"gathered_parameter_bytes": 1.0})
        plan = bench.plan("generic", global_batch_size=64, sequence_length=4096, precision=precision)
        plan = plan.model_copy(update={"stack": stack, "zero_stage": 1})
        rows = bench.estimate("llama3_8b", "h100", 16, plan).communication
        return next(row.message_bytes for row in rows if row.axis == "dp" and row.operation == "all_gather")

    assert gathered("bf16") == 2.0 * gathered("fp8")


def test_a_sharded_optimizer_may_hide_less(bench: Bench) -> None:
    """nanotron wraps the model in DDP only where the optimizer is whole: with ZeRO-1 nothing of it overlaps."""
    fields = {"data_overlap": 1.0, "overlap_slowdown": 0.0, "sharded_data_overlap": 0.0}
    parts = [with_stack(bench, fields, zero_stage=stage).parts["data_communication"] for stage in (0, 1)]
    assert parts[0] == 0.0
    assert parts[1] > 0.0
