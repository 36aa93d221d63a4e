"""Sums that are rounded once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.sums import exact_sum, exact_sums

_NUMBERS = st.one_of(st.just(0.0), st.floats(-1e12, 1e12))


@given(st.lists(st.lists(_NUMBERS, max_size=9), max_size=4))
def test_exact_sum_is_fsum_of_all_arrays(lists: list[list[float]]) -> None:
    """Leaving zeros out changes nothing."""
    everything = [value for values in lists for value in values]
    assert exact_sum(np.array(values, dtype=np.float64) for values in lists) == math.fsum(everything)


@given(st.lists(st.tuples(*[_NUMBERS] * 5), min_size=1, max_size=8))
def test_exact_sums_are_fsum_of_each_place(rows: list[tuple[float, ...]]) -> None:
    """One or two numbers take the short way, more the long one."""
    found = exact_sums(np.array(rows, dtype=np.float64).T)
    assert found.tolist() == list(map(math.fsum, rows))


@pytest.mark.parametrize("spread", [0, 12, 300])
def test_long_sums_are_fsum_too(spread: int) -> None:
    """Above some length halves are added to each other; ties, cancellation, overflow and infinities included."""
    rng = np.random.default_rng(spread)
    for length in (999, 1000, 4097, 20000):
        plain = rng.uniform(-1.0, 1.0, length) * 10.0 ** rng.integers(-spread, spread + 1, length)
        whole = np.round(plain * 2.0**20)
        halves = np.concatenate(
            [[2.0**53, 1.0], np.zeros(length), [-(2.0**-40)] * 3, np.full(length, 2.0**-60)]
        )
        for values in (plain, whole, halves, np.concatenate([plain, -plain[::-1], [1e-300]])):
            assert exact_sum([values]) == math.fsum(values.tolist())
    with pytest.raises(OverflowError):
        exact_sum([np.full(5000, 1e308)])
    assert exact_sum([np.full(5000, math.inf)]) == math.inf


def test_plain_sums_would_round_more_than_once() -> None:
    """The rows where order matters."""
    terms = np.array([[1e16], [1.0], [-1e16]])
    assert exact_sums(terms).tolist() == [1.0] != terms.sum(axis=0).tolist()
    assert exact_sum([np.array([1e16]), np.array([1.0, -1e16])]) == 1.0
