"""Domains that fail together, and failures that raise no error."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from colossus_sim.records import CAUSES, RunResult
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]
ROW = {"domains": 16}
"""All sixteen domains of the small partition."""


def seconds(result: RunResult, cause: str, job: str = "one") -> float:
    """Seconds of a job spent on a cause."""
    place = CAUSES.index(cause)
    return math.fsum(row.causes[place] for row in result.intervals if row.job == job)


def test_a_group_goes_down_and_comes_back_as_one(play: Play, failures_at: Callable[..., None]) -> None:
    """One event takes all 128 GPUs, one repair of six hours brings all of them back, and the job waits for it."""
    failures_at(5000.0)
    result = play(faults={"classes": {"feed": fault("group", "1 /s", "group", group=ROW)}})
    events = [(row.kind, row.time, row.value) for row in result.events if row.subject == "feed"]
    assert events == [("failure", 5000.0, 16.0), ("repair", 5000.0 + 6 * 3600, 128.0)]
    down = {row.down for row in result.levels if 5000.0 <= row.time < 5000.0 + 6 * 3600}
    assert down == {128}
    assert result.phases[0].interruptions == 1
    assert seconds(result, "repair_wait") == pytest.approx(6 * 3600, abs=1.0)


def test_all_jobs_of_a_group_stop_at_once(play: Play, failures_at: Callable[..., None]) -> None:
    """Two jobs behind one switch are interrupted by one event; with `nothing` removed they start in place."""
    failures_at(5000.0)
    result = play(
        jobs={"one": a_job(), "two": a_job()},
        faults={"classes": {"switch": fault("group", "1 /s", "nothing", group=ROW)}},
    )
    assert [row.interruptions for row in result.phases] == [1, 1]
    assert seconds(result, "repair_wait") == 0.0
    assert {row.down for row in result.levels} == {0}


def test_only_one_group_is_hit(play: Play) -> None:
    """Groups of four: each event takes four neighbouring domains, at the rate of four groups."""
    spec = fault("group", "1e-5 /s", "group", group={"domains": 4})
    result = play(
        horizon="200 days", jobs={"one": a_job(gpus=32, tokens=10**7)}, faults={"classes": {"feed": spec}}
    )
    hits = [row.value for row in result.events if row.kind == "failure"]
    assert set(hits) == {4.0}
    expected = 4 * 1e-5 * 200 * 86400
    assert abs(len(hits) - expected) < 4.0 * math.sqrt(expected)


def test_a_share_of_the_group_is_hit(play: Play) -> None:
    """Each of sixteen domains with chance one quarter: four in the mean, binomial variance."""
    spec = fault("group", "1e-4 /s", "nothing", group={"domains": 16, "share": 0.25})
    result = play(horizon="300 days", jobs={"one": a_job(tokens=10**7)}, faults={"classes": {"any": spec}})
    hits = [row.value for row in result.events if row.kind == "failure"]
    mean = math.fsum(hits) / len(hits)
    assert abs(mean - 4.0) < 4.0 * math.sqrt(3.0 / len(hits)) + 16 * 0.75**16


def test_copies_at_peers_are_lost_with_a_group(play: Play, failures_at: Callable[..., None]) -> None:
    """A copy that survives the loss of a domain is not trusted after that of a group: storage is older."""
    failures_at(5950.0)
    near = {"name": "peers", "mode": "sync", "interval": "100 s", "survives": "domain",
            "write_bandwidth": "1 TB/s", "read_bandwidth": "1 TB/s", "coordination": "0 s"}  # fmt: skip
    far = {"name": "storage", "mode": "sync", "interval": "5000 s", "coordination": "0 s"}
    lost = []
    for spec in (fault("site", "1 /s", "nothing"), fault("group", "1 /s", "group", group=ROW)):
        failures_at(5950.0)
        result = play(faults={"classes": {"any": spec}}, checkpoint={"tiers": [near, far]})
        lost.append(seconds(result, "lost_work"))
    assert lost[0] < 110.0
    assert lost[1] > 800.0


@pytest.mark.parametrize(("per", "removes"), [("site", "nothing"), ("domain", "domain")])
def test_a_hang_waits_for_the_watchdog(
    play: Play, failures_at: Callable[..., None], per: str, removes: str
) -> None:
    """A failure that raises no error costs the time-out of 20 min instead of a detection of 10 s."""
    spent = []
    for share in (0.0, 1.0):
        failures_at(80000.0 if per == "domain" else 5000.0)
        spec = fault(per, "1 /s", removes, detection="10 s", hang_fraction=share)
        result = play(
            jobs={"one": a_job(gpus=120, tokens=10**4)},
            faults={"classes": {"any": spec}, "watchdog": "20 min"},
            cluster={"sites": {"here": {"partitions": {"all": {"spare_domains": 1}}}}},
        )
        assert result.phases[0].interruptions == 1
        spent.append(seconds(result, "restart"))
    assert spent[1] - spent[0] == pytest.approx(1190.0, abs=1e-6)


def test_a_share_of_the_software_failures_hangs(play: Play) -> None:
    """Of a job's own failures the stated share waits for the watchdog: the mean detection says so."""
    spec = fault("job", "1e-4 /s", "nothing", hang_fraction=0.25)
    restart = {"base": "0 s", "per_doubling": "0 s", "manual_fraction": 0}
    result = play(
        horizon="400 days",
        jobs={"one": a_job(tokens=10**7)},
        faults={"classes": {"any": spec}, "watchdog": "600 s", "restart": restart},
        checkpoint={"tiers": [{"name": "s", "mode": "sync", "interval": "500 s", "read_bandwidth": "1000 TB/s",
                               "coordination": "0 s"}]},
    )  # fmt: skip
    failures = sum(1 for row in result.events if row.kind == "failure")
    mean = seconds(result, "restart") / failures
    assert failures > 1000
    assert abs(mean - 150.0) < 4.0 * 600 * math.sqrt(0.25 * 0.75 / failures)
