"""The published config.json of many families: parameters as published, or a refusal that says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colossus_sim.errors import ScenarioError
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.loading.load import load_scenario
from colossus_sim.specs.architecture import Architecture

Reader = Callable[[dict[str, Any]], Architecture]
Config = dict[str, Any]

SHAPE: Config = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 28, "num_attention_heads": 16,
    "vocab_size": 32000,
}  # fmt: skip
ROUTED: Config = {**SHAPE, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512}


@pytest.fixture
def read(tiny: str, write: Callable[..., Path]) -> Reader:
    """Return the architecture that a config.json gives, the rest being the tiny scenario."""

    def loaded(config: Config) -> Architecture:
        write(json.dumps(config), "config.json")
        begin, end = tiny.index("    model:\n"), tiny.index("    site: lab\n")
        text = tiny[:begin] + "    model: {hf_config: config.json}\n" + tiny[end:]
        path = write(text.replace("tensor_parallel: 4", "tensor_parallel: 1"))
        return load_scenario(path).jobs["small"].model

    return loaded


def refused(read: Reader, config: Config) -> str:
    with pytest.raises(ScenarioError) as error:
        read(config)
    said = str(error.value)
    assert said.count("error:") == 1
    return said


ERNIE: Config = {
    "model_type": "ernie4_5_moe", "vocab_size": 103424, "moe_num_experts": 64, "moe_layer_interval": 1,
    "moe_gate": "topk", "moe_capacity": [64, 64, 64], "moe_use_aux_free": True, "use_bias": False,
}  # fmt: skip
PUBLISHED: dict[str, tuple[Config, float, float]] = {
    "baidu/ERNIE-4.5-300B-A47B": (
        ERNIE | {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 54,
                 "num_attention_heads": 64, "num_key_value_heads": 8, "moe_k": 8, "moe_intermediate_size": 3584,
                 "moe_layer_start_index": 3, "moe_layer_end_index": 53, "moe_num_shared_experts": 0,
                 "tie_word_embeddings": False}, 300e9, 47e9),
    "baidu/ERNIE-4.5-21B-A3B": (
        ERNIE | {"hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 28,
                 "num_attention_heads": 20, "num_key_value_heads": 4, "head_dim": 128, "moe_k": 6,
                 "moe_intermediate_size": 1536, "moe_num_shared_experts": 2, "moe_layer_start_index": 1,
                 "moe_layer_end_index": -1}, 21.9e9, 3.3e9),
    "XiaomiMiMo/MiMo-V2-Flash": (
        {"model_type": "mimo_v2_flash", "hidden_size": 4096, "intermediate_size": 16384, "num_hidden_layers": 48,
         "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128,
         "swa_num_attention_heads": 64, "swa_num_key_value_heads": 8, "swa_head_dim": 192, "swa_v_head_dim": 128,
         "sliding_window": 128, "hybrid_layer_pattern": [0, 1, 1, 1, 1, *([0, 1, 1, 1, 1, 1] * 7), 0],
         "moe_layer_freq": [0] + [1] * 47, "moe_intermediate_size": 2048, "n_routed_experts": 256,
         "n_shared_experts": None, "num_experts_per_tok": 8, "n_group": 1, "topk_group": 1, "vocab_size": 152576,
         "tie_word_embeddings": False}, 309e9, 15e9),
    "databricks/dbrx-base": (
        {"model_type": "dbrx", "d_model": 6144, "n_heads": 48, "n_layers": 40, "vocab_size": 100352,
         "tie_word_embeddings": False, "attn_config": {"kv_n_heads": 8, "clip_qkv": 8},
         "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4, "moe_loss_weight": 0.05}},
        132e9, 36e9),
    "inclusionAI/Ling-lite": (
        {"model_type": "bailing_moe", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 28,
         "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 126464,
         "num_experts": 64, "num_shared_experts": 2, "num_experts_per_tok": 6, "moe_intermediate_size": 1408,
         "first_k_dense_replace": 0, "norm_topk_prob": True, "tie_word_embeddings": False}, 16.8e9, 2.75e9),
    "tencent/Hunyuan-A13B": (
        {"model_type": "hunyuan_v1_moe", "hidden_size": 4096, "intermediate_size": 3072, "num_hidden_layers": 32,
         "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128167,
         "num_experts": 64, "moe_topk": [8] * 32, "moe_intermediate_size": [3072] * 32,
         "num_shared_expert": [1] * 32, "use_mixed_mlp_moe": True, "use_cla": False, "moe_layer_num_skipped": 0,
         "moe_drop_tokens": False, "tie_word_embeddings": True}, 80.4e9, 13e9),
    "openai/gpt-oss-120b": (
        {"model_type": "gpt_oss", "attention_bias": True, "experts_per_token": 4, "head_dim": 64,
         "hidden_act": "silu", "hidden_size": 2880, "initial_context_length": 4096, "intermediate_size": 2880,
         "layer_types": ["sliding_attention", "full_attention"] * 18, "num_attention_heads": 64,
         "num_experts_per_tok": 4, "num_hidden_layers": 36, "num_key_value_heads": 8, "num_local_experts": 128,
         "output_router_logits": False, "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0,
         "quantization_config": {"modules_to_not_convert": ["model.layers.*.mlp.router"], "quant_method": "mxfp4"},
         "tie_word_embeddings": False, "vocab_size": 201088},
        # The published 5.13 B leave the embedding out (arXiv:2508.10925, table 1).
        116.8e9, 5.13e9 + 201088 * 2880),
    "bigcode/starcoder": (
        {"model_type": "gpt_bigcode", "n_embd": 6144, "n_head": 48, "n_layer": 40, "n_inner": 24576,
         "n_positions": 8192, "multi_query": True, "vocab_size": 49152}, 15.5e9, 15.5e9),
    "CohereLabs/c4ai-command-r-plus": (
        {"model_type": "cohere", "hidden_size": 12288, "intermediate_size": 33792, "num_hidden_layers": 64,
         "num_attention_heads": 96, "num_key_value_heads": 8, "vocab_size": 256000, "hidden_act": "silu"},
        104e9, 104e9),
    "tiiuae/falcon-11B": (
        {"model_type": "falcon", "hidden_size": 4096, "num_hidden_layers": 60, "num_attention_heads": 32,
         "num_kv_heads": 8, "new_decoder_architecture": True, "multi_query": True, "parallel_attn": True,
         "ffn_hidden_size": 16384, "ff_factor": 4, "vocab_size": 65024, "tie_word_embeddings": False},
        11.1e9, 11.1e9),
    "tiiuae/falcon-40b": (
        {"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128,
         "num_kv_heads": 8, "new_decoder_architecture": True, "multi_query": True, "parallel_attn": True,
         "vocab_size": 65024}, 41.3e9, 41.3e9),
    "tiiuae/falcon-7b": (
        {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
         "multi_query": True, "new_decoder_architecture": False, "vocab_size": 65024}, 6.92e9, 6.92e9),
    "THUDM/glm-4-9b": (
        {"model_type": "chatglm", "hidden_size": 4096, "num_layers": 40, "num_attention_heads": 32,
         "multi_query_attention": True, "multi_query_group_num": 2, "kv_channels": 128, "ffn_hidden_size": 13696,
         "padded_vocab_size": 151552, "vocab_size": 151329, "tie_word_embeddings": False}, 9.4e9, 9.4e9),
    "openai-community/gpt2-xl": (
        {"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25, "vocab_size": 50257,
         "activation_function": "gelu_new"}, 1.557e9, 1.557e9),
    "bigscience/bloom": (
        {"model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112, "vocab_size": 250880},
        176.2e9, 176.2e9),
    "mosaicml/mpt-30b": (
        {"model_type": "mpt", "d_model": 7168, "n_heads": 64, "n_layers": 48, "expansion_ratio": 4,
         "vocab_size": 50432, "attn_config": {"attn_type": "multihead_attention", "alibi": True}}, 30e9, 30e9),
}  # fmt: skip
"""The fields that count of the config.json of each repository, with its parameters in all and for one token."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(read: Reader, name: str) -> None:
    """In all within 1 %, and for one token within 3 %; learned positions and biases are not counted."""
    config, total, active = PUBLISHED[name]
    count = count_parameters(read(config))
    assert count.total == pytest.approx(total, rel=0.01)
    assert count.active == pytest.approx(active, rel=0.03)


