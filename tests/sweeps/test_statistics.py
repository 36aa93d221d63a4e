"""Intervals and shares of variance against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from colossus_sim.randomness import stream
from colossus_sim.sweeps import statistics
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.table import summary_table
from colossus_sim.sweeps.task import Outcome


def test_t_quantiles_are_those_of_the_tables() -> None:
    """Two-sided 95 % quantiles for 1, 9 and 100 degrees of freedom."""
    for freedom, wanted in ((1, 12.7062), (9, 2.2622), (100, 1.9840)):
        assert statistics.t_quantile(freedom) == pytest.approx(wanted, abs=1e-4)


def test_mean_interval_of_known_numbers() -> None:
    """1, 2, 3 have mean 2, deviation 1 and half width t(2) / sqrt(3); NaN are left out."""
    found = statistics.mean_interval([1.0, math.nan, 2.0, 3.0])
    assert (found.count, found.mean, found.sd) == (3, 2.0, 1.0)
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_t_interval_covers_95_percent() -> None:
    """4,000 intervals of 10 normal values cover the mean in 93.6 to 96.4 % (4 standard errors: 1 in 16,000)."""
    rows = stream(5, "coverage").normal(size=(4000, 10))
    found = [statistics.mean_interval(row.tolist()) for row in rows]
    covered = sum(abs(item.mean) <= item.half_width for item in found) / 4000
    assert 0.936 < covered < 0.964


def test_wilson_interval_of_published_example() -> None:
    """15 of 148: 0.0624 to 0.1605 (Newcombe, Statistics in Medicine 17 (1998), table I: 0.0624, 0.1605)."""
    low, high = statistics.wilson_interval(15, 148)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)
    assert statistics.wilson_interval(0, 10)[0] == 0.0
    assert statistics.wilson_interval(10, 10)[1] == 1.0
    assert statistics.wilson_interval(0, 0) == (0.0, 1.0)


def test_quantiles_are_values_that_a_share_has_reached() -> None:
    """18 of 20 at or below 17 make that the 90 % quantile; counts up to 2,000 give the exact place."""
    values = [float(k) for k in range(18)] + [500.0, math.inf, math.nan]
    assert statistics.quantiles(values, (0.1, 0.5, 0.9, 0.95)) == (1.0, 9.0, 17.0, 500.0)
    assert statistics.quantiles([1.0, math.inf, math.inf], (0.1, 0.5)) == (1.0, math.inf)
    assert all(math.isnan(value) for value in statistics.quantiles([math.nan], (0.1, 0.9)))
    for percent in (7, 10, 50, 80, 90):
        for count in range(1, 2001):
            exact = max(1, -(-percent * count // 100))
            assert statistics.quantile_rank(percent / 100.0, count) == exact


def test_paired_difference_removes_what_is_common() -> None:
    """A shift of 1 on top of common noise is found exactly."""
    noise = stream(3, "noise").normal(size=50) * 100.0
    found = statistics.paired_difference((noise + 1.0).tolist(), noise.tolist())
    assert found.mean == pytest.approx(1.0)
    assert found.half_width < 1e-10


def test_rank_correlation_of_monotone_and_tied_values() -> None:
    """exp is monotone: 1; falling: -1; constant: NaN; a published example with ties."""
    x = [0.1, 0.4, 0.2, 3.0]
    assert statistics.rank_correlation(x, [math.exp(v) for v in x]) == pytest.approx(1.0)
    assert statistics.rank_correlation(x, [-v for v in x]) == pytest.approx(-1.0)
    assert math.isnan(statistics.rank_correlation(x, [1.0] * 4))
    assert statistics.rank_correlation([1, 2, 2, 3], [1, 2, 3, 3]) == pytest.approx(0.8333333, abs=1e-6)


def test_first_order_indices_of_the_ishigami_function() -> None:
    """Shares of the Ishigami function (a = 7, b = 0.1) are 0.3139, 0.4424 and 0 (Saltelli et al. 2008)."""
    u = stream(11, "ishigami").random((20_000, 3))
    x = (2.0 * u - 1.0) * math.pi
    y = np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    for column, wanted in enumerate((0.3139, 0.4424, 0.0)):
        found = statistics.first_order_index(u[:, column].tolist(), y.tolist())
        assert found == pytest.approx(wanted, abs=0.02)


def test_first_order_index_of_noise_is_near_zero() -> None:
    """An input that does nothing has no share on average: the bias of small classes is taken off."""
    found = []
    for k in range(200):
        rng = stream(k, "bias")
        found.append(statistics.first_order_index(rng.random(100).tolist(), rng.normal(size=100).tolist()))
    assert math.fsum(found) / 200 < 0.04
    assert math.isnan(statistics.first_order_index([0.1] * 10, [1.0] * 10))


@pytest.mark.parametrize(("count", "inputs"), [(40, 10), (200, 5)])
def test_chance_level_bounds_the_largest_index_of_inputs_without_effect(count: int, inputs: int) -> None:
    """In about 19 of 20 forecasts no assumption without effect seems to have more than the level."""
    rng = stream(7, "test", str(count))
    level = statistics.chance_level(count, inputs)
    below = 0
    for _ in range(200):
        y = rng.normal(size=count).tolist()
        largest = max(statistics.first_order_index(rng.random(count).tolist(), y) for _ in range(inputs))
        below += largest <= level
    assert 0.9 <= below / 200 <= 1.0


def test_chance_level_shrinks_with_runs_and_grows_with_inputs() -> None:
    """More runs tell more, more candidates mean more luck; chi-squared with 3 degrees is exact for one input."""
    levels = [statistics.chance_level(count, 60) for count in (20, 100, 1000, 10000)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < 0.01
    assert statistics.chance_level(20, 60) > statistics.chance_level(20, 1)
    assert statistics.chance_level(20, 1) == pytest.approx((7.8147 - 3.0) / 20.0, abs=1e-4)
    assert statistics.chance_level(20, 0) == 0.0


def test_cut_off_runs_without_a_value_count_as_unfinished(plan: Plan) -> None:
    """They are not in the mean, which is too low without them: the row says one run and three unfinished ones."""
    measure = "jobs.large.finish_days"
    outcomes = {
        index: Outcome(
            index=index,
            status="done",
            values={measure: math.nan if index else 2.0, "jobs.large.finished": float(not index)},
        )
        for index in range(4)
    }
    table = summary_table(plan, outcomes, [measure])
    assert (table.column("runs")[0], table.column("unfinished")[0]) == (1, 3)
    (meaning,) = [column.meaning for column in table.columns if column.name == "unfinished"]
    assert "those without a value" in meaning
