"""Runs in worker processes: the same bytes however they are run, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from colossus_sim.errors import OutputError, UsageError
from colossus_sim.sweeps import pool as pool_module
from colossus_sim.sweeps.folder import Shard, SweepFolder, open_folder, parse_shard
from colossus_sim.sweeps.journal import read_journals
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.pool import InlineExecutor, WorkerPool
from colossus_sim.sweeps.table import csv_text, run_table, summary_table
from colossus_sim.sweeps.task import Outcome, Task
from tests.interrupts import hear_interrupts

ROOT = Path(__file__).resolve().parents[2]


def texts(plan: Plan, outcomes: dict[int, Outcome]) -> str:
    """Return the bytes of both tables."""
    return csv_text(run_table(plan, outcomes)) + csv_text(summary_table(plan, outcomes))


@pytest.fixture(scope="module")
def reference(plan: Plan) -> str:
    """Tables of the undisturbed sweep in one process."""
    found = {item.index: item for batch in InlineExecutor().run(plan.tasks()) for item in batch}
    assert all(item.status == "done" for item in found.values())
    return texts(plan, found)


@pytest.mark.parametrize("jobs", [1, 2, 7])
def test_any_number_of_workers_gives_the_same_bytes(plan: Plan, reference: str, jobs: int) -> None:
    """1, 2 and 7 workers give the tables of one process."""
    with contextlib.closing(WorkerPool(jobs)) as workers:
        found = {item.index: item for batch in workers.run(plan.tasks()) for item in batch}
    assert texts(plan, found) == reference


def test_order_of_tasks_does_not_matter(plan: Plan, reference: str) -> None:
    """Shuffled tasks, started by spawn, give the same tables."""
    tasks = plan.tasks()
    random.Random(5).shuffle(tasks)
    with contextlib.closing(WorkerPool(2, start_method="spawn")) as workers:
        found = {item.index: item for batch in workers.run(tasks) for item in batch}
    assert texts(plan, found) == reference


def test_replicas_are_the_runs_of_the_run_command(plan: Plan) -> None:
    """A task alone, in a fresh player, gives the same numbers as after others (models are only remembered)."""
    tasks = plan.tasks()
    after = [item for batch in InlineExecutor().run(tasks[:4]) for item in batch][3]
    (alone,) = next(iter(InlineExecutor().run([tasks[3]])))
    assert after == alone


def test_points_share_their_seeds(plan: Plan) -> None:
    """Replica k has the same seed at every point, unless common random numbers are switched off."""
    seeds = [task.seed for task in plan.tasks()]
    assert seeds[:4] == seeds[4:8] == seeds[8:]
    assert len({task.seed for task in replace(plan, paired=False).tasks()}) == 12


def test_killed_worker_is_replaced_and_its_run_repeated(plan: Plan, reference: str) -> None:
    """A worker killed on the way costs nothing but time."""
    found: dict[int, Outcome] = {}
    with contextlib.closing(WorkerPool(2)) as workers:
        for batch in workers.run(plan.tasks()):
            if not found:
                os.kill(workers.pids[0], signal.SIGKILL)
            found |= {item.index: item for item in batch}
    assert texts(plan, found) == reference


class Poison(Task):
    """A task that kills whoever unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os._exit, (9,)


def test_poison_task_is_given_up_and_the_rest_go_on(plan: Plan) -> None:
    """A run that always kills its worker is marked failed after three attempts; all others are done."""
    tasks: list[Task] = plan.tasks()[:4]
    bad = tasks[1]
    fields = {name: getattr(bad, name) for name in Task.__dataclass_fields__}
    tasks[1] = Poison(**fields)
    with contextlib.closing(WorkerPool(1)) as workers:
        found = {item.index: item for batch in workers.run(tasks) for item in batch}
    assert [found[k].status for k in range(4)] == ["done", "failed", "done", "done"]
    assert "died 3 times" in found[1].error
    assert found[1].attempts == pool_module.MAX_ATTEMPTS


