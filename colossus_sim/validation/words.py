"""What a source's own words mean: sharding, number format, pipeline schedule, attention, frozen weights.

Each function returns what a text stands for and, where the text leaves something open, the words that say what was
assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_STAGE = re.compile(r"^([0-3])$|(?:zero|stage)[-_ ]*(?:stage|dp|level)?[-_ =:]*([0-3])\b", re.IGNORECASE)
_OPTIMIZER = re.compile(
    r"dist(?:ributed)?[-_ ]?opt|shard(?:ed)? optimizer|optimizer[- ]stat\w* shard", re.IGNORECASE
)
_GRADIENTS = re.compile(
    r"SHARD_GRAD_OP|no reshard|reshard_after_forward\W*(?:false|off|0)|FSDP[^,;]*ZeRO-?2", re.IGNORECASE
)
_PARAMETERS = re.compile(r"FSDP|HSDP|FULL_SHARD|full(?:y)?[-_ ]shard|hybrid[-_ ]shard", re.IGNORECASE)
_UNSHARDED = re.compile(
    r"(?:none|ddp|dp|no|not|without|off|false|data[- ]parallel|replicated)\b", re.IGNORECASE
)
_NO_SHARD = re.compile(r"\bNO_SHARD\b")
_PARTIAL = re.compile(r"HSDP|hybrid[-_ ]shard|hierarchical|HYBRID", re.IGNORECASE)
_OFFLOAD = re.compile(r"infinity|offload", re.IGNORECASE)

_NOT = re.compile(r"\b(?:no|not|non|without|w/o|instead of|unlike|than|disabled?)\b[^,;.|]*$", re.IGNORECASE)
_NOT_AFTER = re.compile(
    r"\W*(?:is |was )?(?:not (?:used|enabled|applied)\b|not\s*(?:$|[,;.|)])|(?:off|unused|disabled)\b)",
    re.IGNORECASE,
)


def affirmed(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Return where a pattern occurs without a negation before it in the same clause, or right after it."""
    return [
        found
        for found in pattern.finditer(text)
        if not _NOT.search(text[: found.start()]) and not _NOT_AFTER.match(text[found.end() :])
    ]


def zero_stage(text: str) -> tuple[int, str]:
    """Return the ZeRO stage that a source's words mean, and what was assumed.

    Megatron's distributed optimizer reduces gradients once per step, hence stage 1 even where a paper calls
    it ZeRO-2-style; FSDP that keeps parameters after the forward pass is stage 2; an empty cell means the
    distributed optimizer, which every such source uses by default.
    """
    if not text:
        return 1, "zero_stage_or_fsdp = distributed optimizer (ZeRO-1) assumed"
    stage = _stage(text)
    if stage is None:
        return 1, f"zero_stage_or_fsdp {text!r} is not understood: ZeRO-1 assumed"
    if _PARTIAL.search(text):
        return stage, f"zero_stage_or_fsdp {text!r}: shards over all data-parallel ranks assumed"
    return stage, ""


def _stage(text: str) -> int | None:
    numbers = {int(found[1] or found[2]) for found in affirmed(_STAGE, text)}
    if _NO_SHARD.search(text):
        return 0
    if affirmed(_OPTIMIZER, text) or 1 in numbers:
        return 1
    if affirmed(_GRADIENTS, text) or 2 in numbers:
        return 2
    if affirmed(_PARAMETERS, text) or 3 in numbers:
        return 3
    denied = any(pattern.search(text) for pattern in (_STAGE, _OPTIMIZER, _GRADIENTS, _PARAMETERS))
    return 0 if denied or _UNSHARDED.match(text) else None


def offloaded(text: str) -> bool:
    """Whether the words name states that are kept outside the GPUs."""
    return bool(affirmed(_OFFLOAD, text))


_FORMATS: Mapping[str, str] = {
    "nvfp4": r"nv[-_ ]?fp[-_ ]?4",
    "mxfp8": r"mx[-_ ]?(?:fp|float)[-_ ]?8|fp[-_ ]?8(?:[-_ ]?mx|(?:(?!\bnot?\b)[^,;|/+])*\bmx\b)"
    r"|microscal\w*[-_ ]*fp[-_ ]?8",
    "fp8": r"(?:fp|float)[-_ ]?8",
    "bf16": r"b(?:f|fp|float)[-_ ]?16",
    "fp16": r"(?:fp|float)[-_ ]?16|\bhalf\b",
    "tf32": r"tf[-_ ]?32",
    "fp32": r"(?:fp|float)[-_ ]?32",
}
"""Number formats, narrowest first, with their spellings."""
_OTHER_FORMATS = re.compile(
    r"(?<!nv)(?<!nv[-_ ])(?:fp|float|\bu?int)[-_ ]?[46](?!\d)|\bu?int[-_ ]?8(?!\d)", re.IGNORECASE
)
_FORMAT = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _FORMATS.items()), re.IGNORECASE)
_WIDTHS = ({"nvfp4"}, {"mxfp8", "fp8"}, {"bf16", "fp16"}, {"tf32", "fp32"})


