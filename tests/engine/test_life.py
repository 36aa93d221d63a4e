"""The life of a job, told as whole logs of small worlds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from colossus_sim.engine import failures, runner
from colossus_sim.engine.agenda import most_at_once
from colossus_sim.engine.phase import PhaseRun
from colossus_sim.errors import SimulationError
from colossus_sim.records import CAUSES, RunResult
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]


def story(result: RunResult, job: str = "one") -> list[tuple[str, str, float, float]]:
    """The intervals of a job: (phase, state, start, end)."""
    return [(row.phase, row.state, row.start, row.end) for row in result.intervals if row.job == job]


def seconds(result: RunResult, job: str = "one") -> dict[str, float]:
    """Seconds per cause, those above zero."""
    total = {
        cause: sum(row.causes[index] for row in result.intervals if row.job == job)
        for index, cause in enumerate(CAUSES)
    }
    return {cause: round(spent, 6) for cause, spent in total.items() if abs(spent) > 1e-9}


def test_a_job_without_trouble_launches_and_works(play: Play) -> None:
    """Sixty seconds of launch, then a thousand units of ten seconds and nine saves of ten seconds each."""
    result = play()

    assert story(result) == [("pretrain", "restarting", 0.0, 60.0), ("pretrain", "running", 60.0, 10150.0)]
    assert seconds(result) == {"planned": 10000.0, "checkpoint": 90.0, "restart": 60.0}


def test_two_jobs_queue_for_the_same_gpus(play: Play) -> None:
    """The second of two jobs that want the whole machine waits until the first is done."""
    jobs = {"one": a_job(gpus=128), "two": a_job(gpus=128)}
    result = play(jobs=jobs)

    assert story(result, "two")[0] == ("pretrain", "gpu_wait", 0.0, 10150.0)
    assert seconds(result, "two")["gpu_wait"] == 10150.0


def site_fault(removes: str = "nothing", **more: Any) -> dict[str, Any]:
    """Failures that always hit, at the times that `failures_at` sets."""
    return {"classes": {"boom": fault("site", "1 /s", removes, **more)}}


def test_a_failure_costs_the_work_since_the_last_save(play: Play, failures_at: Callable[..., None]) -> None:
    """Units after the last save are lost, then detection, restart and loading follow."""
    # 60 s launch, 100 units (1000 s), 10 s save, then 24.5 units until 1315 s
    failures_at(1315.0)
    result = play(faults=site_fault(detection="5 min"))

    assert story(result)[1:4] == [
        ("pretrain", "running", 60.0, 1315.0),
        ("pretrain", "detecting", 1315.0, 1615.0),
        ("pretrain", "restarting", 1615.0, 1685.0),  # 60 s and 10 GB at 1 GB/s
    ]
    assert seconds(result) == {
        "planned": 10000.0, "lost_work": 245.0, "checkpoint": 90.0, "restart": 60.0 + 300.0 + 70.0,
    }  # fmt: skip


def test_a_save_that_ends_at_the_moment_of_a_failure_counts(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """Completions come before failures of the same instant; a moment earlier the save is lost."""
    failures_at(1070.0)
    in_time = play(faults=site_fault())
    failures_at(1069.0)
    too_early = play(faults=site_fault())

    assert "lost_work" not in seconds(in_time)
    assert seconds(too_early)["lost_work"] == 1000.0


def test_a_job_that_ends_at_the_moment_of_a_failure_is_done(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """The last unit completes first."""
    failures_at(10150.0)
    result = play(faults=site_fault())

    assert story(result)[-1] == ("pretrain", "running", 60.0, 10150.0)


def test_a_failure_during_the_restart_begins_it_anew(play: Play, failures_at: Callable[..., None]) -> None:
    """Restarts can fail like anything else."""
    failures_at(100.0, 130.0)
    result = play(faults=site_fault())

    assert story(result)[1:4] == [
        ("pretrain", "running", 60.0, 100.0),
        ("pretrain", "restarting", 100.0, 130.0),
        ("pretrain", "restarting", 130.0, 190.0),
    ]


def test_copies_in_memory_do_not_survive_what_they_cannot(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """A site failure goes back to storage, a software failure to the last copy in memory."""
    tiers = [
        {"name": "memory", "mode": "async", "interval": "100 s", "snapshot_bandwidth": "1000 GB/s",
         "write_bandwidth": "1000 GB/s", "read_bandwidth": "1000 GB/s", "coordination": "0 s",
         "survives": "software"},
        {"name": "storage", "mode": "sync", "interval": "1000 s", "coordination": "0 s"},
    ]  # fmt: skip
    failures_at(1555.0)
    software = play(faults=site_fault(), checkpoint={"tiers": tiers})
    failures_at(1555.0)
    corruption = play(faults=site_fault(needs_storage_checkpoint=True), checkpoint={"tiers": tiers})

    assert seconds(software)["lost_work"] < 100.0
    assert 400.0 < seconds(corruption)["lost_work"] < 500.0


def test_a_failed_node_is_replaced_by_a_free_one(play: Play, failures_at: Callable[..., None]) -> None:
    """With idle nodes the job swaps and goes on."""
    failures_at(100.0)
    classes = {"node": fault("domain", "1 /s", "domain")}
    result = play(faults={"classes": classes})

    states = [state for _, state, _, _ in story(result)]
    assert "repair_wait" not in states
    assert [row.time for row in result.events if row.kind == "failure"] == [100.0 / 16]


def test_without_a_spare_the_job_waits_for_the_repair(play: Play, failures_at: Callable[..., None]) -> None:
    """All 128 GPUs are in use, so the job stands still until its node is back."""
    failures_at(160.0)
    classes = {"node": fault("domain", "1 /s", "domain")}
    result = play(faults={"classes": classes}, jobs={"one": a_job(gpus=128, tokens=10)})

    waits = [(start, end) for _, state, start, end in story(result) if state == "repair_wait"]
    assert waits == [(10.0, 21610.0)]  # 16 domains at one failure per second each


def test_an_elastic_job_shrinks_and_grows_back(play: Play, failures_at: Callable[..., None]) -> None:
    """It goes on with fifteen nodes, and takes the sixteenth when it is back and the gain is worth it."""
    failures_at(1500.0 * 16)
    classes = {"node": fault("domain", "1 /s", "domain")}
    job = a_job(gpus=128, tokens=10000, min_gpus=64)
    result = play(faults={"classes": classes}, jobs={"one": job}, policies={"resize_gain": 0.05})

    sizes = [row.gpus for row in result.intervals if row.state == "running" and row.units > 0]
    assert sizes == [128, 120, 128]
    assert seconds(result)["fewer_gpus"] > 0


def test_an_elastic_job_takes_what_is_free_when_its_launch_is_over(play: Play) -> None:
    """Nothing else happens: it starts on 64 GPUs, and grows to the 128 that were free all along."""
    result = play(jobs={"one": a_job(gpus=64, max_gpus=128, tokens=10000)})
    sizes = [row.gpus for row in result.intervals if row.state == "running" and row.units > 0]
    assert sizes == [128]


def test_a_node_that_comes_back_during_the_restart_is_taken(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """The repair takes a minute, the restart on fifteen nodes longer: the job is back on sixteen right after it."""
    failures_at(1500.0 * 16)
    node = fault(
        "domain", "1 /s", "domain", repair={"auto_time": "1 min", "auto_fraction": 1, "distribution": "fixed"}
    )
    job = a_job(gpus=128, tokens=10000, min_gpus=64)
    result = play(faults={"classes": {"node": node}}, jobs={"one": job}, policies={"resize_gain": 0.05})
    assert [row.gpus for row in result.intervals if row.state == "running" and row.units > 0] == [128, 128]


def test_work_on_corrupted_data_is_in_vain_until_it_is_noticed(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """A fault at 1,500 s is noticed 2,000 s later, whatever fails meanwhile; only then the job is restarted."""
    failures_at(1500.0, 2100.0)
    classes = {"corruption": fault("site", "1 /s", "nothing", undetected="2000 s", detection="100 s")}
    result = play(faults={"classes": classes})
    found = [
        (row.state, row.start, row.end) for row in result.intervals if 1500.0 <= row.start < row.end <= 4200.0
    ]
    assert found[:2] == [
        ("running", 1500.0, 2100.0),
        ("running", 2100.0, 4100.0),
    ]  # the second fault is of its kind
    assert found[2] == ("detecting", 4100.0, 4200.0)
    assert seconds(result)["lost_work"] == pytest.approx(2600.0 + 430.0, abs=1.0)


def test_power_is_drawn_until_it_is_noticed(play: Play, failures_at: Callable[..., None]) -> None:
    """The levels count the GPUs as computing from the fault until it is noticed, and not while it is detected."""
    failures_at(1500.0, 1e9)
    classes = {"corruption": fault("site", "1 /s", "nothing", undetected="2000 s", detection="100 s")}
    result = play(faults={"classes": classes})
    at = {row.time: row.running for row in result.levels}
    noticed = next(row.start for row in result.intervals if row.state == "detecting")
    fault_at = noticed - 2000.0
    before = [running for time, running in at.items() if time <= fault_at]
    assert at[noticed] == 0
    assert before[-1] == next(row.gpus for row in result.intervals if row.state == "running")
    assert not [time for time in at if fault_at < time < noticed]


def test_another_failure_does_not_shorten_it(play: Play, failures_at: Callable[..., None]) -> None:
    """Two classes: corruption at 1,500 s for 2,000 s, and a failure that shows at once 600 s later."""
    failures_at(1500.0)
    classes = {
        "corruption": fault("site", "1 /s", "nothing", undetected="2000 s"),
        "crash": fault("site", f"{1 / 2100.0!r} /s", "nothing"),
    }
    result = play(horizon="4000 s", faults={"classes": classes})
    restarts = [row.start for row in result.intervals if row.state == "restarting"]
    assert restarts[:2] == [0.0, 3500.0]


def test_another_number_of_gpus_costs_the_time_to_reshard(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """The restart on fifteen nodes and that on sixteen again take five minutes longer; the first start does not."""
    job = a_job(gpus=128, tokens=10000, min_gpus=64)
    lengths = []
    for more in ({}, {"restart": {"reshard_time": "5 min"}}):
        failures_at(1500.0 * 16)
        faults = {"classes": {"node": fault("domain", "1 /s", "domain")}} | more
        result = play(faults=faults, jobs={"one": job}, policies={"resize_gain": 0.05})
        lengths.append([row.end - row.start for row in result.intervals if row.state == "restarting"])
    assert [b - a for a, b in zip(*lengths, strict=True)] == pytest.approx([0.0, 300.0, 300.0])


def test_a_job_that_goes_round_at_one_instant_is_named(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stretch that ends where it begins, by a bug, stops the run with the moment and the job; none hangs."""
    monkeypatch.setattr(PhaseRun, "_next_stop", lambda self, limit: self.now)
    monkeypatch.setattr(runner, "most_at_once", lambda phases, domains: 1000)
    with pytest.raises(
        SimulationError, match=r"more than 1,000 events at one instant, day 0\.\d+ .*: one/pretrain"
    ):
        play()


