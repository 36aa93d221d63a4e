"""Rows as published, and the inputs that they stand for."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from colossus_sim.errors import UsageError
from colossus_sim.specs.base import Provenance
from colossus_sim.specs.hardware import Stack
from colossus_sim.validation.cases import Case, LeftOut, case_of
from colossus_sim.validation.fills import filled, recomputations
from colossus_sim.validation.inputs import shipped_inputs
from colossus_sim.validation.interconnects import stated_network
from colossus_sim.validation.predict import Predictor
from colossus_sim.validation.rows import TrainingRow, read_training_rows, shipped
from colossus_sim.validation.tables import Tables
from colossus_sim.validation.words import zero_stage


def stack() -> Stack:
    return Stack(
        title="test", tensor_overlap=0.0, data_overlap=0.0, context_overlap=0.0, expert_overlap=0.0,
        pipeline_overlap=0.0, overlap_slowdown=0.0, fused_attention=True, fused_elementwise=1.0,
        kernels_per_layer=10, cuda_graphs=False, compute_jitter=0.0, step_overhead="0 s",
        microbatch_overhead="0 s", gradient_bytes=4, master_bytes=4, moment_bytes=8, memory_overhead="1 GB",
        memory_fragmentation=0.0,
        provenance=Provenance(kind="assumption", reference="test", checked="2026-11"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> dict[str, TrainingRow]:
    return {row.id: row for row in read_training_rows(shipped("training_rows.csv"))}


def case(row: TrainingRow) -> Case:
    outcome = case_of(row, Tables(), {"generic": stack()})
    assert isinstance(outcome, Case), outcome
    return outcome


def left_out(row: TrainingRow) -> str:
    outcome = case_of(row, Tables(), {"generic": stack()})
    assert isinstance(outcome, LeftOut)
    return outcome.reason


def test_every_shipped_row_is_read_and_every_full_row_has_a_case(rows: dict[str, TrainingRow]) -> None:
    """All 1,683 rows are read and all 1,359 fully specified ones can be expressed."""
    full = [row for row in rows.values() if row.fully_specified == "Y"]
    assert len(rows) == 1683
    assert len(full) == 1359
    assert all(isinstance(case_of(row, Tables(), {"generic": stack()}), Case) for row in full)


def test_shipped_rows_have_no_unreadable_numbers(rows: dict[str, TrainingRow]) -> None:
    """Every number of the shipped rows is a number."""
    assert [row.id for row in rows.values() if row.unreadable] == []


def test_a_cell_that_is_not_a_number_leaves_the_row_out_by_name(
    rows: dict[str, TrainingRow], tmp_path: Path
) -> None:
    """A number that cannot be read is named in the reason."""
    with shipped("training_rows.csv").open(encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    record = next(item for item in records if item["id"] == "mlperf-0001")
    record["tp"] = "four"
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(record))
        writer.writeheader()
        writer.writerow(record)
    assert left_out(read_training_rows(path)[0]) == "tp: 'four' is not a number"


def test_a_file_without_the_needed_columns_is_refused(tmp_path: Path) -> None:
    """The error names the missing columns."""
    path = tmp_path / "rows.csv"
    path.write_text("id,gpu\nx,H100\n", encoding="utf-8")
    with pytest.raises(UsageError, match="columns missing: n_gpus, layers"):
        read_training_rows(path)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    """A path that does not exist is told to the user."""
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_training_rows(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("text", "gpus_per_node", "gbps"),
    [
        ("NVLink4 (8 GPU); 8x NDR 400 Gb/s per node", 8, 400.0),
        ("NVLink; 4x100 Gb/s Omni-Path per node (Jean Zay); logged effective ~135 Gb/s", 8, 50.0),
        ("NVLink + 800 Gb/s per node InfiniBand", 8, 100.0),
        ("NVLink + 1600 Gb/s per node RoCE", 8, 200.0),
        ("NVL72 NVLink5; 800 Gb/s (XDR/ConnectX-8) per GPU", 72, 800.0),
        ("NVL72 NVLink5; 4x ConnectX-7 NDR400 per 4-GPU tray", 72, 400.0),
        ("NVSwitch; 8x100 Gb IB", 16, 50.0),
        ("NVLink3/NVSwitch; 8x HDR 200 Gb/s IB per node (Selene), fat-tree", 8, 200.0),
        ("200 Gbps per GPU", 8, 200.0),
        ("3.2 Tb/s per node", 8, 400.0),
        ("NDR 400Gb/s InfiniBand x8", 8, 400.0),
        ("8x NDR InfiniBand per node", 8, 400.0),
        ("8 NICs of 400 Gb/s", 8, 400.0),
        ("2x 200 Gb/s per GPU", 8, 400.0),
        ("8x 400 Gb/s, one per GPU", 8, 400.0),
        ("50 GB/s per GPU", 8, 400.0),
        ("NVLink 900 GB/s per GPU; 8x400GbE", 8, 400.0),
        ("100 GbE", 8, 12.5),
        ("NVL72 1.8 TB/s per GPU; 400 Gb/s per GPU", 72, 400.0),
        ("NVL72, 1.8 TB/s per GPU; 400 Gb/s per GPU", 72, 400.0),
        ("GB200 NVL72 (130 TB/s), 4x 400 Gb/s per 4-GPU tray", 72, 400.0),
        ("NVLink 900 GB/s and 8x 400 Gb/s", 8, 400.0),
        ("NVLink 900GB/s bidirectional per GPU and InfiniBand 3.2 Tb/s per node", 8, 400.0),
        ("NVLink 900 GB/s per GPU 8x400 Gb/s", 8, 400.0),
        ("NVLink4 900 GB/s + 50 GB/s per GPU IB", 8, 400.0),
        ("8x 50 GB/s IB, 900 GB/s NVLink", 8, 400.0),
        ("18x NVLink5 100 GB/s, 8x400 Gb/s", 8, 400.0),
        ("8 x NVIDIA ConnectX-7 400Gb/s", 8, 400.0),
        ("8x CX-7", 8, 400.0),
        ("4x BlueField-3", 8, 200.0),
        ("4x HDR200", 8, 100.0),
        ("1.6 Tb/s per node", 8, 200.0),
        ("3.2Tbps EFA", 8, 400.0),
        ("32x 100Gbps EFA per node", 8, 400.0),
        ("400Gbps RoCEv2 per GPU", 8, 400.0),
        ("4x Slingshot-11 200 Gb/s", 4, 200.0),
        ("8*400Gbps", 8, 400.0),
        ("eight 400 Gb/s NICs", 8, 400.0),
        ("8 NICs per node, 400 Gb/s each", 8, 400.0),
        ("400 Gb/s per NIC, 8 NICs per node", 8, 400.0),
        ("NDR per GPU", 8, 400.0),
    ],
)
def test_the_network_rate_is_per_gpu(text: str, gpus_per_node: int, gbps: float) -> None:
    """Rates per node are divided by the GPUs that share them; bits stay bits."""
    assert stated_network(text, gpus_per_node).nic_gbps == gbps


def test_an_unstated_network_is_marked_as_an_assumption() -> None:
    """A text without a rate gives none, so that the device's usual rate is used."""
    network = stated_network("NVLink5/NVSwitch, single node", 8)
    assert network.nic_gbps is None
    assert network.assumed
    assert network.reference.startswith("not stated")
    for words in (
        "14.4 Tb/s per GPU",
        "51.2 Tb/s switches",
        "NDR, 6.4 Tb/s switch",
        "900 GB/s",
        "8x80GB, 400 Gb/s IB",
    ):
        assert stated_network(words, 8).nic_gbps is None
        assert stated_network(words, 8).reference.startswith(f"{words!r} is not understood")
    assert stated_network("NVL72 1.8 TB/s per GPU", 72).reference.startswith("not stated")
    for words, said in (
        ("3.2Tbps EFA", "a rate per node"),
        ("8x CX-7", "400 Gb/s, the full rate, of each ConnectX-7"),
    ):
        assert stated_network(words, 8).assumed
        assert stated_network(words, 8).reference == f"{words}: {said} is assumed"
    unclear = stated_network("RoCE 400 Gb/s", 8)
    assert (unclear.nic_gbps, unclear.assumed) == (None, True)
    assert unclear.reference.startswith("'RoCE 400 Gb/s' is not understood")
    assert not stated_network("200 Gb/s per GPU", 8).assumed
    assert stated_network("100 GbE", 8).reference == "100 GbE: one link per node is assumed"


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("none (DDP)", 0),
        ("distributed optimizer (ZeRO-1)", 1),
        ("ZeRO-2-style distributed optimizer", 1),
        ("FSDP SHARD_GRAD_OP (ZeRO-2)", 2),
        ("FSDP, no reshard after forward (ZeRO-2-like)", 2),
        ("FSDP FULL_SHARD (ZeRO-3)", 3),
        ("Megatron-FSDP 8", 3),
        ("zero stage 3", 3),
        ("HSDP", 3),
        ("DDP", 0),
        ("no", 0),
        ("", 1),
        ("3", 3),
        ("0", 0),
        ("stage 3", 3),
        ("DeepSpeed stage-3", 3),
        ("ZeRO-Stage-3", 3),
        ("fully sharded", 3),
        ("zero2", 2),
    ],
)
def test_words_for_sharding_become_a_zero_stage(text: str, stage: int) -> None:
    """Each source's wording maps to what is really sharded."""
    assert zero_stage(text)[0] == stage


