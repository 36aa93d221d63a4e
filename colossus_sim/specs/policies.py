"""How the cluster is run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import Spec
from colossus_sim.units import Ratio


class Policies(Spec):
    """Scheduling, placement, preemption, and how contention is reckoned."""

    scheduler: Literal["fifo", "priority", "priority_backfill"] = Field("priority_backfill")
    """fifo: strict order of submission; priority: strict order of priority; priority_backfill: by priority,
    and smaller jobs may pass one that does not fit yet."""
    placement: Literal["packed", "spread", "random"] = Field("packed")
    """packed: neighbouring domains; spread: evenly over pods; random: anywhere."""
    preemption: Literal["none", "priority"] = Field("none")
    """priority: a waiting job takes the GPUs of running jobs with lower priority (they save first)."""
    contention: Literal["none", "best_case", "average", "worst_case"] = Field("average")
    """none: every job has its links to itself; best_case: jobs interleave, each sends while the others compute;
    average: jobs are independent, the others take their mean demand away; worst_case: phases are aligned, all
    communicate at the same moment and share by max-min fairness."""
    resize_gain: Annotated[Ratio, Field(gt=0, le=10)] = Field(0.1)
    """An elastic job is stopped to be given more GPUs only for at least this relative gain."""
