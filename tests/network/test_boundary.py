"""Rates across one level: the short ways give what the long one does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.network.boundary import Boundary, lockstep_rates, worst_groups

_USAGE = st.lists(st.lists(st.integers(0, 8), min_size=3, max_size=3), min_size=2, max_size=4)


@pytest.mark.parametrize("mode", ["average", "best_case", "independent", "worst_case"])
def test_with_room_for_all_nobody_is_held_back(mode: str) -> None:
    """Uplinks that carry the most that everybody can send give everybody that."""
    usage = np.array([[4.0, 2.0], [0.0, 6.0]])
    boundary = Boundary(np.array([8.0, 16.0]), usage, 2.0)
    assert boundary.roomy()
    assert boundary.rates(np.array([2.0, 2.0]), mode).tolist() == [2.0, 2.0]


def test_no_room_where_one_group_is_too_small() -> None:
    """The same jobs, one uplink short of what both can send."""
    usage = np.array([[4.0, 2.0], [0.0, 6.0]])
    boundary = Boundary(np.array([8.0, 15.0]), usage, 2.0)
    assert not boundary.roomy()
    assert boundary.rates(np.array([2.0, 2.0]), "worst_case").tolist() == [1.875, 1.875]


@given(_USAGE, st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4), st.sampled_from([1.0, 1.5, 2.0]))
def test_average_is_the_larger_of_what_is_left_and_the_fair_share(
    usage: list[list[int]], means: list[float], limit: float
) -> None:
    """Whether the fair shares are worked out or not."""
    table, mean = np.array(usage, dtype=np.float64), np.array(means[: len(usage)])
    capacity = np.full(3, 8.0)
    others = mean @ table - mean[:, None] * table
    left = worst_groups(capacity - others, table, limit)
    fair = lockstep_rates(capacity, table, limit)
    found = Boundary(capacity, table, limit).rates(mean, "average")
    assert found.tolist() == np.maximum(left, fair).tolist()