def test_a_busy_instant_is_no_circle(play: Play) -> None:
    """Hundreds of jobs that come and end together stay below the limit, which grows with jobs and domains."""
    jobs = {f"job{number}": a_job(gpus=8, tokens=10) for number in range(300)}
    assert play(jobs=jobs).warnings == ()
    assert most_at_once(2, 16) == 1_000_000
    assert most_at_once(100_000, 16_000) == 116_000_000


def test_a_preempted_job_saves_leaves_and_comes_back(play: Play) -> None:
    """The urgent job takes the whole machine; the other one loses nothing but time."""
    jobs = {
        "one": a_job(gpus=128),
        "two": a_job(gpus=128, tokens=100, priority=5, submit="2026-01-01T01:00"),
    }
    result = play(jobs=jobs, policies={"preemption": "priority", "scheduler": "priority"})

    assert story(result, "two")[0] == ("pretrain", "gpu_wait", 3600.0, 3610.0)  # ten seconds to save
    assert [state for _, state, _, _ in story(result)] == [
        "restarting", "running", "running", "gpu_wait", "restarting", "running",
    ]  # fmt: skip
    assert seconds(result).get("lost_work", 0.0) < 10.0  # the step under way


def test_a_job_that_saves_to_grow_can_be_told_to_leave(play: Play) -> None:
    """It grows when the other job ends; an urgent one waits for the end of that save, not for its launch too.

    It was counted among those that give their GPUs back, so that it first grew and launched on all of them.
    """
    jobs = {
        "one": a_job(gpus=64, max_gpus=128, tokens=10000, submit="2026-01-01T00:00:01"),
        "other": a_job(gpus=64, tokens=50),
    }
    policies = {"preemption": "priority", "scheduler": "priority", "resize_gain": 0.05}
    (saved,) = [row.time for row in play(jobs=jobs, policies=policies).events if row.kind == "resize"]
    minutes, rest = divmod(math.floor(saved) - 5, 60)
    submit = f"2026-01-01T00:{minutes:02d}:{rest:02d}"
    jobs["two"] = a_job(gpus=128, tokens=100, priority=5, submit=submit)
    result = play(jobs=jobs, policies=policies)
    waits = [(start, end) for _, state, start, end in story(result, "two") if state == "gpu_wait"]
    assert waits == [(math.floor(saved) - 5.0, pytest.approx(saved))]
    assert seconds(result).get("lost_work", 0.0) < 10.0  # the step under way


