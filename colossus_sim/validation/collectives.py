"""Measured collectives against the collective model: message size to time, system by system."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from colossus_sim.validation.rows import csv_records

_REQUIRED = ("system", "collective", "n_gpus", "message_bytes", "time_us", "gpu", "grade")
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
        Columns that hold no number above 0 where one is needed.
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
    rows = []
    for line, record in enumerate(csv_records(path, _REQUIRED), start=2):
        numbers = {name: _positive(record[name]) for name in ("message_bytes", "time_us", "n_gpus")}
        size, time, gpus = (number or 0.0 for number in numbers.values())
        rows.append(
            CollectiveRow(
                line=line,
                source=record.get("source", ""),
                system=record["system"],
                gpu=record["gpu"],
                gpus_per_node=round(_positive(record.get("gpus_per_node", "")) or 8),
                n_gpus=round(gpus),
                collective=canonical_collective(record["collective"]),
                algorithm=record.get("algorithm", ""),
                message_bytes=size,
                time=time * 1e-6,
                fabric=record.get("fabric", ""),
                nic_gbps=_positive(record.get("nic_gbps_per_gpu", "")),
                grade=record["grade"],
                notes=record.get("notes", ""),
                unreadable=tuple(name for name, number in numbers.items() if number is None),
            )
        )
    return tuple(rows)


def canonical_collective(text: str) -> str:
    """Return the project's name of a collective, e.g. ``all_to_all`` of ``alltoall``."""
    name = re.sub(r"[^a-z]", "_", text.lower()).removesuffix("_perf")
    return {"alltoall": "all_to_all", "allreduce": "all_reduce", "allgather": "all_gather"}.get(name, name)


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


def _positive(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
