"""How the cluster is run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from colossus_sim import policies
from colossus_sim.errors import UsageError
from colossus_sim.specs.base import Spec
from colossus_sim.units import Ratio


def _known(name: str) -> str:
    """Let only names pass that stand for a policy; one from outside must work."""
    if name in policies.BUILT_IN:
        return name
    names = policies.known()
    if name not in names:
        expected: dict[str, Any] = {"expected": ", ".join(map(repr, names))}
        raise PydanticCustomError("unknown_policy", "expected one of {expected}", expected)
    try:
        policies.load(name)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return name


_CHOICES = {
    "anyOf": [{"enum": list(policies.BUILT_IN), "type": "string"}, {"type": "string", "minLength": 1}]
}
Scheduler = Annotated[str, AfterValidator(_known), WithJsonSchema(_CHOICES)]
"""Name of a scheduling policy: a built-in one, or one that a package offers."""


class Policies(Spec):
    """Scheduling, placement, preemption, and how contention is reckoned."""

    scheduler: Scheduler = Field("priority_backfill")
    """fifo: strict order of submission; priority: strict order of priority; priority_backfill: by priority,
    and smaller jobs may pass one that does not fit yet; easy_backfill and conservative_backfill: by submission, and
    a job may pass if by the announced walltimes it delays nobody with a reservation (the first one that waits,
    or all of them); fair_share: the account with the least GPU time so far first; deadline: least slack to the
    target date first; these two with backfill as in priority_backfill. Any other name is that of a plug-in, see
    docs/extending.md."""
    placement: Literal["packed", "rail_aligned", "minimum_tier", "spread", "random"] = Field("packed")
    """packed: neighbouring domains; rail_aligned: whole leaf groups, so that GPUs of a rail share a switch;
    minimum_tier: best fit inside the lowest tier with room; spread: evenly over leaf groups; random: anywhere. A
    job may name its own place (`first_domain`)."""
    preemption: Literal["none", "priority"] = Field("none")
    """priority: a waiting job takes the GPUs of running jobs with lower priority (they save first)."""
    contention: Literal["none", "best_case", "average", "independent", "worst_case"] = Field("average")
    """none: every job has its links to itself; best_case: jobs interleave, each sends while the others compute;
    average: the others take their mean demand away; independent: jobs communicate at independent random moments,
    the mean over who else does; worst_case: phases are aligned, all communicate at the same moment and share by
    max-min fairness."""
    storage_access: Literal["mean", "alone", "shared", "blocking", "first_come", "least_waste"] = Field(
        "mean"
    )
    """How jobs share a site's storage when they save. mean: in closed form, each save slowed by the others' mean
    demand; the rest play every save as an event. alone: as if each had the storage to itself (the ideal); shared:
    all at once, in proportion to their GPUs; blocking: one at a time, in the order of asking, and jobs stand still
    while they wait; first_come: the same, but jobs compute on while they wait; least_waste: jobs compute on, and
    the next is the one that costs the others least (cooperative checkpointing, Herault et al. 2019, INRIA
    RR-9109). Restarts read through the same queue."""
    resize_gain: Annotated[Ratio, Field(gt=0, le=10)] = Field(0.1)
    """An elastic job is stopped to be given more GPUs only for at least this relative gain."""
