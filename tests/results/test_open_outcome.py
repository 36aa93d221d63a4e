"""A reported outcome that had not happened yet: a range without an end."""

from __future__ import annotations

import pytest

from colossus_sim.results.backtest import error_days
from colossus_sim.results.comparisons import backtest_section
from colossus_sim.specs.job import Observation
from colossus_sim.units import parse_instant


@pytest.mark.parametrize(("end", "error"), [
    ("2026-06-20", -7.0), ("2026-06-27", 0.0), ("2026-08-01", 0.0), ("2031-01-01", 0.0),
])  # fmt: skip
def test_any_end_after_the_last_report_is_inside(end: str, error: float) -> None:
    """Only an end before the day on which it had not happened is an error."""
    seen = Observation.model_validate({"earliest": "2026-06-27"})
    assert seen.latest is None
    assert error_days(parse_instant(end), seen) == pytest.approx(error)


def test_the_report_says_not_before() -> None:
    """The range is worded as open, without an invented end."""
    row = {"job": "a", "phase": "", "observed_earliest": "2026-06-27", "observed_latest": None, "simulated": None,
           "error_days": None, "note": "", "source": "press"}  # fmt: skip
    table = backtest_section({"backtest": [row]}).table
    assert table is not None
    assert table.rows[0][2] == "not before 2026-06-27"
