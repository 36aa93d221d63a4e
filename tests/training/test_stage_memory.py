"""Memory of stages, and the message for plans that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.errors import InfeasibleError
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.parallelism.mesh import mesh_of
from colossus_sim.specs.shares import shares
from colossus_sim.training.memory import MemoryModel, check_memory, memory_problem
from colossus_sim.training.sizes import resolve_sizes, split_layers

from .conftest import Bench


def test_states_of_plain_data_parallelism(bench: Bench) -> None:
    """Llama 3 8B with ZeRO-0 holds 2 + 4 + 12 bytes per parameter."""
    plan = bench.plan("megatron_core", zero_stage=0, global_batch_size=8, sequence_length=4096)
    (stage,) = bench.estimate("llama3_8b", "h100", 8, plan).memory
    assert stage.weights == pytest.approx(8.03e9 * 2, rel=1e-3)
    assert stage.gradients == pytest.approx(8.03e9 * 4, rel=1e-3)
    assert stage.optimizer == pytest.approx(8.03e9 * 12, rel=1e-3)


def test_zero_shards_more_and_more(bench: Bench) -> None:
    """Each ZeRO stage needs less memory than the one before."""
    totals = []
    for stage in range(4):
        plan = bench.plan("fsdp", zero_stage=stage, global_batch_size=64, sequence_length=4096)
        totals.append(bench.estimate("llama3_8b", "h100", 64, plan).peak_memory)
    assert totals == sorted(totals, reverse=True)


def test_korthikanti_activation_memory(bench: Bench) -> None:
    """GPT-3 175B with selective recomputation keeps 34 s b h / t bytes per layer and micro-batch."""
    plan = bench.plan(
        "megatron_2022",
        tensor_parallel=8,
        pipeline_parallel=8,
        global_batch_size=64,
        sequence_length=2048,
        precision="fp16",
        activation_recomputation="selective",
    )
    stage = bench.estimate("gpt3_175b", "a100_80gb", 64, plan).memory[0]
    assert stage.activations == pytest.approx(8 * 12 * 34 * 2048 * 12288 / 8)


def test_first_stage_holds_most_activations(bench: Bench) -> None:
    """Under 1f1b the first stage keeps pp micro-batches in flight, the last one."""
    plan = bench.plan(
        "megatron_core", tensor_parallel=8, pipeline_parallel=4, global_batch_size=64, sequence_length=4096
    )
    stages = bench.estimate("llama3_8b", "h100", 32, plan).memory
    assert [round(s.activations / stages[-1].activations, 6) for s in stages] == [4, 3, 2, 1]


def test_total_is_the_sum_of_parts(bench: Bench) -> None:
    """Every stage adds up, and the peak is the largest stage."""
    plan = bench.plan("megatron_core", pipeline_parallel=2, global_batch_size=64, sequence_length=4096)
    estimate = bench.estimate("llama3_8b", "h100", 16, plan)
    for stage in estimate.memory:
        parts = (stage.weights, stage.gradients, stage.optimizer, stage.activations, stage.buffers)
        assert stage.total == pytest.approx(sum(parts) + stage.overhead)
    assert estimate.peak_memory == max(stage.total for stage in estimate.memory)


def problem_of(bench: Bench, gpus: int, *, model: str = "llama3_70b", **fields: Any) -> str:
    """Return the text of what does not fit, or nothing."""
    plan = bench.plan("megatron_core", **({"sequence_length": 8192} | fields))
    estimate = bench.estimate(model, "h100", gpus, plan)
    problem = memory_problem(
        estimate,
        architecture=bench.entry("models", model),
        plan=plan,
        gpu=bench.entry("gpus", "h100"),
        gpus=gpus,
    )
    return "" if problem is None else str(problem)


def offers(text: str) -> list[dict[str, Any]]:
    """Return the changes that a message says would fit, as fields of a plan."""
    found = []
    for item in text.split("would fit: ")[1].split(", "):
        pairs = [pair.split(": ") for pair in item.split(" with ")]
        found.append({name: int(value) if value.isdigit() else value for name, value in pairs})
    return found


PLANS: list[tuple[str, int, dict[str, Any], str]] = [
    ("llama3_70b", 64, {"tensor_parallel": 2, "pipeline_parallel": 4}, "tensor_parallel: 8"),
    (
        "llama3_70b",
        64,
        {"tensor_parallel": 2, "pipeline_parallel": 4, "data_parallel": 8},
        "tensor_parallel: 8 with data_parallel: 2",
    ),
    # Six replicas can be made three, but not one and a half.
    (
        "llama3_70b",
        48,
        {"tensor_parallel": 4, "pipeline_parallel": 2, "data_parallel": 6},
        "tensor_parallel: 8 with data_parallel: 3",
    ),
    # Neither 16 nor 32 divide 40 heads.
    ("llama2_13b", 64, {"tensor_parallel": 8, "sequence_length": 131072}, "context_parallel: 2"),
    # Four replicas of 16 GPUs would leave 8 of 72 idle.
    ("llama3_70b", 72, {"tensor_parallel": 8}, "zero_stage: 2"),
    ("mixtral_8x7b", 64, {"tensor_parallel": 4, "pipeline_parallel": 2}, "expert_parallel: 4"),
]


@pytest.mark.parametrize(("model", "gpus", "fields", "offered"), PLANS)
def test_infeasible_plan_says_what_would_fit(
    bench: Bench, model: str, gpus: int, fields: dict[str, Any], offered: str
) -> None:
    """The message says by how much it does not fit and names changes; each fits, shares evenly and idles no GPU."""
    fields = {"global_batch_size": 576, **fields}
    text = problem_of(bench, gpus, model=model, **fields)
    assert "more than the 85.5 GB" in text
    assert offered in text.split("would fit: ")[1].split(", ")
    for change in offers(text):
        changed = fields | change
        assert problem_of(bench, gpus, model=model, **changed) == ""
        plan = bench.plan("megatron_core", **({"sequence_length": 8192} | changed))
        assert list(shares("", plan, bench.entry("models", model))) == []
        assert mesh_of(plan, gpus).world_size == gpus


def test_feasible_plan_has_no_problem(bench: Bench) -> None:
    """A plan that fits is not complained about."""
    assert problem_of(bench, 64, tensor_parallel=8, pipeline_parallel=8, global_batch_size=64) == ""


def test_check_memory_raises(bench: Bench) -> None:
    """check_memory raises InfeasibleError with the field path."""
    plan = bench.plan("megatron_core", global_batch_size=8, sequence_length=8192)
    estimate = bench.estimate("llama3_405b", "h100", 8, plan)
    with pytest.raises(InfeasibleError, match=r"jobs\.big\.parallel"):
        check_memory(
            estimate,
            architecture=bench.entry("models", "llama3_405b"),
            plan=plan,
            gpu=bench.entry("gpus", "h100"),
            gpus=8,
            path="jobs.big.parallel",
        )


def test_layers_are_dealt_in_order(bench: Bench) -> None:
    """126 layers on 16 stages: first and last get 7, the others 8; nothing is lost with chunks either."""
    model = bench.entry("models", "llama3_405b")
    (row,) = split_layers(model, 16, 1)
    assert [chunk.dense for chunk in row] == [7] + [8] * 14 + [7]
    table = split_layers(model, 8, 5)
    assert sum(chunk.dense for chunks in table for chunk in chunks) == 126
    assert table[0][0].first
    assert table[-1][-1].last


def test_dense_layers_of_a_moe_come_first(bench: Bench) -> None:
    """DeepSeek-V3's three dense layers are on the first stage."""
    plan = bench.plan(
        "megatron_core", pipeline_parallel=4, expert_parallel=8, global_batch_size=64, sequence_length=4096
    )
    sizes = resolve_sizes(bench.entry("models", "deepseek_v3"), plan, 64)
    assert [dense for dense, _ in sizes.stage_layers] == [3, 0, 0, 0]
    # 58, and the one that predicts the next token but one.
    assert sum(moe for _, moe in sizes.stage_layers) == 59


