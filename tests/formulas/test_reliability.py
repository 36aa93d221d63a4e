"""Reliability formulas against published numbers, limits and sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.formulas import reliability as rel

HOUR = 3600.0
DAY = 24.0 * HOUR
RSC1 = 6.5e-3 / DAY
RSC2 = 2.34e-3 / DAY


def test_llama_3_met_a_failure_every_three_hours() -> None:
    """419 failures in 54 days of 2,048 nodes are 3.789 per 1,000 node-days and 3.09 h between two."""
    rate = 419 / (54 * DAY * 2048)

    assert rate * 1000 * DAY == pytest.approx(3.789, rel=1e-3)
    assert 1.0 / rel.series_rate([(2048, rate)]) / HOUR == pytest.approx(3.093, rel=1e-3)


def test_mean_time_to_failure_projected_by_meta() -> None:
    """1.8 h at 16,384 GPUs and 0.23 h at 131,072 with the rate of RSC-1 (arXiv:2410.21680)."""
    assert 1.0 / rel.series_rate([(2048, RSC1)]) / HOUR == pytest.approx(1.8, abs=0.01)
    assert 1.0 / rel.series_rate([(16384, RSC1)]) / HOUR == pytest.approx(0.23, abs=0.01)


def test_rates_of_different_parts_add_up() -> None:
    """A system in series fails as often as its parts together."""
    assert rel.series_rate([(2, 1e-5), (4, 2e-5)]) == pytest.approx(1e-4)


def test_daly_is_within_three_in_ten_thousand_of_the_exact_optimum() -> None:
    """At C / mu = 0.08, the hardest of the published cases."""
    save, mtbf = 600.0, 7519.0

    assert rel.daly_interval(save, mtbf) == pytest.approx(rel.optimal_interval(save, mtbf), rel=3.1e-4)


def test_all_intervals_agree_when_saving_is_cheap() -> None:
    """Young, Daly and the exact optimum meet as C / mu goes to zero."""
    save, mtbf = 1.0, 1e9
    exact = rel.optimal_interval(save, mtbf)

    assert rel.young_interval(save, mtbf) == pytest.approx(exact, rel=1e-4)
    assert rel.daly_interval(save, mtbf) == pytest.approx(exact, rel=1e-7)


def test_young_interval_at_100k_gpus() -> None:
    """A 60 s save and 30 min between failures call for 8 min (an hour: 11 min)."""
    assert rel.young_interval(60.0, 30 * 60.0) / 60.0 == pytest.approx(8.0, abs=0.3)
    assert rel.young_interval(60.0, 61 * 60.0) / 60.0 == pytest.approx(11.0, abs=0.1)


def test_daly_gives_up_when_a_save_takes_longer_than_the_mtbf_allows() -> None:
    """From C = 2 mu on the interval is mu."""
    assert rel.daly_interval(2000.0, 1000.0) == 1000.0


@given(st.floats(0.01, 1e4), st.floats(10.0, 1e7))
def test_exact_optimum_solves_lamberts_equation(save: float, mtbf: float) -> None:
    """With y = -exp(-T / mu): y exp(y) = -exp(-1 - C / mu), on the principal branch."""
    period = rel.optimal_interval(save, mtbf) + save
    y = -math.exp(-period / mtbf)

    assert y >= -1.0
    assert y * math.exp(y) == pytest.approx(-math.exp(-1.0 - save / mtbf), rel=1e-9)


@given(st.floats(0.1, 600.0), st.floats(1e3, 1e6), st.floats(0.5, 2.0))
def test_no_interval_beats_the_exact_optimum(save: float, mtbf: float, factor: float) -> None:
    """The efficiency is highest there, whatever the downtime and the recovery."""
    best = rel.optimal_interval(save, mtbf)
    other = {"save_time": save, "mtbf": mtbf, "downtime": 60.0, "recovery": 300.0}

    assert rel.efficiency(best, **other) >= rel.efficiency(best * factor, **other) * (1.0 - 1e-12)


@pytest.mark.parametrize(
    ("nodes", "rate", "restart", "interval", "exact", "estimate"),
    [
        (2048, RSC1, 600.0, HOUR, 0.682, 0.630),
        (12500, RSC2, 300.0, 300.0, 0.858, 0.848),
        (12500, RSC2, 600.0, HOUR, 0.42, 0.19),
    ],
)
def test_estimator_of_meta_falls_below_the_exact_form_when_losses_are_large(
    nodes: float, rate: float, restart: float, interval: float, exact: float, estimate: float
) -> None:
    """The first-order estimator is good for small losses only."""
    found = rel.efficiency(
        interval, save_time=0.0, mtbf=1.0 / rel.series_rate([(nodes, rate)]), recovery=restart
    )
    meta = rel.kokolis_ettr(nodes=nodes, node_rate=rate, restart=restart, interval=interval, save_time=0.0)

    assert found == pytest.approx(exact, abs=6e-3)
    assert meta == pytest.approx(estimate, abs=6e-3)


def test_estimator_gives_the_published_ettr() -> None:
    """0.93 at 16,384 GPUs of RSC-1 with 5 min between saves and 5 min to restart (arXiv:2410.21680)."""
    ettr = rel.kokolis_ettr(nodes=2048, node_rate=RSC1, restart=300.0, interval=300.0, save_time=0.0)

    assert ettr == pytest.approx(0.93, abs=2e-3)


def test_efficiency_of_a_16k_job_with_hourly_saves() -> None:
    """0.635 to 0.640 with 60 s saves and 900 s to restart, with or without failures in the restart."""
    mtbf = 1.0 / rel.series_rate([(2048, RSC1)])
    low = rel.efficiency(HOUR, save_time=60.0, mtbf=mtbf, recovery=900.0)
    high = rel.efficiency(HOUR, save_time=60.0, mtbf=mtbf, downtime=900.0)

    assert 0.635 < low < high < 0.645


def test_efficiency_agrees_with_a_renewal_simulation() -> None:
    """20,000 periods played failure by failure, within four standard errors."""
    save, mtbf, down, recovery, interval = 60.0, 3000.0, 30.0, 200.0, 900.0
    rng = np.random.default_rng(5)
    spent = np.array([_play(rng, interval + save, mtbf, down, recovery) for _ in range(20_000)])
    expected = interval / rel.efficiency(
        interval, save_time=save, mtbf=mtbf, downtime=down, recovery=recovery
    )

    assert abs(spent.mean() - expected) < 4.0 * spent.std() / math.sqrt(spent.size)


def _play(rng: np.random.Generator, period: float, mtbf: float, down: float, recovery: float) -> float:
    """Wall-clock time until one period is saved."""
    spent, need = 0.0, period
    while True:
        failure = rng.exponential(mtbf)
        if failure >= need:
            return spent + need
        spent += failure + down
        need = recovery + period


def test_efficiency_of_a_hopeless_job_is_zero() -> None:
    """A period of thousands of MTBFs never completes, and nothing overflows."""
    assert rel.efficiency(1e7, save_time=1.0, mtbf=100.0) == 0.0


def test_first_order_waste_meets_the_exact_form_in_its_limit() -> None:
    """For a period far below the MTBF both agree."""
    given_times = {"save_time": 10.0, "mtbf": 1e7, "downtime": 60.0, "recovery": 300.0}
    waste = rel.first_order_waste(2000.0, **given_times)

    assert waste == pytest.approx(1.0 - rel.efficiency(2000.0, **given_times), rel=1e-3)


def test_two_tiers_collapse_to_young_when_one_serves_everything() -> None:
    """p = 1: only memory; p = 0: only storage."""
    saves = {"fast_save": 2.0, "slow_save": 120.0, "mtbf": 7200.0}

    assert rel.two_level_intervals(fast_share=1.0, **saves) == (rel.young_interval(2.0, 7200.0), math.inf)
    assert rel.two_level_intervals(fast_share=0.0, **saves) == (math.inf, rel.young_interval(120.0, 7200.0))


def test_the_safe_tier_saves_less_often_the_less_it_is_needed() -> None:
    """With 96 % of the failures served from memory storage waits five times as long."""
    _, slow = rel.two_level_intervals(fast_save=2.0, slow_save=120.0, fast_share=0.96, mtbf=7200.0)

    assert slow == pytest.approx(5.0 * rel.young_interval(120.0, 7200.0))


def test_availability_of_a_node() -> None:
    """RSC-1 with a day of repair: 0.9935; Delta reports 0.994 for A100 nodes (arXiv:2503.11901)."""
    assert rel.availability(1.0 / RSC1, DAY) == pytest.approx(0.994, abs=1e-3)


def test_spares_are_the_quantile_of_the_units_in_repair() -> None:
    """Mean 1 needs 4 spares for 99 %, as ByteRobust keeps for 1,024 machines (arXiv:2509.16293)."""
    assert rel.spares_needed(1.0, 0.99) == 4
    assert rel.spares_needed(0.0, 0.99) == 0
    assert rel.spares_needed(rel.mean_units_down(units=2048, rate=RSC1, mttr=DAY), 0.99) == 22


@given(st.floats(0.01, 2000.0), st.floats(0.5, 0.999))
def test_spares_cover_the_confidence_and_one_fewer_does_not(mean: float, confidence: float) -> None:
    """The number is the smallest that will do."""
    spares = rel.spares_needed(mean, confidence)

    assert _covered(spares, mean) >= confidence * (1.0 - 1e-9)
    assert spares == 0 or _covered(spares - 1, mean) < confidence * (1.0 + 1e-9)


def _covered(count: int, mean: float) -> float:
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))