def precision(text: str, gpu: str) -> tuple[str, str]:
    """Return the format of the matrix products, the narrowest that a cell names, and what was assumed.

    Of two with "or" between them, both equally wide: ``mxfp8`` on Blackwell, ``fp8`` before it, or ``bf16``. A
    format that is denied does not count; one that is not known comes back as it is.

    Raises
    ------
    ValueError
        If the cell names two formats of different width with "or".
    """
    names = {str(found.lastgroup) for found in affirmed(_FORMAT, text)}
    if not names or affirmed(_OTHER_FORMATS, text):
        return text.lower(), ""
    if re.search(r"\bor\b", text.lower()) and len(names) > 1:
        if not any(names <= width for width in _WIDTHS):
            raise ValueError(f"precision: {text!r} leaves open which")
        blackwell = gpu.upper().startswith(("B", "GB"))
        chosen = ("mxfp8" if blackwell else "fp8") if "fp8" in names else "bf16"
        return chosen, f"precision = {chosen} of {text!r} assumed"
    narrowest = min(names, key=list(_FORMATS).index)
    widths = sum(bool(names & width) for width in _WIDTHS[:3])
    return narrowest, f"precision = {narrowest}, the narrowest of {text!r}, assumed" if widths > 1 else ""


_SCHEDULES = (
    ("dualpipe", re.compile(r"dual[- ]?pipe", re.IGNORECASE)),
    ("zero_bubble", re.compile(r"zero[-_ ]?bubble|\bZB-?(?:H1|H2|V|1P|2P)\b", re.IGNORECASE)),
    ("gpipe", re.compile(r"\bg-?pipe\b", re.IGNORECASE)),
)


def named_schedule(text: str) -> str:
    """Return the pipeline schedule that the words of a source name; empty for none but the usual."""
    return next((name for name, pattern in _SCHEDULES if affirmed(pattern, text)), "")


_FROZEN = re.compile(
    r"\bQ?LoRA\b|base weights frozen|frozen (?:base|backbone|weights)|\bPEFT\b|adapters? only", re.I
)


def freezes_weights(text: str) -> bool:
    """Whether the words say that only adapters are trained."""
    return bool(affirmed(_FROZEN, text))


_EVERY_SECOND = re.compile(
    r"(?:every|each) (?:second|other|2nd) layer|alternat\w+ (?:dense and MoE|MoE and dense)"
    r"|interleave_moe_layer_step\W{0,3}2|moe_layer_freq\w*\W{0,3}2\b",
    re.IGNORECASE,
)


def experts_in_every_second_layer(text: str) -> bool:
    """Whether the words say that dense layers alternate with mixtures of experts."""
    return _EVERY_SECOND.search(text) is not None


_KINDS_OF_ATTENTION = re.compile(
    r"MHA|GQA|MQA|MLA|SWA|full|causal|multi[- ]?head|group(?:ed)?[- ]?query|multi[- ]?query|latent|sliding|softmax"
    r"|flash",
    re.IGNORECASE,
)
_OTHER_ATTENTION = re.compile(
    r"mamba|ssm|linear|delta|hybrid|sparse|lightning|retention|rwkv|hyena|\b(?:NSA|DSA|KDA|CSA|MoBA)\b",
    re.IGNORECASE,
)
_MODELLED_ATTENTION = re.compile(
    rf"(?:{_KINDS_OF_ATTENTION.pattern}|attention|alternat\w+|alternate|window|[\s,+/()-])*", re.IGNORECASE
)


def unknown_attention(text: str) -> bool:
    """Whether a cell names attention of a kind that the architectures here do not have."""
    if not text:
        return False
    return _OTHER_ATTENTION.search(text) is not None or _KINDS_OF_ATTENTION.search(text) is None


def beyond_attention(text: str) -> str:
    """Return what is assumed where a cell says more about attention than is modelled; empty where it does not."""
    return "" if _MODELLED_ATTENTION.fullmatch(text) else f"attn {text!r}: only the kind of heads is modelled"


def windowed(text: str) -> bool:
    """Whether a cell names attention within a sliding window."""
    return re.search(r"SWA|sliding", text, re.IGNORECASE) is not None


def latent(text: str) -> bool:
    """Whether a cell names latent attention."""
    return re.search(r"\bMLA\b|latent", text, re.IGNORECASE) is not None


def grouped(text: str) -> bool:
    """Whether a cell names query heads that share keys and values in groups."""
    return re.search(r"GQA|group(?:ed)?[- ]?query", text, re.IGNORECASE) is not None


def of_one_key(text: str) -> bool:
    """Whether a cell names query heads that all share one key and value head."""
    return re.match(r"MQA|multi[- ]?query", text, re.IGNORECASE) is not None
