"""The exact efficiency of nested saves against its one-tier form, a direct simulation and the first order."""

from __future__ import annotations

import math
import random

import pytest

from colossus_sim.formulas import reliability
from colossus_sim.formulas.save_pattern import TierCost, best_pattern, nested, pattern_efficiency


@pytest.mark.parametrize("interval", [600.0, 3600.0, 20000.0])
@pytest.mark.parametrize("mtbf", [3600.0, 86400.0])
def test_one_tier_is_the_known_efficiency(interval: float, mtbf: float) -> None:
    """With one tier and no drain the pattern is the renewal formula, to rounding."""
    tier = TierCost(stall=60.0, drain=0.0, rate=1.0 / mtbf, recovery=500.0)
    exact = reliability.efficiency(interval, save_time=60.0, mtbf=mtbf, recovery=500.0)
    assert pattern_efficiency(interval, (1,), (tier,)) == pytest.approx(exact, rel=1e-10)


def test_without_failures_only_the_stalls_cost() -> None:
    """Six segments: five saves of 5 s and one of 50 s."""
    tiers = (TierCost(5.0, 0.0, 0.0, 1.0), TierCost(50.0, 0.0, 0.0, 1.0))
    assert pattern_efficiency(100.0, (1, 6), tiers) == pytest.approx(600.0 / 675.0)


def simulated(segment: float, every: int, tiers: tuple[TierCost, ...], failures: int, seed: int) -> float:
    """Play work, saves, drains and failing recoveries of two tiers, event by event."""
    rng = random.Random(seed)
    total = sum(tier.rate for tier in tiers)
    time = work = 0.0
    copies = [0.0, 0.0]
    arriving: list[tuple[float, int, float]] = []
    due = rng.expovariate(total)
    for _ in range(failures):
        position = work
        while True:
            index = round(position / segment) + 1
            length = segment + tiers[index % every == 0].stall
            if time + length > due:
                break
            time, position = time + length, index * segment
            for tier in range(1 + (index % every == 0)):
                arriving.append((time + tiers[tier].drain, tier, position))
        kind = int(rng.random() * total >= tiers[0].rate)
        for at, tier, unit in arriving:
            if at <= due:
                copies[tier] = max(copies[tier], unit)
        arriving.clear()
        time = due
        due = time + rng.expovariate(total)
        while due < time + tiers[kind].recovery:
            kind = max(kind, int(rng.random() * total >= tiers[0].rate))
            time = due
            due = time + rng.expovariate(total)
        time += tiers[kind].recovery
        work = copies[1] if kind else max(copies)
        copies = [min(copy, work) for copy in copies]
    return work / time


@pytest.mark.parametrize(("drain", "bias"), [(0.0, 0.0), (100.0, 0.0), (700.0, 0.01)])
def test_two_tiers_equal_a_direct_simulation(drain: float, bias: float) -> None:
    """Memory every 300 s, storage every 1,500 s: within four standard errors; up to a point too high where a
    drain, which failures of either kind abort, spans several segments."""
    tiers = (TierCost(4.0, 0.0, 1 / 4000.0, 120.0), TierCost(40.0, drain, 1 / 9000.0, 400.0))
    exact = pattern_efficiency(300.0, (1, 5), tiers)
    shares = [simulated(300.0, 5, tiers, 6000, seed) for seed in range(4)]
    mean = math.fsum(shares) / 4
    error = math.sqrt(math.fsum((share - mean) ** 2 for share in shares) / 3 / 4)
    assert -4.0 * error < exact - mean < bias + 4.0 * error
    assert error < 0.003


def test_the_best_single_interval_is_the_exact_optimum() -> None:
    """The search finds the root of Daly's equation to a percent, and its efficiency to a millionth."""
    tier = TierCost(stall=60.0, drain=0.0, rate=1 / 7200.0, recovery=300.0)
    segment, _ = best_pattern((tier,), (600.0,), free=(True,))
    exact = reliability.optimal_interval(60.0, 7200.0)
    assert segment == pytest.approx(exact, rel=0.03)
    best = reliability.efficiency(exact, save_time=60.0, mtbf=7200.0, recovery=300.0)
    assert pattern_efficiency(segment, (1,), (tier,)) == pytest.approx(best, rel=2e-5)


def test_the_best_two_tiers_agree_with_the_first_order_where_failures_are_rare() -> None:
    """Within a few percent of the published first-order intervals, and no worse than them."""
    tiers = (TierCost(2.0, 0.0, 0.8 / 40000, 60.0), TierCost(60.0, 0.0, 0.2 / 40000, 600.0))
    fast, slow = reliability.two_level_intervals(fast_save=2.0, slow_save=60.0, fast_share=0.8, mtbf=40000.0)
    segment, multiples = best_pattern(tiers, (1000.0, 1000.0), free=(True, True))
    assert segment == pytest.approx(fast, rel=0.12)
    assert segment * multiples[1] == pytest.approx(slow, rel=0.12)
    known = pattern_efficiency(*nested((fast, slow)), tiers)
    assert pattern_efficiency(segment, multiples, tiers) >= known


def test_a_fixed_interval_stays() -> None:
    """Only the free tiers are changed."""
    tiers = (TierCost(2.0, 0.0, 1e-5, 60.0), TierCost(60.0, 0.0, 1e-6, 600.0))
    segment, multiples = best_pattern(tiers, (500.0, 500.0), free=(False, True))
    assert segment == 500.0
    assert multiples[1] > 5