def test_the_500_watt_h100_is_a_device_of_its_own(rows: dict[str, TrainingRow]) -> None:
    """TorchTitan's part has its own memory, bandwidth and power."""
    device = case(rows["titan-0001"]).device
    assert (device.catalog, device.variant) == ("h100", "h100_hbm2e_500w")
    assert (device.hbm_capacity, device.hbm_bandwidth, device.power_max) == (100.4e9, 2.4e12, 500.0)


def test_deepseek_has_latent_attention_shared_experts_and_dense_layers(rows: dict[str, TrainingRow]) -> None:
    """MLA widths come from the model table, the rest from the row; forced balance is imbalance 1."""
    model = case(rows["bridge-0002"]).architecture
    assert model.mla is not None
    assert model.moe is not None
    assert (model.mla.q_lora_rank, model.mla.kv_lora_rank) == (1536, 512)
    assert (model.moe.shared_expert_intermediate_size, model.moe.first_k_dense) == (2048, 3)
    assert model.moe.imbalance == 1.0


def test_gpt_oss_has_a_window_on_every_second_layer(rows: dict[str, TrainingRow]) -> None:
    """Alternating sliding windows come from the model table."""
    model = case(rows["bridge-0005"]).architecture
    assert (model.sliding_window, model.sliding_window_fraction) == (128, 0.5)