def test_slow_runs_fail_at_once_and_never_end_the_sweep(plan: Plan) -> None:
    """Runs that take longer than they may fail after one attempt, with the limit in words; more of them than
    workers may die in a row are no sign of short memory.
    """
    count = pool_module.MAX_DEATHS_IN_ROW + 2
    tasks = [replace(plan.tasks()[0], index=index) for index in range(count)]
    with contextlib.closing(WorkerPool(1, task_timeout=1e-4)) as workers:
        found = {item.index: item for batch in workers.run(tasks) for item in batch}
    assert sorted(found) == list(range(count))
    for outcome in found.values():
        assert (outcome.status, outcome.attempts) == ("failed", 1)
        assert outcome.error == "ran longer than --task-timeout 100 us"


class Sleeping(Task):
    """A task that never comes to play."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return time.sleep, (600,)


def test_a_slow_run_fails_alone(plan: Plan) -> None:
    """Of four runs the one that hangs is given up; the others are done."""
    tasks: list[Task] = plan.tasks()[:4]
    tasks[0] = Sleeping(**{name: getattr(tasks[0], name) for name in Task.__dataclass_fields__})
    with contextlib.closing(WorkerPool(1, task_timeout=4.0)) as workers:
        found = {item.index: item for batch in workers.run(tasks) for item in batch}
    assert [found[k].status for k in range(4)] == ["failed", "done", "done", "done"]
    assert found[0].error == "ran longer than --task-timeout 4 s"


def test_wrong_point_fails_alone(plan: Plan) -> None:
    """A point that the loader refuses is a failed run with its message; others are done."""
    tasks = plan.tasks()[:2]
    tasks[0] = replace(tasks[0], overrides=("jobs.large.gpus=7",))
    found = [item for batch in InlineExecutor().run(tasks) for item in batch]
    assert [item.status for item in found] == ["failed", "done"]
    assert "jobs.large.gpus" in found[0].error


def test_changed_file_fails_instead_of_mixing(plan: Plan) -> None:
    """A worker that reads another file than the driver refuses the run."""
    task = plan.tasks()[0]
    task = replace(task, files=tuple((path, "0" * 64) for path, _ in task.files))
    (outcome,) = next(iter(InlineExecutor().run([task])))
    assert outcome.status == "failed"
    assert "was changed" in outcome.error


class Stopping:
    """Plays some tasks and then stops as if the driver had died."""

    def __init__(self, count: int) -> None:
        self._count = count

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks."""
        yield from InlineExecutor().run(tasks[: self._count])

    def close(self) -> None:
        """Do nothing."""


def test_resume_plays_only_what_is_missing(plan: Plan, reference: str, tmp_path: Path) -> None:
    """What is in the journal is not played again; the tables are those of the undisturbed sweep."""
    with open_folder(tmp_path, plan) as opened:
        opened.run(Stopping(5), plan.tasks())
    with open_folder(tmp_path, plan, resume=True) as opened:
        assert opened.state.known == 5
        found = opened.run(InlineExecutor(), plan.tasks())
    assert texts(plan, found) == reference
    with pytest.raises(OutputError, match="--resume goes on"), open_folder(tmp_path, plan):
        pass


