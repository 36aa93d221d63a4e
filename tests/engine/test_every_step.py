"""The engine that jumps over whole stretches against the one that plays every step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colossus_sim.engine.runner import simulate
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import a_job, a_scenario, fake_model, fault


def totals(result: RunResult, job: str) -> list[float]:
    """Seconds per cause of a job."""
    return [
        sum(row.causes[index] for row in result.intervals if row.job == job) for index in range(len(CAUSES))
    ]


def tiers(fast: int) -> list[dict[str, Any]]:
    """Copies in memory every so many seconds and slower ones on storage."""
    return [
        {"name": "memory", "mode": "async", "interval": f"{fast} s", "snapshot_bandwidth": "1 GB/s",
         "write_bandwidth": "1 GB/s", "read_bandwidth": "1 GB/s", "coordination": "3 s", "survives": "software"},
        {"name": "storage", "mode": "sync", "interval": f"{5 * fast} s", "coordination": "1 s"},
    ]  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    fast=st.sampled_from([50, 120, 400]),
    per_day=st.sampled_from([0, 10, 60]),
    elastic=st.booleans(),
)
def test_fast_forward_equals_every_step(seed: int, fast: int, per_day: int, elastic: bool) -> None:
    """On the same draws: the same events in the same order, and every time to one part in a billion."""
    classes = {
        "soft": fault("job", f"{per_day} /day", "nothing", detection="30 s"),
        "node": fault("domain", f"{per_day / 160} /day", "domain"),
        "slow": fault("domain", f"{per_day / 32} /day", "domain", interrupts=False, slowdown=2, detection="9 min"),
    }  # fmt: skip
    more = {"min_gpus": 64} if elastic else {}
    scenario = Scenario.model_validate(
        a_scenario(
            jobs={"one": a_job(gpus=96, tokens=700, **more), "two": a_job(gpus=64, tokens=300, priority=1)},
            faults={"classes": classes},
            checkpoint={"tiers": tiers(fast)},
            policies={"preemption": "priority"},
            horizon="20 days",
        )
    )
    play: dict[str, Any] = {"seed": seed, "build_model": fake_model}
    fast_run = simulate(scenario, **play)
    slow_run = simulate(scenario, every_step=True, **play)

    assert [row[1:7] for row in fast_run.events] == [row[1:7] for row in slow_run.events]
    times = [row.time for row in fast_run.events]
    assert times == pytest.approx([row.time for row in slow_run.events], rel=1e-9)
    for job in ("one", "two"):
        assert totals(fast_run, job) == pytest.approx(totals(slow_run, job), rel=1e-9, abs=1e-5)
    for row, other in zip(fast_run.phases, slow_run.phases, strict=True):
        assert row.interruptions == other.interruptions
        assert row.units_done == pytest.approx(other.units_done, rel=1e-9)
    if not per_day:
        assert slow_run.events_processed > fast_run.events_processed + 900
