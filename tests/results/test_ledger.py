"""GPU time adds up to capacity, or the run is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.errors import SimulationError
from colossus_sim.records import GPU_STATES, RunResult
from colossus_sim.results.daily import daily_rows, spread
from colossus_sim.results.ledger import build_ledger, installed_gpu_seconds
from colossus_sim.units import DAY


def test_capacity_follows_its_steps(hand_run: RunResult) -> None:
    """800 GPUs for five days and 1000 for five are 9000 GPU-days."""
    assert installed_gpu_seconds(hand_run) == {("here", "main"): pytest.approx(9000 * DAY)}


def test_capacity_before_the_first_step_is_zero(hand_run_with: Callable[..., RunResult]) -> None:
    """A run that ends on day 5 sees only the first step, one of no length sees none."""
    assert installed_gpu_seconds(hand_run_with(end_time=5 * DAY)) == {("here", "main"): 4000 * DAY}
    assert installed_gpu_seconds(hand_run_with(end_time=0.0)) == {("here", "main"): 0.0}


def test_a_missing_gpu_hour_is_named(hand_run: RunResult, hand_run_with: Callable[..., RunResult]) -> None:
    """One idle GPU-hour that is not booked stops the run with the partition and the gap."""
    last = hand_run.gpu_time[-1]
    index = GPU_STATES.index("idle")
    seconds = tuple(value - (3600.0 if i == index else 0.0) for i, value in enumerate(last.seconds))
    run = hand_run_with(gpu_time=(*hand_run.gpu_time[:-1], last._replace(seconds=seconds)))
    with pytest.raises(SimulationError, match=r"here/main.*gap 1\.0+ GPU-h"):
        build_ledger(run)


def test_negative_time_is_refused(hand_run: RunResult, hand_run_with: Callable[..., RunResult]) -> None:
    """Time moved from one state to another below zero is found although the sum is right."""
    last = hand_run.gpu_time[-1]
    spare, down = GPU_STATES.index("spare"), GPU_STATES.index("down")
    seconds = list(last.seconds)
    seconds[spare] += 1000 * DAY
    seconds[down] -= 1000 * DAY
    run = hand_run_with(gpu_time=(*hand_run.gpu_time[:-1], last._replace(seconds=tuple(seconds))))
    with pytest.raises(SimulationError, match=re.escape("negative in state down")):
        build_ledger(run)


def test_daily_utilization_follows_levels_and_intervals(hand_run: RunResult) -> None:
    """800 GPUs for five days, then 1000 of which 400 are allocated; work falls on the days of its interval."""
    rows = daily_rows(hand_run)
    assert [row["capacity_gpu_hours"] / 24 for row in rows] == pytest.approx([800] * 5 + [1000] * 5)
    assert [row["allocated"] for row in rows] == pytest.approx([0] * 5 + [0.4] * 5)
    # Day 3 (from 2 to 3): half of alpha's first stretch, of which 1.8 of 2 days are productive.
    assert rows[2]["productive"] == pytest.approx(400 * 0.9 / 800)
    assert rows[2]["busy"] == pytest.approx(400 / 800)
    # Day 8 (from 7 to 8): only beta.
    assert rows[7]["productive"] == pytest.approx(300 / 1000)


def test_daily_fragmentation_is_weighed_by_time_and_capacity(hand_run: RunResult) -> None:
    """Half a day with two fifths of the free domains cut off, and half with none, is a fifth on that day."""
    first = hand_run.levels[0]._replace(time=0.0, installed=1000, fragmentation=0.4)
    rows = daily_rows(replace(hand_run, levels=(first, first._replace(time=0.5 * DAY, fragmentation=0.0))))
    assert [row["fragmentation"] for row in rows[:2]] == pytest.approx([0.2, 0.0])
    empty = first._replace(site="other", fragmentation=0.0)
    rows = daily_rows(replace(hand_run, levels=(first, empty)))
    assert rows[0]["fragmentation"] == pytest.approx(0.2)


def test_a_run_without_length_has_no_days(hand_run_with: Callable[..., RunResult]) -> None:
    """Nothing is divided by nothing."""
    assert daily_rows(hand_run_with(end_time=0.0)) == []


def test_spread_splits_a_stretch_over_days() -> None:
    """A stretch from noon to noon gives half to each day, and stretches add up."""
    amounts = spread(
        np.array([0.5 * DAY, 2.0 * DAY]), np.array([1.5 * DAY, 3.0 * DAY]), np.array([8.0, 5.0]), 3
    )
    assert amounts.tolist() == pytest.approx([4.0, 4.0, 5.0])


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0.01, 20), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_spread_loses_nothing(stretches: list[tuple[float, float, float]]) -> None:
    """Whatever the stretches, the days add up to the amounts."""
    start = np.array([first * DAY for first, _, _ in stretches])
    end = start + np.array([length * DAY for _, length, _ in stretches])
    amount = np.array([value for _, _, value in stretches])
    assert spread(start, end, amount, 41).sum() == pytest.approx(amount.sum(), rel=1e-9, abs=1e-6)