def test_tied_embeddings_come_from_the_notes_before_the_table(rows: dict[str, TrainingRow]) -> None:
    """The Ultrascale sweep says per row whether embeddings are tied."""
    assert case(rows["hf-0001"]).architecture.tie_word_embeddings is True
    assert case(rows["hf-0529"]).architecture.tie_word_embeddings is False
    assert case(rows["vtrain-multi-0000"]).architecture.tie_word_embeddings is True


def test_releases_are_stacks_of_their_own(rows: dict[str, TrainingRow]) -> None:
    """The same source maps to one stack per release; a patch release shares its parent's."""
    names = [
        case(rows[key]).stack_name
        for key in ("bridge-0002", "bridge-0020", "bridge-0039", "bridge-0172", "bridge-0232")
    ]
    assert names == [
        "megatron_bridge_26_08_graphs", "megatron_bridge_26_06_graphs", "megatron_bridge_26_06",
        "megatron_bridge_26_02", "megatron_bridge_25_11",
    ]  # fmt: skip


def test_recipes_without_graphs_and_with_overlap_are_stacks_of_their_own(
    rows: dict[str, TrainingRow],
) -> None:
    """Mixtures of experts on H100 run without CUDA graphs, two recipes overlap their expert exchange, a dense model
    of the same release does neither."""
    keys = ("bridge-0050", "bridge-0101", "bridge-0086", "bridge-0132", "bridge-0039", "bridge-0288")
    assert [case(rows[key]).stack_name for key in keys] == [
        "megatron_bridge_eager", "megatron_bridge_overlap", "megatron_bridge_overlap", "megatron_bridge_eager",
        "megatron_bridge_26_06", "megatron_bridge_25_09",
    ]  # fmt: skip


