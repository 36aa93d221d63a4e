"""Which layers of a Hugging Face ``config.json`` attend to everything, and which to a window.

Where the file does not list its layers, the defaults of huggingface/transformers hold
(src/transformers/models/*/configuration_*.py): every n-th layer of these families is a full one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LAYERS = ("layer_types", "attention_layers", "layers_block_type", "block_types", "attn_type_list")
_FULL = ("full_attention", "attention", "global", 1)
_LOCAL = ("sliding_attention", "chunked_attention", "local")
_NAMED = {"0": "linear_attention"}
_MARKS = "hybrid_layer_pattern"
"""MiMo-V2: 1 for a layer with a window, 0 for a full one."""
_PATTERNS = ("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers")
_FULL_LAYER_EVERY = {
    "gpt_neo": 2, "gemma2": 2, "gpt_oss": 2, "cohere2": 4, "exaone4": 4, "olmo3": 4, "llama4": 4, "llama4_text": 4,
    "gemma3": 6, "gemma3_text": 6,
}  # fmt: skip
_WINDOW_EVERYWHERE = ("mistral", "mixtral", "starcoder2", "phi3", "phimoe")
_OTHER_MIXERS = (
    "full_attention_interval", "linear_attn_config", "hybrid_override_pattern", "hybrid_layer_pattern",
    "attn_layer_period", "attn_layer_indices", "mamba_d_ssm", "ssm_cfg", "index_topk",
)  # fmt: skip
"""Fields of models that mix tokens in other ways too: linear attention, state spaces, chosen keys."""


def other_mixers(config: Mapping[str, Any]) -> str:
    """Return in words what the layers do that an architecture cannot express, or nothing."""
    layers = _listed(config)
    if layers:
        strange = [_NAMED.get(str(name), str(name)) for name in layers if name not in (*_FULL, *_LOCAL)]
        return f"has layers of kind {', '.join(dict.fromkeys(strange))}" if strange else ""
    given = [name for name in _OTHER_MIXERS if config.get(name)]
    return f"gives {', '.join(given)}" if given else ""


def window_fields(config: Mapping[str, Any], layers: int | None) -> dict[str, Any]:
    """Return `sliding_window` and `sliding_window_fraction` of an architecture, or nothing for full attention.

    None is neither said nor known, as a fraction that takes a number of layers which is not given. Attention
    within chunks counts as a window of their length: exact for sequences of one chunk, too much for longer ones.
    """
    window, listed = _window(config), _listed(config)
    if config.get("use_sliding_window") is False or not (window or any(name in _LOCAL for name in listed)):
        return {}
    share = _share(config, layers)
    return {} if share == 0.0 else {"sliding_window": window, "sliding_window_fraction": share}


def window_is_chunk(config: Mapping[str, Any]) -> bool:
    """Whether the window stands for chunks that do not see each other."""
    return _window(config) is not None and _window_name(config) == "attention_chunk_size"


def _listed(config: Mapping[str, Any]) -> Sequence[Any]:
    marks = config.get(_MARKS)
    if isinstance(marks, list) and marks and all(mark in (0, 1) for mark in marks):
        return [_LOCAL[0] if mark else _FULL[0] for mark in marks]
    lists = (config.get(name) for name in _LAYERS)
    return next((found for found in lists if isinstance(found, list) and found), [])


def _window(config: Mapping[str, Any]) -> int | None:
    value = config.get(_window_name(config), config.get("sliding_window_size"))
    return value if isinstance(value, int) and value > 0 else None


def _window_name(config: Mapping[str, Any]) -> str:
    kind = str(config.get("model_type", ""))
    if kind in ("llama4", "llama4_text"):
        return "attention_chunk_size"
    return "window_size" if kind == "gpt_neo" else "sliding_window"


def _share(config: Mapping[str, Any], layers: int | None) -> float | None:
    """Share of the layers that use the window; None if it cannot be told."""
    kind = str(config.get("model_type", ""))
    listed = _listed(config)
    if listed:
        return sum(name in _LOCAL for name in listed) / len(listed)
    pattern = next((config[name] for name in _PATTERNS if config.get(name)), _FULL_LAYER_EVERY.get(kind))
    if isinstance(pattern, str):
        return pattern.count("L") / len(pattern)
    if kind in _WINDOW_EVERYWHERE and pattern is None:
        return 1.0
    if layers is None:
        return None
    if isinstance(pattern, int) and pattern > 0:
        return 1.0 - layers // pattern / layers
    if config.get("use_sliding_window") or kind.startswith("qwen"):
        # Qwen: the layers from `max_window_layers` on, and none unless `use_sliding_window` says so.
        first = config.get("max_window_layers", 0) if config.get("use_sliding_window") else layers
        return max(0, layers - first) / layers if isinstance(first, int) else None
    return None
