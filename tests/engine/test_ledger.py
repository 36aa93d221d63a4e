"""Whatever happens, every GPU-second is in one state and every second of a phase has its causes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colossus_sim.engine.runner import simulate
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import a_job, a_scenario, fake_model, fault

DAY = 86400.0


FAULTS = {
    "gpu": fault("gpu", "2 /year", "node"),
    "rack": fault("domain", "3 /year", "domain"),
    "software": fault("job", "0.5 /day", "nothing", detection="10 min"),
    "straggler": fault("node", "3 /year", "node", interrupts=False, slowdown=1.5, detection="3 h"),
    "power": fault("site", "5 /year", "site"),
    "maintenance": fault("node", "1 /year", "nothing", planned=True),
    "corruption": fault("gpu", "0.2 /year", "nothing", needs_storage_checkpoint=True),
}


@st.composite
def busy_scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """Scenarios with several jobs, failures of all kinds, changing capacity and any policy."""
    jobs = {}
    for number in range(draw(st.integers(1, 4))):
        gpus = draw(st.sampled_from([16, 32, 64, 104, 128]))
        jobs[f"job{number}"] = a_job(
            gpus=gpus,
            tokens=draw(st.integers(1, 20000)),
            min_gpus=draw(st.sampled_from([None, 16])),
            max_gpus=draw(st.sampled_from([None, 128])),
            priority=draw(st.integers(0, 3)),
            submit=draw(st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03T12:00"])),
            data={
                "releases": [
                    {"ready": "2026-01-04", "tokens": 5000},
                    {"ready": "2026-01-09", "tokens": 20000},
                ],
                "when_starved": draw(st.sampled_from(["wait", "yield"])),
            },
            phases={
                "pretrain": {"tokens": draw(st.integers(1, 20000)), "data_gated": draw(st.booleans())},
                "sft": {"tokens": 50, "min_duration": "1 day", "overlap": draw(st.sampled_from([0, 0.5]))},
                "safety": {"tokens": 10, "gpus": 8, "after": ["pretrain"], "data_ready": "2026-01-05"},
            },
        )
    faults = draw(st.sets(st.sampled_from(sorted(FAULTS))))
    capacity = [
        {"at": "2026-01-01", "gpus": draw(st.sampled_from([64, 128, 131]))},
        {"at": "2026-01-06", "gpus": draw(st.sampled_from([0, 40, 128]))},
        {"at": "2026-01-10", "gpus": 136},
    ]
    tiers = [
        {"name": "peer", "interval": "10 min", "write_bandwidth": "5 GB/s", "read_bandwidth": "5 GB/s",
         "survives": draw(st.sampled_from(["software", "node"]))},
        {"name": "storage", "mode": draw(st.sampled_from(["sync", "async"])),
         "interval": draw(st.sampled_from(["optimal", "1 h"]))},
    ]  # fmt: skip
    return a_scenario(
        horizon="30 days",
        seed=draw(st.integers(0, 1000)),
        jobs=jobs,
        faults={"classes": {name: FAULTS[name] for name in faults}},
        checkpoint={"tiers": tiers[draw(st.integers(0, 1)) :]},
        cluster={
            "sites": {
                "here": {
                    "power_limit": draw(st.sampled_from([None, "120 kW"])),
                    "partitions": {
                        "all": {
                            "capacity": capacity,
                            "spare_domains": draw(st.integers(0, 2)),
                        }
                    },
                }
            }
        },
        policies={
            "scheduler": draw(st.sampled_from(["fifo", "priority", "priority_backfill"])),
            "placement": draw(st.sampled_from(["packed", "spread", "random"])),
            "preemption": draw(st.sampled_from(["none", "priority"])),
        },
    )


def run(raw: dict[str, Any]) -> RunResult:
    """Validate and play."""
    return simulate(Scenario.model_validate(raw), build_model=fake_model)  # type: ignore[arg-type]


def capacity_seconds(result: RunResult) -> float:
    """Installed GPUs integrated over the run, from the scenario alone."""
    total = 0.0
    scenario = result.scenario
    for site in scenario.cluster.sites.values():
        for partition in site.partitions.values():
            times = [max(0.0, step.at - scenario.start) for step in partition.capacity] + [result.end_time]
            for step, begin, end in zip(partition.capacity, times, times[1:], strict=False):
                total += step.gpus * max(0.0, min(end, result.end_time) - begin)
    return total


any_world = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@any_world
@given(busy_scenarios())
def test_gpu_seconds_add_up_to_the_installed_capacity(raw: dict[str, Any]) -> None:
    """Productive, lost, waiting, idle, spare and down GPU-seconds sum to capacity times time."""
    result = run(raw)
    assert min(seconds for row in result.gpu_time for seconds in row.seconds) >= -1e-3
    booked = math.fsum(seconds for row in result.gpu_time for seconds in row.seconds)

    assert math.isclose(booked, capacity_seconds(result), rel_tol=1e-9, abs_tol=1e-3)


@any_world
@given(busy_scenarios())
def test_intervals_tile_the_life_of_each_phase(raw: dict[str, Any]) -> None:
    """The intervals of a phase follow each other without gap from ready to end, and causes sum to their length."""
    result = run(raw)
    by_phase = defaultdict(list)
    for row in result.intervals:
        by_phase[row.job, row.phase].append(row)
        assert math.isclose(math.fsum(row.causes), row.end - row.start, abs_tol=1e-6)
        spent = dict(zip(CAUSES, row.causes, strict=True))
        spent.pop("fewer_gpus")  # below zero while an elastic job has more GPUs than it asked for
        spent.pop("placement")
        assert min(spent.values()) > -1e-6
    for phase in result.phases:
        rows = by_phase[phase.job, phase.phase]
        if math.isnan(phase.ready):
            assert not rows
            continue
        times = [phase.ready] + [row.end for row in rows]
        assert [row.start for row in rows] == times[:-1]
        assert times[-1] == (result.end_time if math.isnan(phase.end) else phase.end)


@any_world
@given(busy_scenarios())
def test_work_is_neither_lost_nor_invented(raw: dict[str, Any]) -> None:
    """Units kept add up to the units done; a finished phase has done all of them."""
    result = run(raw)
    kept: dict[tuple[str, str], float] = defaultdict(float)
    for row in result.intervals:
        kept[row.job, row.phase] += row.units
    for phase in result.phases:
        assert math.isclose(kept[phase.job, phase.phase], phase.units_done, abs_tol=1e-6)
        if not math.isnan(phase.end):
            assert phase.units == phase.units_done


@any_world
@given(busy_scenarios())
def test_the_same_scenario_and_seed_give_the_same_rows(raw: dict[str, Any]) -> None:
    """Two runs in one process are equal, row by row."""
    first, second = run(raw), run(raw)

    assert repr(first.intervals) == repr(second.intervals)
    assert first.events == second.events
    assert first.gpu_time == second.gpu_time


def test_levels_never_leave_a_gpu_unaccounted(play: Callable[..., RunResult]) -> None:
    """At every moment allocated, idle, spare and down GPUs sum to the installed ones."""
    result = play(faults={"classes": FAULTS}, horizon="60 days", jobs={"one": a_job(tokens=10**6)})

    assert len(result.levels) > 50
    for row in result.levels:
        assert row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed
        assert min(row.allocated, row.idle, row.spare, row.stranded, row.down) >= 0