def test_documented_recipes_overlap_the_expert_exchange(rows: dict[str, TrainingRow]) -> None:
    """Of one walkthrough the step without overlap keeps its release's stack, those with it get one with graphs."""
    keys = ("zoo-0024", "zoo-0026", "zoo-0027", "zoo-0028")
    assert [case(rows[key]).stack_name for key in keys] == [
        "megatron_bridge_26_04", "megatron_bridge_overlap_graphs", "megatron_bridge_overlap_graphs",
        "megatron_bridge_26_04",
    ]  # fmt: skip


def test_deepseek_routes_within_groups_of_experts(rows: dict[str, TrainingRow]) -> None:
    """V3 picks 4 of 8 groups per token (its config.json); Qwen3 has one group."""
    groups = [case(rows[key]).architecture.moe for key in ("bridge-0002", "bridge-0101")]
    assert [(moe.n_group, moe.topk_group) for moe in groups if moe is not None] == [(8, 4), (1, 1)]


def test_a_stated_dispatcher_decides_what_is_sent(rows: dict[str, TrainingRow]) -> None:
    """A plain all-to-all sends a copy per expert, HybridEP one per domain, whatever the stack does by default."""
    plain, deduplicated = (case(rows[key]).plan.stack for key in ("bridge-0101", "bridge-0050"))
    assert not plain.expert_deduplication
    assert deduplicated.expert_deduplication
    assert plain.permutation_bytes == 16.0
    assert case(rows["bridge-0086"]).plan.stack.permutation_bytes == 8.0


def test_an_unknown_stack_gets_the_generic_constants_and_says_so(rows: dict[str, TrainingRow]) -> None:
    """Stacks that are not in the catalog are named in the assumptions."""
    assert (
        "stack megatron_bridge_26_08_graphs is unknown: generic constants"
        in case(rows["bridge-0002"]).assumptions
    )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("a lab's report", "generic"),
        ("TorchTitan with torch.compile", "torchtitan_compile"),
        ("GPT-NeoX logs", "megatron_deepspeed_bf16"),
        ("NeMo 24.09 container", "nemo_24"),
        ("Megatron-LM README", "megatron_core"),
    ],
)
def test_a_new_source_is_read_by_the_framework_it_names(
    rows: dict[str, TrainingRow], words: str, name: str
) -> None:
    """Ids that no entry knows get the stack that their words name, else generic constants; either is said."""
    row = dataclasses.replace(rows["dgxc-0011"], id="new-0001", source=words, notes="")
    outcome = Predictor(shipped_inputs()).case(row)
    assert isinstance(outcome, Case)
    said = "stack unknown: generic constants" if name == "generic" else f"stack {name} by the name"
    assert outcome.stack_name == name
    assert outcome.assumptions[0].startswith(said)