@pytest.mark.parametrize(
    ("stages", "chunks", "dealt"),
    [(4, 1, [16, 16, 16, 13]), (8, 1, [8] * 7 + [5]), (16, 1, [4] * 15 + [1]), (4, 8, [1] + [2] * 30 + [0])],
)
def test_the_stage_that_predicts_more_tokens_gets_the_rest(
    bench: Bench, stages: int, chunks: int, dealt: list[int]
) -> None:
    """61 layers and a module, dealt as in NVIDIA's recipes for DeepSeek-V3: the last part has what is left."""
    table = split_layers(bench.entry("models", "deepseek_v3"), stages, chunks)
    parts = [chunk for row in table for chunk in row]
    assert [part.dense + part.moe for part in parts] == [*dealt[:-1], dealt[-1] + 1]
    assert sum(part.dense for part in parts) == 3


def test_a_prediction_module_takes_room_and_time_on_the_last_stage(bench: Bench) -> None:
    """Besides a layer the module needs a projection and a copy of the embedding there."""
    plan = bench.plan(
        "megatron_core", pipeline_parallel=4, expert_parallel=8, global_batch_size=64, sequence_length=4096
    )
    plain = bench.entry("models", "deepseek_v3").model_copy(update={"num_nextn_predict_layers": 0})
    count = count_parameters(bench.entry("models", "deepseek_v3"))
    # The last stage holds 13 layers and the module's, where the plain model has 15 there.
    with_module, without = (
        MemoryModel(model, plan, resolve_sizes(model, plan, 64)).parameters(3)
        for model in (bench.entry("models", "deepseek_v3"), plain)
    )
    layer = count.moe_layer - count.num_experts * count.expert
    assert with_module[0] - without[0] == count.prediction_projection + count.embedding - layer
    assert with_module[1] - without[1] == -count.num_experts * count.expert / 8


