"""A Hugging Face ``config.json`` as an architecture; own reader, so that transformers is not needed.

Spellings as published with the models: Llama, Mistral, Mixtral, Qwen, Gemma, DeepSeek, GLM, gpt-oss, Nemotron,
GPT-2.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from colossus_sim.loading.hf_attention import other_mixers, window_fields, window_is_chunk
from colossus_sim.loading.nodes import Node, Origin, Scalar, refuse

_PLAIN: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head"),
    "num_key_value_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_hidden_size"),
    "vocab_size": ("vocab_size",),
    "tie_word_embeddings": ("tie_word_embeddings",),
    "num_nextn_predict_layers": ("num_nextn_predict_layers",),
}
_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts")
_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk")
_MLA = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_TIED_BY_DEFAULT = ("gpt2", "gemma", "gemma2", "gemma3", "gemma3_text")
_PLAIN_MLP = (
    "gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "codegen", "opt", "bloom", "falcon", "starcoder2", "phi",
    "nemotron", "arcee", "persimmon", "apertus",
)  # fmt: skip
_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function")
_PLAIN_ACTIVATIONS = ("relu2", "xielu")
"""Activations of plain feed-forward blocks, whatever the model is called, but for the gated families."""
_GATED_FAMILIES = ("llama", "mistral", "bitnet")
_SCATTERED = -1


def read_hf_config(data: bytes, pointer: Node, shown: str, path: str, beside: Collection[str] = ()) -> Node:
    """Return the fields of an Architecture found in a ``config.json``.

    Parameters
    ----------
    data : bytes
        Content of the file.
    pointer : Node
        The reference to it, for messages and origins.
    shown : str
        The file's name in messages.
    path : str
        Dotted path of the reference.
    beside : collection of str
        Fields of the architecture that are written beside the reference, which the file need not give.

    Raises
    ------
    ScenarioError
        If it is not JSON, has layers that an architecture cannot express, or lacks what the counts need; all
        missing fields are listed.
    """
    config = _parsed(data, pointer, shown, path)
    nested = config.get("text_config")
    if isinstance(nested, dict):
        config = {"model_type": config.get("model_type", ""), **nested}
    kind = config.get("model_type") or "unknown"
    moe, dense = _experts(config), _dense_first(config)
    beyond = other_mixers(config)
    if beyond:
        beyond += ": only full and sliding-window attention are modelled"
    elif moe is not None and dense == _SCATTERED:
        beyond = "has dense layers among the routed ones"
    if beyond:
        raise refuse(
            pointer.origin,
            f"{shown} (model_type {kind!r}) {beyond}",
            path=path,
            hint="give the architecture field by field, as near as it gets",
        )
    fields = {name: _first(config, spellings) for name, spellings in _PLAIN.items()}
    layers = fields["num_hidden_layers"]
    fields.update(window_fields(config, layers if isinstance(layers, int) and layers > 0 else None))
    if moe is not None and dense is not None:
        moe["first_k_dense"] = dense
    missing = [name for name in _NEEDED if fields[name] is None]
    missing += [name for name in ("sliding_window_fraction",) if name in fields and fields[name] is None]
    if moe is None and fields["intermediate_size"] is None:
        if config.get("model_type") == "gpt2" and fields["hidden_size"] is not None:
            fields["intermediate_size"] = 4 * int(fields["hidden_size"])
        else:
            missing.append("intermediate_size")
    if moe is not None:
        missing.extend(f"moe.{name}" for name, value in moe.items() if value is None)
    missing = [name for name in missing if name.partition(".")[0] not in beside]
    if missing:
        raise refuse(
            pointer.origin,
            f"{shown} (model_type {kind!r}) does not give {', '.join(missing)}",
            path=path,
            hint="write these fields beside hf_config, or give the architecture field by field",
        )
    return _node(_completed(fields, config, moe, shown), Origin(shown), pointer.key)


def _parsed(data: bytes, pointer: Node, shown: str, path: str) -> dict[str, Any]:
    try:
        config = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise refuse(pointer.origin, f"{shown} is not a JSON file", path=path) from None
    if not isinstance(config, dict):
        raise refuse(pointer.origin, f"{shown} does not hold a JSON object", path=path)
    return config


def _first(config: dict[str, Any], spellings: tuple[str, ...]) -> Any:
    for name in spellings:
        value = config.get(name)
        if value is not None:
            return value
    return None


def _experts(config: dict[str, Any]) -> dict[str, Any] | None:
    count = _first(config, _EXPERTS)
    if not isinstance(count, int) or isinstance(count, bool) or count < 2:
        return None
    width = _first(config, ("moe_intermediate_size", "expert_ffn_hidden_size"))
    if width is None:
        width = config.get("intermediate_size")
    moe: dict[str, Any] = {
        "num_experts": count,
        "num_experts_per_tok": _first(config, _PER_TOKEN),
        "moe_intermediate_size": width,
    }
    shared = config.get("shared_expert_intermediate_size")
    if shared is None and isinstance(config.get("n_shared_experts"), int) and isinstance(width, int):
        shared = config["n_shared_experts"] * width
    if config.get("model_type") in ("llama4", "llama4_text") and shared is None:
        shared = config.get("intermediate_size")
    if shared is not None:
        moe["shared_expert_intermediate_size"] = shared
    if config.get("model_type") == "gpt_oss":
        moe["clamped_bias"] = True
    for ours, spellings in (
        ("first_k_dense", ("first_k_dense_replace",)),
        ("n_group", ("n_group",)),
        ("topk_group", ("topk_group",)),
        ("moe_layer_frequency", ("decoder_sparse_step", "moe_layer_freq", "interleave_moe_layer_step")),
    ):
        value = _first(config, spellings)
        if isinstance(value, int):
            moe[ours] = value
    return moe


def _dense_first(config: dict[str, Any]) -> int | None:
    """Return the leading dense layers where they are told layer by layer; `_SCATTERED` if others are dense too."""
    dense, routed = config.get("mlp_only_layers"), config.get("moe_layer_freq")
    if isinstance(routed, list):
        dense = [layer for layer, value in enumerate(routed) if not value]
    if not isinstance(dense, list) or not dense:
        return None
    return len(dense) if set(dense) == set(range(len(dense))) else _SCATTERED


def _completed(
    fields: dict[str, Any], config: dict[str, Any], moe: dict[str, Any] | None, shown: str
) -> dict[str, Any]:
    kind = config.get("model_type", "")
    result: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    result.setdefault("tie_word_embeddings", kind in _TIED_BY_DEFAULT)
    act = _first(config, _ACTIVATIONS)
    if kind in _PLAIN_MLP or (act in _PLAIN_ACTIVATIONS and kind not in _GATED_FAMILIES):
        result["mlp_gated"] = False
    if kind in ("llama4", "llama4_text") and "intermediate_size_mlp" in config:
        result["intermediate_size"] = config["intermediate_size_mlp"]
    if moe is not None:
        result["moe"] = moe
    if config.get("kv_lora_rank") and all(isinstance(config.get(name), int) for name in _MLA):
        result["mla"] = {"q_lora_rank": config.get("q_lora_rank") or 0, **{n: config[n] for n in _MLA}}
        result.pop("head_dim", None)
    name = config.get("_name_or_path") or kind or "model"
    result["title"] = str(name)[:80]
    result["provenance"] = {
        "kind": "data sheet",
        "reference": f"Hugging Face config.json: {shown}",
        "checked": "0000-00",
        "note": "read from the file as it is; nobody checked it"
        + ("; attention within chunks counts as a window" if window_is_chunk(config) else ""),
    }
    return result


def _node(value: Any, origin: Origin, key: Origin | None) -> Node:
    if isinstance(value, dict):
        return Node({str(k): _node(v, origin, origin) for k, v in value.items()}, origin, key)
    if isinstance(value, list):
        return Node(tuple(_node(v, origin, None) for v in value), origin, key)
    leaf: Scalar = value
    return Node(leaf, origin, key)
