"""The intervals of a run as a table: rows to read, columns to add up."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from colossus_sim.records import CAUSES, STATES, IntervalRow

_Array = npt.NDArray[np.float64]


class IntervalColumns(NamedTuple):
    """Columns of `IntervalRow` for some rows, in their order."""

    start: _Array
    end: _Array
    """[s]"""
    gpus: _Array
    units: _Array
    tokens: _Array
    model_flops: _Array
    causes: _Array
    """`CAUSES` x intervals. [s]"""
    saves: _Array

    def select(self, rows: npt.NDArray[Any]) -> IntervalColumns:
        """Return some of the rows, by number or by a mask."""
        return IntervalColumns(*(column[..., rows] for column in self))


NO_INTERVALS = IntervalColumns(
    *(np.zeros((len(CAUSES), 0) if name == "causes" else 0) for name in IntervalColumns._fields)
)
"""Columns of no rows."""


class IntervalTable(Sequence[IntervalRow]):
    """All intervals of a run; rows are made of the columns when first asked for.

    Parameters
    ----------
    phases : sequence of (str, str)
        Jobs and phases.
    phase : array of int
        Job and phase of each interval, by place in `phases`.
    state : array of int
        State of each interval, by place in `STATES`.
    columns : IntervalColumns
        Everything else.
    """

    def __init__(
        self,
        phases: Sequence[tuple[str, str]],
        phase: npt.NDArray[np.int64],
        state: npt.NDArray[np.int64],
        columns: IntervalColumns,
    ) -> None:
        self._phases, self._phase = phases, phase
        self._state = state
        self._columns = columns

    @classmethod
    def of(cls, rows: Sequence[IntervalRow]) -> IntervalTable:
        """Return the table of these rows."""
        numbers: dict[tuple[str, str], int] = {}
        phase = np.array([numbers.setdefault(row[:2], len(numbers)) for row in rows], dtype=np.int64)
        columns = NO_INTERVALS
        if rows:
            parts = dict(zip(IntervalRow._fields, zip(*rows, strict=True), strict=True))
            parts["causes"] = tuple(zip(*parts["causes"], strict=True))
            columns = IntervalColumns(*(np.array(parts[name], dtype=np.float64) for name in columns._fields))
        states = {name: place for place, name in enumerate(STATES)}
        state = np.array([states[row.state] for row in rows], dtype=np.int64)
        table = cls(tuple(numbers), phase, state, columns)
        table.rows = tuple(rows)
        return table

    @functools.cached_property
    def rows(self) -> tuple[IntervalRow, ...]:
        """The rows."""
        return tuple(self._rows())

    def _rows(self) -> Iterator[IntervalRow]:
        one = self._columns
        names = [self._phases[number] for number in self._phase.tolist()]
        return map(
            IntervalRow,
            [job for job, _ in names],
            [phase for _, phase in names],
            [STATES[number] for number in self._state.tolist()],
            one.start.tolist(),
            one.end.tolist(),
            map(int, one.gpus.tolist()),
            one.units.tolist(),
            one.tokens.tolist(),
            one.model_flops.tolist(),
            zip(*one.causes.tolist(), strict=True),
            one.saves.tolist(),
            itertools.repeat(""),
        )

    @functools.cached_property
    def by_phase(self) -> Mapping[tuple[str, str], IntervalColumns]:
        """Columns of each job and phase that has intervals."""
        found = {}
        for number, name in enumerate(self._phases):
            mine = np.flatnonzero(self._phase == number)
            if len(mine) == len(self):
                return {name: self._columns}
            if len(mine):
                found[name] = self._columns.select(mine)
        return found

    def __len__(self) -> int:
        return len(self._phase)

    @overload
    def __getitem__(self, index: int) -> IntervalRow: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[IntervalRow, ...]: ...

    def __getitem__(self, index: int | slice) -> IntervalRow | tuple[IntervalRow, ...]:
        return self.rows[index]

    def __iter__(self) -> Iterator[IntervalRow]:
        return iter(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalTable) and self.rows == other.rows

    def __hash__(self) -> int:
        return hash(self.rows)

    def __repr__(self) -> str:
        return repr(self.rows)


def columns_by_phase(rows: Sequence[IntervalRow]) -> Mapping[tuple[str, str], IntervalColumns]:
    """Return the columns of each job and phase that has intervals."""
    table = rows if isinstance(rows, IntervalTable) else IntervalTable.of(rows)
    return table.by_phase