def test_logits_of_every_predicted_token_are_held(bench: Bench) -> None:
    """One module more: the logits once more in the buffers of a model on one stage."""
    plan = bench.plan("megatron_core", global_batch_size=64, sequence_length=4096)
    model = bench.entry("models", "llama3_8b")
    more = model.model_copy(update={"num_nextn_predict_layers": 1})
    one, two = (MemoryModel(x, plan, resolve_sizes(x, plan, 64)).stages()[0].buffers for x in (model, more))
    assert two - one == pytest.approx(4096 * 128256 * plan.stack.logit_bytes)


def test_a_prediction_module_lengthens_the_step_by_its_work(bench: Bench) -> None:
    """On one stage the products grow about as the FLOPs do: one layer of 33, a projection, the logits again."""
    plan = bench.plan("megatron_core", global_batch_size=64, sequence_length=4096)
    model = bench.entry("models", "llama3_8b")
    more = model.model_copy(update={"num_nextn_predict_layers": 1})
    times = [bench.estimate(x, "h100", 64, plan) for x in (model, more)]
    assert times[1].parts["gemm"] / times[0].parts["gemm"] == pytest.approx(
        times[1].model_flops / times[0].model_flops, rel=0.02
    )


def memory_of(bench: Bench, fields: dict[str, Any], model: str = "llama3_8b", **plan_fields: Any) -> Any:
    """Return the last stage's memory under a changed stack."""
    stack = bench.entry("stacks", "megatron_core").model_copy(update=fields)
    plan = bench.plan("megatron_core", **{"global_batch_size": 64, "sequence_length": 4096, **plan_fields})
    return bench.estimate(model, "h100", 64, plan.model_copy(update={"stack": stack})).memory[-1]


def test_logits_count_by_their_bytes(bench: Bench) -> None:
    """Five more bytes per logit are 5 s v bytes in the buffers."""
    few, many = (memory_of(bench, {"logit_bytes": n}).buffers for n in (6.0, 11.0))
    assert many - few == pytest.approx(5 * 4096 * 128256)