@pytest.mark.parametrize(
    ("gpu", "precision", "device", "read"),
    [
        ("NVIDIA H100", "fp16 or bf16", "h100", "bf16"),
        ("B200 (NVL72)", "bfloat16", "gb200_nvl72", "bf16"),
        ("h200-141gb", "FP8 (blockwise)", "h200", "fp8"),
        ("H100 SXM5", "FP8 delayed scaling", "h100", "fp8"),
        ("A100 SXM4 40 GB", "fp16 mixed", "a100_40gb", "fp16"),
        ("A800-80GB", "bf16", "a100_80gb", "bf16"),
        ("GB200 NVL72", "MXFP8", "gb200_nvl72", "mxfp8"),
    ],
)
def test_other_names_of_devices_and_formats(
    rows: dict[str, TrainingRow], gpu: str, precision: str, device: str, read: str
) -> None:
    """The same part or format under another name is recognised."""
    outcome = case(dataclasses.replace(rows["dgxc-0011"], id="new-0001", gpu=gpu, precision=precision))
    assert (outcome.device.catalog, outcome.plan.precision) == (device, read)


def test_kernel_rates_without_a_measurement_are_said(rows: dict[str, TrainingRow]) -> None:
    """A card with no entry of its own runs at generic rates, and the row says so."""
    outcome = Predictor(shipped_inputs()).case(rows["uci-0001"])
    assert isinstance(outcome, Case)
    assert any("generic ones" in words for words in outcome.assumptions)


def test_near_rows_take_the_first_alternative_of_their_fill(rows: dict[str, TrainingRow]) -> None:
    """micro_batch=1 and recompute=selective come from the fill and are listed as assumptions."""
    row, words = filled(rows["megascale-0001"])
    assert (row.micro_batch, row.recompute) == (1, "selective")
    assert "micro_batch = 1 assumed" in words


def test_without_a_pipeline_the_larger_micro_batch_of_a_fill_is_taken(rows: dict[str, TrainingRow]) -> None:
    """ "micro_batch=1 (try 2)": two sequences where no bubble asks for small ones, else one."""
    alone, staged = (filled(rows[key])[0] for key in ("mlmh100-0004", "mlmh100-0007"))
    assert [(row.pp, row.micro_batch) for row in (alone, staged)] == [(1, 2), (6, 1)]


def test_recomputation_that_is_open_is_the_mildest_that_fits(rows: dict[str, TrainingRow]) -> None:
    """A fill with "or" offers both, mildest first; the first that fits into the device is predicted, and said."""
    row = rows["pax-0011"]
    assert row.assumed_fill.startswith("recompute=full or selective")
    assert recomputations(row) == ("selective", "full")
    assert recomputations(rows["mlperf-0001"]) == ("none",)
    predictor = Predictor(shipped_inputs())
    chosen = {}
    for batch in (2, 16):
        outcome = predictor.case(dataclasses.replace(row, micro_batch=batch, global_batch=16 * batch))
        assert isinstance(outcome, Case)
        chosen[batch] = outcome.plan.activation_recomputation
        assert f"recompute = {chosen[batch]} assumed" in outcome.assumptions
    assert chosen == {2: "selective", 16: "full"}


def test_recipes_that_recompute_some_layers(rows: dict[str, TrainingRow]) -> None:
    """Five of 32 layers named in the notes are that share; full recomputation without a number is all."""
    assert case(rows["bridge-0255"]).plan.recomputed_share == pytest.approx(5 / 32)
    assert case(rows["titan-0007"]).plan.recomputed_share == 1.0


def test_torchtitan_pipelines_gather_once_and_cut_the_batch_by_stages(rows: dict[str, TrainingRow]) -> None:
    """Its defaults in a pipeline: weights stay gathered (ZeRO-2), as many micro-batches as stages."""
    plan = case(rows["titan-0014"]).plan
    assert (plan.zero_stage, plan.micro_batch_size, plan.virtual_pipeline) == (2, 4, 2)
    assert case(rows["titan-0007"]).plan.zero_stage == 3


