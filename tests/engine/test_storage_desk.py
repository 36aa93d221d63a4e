"""Saves that queue at one storage system, on cases that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.engine.agenda import Agenda
from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.engine.runner import simulate
from colossus_sim.engine.storage_desk import StorageDesk, Transfer, waste, weighted_shares
from colossus_sim.records import RunResult
from colossus_sim.specs.policies import Policies
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import a_job, a_scenario, fake_model, fault


def ends(strategy: str, **more: Any) -> dict[str, float]:
    """When two jobs of 100 s of work end that both save 10 GB after 50 s, at 1 GB/s."""
    return {row.job: row.end for row in two_jobs(strategy, **more).phases}


def two_jobs(strategy: str, wide: int = 1, seed: int = 1, **more: Any) -> RunResult:
    """Play them."""
    jobs = {
        "a": BenchJob(units=100, unit_time=1.0, gpus=wide, state_bytes=10e9, checkpoint=saves(50.0, 0.0)),
        "b": BenchJob(units=100, unit_time=1.0, gpus=1, state_bytes=10e9, checkpoint=saves(50.0, 0.0)),
    }
    policies = Policies.model_validate({"contention": "none", "storage_access": strategy})
    site = a_site(wide + 1, storage_bandwidth=1e9)
    return play_bench(jobs, site=site, policies=policies, seed=seed, **more)


def test_alone_each_save_takes_its_own_time() -> None:
    """50 s of work, 10 s of saving, 50 s of work."""
    assert ends("alone") == {"a": 110.0, "b": 110.0}


def test_shared_saves_are_slowed_in_proportion_to_gpus() -> None:
    """Equal jobs take twice as long; of 3:1, the wide one has 3/4 of the storage and ends first."""
    assert ends("shared") == {"a": 120.0, "b": 120.0}
    assert ends("shared", wide=3) == pytest.approx({"a": 110.0 + 10 / 3, "b": 120.0})


def test_blocking_waits_and_first_come_works_on() -> None:
    """The second job stands still for 10 s; or it works for 10 s and saves then."""
    assert ends("blocking") == {"a": 110.0, "b": 120.0}
    assert ends("first_come") == {"a": 110.0, "b": 110.0}


def test_restarts_read_through_the_queue() -> None:
    """With failures at random, everybody still finishes, and no save is quicker than the storage allows."""
    broken = faults(5.0, node=fault_class("gpu", 1 / 400))
    result = two_jobs("first_come", faults=broken)

    stalls = [row for row in result.intervals if row.saves]
    assert all(row.end > 110.0 for row in result.phases)
    assert stalls
    assert all(row.end - row.start >= 10.0 - 1e-6 for row in stalls)


def test_least_waste_serves_the_one_whose_wait_costs_most() -> None:
    """Of two jobs that stand still, the wide one goes first; its choice loses only the narrow one's time."""

    def transfer(gpus: int) -> Transfer:
        return Transfer(
            seconds=10.0, most=1.0, gpus=gpus, stops=True, at_risk_since=0.0, failure_rate=0.0, restore=0.0,
            changed=lambda: None,
        )  # fmt: skip

    waiting = [transfer(1), transfer(8)]
    desk = StorageDesk(Agenda(), "least_waste")
    first = transfer(2)
    for one in (first, *waiting):
        desk.ask(one)
    desk.cancel(first)

    assert waste(waiting, 0, 0.0) == 80.0
    assert waste(waiting, 1, 0.0) == 10.0
    assert waiting[1].granted
    assert not waiting[0].granted


def test_shares_are_max_min_fair_with_caps() -> None:
    """A job that can use a tenth leaves the rest to the others, by weight."""
    assert weighted_shares([1.0, 1.0, 2.0], [0.1, 1.0, 1.0]) == pytest.approx([0.1, 0.3, 0.6])
    assert weighted_shares([1.0], [0.5]) == [0.5]


@pytest.mark.parametrize("strategy", ["shared", "blocking", "first_come", "least_waste"])
def test_saves_that_take_longer_than_the_interval_between_them_let_time_pass(strategy: str) -> None:
    """Four jobs that save every 20 s where their copies take 40: the next is due when the last one is out."""
    offsets = {"a": "00", "b": "03", "c": "07", "d": "11"}
    scenario = Scenario.model_validate(
        a_scenario(
            jobs={
                name: a_job(gpus=32, tokens=300, submit=f"2026-01-01T00:00:{at}")
                for name, at in offsets.items()
            },
            checkpoint={"tiers": [{"name": "storage", "mode": "async", "interval": "20 s"}]},
            policies={"storage_access": strategy},
            horizon="5 days",
        )
    )
    result = simulate(scenario, seed=1, build_model=fake_model)
    assert all(row.units_done == row.units for row in result.phases)


@pytest.mark.parametrize("strategy", ["alone", "shared", "blocking", "first_come", "least_waste"])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_fast_forward_equals_every_step_with_a_queue_at_the_storage(strategy: str, mode: str) -> None:
    """Same events in the same order, with failures, preemption and both kinds of saves."""
    classes = {"node": fault("domain", "0.5 /day", "domain"), "soft": fault("job", "20 /day", "nothing")}
    scenario = Scenario.model_validate(
        a_scenario(
            jobs={"one": a_job(gpus=96, tokens=900), "two": a_job(gpus=64, tokens=300, priority=1),
                  "three": a_job(gpus=32, tokens=600)},
            faults={"classes": classes},
            checkpoint={"tiers": [{"name": "storage", "mode": mode, "interval": "500 s"}]},
            policies={"preemption": "priority", "storage_access": strategy},
            horizon="20 days",
        )
    )  # fmt: skip
    play: dict[str, Any] = {"seed": 5, "build_model": fake_model}
    fast, slow = simulate(scenario, **play), simulate(scenario, every_step=True, **play)

    assert [row[1:7] for row in fast.events] == [row[1:7] for row in slow.events]
    assert [row.time for row in fast.events] == pytest.approx([row.time for row in slow.events], rel=1e-9)
    assert all(row.end > 0 for row in fast.phases)