class Failing:
    """Plays tasks of which some fail."""

    def __init__(self, *failing: int) -> None:
        self._failing = failing
        self.played: list[int] = []

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks."""
        for (outcome,) in InlineExecutor().run(tasks):
            self.played.append(outcome.index)
            bad = outcome.index in self._failing
            yield [Outcome(index=outcome.index, status="failed", error="no memory") if bad else outcome]

    def close(self) -> None:
        """Do nothing."""


def test_resume_plays_failed_runs_again(plan: Plan, reference: str, tmp_path: Path) -> None:
    """Failed runs are played again on --resume, of shards and merged folders too; what is done later counts."""
    here, there = tmp_path / "here", tmp_path / "there"
    with open_folder(here, plan, shard=Shard(1, 2)) as opened:
        opened.run(Failing(4), plan.tasks())
    with open_folder(there, plan, shard=Shard(2, 2)) as opened:
        opened.run(Failing(5, 7), plan.tasks())
    again = Failing(7)
    with open_folder(here, plan, resume=True, merge=[there]) as opened:
        assert (opened.state.known, opened.state.again, opened.state.failed) == (9, 3, 0)
        opened.run(again, plan.tasks())
        assert opened.state.failed == 1
    assert again.played == [4, 5, 7]
    last = Failing()
    with open_folder(here, plan, resume=True, merge=[there]) as opened:
        assert (opened.state.known, opened.state.again) == (11, 1)
        assert texts(plan, opened.run(last, plan.tasks())) == reference
    assert last.played == [7]
    contents = dict(read_journals([here / "journal.jsonl"]))[here / "journal.jsonl"]
    assert {index: contents.outcomes[index].status for index in (4, 5, 7)} == dict.fromkeys((4, 5, 7), "done")


@pytest.mark.parametrize("damage", ["flip", "missing", "torn"])
def test_a_journal_without_its_first_line_is_set_aside(
    plan: Plan, reference: str, tmp_path: Path, damage: str
) -> None:
    """Its runs are lost, told and kept; the new journal knows its sweep, so that the next --resume has all."""
    with open_folder(tmp_path, plan) as opened:
        opened.run(Stopping(5), plan.tasks())
    journal = tmp_path / "journal.jsonl"
    data = journal.read_bytes()
    header, _, runs = data.partition(b"\n")
    broken = {"flip": data[:40] + bytes([data[40] ^ 1]) + data[41:], "missing": runs, "torn": header[:100]}[
        damage
    ]
    journal.write_bytes(broken)
    said = (
        f"the first line of journal.jsonl is damaged: its {0 if damage == 'torn' else 5} runs cannot be used"
    )
    with pytest.raises(OutputError, match=said), open_folder(tmp_path / "other", plan, merge=[tmp_path]):
        pass
    assert not (tmp_path / "other").exists()
    with open_folder(tmp_path, plan, resume=True) as opened:
        assert opened.state.unusable == [f"{said}; set aside as journal.jsonl.damaged"]
        assert (opened.state.known, opened.state.damaged) == (0, [])
        assert texts(plan, opened.run(InlineExecutor(), plan.tasks())) == reference
    assert (tmp_path / "journal.jsonl.damaged").read_bytes() == broken
    with open_folder(tmp_path, plan, resume=True) as opened:
        assert (opened.state.known, opened.state.unusable) == (12, [])
    more = replace(plan, replicas=5)
    with pytest.raises(UsageError, match="replicas: 4 became 5"), open_folder(tmp_path, more, resume=True):
        pass
    journal.write_bytes(runs)
    with open_folder(tmp_path, plan, resume=True) as opened:
        assert opened.state.unusable[0].endswith("set aside as journal.jsonl.damaged2")


def test_a_shard_leaves_the_damaged_journal_of_another_alone(plan: Plan, tmp_path: Path) -> None:
    """Its driver may be at it: the runs are not used, and the file stays."""
    other = tmp_path / "journal-2-of-2.jsonl"
    other.write_bytes(b"torn")
    with open_folder(tmp_path, plan, shard=Shard(1, 2)) as opened:
        assert opened.state.unusable == [
            "the first line of journal-2-of-2.jsonl is damaged: its 0 runs cannot be used"
        ]
    assert other.read_bytes() == b"torn"


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "double"])
def test_damaged_journal_is_found_and_done_again(
    plan: Plan, reference: str, tmp_path: Path, damage: str
) -> None:
    """A flipped bit, a torn tail, an emptied file and doubled lines: just the damaged runs are repeated."""
    with open_folder(tmp_path, plan) as opened:
        opened.run(InlineExecutor(), plan.tasks())
    journal = tmp_path / "journal.jsonl"
    data = journal.read_bytes()
    lines = data.splitlines(keepends=True)
    broken = {
        "flip": b"".join([*lines[:3], lines[3][:60] + bytes([lines[3][60] ^ 1]) + lines[3][61:], *lines[4:]]),
        "cut": data[:-30],
        "empty": b"",
        "double": data + b"".join(lines[4:6]),
    }
    journal.write_bytes(broken[damage])
    known = {"flip": 11, "cut": 11, "empty": 0, "double": 12}[damage]
    with open_folder(tmp_path, plan, resume=True) as opened:
        assert opened.state.known == known
        assert len(opened.state.damaged) == (1 if damage in ("flip", "cut") else 0)
        found = opened.run(InlineExecutor(), plan.tasks())
    assert texts(plan, found) == reference
    ((_, contents),) = read_journals([journal])
    assert sorted(contents.outcomes) == list(range(12))


def test_edited_scenario_is_refused_with_the_difference(
    plan: Plan, fast_scenario: str, tmp_path: Path
) -> None:
    """A folder of another scenario is refused; the message names field, old and new value."""
    from colossus_sim.sweeps.plan import make_plan

    with open_folder(tmp_path, plan):
        pass
    edited = make_plan(fast_scenario, plan.points, replicas=4, overrides=["jobs.large.gpus=64"])
    with pytest.raises(UsageError) as caught, open_folder(tmp_path, edited, resume=True):
        pass
    assert "jobs.large.gpus: 128 became 64" in str(caught.value)
    more = replace(plan, replicas=5)
    with pytest.raises(UsageError, match="replicas: 4 became 5"), open_folder(tmp_path, more, resume=True):
        pass
    name = plan.parameters[0]
    other = replace(plan, points=(replace(plan.points[0], values={name: "elsewhere"}), *plan.points[1:]))
    said = f"points' {name}: .* became 'elsewhere, "
    with pytest.raises(UsageError, match=said), open_folder(tmp_path, other, resume=True):
        pass


def test_shards_join_to_the_whole(plan: Plan, reference: str, tmp_path: Path) -> None:
    """Three shards in two folders, merged: the tables of the undisturbed sweep."""
    one, two = tmp_path / "one", tmp_path / "two"
    for number, folder in ((1, one), (2, one), (3, two)):
        with open_folder(folder, plan, shard=Shard(number, 3)) as opened:
            assert len(opened.run(InlineExecutor(), plan.tasks())) >= 4
    with open_folder(one, plan, resume=True, merge=[two]) as opened:
        assert opened.state.known == 12
        assert texts(plan, opened.run(InlineExecutor(), plan.tasks())) == reference


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_wrong_shards_are_refused(text: str) -> None:
    """Only i/n with 1 <= i <= n is a shard."""
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text)


def test_second_driver_is_refused(plan: Plan, tmp_path: Path) -> None:
    """A folder in use is refused, with the holder named; afterwards it is free."""
    with open_folder(tmp_path, plan):
        code = (
            "import sys; from pathlib import Path; from colossus_sim.sweeps.lock import locked\n"
            "with locked(Path(sys.argv[1])): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / ".lock")], cwd=ROOT, capture_output=True, text=True
        )
        assert f"locked by process {os.getpid()} on host" in done.stderr
    with open_folder(tmp_path, plan, resume=True):
        pass


def test_a_lone_driver_and_shards_shut_each_other_out(plan: Plan, tmp_path: Path) -> None:
    """Whoever comes first: shards run beside each other, but not beside the driver of the whole."""

    def opened(shard: Shard | None = None) -> contextlib.AbstractContextManager[SweepFolder]:
        return open_folder(tmp_path, plan, resume=True, shard=shard)

    with opened(Shard(1, 3)):
        with opened(Shard(2, 3)):
            pass
        with pytest.raises(OutputError, match=r"drivers of shards, .* process \d+ on host"), opened():
            pass
        with pytest.raises(OutputError, match="is in use"), opened(Shard(1, 3)):
            pass
    with (
        opened(),
        pytest.raises(OutputError, match=f"locked by process {os.getpid()} on host"),
        opened(Shard(3, 3)),
    ):
        pass


def test_foreign_files_and_links_are_left_alone(plan: Plan, tmp_path: Path) -> None:
    """A folder with other files is refused; a journal that is a link is not written through."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match=r"thesis\.txt"), open_folder(tmp_path / "a", plan):
        pass
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["thesis.txt"]
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "journal.jsonl").symlink_to(victim)
    with pytest.raises(OutputError, match="symbolic link"), open_folder(tmp_path / "b", plan, resume=True):
        pass
    assert victim.read_text(encoding="utf-8") == "precious"


