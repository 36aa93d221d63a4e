"""The mixture of experts of a Hugging Face ``config.json``, in the spellings of its families.

Names as published with Mixtral, DeepSeek, Qwen, Llama 4, gpt-oss, GLM, DBRX, Hunyuan, Bailing, ERNIE 4.5 and Step.
A field about experts that is not known here is refused where it may change what is counted, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_COUNT = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_routed_experts")
_PER_TOKEN = (
    "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k", "moe_router_topk",
    "num_selected_experts", "num_selects", "experts_per_token",
)  # fmt: skip
_WIDTH = (
    "moe_intermediate_size",
    "expert_ffn_hidden_size",
    "moe_ffn_hidden_size",
    "expert_intermediate_size",
)
_DENSE_WIDTH = ("intermediate_size", "ffn_hidden_size", "n_inner")
_SHARED_COUNT = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
_SHARED_WIDTH = ("shared_expert_intermediate_size", "shared_intermediate_size", "share_expert_dim")
_WIDTH_OF_ONE_SHARED = ("moe_shared_expert_intermediate_size",)
_GROUPS = ("n_group", "num_expert_group")
_FIRST_DENSE = ("first_k_dense_replace", "num_dense_layers", "moe_layer_num_skipped")
_FREQUENCY = ("decoder_sparse_step", "moe_layer_freq", "moe_layer_frequency", "interleave_moe_layer_step")
_START, _END, _INTERVAL = "moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval"
_LISTED = ("moe_layers", "moe_layers_enum")
_SCATTERED = -1
_FLAGS = ("use_moe", "is_moe", "use_mixed_mlp_moe")
_KNOWN = frozenset(
    (*_COUNT, *_PER_TOKEN, *_WIDTH, *_SHARED_COUNT, *_SHARED_WIDTH, *_WIDTH_OF_ONE_SHARED, *_GROUPS, *_FREQUENCY,
     *_FIRST_DENSE, _START, _END, _INTERVAL, *_LISTED, *_FLAGS)
)  # fmt: skip
_ABOUT_EXPERTS = re.compile(r"moe|expert", re.IGNORECASE)
_NO_SHAPE = re.compile(
    r"aux|loss|coef|jitter|drop|dtype|rout|gate|scor|norm|bias|capacity|impl|backend|dispatch|kernel|quant|init"
    r"|scal|overlap|noise|temperature|balanc|parallel|group|all_?to_?all|fp\d|activation|clip|limit|alpha|hook",
    re.IGNORECASE,
)
"""Fields of how experts are chosen, balanced or computed, which change no count of parameters or FLOPs."""
_NOT_OF_THE_MODEL = re.compile(r"quant|vision|visual|audio|image|video|auto_map|task_specific", re.IGNORECASE)


def first_of(config: Mapping[str, Any], spellings: Sequence[str]) -> Any:
    """Return the first of the fields that is given; of a list of one value for every layer, that value."""
    for name in spellings:
        value = config.get(name)
        if isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        if value is not None:
            return value
    return None


def contradiction(config: Mapping[str, Any], spellings: Sequence[str]) -> str:
    """Return in words which of the fields, all of one meaning, give different values; empty where none do."""
    given = {name: value for name in spellings if (value := first_of(config, (name,))) is not None}
    different = [name for name, value in given.items() if value != next(iter(given.values()))]
    if not different:
        return ""
    return "gives " + " but ".join(f"{name} {given[name]}" for name in (next(iter(given)), different[0]))


def experts_of(config: Mapping[str, Any], layers: int | None) -> dict[str, Any] | None:
    """Return the fields of `MixtureOfExperts`, None for a dense model.

    A value of None is a field that the mixture needs and the file does not give.
    """
    count = first_of(config, _COUNT)
    if not _routes(config, count):
        return None
    width = first_of(config, _WIDTH)
    moe: dict[str, Any] = {
        "num_experts": count,
        "num_experts_per_tok": first_of(config, _PER_TOKEN),
        "moe_intermediate_size": first_of(config, _DENSE_WIDTH) if width is None else width,
    }
    shared = _shared_width(config, moe["moe_intermediate_size"])
    if shared is not None:
        moe["shared_expert_intermediate_size"] = shared
    if config.get("model_type") == "gpt_oss":
        moe["clamped_bias"] = True
    for ours, spellings in (("n_group", _GROUPS), ("topk_group", ("topk_group",))):
        value = first_of(config, spellings)
        if isinstance(value, int):
            moe[ours] = value
    return moe | _places(config, layers)


def _routes(config: Mapping[str, Any], count: Any) -> bool:
    """Whether there are experts: a count above one, or, where none is given, words that imply one."""
    if config.get("use_moe") is False:
        return False
    if count is not None and not isinstance(count, bool):
        return not isinstance(count, int) or count > 1
    named = "moe" in str(config.get("model_type", "")).lower()
    return named or bool(first_of(config, _PER_TOKEN)) or any(config.get(name) is True for name in _FLAGS)


def _shared_width(config: Mapping[str, Any], width: Any) -> Any:
    """Return the width of all shared experts together; None where there are none."""
    number = first_of(config, _SHARED_COUNT)
    if (together := first_of(config, _SHARED_WIDTH)) is not None:
        return together
    if (each := first_of(config, _WIDTH_OF_ONE_SHARED)) is not None:
        width = each
        number = 1 if number is None else number
    if isinstance(number, int) and isinstance(width, int):
        return number * width
    return config.get("intermediate_size") if config.get("model_type") in ("llama4", "llama4_text") else None


def _places(config: Mapping[str, Any], layers: int | None) -> dict[str, Any]:
    """Return `first_k_dense` and `moe_layer_frequency`.

    The former is None where the file's list cannot be read, `_SCATTERED` where the two do not give its layers.
    """
    routed = _routed_layers(config, layers)
    if routed is not None:
        if not routed or not layers:
            return {"first_k_dense": None}
        first, every = _every_nth(routed, layers)
        return {"first_k_dense": first, "moe_layer_frequency": every}
    found: dict[str, Any] = {}
    if isinstance(first := first_of(config, _FIRST_DENSE), int):
        found["first_k_dense"] = first
    if isinstance(every := first_of(config, _FREQUENCY), int):
        found["moe_layer_frequency"] = every
    return found


def _routed_layers(config: Mapping[str, Any], layers: int | None) -> list[int] | None:
    """Return the routed layers where the file tells them one by one, or by first, last and step; else None."""
    flags, kinds = config.get("moe_layer_freq"), config.get("mlp_layer_types")
    if isinstance(flags, list):
        return [layer for layer, value in enumerate(flags) if value]
    if isinstance(kinds, list):
        return [layer for layer, kind in enumerate(kinds) if kind != "dense"]
    if listed := _indices(next((config[name] for name in _LISTED if config.get(name)), None)):
        return listed
    numbers = range(layers or 0)
    if config.get("mlp_only_layers"):
        dense, step = _indices(config["mlp_only_layers"]), config.get("decoder_sparse_step", 1)
        readable = dense and _is_step(step)
        return (
            [layer for layer in numbers if layer not in dense and (layer + 1) % step == 0] if readable else []
        )
    if not any(name in config for name in (_START, _END, _INTERVAL)):
        return None
    start, step, last = config.get(_START) or 0, config.get(_INTERVAL, 1), config.get(_END)
    end = last if isinstance(last, int) and last >= 0 else len(numbers) - 1
    if not isinstance(start, int) or not _is_step(step):
        return []
    return [layer for layer in numbers if start <= layer <= end and (layer + 1) % step == 0]


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _indices(listed: Any) -> list[int]:
    """Return the layers of a list, or of a text such as ``4,5,6``; none where it is neither."""
    items = listed.split(",") if isinstance(listed, str) else listed if isinstance(listed, list) else []
    texts = [str(item).strip() for item in items]
    return sorted(int(text) for text in texts) if all(text.isdecimal() for text in texts) else []


def _every_nth(routed: Sequence[int], layers: int) -> tuple[int, int]:
    """Return first dense layers and step of which the routed layers are the rest; `_SCATTERED` without such two."""
    step = routed[1] - routed[0] if len(routed) > 1 else 1
    first = routed[0] - step + 1
    fits = first >= 0 and list(routed) == list(range(routed[0], layers, step))
    return (first, step) if fits else (_SCATTERED, 1)


def not_expressed(config: Mapping[str, Any], moe: Mapping[str, Any] | None) -> str:
    """Return in words what a file says about experts that an architecture cannot express, or nothing."""
    if config.get("parallel_attn_mlp_res"):  # Arctic
        return "has a dense block beside the experts of a layer"
    unknown = sorted(_unknown(config))
    if unknown:
        return f"says of its experts what is not understood: {', '.join(unknown)}"
    if moe is not None and (twice := contradiction(config, _COUNT) or contradiction(config, _PER_TOKEN)):
        return twice
    scattered = moe is not None and moe.get("first_k_dense") == _SCATTERED
    return "has dense layers among the routed ones" if scattered else ""


def _unknown(config: Mapping[str, Any]) -> set[str]:
    """Return the fields about experts that are not known here and stand for something."""
    found = set()
    for name, value in config.items():
        if isinstance(value, dict):
            found |= set() if _NOT_OF_THE_MODEL.search(name) else _unknown(value)
        elif _ABOUT_EXPERTS.search(name) and name not in _KNOWN and not _NO_SHAPE.search(name) and value:
            found.add(name)
    return found
