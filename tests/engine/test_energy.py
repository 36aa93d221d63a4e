"""What jobs and idle GPUs draw adds up to what their site draws, whatever happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from colossus_sim.engine.runner import simulate
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.results.ledger import build_ledger
from colossus_sim.results.metrics import energy_mwh, energy_of_cluster_mwh
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import GPU, a_job, fake_model, fault
from tests.engine.test_ledger import FAULTS, any_world, busy_scenarios
from tests.engine.worlds import busy_model, energy_gap, random_world

LOST = CAUSES.index("lost_work")
WHOLE = {"one": a_job(gpus=128, tokens=3000)}
"""A job on all GPUs."""
LIMIT = {"sites": {"here": {"power_limit": "100 kW"}}}
TWO_PARTS = {
    "sites": {
        "here": {
            "power_limit": "150 kW",
            "partitions": {
                "more": {
                    "gpu": GPU | {"power_max": "1200 W", "power_idle": "200 W"},
                    "capacity": [{"at": "2026-01-01", "gpus": 64}, {"at": "2026-01-02", "gpus": 128}],
                    "spare_domains": 1,
                }
            },
        }
    }
}
QUEUE = {
    "jobs": {
        "one": a_job(gpus=96),
        "two": a_job(gpus=64, priority=1),
        "three": a_job(gpus=32, submit="2026-01-02"),
    }
}
WORLDS: dict[str, dict[str, Any]] = {
    "saves": {},
    "a limit": {"cluster": LIMIT, **QUEUE},
    "a limit below idle power": {"cluster": {"sites": {"here": {"power_limit": "50 kW"}}}},
    "two partitions": {"cluster": TWO_PARTS, **QUEUE},
    "failures": {"faults": {"classes": FAULTS}, "jobs": {"one": a_job(tokens=10**5)}},
    "failures and a limit": {"cluster": TWO_PARTS, "faults": {"classes": FAULTS}, **QUEUE},
    "a queue at the storage": {"policies": {"storage_access": "blocking"}, "cluster": LIMIT, **QUEUE},
    "a queue at the storage of copies": {
        "policies": {"storage_access": "first_come"}, "cluster": LIMIT, **QUEUE,
        "checkpoint": {"tiers": [{"name": "storage", "mode": "async", "interval": "500 s"}]},
    },
    "input and output": {"jobs": {"one": a_job(input_bytes="90 GB", output_bytes="900 GB")}},
}  # fmt: skip


@pytest.mark.parametrize("world", WORLDS)
def test_jobs_and_idle_gpus_draw_what_the_site_draws(play: Callable[..., RunResult], world: str) -> None:
    """The energy of every job and that of the GPUs that nobody has add up to the power over time."""
    assert energy_gap(play(**WORLDS[world])) == pytest.approx(0.0, abs=1e-9)


@any_world
@given(busy_scenarios())
def test_the_same_holds_in_any_world(raw: dict[str, Any]) -> None:
    """With failures of all kinds, changing capacity, elastic and preempted jobs, and a limit or none."""
    run = simulate(Scenario.model_validate(raw), build_model=fake_model)
    assert energy_gap(run) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("number", [0, 8, 9, 17])
def test_the_same_holds_in_random_worlds(number: int) -> None:
    """With slow and broken links, maintenance and several partitions."""
    assert energy_gap(simulate(random_world(number), build_model=busy_model)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("limit", [None, "100 kW", "60 kW"])
def test_a_job_on_every_gpu_draws_all_of_the_power(play: Callable[..., RunResult], limit: str | None) -> None:
    """Saving, starting, and throttled: nothing is left for others, and never more than the limit allows."""
    ledger = build_ledger(play(jobs=WHOLE, cluster={"sites": {"here": {"power_limit": limit}}}))
    job, cluster = energy_mwh(ledger.jobs["one"]), energy_of_cluster_mwh(ledger)
    assert job == pytest.approx(cluster, rel=1e-12)
    most = 128e3 * 1.25 if limit is None else max(100e3, 128 * 400 * 1.25)
    assert job < most * ledger.run.end_time / 3.6e9


def test_a_job_beside_it_that_ends_raises_the_power_of_work_in_vain(play: Callable[..., RunResult]) -> None:
    """Work on corrupted data draws power by the clocks of the moment, which the other job changes."""
    run = play(
        jobs={"one": a_job(tokens=500), "two": a_job(tokens=1000)}, cluster=LIMIT,
        faults={"classes": {"rot": fault("job", "20 /day", "nothing", undetected="2 h")}},
    )  # fmt: skip
    in_vain = [row for row in run.intervals if row.job == "two" and row.causes[LOST] == row.end - row.start]
    assert any(before.end == row.start for before, row in itertools.pairwise(in_vain))
    assert energy_gap(run) == pytest.approx(0.0, abs=1e-9)


def test_a_gap_is_seen(play: Callable[..., RunResult]) -> None:
    """A job charged for full clocks while its site was throttled does not add up."""
    run = play(jobs=WHOLE, cluster=LIMIT)
    wrong = [row._replace(full_power=sum(row.seconds) if row.job else 0.0) for row in run.gpu_time]
    object.__setattr__(run, "gpu_time", tuple(wrong))
    assert energy_gap(run) > 0.1
