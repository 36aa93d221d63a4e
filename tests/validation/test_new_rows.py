"""Rows that come from elsewhere: what they spell otherwise, leave out or get wrong is read, said or refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from colossus_sim.errors import UsageError
from colossus_sim.validation.cases import Case, LeftOut
from colossus_sim.validation.inputs import shipped_inputs
from colossus_sim.validation.predict import Inputs, Predictor
from colossus_sim.validation.rows import TrainingRow, read_training_rows, shipped
from colossus_sim.validation.tables import Tables

DENSE = {
    "id": "new-0001", "source": "Megatron-Core", "model": "Llama-2-7B", "layers": "32", "hidden": "4096",
    "heads": "32", "kv_heads": "32", "ffn_hidden": "11008", "vocab": "32000", "seq_len": "4096", "gpu": "H100",
    "n_gpus": "16", "gpus_per_node": "8", "interconnect": "8x NDR 400 Gb/s per node", "tp": "2", "pp": "1",
    "vpp": "1", "cp": "1", "dp": "8", "zero_stage_or_fsdp": "ZeRO-1", "sequence_parallel": "y", "recompute": "none",
    "micro_batch": "1", "global_batch": "128", "precision": "bf16", "step_time_derived_s": "5",
    "peak_mem_gb": "60", "outcome": "ok", "model_kind": "dense", "fully_specified": "Y", "head_dim": "128",
    "mlp_gated": "Y", "attn": "MHA",
}  # fmt: skip
MOE = DENSE | {
    "model": "Mixtral-8x7B", "kv_heads": "8", "ffn_hidden": "14336", "moe_experts": "8", "moe_topk": "2",
    "moe_ffn_hidden": "14336", "ep": "8", "tp": "1", "dp": "16", "model_kind": "moe", "attn": "GQA",
}  # fmt: skip
LATENT = MOE | {
    "layers": "4", "hidden": "2048", "heads": "16", "kv_heads": "", "ffn_hidden": "11264", "moe_experts": "64",
    "moe_topk": "6", "moe_ffn_hidden": "1408", "attn": "MLA",
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return shipped_inputs()


@pytest.fixture
def predictor(inputs: Inputs) -> Predictor:
    return Predictor(inputs)


def read(folder: Path, *records: dict[str, str]) -> tuple[TrainingRow, ...]:
    path = folder / "rows.csv"
    columns = list(dict.fromkeys(name for record in records for name in record))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(records)
    return read_training_rows(path)


def case(predictor: Predictor, folder: Path, record: dict[str, str]) -> Case:
    outcome = predictor.case(read(folder, record)[0])
    assert isinstance(outcome, Case), outcome
    return outcome


def reason(predictor: Predictor, folder: Path, record: dict[str, str]) -> str:
    outcome = predictor.predict_row(read(folder, record)[0])
    assert isinstance(outcome, LeftOut), outcome
    return outcome.reason


def test_complete_rows_are_predicted_without_assumptions(predictor: Predictor, tmp_path: Path) -> None:
    """The rows that the other tests break are whole: only the stack is taken from the source's name."""
    for record in (DENSE, MOE):
        words = case(predictor, tmp_path, record).assumptions
        assert words == ("stack megatron_core by the name that the source gives",)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (DENSE | {"ffn_hidden": ""}, "the source lacks: ffn_hidden"),
        (DENSE | {"heads": "30", "head_dim": ""}, "heads: hidden_size 4096 is not divisible by 30 heads"),
        (DENSE | {"kv_heads": "5"}, "kv_heads: 32 query heads cannot share 5 key/value heads"),
        (DENSE | {"kv_heads": "64"}, "kv_heads: 32 query heads cannot share 64 key/value heads"),
        (DENSE | {"tp": "3", "n_gpus": "24"}, "tp: 3 does not divide the model's 32 attention heads"),
        (DENSE | {"cp": "3", "n_gpus": "48"}, "cp: 3 does not divide sequence_length 4096"),
        (DENSE | {"seq_len": "4097"}, "tp: tp 2 x cp 1 = 2 does not divide sequence_length 4097"),
        (DENSE | {"ep": "4"}, "ep: 4 without any experts"),
        (DENSE | {"model_kind": "moe"}, "moe_experts: a mixture of experts of no stated experts"),
        (DENSE | {"attn": "GQA", "kv_heads": ""}, "the source lacks: kv_heads"),
        (MOE | {"model_kind": "dense"}, "model_kind: dense, but moe_experts is 8"),
        (MOE | {"ep": "3", "n_gpus": "48", "dp": "48"}, "ep: 3 does not divide the model's 8 experts"),
        (MOE | {"moe_topk": "9"}, "moe_topk: 9 is more than the 8 experts"),
        (MOE | {"moe_topk": ""}, "the source lacks: moe_topk"),
        (MOE | {"ep": ""}, "the source lacks: ep"),
    ],
)  # fmt: skip
def test_shapes_that_a_scenario_may_not_have_are_left_out(
    predictor: Predictor, tmp_path: Path, record: dict[str, str], words: str
) -> None:
    """Heads, widths, tokens and experts must be shared evenly, and what the model cannot do without be stated."""
    record = record | {"global_batch": "1920" if record["n_gpus"] in ("24", "48") else "128"}
    assert reason(predictor, tmp_path, record).startswith(words)