def test_a_fill_never_overrides_what_the_source_states(rows: dict[str, TrainingRow]) -> None:
    """A stated micro-batch stays."""
    stated = dataclasses.replace(rows["megascale-0001"], micro_batch=4)
    assert filled(stated)[0].micro_batch == 4


def test_dense_rows_of_a_moe_fill_are_without_recomputation(rows: dict[str, TrainingRow]) -> None:
    """'selective for MoE, none for dense' is read by the kind of model."""
    row = next(r for r in rows.values() if "none for dense" in r.assumed_fill)
    dense = dataclasses.replace(row, model_kind="dense")
    assert filled(dense)[0].recompute == "none"
    assert filled(dataclasses.replace(row, model_kind="moe"))[0].recompute == "selective"


def test_megascale_rows_with_other_mathematics_are_left_out(rows: dict[str, TrainingRow]) -> None:
    """MegaScale's own rows are not the same mathematics; its Megatron-LM baseline is predicted."""
    own = next(r for r in rows.values() if r.id.startswith("megascale") and "NOT the same math" in r.notes)
    assert left_out(own).startswith("other mathematics")
    assert case(rows["megascale-0001"]).stack_name == "megatron_2023"


def test_out_of_memory_rows_have_a_case_without_a_time(rows: dict[str, TrainingRow]) -> None:
    """Runs that ran out of memory are expressed for the memory model."""
    row = rows["hf-1285"]
    assert row.is_oom
    assert row.published_step is None
    assert case(row).plan.micro_batch_size == 32


def test_degrees_that_do_not_multiply_to_the_gpus_are_left_out(rows: dict[str, TrainingRow]) -> None:
    """A row whose degrees contradict its GPU count is not simulated as something else."""
    broken = dataclasses.replace(rows["mlperf-0001"], dp=15)
    assert left_out(broken) == "tp x pp x cp x dp = 480 is not the 512 GPUs"


def test_interleaving_sets_the_schedule(rows: dict[str, TrainingRow]) -> None:
    """Chunks per stage mean the interleaved schedule; without stages there are none."""
    assert case(rows["mlperf-0001"]).plan.schedule == "interleaved_1f1b"
    assert case(rows["vtrain-multi-0000"]).plan.schedule == "1f1b"


def test_bridged_pairs_are_scale_up_domains_of_their_own(rows: dict[str, TrainingRow]) -> None:
    """Four A100 cards in two bridged pairs: two GPUs share NVLink, pairs meet over PCIe; an SXM node has eight."""
    predictor = Predictor(shipped_inputs())
    found = {name: predictor.case(rows[name]) for name in ("uci-0005", "kort22-0001")}
    gpus = {name: predictor.gpu(one) for name, one in found.items() if isinstance(one, Case)}
    pair = gpus["uci-0005"]
    assert (pair.scale_up_domain, pair.scale_up_bandwidth, pair.nic_bandwidth) == (2, 300e9, 12.5e9)
    assert gpus["kort22-0001"].scale_up_domain == 8


def test_ambiguous_block_formats_depend_on_the_device(rows: dict[str, TrainingRow]) -> None:
    """'mxfp8 or blockwise fp8' is mxfp8 on Blackwell and fp8 on Hopper."""
    assert case(rows["bridge-0274"]).plan.precision == "mxfp8"
    assert case(rows["bridge-0286"]).plan.precision == "fp8"


def test_the_predicted_inputs_do_not_depend_on_the_measurement(rows: dict[str, TrainingRow]) -> None:
    """Changing only the measured time and memory changes nothing in the inputs."""
    row = rows["mlperf-0001"]
    other = dataclasses.replace(row, step_time_s=1.0, step_time_derived_s=1.0, peak_mem_gb=5.0)
    first, second = case(row), case(other)
    assert (first.architecture, first.plan, first.network) == (
        second.architecture,
        second.plan,
        second.network,
    )
