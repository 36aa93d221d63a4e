"""When and where a job saves its state."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from colossus_sim.specs.base import AsTuple, Spec, default
from colossus_sim.units import DURATION, Bandwidth, Bytes, Count, Duration, Ratio

_Formula = Literal["young", "optimal", "optimised"]


def _interval(value: Any) -> Any:
    if value in get_args(_Formula):
        return value
    try:
        return DURATION.parse(value)
    except ValueError as error:
        raise PydanticCustomError(
            "interval",
            "{text}",
            {"text": f"{error}; or 'optimal' (Daly), 'young', 'optimised' (all tiers together)"},
        ) from None


_WRITTEN = {"anyOf": [{"enum": list(get_args(_Formula)), "type": "string"}, DURATION.text_schema]}
Interval = Annotated[
    float | _Formula,
    BeforeValidator(_interval),
    DURATION,
    WithJsonSchema(_WRITTEN | {"examples": list(DURATION.examples), "x-si-unit": DURATION.unit}),
]


class CheckpointTier(Spec):
    """One place to save to."""

    name: Annotated[str, Field(min_length=1)]
    """For example host_memory, peer_memory, nvme, storage."""
    mode: Literal["sync", "async"] = Field("async")
    """sync: training stops for the whole write; async: it stops for the copy to host memory only."""
    interval: Interval = Field("optimal")
    """Time between saves; ``optimal`` for Daly's interval of this tier's stall and failures, ``young`` for Young's
    first-order one (Young 1974), which is longer where saves are long; ``optimised`` for the best efficiency of all
    tiers together, by search over the formula of `formulas.save_pattern`."""
    snapshot_bandwidth: Bandwidth = default("20 GB/s")
    """Per GPU, device to host memory: the stall of an asynchronous save."""
    write_bandwidth: Bandwidth | None = Field(None)
    """Per GPU, for local tiers; left out = the site's shared storage."""
    read_bandwidth: Bandwidth | None = Field(None)
    """Per GPU, for local tiers; left out = the site's shared storage."""
    coordination: Duration = default("1 s")
    """Fixed stall per save: barrier, metadata."""
    survives: Literal["software", "node", "domain", "site"] = Field("site")
    """Largest failure after which the copy can still be read."""
    unreadable: Annotated[Ratio, Field(ge=0, lt=1)] = Field(0.0)
    """Chance that a completed copy turns out to be damaged when it is loaded: the time to load it is lost, and the
    next older copy is tried. Saves before a controlled stop are read back first. No rate is published."""
    older_copies: Annotated[Count, Field(ge=1, le=100)] = Field(3)
    """Copies kept behind the newest one, for `unreadable`; the oldest of them counts as readable."""


class CheckpointPolicy(Spec):
    """Saving policy of a job."""

    tiers: Annotated[tuple[CheckpointTier, ...], AsTuple, Field(min_length=1, max_length=4)]
    """From the fastest to the safest; the last one must survive everything it is meant to survive."""
    bytes_per_parameter: Annotated[Ratio, Field(gt=0, le=64)] = Field(14.0)
    """bf16 weight 2 + fp32 master 4 + two fp32 moments 8 = 14 B."""
    state_bytes: Bytes | None = Field(None)
    """Size of one save, for jobs whose state does not follow from parameters; left out = parameters times
    `bytes_per_parameter`."""

    def size(self, parameters: float) -> float:
        """Return the size of one save of a model with so many parameters. [B]"""
        return parameters * self.bytes_per_parameter if self.state_bytes is None else self.state_bytes
