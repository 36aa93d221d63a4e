"""Planned work takes domains in turn, and jobs lose nothing but the time to save and start again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from colossus_sim.records import CAUSES, RunResult
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]
HOUR = 3600.0


def with_work(*works: dict[str, Any], spare: int = 0) -> dict[str, Any]:
    """A site with planned work, and so many domains kept as spares."""
    base = {"title": "firmware", "first": "2026-01-02"}
    site = {"maintenance": [base | work for work in works], "partitions": {"all": {"spare_domains": spare}}}
    return {"sites": {"here": site}}


def seconds(result: RunResult, cause: str) -> float:
    """Seconds spent on a cause."""
    return math.fsum(row.causes[CAUSES.index(cause)] for row in result.intervals)


def batches(result: RunResult) -> list[tuple[float, float]]:
    """(hours since the work began, domains) of each batch."""
    return [((row.time - 86400) / HOUR, row.value) for row in result.events if row.kind == "maintenance"]


def test_a_window_takes_everything_once(play: Play) -> None:
    """Four hours without a GPU: the job saves, waits four hours less its save, and loses no work."""
    result = play(jobs={"one": a_job(tokens=10**4)}, cluster=with_work({"duration": "4 h"}))
    assert batches(result) == [(0.0, 16.0)]
    down = {row.down for row in result.levels if 86400 <= row.time < 86400 + 4 * HOUR}
    assert down == {128}
    assert seconds(result, "repair_wait") == pytest.approx(4 * HOUR - 10.0, abs=10.0)
    assert seconds(result, "lost_work") == pytest.approx(0.0, abs=10.0)
    assert result.phases[0].interruptions == 1


def test_rounds_come_again(play: Play) -> None:
    """Every week: as many windows as weeks, at the same hour."""
    work = {"duration": "1 h", "every": "7 days"}
    result = play(jobs={"one": a_job(tokens=10**7)}, horizon="30 days", cluster=with_work(work))
    assert batches(result) == [(week * 7 * 24.0, 16.0) for week in range(5)]


def test_a_rolling_update_takes_a_quarter_at_a_time(play: Play) -> None:
    """Four batches of four domains, each an hour and ten minutes apart; never more than 32 GPUs are down."""
    work = {"duration": "1 h", "fraction": 0.25, "pause": "10 min"}
    result = play(jobs={"one": a_job(gpus=32, tokens=10**4)}, cluster=with_work(work))
    assert batches(result) == [(pytest.approx(n * 7 / 6), 4.0) for n in range(4)]
    assert {row.down for row in result.levels} == {0, 32}


def test_with_spares_each_batch_costs_a_save_and_a_restart(play: Play) -> None:
    """The job goes on with spares: per batch that holds its domains one save, swap and restart, and no wait."""
    work = {"duration": "1 h", "fraction": 0.125}
    restart = {"base": "100 s", "per_doubling": "0 s", "manual_fraction": 0, "swap_time": "20 s"}
    result = play(
        jobs={"one": a_job(gpus=112, tokens=2 * 10**4)},
        cluster=with_work(work, spare=2),
        faults={"restart": restart, "classes": {}},
        checkpoint={"tiers": [{"name": "storage", "mode": "sync", "interval": "1000 s"}]},
    )
    count = result.phases[0].interruptions
    assert 7 <= count <= 8
    assert len(batches(result)) == 8
    assert seconds(result, "repair_wait") == 0.0
    # the first start takes 100 s without a load; the others 100 + 20 s and a load of 1 + 10 s
    assert seconds(result, "restart") == pytest.approx(100.0 + count * 131.0, abs=1e-6)
    assert seconds(result, "lost_work") <= count * 10.0


def test_work_on_another_partition_leaves_the_job_alone(play: Play) -> None:
    """Only the named partition is touched."""
    cluster = with_work({"duration": "4 h", "partition": "other"})
    result = play(jobs={"one": a_job(tokens=10**4)}, cluster=cluster)
    assert batches(result) == []
    assert result.phases[0].interruptions == 0


def test_broken_domains_are_not_taken_twice(play: Play) -> None:
    """Failures and repairs go on around a roll-out, and at the end every GPU is back."""
    work = {"duration": "6 h", "every": "2 days", "fraction": 0.25}
    classes = {"node": fault("node", "0.3 /day", "node"), "row": fault("group", "0.2 /day", "group",
               group={"domains": 4})}  # fmt: skip
    result = play(
        jobs={"one": a_job(gpus=32, tokens=3 * 10**4)}, faults={"classes": classes}, cluster=with_work(work)
    )
    for row in result.levels:
        assert row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed == 128
        assert 0 <= row.down <= 128
