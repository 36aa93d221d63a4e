"""What a driver keeps of its runs: the same numbers in little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from colossus_sim.sweeps.folder import open_folder
from colossus_sim.sweeps.packed import Packer
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.pool import InlineExecutor
from colossus_sim.sweeps.table import csv_text, run_table, summary_table, table_files, write_files
from colossus_sim.sweeps.task import Outcome, Task


def outcome(index: int) -> Outcome:
    """Return an outcome with new names and numbers."""
    return Outcome(
        index=index,
        status="done",
        values={f"m{number}": index + number / 7.0 for number in range(5)},
        phases={"a/b": (index + 0.5, math.inf), "a/c": (1.0, 2.0)},
    )


def test_packed_outcomes_are_equal_and_share_their_names() -> None:
    """Every number comes back to the last bit, in order; a second run with the same names adds none."""
    packer = Packer()
    first, second = packer.packed(outcome(1)), packer.packed(outcome(2))
    assert (first, second) == (outcome(1), outcome(2))
    assert list(first.values.items()) == list(outcome(1).values.items())
    assert list(first.phases.items()) == list(outcome(1).phases.items())
    assert "m9" not in first.values
    assert first.values.get("m9", 3.0) == 3.0
    assert all(left is right for left, right in zip(first.values, second.values, strict=True))


def test_tables_of_a_folder_are_those_of_the_runs(plan: Plan, tmp_path: Path) -> None:
    """Tables written line by line from what the driver kept, and from what it reads back, are those of the runs."""
    whole = {item.index: item for batch in InlineExecutor().run(plan.tasks()) for item in batch}
    expected = [csv_text(table(plan, whole)) for table in (run_table, summary_table)]
    for resume in (False, True):
        with open_folder(tmp_path, plan, resume=resume) as opened:
            kept = opened.run(Known(whole), plan.tasks())
        tables = {"results": run_table(plan, kept), "points": summary_table(plan, kept)}
        write_files(tmp_path, table_files(tables))
        assert [(tmp_path / f"{name}.csv").read_text(encoding="utf-8") for name in tables] == expected


class Known:
    """Hands over outcomes that are there already."""

    def __init__(self, outcomes: dict[int, Outcome]) -> None:
        self._outcomes = outcomes

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of some tasks."""
        yield [self._outcomes[task.index] for task in tasks]

    def close(self) -> None:
        """Nothing to let go of."""