def test_logits_of_later_micro_batches_need_blocks_of_their_own(bench: Bench) -> None:
    """The further bytes count where a step has several micro-batches, not where it has one."""
    for batch, further in ((64, 0), (128, 3)):
        plain, split = (
            memory_of(bench, {"later_logit_bytes": n}, global_batch_size=batch).buffers for n in (0.0, 3.0)
        )
        assert split - plain == pytest.approx(further * 4096 * 128256)


def test_gathered_inputs_are_kept_whole(bench: Bench) -> None:
    """Two inputs of 2 s h bytes per layer stay whole on every rank in place of their shards."""
    shards, whole = (
        memory_of(bench, {"keeps_gathered_inputs": kept}, tensor_parallel=8, activation_recomputation="none")
        for kept in (False, True)
    )
    assert whole.activations - shards.activations == pytest.approx(32 * 4 * 4096 * 4096 * 7 / 8)


def test_buffers_of_a_sharded_optimizer(bench: Bench) -> None:
    """They count only with a sharded optimizer, in full, and no activation is alive beside them."""
    for stage, size in ((0, 0.0), (1, 4.0 * 8.03e9)):
        plain, buffered = (memory_of(bench, {"zero_buffer_bytes": n}, zero_stage=stage) for n in (0.0, 4.0))
        assert buffered.update == pytest.approx(size, rel=1e-3)
        alive = max(plain.activations + plain.buffers, buffered.update)
        assert buffered.activations + buffered.buffers == pytest.approx(alive)


def test_gradients_stay_whole_in_a_pipeline_of_zero_2(bench: Bench) -> None:
    """ZeRO-2 exchanges gradients once per step in a pipeline, so that each rank holds all of its stage's."""
    whole, cut = (memory_of(bench, {}, zero_stage=stage, pipeline_parallel=4).gradients for stage in (1, 2))
    assert whole == cut
    assert memory_of(bench, {}, zero_stage=2).gradients < memory_of(bench, {}, zero_stage=1).gradients


def test_experts_without_replicas_are_not_gathered(bench: Bench) -> None:
    """Under ZeRO-3 two layers' common weights are gathered in 16 bits; experts only where another rank has them."""
    for degree, gathers_experts in ((8, False), (4, True)):
        plan = bench.plan(
            "megatron_core", expert_parallel=degree, zero_stage=3, global_batch_size=64, sequence_length=4096
        )
        (stage,) = bench.estimate("mixtral_8x7b", "h100", 8, plan).memory
        (plain,) = bench.estimate("mixtral_8x7b", "h100", 8, plan.model_copy(update={"zero_stage": 1})).memory
        count = count_parameters(bench.entry("models", "mixtral_8x7b"))
        experts = 8 // degree * count.expert if gathers_experts else 0
        common = (count.total - 32 * 8 * count.expert) / 32
        assert stage.buffers - plain.buffers == pytest.approx((common + experts) * (2 * 2 + 4))


def test_activations_fragment_and_states_do_not(bench: Bench) -> None:
    """A tenth of activations and buffers is lost to the allocator, nothing of weights and optimizer."""
    plain, lossy = (memory_of(bench, {"activation_fragmentation": share}) for share in (0.0, 0.1))
    assert lossy.overhead - plain.overhead == pytest.approx(0.1 * (plain.activations + plain.buffers))


def test_eager_kernels_leave_more(bench: Bench) -> None:
    """Per token and layer 2 (q + k) bytes of rotated copies and 2 f of the activation function stay as well."""
    plan = {"activation_recomputation": "none", "tensor_parallel": 2}
    fused, eager = (memory_of(bench, {"keeps_eager_outputs": on}, **plan).activations for on in (False, True))
    assert eager - fused == pytest.approx(4096 * 32 * (2 * (4096 + 1024) + 2 * 14336) / 2)