@pytest.mark.parametrize(
    ("told", "first", "every"),
    [
        ({"moe_layer_start_index": 1, "moe_layer_interval": 2}, 0, 2),
        ({"moe_layer_start_index": 3, "moe_layer_interval": 2, "moe_layer_end_index": 27}, 2, 2),
        ({"moe_layers_enum": ",".join(str(layer) for layer in range(4, 28))}, 4, 1),
        ({"moe_layers": list(range(1, 28, 2))}, 0, 2),
        ({"mlp_layer_types": ["dense"] * 3 + ["sparse"] * 25}, 3, 1),
        ({"mlp_only_layers": [0, 1], "decoder_sparse_step": 2}, 2, 2),
        ({"num_dense_layers": 2}, 2, 1),
        ({"moe_layer_frequency": 2}, 0, 2),
    ],
)
def test_the_routed_layers_are_found(read: Reader, told: Config, first: int, every: int) -> None:
    """By first, last and step, by list, by text or by kind."""
    moe = read(ROUTED | told).moe
    assert moe is not None
    assert (moe.first_k_dense, moe.moe_layer_frequency) == (first, every)


@pytest.mark.parametrize(
    "keys", [("moe_num_experts", "moe_top_k"), ("num_routed_experts", "num_selected_experts")]
)
def test_experts_by_other_names_are_experts(read: Reader, keys: tuple[str, str]) -> None:
    """The width of shared ones is given, or counted in widths of one."""
    shared = {"share_expert_dim": 700}
    moe = read(SHAPE | dict(zip(keys, (48, 3), strict=True)) | {"moe_intermediate_size": 512} | shared).moe
    assert moe is not None
    assert (moe.num_experts, moe.num_experts_per_tok, moe.shared_expert_intermediate_size) == (48, 3, 700)
    moe = read(ROUTED | {"num_shared_experts": 2, "moe_shared_expert_intermediate_size": 300}).moe
    assert moe is not None
    assert moe.shared_expert_intermediate_size == 600


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SHAPE | {"expert_count": 8}, "says of its experts what is not understood: expert_count"),
        (SHAPE | {"ffn": {"moe_blocks": 4}}, "not understood: moe_blocks"),
        (SHAPE | {"enable_moe_block": True}, "not understood: enable_moe_block"),
        (ROUTED | {"zero_expert_num": 256}, "not understood: zero_expert_num"),
        (ROUTED | {"moe_latent_size": 1024}, "not understood: moe_latent_size"),
        (SHAPE | {"model_type": "qwen3_moe"}, "does not give moe.num_experts, moe.num_experts_per_tok"),
        (SHAPE | {"num_experts_per_tok": 2}, "does not give moe.num_experts"),
        (ROUTED | {"experts_per_token": 4}, "gives num_experts_per_tok 2 but experts_per_token 4;"),
        (ROUTED | {"num_local_experts": 16}, "gives num_local_experts 16 but num_experts 8;"),
        (ROUTED | {"moe_layer_start_index": 1, "moe_layer_end_index": 20}, "dense layers among the routed ones"),
        (ROUTED | {"parallel_attn_mlp_res": True}, "has a dense block beside the experts"),
        (ROUTED | {"moe_intermediate_size": [512, 256]}, "moe_intermediate_size is [512, 256]; a whole number"),
        ({"model_type": "step3", "text_config": ROUTED | {"share_q_dim": 2048}}, "share_q_dim (factorised"),
        (SHAPE | {"head_dim": 64, "swa_head_dim": 128}, "gives swa_head_dim 128 (other heads)"),
        (SHAPE | {"hybrid_layer_pattern": [0, 1] * 14}, "does not give sliding_window;"),
        ({"model_type": "gpt2", "n_embd": "wide", "n_layer": 2, "n_head": 2, "vocab_size": 10},
         "hidden_size is 'wide'; a whole number is needed"),
        (SHAPE | {"kv_lora_rank": "512"}, "kv_lora_rank is '512'; a whole number is needed"),
        (SHAPE | {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64},
         "does not give mla.v_head_dim;"),
        (ROUTED | {"mlp_only_layers": "first"}, "does not give moe.first_k_dense;"),
        (ROUTED | {"mlp_only_layers": [0], "decoder_sparse_step": "x"}, "does not give moe.first_k_dense;"),
        (ROUTED | {"num_hidden_layers": None, "moe_layer_start_index": 1}, "does not give num_hidden_layers, moe."),
        (SHAPE | {"num_key_value_heads": True}, "num_key_value_heads is True; a whole number is needed"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(read: Reader, config: Config, said: str) -> None:
    """Never read as dense, as other experts or as other heads: one error that names the field."""
    assert said in refused(read, config)


@pytest.mark.parametrize(
    "told",
    [
        {"num_experts": 0, "num_experts_per_tok": 0}, {"num_local_experts": 1, "num_experts_per_tok": 1},
        {"enable_moe_block": False, "num_experts": None}, {"use_moe": False}, {"moe_router_bias": True},
        {"router_aux_loss_coef": 0.001, "moe_aux_loss_alpha": 0.01}, {"moe_implementation": "fused"},
    ],
)  # fmt: skip
def test_models_without_experts_stay_dense(read: Reader, told: Config) -> None:
    """Switches that are off, a single expert and settings of a router that is not there imply none."""
    assert read(SHAPE | told).moe is None


def test_windows_marked_layer_by_layer_are_read(read: Reader) -> None:
    """MiMo-V2: 39 of 48 layers have a window; keys of 192 and values of 128 count as heads of 160, as is said."""
    model = read(PUBLISHED["XiaomiMiMo/MiMo-V2-Flash"][0])
    assert (model.sliding_window, model.sliding_window_fraction) == (128, pytest.approx(39 / 48))
    assert model.head_size == 160
    assert "head_dim is the mean of those of keys and values" in model.provenance.note
    assert "layers with a window count as having the key/value heads" in model.provenance.note


@pytest.mark.parametrize(
    ("told", "heads"),
    [
        ({"model_type": "gpt_bigcode"}, 1), ({"model_type": "gpt_bigcode", "multi_query": False}, 16),
        ({"model_type": "falcon"}, 1), ({"model_type": "falcon", "multi_query": False, "num_kv_heads": 2}, 16),
        ({"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 4}, 4),
        ({"model_type": "chatglm", "multi_query_attention": False, "multi_query_group_num": 1}, 16),
        ({"model_type": "RefinedWeb", "n_head_kv": 8}, 8), ({"n_kv_heads": 2}, 2), ({"num_query_groups": 4}, 4),
    ],
)  # fmt: skip
def test_key_value_heads_hold_where_their_switch_says_so(read: Reader, told: Config, heads: int) -> None:
    """Of each family by its own names and defaults."""
    assert read(SHAPE | told).kv_heads == heads


@pytest.mark.parametrize(
    ("kind", "tied"), [("cohere", True), ("cohere2", True), ("falcon", True), ("llama", False)]
)
def test_embeddings_are_tied_by_the_default_of_the_family(read: Reader, kind: str, tied: bool) -> None:
    """The file's own word goes before it."""
    assert read(SHAPE | {"model_type": kind}).tie_word_embeddings is tied
    assert read(SHAPE | {"model_type": kind, "tie_word_embeddings": not tied}).tie_word_embeddings is not tied


MINIMAX: Config = {
    "model_type": "minimax_m2", "attn_type_list": [1] * 62, "head_dim": 128, "hidden_act": "silu",
    "hidden_size": 3072, "intermediate_size": 1536, "mtp_transformer_layers": 1, "num_attention_heads": 48,
    "num_experts_per_tok": 8, "num_hidden_layers": 62, "num_key_value_heads": 8, "num_local_experts": 256,
    "num_mtp_modules": 3, "qk_norm_type": "per_layer", "rotary_dim": 64, "scoring_func": "sigmoid",
    "shared_intermediate_size": 0, "tie_word_embeddings": False, "use_mtp": True, "use_qk_norm": True,
    "use_routing_bias": True, "vocab_size": 200064,
}  # fmt: skip
"""The config.json of MiniMaxAI/MiniMax-M2.7."""


def test_modules_of_minimax_count_beside_the_model(read: Reader) -> None:
    """The model alone has the 228.7 B parameters of the published files, with its three modules 5 % more."""
    count = count_parameters(read(MINIMAX))
    assert count.total == pytest.approx(228.7e9, rel=0.01)
    assert count.trained == pytest.approx((1 + 3 / 62) * 228.7e9, rel=0.01)


@pytest.mark.parametrize(
    ("told", "modules"),
    [
        (MINIMAX, 3),
        (SHAPE | {"num_nextn_predict_layers": 1, "mtp_loss_scaling_factor": 0.1}, 1),
        (SHAPE | {"num_mtp_layers": 2}, 2), (SHAPE | {"mtp_num_layers": 1, "num_nextn_predict_layers": 1}, 1),
        ({"text_config": SHAPE | {"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": False}}, 1),
        ({"text_config": SHAPE, "mtp_num_hidden_layers": 2}, 2),
        (SHAPE | {"use_mtp": False, "num_mtp_modules": 3}, 0), (SHAPE, 0),
    ],
)  # fmt: skip
def test_modules_that_predict_further_tokens_are_read(read: Reader, told: Config, modules: int) -> None:
    """By the names of each family, beside the language model or in it, unless they are switched off."""
    assert read(told).num_nextn_predict_layers == modules


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"use_mtp": True}, "gives use_mtp, but not how many modules predict further tokens"),
        ({"num_mtp_modules": 1, "mtp_transformer_layers": 2}, "gives mtp_transformer_layers 2 (modules of several"),
        ({"mtp_config": {"depth": 2}}, "says of further predictions what is not understood: mtp_config"),
        ({"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": True}, "mtp_use_dedicated_embeddings"),
        ({"num_mtp_layers": 1, "num_nextn_predict_layers": 2},
         "gives num_nextn_predict_layers 2 but num_mtp_layers 1"),
    ],
)  # fmt: skip
def test_further_predictions_that_are_not_understood_are_refused(
    read: Reader, told: Config, said: str
) -> None:
    """They are trained like layers, so nothing about them is passed over."""
    assert said in refused(read, SHAPE | told)


