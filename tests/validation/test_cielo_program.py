"""The Cielo workload as the published program plays it: its jobs, its order of starts, its storage queue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from colossus_sim.engine.agenda import Agenda
from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.engine.runner import DeskBuilder
from colossus_sim.engine.storage_desk import StorageDesk, Transfer
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.policies import Policies
from colossus_sim.validation.cielo import CIELO, GOAL, NODES, STRATEGIES, class_of, play_cielo
from colossus_sim.validation.cielo_program import (
    PublishedDesk,
    RandR,
    counted,
    play_program,
    program_job_list,
    program_runs,
    program_window,
)

DAY = 86400.0


def _node_seconds(jobs: Mapping[str, BenchJob]) -> Counter[str]:
    """Node-seconds of announced run time by class."""
    spent: Counter[str] = Counter()
    for name, job in jobs.items():
        spent[class_of(name)] += (job.walltime or 0.0) * job.gpus
    return spent


def test_random_numbers_are_those_of_glibc() -> None:
    """The first numbers of rand_r from seeds 1 and 7."""
    one, seven = RandR(1), RandR(7)

    assert [round((2**31 - 1) * one()) for _ in range(3)] == [476707713, 1186278907, 505671508]
    assert [round((2**31 - 1) * seven()) for _ in range(2)] == [1187592820, 153898277]


def test_the_list_of_jobs_is_the_one_that_the_program_prints() -> None:
    """Seed 0 at 40 GB/s: "132 Apps : 0.667077 0.0456446 0.171903 0.115375 (1303.37h)"."""
    jobs = program_job_list(0, 40e9, failures=False)
    spent = _node_seconds(jobs)
    total = math.fsum(spent.values())

    assert len(jobs) == 132
    assert [spent[name] / total for name in CIELO] == pytest.approx(
        [0.667077, 0.0456446, 0.171903, 0.115375], rel=1e-5
    )
    assert total / NODES / 3600 == pytest.approx(1303.37, abs=0.01)


def test_with_failures_the_same_classes_get_other_run_times() -> None:
    """The program draws the run times of its list anew for every strategy."""
    base, later = program_job_list(3, 40e9, failures=False), program_job_list(3, 40e9)

    assert list(base) == list(later)
    assert base != later


def test_the_list_meets_its_shares_only_in_the_end() -> None:
    """In all within 1 %, but of the first 60 % of the time nearly nothing is of the small class."""
    early = []
    for seed in range(8):
        jobs = program_job_list(seed, 40e9, failures=False)
        spent = _node_seconds(jobs)
        total = math.fsum(spent.values())
        first, seen = 0.0, 0.0
        for name, job in jobs.items():
            cost = (job.walltime or 0.0) * job.gpus
            first += cost if class_of(name) == "LAP" and seen < 0.6 * total else 0.0
            seen += cost
        for name in CIELO:
            assert spent[name] / total == pytest.approx(GOAL[name], abs=0.0101)
        early.append(first / (0.6 * total))

    assert sum(early) / len(early) == pytest.approx(0.004, abs=0.003)


def test_the_order_of_starts_gives_each_class_the_work_that_it_has_in_the_program() -> None:
    """Without failures, seed 1 at 40 GB/s: within 0.4 % of all time; LAP gets a tenth if nobody may pass."""
    work = play_program("alone", 40e9, 1, 1, failures=False)

    for name in CIELO:
        assert work[name] / (NODES * 31 * DAY) == pytest.approx(program_runs(40e9)[1][name], abs=0.004)


def test_every_run_of_the_program_is_there() -> None:
    """36 seeds at each bandwidth; their means at 40 GB/s in the program's order of strategies."""
    runs = {bandwidth: program_runs(bandwidth) for bandwidth in (40e9, 160e9)}
    means = [sum(run[name] for run in runs[40e9].values()) / 36 for name in STRATEGIES]

    assert all(list(found) == list(range(36)) for found in runs.values())
    assert means == pytest.approx([0.8036, 0.7057, 0.6750, 0.5151, 0.5134], abs=1e-4)


