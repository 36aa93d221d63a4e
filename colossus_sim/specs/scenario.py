"""The root of a scenario."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from colossus_sim.specs.base import Name, Spec
from colossus_sim.specs.checkpoint import CheckpointPolicy
from colossus_sim.specs.cluster import Cluster
from colossus_sim.specs.faults import Faults
from colossus_sim.specs.hardware import Calibration
from colossus_sim.specs.job import Job
from colossus_sim.specs.policies import Policies
from colossus_sim.units import Duration, Instant

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Scenario(Spec):
    """A cluster, a roadmap of jobs, what fails, and the policies."""

    version: Literal[1]
    """Version of this format."""
    name: Identifier
    """Short name; names the run folder."""
    title: Name = Field("untitled")
    """One line for people."""
    question: str = ""
    """The question that this scenario answers."""
    start: Instant
    """When the simulated clock starts."""
    horizon: Duration
    """When it stops, whether or not all jobs are done."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Seed of all random streams."""
    cluster: Cluster
    """Sites and GPUs."""
    jobs: Annotated[dict[Identifier, Job], Field(min_length=1)]
    """The roadmap, by job name."""
    faults: Faults
    """Failures (catalog name or fields)."""
    checkpoint: CheckpointPolicy
    """Saving policy of jobs that have none of their own."""
    calibration: Calibration
    """Kernel efficiencies (catalog name or fields)."""
    policies: Policies = Field(default_factory=Policies)
    """Scheduling and placement."""

    _loaded: Any = PrivateAttr(default=None)

    @property
    def loaded(self) -> Any:
        """How this scenario was put together (`colossus_sim.loading.facts.LoadedFacts`); None if built in code."""
        return self._loaded