def test_embedding_and_loss_may_be_chunks_of_their_own(predictor: Predictor, tmp_path: Path) -> None:
    """126 layers in 16 x 8 chunks are Llama 3.1 405B as it is trained; 125 layers would leave a chunk empty."""
    record = DENSE | {"pp": "16", "vpp": "8", "n_gpus": "256", "layers": "126"}
    assert case(predictor, tmp_path, record).plan.virtual_pipeline == 8
    words = reason(predictor, tmp_path, record | {"layers": "125"})
    assert words == "pp: pp 16 x vpp 8 = 128 chunks, but the model has only 125 layers, and 2 ends"


def test_rows_are_told_apart_by_their_ids(predictor: Predictor, tmp_path: Path) -> None:
    """A second row of the same id and one without any are left out, with the line of the file."""
    rows = read(tmp_path, DENSE, DENSE, DENSE | {"id": ""})
    predictions, left_out = predictor.predict(rows)
    assert [item.line for item in predictions] == [2]
    assert [(item.row.line, item.reason) for item in left_out] == [
        (3, "id: also that of line 2"), (4, "id: empty"),
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["y", "Y", "yes", "True", "1"])
def test_yes_is_read_whatever_its_spelling(predictor: Predictor, tmp_path: Path, word: str) -> None:
    """Sequence parallelism and gated feed-forwards are on."""
    found = case(predictor, tmp_path, DENSE | {"sequence_parallel": word, "mlp_gated": word})
    assert (found.plan.sequence_parallel, found.architecture.mlp_gated) == (True, True)


@pytest.mark.parametrize("word", ["n", "No", "false", "0"])
def test_no_is_read_whatever_its_spelling(predictor: Predictor, tmp_path: Path, word: str) -> None:
    """Sequence parallelism and gated feed-forwards are off."""
    found = case(predictor, tmp_path, DENSE | {"sequence_parallel": word, "mlp_gated": word})
    assert (found.plan.sequence_parallel, found.architecture.mlp_gated) == (False, False)


def test_other_cells_of_few_words_are_read_whatever_their_case(tmp_path: Path) -> None:
    """OOM is out of memory, n is not specified, "full (uniform)" is full, n/a is empty."""
    row = read(
        tmp_path,
        DENSE
        | {"outcome": "OOM", "fully_specified": "n", "recompute": "Full (uniform)", "peak_mem_gb": "n/a"},
    )[0]
    assert (row.is_oom, row.fully_specified, row.recompute) == (True, "N", "full")
    assert row.peak_mem_gb is None
    assert row.unreadable == ()


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("sequence_parallel", "maybe", "'maybe' is none of y, n"),
        ("recompute", "block", "'block' is none of none, selective, full"),
        ("model_kind", "diffusion", "'diffusion' is none of dense, moe, hybrid, layer-microbench"),
        ("outcome", "crashed", "'crashed' is none of ok, oom"),
        ("hidden", "-4096", "-4096 is negative"),
        ("heads", "32.6", "32.6 is not a whole number"),
        ("layers", "0", "0: Input should be greater than or equal to 1"),
        ("precision", "int8", "'int8': Input should be 'fp16'"),
        ("precision", "fp8 or bf16", "'fp8 or bf16' leaves open which"),
    ],
)
def test_cells_that_cannot_be_read_are_named_with_their_value(
    predictor: Predictor, tmp_path: Path, column: str, text: str, words: str
) -> None:
    """The reason has the column, the value and what is wrong."""
    assert reason(predictor, tmp_path, DENSE | {column: text}).startswith(f"{column}: {words}")


