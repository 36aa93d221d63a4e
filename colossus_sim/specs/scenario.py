"""The root of a scenario."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

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
    _case: str = PrivateAttr(default="central")

    @property
    def loaded(self) -> Any:
        """How this scenario was put together (`colossus_sim.loading.facts.LoadedFacts`); None if built in code."""
        return self._loaded

    @property
    def case(self) -> str:
        """Which end of the assumptions it was loaded with: low, central, high."""
        return self._case

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; one with changed fields is not checked, and no longer says how it was loaded.

        `with_overrides` checks what it changes, and the copy still knows its files.
        """
        copied = super().model_copy(update=update, deep=deep)
        if update:
            copied._loaded = None
        return copied

    def with_overrides(self, *overrides: str | Mapping[str, Any]) -> Scenario:
        """Return this scenario with changed fields, checked as ``--set`` is.

        What came from files is read from them again, so a run of the new scenario can be repeated from its run
        folder's command. What was made or changed in Python is taken as it is.

        Parameters
        ----------
        *overrides : str or mapping
            ``path=value`` texts such as ``"jobs.llama_70b.gpus=480"``, or mappings of paths to values.

        Raises
        ------
        ScenarioError
            With all problems found.
        """
        # Loading stands above the specs; it is looked up by name, so that they do not depend on it.
        load = importlib.import_module("colossus_sim.loading.load")
        changed: Scenario = load.with_overrides(self, overrides)
        return changed
