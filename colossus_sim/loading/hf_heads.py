"""The heads of a Hugging Face ``config.json``: how many keys and values have, and how wide they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_KV_HEADS = (
    "num_key_value_heads", "num_kv_heads", "n_kv_heads", "kv_n_heads", "n_head_kv", "num_query_groups",
    "num_attention_groups",
)  # fmt: skip
_SIZES = ("head_dim", "kv_channels")
_NOT_EXPRESSED = {
    "share_q_dim": "factorised queries",
    "attention_other_setting": "layers with other numbers of heads",
    "use_cla": "layers that share keys and values",
}
"""Attention whose parameters the architecture's fields do not give (Step 3, Step 3.5, Hunyuan)."""


def kv_heads(config: Mapping[str, Any]) -> Any:
    """Return the heads of keys and values; None for as many as there are of queries.

    Falcon, GPT-BigCode and ChatGLM give a number that holds only where a switch says so (transformers:
    modeling_falcon.py ``num_kv_heads``, configuration_gpt_bigcode.py ``multi_query``; zai-org/glm-4-9b
    modeling_chatglm.py ``multi_query_group_num``).
    """
    kind = config.get("model_type", "")
    stated = _given(config, _KV_HEADS)
    if kind in ("falcon", "RefinedWebModel", "gpt_bigcode"):
        grouped = kind != "gpt_bigcode" and config.get("new_decoder_architecture", False)
        return stated if grouped else 1 if config.get("multi_query", True) else None
    if "multi_query_attention" in config:
        return config.get("multi_query_group_num", 1) if config["multi_query_attention"] else None
    return 1 if stated is None and config.get("multi_query") is True else stated


def size_of_heads(config: Mapping[str, Any]) -> Any:
    """Return the width of a head; None if the file does not say.

    Of keys and values of different width it is the mean, which has the same weights, products and cache.
    """
    size = _given(config, _SIZES)
    values = _width_of_values(config)
    return size if values is None or size is None else (size + values) // 2


def notes_on_heads(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words which heads count as something near them."""
    said = []
    if _width_of_values(config) is not None:
        said.append("head_dim is the mean of those of keys and values")
    if config.get("swa_num_key_value_heads") not in (None, kv_heads(config)):
        said.append("layers with a window count as having the key/value heads of the others")
    return tuple(said)


def other_heads(config: Mapping[str, Any]) -> str:
    """Return in words which heads differ from layer to layer or are made otherwise, or nothing."""
    names = ("num_attention_heads", "head_dim", "v_head_dim")
    pairs = ((f"swa_{name}", config.get(f"swa_{name}"), config.get(name)) for name in names)
    found = [f"{name} {theirs} (other heads)" for name, theirs, ours in pairs if theirs not in (None, ours)]
    found += [f"{name} ({words})" for name, words in _NOT_EXPRESSED.items() if config.get(name)]
    return f"gives {', '.join(found)}" if found else ""


def _given(config: Mapping[str, Any], spellings: Sequence[str]) -> Any:
    """Return the first of the fields that is given, lists too, which are refused later."""
    return next((config[name] for name in spellings if config.get(name) is not None), None)


def _width_of_values(config: Mapping[str, Any]) -> int | None:
    """Return the width of the heads of values where it differs, latent attention apart (MiMo-V2)."""
    size, values = config.get("head_dim"), config.get("v_head_dim")
    if config.get("kv_lora_rank") or not isinstance(size, int) or not isinstance(values, int):
        return None
    return None if values == size else values
