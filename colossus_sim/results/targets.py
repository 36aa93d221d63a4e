"""Whether a job meets its target: one rule for reports, pictures, forecasts and searches."""

from __future__ import annotations

import math
from typing import Literal

Verdict = Literal["none", "met", "missed", "unknown"]


def verdict(slip: float, *, ended: bool) -> Verdict:
    """Say what became of a target.

    It is met if what it means ended at or before its instant (a date without a time is 00:00 UTC, the first instant
    of that day), i.e. if the slip is not positive. What had not ended when the simulation stopped missed a target
    that had passed by then; of a later target nothing is known.

    Parameters
    ----------
    slip : float
        End minus target, or the end of the simulation minus target if it had not `ended`; NaN without a target.
    """
    if math.isnan(slip):
        return "none"
    if ended:
        return "met" if slip <= 0.0 else "missed"
    return "missed" if slip >= 0.0 else "unknown"
