"""The intervals of a run as a table: rows to read, columns to cut, and what each phase's come to."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from colossus_sim.records import CAUSES, STATES, UNDISTURBED, IntervalRow
from colossus_sim.sums import exact_sum, exact_sums

_UNDISTURBED = [CAUSES.index(name) for name in UNDISTURBED]
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


class PhaseTotals(NamedTuple):
    """What the intervals of a phase come to; each sum is rounded once, so the order does not matter."""

    causes: tuple[float, ...]
    """Seconds of each of `CAUSES`."""
    elapsed: float
    """[s]"""
    held: float
    """GPUs of the plan x seconds. [GPU-s]"""
    undisturbed: float
    """GPUs of the plan x seconds of the causes in `UNDISTURBED`. [GPU-s]"""
    units: float
    tokens: float
    model_flops: float
    saves: float
    start: float
    end: float
    """From the first interval to the last. [s]"""


def totals_of(rows: IntervalColumns) -> PhaseTotals:
    """Return what the intervals of a phase, at least one, come to."""
    length = rows.end - rows.start
    undisturbed = exact_sums(rows.causes[_UNDISTURBED])
    return PhaseTotals(
        causes=_sum_each(rows.causes),
        elapsed=exact_sum([length]),
        held=exact_sum([rows.gpus * length]),
        undisturbed=exact_sum([rows.gpus * undisturbed]),
        units=exact_sum([rows.units]),
        tokens=exact_sum([rows.tokens]),
        model_flops=exact_sum([rows.model_flops]),
        saves=exact_sum([rows.saves]),
        start=float(rows.start.min()),
        end=float(rows.end.max()),
    )


class TableData(NamedTuple):
    """The intervals of a run."""

    phase: npt.NDArray[np.int64]
    """Job and phase of each, by place among those of the table."""
    state: npt.NDArray[np.int64]
    """State of each, by place in `STATES`."""
    columns: IntervalColumns
    """Everything else."""


class IntervalTable(Sequence[IntervalRow]):
    """All intervals of a run; rows are made of the columns, and columns made, when first asked for.

    Parameters
    ----------
    phases : sequence of (str, str)
        Jobs and phases.
    make : callable
        Returns the intervals.
    """

    def __init__(self, phases: Sequence[tuple[str, str]], make: Callable[[], TableData]) -> None:
        self._phases, self._make = phases, make

    @classmethod
    def of(cls, rows: Sequence[IntervalRow]) -> IntervalTable:
        """Return the table of these rows."""
        numbers: dict[tuple[str, str], int] = {}
        phase = np.array([numbers.setdefault(row[:2], len(numbers)) for row in rows], dtype=np.int64)
        columns = IntervalColumns(
            *(np.zeros((len(CAUSES), 0) if name == "causes" else 0) for name in IntervalColumns._fields)
        )
        if rows:
            parts = dict(zip(IntervalRow._fields, zip(*rows, strict=True), strict=True))
            parts["causes"] = tuple(zip(*parts["causes"], strict=True))
            columns = IntervalColumns(*(np.array(parts[name], dtype=np.float64) for name in columns._fields))
        states = {name: place for place, name in enumerate(STATES)}
        state = np.array([states[row.state] for row in rows], dtype=np.int64)
        table = cls(tuple(numbers), lambda: TableData(phase, state, columns))
        table.rows = tuple(rows)
        return table

    @functools.cached_property
    def _data(self) -> TableData:
        return self._make()

    @functools.cached_property
    def rows(self) -> tuple[IntervalRow, ...]:
        """The rows."""
        return tuple(self._rows())

    def _rows(self) -> Iterator[IntervalRow]:
        numbers, states, one = self._data
        names = [self._phases[number] for number in numbers.tolist()]
        return map(
            IntervalRow,
            [job for job, _ in names],
            [phase for _, phase in names],
            [STATES[number] for number in states.tolist()],
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
        numbers, _, columns = self._data
        found = {}
        for number, name in enumerate(self._phases):
            mine = np.flatnonzero(numbers == number)
            if len(mine) == len(self):
                return {name: columns}
            if len(mine):
                found[name] = columns.select(mine)
        return found

    @functools.cached_property
    def totals(self) -> Mapping[tuple[str, str], PhaseTotals]:
        """What the intervals of each job and phase that has any come to."""
        return {name: totals_of(columns) for name, columns in self.by_phase.items()}

    def __len__(self) -> int:
        return len(self._data.phase)

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


def as_table(rows: Sequence[IntervalRow]) -> IntervalTable:
    """Return rows as a table."""
    return rows if isinstance(rows, IntervalTable) else IntervalTable.of(rows)


def cause_seconds(rows: IntervalColumns, start: float, end: float) -> tuple[float, ...]:
    """Return the seconds of each of `CAUSES` between two moments, those of an interval spread evenly over it."""
    overlap = np.minimum(rows.end, end) - np.maximum(rows.start, start)
    met = np.flatnonzero(overlap > 0.0)
    return _sum_each(rows.causes[:, met] * (overlap / (rows.end - rows.start))[met])


def _sum_each(causes: _Array) -> tuple[float, ...]:
    used = np.count_nonzero(causes, axis=1).tolist()  # few causes matter to a phase
    return tuple(exact_sum([cause]) if some else 0.0 for cause, some in zip(causes, used, strict=True))