def test_recomputed_expert_activations(bench: Bench) -> None:
    """Selective recomputation of experts shrinks their activations, and changes nothing without it."""
    for mode, shrinks in (("selective", True), ("none", False)):
        plan = {"expert_parallel": 8, "activation_recomputation": mode}
        whole, part = (
            memory_of(bench, {"selective_kept_experts": share}, "mixtral_8x7b", **plan).activations
            for share in (1.0, 0.5)
        )
        assert (part < whole) == shrinks


def test_dualpipe_puts_both_ends_on_one_device(bench: Bench) -> None:
    """A device has a stage of either direction; the embedding that both ends need is there once
    (arXiv:2412.19437, sec. 3.2.3), and so are the logits."""
    model = bench.entry("models", "deepseek_v3")
    count = count_parameters(model)
    made = {}
    for schedule in ("1f1b", "dualpipe"):
        plan = bench.plan(
            "megatron_core",
            pipeline_parallel=4,
            expert_parallel=8,
            global_batch_size=512,
            sequence_length=4096,
            schedule=schedule,
        )
        made[schedule] = MemoryModel(model, plan, resolve_sizes(model, plan, 64))
    one, two = made["1f1b"], made["dualpipe"]
    ends = [x + y for x, y in zip(one.parameters(0), one.parameters(3), strict=True)]
    assert two.parameters(0) == two.parameters(3) == (ends[0] - count.embedding, ends[1])
    assert two.stages()[0] == two.stages()[3]._replace(stage=0)
    # Five micro-batches in flight: of the first stage's direction four, of the last's one; of 1F1B four and one.
    apart = one.stages()[0].activations + one.stages()[3].activations
    assert two.stages()[0].activations == pytest.approx(apart)


def test_embedding_and_output_stay_in_16_bits(bench: Bench) -> None:
    """Copies in 8 bits, row- and column-wise, are of the layers' weights only (arXiv:2412.19437, sec. 3.3.1)."""
    count = count_parameters(bench.entry("models", "llama3_8b"))
    weights = [
        bench.estimate(
            "llama3_8b",
            "h100",
            8,
            bench.plan("megatron_core_0_8", global_batch_size=64, sequence_length=4096, precision=precision),
        )
        .memory[0]
        .weights
        for precision in ("bf16", "fp8")
    ]
    assert weights[1] - weights[0] == pytest.approx(2.0 * (count.total - count.embedding - count.output))


@pytest.mark.parametrize(("ranks", "copies"), [(8, 0), (16, 8), (32, 24)])
def test_ranks_beyond_the_key_value_heads_hold_copies(bench: Bench, ranks: int, copies: int) -> None:
    """Llama 3 8B has eight key/value heads of 128: on 16 ranks the weights of each are there twice."""
    model = bench.entry("models", "llama3_8b")
    plan = bench.plan("megatron_core", tensor_parallel=ranks, global_batch_size=64, sequence_length=4096)
    own, _ = MemoryModel(model, plan, resolve_sizes(model, plan, 64)).parameters(0)
    assert own * ranks == pytest.approx(count_parameters(model).total + 32 * 2 * 4096 * 128 * copies)


def test_mean_parameters_are_those_of_all_stages(bench: Bench) -> None:
    """The mean rank holds the sum over all stages, shared out, though only different stages are looked at."""
    for schedule, stages in (("1f1b", 1), ("1f1b", 6), ("dualpipe", 6)):
        plan = bench.plan(
            "megatron_core",
            global_batch_size=64,
            sequence_length=4096,
            pipeline_parallel=stages,
            schedule=schedule,
        )
        architecture = bench.entry("models", "llama3_8b")
        model = MemoryModel(architecture, plan, resolve_sizes(architecture, plan, 48))
        each = [model.parameters(stage) for stage in range(stages)]
        expected = [sum(kind) / stages for kind in zip(*each, strict=True)]
        assert model.mean_parameters() == pytest.approx(tuple(expected))
