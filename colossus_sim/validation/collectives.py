"""Measured collectives against the collective model: message size to time, system by system."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from colossus_sim.validation.nccl_tests import OPERATIONS
from colossus_sim.validation.rows import bounded_number, needed_number, numbered_records

_REQUIRED = ("system", "collective", "n_gpus", "message_bytes", "time_us", "gpu", "grade")
_USUAL_NODE = 8
"""GPUs per node of a row that does not say."""
_RANGES = {
    "message_bytes": (False, 1.0, 1e15),
    "time_us": (False, 1e-3, 1e12),
    "n_gpus": (True, 2, 1e7),
    "gpus_per_node": (True, 1, 1e5),
    "nic_gbps_per_gpu": (False, 1e-3, 1e6),
}
"""Columns of numbers: whether whole, and between which bounds, wider than anything that can be measured."""
_SPELLINGS = {
    **OPERATIONS,
    "allreduce": "all_reduce",
    "allgather": "all_gather",
    "reducescatter": "reduce_scatter",
}
"""Names that nccl-tests and others give to operations, and the project's."""
GRADES = ("A", "B", "C")
LARGE_MESSAGE = 64e6
"""Messages above this size form a group of their own. [B]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRow:
    """One published measurement of a collective.

    Attributes
    ----------
    line : int
        Line in the file (the header is line 1); rows have no other name.
    message_bytes : float
        nccl-tests' size. [B]
    time : float
        Out-of-place time. [s]
    nic_gbps : float or None
        Rate of the scale-out network per GPU and direction. [Gbit/s]
    grade : str
        A exact, B rounded or other library, C misconfigured or degraded.
    unreadable : tuple of str
        Columns that do not hold the number they should, each with what is wrong and what would be right.
    """

    line: int
    source: str
    system: str
    gpu: str
    gpus_per_node: int
    n_gpus: int
    collective: str
    algorithm: str
    message_bytes: float
    time: float
    fabric: str
    nic_gbps: float | None
    grade: str
    notes: str
    unreadable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the row: line, system, collective, GPUs, size."""
        return f"{self.line}:{self.system}:{self.collective}:{self.n_gpus}gpu:{self.message_bytes:.0f}B"


def read_collective_rows(path: Path) -> tuple[CollectiveRow, ...]:
    """Read all rows with the columns of ``nccl_rows.csv``; those without a readable size or time say so.

    Raises
    ------
    UsageError
        If the file cannot be read or lacks a column that every row needs.
    """
    return tuple(_row(*numbered) for numbered in numbered_records(path, _REQUIRED))


def _row(line: int, record: Mapping[str, str], wrong: tuple[str, ...]) -> CollectiveRow:
    numbers, unreadable = _numbers(record)
    return CollectiveRow(
        line=line,
        source=record.get("source", ""),
        system=record["system"],
        gpu=record["gpu"],
        gpus_per_node=round(numbers.get("gpus_per_node", _USUAL_NODE)),
        n_gpus=round(numbers.get("n_gpus", 0.0)),
        collective=canonical_collective(record["collective"]),
        algorithm=record.get("algorithm", ""),
        message_bytes=numbers.get("message_bytes", 0.0),
        time=numbers.get("time_us", 0.0) * 1e-6,
        fabric=record.get("fabric", ""),
        nic_gbps=numbers.get("nic_gbps_per_gpu"),
        grade=record["grade"],
        notes=record.get("notes", ""),
        unreadable=wrong or unreadable,
    )


def _numbers(record: Mapping[str, str]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the numbers of a row by column, and what is wrong with those columns that hold none of use."""
    numbers = {}
    wrong = []
    for column, (whole, least, most) in _RANGES.items():
        number, words = bounded_number(record.get(column, ""), whole=whole, least=least, most=most)
        if number is not None:
            numbers[column] = number
        elif words:
            wrong.append(f"{column}: {words}")
        elif column in _REQUIRED:
            wrong.append(f"{column}: empty; {needed_number(whole=whole, least=least, most=most)}")
    return numbers, tuple(wrong)


def canonical_collective(text: str) -> str:
    """Return the project's name of a collective, e.g. ``all_to_all`` of ``alltoall``."""
    name = re.sub(r"[^a-z]", "_", text.lower()).removesuffix("_perf")
    return _SPELLINGS.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectivePrediction:
    """One predicted collective."""

    row: CollectiveRow
    predicted: float
    """Time. [s]"""
    domain: int
    """GPUs of the scale-up domain that the prediction assumes."""

    @property
    def in_node(self) -> bool:
        """Whether all GPUs are in one scale-up domain."""
        return self.row.n_gpus <= self.domain

    @property
    def error(self) -> float:
        """Relative error of the time; positive = predicted too slow."""
        return self.predicted / self.row.time - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveGroup:
    """A named set of rows: mean over systems of each system's mean absolute error, and plain figures."""

    name: str
    systems: int
    count: int
    mean_of_systems: float
    mean: float
    median: float
    bias: float


def collective_groups(predictions: Sequence[CollectivePrediction]) -> tuple[CollectiveGroup, ...]:
    """Return the fixed groups, then one group per system; degraded rows (grade C) are not scored."""
    scored = [item for item in predictions if item.row.grade != "C"]
    found = [
        _group("all", scored),
        _group("one NVLink domain", (p for p in scored if p.in_node)),
        _group("across nodes", (p for p in scored if not p.in_node)),
        _group("over 64 MB", (p for p in scored if p.row.message_bytes > LARGE_MESSAGE)),
        _group("over 64 MB, one NVLink domain", (p for p in scored if _large(p) and p.in_node)),
        _group("over 64 MB, across nodes", (p for p in scored if _large(p) and not p.in_node)),
    ]
    for system in sorted({item.row.system for item in scored}):
        found.append(_group(f"system {system}", (p for p in scored if p.row.system == system)))
    return tuple(group for group in found if group is not None)


def _large(item: CollectivePrediction) -> bool:
    return item.row.message_bytes > LARGE_MESSAGE


def _group(name: str, items: Iterable[CollectivePrediction]) -> CollectiveGroup | None:
    members = list(items)
    if not members:
        return None
    by_system: dict[str, list[float]] = {}
    for item in members:
        by_system.setdefault(item.row.system, []).append(abs(item.error))
    means = [math.fsum(errors) / len(errors) for errors in by_system.values()]
    sizes = sorted(abs(item.error) for item in members)
    middle = len(sizes) // 2
    return CollectiveGroup(
        name=name,
        systems=len(means),
        count=len(members),
        mean_of_systems=math.fsum(means) / len(means),
        mean=math.fsum(sizes) / len(sizes),
        median=sizes[middle] if len(sizes) % 2 else (sizes[middle - 1] + sizes[middle]) / 2,
        bias=math.fsum(item.error for item in members) / len(members),
    )