def test_cells_that_the_step_does_not_need_cost_no_row(predictor: Predictor, tmp_path: Path) -> None:
    """Memory and the size of a node that cannot be read are said and ignored."""
    words = case(predictor, tmp_path, DENSE | {"peak_mem_gb": "60 or so", "gpus_per_node": "8 per node"})
    assert words.assumptions[1:] == (
        "gpus_per_node of the device assumed", "gpus_per_node: '8 per node' is not a number; ignored",
        "peak_mem_gb: '60 or so' is not a number; ignored",
    )  # fmt: skip


def test_a_throughput_is_a_time(predictor: Predictor, tmp_path: Path) -> None:
    """128 sequences of 4,096 tokens on 16 GPUs at 4,096 tokens/s each take 8 s."""
    record = DENSE | {"step_time_derived_s": "", "tokens_per_s_per_gpu": "4096"}
    assert read(tmp_path, record)[0].published_step == pytest.approx(8.0)
    record["tokens_per_s_per_gpu"] = ""
    assert reason(predictor, tmp_path, record).startswith("only FLOP/s are published")


def test_a_time_of_nothing_is_no_measurement(predictor: Predictor, tmp_path: Path) -> None:
    """A published 0 s is left out by its column."""
    words = reason(predictor, tmp_path, DENSE | {"step_time_derived_s": "0"})
    assert words == "step_time_derived_s: 0 is no measurement"


@pytest.mark.parametrize(
    ("model", "query_rank"),
    [
        ("DeepSeek V3", 1536), ("deepseek-v3 671B", 1536), ("deepseek-ai/DeepSeek-V3-Base", 1536),
        ("DeepSeek-V2-Lite", 0), ("Kimi K2", 1536), ("Moonlight-16B-A3B", 0),
    ],
)  # fmt: skip
def test_models_of_latent_attention_are_known_by_other_spellings(
    predictor: Predictor, tmp_path: Path, model: str, query_rank: int
) -> None:
    """Case, spaces and the owner's name do not matter; an empty cell gets what the model has, and says so."""
    found = case(predictor, tmp_path, LATENT | {"model": model})
    assert found.architecture.mla is not None
    assert found.architecture.mla.q_lora_rank == query_rank
    silent = case(predictor, tmp_path, LATENT | {"model": model, "attn": ""})
    assert silent.architecture.mla == found.architecture.mla
    assert any(words.startswith("attn not stated: latent attention") for words in silent.assumptions)


def test_attention_that_nothing_describes_is_left_out(predictor: Predictor, tmp_path: Path) -> None:
    """Latent widths and windows of unknown models are not made up, nor is linear attention played as full."""
    words = reason(predictor, tmp_path, LATENT | {"model": "House-30B"})
    assert words == "attn 'MLA': models.csv has no latent widths for model 'House-30B'"
    words = reason(predictor, tmp_path, DENSE | {"model": "House-7B", "attn": "MHA+SWA"})
    assert words == "attn 'MHA+SWA': models.csv has no window for model 'House-7B'"
    assert (
        reason(predictor, tmp_path, DENSE | {"attn": "GQA + Mamba"}) == "attn 'GQA + Mamba' is not modelled"
    )
    more = case(predictor, tmp_path, DENSE | {"attn": "MHA, chunked"}).assumptions
    assert "attn 'MHA, chunked': only the kind of heads is modelled" in more


def test_sharding_that_is_assumed_is_said(predictor: Predictor, tmp_path: Path) -> None:
    """No cell, unknown words and hybrid sharding are played as something, in words; states outside GPUs are not."""
    words = {
        text: case(predictor, tmp_path, DENSE | {"zero_stage_or_fsdp": text}).assumptions
        for text in ("", "HSDP", "our own")
    }
    assert "zero_stage_or_fsdp = distributed optimizer (ZeRO-1) assumed" in words[""]
    assert "zero_stage_or_fsdp 'HSDP': shards over all data-parallel ranks assumed" in words["HSDP"]
    assert "zero_stage_or_fsdp 'our own' is not understood: ZeRO-1 assumed" in words["our own"]
    left = reason(predictor, tmp_path, DENSE | {"zero_stage_or_fsdp": "ZeRO-Infinity"})
    assert left == "zero_stage_or_fsdp 'ZeRO-Infinity': states outside the GPUs are not modelled"
    assert (
        case(predictor, tmp_path, DENSE | {"zero_stage_or_fsdp": "ZeRO-3, no offload"}).plan.zero_stage == 3
    )


