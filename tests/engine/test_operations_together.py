"""Ages, groups, lemons, hangs, unreadable copies and planned work in one run, on random draws."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colossus_sim.engine.runner import simulate
from colossus_sim.records import RunResult
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import a_job, a_scenario, fake_model, fault
from tests.engine.test_every_step import totals

YOUNG = {"parts": [{"shape": 0.5, "life": "40 days"}, {"shape": 4, "life": "30 days"}], "renewed": "by_hand"}


def a_hard_life(seed: int, *, unreadable: float, fraction: float, share: float, spare: int) -> dict[str, Any]:
    """Everything at once on two jobs, one of them elastic."""
    classes = {
        "gpu": fault("gpu", "0.01 /day", "node", lifetime=YOUNG, hang_fraction=0.3),
        "host": fault("node", "0.1 /day", "node", detection="1 min"),
        "feed": fault("group", "0.3 /day", "group", group={"domains": 4, "share": share}),
        "switch": fault("group", "0.5 /day", "nothing", group={"domains": 8}, hang_fraction=0.5),
        "log": fault("job", "3 /day", "nothing", distribution="empirical", gaps=["1 h", "2 h", "9 h"]),
        "slow": fault("node", "0.2 /day", "node", interrupts=False, slowdown=1.5, detection="2 h"),
    }
    near = {"name": "memory", "mode": "async", "interval": "200 s", "snapshot_bandwidth": "1 GB/s",
            "write_bandwidth": "10 GB/s", "read_bandwidth": "10 GB/s", "survives": "software",
            "unreadable": unreadable, "older_copies": 1}  # fmt: skip
    far = {"name": "storage", "mode": "sync", "interval": "1000 s", "coordination": "1 s",
           "unreadable": unreadable}  # fmt: skip
    work = {"first": "2026-01-02", "every": "36 h", "duration": "2 h", "fraction": fraction}
    site = {"maintenance": [work], "partitions": {"all": {"spare_domains": spare}}, "repair_crew": 2}
    exchange = {"manual_time": "1 days"}
    return a_scenario(
        seed=seed,
        horizon="4 days",
        jobs={
            "one": a_job(gpus=64, tokens=10**5, min_gpus=32),
            "two": a_job(gpus=32, tokens=3000, priority=1),
        },
        faults={
            "classes": classes,
            "lemons": {"share": 0.1, "factor": 10},
            "eviction": {"failures": 2, "window": "2 days", "exchange": exchange},
            "watchdog": "20 min",
        },
        checkpoint={"tiers": [near, far]},
        cluster={"sites": {"here": site}},
        policies={"preemption": "priority"},
    )


def in_order(result: RunResult) -> list[tuple[Any, ...]]:
    """Return all events in order, those of one instant by name: played step by step, its last bits may differ."""
    moments: list[list[tuple[Any, ...]]] = []
    last = -1.0
    for row in result.events:
        if row.time - last > 1e-6:
            moments.append([])
        moments[-1].append(tuple(row[1:]))
        last = row.time
    return [event for moment in moments for event in sorted(moment, key=repr)]


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    unreadable=st.sampled_from([0.0, 0.3]),
    fraction=st.sampled_from([0.1, 0.5, 1.0]),
    share=st.sampled_from([0.4, 1.0]),
    spare=st.integers(0, 3),
)
def test_nothing_is_lost_or_counted_twice(
    seed: int, unreadable: float, fraction: float, share: float, spare: int
) -> None:
    """Every GPU is in one state, GPU-seconds add up, kept work is the work done, and every step says the same."""
    life = a_hard_life(seed, unreadable=unreadable, fraction=fraction, share=share, spare=spare)
    scenario = Scenario.model_validate(life)
    play: dict[str, Any] = {"build_model": fake_model}
    result = simulate(scenario, **play)
    for row in result.levels:
        assert row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed
        assert min(row.allocated, row.idle, row.spare, row.stranded, row.down) >= 0
    booked = math.fsum(math.fsum(row.seconds) for row in result.gpu_time)
    assert booked == pytest.approx(128 * result.end_time, rel=1e-9)
    for phase in result.phases:
        kept = math.fsum(row.units for row in result.intervals if row.job == phase.job)
        assert kept == pytest.approx(phase.units_done, abs=1e-3)
    times = [row.time for row in result.events]
    assert times == sorted(times)
    slow = simulate(scenario, every_step=True, **play)
    assert in_order(slow) == in_order(result)
    for job in scenario.jobs:
        assert totals(slow, job) == pytest.approx(totals(result, job), rel=1e-6, abs=1e-3)