def test_capacity_that_leaves_stops_the_job_and_books_the_wait(play: Play) -> None:
    """A leased-away machine stops the job at that moment; it goes on when GPUs are back."""
    capacity = [
        {"at": "2026-01-01", "gpus": 128},
        {"at": "2026-01-01T01:00", "gpus": 32},
        {"at": "2026-01-02", "gpus": 128},
    ]
    result = play(cluster={"sites": {"here": {"partitions": {"all": {"capacity": capacity}}}}})

    assert ("pretrain", "capacity_wait", 3600.0, 86400.0) in story(result)
    assert seconds(result)["capacity_wait"] == 82800.0


def test_data_gates_hold_the_gpus_or_give_them_back(play: Play) -> None:
    """Starved of data a job waits with its GPUs, or yields them and queues again afterwards."""
    releases = [{"ready": "2026-01-01", "tokens": 300}, {"ready": "2026-01-02", "tokens": 1000}]
    phases = {"pretrain": {"tokens": 1000, "data_gated": True}}
    holding = play(jobs={"one": a_job(data={"releases": releases}, phases=phases)})
    yielding = play(jobs={"one": a_job(data={"releases": releases, "when_starved": "yield"}, phases=phases)})

    held = [row.gpus for row in holding.intervals if row.state == "data_wait"]
    given_back = [row.gpus for row in yielding.intervals if row.state == "data_wait"]
    assert (held, given_back) == ([64], [0])
    assert seconds(holding)["data_wait"] == 86400.0 - 60.0 - 3000.0 - 20.0


