"""How the hazard of a unit changes with its age."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import AsTuple, Spec, default
from colossus_sim.units import Duration, Ratio


class HazardPart(Spec):
    """One Weibull hazard: falling with age (infant mortality, shape < 1) or rising (wear-out, shape > 1)."""

    shape: Annotated[Ratio, Field(ge=0.1, le=20)]
    """Weibull shape k."""
    life: Annotated[Duration, Field(gt=0)]
    """Characteristic life: by this age 63.2 % of the units would have failed of this part alone."""


class Lifetime(Spec):
    """Hazard of one unit at age a: the class's `rate`, plus (k / life) (a / life)^(k - 1) of every part.

    Two parts, one with k < 1 and one with k > 1, make a bathtub (additive Weibull model, Xie and Lai 1996,
    doi:10.1016/0951-8320(95)00149-2).
    """

    parts: Annotated[tuple[HazardPart, ...], AsTuple, Field(min_length=1, max_length=4)]
    """Weibull hazards that add up, on top of the constant `rate` (which may be 0)."""
    burn_in: Duration = default("0 s")
    """Time in service before delivery: the age of a unit when it is installed, or new after a repair."""
    renewed: Literal["never", "by_hand", "always"] = Field("by_hand")
    """Which failures make the unit new: none (its age goes on), those that need hands (a replaced part; a reset
    renews nothing), or all."""
    outlook: Annotated[Duration, Field(gt=0)] = default("30 days")
    """``interval: optimal`` reckons with the mean hazard over so long a time ahead."""
