"""One rule for what became of a target."""

from __future__ import annotations

import math

import pytest

from colossus_sim.results.targets import Verdict, verdict


@pytest.mark.parametrize(
    ("slip", "ended", "expected"),
    [
        (0.0, True, "met"),
        (1e-9, True, "missed"),
        (-3.0, True, "met"),
        (math.nan, True, "none"),
        (math.nan, False, "none"),
        (-3.0, False, "unknown"),
        (0.0, False, "missed"),
        (3.0, False, "missed"),
    ],
)
def test_a_target_is_met_missed_or_not_known(slip: float, ended: bool, expected: Verdict) -> None:
    """Met: ended at or before it; missed: it passed without an end; not known: the clock stopped before it."""
    assert verdict(slip, ended=ended) == expected
