"""Cells of few values: which of them a source's own words stand for.

A cell is read where exactly one value is named and not denied; what stands in parentheses only counts where the
rest names nothing, or where it takes the rest back. Anything else is refused with what is wrong, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from colossus_sim.validation.words import affirmed

_YES = ("y", "yes", "true", "1", "on", "enabled", "used")
_NO = ("n", "no", "false", "0", "off", "disabled", "not used", "unused", "none")
_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sequence_parallel": {"y": _YES, "n": _NO},
    "mlp_gated": {"Y": _YES, "N": _NO},
    "fully_specified": {"Y": _YES, "N": _NO, "near": ("near", "nearly", "almost")},
    "outcome": {"ok": ("ok", "ran"), "oom": ()},
    "recompute": {"none": _NO, "selective": (), "full": ()},
    "model_kind": {"dense": (), "moe": (), "hybrid": (), "layer-microbench": ("layer-microbench",)},
}
COLUMNS_OF_FEW_VALUES = frozenset(_WORDS)
"""Columns whose cells `value_of` reads."""


def _any_case(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


_PHRASES: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "sequence_parallel": {},
    "mlp_gated": {
        "Y": _any_case(r"\w*glu\b|\bgated\b|\bgating\b|(?:three|3)[- ]matri"),
        "N": _any_case(
            r"(?<!gated[- ])\b(?:gelu|relu|relu2|squared[- ]relu|plain|ungated)(?![a-z])|(?:two|2)[- ]matri"
        ),
    },
    "fully_specified": {},
    "outcome": {
        "ok": _any_case(
            r"\b(?:ok|ran(?! out| OOM| into)|runs|success\w*|succeeded|completed?|finished|fits|passed|trained)\b"
        ),
        "oom": _any_case(
            r"\b\w*OOM(?:ed|s)?(?![a-z])|out[- ]?of[- ]?\w*[- ]?memory|memory (?:error|exceeded)|exceed\w* memory"
            r"|(?:does|did)(?: not|n't) fit"
        ),
    },
    "recompute": {
        "selective": _any_case(r"selective\w*|\bSAC\b|core[- ]?att\w*"),
        "full": _any_case(
            r"\bfull(?:y)?\b|\b(?:all|every|each|whole|entire|complete) \w*layers?\b|gradient[- ]checkpointing"
        ),
    },
    "model_kind": {
        "hybrid": _any_case(r"hybrid|mamba|\bSSM\b|linear attention"),
        "moe": _any_case(r"\bMoEs?\b|mixtures?[- ]of[- ](?:\w+[- ])?experts?|sparsely[- ]gated"),
        "dense": _any_case(r"\bdense\b"),
    },
}
"""Words that name a value, wherever in a cell they stand."""
_DENIED_IS: Mapping[str, Mapping[frozenset[str], str]] = {
    "mlp_gated": {frozenset("Y"): "N"},
    "outcome": {frozenset({"oom"}): "ok"},
    "model_kind": {frozenset({"moe"}): "dense"},
    "recompute": {frozenset({"selective", "full"}): "none"},
}
"""The value of a cell that only denies others."""
_OFF = _any_case(
    r"(?:no|none|without|w/o|off|never)\b.*|[^,;]*\b(?:off|disabled|none|unused|not used|not enabled)"
)
"""A cell that says of something unnamed that it is not done."""
_TAKEN_BACK = re.compile(r"\s*\(\s*(?:off|disabled|not|unused|never)\b", re.IGNORECASE)
_SOME_LAYERS = _any_case(
    r"\d+ ?(?:of|/) ?\d+|\bx ?\d+\b|\b\d+ \w*layers|every (?:\d|other|second)|\d(?:nd|rd|th) layer"
)
_RECOMPUTED = (
    (_SOME_LAYERS, "only some of the layers: not modelled"),
    (_any_case(r"offload"), "activations outside the GPUs are not modelled"),
)
_OTHER_KINDS = (
    (
        _any_case(r"diffusion|\bDiT\b|encoder|\bT5\b|vision|multi-?modal|\bVLM\b|RWKV|retention"),
        "not modelled",
    ),
)
_BEYOND: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "oom": ((_any_case(r"\bhost\b|\bCPU\b|\bRAM\b|oom[- ]?killer"), "the host's memory, not that of the GPUs"),),
    "selective": _RECOMPUTED,
    "full": _RECOMPUTED,
    "dense": _OTHER_KINDS,
    "moe": _OTHER_KINDS,
}  # fmt: skip
"""Words beside a value that make a cell mean something else, with what is wrong then."""
_SAYS_NOTHING: Mapping[str, re.Pattern[str]] = {
    "model_kind": _any_case(
        r"(?:(?:decoder|only|causal|auto-?regressive|transformer|language|model|LM|LLM|GPT)\b[-_ ]*)+"
    ),
}
"""Words that fit every value, and so are as good as an empty cell."""


def value_of(column: str, text: str) -> tuple[str, str]:
    """Return the value of a column of few values that a text stands for, and what is wrong with it.

    One of the two is empty; both are where the text says nothing that tells the values apart.
    """
    head = text.partition("(")[0].strip()
    for value, words in _WORDS[column].items():
        if head.lower() in (value.lower(), *words):
            return _unless_beyond(text, value)
    if column in _SAYS_NOTHING and _SAYS_NOTHING[column].fullmatch(text):
        return "", ""
    named = _named(column, head.replace("_", " ")) or _named(column, text.replace("_", " "))
    if len(named) == 1:
        return _unless_beyond(text, named.pop())
    wrong = f"{text!r} names {' and '.join(sorted(named))}" if named else ""
    return "", wrong or f"{text!r} is none of {', '.join(_WORDS[column])}"


def _named(column: str, text: str) -> set[str]:
    """Return the values that a text names; those that its denials leave where it names none."""
    phrases = _PHRASES[column]
    named = {value for value, pattern in phrases.items() if _holds(pattern, text)}
    if named:
        return named
    denied = frozenset(value for value, pattern in phrases.items() if pattern.search(text))
    if denied:
        return {_DENIED_IS[column][denied]} if denied in _DENIED_IS.get(column, {}) else set()
    return {"none"} if column == "recompute" and _OFF.fullmatch(text) else set()


def _holds(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a text names something that the rest of the same clause does not switch off."""
    return any(not _SWITCHED_OFF.match(text[found.end() :]) for found in affirmed(pattern, text))


_SWITCHED_OFF = re.compile(r"[^,;.|(]*\b(?:not (?:used|enabled)|off|unused|disabled)\b", re.IGNORECASE)


def _unless_beyond(text: str, value: str) -> tuple[str, str]:
    """Return a value, unless other words of the cell say that it is not what they mean."""
    if _TAKEN_BACK.match(text[len(text.partition("(")[0]) :]):
        return "", f"{text!r} contradicts itself"
    for pattern, wrong in _BEYOND.get(value, ()):
        if pattern.search(text):
            return "", f"{text!r}: {wrong}"
    return value, ""
