"""Runs until a precision: who needs more, decided on whole rounds only, however and wherever runs are played."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from colossus_sim.errors import UsageError
from colossus_sim.sweeps.folder import Shard, open_folder
from colossus_sim.sweeps.measure import known_measures
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.pool import InlineExecutor, WorkerPool
from colossus_sim.sweeps.precision import (
    Precision,
    batches,
    excess,
    parse_precisions,
    run_until,
    runs_per_point,
    runs_text,
)
from colossus_sim.sweeps.statistics import mean_interval
from colossus_sim.sweeps.table import csv_text, replicas_of, run_table
from colossus_sim.sweeps.task import Outcome, Task

END = "jobs.large.finish_days"


class Drawn:
    """Plays tasks in a shuffled order without a simulation: points differ in spread, the last one fails always."""

    def __init__(self, order: int = 0) -> None:
        self._order = order

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Draw an end from the task's own seed."""
        shuffled = list(tasks)
        random.Random(self._order).shuffle(shuffled)
        for task in shuffled:
            value = random.Random(f"{task.seed} {task.point}").gauss(5.0, 10.0**-task.point)
            if task.point == 3:
                yield [Outcome(index=task.index, status="failed", error="refused")]
            else:
                yield [Outcome(index=task.index, status="done", values={END: value})]

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def wide(plan: Plan) -> Plan:
    """Return a plan of four points with up to 60 runs each."""
    return replace(plan, points=(*plan.points, plan.points[0]), replicas=60)


def played(plan: Plan, folder: Path, width: float, order: int = 0, shard: Shard | None = None) -> str:
    """Play a plan to a precision in a folder, and return the table of the runs that count."""
    with open_folder(folder, plan, resume=True, shard=shard) as opened:
        found = run_until(
            opened, Drawn(order), plan.tasks(), [Precision(measure=END, half_width=width)], lambda state: None
        )
    return csv_text(run_table(plan, found))


def test_batches_grow_by_half() -> None:
    """Looks at the precision are at fixed counts, whatever the workers do."""
    assert list(batches(100, growing=True)) == [20, 30, 45, 67, 100]
    assert list(batches(10, growing=True)) == [10]
    assert list(batches(100, growing=False)) == [100]


def test_each_point_stops_at_its_own_precision(wide: Plan, tmp_path: Path) -> None:
    """The noisy point runs to the limit, the quiet one stops after the first round, a failing one too."""
    with open_folder(tmp_path, wide) as opened:
        asked = [Precision(measure=END, half_width=0.03)]
        found = run_until(opened, Drawn(), wide.tasks(), asked)
    counts = runs_per_point(wide, found)
    assert counts == [60, 45, 20, 20]
    assert runs_text(counts) == "20 to 60 runs per point"
    widths = [mean_interval(replicas_of(wide, found, point, END)).half_width for point in range(3)]
    assert widths[0] > 0.03 >= max(widths[1:])
    farthest = excess(wide, found, 0, asked)
    assert farthest is not None
    assert farthest[1] == widths[0]
    assert excess(wide, found, 1, asked) is None


def test_order_and_other_runs_in_the_journal_do_not_matter(wide: Plan, tmp_path: Path) -> None:
    """Another order, shards joined, and a folder that holds more runs already give the same table."""
    expected = played(wide, tmp_path / "a", 0.03)
    assert played(wide, tmp_path / "b", 0.03, order=1) == expected
    for number in (1, 2, 3):
        played(wide, tmp_path / "c", 0.03, order=number, shard=Shard(number, 3, points=True))
    with open_folder(tmp_path / "c", wide, resume=True) as opened:
        assert (opened.state.known, opened.state.again) == (125, 20)
    assert played(wide, tmp_path / "c", 0.03) == expected
    assert played(wide, tmp_path / "d", 1e-6) != expected
    assert played(wide, tmp_path / "d", 0.03) == expected


def test_processes_do_not_matter(plan: Plan, tmp_path: Path) -> None:
    """Real runs in one process and in three workers stop at the same numbers of runs, with the same bytes."""
    wide = replace(plan, replicas=40)
    tables = []
    for jobs in (0, 3):
        workers = WorkerPool(jobs) if jobs else InlineExecutor()
        with contextlib.closing(workers), open_folder(tmp_path / str(jobs), wide) as opened:
            found = run_until(opened, workers, wide.tasks(), [Precision(measure=END, half_width=0.08)])
        tables.append((runs_per_point(wide, found), csv_text(run_table(wide, found))))
    assert tables[0] == tables[1]
    assert len(set(tables[0][0])) > 1


def test_known_measures_are_those_of_runs(plan: Plan) -> None:
    """The names that can be asked for are exactly those that a run has."""
    (outcome,) = next(iter(InlineExecutor().run(plan.tasks()[:1])))
    assert sorted(known_measures(plan.scenario.jobs)) == sorted(outcome.values)


def test_widths_have_the_unit_of_the_measure() -> None:
    """A time for days, a share for ratios, a number otherwise; a time alone means the end of every job."""
    assert parse_precisions(["12 h"], ["a", "b"]) == (
        Precision(measure="jobs.a.finish_days", half_width=0.5),
        Precision(measure="jobs.b.finish_days", half_width=0.5),
    )
    (share,) = parse_precisions(["jobs.a.goodput=1%"], ["a"])
    assert math.isclose(share.half_width, 0.01)
    (number,) = parse_precisions(["cluster.gpu_days=20 GPU-days"], ["a"])
    assert number.half_width == 20.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5", "needs a unit"),
        ("0 d", "more than 0"),
        ("jobs.b.finish_days=1d", "did you mean 'jobs.a.finish_days'"),
        ("cluster.gpu_days=two", "a number of GPU-days"),
        ("cluster.gpu_days=nan", "more than 0"),
        ("=1d", "no measure ''"),
    ],
)
def test_wrong_precisions_are_refused(text: str, words: str) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(UsageError, match=words):
        parse_precisions([text], ["a"])
