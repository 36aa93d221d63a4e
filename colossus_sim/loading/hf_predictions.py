"""The modules of a Hugging Face ``config.json`` that predict further tokens, in the spellings of its families.

Names as published with DeepSeek, GLM, MiMo, Ling, Qwen 3.5, MiniMax-M2 and openPangu, and Megatron-LM's. They are
trained like layers, so a field about them that is not known here is refused, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from colossus_sim.loading.hf_experts import contradiction, first_of

_MODULES = (
    "num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", "num_mtp_layers", "mtp_num_layers",
)  # fmt: skip
_LAYERS_OF_ONE = "mtp_transformer_layers"
_SWITCH = "use_mtp"
_ABOUT_PREDICTIONS = re.compile(r"mtp|nextn|multi_?token_?pred", re.IGNORECASE)
_NO_SHAPE = re.compile(r"loss|coef|lambda|weight|scal|init|detach|hidden_states_first", re.IGNORECASE)
"""Fields of how such modules are trained or called, which change no count of parameters or FLOPs."""


def fields_of_predictions(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a mapping that are about further predictions."""
    return {name: value for name, value in config.items() if _ABOUT_PREDICTIONS.search(name)}


def prediction_modules(config: Mapping[str, Any]) -> Any:
    """Return how many modules predict a further token each; None where the file does not say."""
    return 0 if config.get(_SWITCH) is False else first_of(config, _MODULES)


def other_predictions(config: Mapping[str, Any]) -> str:
    """Return in words what is said about further predictions and cannot be expressed, or nothing."""
    given = fields_of_predictions(config)
    if given.get(_SWITCH) is False:
        return ""
    number = prediction_modules(given)
    if given.get(_SWITCH) and number is None:
        return f"gives {_SWITCH}, but not how many modules predict further tokens"
    if number and given.get(_LAYERS_OF_ONE) not in (None, 1):
        return f"gives {_LAYERS_OF_ONE} {given[_LAYERS_OF_ONE]} (modules of several layers)"
    known = (*_MODULES, _LAYERS_OF_ONE, _SWITCH)
    unknown = [
        name for name, value in given.items() if value and name not in known and not _NO_SHAPE.search(name)
    ]
    if unknown:
        return f"says of further predictions what is not understood: {', '.join(sorted(unknown))}"
    return contradiction(given, _MODULES)
