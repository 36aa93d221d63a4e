"""The folder of a sweep: journals while it runs, tables when it is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from colossus_sim.errors import OutputError, UsageError
from colossus_sim.results.files import check_writable, output_errors
from colossus_sim.sweeps.journal import PATTERN, Journal, read_journals
from colossus_sim.sweeps.lock import locked
from colossus_sim.sweeps.packed import Packer
from colossus_sim.sweeps.plan import Plan, differences
from colossus_sim.sweeps.pool import Executor
from colossus_sim.sweeps.task import Outcome, Task

MAX_SHOWN = 12
"""Differences shown where a sweep cannot be continued."""

Report = Callable[["State"], None]


@dataclass(kw_only=True)
class State:
    """How far a sweep is.

    Attributes
    ----------
    total : int
        Runs to be there in the end (of this shard).
    known : int
        Of them, found in the journals at the start.
    outcomes : mapping of int to Outcome
        All that are on disk, by index.
    damaged : list of str
        Damaged lines of the journals; their runs are done again.
    """

    total: int = 0
    known: int = 0
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Runs that failed."""
        return sum(1 for outcome in self.outcomes.values() if outcome.status == "failed")


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`-th (from 1) of `count` parts of a sweep: every `count`-th run, or point if `points`."""

    number: int = 1
    count: int = 1
    points: bool = False

    @property
    def suffix(self) -> str:
        """Part of the names of its journal and lock."""
        return "" if self.count == 1 else f"-{self.number}-of-{self.count}"

    def holds(self, task: Task) -> bool:
        """Say whether a task belongs to this part."""
        return (task.point if self.points else task.index) % self.count == self.number - 1


def parse_shard(text: str, *, points: bool = False) -> Shard:
    """Return the shard of ``i/n``, of whole points or of single runs.

    Raises
    ------
    UsageError
        If the text is not that.
    """
    left, slash, right = text.partition("/")
    if not (slash and left.isdigit() and right.isdigit() and 1 <= int(left) <= int(right) <= 100_000):
        raise UsageError(f"--shard: expected i/n with 1 <= i <= n, e.g. 3/16, got {text!r}")
    return Shard(int(left), int(right), points)


class SweepFolder:
    """An open folder: the lock is held and the journal is ready."""

    def __init__(self, path: Path, plan: Plan, journal: Journal, state: State, shard: Shard) -> None:
        self.path, self.plan, self.shard, self.state = path, plan, shard, state
        self._journal, self._packer = journal, Packer()

    def run(
        self, executor: Executor, tasks: Sequence[Task], report: Report | None = None
    ) -> dict[int, Outcome]:
        """Play the tasks that are not in the journals; return the outcomes of all of them, by index.

        An outcome is reported when it is on disk, not before.
        """
        mine = [task for task in tasks if self.shard.holds(task)]
        left = [task for task in mine if task.index not in self.state.outcomes]
        for batch in executor.run(left):
            self._journal.append(batch)
            self.state.outcomes.update((outcome.index, self._packer.packed(outcome)) for outcome in batch)
            if report is not None:
                report(self.state)
        found = self.state.outcomes
        return {task.index: found[task.index] for task in tasks if task.index in found}


@contextlib.contextmanager
def open_folder(
    path: Path, plan: Plan, *, resume: bool = False, shard: Shard | None = None, merge: Sequence[Path] = ()
) -> Iterator[SweepFolder]:
    """Lock a folder, read its journals, and be ready to add to them.

    Parameters
    ----------
    resume : bool
        Go on with what is there; otherwise a folder with journals is refused.
    merge : sequence of Path
        Other folders (shards run elsewhere) whose results count too.

    Raises
    ------
    OutputError
        If the folder cannot be written, holds something else, or is in use.
    UsageError
        If what is there came from another sweep; with the differences.
    """
    part = shard or Shard()
    check_writable(path)
    # What may be refused without the folder is read before it is made.
    others = _read(merge, plan)
    for folder in merge:
        if not any(folder.glob(PATTERN)):
            raise OutputError(f"{folder} holds no journal of a sweep")
    with output_errors(str(path)):
        path.mkdir(parents=True, exist_ok=True)
    with locked(path / f".lock{part.suffix}"):
        _check_contents(path, part, resume=resume)
        state = _read([path], plan)
        state.outcomes = others.outcomes | state.outcomes
        state.damaged += others.damaged
        if not part.suffix:
            # A lone driver must not run beside one that holds a shard, which has a lock of its own.
            _check_shards(path)
        mine = [task.index for task in plan.each_task() if part.holds(task)]
        state.total = len(mine)
        state.known = sum(1 for index in mine if index in state.outcomes)
        journal = Journal(path / f"journal{part.suffix}.jsonl", plan.header())
        try:
            yield SweepFolder(path, plan, journal, state, part)
        finally:
            journal.close()


def _check_contents(path: Path, shard: Shard, *, resume: bool) -> None:
    journals = sorted(item.name for item in path.glob(PATTERN))
    own = f"journal{shard.suffix}.jsonl"
    if journals and not resume and (not shard.suffix or own in journals):
        raise OutputError(
            f"{path} holds a sweep already ({journals[0]}); --resume goes on with it, or choose another --out"
        )
    foreign = sorted(
        item.name for item in path.iterdir() if not item.name.startswith(".") and item.name not in journals
    )
    if foreign and not journals:
        raise OutputError(f"{path} holds other files, e.g. {foreign[0]!r}; choose another --out")


def _check_shards(path: Path) -> None:
    for lock in sorted(path.glob(".lock-*")):
        with locked(lock):
            pass


def _read(folders: Sequence[Path], plan: Plan) -> State:
    files = [item for folder in folders for item in sorted(folder.glob(PATTERN))]
    state = State()
    header = plan.header()
    count = len(plan.points) * plan.replicas
    for file, contents in read_journals(files):
        state.damaged += contents.damaged
        if contents.header is None:
            # Without a whole first line nobody knows what the results belong to.
            continue
        lines = differences(contents.header, header)
        if lines:
            shown = "\n  ".join(lines[:MAX_SHOWN])
            more = f"\n  ... and {len(lines) - MAX_SHOWN} more" if len(lines) > MAX_SHOWN else ""
            raise UsageError(f"{file} belongs to another sweep; since then\n  {shown}{more}")
        for index, outcome in contents.outcomes.items():
            if 0 <= index < count:
                state.outcomes.setdefault(index, outcome)
    return state
