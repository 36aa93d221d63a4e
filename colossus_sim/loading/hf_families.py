"""What the ``model_type`` of a Hugging Face ``config.json`` says that its fields do not.

Defaults and layers as in huggingface/transformers (src/transformers/models/*/configuration_*.py and modeling_*.py)
and in the code published with the models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FALCON = ("falcon", "RefinedWeb", "RefinedWebModel")
TIED_BY_DEFAULT = (
    "gpt2", "gpt_neo", "gpt_bigcode", "bloom", "opt", "mpt", *_FALCON, "gemma", "gemma2", "gemma3", "gemma3_text",
    "cohere", "cohere2", "starcoder2", "smollm3", "ernie4_5", "ernie4_5_moe",
)  # fmt: skip
FOUR_TIMES_WIDE = ("gpt2", "gpt_neo", "gpt_bigcode", "gptj", "codegen", "bloom", "mpt", *_FALCON)
"""Families whose feed-forward blocks are four times as wide as the model unless the file says otherwise."""
_PLAIN_MLP = (
    "gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "codegen", "opt", "bloom", "mpt", *_FALCON, "starcoder2",
    "phi", "nemotron", "arcee", "persimmon", "apertus",
)  # fmt: skip
_PLAIN_ACTIVATIONS = ("relu2", "xielu")
"""Activations of plain feed-forward blocks, whatever the model is called, but for the gated families."""
_GATED_WHATEVER_ACTIVATION = ("llama", "mistral", "bitnet")
_LIKE_LLAMA = (
    "afmoe", "baichuan", "bailing_moe", "bailing_moe_v2", "chatglm", "code_llama", "cohere", "cohere2", "cwm",
    "dbrx", "deepseek_v2", "deepseek_v3", "dots1", "ernie4_5", "ernie4_5_moe", "exaone", "exaone4", "flex_olmo",
    "gemma", "gemma2", "gemma3", "gemma3_text", "glm", "glm4", "glm4_moe", "gpt_oss", "granite", "granitemoe",
    "granitemoeshared", "helium", "hunyuan", "hunyuan_v1_dense", "hunyuan_v1_moe", "internlm2", "internlm3",
    "kimi_k2", "llama4", "llama4_text", "mimo", "mimo_v2_flash", "minimax", "minimax_m2", "ministral",
    "ministral3", "mixtral", "olmo", "olmo2", "olmo3", "olmoe", "pangu_ultra_moe", "phi3", "phimoe", "qwen2",
    "qwen2_5_vl", "qwen2_5_vl_text", "qwen2_moe", "qwen2_vl", "qwen2_vl_text", "qwen3", "qwen3_moe",
    "qwen3_vl_moe_text", "qwen3_vl_text", "seed_oss", "smollm3", "stablelm", "vaultgemma",
    *_GATED_WHATEVER_ACTIVATION,
)  # fmt: skip
"""Families of causal decoders with gated feed-forward blocks."""
_KNOWN = frozenset((*TIED_BY_DEFAULT, *FOUR_TIMES_WIDE, *_PLAIN_MLP, *_LIKE_LLAMA))
_ENCODERS = re.compile(
    r"bert(?!.*decoder)|clip|(?:^|[_-])(?:mobile|le|vi|owl)?vit|^(?:electra|mpnet|ernie|ernie_m|esm|funnel|longformer"
    r"|big_bird|nystromformer|roformer|canine|fnet|luke|mluke|layoutlm\w*|lilt|markuplm|splinter|tapas|xlm|xmod|yoso"
    r"|deit|beit|data2vec-\w+|dino\w+|dpt|hiera|ijepa|mlcd|pixtral|siglip\w*|swin\w*|videomae|vilt|vjepa2|yolos|aimv2\w*"
    r"|wav2vec2\S*|wavlm|unispeech\S*|sew\S*|parakeet\w*|audio-spectrogram-transformer)$",
    re.IGNORECASE,
)
"""Encoders of text, images and sound, by the names of transformers; BERT's many descendants by their ending."""


_LOOKING_AHEAD = {"is_causal": False, "use_bidirectional_attention": True}
"""Switches of decoders whose tokens see the ones after them, with the value that says so."""


def not_causal(*configs: Mapping[str, Any]) -> str:
    """Return in words why a model, given as its file and its language model, is no causal decoder, or nothing."""
    for config in configs:
        if _is_encoder(config):
            return "is an encoder: only causal decoders are modelled"
        if config.get("is_encoder_decoder") is True:
            return "has an encoder beside its decoder: only causal decoders are modelled"
        for name, value in _LOOKING_AHEAD.items():
            if config.get(name) is value:
                return f"gives {name}: {str(value).lower()}: only causal decoders are modelled"
    return ""


def _is_encoder(config: Mapping[str, Any]) -> bool:
    classes = config.get("architectures")
    masked = isinstance(classes, list) and any(str(name).endswith("ForMaskedLM") for name in classes)
    return masked or _ENCODERS.search(str(config.get("model_type"))) is not None


def notes_on_family(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words that the layers of a family which is not known here are taken for Llama's."""
    kind = config.get("model_type")
    if str(kind) in _KNOWN:
        return ()
    said = f"model_type {kind!r} is not known" if kind else "no model_type"
    return (f"{said}: its layers are taken for Llama's",)


def has_plain_mlp(kind: str, activation: Any) -> bool:
    """Whether feed-forward blocks have two matrices, not the three of a gated one."""
    return kind in _PLAIN_MLP or (activation in _PLAIN_ACTIVATIONS and kind not in _GATED_WHATEVER_ACTIVATION)
