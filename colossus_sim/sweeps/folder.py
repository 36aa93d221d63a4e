"""The folder of a sweep: journals while it runs, tables when it is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from colossus_sim.errors import OutputError, UsageError
from colossus_sim.results.files import check_writable, output_errors
from colossus_sim.sweeps.journal import ASIDE, PATTERN, Contents, Journal, read_journals, set_aside
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
    again : int
        Of those to be there, found as failed: they are played again.
    damaged : list of str
        Damaged lines of the journals, which are not used.
    unusable : list of str
        Journals that cannot be used at all, and what became of them, in words.
    """

    total: int = 0
    known: int = 0
    again: int = 0
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

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
        Go on with what is there, and play again what failed; otherwise a folder with journals is refused. A journal
        without a whole first line is set aside: nobody knows what its runs belong to.
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
    # What is refused must leave nothing behind: no folder, and no lock file in one that holds something else.
    _check_foreign(path)
    found = _Found(header=plan.header(), count=len(plan.points) * plan.replicas)
    _merge(merge, found)
    with output_errors(str(path)):
        path.mkdir(parents=True, exist_ok=True)
    with _held(path, part):
        _check_contents(path, part, resume=resume)
        state = _opened(path, plan, part, found)
        journal = Journal(path / f"journal{part.suffix}.jsonl", found.header)
        try:
            yield SweepFolder(path, plan, journal, state, part)
        finally:
            journal.close()


@contextlib.contextmanager
def _held(path: Path, shard: Shard) -> Iterator[None]:
    """Hold a folder: alone, or a shard of it beside the drivers of other shards."""
    with contextlib.ExitStack() as held:
        held.enter_context(locked(path / ".lock", shared=bool(shard.suffix)))
        if shard.suffix:
            held.enter_context(locked(path / f".lock{shard.suffix}"))
        yield


def _check_foreign(path: Path) -> None:
    """Refuse a folder that holds other files, and no journal, neither a whole one nor one set aside."""
    names = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    if any(fnmatch(name, PATTERN) or fnmatch(name, f"{PATTERN}{ASIDE}*") for name in names):
        return
    foreign = [name for name in names if not name.startswith(".")]
    if foreign:
        raise OutputError(f"{path} holds other files, e.g. {foreign[0]!r}; choose another --out")


def _check_contents(path: Path, shard: Shard, *, resume: bool) -> None:
    journals = sorted(item.name for item in path.glob(PATTERN))
    own = f"journal{shard.suffix}.jsonl"
    if journals and not resume and (not shard.suffix or own in journals):
        raise OutputError(
            f"{path} holds a sweep already ({journals[0]}); --resume goes on with it, or choose another --out"
        )


def _opened(path: Path, plan: Plan, shard: Shard, found: _Found) -> State:
    """Read the journals of a folder that is held, set aside those that cannot be used, and count what is there."""
    state = State()
    for file, contents in read_journals(path.glob(PATTERN)):
        if not contents.headless:
            found.add(file, contents)
        elif not shard.suffix or file.name == f"journal{shard.suffix}.jsonl":
            state.unusable.append(f"{_no_header(file, contents)}; set aside as {set_aside(file).name}")
        else:  # another driver may be at it
            state.unusable.append(_no_header(file, contents))
    mine = [task.index for task in plan.each_task() if shard.holds(task)]
    state.outcomes = {index: item for index, item in found.outcomes.items() if item.status == "done"}
    state.damaged = found.damaged
    state.total = len(mine)
    state.known = sum(1 for index in mine if index in state.outcomes)
    state.again = sum(1 for index in mine if index in found.outcomes) - state.known
    return state


def _merge(folders: Sequence[Path], found: _Found) -> None:
    """Add the journals of other folders, each of which must have some that can be used."""
    for folder in folders:
        journals = read_journals(folder.glob(PATTERN))
        if not journals:
            raise OutputError(f"{folder} holds no journal of a sweep")
        for file, contents in journals:
            if contents.headless:
                raise OutputError(f"--merge {folder}: {_no_header(file, contents)}")
            found.add(file, contents)


def _no_header(file: Path, contents: Contents) -> str:
    return f"the first line of {file.name} is damaged: its {len(contents.outcomes)} runs cannot be used"


@dataclass(kw_only=True)
class _Found:
    """Outcomes of journals that belong to a sweep with this header and `count` runs, and their damaged lines."""

    header: dict[str, Any]
    count: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, file: Path, contents: Contents) -> None:
        """Add what a journal holds; a run that is done somewhere is done.

        Raises
        ------
        UsageError
            If it belongs to another sweep; with the differences.
        """
        self.damaged += contents.damaged
        lines = differences(contents.header, self.header) if contents.header is not None else []
        if lines:
            shown = "\n  ".join(lines[:MAX_SHOWN])
            more = f"\n  ... and {len(lines) - MAX_SHOWN} more" if len(lines) > MAX_SHOWN else ""
            raise UsageError(f"{file} belongs to another sweep; since then\n  {shown}{more}")
        for index, outcome in contents.outcomes.items():
            if 0 <= index < self.count and not self._is_done(index):
                self.outcomes[index] = outcome

    def _is_done(self, index: int) -> bool:
        return index in self.outcomes and self.outcomes[index].status == "done"
