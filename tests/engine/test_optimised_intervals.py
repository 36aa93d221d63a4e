"""Intervals chosen for all tiers together: what the formula says is what the engine does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from colossus_sim.engine.checkpointing import save_tiers
from colossus_sim.formulas import reliability
from colossus_sim.formulas.save_pattern import TierCost, pattern_efficiency
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.checkpoint import CheckpointPolicy
from colossus_sim.specs.hardware import Storage
from tests.engine.conftest import SOURCE, a_job, fault

Play = Callable[..., RunResult]


def two_tiers(first: str, second: str) -> list[dict[str, Any]]:
    """Memory at 2 s and storage at 20 s a save; state 10 GB on 128 GPUs."""
    return [
        {"name": "memory", "mode": "sync", "interval": first, "coordination": "1 s", "survives": "software",
         "write_bandwidth": "78.125 MB/s", "read_bandwidth": "78.125 MB/s"},
        {"name": "storage", "mode": "sync", "interval": second, "coordination": "19 s",
         "write_bandwidth": "78.125 MB/s", "read_bandwidth": "78.125 MB/s"},
    ]  # fmt: skip


def periods(first: str, second: str, rates: tuple[float, ...], unit: float = 1.0) -> list[int]:
    """Units between saves of both tiers."""
    policy = CheckpointPolicy.model_validate({"tiers": two_tiers(first, second)})
    storage = Storage.model_validate(
        {"write_bandwidth": "1 GB/s", "read_bandwidth": "1 GB/s", "bandwidth_per_gpu": "1 GB/s",
         "provenance": SOURCE}
    )  # fmt: skip
    tiers = save_tiers(
        policy, storage=storage, state_bytes=10e9, gpus=128, unit_time=unit, failure_rates=rates
    )
    return [tier.period for tier in tiers]


def test_one_needed_tier_gets_the_exact_optimum() -> None:
    """Where no failure needs the second tier, the first has the root of Daly's equation within 3 %."""
    first, second = periods("optimised", "optimised", (1 / 5000, 0.0, 0.0, 0.0))
    assert first == pytest.approx(reliability.optimal_interval(2.0, 5000.0), rel=0.03)
    assert second > 1e9


def test_a_stated_interval_is_kept() -> None:
    """Only the optimised tier is chosen, as a multiple of the other."""
    first, second = periods("300 s", "optimised", (1 / 5000, 0.0, 0.0, 1 / 50000))
    assert first == 300
    assert second % 300 == 0
    assert second == pytest.approx(math.sqrt(2 * 20 * 50000), rel=0.3)


def share(result: RunResult) -> tuple[float, int]:
    """Planned work over wall time, and the failures."""
    planned = math.fsum(row.causes[CAUSES.index("planned")] for row in result.intervals)
    failures = sum(1 for row in result.events if row.kind == "failure")
    return planned / (result.intervals[-1].end - result.intervals[0].start), failures


def test_the_engine_plays_the_formula_and_the_optimum_wins(play: Play) -> None:
    """Two classes of failures, two tiers: the share of kept work is the formula's within four standard errors, and
    half or twice the optimised storage interval is worse on the same failures."""
    rates = (1 / 6000, 0.0, 0.0, 1 / 12000)
    classes = {
        "software": fault("site", f"{rates[0]:.17g} /s", "nothing"),
        "spoilt": fault("site", f"{rates[3]:.17g} /s", "nothing", needs_storage_checkpoint=True),
    }
    first, second = periods("optimised", "optimised", rates, unit=10.0)
    shares = {}
    for factor in (0.5, 1.0, 2.0):
        every = max(1, round(second / first * factor)) * first * 10
        result = play(
            horizon="250 days",
            jobs={"one": a_job(gpus=128, tokens=10**9)},
            faults={"classes": classes},
            checkpoint={"tiers": two_tiers(f"{first * 10} s", f"{every} s")},
        )
        shares[factor], failures = share(result)
    tiers = (TierCost(2.0, 0.0, rates[0], 62.0), TierCost(20.0, 0.0, rates[3], 80.0))
    exact = pattern_efficiency(first * 10.0, (1, second // first), tiers)
    error = 0.9 / math.sqrt(failures) * (1.0 - exact)
    assert abs(shares[1.0] - exact) < 4.0 * error
    assert error < 0.005
    assert shares[1.0] > shares[0.5]
    assert shares[1.0] > shares[2.0]


def test_youngs_interval_is_the_first_order_one() -> None:
    """Saves of 20 s and a failure in 4,000 s: sqrt(2 x 20 x 4,000) = 400 s; Daly's is shorter, 387 s."""
    rates = (0.0, 0.0, 0.0, 1 / 4000)

    assert periods("1 s", "young", rates) == [1, 400]
    assert periods("1 s", "optimal", rates) == [1, 387]
