"""The format of a sweep file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from colossus_sim.errors import UsageError
from colossus_sim.specs.base import AsTuple, Name, Spec
from colossus_sim.units import Count

Values = Annotated[tuple[Any, ...], AsTuple, Field(min_length=1, max_length=100_000)]
FieldPath = Annotated[str, Field(min_length=1, max_length=300)]


class VaryError(UsageError):
    """What is to vary makes no sense.

    Attributes
    ----------
    place : tuple of str or int
        Keys and indices below ``vary`` that lead to what is wrong; empty for the whole.
    """

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


class Range(Spec):
    """A law for one field. Ends and mode are written as in a scenario, with units."""

    low: Any
    """Smallest value (normal: the 5 % quantile)."""
    high: Any
    """Largest value (normal: the 95 % quantile)."""
    mode: Any = None
    """Most likely value, for the triangular law; left out = the middle."""
    law: Literal["uniform", "loguniform", "triangular", "normal"] = Field("uniform")
    """Law between the ends."""


class Sample(Spec):
    """Points spread over ranges."""

    method: Literal["latin_hypercube", "sobol"] = Field("latin_hypercube")
    """latin_hypercube: any number of points; sobol: best with a power of two."""
    points: Annotated[Count, Field(ge=2, le=1_000_000)]
    """How many."""
    ranges: Annotated[dict[FieldPath, Range], Field(min_length=1)]
    """Law of each field."""


class Tornado(Spec):
    """One assumption at a time at its low and at its high end, the others central."""

    assumptions: Annotated[tuple[FieldPath, ...], AsTuple] = Field(())
    """Beginnings of field paths; left out = all assumptions of the scenario."""


class Vary(Spec):
    """What differs between points: grid, zip, list and their combinations, or a sample, a tornado, or changes."""

    grid: dict[FieldPath, Values] = Field(default_factory=dict)
    """Every combination of these values."""
    zip: dict[FieldPath, Values] = Field(default_factory=dict)
    """First values together, second values together, and so on."""
    list: Annotated[tuple[dict[FieldPath, Any], ...], AsTuple] = Field(())
    """Points written out, each a mapping of fields to values."""
    sample: Sample | None = Field(None)
    """Points spread over ranges."""
    tornado: Tornado | None = Field(None)
    """One assumption at a time."""
    changes: dict[Name, dict[FieldPath, Any]] = Field(default_factory=dict)
    """Named changes, one at a time, against the scenario as it is: what each is worth."""


class SweepSpec(Spec):
    """A sweep: a scenario, what to vary, how often to run each point."""

    version: Literal[1]
    """Version of this format."""
    title: Name = Field("untitled")
    """One line for people."""
    question: str = ""
    """The question that this sweep answers."""
    scenario: str
    """Name of a shipped scenario, or the path of a file, relative to this one."""
    case: Literal["low", "central", "high"] = Field("central")
    """Which end of the assumptions."""
    set: dict[FieldPath, Any] = Field(default_factory=dict)
    """Fields changed at all points."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(None)
    """Root seed; left out = the scenario's."""
    replicas: Annotated[Count, Field(ge=1, le=1_000_000)] = Field(1)
    """Runs of each point."""
    common_random_numbers: bool = Field(True)
    """Whether the k-th run has the same seed at every point, so that differences are paired."""
    vary: Vary
    """What differs between points."""
    measures: Annotated[tuple[str, ...], AsTuple] = Field(())
    """Measures to show and draw, e.g. jobs.my_job.slip_days; left out = slip of each job with a target."""
