"""Simulated metrics against published figures."""

from __future__ import annotations

import math

import pytest

from colossus_sim.results.published import holds
from colossus_sim.specs.job import Published


def figure(relation: str) -> Published:
    """A published ETTR of 0.9."""
    return Published.model_validate(
        {"metric": "ettr", "value": 0.9, "relation": relation, "source": "made up for a test"}
    )


@pytest.mark.parametrize(
    ("relation", "simulated", "expected"),
    [
        ("at_least", 0.91, True),
        ("at_least", 0.89, False),
        ("at_most", 0.89, True),
        ("at_most", 0.91, False),
        ("equals", 0.91, None),
        ("at_least", math.nan, None),
    ],
)
def test_a_bound_holds_or_not_and_a_value_is_only_compared(
    relation: str, simulated: float, expected: bool | None
) -> None:
    """Bounds are one-sided; a figure published as a value has no verdict."""
    assert expected is holds(simulated, figure(relation))
