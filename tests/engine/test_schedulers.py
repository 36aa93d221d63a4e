"""Scheduling policies on small queues that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from colossus_sim.engine.bench import BenchJob, a_site, play_bench
from colossus_sim.engine.disciplines import SCHEDULERS, Profile
from colossus_sim.specs.policies import Policies


def starts(scheduler: str, jobs: Mapping[str, BenchJob], gpus: int = 10) -> dict[str, float]:
    """When each job gets its GPUs."""
    policies = Policies.model_validate({"scheduler": scheduler, "contention": "none"})
    result = play_bench(jobs, site=a_site(gpus), policies=policies)
    return {row.job: row.start for row in result.phases}


QUEUE = {
    "running": BenchJob(units=1, unit_time=100.0, gpus=6),
    "wide": BenchJob(units=1, unit_time=50.0, gpus=10, submit=1.0),
    "long": BenchJob(units=1, unit_time=500.0, gpus=4, submit=2.0),
    "short": BenchJob(units=1, unit_time=90.0, gpus=4, submit=3.0),
}
"""Six of ten GPUs are taken until 100 s; then a job wants all; behind it one long and one short one of four."""


def test_fifo_lets_nobody_pass() -> None:
    """The long and the short job wait for the wide one."""
    assert starts("fifo", QUEUE) == {"running": 0.0, "wide": 100.0, "long": 150.0, "short": 150.0}


def test_greedy_backfill_may_delay_the_wide_job() -> None:
    """The long job passes, so the wide one waits for it."""
    found = starts("priority_backfill", QUEUE)

    assert found["long"] == 2.0
    assert found["wide"] == 502.0


def test_easy_backfill_never_delays_the_first_one_that_waits() -> None:
    """Only the short job passes: it ends before the wide one could start anyway."""
    assert starts("easy_backfill", QUEUE) == {"running": 0.0, "wide": 100.0, "long": 150.0, "short": 3.0}


def test_conservative_backfill_delays_nobody_where_easy_may() -> None:
    """A job that fits now but would push back the second in the queue waits under conservative backfill only."""
    queue = {
        "running": BenchJob(units=1, unit_time=100.0, gpus=6),
        "wide": BenchJob(units=1, unit_time=50.0, gpus=8, submit=1.0),
        "second": BenchJob(units=1, unit_time=50.0, gpus=10, submit=2.0),
        "third": BenchJob(units=1, unit_time=400.0, gpus=2, submit=3.0),
    }

    assert starts("easy_backfill", queue)["third"] == 3.0
    assert starts("easy_backfill", queue)["second"] == 403.0
    assert starts("conservative_backfill", queue)["second"] == 150.0


def test_fair_share_serves_the_account_that_had_least() -> None:
    """After a run of account a, the job of b goes before the earlier one of a."""
    queue = {
        "first": BenchJob(units=1, unit_time=100.0, gpus=10, account="a"),
        "more": BenchJob(units=1, unit_time=100.0, gpus=10, account="a", submit=1.0),
        "other": BenchJob(units=1, unit_time=100.0, gpus=10, account="b", submit=2.0),
    }

    assert starts("fair_share", queue) == {"first": 0.0, "other": 100.0, "more": 200.0}


def test_a_profile_finds_the_first_hole_that_is_long_enough() -> None:
    """Two domains free until 10 s, none until 20 s, five afterwards."""
    profile = Profile(0.0, 2)
    profile.take(10.0, 20.0, 2)
    profile.give(20.0, 3)

    assert profile.earliest(2, 10.0) == 0.0
    assert profile.earliest(2, 11.0) == 20.0
    assert profile.earliest(6, 1.0) == float("inf")


def test_every_policy_of_the_table_can_be_named_in_a_scenario() -> None:
    """The plug-ins and the field of the scenario list the same names."""
    for name in SCHEDULERS:
        assert Policies.model_validate({"scheduler": name}).scheduler == name
    with pytest.raises(ValueError, match="scheduler"):
        Policies.model_validate({"scheduler": "shortest_first"})
