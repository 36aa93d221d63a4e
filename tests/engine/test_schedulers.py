"""Scheduling policies on small queues that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench
from colossus_sim.engine.bookings import Profile
from colossus_sim.engine.disciplines import SCHEDULERS
from colossus_sim.specs.cluster import Site
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


@pytest.mark.parametrize("scheduler", ["easy_backfill", "conservative_backfill"])
def test_a_job_without_walltime_is_expected_to_end_by_what_it_has_done(scheduler: str) -> None:
    """At 50 s the running job has 50 s left: one of 60 s would delay the wide one and waits, one of 40 s passes."""
    queue = {
        "running": BenchJob(units=100, unit_time=1.0, gpus=6),
        "wide": BenchJob(units=1, unit_time=50.0, gpus=10, submit=1.0),
        "long": BenchJob(units=1, unit_time=60.0, gpus=4, submit=50.0),
        "short": BenchJob(units=1, unit_time=40.0, gpus=4, submit=50.0),
    }

    assert starts(scheduler, queue) == {"running": 0.0, "wide": 100.0, "long": 150.0, "short": 50.0}


def test_a_job_that_is_starting_again_is_expected_to_end_after_what_is_left() -> None:
    """Ten days in, half of its ten days of work done, and no step under way: five days more, not now."""
    from types import SimpleNamespace

    from colossus_sim.engine.holding import Holding
    from colossus_sim.specs.faults import Restart

    day = 86400.0
    restart = Restart.model_construct(
        base=600.0,
        per_doubling=0.0,
        exponent=0.0,
        parts={},
        selection_time=0.0,
        manual_fraction=0.0,
        manual_time=0.0,
    )
    job = SimpleNamespace(
        job=SimpleNamespace(walltime=None), now=10 * day, held_since=0.0,
        work=SimpleNamespace(underway=False), model=SimpleNamespace(gpus_wanted=8),
        world=SimpleNamespace(scenario=SimpleNamespace(faults=SimpleNamespace(restart=restart))),
        time_left=lambda: 5 * day,
    )  # fmt: skip
    job.expected_run = lambda: Holding.expected_run(job)
    assert Holding.expected_end(job) == 15 * day


def test_nobody_is_preempted_in_vain() -> None:
    """The newest job is of no use to the urgent one, which needs the GPUs of the other anyway: it stays."""
    jobs = {
        "big": BenchJob(units=100, unit_time=1.0, gpus=8),
        "small": BenchJob(units=100, unit_time=1.0, gpus=2),
        "urgent": BenchJob(units=1, unit_time=10.0, gpus=8, submit=20.0, priority=5),
    }
    policies = Policies.model_validate({"preemption": "priority", "contention": "none"})
    result = play_bench(jobs, site=a_site(10), policies=policies)
    assert [row.job for row in result.events if row.kind == "preempt"] == ["big"]


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


DUE = {
    "running": BenchJob(units=1, unit_time=100.0, gpus=10),
    "first": BenchJob(units=1, unit_time=200.0, gpus=10, submit=1.0, priority=1, due=900.0),
    "early": BenchJob(units=1, unit_time=50.0, gpus=10, submit=2.0, due=450.0),
    "heavy": BenchJob(units=1, unit_time=300.0, gpus=10, submit=3.0, due=600.0),
    "whenever": BenchJob(units=1, unit_time=10.0, gpus=10, submit=4.0, priority=9),
}
"""At 100 s the slacks (date less work left) are 700, 400, 300 s and, without a date, infinite."""


def test_deadline_serves_the_least_slack_and_not_the_earliest_date() -> None:
    """The heavy job goes before the one with the earlier date, which needs less time; both are done in time."""
    assert starts("deadline", DUE) == {
        "running": 0.0, "heavy": 100.0, "early": 400.0, "first": 450.0, "whenever": 650.0,
    }  # fmt: skip
    assert starts("fifo", DUE) == {
        "running": 0.0, "first": 100.0, "early": 300.0, "heavy": 350.0, "whenever": 650.0,
    }  # fmt: skip
    assert starts("priority", DUE) == {
        "running": 0.0, "whenever": 100.0, "first": 110.0, "early": 310.0, "heavy": 360.0,
    }  # fmt: skip


def test_the_latest_job_is_late_by_least_under_deadline() -> None:
    """At worst just in time under least slack, 50 s late under first come, 60 s by priority."""

    def worst(scheduler: str) -> float:
        begun = starts(scheduler, DUE)
        return max(
            begun[name] + job.units * job.unit_time - job.due
            for name, job in DUE.items()
            if job.due is not None
        )

    assert worst("deadline") == 0.0
    assert worst("fifo") == 50.0
    assert worst("priority") == 60.0


def test_deadline_counts_the_work_left_and_not_the_whole_job() -> None:
    """Preempted at 60 s of 100 s with its work saved, a job has 40 s left, so the other one has less slack."""
    jobs = {
        "half": BenchJob(units=100, unit_time=1.0, gpus=10, due=300.0, state_bytes=1.0),
        "urgent": BenchJob(units=1, unit_time=100.0, gpus=10, submit=60.0, priority=5, due=161.0),
        "other": BenchJob(units=1, unit_time=60.0, gpus=10, submit=70.0, due=300.0),
    }
    policies = Policies.model_validate(
        {"scheduler": "deadline", "preemption": "priority", "contention": "none"}
    )
    result = play_bench(jobs, site=a_site(10), policies=policies)

    assert {row.job: row.end for row in result.phases} == {"urgent": 160.0, "other": 220.0, "half": 260.0}


def test_deadline_lets_a_job_without_a_date_backfill() -> None:
    """Four GPUs are free and the job with a date wants six: the one without a date takes them meanwhile."""
    jobs = {
        "running": BenchJob(units=1, unit_time=100.0, gpus=6, due=100.0),
        "dated": BenchJob(units=1, unit_time=50.0, gpus=6, submit=1.0, due=200.0),
        "whenever": BenchJob(units=1, unit_time=500.0, gpus=4, submit=2.0),
    }

    assert starts("deadline", jobs) == {"running": 0.0, "dated": 100.0, "whenever": 2.0}


def test_fair_share_counts_gpus_times_hours_and_the_run_under_way() -> None:
    """At 100 s, a has held 8 GPUs and b 2 for 100 s each: b goes first; with 1,200 GPU-seconds then, it waits."""
    jobs = {
        "a1": BenchJob(units=1, unit_time=100.0, gpus=8, account="a"),
        "b1": BenchJob(units=1, unit_time=100.0, gpus=2, account="b"),
        "a2": BenchJob(units=1, unit_time=100.0, gpus=10, account="a", submit=1.0),
        "b2": BenchJob(units=1, unit_time=100.0, gpus=10, account="b", submit=2.0),
        "b3": BenchJob(units=1, unit_time=100.0, gpus=10, account="b", submit=3.0),
    }
    under_way = {
        "a1": BenchJob(units=1, unit_time=100.0, gpus=4, account="a"),
        "b1": BenchJob(units=1, unit_time=200.0, gpus=2, account="b"),
        "a2": BenchJob(units=1, unit_time=10.0, gpus=8, account="a", submit=1.0),
        "b2": BenchJob(units=1, unit_time=10.0, gpus=8, account="b", submit=2.0),
    }

    assert starts("fair_share", jobs) == {"a1": 0.0, "b1": 0.0, "b2": 100.0, "a2": 200.0, "b3": 300.0}
    assert starts("fair_share", under_way) == {"a1": 0.0, "b1": 0.0, "b2": 100.0, "a2": 110.0}


BEHIND = {
    "running": BenchJob(units=1, unit_time=100.0, gpus=6),
    "wide": BenchJob(units=1, unit_time=50.0, gpus=8, submit=1.0),
    "whole": BenchJob(units=1, unit_time=50.0, gpus=10, submit=2.0),
    "long": BenchJob(units=1, unit_time=400.0, gpus=2, submit=3.0),
    "short": BenchJob(units=1, unit_time=90.0, gpus=2, submit=4.0),
}
"""Reservations as given: wide at 100 s, whole at 150 s, long at 200 s, short now (it ends before 100 s)."""


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("fifo", (100.0, 150.0, 200.0, 200.0)),
        ("conservative_backfill", (100.0, 150.0, 200.0, 4.0)),
        ("easy_backfill", (100.0, 403.0, 3.0, 4.0)),
        ("priority_backfill", (100.0, 403.0, 3.0, 4.0)),
    ],
)
def test_four_ways_to_pass_one_queue(scheduler: str, expected: tuple[float, ...]) -> None:
    """Who passes grows from nobody, over whoever delays nobody, to whoever does not delay the first."""
    found = starts(scheduler, BEHIND)

    assert tuple(found[name] for name in ("wide", "whole", "long", "short")) == expected


def test_conservative_backfill_moves_up_when_a_job_ends_early() -> None:
    """Announced for 100 s, the first job ends at 40 s: reservations are made anew and everybody moves up."""
    early = {**BEHIND, "running": BenchJob(units=1, unit_time=40.0, gpus=6, walltime=100.0)}
    found = starts("conservative_backfill", early)

    assert found == {"running": 0.0, "wide": 40.0, "whole": 94.0, "long": 144.0, "short": 4.0}


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


BOOKED = {
    "running": BenchJob(units=1, unit_time=100.0, gpus=6),
    "long": BenchJob(units=1, unit_time=300.0, gpus=4, submit=1.0),
    "short": BenchJob(units=1, unit_time=90.0, gpus=4, submit=2.0),
    "booked": BenchJob(units=1, unit_time=50.0, gpus=8, submit=200.0, reserved=True),
}
"""Eight of ten GPUs are booked from 200 s on; before that, four are free for a long or for a short job."""


@pytest.mark.parametrize(
    "scheduler", ["priority_backfill", "easy_backfill", "conservative_backfill", "fair_share", "deadline"]
)
def test_a_reservation_is_kept_free_by_every_policy_that_backfills(scheduler: str) -> None:
    """The long job would still run at 200 s, so it waits until the booked one is done; the short one passes it."""
    found = starts(scheduler, BOOKED)

    assert found == {"running": 0.0, "long": 250.0, "short": 2.0, "booked": 200.0}
    assert starts(scheduler, BOOKED | {"booked": BenchJob(units=1, unit_time=50.0, gpus=8, submit=200.0)}) == {
        "running": 0.0, "long": 1.0, "short": 100.0, "booked": 301.0,
    }  # fmt: skip


@pytest.mark.parametrize("scheduler", ["fifo", "priority"])
def test_under_strict_orders_nobody_passes_the_one_that_a_reservation_holds_up(scheduler: str) -> None:
    """The short job waits behind the long one, which waits for the booked one; that one is on time."""
    assert starts(scheduler, BOOKED) == {"running": 0.0, "long": 250.0, "short": 250.0, "booked": 200.0}


def test_a_job_that_fits_beside_a_reservation_starts_at_once() -> None:
    """Two of ten GPUs are left over by the booked eight, for as long as one likes."""
    beside = {"beside": BenchJob(units=1, unit_time=900.0, gpus=2, submit=95.0)}

    assert starts("easy_backfill", BOOKED | beside)["beside"] == 95.0
    assert starts("easy_backfill", BOOKED | beside)["booked"] == 200.0


def test_who_runs_longer_than_announced_delays_a_reservation() -> None:
    """The booked job then starts first of all, as soon as it can, although it came last."""
    late = {
        "late": BenchJob(units=1, unit_time=260.0, gpus=10, walltime=100.0),
        "other": BenchJob(units=1, unit_time=10.0, gpus=10, submit=195.0),
    }
    booked = BenchJob(units=1, unit_time=50.0, gpus=8, submit=200.0, reserved=True)

    assert starts("fifo", late | {"booked": booked}) == {"late": 0.0, "other": 310.0, "booked": 260.0}


def test_two_reservations_are_served_by_date() -> None:
    """The earlier one starts on time even if it still runs when the later one is due."""
    booked = {
        "later": BenchJob(units=1, unit_time=50.0, gpus=8, submit=150.0, reserved=True),
        "earlier": BenchJob(units=1, unit_time=100.0, gpus=8, submit=100.0, reserved=True),
    }

    assert starts("conservative_backfill", booked) == {"later": 200.0, "earlier": 100.0}


def test_nobody_is_preempted_for_a_job_that_a_reservation_holds_up() -> None:
    """The urgent job could not start before the booked one anyway, so the running one goes on."""
    jobs = {
        "running": BenchJob(units=15, unit_time=10.0, gpus=10, state_bytes=1.0),
        "urgent": BenchJob(units=10, unit_time=10.0, gpus=10, submit=120.0, priority=5),
        "booked": BenchJob(units=10, unit_time=10.0, gpus=10, submit=200.0, reserved=True),
    }
    policies = Policies.model_validate({"preemption": "priority", "contention": "none"})
    result = play_bench(jobs, site=a_site(10), policies=policies)

    assert {row.job: row.start for row in result.phases} == {"running": 0.0, "urgent": 300.0, "booked": 200.0}
    assert not any(row.kind == "preempt" for row in result.events)


def busy_site(gpus: int, power: float) -> Site:
    """A site of GPUs that draw 400 W idle and 1,000 W busy, without cooling; jobs wait for power."""
    return a_site(gpus, power_limit=power, power_control="queue", pue=1.0, power_exponent=2.0)


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
def test_a_power_cap_lets_jobs_wait_instead_of_lowering_clocks(scheduler: str) -> None:
    """Of ten GPUs, six may be busy: 10 x 400 W + 6 x 600 W. Two jobs of three run at once, the third waits."""
    jobs = {name: BenchJob(units=10, unit_time=10.0, gpus=3) for name in ("a", "b", "c")}
    policies = Policies.model_validate({"scheduler": scheduler, "contention": "none"})
    result = play_bench(jobs, site=busy_site(10, 7600.0), policies=policies)
    below = play_bench(jobs, site=busy_site(10, 7599.0), policies=policies)

    assert {row.job: (row.start, row.end) for row in result.phases} == {
        "a": (0.0, 100.0), "b": (0.0, 100.0), "c": (100.0, 200.0),
    }  # fmt: skip
    assert max(row.power for row in result.levels) == 7600.0
    assert [row.start for row in below.phases] == [0.0, 100.0, 200.0]


def test_gpus_that_hold_still_count_under_a_power_cap() -> None:
    """While a job restarts its GPUs are not computing; nobody may start on that power."""
    jobs = {
        "a": BenchJob(units=100, unit_time=10.0, gpus=6, state_bytes=1.0),
        "b": BenchJob(units=1, unit_time=10.0, gpus=3, submit=1.0),
    }
    broken = faults(300.0, any=fault_class("site", 1 / 200))
    result = play_bench(jobs, site=busy_site(10, 7600.0), faults=broken, seed=3)
    first, second = result.phases

    assert first.interruptions > 0
    assert second.start == first.end
