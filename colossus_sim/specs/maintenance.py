"""Planned work on the hardware of a site."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from colossus_sim.specs.base import Spec, default
from colossus_sim.units import Duration, Instant, Ratio


class Maintenance(Spec):
    """A maintenance window, or a roll-out (firmware, drivers, leak checks) that takes domains in turn."""

    title: str = ""
    """Name for people."""
    partition: str | None = Field(None)
    """Partition that it is done on; left out = all of the site, each by itself."""
    first: Instant
    """When the first round begins."""
    every: Annotated[Duration, Field(gt=0)] | None = Field(None)
    """From the beginning of a round to that of the next; left out = it is done once."""
    duration: Annotated[Duration, Field(gt=0)]
    """How long each domain is out of service."""
    fraction: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Share of the installed domains that is taken at a time, rounded up, in order of their numbers: 1 = all at
    once, a window; less = a rolling update. Jobs on them save first, then go on with spares or wait."""
    pause: Duration = default("0 s")
    """From the end of one batch to the beginning of the next."""
