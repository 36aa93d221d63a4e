"""Spares of one job alone: nobody else takes them, they come back after repair, they go when the job ends."""

from __future__ import annotations

import math
from typing import Any

import pytest

from colossus_sim import load_scenario, simulate
from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.engine.kernel.allow import unsupported
from colossus_sim.engine.pool import FREE, OUT, SPARE, PartitionPool
from colossus_sim.errors import ScenarioError
from colossus_sim.randomness import stream
from colossus_sim.records import RunResult
from colossus_sim.specs.policies import Policies


def a_pool(domains: int, *, spare_domains: int = 0) -> PartitionPool:
    """Return a pool of domains of one GPU."""
    site = a_site(domains, spare_domains=spare_domains)
    pool = PartitionPool("site", "all", site.partitions["all"], (domains,))
    pool.resize(domains, ())
    return pool


def take(pool: PartitionPool, owner: int, count: int, spares: int) -> list[int]:
    """Give an owner the first free domains, and the next ones as its spares."""
    return pool.allocate(owner, count, "packed", stream(1, "placement"), spares=spares)


def test_own_spares_go_before_those_of_the_partition_and_only_to_their_owner() -> None:
    """Of ten domains: one shared spare, three and two of owner 0, two of owner 1, two free."""
    pool = a_pool(10, spare_domains=1)
    first, _ = take(pool, 0, 3, 2), take(pool, 1, 2, 0)
    assert (pool.counts[FREE], pool.counts[SPARE], pool.own.count(0)) == (2, 1, 2)
    assert pool.gpus_by_state() == (5, 2, 3, 0, 0)

    assert pool.fail(first[0], 1)
    mine = pool.replace(0)
    assert (pool.own.count(0), pool.counts[SPARE]) == (1, 1)
    others = [pool.replace(1) for _ in range(4)]
    assert (others[-1], pool.own.count(0), mine in others) == (None, 1, False)

    pool.repair(first[0], 1)
    assert (pool.own.count(0), pool.counts[SPARE]) == (2, 0)
    pool.release(0)
    assert (pool.own.total, pool.counts[SPARE], pool.counts[FREE]) == (0, 1, 4)
    assert pool.gpus_by_state() == (5, 4, 1, 0, 0)


def test_a_spare_that_breaks_comes_back_to_its_job() -> None:
    """Meanwhile it is down; a domain of the other job that is repaired does not fill the gap."""
    pool = a_pool(8)
    take(pool, 0, 2, 1)
    second = take(pool, 1, 2, 1)
    spare = int((pool.owner == pool.own.place(0)).nonzero()[0][0])
    pool.fail(spare, 1)
    pool.fail(second[0], 1)
    assert (pool.own.count(0), pool.own.count(1), pool.counts[OUT]) == (0, 1, 2)
    assert pool.gpus_by_state() == (3, 2, 1, 0, 2)

    pool.replace(1)
    pool.repair(second[0], 1)
    assert (pool.own.count(0), pool.own.count(1)) == (0, 1)
    pool.repair(spare, 1)
    assert (pool.own.count(0), pool.own.count(1), pool.gpus_by_state()) == (1, 1, (4, 2, 2, 0, 0))


def test_a_repair_after_the_job_has_gone_makes_the_domain_free() -> None:
    """Nothing is kept for an owner that no longer has spares."""
    pool = a_pool(6)
    first = take(pool, 0, 2, 1)
    pool.fail(first[0], 1)
    pool.replace(0)
    pool.release(0)
    pool.repair(first[0], 1)

    assert (pool.counts[FREE], pool.own.total) == (6, 0)


def test_capacity_that_leaves_takes_own_spares_before_gpus_in_use() -> None:
    """Seven of seven domains are taken, two of them spares: two can leave at once, a third only from the job."""
    pool = a_pool(7)
    used = take(pool, 0, 5, 2)

    assert pool.resize(5, [0]) == []
    assert (pool.own.count(0), pool.gpus_by_state()) == (0, (5, 0, 0, 0, 0))
    assert pool.resize(4, [0]) == [used[-1]]


def play(jobs: dict[str, BenchJob], gpus: int, scheduler: str = "fifo", **more: Any) -> RunResult:
    """Play jobs on GPUs that are domains of their own."""
    policies = Policies.model_validate({"scheduler": scheduler, "contention": "none"})
    return play_bench(jobs, site=a_site(gpus), policies=policies, **more)


@pytest.mark.parametrize(
    "scheduler", ["fifo", "priority_backfill", "easy_backfill", "conservative_backfill", "fair_share"]
)
def test_a_job_starts_only_with_its_spares_and_hands_them_back(scheduler: str) -> None:
    """Eight GPUs and two spares fill ten, so the next waits 100 s, and one of two more GPUs waits for that one."""
    jobs = {
        "first": BenchJob(units=1, unit_time=100.0, gpus=8, spare_domains=2),
        "next": BenchJob(units=1, unit_time=50.0, gpus=7, spare_domains=2, submit=1.0),
        "small": BenchJob(units=1, unit_time=200.0, gpus=2, submit=2.0),
    }
    found = play(jobs, 10, scheduler)

    assert {row.job: row.start for row in found.phases} == {"first": 0.0, "next": 100.0, "small": 150.0}
    levels = [(row.time, row.allocated, row.spare, row.idle) for row in found.levels]
    assert [level for level in levels if level[0] in (0.0, 100.0)][-2:] == [(0.0, 8, 2, 0), (100.0, 7, 2, 1)]
    assert all(
        row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed
        for row in found.levels
    )


def test_a_job_with_its_own_spare_goes_on_and_the_other_waits_for_its_repair() -> None:
    """The same failures hit two jobs of four on nine GPUs; only the one with a spare has no wait for repairs."""
    jobs = {
        "covered": BenchJob(units=2000, unit_time=10.0, gpus=4, spare_domains=1, state_bytes=1.0),
        "bare": BenchJob(units=2000, unit_time=10.0, gpus=4, state_bytes=1.0),
    }
    repair = {"auto_fraction": 1, "auto_time": "200 s", "distribution": "fixed"}
    broken = faults(30.0, any=fault_class("domain", 1 / 20_000, "domain", repair=repair))
    found = play(jobs, 9, faults=broken, checkpoint=saves(100.0, 0.0), seed=4)
    waits = {
        name: math.fsum(
            row.end - row.start for row in found.intervals if row.job == name and row.state == "repair_wait"
        )
        for name in jobs
    }
    failures = {
        name: sum(1 for row in found.events if row.kind == "failure" and row.job == name) for name in jobs
    }

    assert min(failures.values()) >= 3
    assert waits == {"covered": 0.0, "bare": 200.0 * failures["bare"]}


def test_a_job_that_does_not_fit_beside_its_spares_is_an_error() -> None:
    """The check counts GPUs and own spares together, and says so."""
    with pytest.raises(ScenarioError, match=r"that jobs can use beside its 200 spare domains"):
        load_scenario("tiny", overrides=["jobs.large.spare_domains=200"])


def test_the_ledger_of_a_whole_scenario_adds_up_and_the_kernel_hands_over() -> None:
    """GPU time and slip are checked when the result is built; the kernel names the field that it lacks."""
    scenario = load_scenario("tiny", overrides=["jobs.large.spare_domains=2"])
    result = simulate(scenario)

    assert unsupported(scenario) == "jobs.large.spare_domains"
    assert result.summary()["jobs"][0]["finished"]
