"""A Hugging Face ``config.json`` as an architecture; own reader, so that transformers is not needed.

Spellings and defaults as in huggingface/transformers (src/transformers/models/*/configuration_*.py) and the files
published with the models: Llama, Mistral, Qwen, Gemma, DeepSeek, GLM, Cohere, Falcon, MPT, GPT-2 and others.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from colossus_sim.loading.hf_attention import other_mixers, window_fields, window_is_chunk
from colossus_sim.loading.hf_experts import experts_of, first_of, not_expressed
from colossus_sim.loading.hf_families import (
    FOUR_TIMES_WIDE,
    TIED_BY_DEFAULT,
    has_plain_mlp,
    not_causal,
    notes_on_family,
)
from colossus_sim.loading.hf_heads import kv_heads, notes_on_heads, other_heads, size_of_heads
from colossus_sim.loading.hf_predictions import (
    fields_of_predictions,
    other_predictions,
    prediction_modules,
)
from colossus_sim.loading.nodes import Node, Origin, Scalar, refuse

_PLAIN: dict[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "n_embd", "n_embed", "d_model"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads"),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim"),
    "vocab_size": ("padded_vocab_size", "vocab_size"),
    "tie_word_embeddings": ("tie_word_embeddings",),
}
_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_MLA = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation_function")


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
    written = _parsed(data, pointer, shown, path)
    config = _flat(written)
    kind = config.get("model_type") or "unknown"
    what = f"{shown} (model_type {kind!r})"
    if no_decoder := not_causal(written, config):
        raise refuse(pointer.origin, f"{what} {no_decoder}", path=path)
    fields, moe = _fields(config), None
    if not (wrong := _no_numbers(fields)):
        moe = experts_of(config, fields["num_hidden_layers"])
        wrong = _no_numbers({**(moe or {}), **_latent(config)})
    if wrong:
        raise refuse(pointer.origin, f"{what}: {wrong}", path=path)
    if beyond := _beyond(config, moe, beside):
        hint = "give the architecture field by field, as near as it gets"
        raise refuse(pointer.origin, f"{what} {beyond}", path=path, hint=hint)
    lacking = _lacking(fields, moe) + [
        f"mla.{name}" for name, value in _latent(config).items() if value is None
    ]
    missing = [name for name in lacking if name.partition(".")[0] not in beside]
    if missing:
        raise refuse(
            pointer.origin,
            f"{what} does not give {', '.join(missing)}",
            path=path,
            hint="write these fields beside hf_config, or give the architecture field by field",
        )
    return _node(_completed(fields, config, moe, shown), Origin(shown), pointer.key)


def _beyond(config: dict[str, Any], moe: dict[str, Any] | None, beside: Collection[str]) -> str:
    """Return in words what an architecture cannot express and no field beside the reference makes up for."""
    if mixers := other_mixers(config):
        return f"{mixers}: only full and sliding-window attention are modelled"
    experts = "" if "moe" in beside else not_expressed(config, moe)
    predictions = "" if "num_nextn_predict_layers" in beside else other_predictions(config)
    return other_heads(config) or experts or predictions


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the language model in one mapping, wherever the file nests them."""
    nested = config.get("text_config")
    if isinstance(nested, dict):
        config = {"model_type": config.get("model_type", ""), **fields_of_predictions(config), **nested}
    if config.get("model_type") in ("dbrx", "mpt"):
        parts = [config[name] for name in ("attn_config", "ffn_config") if isinstance(config.get(name), dict)]
        config = {**{name: value for part in parts for name, value in part.items()}, **config}
    return config


def _fields(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an architecture but for its experts; None = not given."""
    kind = config.get("model_type", "")
    fields = {name: first_of(config, spellings) for name, spellings in _PLAIN.items()}
    fields["num_key_value_heads"] = kv_heads(config)
    fields["head_dim"] = size_of_heads(config)
    fields["num_nextn_predict_layers"] = prediction_modules(config)
    if kind in ("llama4", "llama4_text") and "intermediate_size_mlp" in config:
        fields["intermediate_size"] = config["intermediate_size_mlp"]
    hidden, layers = fields["hidden_size"], fields["num_hidden_layers"]
    if fields["intermediate_size"] is None and kind in FOUR_TIMES_WIDE and isinstance(hidden, int):
        ratio = config.get("expansion_ratio", 4)
        fields["intermediate_size"] = ratio * hidden if isinstance(ratio, int) else None
    fields.update(window_fields(config, layers if isinstance(layers, int) and layers > 0 else None))
    return fields


def _latent(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of latent attention, None = not given; nothing for other attention."""
    if not config.get("kv_lora_rank"):
        return {}
    return {"q_lora_rank": config.get("q_lora_rank") or 0, **{name: config.get(name) for name in _MLA}}


def _no_numbers(fields: dict[str, Any]) -> str:
    """Return in words which fields of a number hold something else, or nothing."""
    wrong = [
        f"{name} is {value!r}"
        for name, value in fields.items()
        if value is not None
        and name not in ("tie_word_embeddings", "sliding_window_fraction", "clamped_bias")
        and (isinstance(value, bool) or not isinstance(value, int))
    ]
    return f"{', '.join(wrong)[:200]}; a whole number is needed" if wrong else ""


def _lacking(fields: dict[str, Any], moe: dict[str, Any] | None) -> list[str]:
    """Return the fields that the counts need and the file does not give."""
    missing = [name for name in _NEEDED if fields[name] is None]
    windows = ("sliding_window", "sliding_window_fraction")
    missing += [name for name in windows if name in fields and fields[name] is None]
    if moe is None:
        return missing + ["intermediate_size"] * (fields["intermediate_size"] is None)
    return missing + [f"moe.{name}" for name, value in moe.items() if value is None]


def _parsed(data: bytes, pointer: Node, shown: str, path: str) -> dict[str, Any]:
    try:
        config = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise refuse(pointer.origin, f"{shown} is not a JSON file", path=path) from None
    if not isinstance(config, dict):
        raise refuse(pointer.origin, f"{shown} does not hold a JSON object", path=path)
    return config


def _completed(
    fields: dict[str, Any], config: dict[str, Any], moe: dict[str, Any] | None, shown: str
) -> dict[str, Any]:
    kind = config.get("model_type", "")
    result: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    result.setdefault("tie_word_embeddings", kind in TIED_BY_DEFAULT)
    if has_plain_mlp(kind, first_of(config, _ACTIVATIONS)):
        result["mlp_gated"] = False
    if moe is not None:
        result["moe"] = moe
    if mla := _latent(config):
        result["mla"] = {name: value for name, value in mla.items() if value is not None}
        result.pop("head_dim", None)
    name = config.get("_name_or_path") or kind or "model"
    result["title"] = str(name)[:80]
    result["provenance"] = {
        "kind": "data sheet",
        "reference": f"Hugging Face config.json: {shown}",
        "checked": "0000-00",
        "note": "; ".join(("read from the file as it is; nobody checked it", *_notes(config))),
    }
    return result


def _notes(config: dict[str, Any]) -> tuple[str, ...]:
    """Return in words what counts as something near it."""
    chunks = ("attention within chunks counts as a window",) if window_is_chunk(config) else ()
    return (*notes_on_family(config), *chunks, *notes_on_heads(config))


def _node(value: Any, origin: Origin, key: Origin | None) -> Node:
    if isinstance(value, dict):
        return Node({str(k): _node(v, origin, origin) for k, v in value.items()}, origin, key)
    if isinstance(value, list):
        return Node(tuple(_node(v, origin, None) for v in value), origin, key)
    leaf: Scalar = value
    return Node(leaf, origin, key)