def test_the_month_lies_between_the_first_and_the_last_day() -> None:
    """Seed 0 draws nearly 0: the month begins after 1 of 39.24 parts of the run."""
    result = play_cielo("alone", 160e9, program_job_list(0, 160e9), 1, horizon=1e9)
    last = max(row.end for row in result.intervals)

    assert program_window(result, 0) == pytest.approx(last / 39.2375, rel=0.01)
    assert program_window(result, 9) == pytest.approx(last * (1 - 1.0375 / 39.2375) - 31 * DAY, rel=0.01)


# -- storage -----------------------------------------------------------------------------------------------


def _third_starts(desk: type[StorageDesk], strategy: str, *, waits: bool) -> float:
    """When a third transfer of 10 s gets the storage: it waits, or comes, when the second gives up."""
    agenda = Agenda()
    queue = desk(agenda, strategy)
    times: list[float] = []

    def transfer(changed: Callable[[], None]) -> Transfer:
        return Transfer(
            seconds=10.0, most=1.0, gpus=1, stops=True, at_risk_since=0.0, failure_rate=0.0, restore=0.0,
            changed=changed,
        )  # fmt: skip

    first, second, third = (
        transfer(lambda: None),
        transfer(lambda: None),
        transfer(lambda: times.append(agenda.now)),
    )
    order = [first, second, third] if waits else [first, second]
    for one in order:
        queue.ask(one)
    queue.begin(first)
    queue.cancel(second)
    if not waits:
        queue.ask(third)
    agenda.run(until=50.0)
    return times[0]


@pytest.mark.parametrize(("desk", "granted"), [(StorageDesk, 10.0), (PublishedDesk, 20.0)])
@pytest.mark.parametrize("strategy", ["blocking", "first_come"])
def test_the_program_leaves_the_place_of_a_failed_job_unused(
    desk: type[StorageDesk], strategy: str, granted: float
) -> None:
    """Of three transfers of 10 s the second gives up: the third starts after 10 s here, after 20 s there."""
    assert _third_starts(desk, strategy, waits=True) == granted


@pytest.mark.parametrize(("strategy", "granted"), [("blocking", 20.0), ("first_come", 10.0)])
def test_the_program_gives_the_last_place_away_where_jobs_compute_on(strategy: str, granted: float) -> None:
    """The second of two gives up, then a third comes: it starts after 10 s with first come, 20 s if blocking."""
    assert _third_starts(PublishedDesk, strategy, waits=False) == granted


def _saved_while_failing(desk: DeskBuilder) -> RunResult:
    """Play a job that works 100 s, saves for 100 s and loads for 100 s, and fails every 200 s."""
    job = BenchJob(units=2000, unit_time=1.0, gpus=1, state_bytes=100.0, checkpoint=saves(100.0, 0.0))
    policies = {"scheduler": "fifo", "contention": "none", "storage_access": "alone"}
    return play_bench(
        {"LAP-0": job},
        site=a_site(1, storage_bandwidth=1.0),
        faults=faults(0.0, gpu=fault_class("gpu", 1 / 200.0)),
        policies=Policies.model_validate(policies),
        build_desk=desk,
    )


def test_a_job_that_fails_while_it_saves_keeps_its_work_in_the_program_which_does_not_count_it() -> None:
    """The same failures: done sooner than here, and less work counts than the job has; here all of it does."""
    here, there = _saved_while_failing(StorageDesk), _saved_while_failing(PublishedDesk)
    planned = CAUSES.index("planned")
    work = [math.fsum(row.causes[planned] for row in counted(result)) for result in (here, there)]

    assert max(row.end for row in there.intervals) < 0.9 * max(row.end for row in here.intervals)
    assert work[0] == pytest.approx(2000.0)
    assert work[1] < 1900.0
