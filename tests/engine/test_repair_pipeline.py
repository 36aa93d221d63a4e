"""Repairs in two stages that may leave a unit as it was, wrong diagnoses, and a reserve won by preemption."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from colossus_sim.engine.pool import FREE, RESERVE, SPARE, PartitionPool
from colossus_sim.records import RunResult
from colossus_sim.specs.cluster import Partition
from tests.engine.conftest import GPU, a_job, fault

Play = Callable[..., RunResult]
DAY, HOUR = 86400.0, 3600.0
LONG = a_job(gpus=128, tokens=10**7)
"""A job on all GPUs that outlasts every test."""


def cluster(**partition: Any) -> dict[str, Any]:
    """The site of the small world, its partition changed."""
    return {"sites": {"here": {"partitions": {"all": partition}}}}


def rows(result: RunResult, kind: str) -> list[Any]:
    """Events of a kind."""
    return [row for row in result.events if row.kind == kind]


def repair(**more: Any) -> dict[str, Any]:
    """Stages of one and five hours, exactly; none fails."""
    base = {"auto_fraction": 0.25, "auto_time": "1 h", "manual_time": "5 h", "distribution": "fixed"}
    return base | more


def test_two_stages_follow_one_another(play: Play) -> None:
    """A quarter is back after the first stage, the others after both; who goes on is a Bernoulli draw."""
    spec = fault("node", "1e-6 /s", "node", repair=repair(auto_first=True))
    result = play(horizon="800 days", jobs={"one": LONG}, faults={"classes": {"any": spec}})
    failures = {(row.value, row.time) for row in rows(result, "failure")}
    back = rows(result, "repair")
    short = [row for row in back if row.note == "automatic"]
    hands = [row for row in back if row.note == "by hand"]
    assert len(short) + len(hands) == len(back) > 500
    times = sorted(time for _, time in failures)
    starts = {round(time + HOUR, 3) for time in times}, {round(time + 6 * HOUR, 3) for time in times}
    assert all(round(row.time, 3) in starts[0] for row in short)
    assert all(round(row.time, 3) in starts[1] for row in hands)
    assert abs(len(hands) - 0.75 * len(back)) < 4.0 * math.sqrt(len(back) * 0.75 * 0.25)


def test_off_by_default_nothing_is_noted(play: Play) -> None:
    """Repairs of one stage that always mend say nothing about it, as before."""
    spec = fault("node", "1e-6 /s", "node", repair=repair())
    result = play(horizon="100 days", jobs={"one": LONG}, faults={"classes": {"any": spec}})
    assert {row.note for row in rows(result, "repair")} == {""}


def test_under_load_only_computing_time_counts(play: Play) -> None:
    """Half of the GPUs are idle and restarts take an hour, yet failures per computing node-hour are as stated."""
    spec = fault("node", "3e-5 /s", "nothing", under_load=True)
    restart = {"base": "1 h"}
    job = a_job(gpus=64, tokens=10**7)
    result = play(
        horizon="200 days", jobs={"one": job}, faults={"classes": {"any": spec}, "restart": restart}
    )
    computing = math.fsum(row.end - row.start for row in result.intervals if row.state == "running")
    expected = 8 * 3e-5 * computing
    count = len(rows(result, "failure"))
    assert all(row.job == "one" for row in rows(result, "failure"))
    assert computing < 0.7 * result.end_time
    assert count > 1500
    assert abs(count - expected) < 4.0 * math.sqrt(expected)


@pytest.mark.parametrize(("share", "times"), [(0.0, 1.0), (0.5, 2.0), (0.75, 4.0)])
def test_what_is_not_mended_comes_back(play: Play, share: float, times: float) -> None:
    """If a share q of repairs does not mend, each failure becomes 1 / (1 - q) of them in the long run."""
    stages = repair(auto_fraction=1, auto_time="60 s", auto_unmended=share, recurs_after="6 h")
    spec = fault("node", "1e-6 /s", "node", repair=stages)
    result = play(horizon="1000 days", jobs={"one": LONG}, faults={"classes": {"any": spec}})
    base = 16 * 1e-6 * 1000 * DAY
    failures = rows(result, "failure")
    assert abs(len(failures) / base - times) < 4.0 * times * math.sqrt(2.0 * times / base)
    not_mended = sum(row.note == "automatic, not mended" for row in rows(result, "repair"))
    assert abs(not_mended / len(failures) - share) < 4.0 * math.sqrt(0.25 / len(failures))


def test_a_mended_lemon_is_a_node_like_any_other(play: Play) -> None:
    """One lemon of sixteen nodes: with repairs that mend it fails once more than the others do."""
    stages = repair(auto_fraction=1, auto_time="60 s")
    spec = fault("node", "2e-6 /s", "node", repair=stages)
    lemons = {"share": 0.0625, "factor": 400, "mended_by_repair": True}
    counts = []
    for more in ({}, {"auto_unmended": 0.9}):
        faults = {"classes": {"hardware": spec | {"repair": stages | more}}, "lemons": lemons}
        result = play(horizon="400 days", jobs={"one": LONG}, faults=faults, seed=4)
        counts.append(len(rows(result, "failure")))
    left = 16 * 2e-6 * 400 * DAY * 16 / (16 + 399)
    assert abs(counts[0] - 1 - left) < 4.0 * math.sqrt(left)
    assert counts[1] > counts[0]


def test_a_missed_failure_sends_nothing_to_repair(play: Play) -> None:
    """The job stops and restarts where it was; with a recurrence the same unit fails again and again."""
    stages = repair(auto_fraction=1, recurs_after="10 h")
    spec = fault("node", "1e-7 /s", "node", repair=stages)
    faults = {"classes": {"any": spec}, "diagnosis": {"missed": 1.0}}
    result = play(horizon="100 days", jobs={"one": LONG}, faults=faults)
    failures = rows(result, "failure")
    assert not rows(result, "repair")
    assert len(rows(result, "misdiagnosis")) == len(failures) > 200
    first = failures[0].value
    assert sum(row.value == first for row in failures) > 20


def test_the_wrong_unit_is_another_of_the_same_job(play: Play) -> None:
    """Whoever is blamed leaves the job; the unit that failed stays and fails again later."""
    stages = repair(auto_fraction=1, auto_time="1 h", recurs_after="5 h")
    spec = fault("node", "1e-7 /s", "node", repair=stages)
    faults = {"classes": {"any": spec}, "diagnosis": {"wrong": 1.0}}
    job = a_job(gpus=64, tokens=10**7)
    result = play(horizon="200 days", jobs={"one": job}, faults=faults)
    blamed = rows(result, "misdiagnosis")
    of_job = [row for row in rows(result, "failure") if row.job]
    assert len(blamed) == len(of_job) > 50
    assert all(f"domain {row.value:.0f} " not in row.note for row in blamed)
    assert len({row.note for row in blamed}) > 5


def test_the_reserve_is_won_one_after_another(play: Play, failures_at: Callable[..., None]) -> None:
    """No spare and none free: one domain for the job and one for the spares, twenty minutes each."""
    failures_at(1000.0, 2000.0)
    spec = fault("site", "1 /s", "nothing")  # moved to one node below
    spec |= {"per": "node", "rate": "0.0625 /s", "removes": "node", "repair": repair(manual_time="9 days")}
    result = play(
        horizon="1 day",
        jobs={"one": a_job(gpus=96, tokens=10**6)},
        cluster=cluster(spare_domains=1, reserve_domains=3, refill_spares=True),
        faults={"classes": {"any": spec}, "restart": {"selection_time": "3 min"}},
    )
    won = [row.time for row in rows(result, "reserve")]
    hit = [row.time for row in rows(result, "failure") if row.job]
    assert len(hit) == 2
    assert won == pytest.approx([hit[1] + 1200.0, hit[1] + 2400.0])
    starts = [row.time for row in rows(result, "selection")]
    assert starts == pytest.approx([0.0, hit[1] + 2400.0])
    waits = [row for row in result.intervals if row.state == "repair_wait"]
    assert math.fsum(row.end - row.start for row in waits) == pytest.approx(2400.0)


def a_pool(**more: Any) -> PartitionPool:
    """Sixteen domains of eight GPUs."""
    spec = {"gpu": GPU, "capacity": [{"at": "2026-01-01", "gpus": 128}]} | more
    pool = PartitionPool("site", "all", Partition.model_validate(spec), (1,))
    pool.resize(128, [])
    return pool


def test_the_reserve_is_not_for_the_queue_and_comes_back_to_itself() -> None:
    """Its domains are neither free nor spare; one that broke there goes back there, one that was won does not."""
    pool = a_pool(spare_domains=2, reserve_domains=3)
    assert (pool.counts[SPARE], pool.counts[RESERVE], pool.counts[FREE]) == (2, 3, 11)
    assert sum(pool.gpus_by_state()) == 128
    reserve = int((pool.owner == RESERVE).argmax())
    pool.fail(reserve, 8)
    assert (pool.counts[RESERVE], pool.kept_missing) == (2, 1)
    pool.repair(reserve, 8)
    assert pool.counts[RESERVE] == 3
    won = pool.win()
    assert pool.owner[won] == FREE
    pool.fail(won, 8)
    pool.repair(won, 8)
    assert (pool.counts[RESERVE], pool.counts[FREE]) == (2, 12)


def test_spares_are_filled_up_from_free_domains() -> None:
    """Until none is missing, or none is free."""
    pool = a_pool(spare_domains=3)
    for _ in range(3):
        pool.replace(0)
    pool.refill_spares()
    assert (pool.counts[SPARE], pool.counts[FREE]) == (3, 10)


def test_the_first_free_domain_is_found_whatever_happened() -> None:
    """The kept order of the free domains gives what a search of all of them gives."""
    pool = a_pool(spare_domains=1)
    for number, domain in enumerate((5, 3, 7, 3, 9, 2)):
        expected = int((pool.owner == (SPARE if pool.counts[SPARE] else FREE)).argmax())
        assert pool.replace(number) == expected
        pool.fail(domain, 8)
        if number % 2:
            pool.repair(domain, 8)
            pool.release(number - 1)
