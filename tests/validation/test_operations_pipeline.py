"""The shipped scenario with AIReSim's parameters: its published figures."""

from __future__ import annotations

import pytest

from colossus_sim.validation.operations_pipeline import pipeline_cases
from colossus_sim.validation.operations_stats import Case


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Two runs under each rule, played once."""
    return list(pipeline_cases(2, 5))


def test_published_means_are_met_within_four_standard_errors(cases: list[Case]) -> None:
    """Time, effective ratio and counts of both published reports."""
    assert [(item.name, item.z) for item in cases if not item.passed] == []
    assert [item.expected for item in cases if item.name.endswith("wall-clock time")] == [9865.97, 9832.32]
    assert all(item.half_width < 0.01 for item in cases if item.name.endswith(("time", "ratio")))


def test_the_wrong_rule_for_the_manual_stage_is_told_apart(cases: list[Case]) -> None:
    """The repairs by hand under one rule lie many standard errors from those of the other."""
    by_rule = [item for item in cases if item.name.endswith("manual repairs")]
    assert abs(by_rule[0].simulated - by_rule[1].expected) > 10 * by_rule[0].error