def test_workers_end_with_a_killed_driver(fast_scenario: str, tmp_path: Path) -> None:
    """After kill -9 of the driver no worker stays; --resume gives the bytes of an undisturbed sweep."""
    arguments = [sys.executable, "-m", "colossus_sim", "sweep", fast_scenario, "--set-grid",
                 "faults.restart.base=5 min,1 h", "--replicas", "15", "--jobs", "2", "--no-plots",
                 "-q"]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert subprocess.run([*arguments, "--out", str(whole)], cwd=ROOT).returncode == 0
    driver = subprocess.Popen([*arguments, "--out", str(killed)], cwd=ROOT, start_new_session=True)
    journal = killed / "journal.jsonl"
    deadline = time.monotonic() + 60.0
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 20.0
    while _group_members(driver.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _group_members(driver.pid)
    assert subprocess.run([*arguments, "--out", str(killed), "--resume"], cwd=ROOT).returncode == 0
    assert (killed / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    assert (killed / "points.csv").read_bytes() == (whole / "points.csv").read_bytes()


def _group_members(group: int) -> list[int]:
    """Return the processes of a group that are no zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def test_interrupt_saves_and_says_how_to_go_on(fast_scenario: str, tmp_path: Path) -> None:
    """Ctrl-C: exit 130, nothing lost, the command to go on, no traceback."""
    arguments = [sys.executable, "-m", "colossus_sim", "sweep", fast_scenario, "--set-grid",
                 "faults.restart.base=5 min,1 h", "--replicas", "400", "--jobs", "1", "--no-plots", "--out",
                 str(tmp_path / "s")]  # fmt: skip
    driver = subprocess.Popen(
        arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    journal = tmp_path / "s" / "journal.jsonl"
    deadline = time.monotonic() + 60.0
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 2) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGINT)
    _, shown = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert "--resume" in shown
    assert "Traceback" not in shown
    saved = journal.read_bytes().count(b"\n") - 1
    announced = int(shown.partition("interrupted: ")[2].partition(" of 800 runs are saved")[0])
    assert 1 <= announced <= saved


def test_hash_seed_time_zone_and_folder_do_not_matter(fast_scenario: str, tmp_path: Path) -> None:
    """The same bytes with another PYTHONHASHSEED, time zone, locale and working directory."""
    written = []
    for number, (seed, zone, locale) in enumerate((("0", "UTC", "C"), ("77", "Asia/Tokyo", "C.UTF-8"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        extra = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, "-m", "colossus_sim", "sweep", fast_scenario, "--set-grid", "jobs.large.gpus=64,128",
             "--replicas", "3", "--jobs", "2", "--no-plots", "-q", "--out", "s"],
            cwd=folder, env={**os.environ, **extra}, check=True,
        )  # fmt: skip
        written.append(
            [(folder / "s" / name).read_bytes() for name in ("results.csv", "points.csv", "columns.json")]
        )
    assert written[0] == written[1]
