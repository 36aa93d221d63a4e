"""Draws of whole runs as arrays: the closed form, and the engine that plays every event."""

from __future__ import annotations

import math

import numpy as np
import pytest

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.formulas import reliability
from colossus_sim.formulas.restart_sampling import finish_times

HOUR = 3600.0


@pytest.mark.parametrize(
    ("mtbf", "interval", "save", "downtime", "recovery"),
    [
        (6490.0, HOUR, 60.0, 0.0, 900.0),
        (86400.0, HOUR, 60.0, 0.0, 600.0),
        (HOUR, HOUR, 30.0, 120.0, 300.0),
        (HOUR, 4 * HOUR, 0.0, 0.0, 2 * HOUR),
    ],
)
def test_mean_time_is_the_closed_form(
    mtbf: float, interval: float, save: float, downtime: float, recovery: float
) -> None:
    """Work over the exact efficiency, within four standard errors of 20,000 runs."""
    times = finish_times(
        30, interval, save_time=save, mtbf=mtbf, downtime=downtime, recovery=recovery, replicas=20_000, seed=3
    )
    exact = (
        30
        * interval
        / reliability.efficiency(interval, save_time=save, mtbf=mtbf, downtime=downtime, recovery=recovery)
    )
    assert abs(times.mean() - exact) < 4.0 * times.std(ddof=1) / math.sqrt(times.size)


def test_distribution_is_that_of_the_engine() -> None:
    """Mean, spread and all quantiles of 250 runs that the engine plays agree with 50,000 drawn ones."""
    segments, save, recovery, mtbf, count = 10, 60.0, 900.0, 6490.0, 250
    drawn = finish_times(segments, HOUR, save_time=save, mtbf=mtbf, recovery=recovery, final_save=False,
                         replicas=50_000, seed=5)  # fmt: skip
    law = faults(recovery - save, any=fault_class("site", 1.0 / mtbf))
    played = np.array([_played(segments, save, law, seed) for seed in range(count)])
    assert abs(played.mean() - drawn.mean()) < 4.0 * drawn.std() / math.sqrt(count)
    # The variance of a sample variance is (m4 - s^4) / n.
    error = math.sqrt((((drawn - drawn.mean()) ** 4).mean() - drawn.var() ** 2) / count)
    assert abs(played.var(ddof=1) - drawn.var()) < 4.0 * error
    # Kolmogorov and Smirnov: 1.95 / sqrt(n) is passed once in a thousand samples of the same law.
    ranks = np.searchsorted(np.sort(drawn), np.sort(played)) / drawn.size
    steps = np.arange(count) / count
    assert max(np.abs(ranks - steps).max(), np.abs(ranks - steps - 1.0 / count).max()) < 1.95 / math.sqrt(
        count
    )


def _played(segments: int, save: float, law: object, seed: int) -> float:
    job = BenchJob(units=segments, unit_time=HOUR, state_bytes=1.0)
    run = play_bench(
        {"one": job}, site=a_site(1), faults=law, checkpoint=saves(HOUR, save), horizon=1e9, seed=seed
    )  # type: ignore[arg-type]
    return run.phases[0].end


def test_without_failures_only_work_and_saves_remain() -> None:
    """An MTBF beyond all times: every run takes its segments and saves, the last one if asked."""
    times = finish_times(7, 100.0, save_time=5.0, mtbf=1e15, recovery=50.0, replicas=3)
    assert times.tolist() == [735.0] * 3
    assert finish_times(7, 100.0, save_time=5.0, mtbf=1e15, final_save=False, replicas=1).tolist() == [730.0]
    assert finish_times(1, 100.0, save_time=5.0, mtbf=1e15, final_save=False, replicas=1).tolist() == [100.0]


def test_seeds_repeat_and_differ() -> None:
    """One seed, one result; another seed, another."""
    first, again, other = (
        finish_times(9, HOUR, save_time=60.0, mtbf=HOUR, replicas=5, seed=seed) for seed in (1, 1, 2)
    )
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize(
    "wrong", [{"mtbf": 0.0}, {"save_time": -1.0}, {"interval": 31.0}, {"recovery": 40.0}, {"segments": 0}]
)
def test_runs_without_end_and_wrong_times_are_refused(wrong: dict[str, float]) -> None:
    """A negative time, or a segment that never succeeds, is a ValueError that says so."""
    given = {"segments": 3, "interval": 1.0, "save_time": 0.1, "mtbf": 1.0, "recovery": 0.0} | wrong
    with pytest.raises(ValueError, match=r"must not be negative|never ends"):
        finish_times(int(given.pop("segments")), given.pop("interval"), **given)