def test_the_number_of_predictions_beside_the_file_makes_up_for_it(
    tiny: str, write: Callable[..., Path]
) -> None:
    """What the file says of them is then not asked."""
    write(json.dumps(SHAPE | {"use_mtp": True}), "config.json")
    begin, end = tiny.index("    model:\n"), tiny.index("    site: lab\n")
    model = "    model: {hf_config: config.json, num_nextn_predict_layers: 2}\n"
    path = write(tiny[:begin] + model + tiny[end:])
    assert load_scenario(path).jobs["small"].model.num_nextn_predict_layers == 2


@pytest.mark.parametrize(
    "kind",
    [
        "bert", "roberta", "xlm-roberta", "distilbert", "deberta-v2", "modernbert", "nomic_bert", "electra",
        "hubert", "ernie", "esm", "vit", "vit_mae", "dinov3_vit", "siglip_vision_model", "clip", "wav2vec2",
    ],
)  # fmt: skip
def test_encoders_are_refused_by_name(read: Reader, kind: str) -> None:
    """They have plain feed-forward blocks and no mask, so they are no causal decoders with gated ones."""
    said = refused(read, SHAPE | {"model_type": kind})
    assert f"(model_type '{kind}') is an encoder: only causal decoders are modelled" in said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"architectures": ["OurOwnForMaskedLM"]}, "is an encoder"),
        ({"model_type": "clip", "text_config": SHAPE}, "is an encoder"),
        ({"text_config": SHAPE | {"model_type": "clip_text_model"}}, "is an encoder"),
        ({"is_encoder_decoder": True, "model_type": "bart"}, "has an encoder beside its decoder"),
        ({"model_type": "qwen2", "is_causal": False}, "gives is_causal: false: only causal decoders"),
        (
            {"use_bidirectional_attention": True},
            "gives use_bidirectional_attention: true: only causal decoders",
        ),
    ],
)
def test_models_that_look_ahead_are_refused(read: Reader, told: Config, said: str) -> None:
    """By their class, by the file around the language model, by a second stack, or by their mask."""
    assert said in refused(read, SHAPE | told)


def test_a_family_that_is_not_known_is_said_to_be_read_as_llama(read: Reader) -> None:
    """Among what the architecture says of itself; of families that are known nothing is said."""
    note = read(SHAPE | {"model_type": "newcomer"}).provenance.note
    assert "model_type 'newcomer' is not known: its layers are taken for Llama's" in note
    assert "no model_type: its layers are taken for Llama's" in read(SHAPE).provenance.note
    for kind in ("llama", "ernie4_5", "gpt_neox", "modernbert-decoder"):
        known = "taken for Llama's" not in read(SHAPE | {"model_type": kind}).provenance.note
        assert known is (kind != "modernbert-decoder")
    assert all("taken for" not in read(config).provenance.note for config, _, _ in PUBLISHED.values())
