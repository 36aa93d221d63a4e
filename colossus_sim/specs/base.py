"""The base of every input: frozen, strict, nothing unknown, every field described."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Spec(BaseModel):
    """A frozen record of inputs in SI units."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


AsTuple = BeforeValidator(_tuple)
"""Turns the list of a file into the tuple that a frozen record holds."""

Name = Annotated[str, Field(min_length=1, max_length=80)]

Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "mxfp8", "nvfp4"]
"""Number formats of matrix units; fp8 is scaled per tensor, or per block in software (DeepSeek-V3); mxfp8 and nvfp4
are scaled per block by the units themselves."""


def _at_most_16_bits(value: Any) -> Any:
    if value in ("fp32", "tf32"):
        raise ValueError(
            f"training in {value} is not modelled: weights, activations and messages are counted in 16 bits at most"
        )
    return value


TrainingPrecision = Annotated[
    Literal["fp16", "bf16", "fp8", "mxfp8", "nvfp4"], BeforeValidator(_at_most_16_bits)
]
"""Number formats of the matrix multiplications of a training step."""

TRAINING_PRECISIONS: tuple[str, ...] = get_args(get_args(TrainingPrecision)[0])
"""Their names."""


class Provenance(Spec):
    """Where a catalog entry comes from."""

    kind: Literal["data sheet", "paper", "measurement", "fit", "press", "assumption"]
    """How firm it is; a fit rests on published results of whole runs."""
    reference: Annotated[str, Field(min_length=1)]
    """Document, DOI, arXiv id, or repository and commit."""
    checked: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    """When it was last checked."""
    note: str = ""
    """What to know before using it."""


def default(text: str) -> Any:
    """Return the field default that is written as in a file, e.g. ``"5 min"``."""
    return Field(default=text)
