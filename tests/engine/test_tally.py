"""Sums of the compiled kernel, as the functions that they are compiled from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colossus_sim.engine.kernel import tally
from colossus_sim.intervals import IntervalTable, as_table, cause_seconds
from colossus_sim.records import CAUSES, IntervalRow

_add, _rounded = (getattr(function, "py_func", function) for function in (tally.add, tally.rounded))
_NUMBERS = st.one_of(
    st.floats(-1e300, 1e300, allow_nan=False),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, 1.0, -1.0, 2.0**-53, 2.0**-54, -(2.0**-53), 1e16, -1e16, 2.0**-106]),
)


@given(st.lists(_NUMBERS, max_size=40))
@example([1.0, 2.0**-53, 2.0**-106])
@example([1.0, 2.0**-53, -(2.0**-106)])
@example([-1.0, -(2.0**-53), -(2.0**-106)])
@example([1.0, 2.0**-53])
def test_a_sum_in_parts_is_fsum(values: list[float]) -> None:
    """Rounded once, ties to even, whatever the smaller parts are."""
    parts, count = np.empty(tally.MOST_PARTS), 0
    for value in values:
        count = _add(parts, count, value)
    assert _rounded(parts, count) == math.fsum(values)


def _row(start: float, end: float, **causes: float) -> IntervalRow:
    seconds = tuple(causes.get(name, 0.0) for name in CAUSES)
    return IntervalRow("job", "phase", "running", start, end, 8, 1.5, 3.0, 6.0, seconds, 1.0, "")


def test_totals_of_a_phase() -> None:
    """By hand: GPU-seconds of the plan, of undisturbed progress, and first and last moment."""
    rows = [_row(4.0, 14.0, planned=6.0, slower_step=1.0, contention=3.0), _row(1.0, 3.0, restart=2.0)]
    total = as_table(rows).totals["job", "phase"]
    assert (total.elapsed, total.held, total.undisturbed) == (12.0, 96.0, 56.0)
    assert (total.units, total.tokens, total.model_flops, total.saves) == (3.0, 6.0, 12.0, 2.0)
    assert (total.start, total.end) == (1.0, 14.0)
    assert dict(zip(CAUSES, total.causes, strict=True))["contention"] == 3.0
    assert math.fsum(total.causes) == total.elapsed


def test_seconds_of_a_part_of_the_time() -> None:
    """An interval that is cut gives its causes in proportion."""
    table = IntervalTable.of([_row(0.0, 2.0, restart=2.0), _row(2.0, 10.0, planned=6.0, degraded=2.0)])
    spent = dict(zip(CAUSES, cause_seconds(table.by_phase["job", "phase"], 1.0, 6.0), strict=True))
    assert {name: value for name, value in spent.items() if value} == {
        "restart": 1.0,
        "planned": 3.0,
        "degraded": 1.0,
    }


def test_a_table_without_rows() -> None:
    """No phase, no totals."""
    table = IntervalTable.of([])
    assert (len(table), dict(table.totals), table.rows) == (0, {}, ())
    with pytest.raises(IndexError):
        table[0]
