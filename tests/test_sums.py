"""Sums that are rounded once."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.sums import exact_row_sums, exact_sum

_NUMBERS = st.one_of(st.just(0.0), st.floats(-1e12, 1e12))


@given(st.lists(st.lists(_NUMBERS, max_size=9), max_size=4))
def test_exact_sum_is_fsum_of_all_arrays(lists: list[list[float]]) -> None:
    """Leaving zeros out changes nothing."""
    everything = [value for values in lists for value in values]
    assert exact_sum(np.array(values, dtype=np.float64) for values in lists) == math.fsum(everything)


@given(st.lists(st.tuples(*[_NUMBERS] * 5), min_size=1, max_size=8))
def test_exact_row_sums_are_fsum_of_each_row(rows: list[tuple[float, ...]]) -> None:
    """Rows of one or two numbers take the short way, the others the long one."""
    found = exact_row_sums(np.array(rows, dtype=np.float64))
    assert found.tolist() == list(map(math.fsum, rows))


def test_plain_sums_would_round_more_than_once() -> None:
    """The rows where order matters."""
    row = np.array([[1e16, 1.0, -1e16]])
    assert exact_row_sums(row).tolist() == [1.0] != row.sum(axis=1).tolist()
    assert exact_sum([np.array([1e16]), np.array([1.0, -1e16])]) == 1.0