def test_a_failure_that_spoils_the_save_before_yielding_costs_the_work(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """A starved job that saves from 3080 s to 3090 s and is hit at 3085 s goes back to the save at unit 200."""
    releases = [{"ready": "2026-01-01", "tokens": 300}, {"ready": "2026-01-02", "tokens": 1000}]
    phases = {"pretrain": {"tokens": 1000, "data_gated": True}}
    job = a_job(data={"releases": releases, "when_starved": "yield"}, phases=phases)
    failures_at(3085.0)
    spoilt = play(jobs={"one": job}, faults=site_fault())
    failures_at(3090.0)
    saved = play(jobs={"one": job}, faults=site_fault())

    assert story(spoilt)[1:4] == [
        ("pretrain", "running", 60.0, 3080.0),
        ("pretrain", "running", 3080.0, 3085.0),
        ("pretrain", "data_wait", 3085.0, 86400.0),
    ]
    assert seconds(spoilt)["lost_work"] == 1000.0
    assert "lost_work" not in seconds(saved)


def test_phases_follow_each_other_or_overlap(play: Play) -> None:
    """Fine-tuning follows; safety may begin when half of fine-tuning is done, and has a calendar floor."""
    phases = {
        "pretrain": {"tokens": 100},
        "sft": {"tokens": 100},
        "safety": {"tokens": 10, "gpus": 8, "overlap": 0.5, "min_duration": "1 h"},
    }
    result = play(jobs={"one": a_job(phases=phases)})
    rows = {row.phase: row for row in result.phases}

    assert rows["sft"].ready == rows["pretrain"].end == 1060.0
    assert rows["safety"].ready == 1060.0 + 60.0 + 500.0
    assert rows["safety"].trigger == "sft"
    assert rows["safety"].end == rows["safety"].start + 3600.0


def test_a_straggler_slows_the_job_until_it_is_found(play: Play, failures_at: Callable[..., None]) -> None:
    """Twice the step time for an hour, then a controlled stop without loss."""
    failures_at(160.0 * 16)
    classes = {"slow": fault("domain", "1 /s", "domain", interrupts=False, slowdown=2.0, detection="1 h")}
    result = play(faults={"classes": classes}, jobs={"one": a_job(gpus=128)})

    assert seconds(result)["degraded"] == pytest.approx(1800.0, abs=10.0)
    assert seconds(result).get("lost_work", 0.0) <= 20.0


def test_a_slow_unit_whose_job_has_left_slows_the_next_one_and_is_mended(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """Slow from 100 s on, the unit is found at 3700 s under the second job, which computes from 280 s on."""
    failures_at(100.0 * 16)
    classes = {"slow": fault("domain", "1 /s", "domain", interrupts=False, slowdown=2.0, detection="1 h")}
    jobs = {"one": a_job(gpus=128, tokens=10), "two": a_job(gpus=128)}
    result = play(faults={"classes": classes}, jobs=jobs)

    start = next(row.start for row in result.intervals if row.job == "two" and row.state == "running")
    assert start == 60.0 + 40.0 + 6 * 20.0 + 60.0
    assert seconds(result, "two")["degraded"] == pytest.approx((3700.0 - start) / 2, abs=20.0)
    assert [row.time for row in result.events if row.kind == "repair"] == [3700.0 + 6 * 3600.0]


def test_a_slow_unit_that_breaks_is_mended_in_one_repair(
    play: Play, failures_at: Callable[..., None]
) -> None:
    """The only domain is slow from 500 s on and breaks at 700 s: it comes back at full speed."""
    failures_at(500.0, 500.0 + 700.0)  # the second class counts its gap from zero
    classes = {
        "slow": fault("domain", "1 /s", "domain", interrupts=False, slowdown=2.0, detection="1 h"),
        "node": fault("domain", "1 /s", "domain"),
    }
    part = {"capacity": [{"at": "2026-01-01", "gpus": 8}]}
    cluster = {"sites": {"here": {"partitions": {"all": part}}}}
    result = play(faults={"classes": classes}, cluster=cluster, jobs={"one": a_job(gpus=8)})

    assert [row.time for row in result.events if row.kind == "failure"] == [500.0, 700.0]
    assert [row.time for row in result.events if row.kind == "repair"] == [700.0 + 6 * 3600.0]
    assert "degraded" not in seconds(result)  # what ran slowly was before any save: lost work


def test_a_domain_lost_through_its_hot_spare_stops_the_job(
    play: Play, failures_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 6 of 8 GPUs in use: what takes the whole domain stops its job, what takes the spare node does not."""
    part = {"gpu": {"gpus_per_node": 2}, "gpus_used_per_domain": 6}
    cluster = {"sites": {"here": {"partitions": {"all": part}}}}
    in_the_spare = failures.Strike(place=0.95 / 16, auto=1.0, normal=0.0, exponential=1.0)
    monkeypatch.setattr(failures, "Strike", lambda **_: in_the_spare)
    runs = {}
    for removes in ("node", "domain"):
        failures_at(100.0 * 128)
        classes = {"gpu": fault("gpu", "1 /s", removes)}
        runs[removes] = play(faults={"classes": classes}, cluster=cluster, jobs={"one": a_job(gpus=96)})

    assert [row.interruptions for row in runs["node"].phases] == [0]
    assert ("pretrain", "repair_wait", 100.0, 100.0 + 6 * 3600.0) in story(runs["domain"])
    for result in runs.values():
        assert all(row.running <= row.allocated for row in result.levels)


def test_a_power_limit_slows_everybody_on_the_site(play: Play) -> None:
    """128 GPUs at full power would draw 160 kW with cooling; at 110 kW they run slower, and never above it."""
    limit = {"sites": {"here": {"power_limit": "110 kW"}}}
    result = play(cluster=limit, jobs={"one": a_job(gpus=128)})

    assert seconds(result)["degraded"] > 1000.0
    assert max(row.power for row in result.levels) <= 110e3 * (1 + 1e-9)


def test_no_progress_is_an_error_not_an_endless_loop(play: Play) -> None:
    """Failures every few seconds end the run with a message that names the job."""
    classes = {"storm": fault("site", "0.1 /s", "nothing")}

    with pytest.raises(SimulationError, match="one/pretrain: no progress after 200 restarts"):
        play(faults={"classes": classes})


def test_a_long_way_back_is_not_a_standstill(play: Play, failures_at: Callable[..., None]) -> None:
    """A fault at 4,000 s leaves only the storage's copy of 3,000 s. The failures that come every 100 s from then on
    leave 40 s of work each, which is progress though it takes dozens to be where it was."""
    gaps = [4000.0, 4100.0, 1e9, *[100.0] * 80]
    failures_at(*itertools.accumulate(gaps))
    classes = {
        "loss": fault("site", "1 /s", "nothing", needs_storage_checkpoint=True),
        "crash": fault("site", "1 /s", "nothing"),
    }
    fast = dict.fromkeys(("snapshot_bandwidth", "write_bandwidth", "read_bandwidth"), "1 TB/s")
    memory = {"name": "memory", "mode": "async", "interval": "10 s", "survives": "domain"} | fast
    storage = {"name": "storage", "mode": "sync", "interval": "3000 s", "coordination": "0 s"}
    result = play(
        horizon="9000 s",
        faults={"classes": classes, "max_restarts_without_progress": 5},
        checkpoint={"tiers": [memory, storage]},
    )
    assert result.phases[0].interruptions > 45


def test_another_job_does_not_move_failures(play: Play) -> None:
    """Failures of the hardware come at the same times whatever runs."""
    classes = {"node": fault("gpu", "50 /year", "domain")}
    alone = play(faults={"classes": classes}, jobs={"one": a_job(tokens=20000)}, horizon="20 days")
    jobs = {"one": a_job(tokens=20000), "two": a_job(gpus=32, tokens=90000)}
    together = play(faults={"classes": classes}, jobs=jobs, horizon="20 days")

    def times(result: RunResult) -> list[float]:
        return [row.time for row in result.events if row.kind == "failure" and row.time < alone.end_time]

    assert len(times(alone)) > 5
    assert times(alone) == times(together)
