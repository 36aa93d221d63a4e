"""Copies that cannot be read back: fallback to older ones, and its cost in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from colossus_sim.engine.copies import Copies
from colossus_sim.engine.progress import SaveTier
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.checkpoint import CheckpointPolicy
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]


def a_tier(name: str = "storage", **more: Any) -> dict[str, Any]:
    """A tier as a file states it: saves after every ten units, for nothing."""
    return {"name": name, "mode": "sync", "interval": "100 s", "write_bandwidth": "1e6 GB/s",
            "read_bandwidth": "1e6 GB/s", "coordination": "0 s"} | more  # fmt: skip


def copies(*tiers: dict[str, Any]) -> tuple[Copies, tuple[SaveTier, ...]]:
    """Copies of a policy, and its tiers in play."""
    policy = CheckpointPolicy.model_validate({"tiers": list(tiers)})
    played = tuple(
        SaveTier(name=tier.name, period=10, stall=0.0, drain=0.0, restore=7.0, survives=index)
        for index, tier in enumerate(policy.tiers)
    )
    return Copies(policy, np.random.default_rng(1)), played


def lost(result: RunResult) -> float:
    """Seconds of lost work."""
    return math.fsum(row.causes[CAUSES.index("lost_work")] for row in result.intervals)


def test_the_number_of_bad_copies_is_geometric() -> None:
    """With chance p each, k copies in a row are bad with p^k (1 - p), and no more than are kept."""
    made, tiers = copies(a_tier(unreadable=0.5, older_copies=3))
    counts = {0: 0, 1: 0, 2: 0, 3: 0}
    for turn in range(4000):
        made.add("storage", [turn * 40 + back for back in (40, 30, 20, 10)])
        newest = turn * 40 + 40
        unit, _ = made.choose(tiers, 0)
        counts[(newest - unit) // 10] += 1
        made.wasted = 0.0
        made.rolled_back(unit)
    expected = {0: 2000, 1: 1000, 2: 500, 3: 500}
    for bad, count in counts.items():
        assert abs(count - expected[bad]) < 4.0 * math.sqrt(expected[bad])


def test_each_bad_copy_costs_the_time_to_load_it() -> None:
    """Three copies tried in vain are three times the restore time."""
    made, tiers = copies(a_tier(unreadable=0.999999, older_copies=3))
    made.add("storage", [40, 30, 20, 10])
    assert made.choose(tiers, 0)[0] == 10
    assert made.wasted == 21.0


def test_a_copy_that_was_read_stays_readable() -> None:
    """A second failure before the next save finds the same copy, as does one after a controlled stop."""
    made, tiers = copies(a_tier(unreadable=0.9, older_copies=5))
    made.add("storage", [40, 30, 20, 10])
    unit, _ = made.choose(tiers, 0)
    made.rolled_back(unit)
    assert {made.choose(tiers, 0)[0] for _ in range(50)} == {unit}
    made.verified(77)
    assert {made.choose(tiers, 0)[0] for _ in range(50)} == {77}
    assert made.oldest() == 77


def test_the_other_tier_helps_out() -> None:
    """Without a readable copy in memory the newest one on storage is used, and memory counts as empty."""
    made, tiers = copies(a_tier("memory", unreadable=0.999999, older_copies=1, survives="software"), a_tier())
    made.add("memory", [40])
    made.add("storage", [30])
    assert made.choose(tiers, 0) == (30, frozenset({"memory"}))


def test_lost_work_grows_by_whole_periods(play: Play) -> None:
    """Failures cost half a period and its save more each time a copy is bad: p / (1 - p) periods in the mean."""
    results = []
    for unreadable in (0.0, 0.3):
        results.append(
            play(
                horizon="400 days",
                jobs={"one": a_job(gpus=128, tokens=10**8)},
                faults={
                    "classes": {"any": fault("site", "1 /day", "nothing")},
                    "restart": {"base": "0 s"},
                },
                checkpoint={"tiers": [a_tier(interval="1000 s", unreadable=unreadable, older_copies=30)]},
            )
        )
    failures = [sum(1 for row in result.events if row.kind == "failure") for result in results]
    assert failures[0] == failures[1]
    more = (lost(results[1]) - lost(results[0])) / failures[0]
    mean, spread = 1000.0 * 0.3 / 0.7, 1000.0 * math.sqrt(0.3) / 0.7
    assert (
        abs(more - mean) < 4.0 * spread / math.sqrt(failures[0]) + 15.0
    )  # 15: chance of a failure in a rerun


@pytest.mark.parametrize("seed", [1, 2])
def test_the_books_stay_balanced(play: Play, seed: int) -> None:
    """Work kept in the intervals is the work done at the end, whatever could not be read."""
    near = a_tier("memory", survives="software", unreadable=0.2, older_copies=1)
    far = a_tier("storage", interval="2000 s", unreadable=0.4, older_copies=2)
    classes = {
        "software": fault("job", "4 /day", "nothing"),
        "node": fault("node", "0.2 /day", "node"),
        "planned": fault("job", "1 /day", "nothing", planned=True),
    }
    result = play(
        seed=seed, horizon="60 days", jobs={"one": a_job(tokens=10**7)}, faults={"classes": classes},
        checkpoint={"tiers": [near, far]},
    )  # fmt: skip
    kept = math.fsum(row.units for row in result.intervals)
    assert kept == pytest.approx(result.phases[0].units_done, abs=1e-3)
    assert result.phases[0].units_done > 1e5