def test_defaults_of_empty_cells_are_said(predictor: Predictor, tmp_path: Path) -> None:
    """Whatever an empty cell stands for is among the assumptions."""
    blank = dict.fromkeys(
        ("kv_heads", "head_dim", "mlp_gated", "attn", "cp", "gpus_per_node", "interconnect"), ""
    )
    words = case(predictor, tmp_path, DENSE | blank | {"model": "House-7B"}).assumptions
    assert set(words[1:]) == {
        "kv_heads = heads assumed", "head_dim = hidden / heads assumed", "mlp_gated = Y assumed", "cp = 1 assumed",
        "untied embeddings assumed", "gpus_per_node of the device assumed",
        "network: not stated; the device's usual rate is assumed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        ("H100 PCIe", "gpu 'H100 PCIe': the PCIe card has no entry of its own"),
        ("A100 PCIe 80GB", "gpu 'A100 PCIe 80GB': the PCIe card has no entry of its own"),
        ("H100 NVL", "gpu 'H100 NVL': the NVL card has no entry of its own"),
        ("A100-SXM-64GB", "gpu 'A100-SXM-64GB': the custom A100 of 64 GB has no entry"),
        ("TPU v5p", "gpu 'TPU v5p': TPUs are not predicted: a pod is a torus"),
        ("A100-64", "gpu 'A100-64': the custom A100 of 64 GB has no entry"),
        ("GB200 NVL64", "gpu 'GB200 NVL64': no NVLink domain of that size is known"),
        ("Rubin Ultra NVL576", "gpu 'Rubin Ultra NVL576': this part of the Rubin generation has no entry"),
        ("H20", "gpu 'H20': no line of gpus.csv has that name"),
        ("B2000", "gpu 'B2000': no line of gpus.csv has that name"),
        ("NVIDIA H1000 SXM", "gpu 'NVIDIA H1000 SXM': no line of gpus.csv has that name"),
        ("A1000 40GB", "gpu 'A1000 40GB': no line of gpus.csv has that name"),
        ("GB2000 NVL72", "gpu 'GB2000 NVL72': no line of gpus.csv has that name"),
        ("MI300X2", "gpu 'MI300X2': no line of gpus.csv has that name"),
    ],
)
def test_gpus_that_are_no_entry_are_not_played_as_another(
    predictor: Predictor, tmp_path: Path, gpu: str, words: str
) -> None:
    """A card with other clocks, power and memory than the catalog's part is left out, and the reason says which."""
    assert reason(predictor, tmp_path, DENSE | {"gpu": gpu}).startswith(words)


def test_what_is_assumed_about_a_gpu_is_said(predictor: Predictor, tmp_path: Path) -> None:
    """A100 without a memory is the 80 GB part; GH200 of 96 GB is an H100 with more memory, not an H200."""
    words = case(predictor, tmp_path, DENSE | {"gpu": "A100"}).assumptions
    assert "gpu 'A100': memory not named: the 80 GB part is assumed" in words
    found = case(predictor, tmp_path, DENSE | {"gpu": "GH200-96GB"})
    assert (found.device.catalog, found.device.hbm_capacity) == ("h100", 102.6e9)
    assert not any(text.startswith("gpu") for text in found.assumptions)


@pytest.mark.parametrize(
    ("gpu", "catalog"),
    [
        ("A100-SXM4-80GB (64 GPUs)", "a100_80gb"), ("A100-80GB (40 GPUs)", "a100_80gb"),
        ("64x NVIDIA A100 40GB", "a100_40gb"), ("A100 (DGX A100 640GB)", "a100_80gb"),
        ("V100-32GB, 16 nodes", "v100_32gb"), ("GH200 x 96", "h100"), ("H100 SXM5 80GB x8", "h100"),
    ],
)  # fmt: skip
def test_how_many_gpus_there_are_is_not_their_memory(gpu: str, catalog: str) -> None:
    """Counts of GPUs, nodes and whole machines beside a name do not make another part of it."""
    device = Tables().device(gpu)
    assert device is not None
    assert device.catalog == catalog


