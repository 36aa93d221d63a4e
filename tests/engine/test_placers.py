"""Placement policies on small pools, by hand, and how scattered free domains are."""

from __future__ import annotations

import numpy as np
import pytest

from colossus_sim.engine.placers import PLACERS, fragmentation, from_domain

SIZES = (4, 16)
"""Four domains per leaf group, four leaf groups per pod."""


def place(policy: str, free: list[int], count: int) -> list[int]:
    """Place on these free domains."""
    listed: list[int] = PLACERS[policy](np.array(free), count, SIZES, np.random.default_rng(1)).tolist()
    return listed


@pytest.mark.parametrize("policy", sorted(PLACERS))
def test_every_policy_gives_free_domains_once(policy: str) -> None:
    """Exactly as many as asked, each free, none twice, up to the last one."""
    free = [0, 1, 5, 6, 7, 8, 9, 10, 11, 17, 20, 21, 40]
    for count in range(1, len(free) + 1):
        chosen = place(policy, free, count)
        assert len(chosen) == len(set(chosen)) == count
        assert set(chosen) <= set(free)


def test_minimum_tier_takes_the_fullest_group_that_has_room() -> None:
    """Three domains go to the leaf group with three free, though an empty one comes first."""
    assert place("minimum_tier", [0, 1, 2, 3, 5, 6, 7], 3) == [5, 6, 7]


def test_minimum_tier_stays_inside_a_pod() -> None:
    """Six domains, which no leaf group holds, go to the pod with the least room, not over two pods."""
    free = [*range(16), *range(20, 26)]
    assert place("minimum_tier", free, 6) == list(range(20, 26))


def test_minimum_tier_crosses_as_few_pods_as_it_can() -> None:
    """Beyond a pod, the emptiest ones are filled first."""
    free = [0, 1, *range(16, 32), 32, 33, 34]
    assert place("minimum_tier", free, 18) == [0, 1, *range(16, 32)]


def test_rail_aligned_takes_whole_leaf_groups() -> None:
    """Eight domains go to two empty leaf groups from their first domain on, not to a run across three."""
    free = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15]
    assert place("rail_aligned", free, 8) == [4, 5, 6, 7, 12, 13, 14, 15]
    assert place("packed", free, 8) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_explicit_place_starts_where_the_job_says() -> None:
    """Free domains from the named one on; from the beginning again where that is not enough."""
    assert from_domain(np.array([0, 1, 5, 6, 9]), 3, 5).tolist() == [5, 6, 9]
    assert from_domain(np.array([0, 1, 5, 6, 9]), 4, 6).tolist() == [6, 9, 0, 1]


def test_fragmentation() -> None:
    """Nothing free or one run: 0; two runs of equal length: half; all apart: nearly all."""
    assert fragmentation(np.array([], dtype=np.int64)) == 0.0
    assert fragmentation(np.array([3, 4, 5])) == 0.0
    assert fragmentation(np.array([0, 1, 5, 6])) == 0.5
    assert fragmentation(np.arange(0, 20, 2)) == pytest.approx(0.9)