@pytest.mark.parametrize(
    ("gpu", "domain"),
    [
        ("GB200 NVL2", 2), ("NVIDIA GB200-NVL4", 4), ("GB200 NVL36", 36), ("GB200 NVL36x2", 72),
        ("GB200NVL72", 72), ("GB300 NVL4", 4), ("GH200 NVL32", 32), ("GH200 NVL2", 2), ("HGX Rubin NVL8", 8),
    ],
)  # fmt: skip
def test_the_scale_up_domain_is_what_the_name_says(
    predictor: Predictor, tmp_path: Path, gpu: str, domain: int
) -> None:
    """NVL4 is four GPUs with NVLink between them, not a rack of 72."""
    found = predictor.gpu(case(predictor, tmp_path, DENSE | {"gpu": gpu, "gpus_per_node": "4"}))
    assert found.scale_up_domain == domain


@pytest.mark.parametrize(
    ("model", "tied"),
    [
        ("MT-NLG-530B", True), ("Megatron-Turing NLG 530B", True), ("microsoft/Megatron-Turing-NLG-530B", True),
        ("MT NLG", True), ("Turing-NLG 17B", True), ("Megatron-GPT 175B", True), ("GPT3-5B", True),
        ("OPT-175B", True), ("GPT-NeoX-20B", False), ("GPT-J-6B", False), ("Optimus-7B", False), ("MT5-XXL", False),
    ],
)  # fmt: skip
def test_embeddings_are_tied_in_the_lineage_of_gpt_2(model: str, tied: bool) -> None:
    """Whatever its members are called; GPT-NeoX, GPT-J and names that only begin alike have their own output."""
    assert Tables().model(model)["tie_word_embeddings"] == str(int(tied))


def test_links_of_two_variants_of_one_part_are_kept_apart(predictor: Predictor, tmp_path: Path) -> None:
    """An A800 has two thirds of the NVLink of an A100, also where both are in one file."""
    record = DENSE | {"tp": "8", "dp": "2"}
    rows = read(tmp_path, record | {"gpu": "A100-80GB"}, record | {"gpu": "A800", "id": "new-0002"})
    together, _ = predictor.predict(rows)
    alone, _ = Predictor(shipped_inputs()).predict(rows[1:])
    assert together[1].predicted_s == alone[0].predicted_s
    assert together[1].predicted_s > together[0].predicted_s


@pytest.mark.parametrize(
    ("notes", "schedule"),
    [
        ("DualPipe", "dualpipe"), ("zero-bubble schedule ZB-H1", "zero_bubble"), ("GPipe", "gpipe"),
        ("1F1B, no DualPipe", "1f1b"), ("1F1B instead of GPipe", "1f1b"),
    ],
)  # fmt: skip
def test_schedules_that_the_source_names_are_played(
    predictor: Predictor, tmp_path: Path, notes: str, schedule: str
) -> None:
    """A schedule named in the notes replaces one-forward-one-backward, and is said."""
    found = case(predictor, tmp_path, DENSE | {"pp": "4", "dp": "2", "notes": notes})
    assert found.plan.schedule == schedule
    said = f"schedule {schedule} by the words of the source" in found.assumptions
    assert said == (schedule != "1f1b")


def test_frozen_weights_are_not_trained_as_if_they_were_not(predictor: Predictor, tmp_path: Path) -> None:
    """LoRA in the model's name or the notes leaves a row out; its denial does not."""
    for changes in ({"model": "Llama-2-7B LoRA"}, {"notes": "base weights frozen"}):
        words = reason(predictor, tmp_path, DENSE | changes)
        assert words == "frozen weights (LoRA or other adapters) are not modelled"
    for denial in ("full fine-tuning, not LoRA", "SFT, LoRA not used"):
        assert case(predictor, tmp_path, DENSE | {"notes": denial})


def test_experts_in_every_second_layer(predictor: Predictor, tmp_path: Path) -> None:
    """Known of Llama 4 Maverick by its name, of others by their notes; both are said."""
    for changes, said in (
        ({"model": "Llama-4-Maverick-17B-128E"}, "experts in one of 2 layers: Llama-4-Maverick config.json"),
        ({"notes": "MoE in every other layer"}, "experts in every second layer by the words of the source"),
    ):
        found = case(predictor, tmp_path, MOE | changes)
        assert found.architecture.num_moe_layers == 16
        assert any(words.startswith(said) for words in found.assumptions)


def test_a_misspelt_column_is_refused(tmp_path: Path) -> None:
    """A column much like one that is absent is not ignored; spaces around a name are."""
    record = DENSE.copy()
    record[" tp "] = record.pop("tp")
    assert read(tmp_path, record)[0].tp == 2
    record["sequence_paralel"] = record.pop("sequence_parallel")
    with pytest.raises(UsageError, match="'sequence_paralel': did you mean 'sequence_parallel'"):
        read(tmp_path, record)


def test_a_row_with_a_comma_too_many_is_left_out(predictor: Predictor, tmp_path: Path) -> None:
    """Cells that slipped into the next column are told as that, not one by one."""
    path = tmp_path / "rows.csv"
    read(tmp_path, DENSE)
    path.write_text(path.read_text().replace("Megatron-Core", "Megatron, Core"), encoding="utf-8")
    outcome = predictor.predict_row(read_training_rows(path)[0])
    assert isinstance(outcome, LeftOut)
    assert outcome.reason == "row: more cells than columns (a comma without quotes?)"


@pytest.mark.parametrize(
    ("words", "stage"),
    [
        ("no FSDP", 0), ("FSDP NO_SHARD", 0), ("none (no ZeRO-1)", 0), ("zero_stage=3", 3), ("HYBRID_SHARD", 3),
        ("FSDP2 reshard_after_forward=False", 2), ("DP with ZeRO-1", 1), ("data parallel, dist-opt", 1),
        ("FSDP, no reshard", 2), ("no reshard (FSDP)", 2), ("DP", 0),
    ],
)  # fmt: skip
def test_words_that_deny_sharding_are_heard(words: str, stage: int) -> None:
    """And those that only name something beside it are not taken for a denial."""
    from colossus_sim.validation.words import zero_stage

    assert zero_stage(words)[0] == stage


@pytest.mark.parametrize("attention", ["Multi-head Latent Attention", "DeepSeek MLA", "MLA"])
def test_latent_attention_goes_by_several_names(attention: str) -> None:
    """None of them is ordinary attention."""
    from colossus_sim.validation.words import latent, unknown_attention

    assert latent(attention)
    assert not unknown_attention(attention)


def test_a_stack_does_not_hang_on_how_the_part_is_spelt() -> None:
    """GB200 with its maker's name, formats in capitals and a model with its owner's name: the same recipe."""
    from dataclasses import replace

    tables = Tables()
    rows = {row.id: row for row in read_training_rows(shipped("training_rows.csv"))}
    for name, change in (
        ("dgxc-0305", {"gpu": "NVIDIA GB200"}),
        ("bridge-0022", {"precision": "MXFP8"}),
        ("bridge-0260", {"gpu": "H100 SXM"}),
        ("bridge-0086", {"gpu": "DGX B200", "model": "deepseek-ai/DeepSeek-V3"}),
    ):
        row = rows[name]
        assert tables.stack(replace(row, **change)) == tables.stack(row)


def test_a_published_pair_that_no_fit_has_seen(predictor: Predictor, tmp_path: Path) -> None:
    """Qwen3-30B-A3B on 16 H100, plain all-to-all without and with overlap of the expert exchange: 41.25 and 31.31 s
    (NVIDIA-NeMo/Megatron-Bridge, skills/nemo-mbridge-perf-expert-parallel-overlap, measured 2026-05-18)."""
    row = MOE | {
        "id": "zoo-9001", "source": "Megatron-Bridge skills docs", "model": "Qwen3-30B-A3B", "layers": "48",
        "hidden": "2048", "kv_heads": "4", "ffn_hidden": "6144", "vocab": "151936", "moe_experts": "128",
        "moe_topk": "8", "moe_ffn_hidden": "768", "tp": "1", "ep": "16", "recompute": "selective",
        "global_batch": "1024",
    }  # fmt: skip
    cases = ("no EP overlap", "41.25"), ("EP overlap", "31.31")
    for overlap, published in cases:
        notes = f"all-to-all dispatcher, {overlap}"
        record = row | {"notes": notes, "step_time_derived_s": published}
        found = predictor.predict_row(read(tmp_path, record)[0])
        assert not isinstance(found, LeftOut), found
        assert found.predicted_s == pytest.approx(float(published), rel=0.1)
