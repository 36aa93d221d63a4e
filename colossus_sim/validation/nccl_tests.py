"""Reads the output of nccl-tests (all_reduce_perf and the like)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from colossus_sim.errors import UsageError
from colossus_sim.formulas.collectives import bus_factor

OPERATIONS = {
    "all_reduce": "all_reduce",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "alltoall": "all_to_all",
    "sendrecv": "send_recv",
}
"""Programs of nccl-tests (without ``_perf``) and the operations that they time."""

_LAUNCHER = re.compile(r"^\s*(?:\[[\d,]+\]<std(?:out|err)>:|\d+:)\s*")
_RANK = re.compile(r"#\s+Rank\s+\d+\s.*?\bon\s+(\S+)\s+device\s+\d+")
_PROGRAM = re.compile(rf"(?<![a-z])({'|'.join(OPERATIONS)})_perf\b")
_ANY_PROGRAM = re.compile(r"\b([a-z]+(?:_[a-z]+)*_perf)\b")
_ROW = re.compile(r"\s*\d+\s+\d+\s+[a-z]")
_HEADER = re.compile(r"#\s+size\s+count\s.*\bbusbw\s+(\S+)\s*$")
_STAMP = re.compile(r"\s+\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*$")
"""What ``-S 1`` adds to each line."""
_OUT_OF_BOUNDS = re.compile(r"#\s*Out of bounds values\s*:\s*(\d+)\s+FAILED")
_COLUMNS = 8
"""Time, algbw, busbw, and #wrong or error: out of place and in place."""
_LEAST_BUSBW = 10.0
"""Bus bandwidth from which two printed decimals tell the operation. [GB/s]"""
_LEAST_ALGBW = 1.0
"""The same from which they tell whether size, time and bandwidth belong together. [GB/s]"""
_ROUNDING = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclRun:
    """One run of one program of nccl-tests."""

    path: Path
    operation: str
    ranks: int
    nodes: int
    month: str
    """Month in which the log was last written."""
    timings: tuple[tuple[float, float], ...]
    """Size as nccl-tests prints it [B] and out-of-place time [s]."""


def read_nccl_tests(path: Path, operation: str | None = None) -> NcclRun:
    """Read one log; ``operation`` is needed where neither the log nor its name says which program ran.

    Raises
    ------
    UsageError
        If the file cannot be read, is no such log, holds several runs or wrong results, or contradicts itself.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        month = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).strftime("%Y-%m")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error})") from error
    lines = [_LAUNCHER.sub("", line) for line in lines]
    hosts = [match[1] for line in lines if (match := _RANK.match(line))]
    if not hosts:
        raise UsageError(
            f"{path}: no lines '#  Rank 0 ... on HOST device 0', so it is no output of nccl-tests"
        )
    nodes = len(set(hosts))
    if any(hosts.count(host) * nodes != len(hosts) for host in set(hosts)):
        raise UsageError(
            f"{path}: the {nodes} hosts have different numbers of ranks; give one with equal numbers"
        )
    name = _operation(path, lines, operation)
    rows = tuple(_rows(path, lines, name, len(hosts)))
    if not rows:
        raise UsageError(f"{path}: no line with a size, a time and bandwidths")
    sizes = [size for size, _ in rows]
    if sizes != sorted(set(sizes)):
        raise UsageError(f"{path}: sizes do not grow, so it holds more than one run; give one run per file")
    return NcclRun(path=path, operation=name, ranks=len(hosts), nodes=nodes, month=month, timings=rows)


def _operation(path: Path, lines: list[str], said: str | None) -> str:
    """Return what was timed, as the log or its name says, or else `said`."""
    known = ", ".join(OPERATIONS.values())
    named = {OPERATIONS[match[1]] for text in (*lines, path.name) for match in _PROGRAM.finditer(text)}
    others = {match[1] for text in lines for match in _ANY_PROGRAM.finditer(text)}
    if others and not named:
        raise UsageError(f"{path}: a log of {' and '.join(sorted(others))}; read are those of {known}")
    if said is not None and named and said not in named:
        raise UsageError(f"{path}: --operation {said}, but the log is one of {' and '.join(sorted(named))}")
    if said is None and len(named) != 1:
        found = " and ".join(sorted(named)) or "none"
        raise UsageError(f"{path}: which program ran? It names {found}; say --operation: {known}")
    return said or named.pop()


def _rows(path: Path, lines: list[str], operation: str, ranks: int) -> Iterator[tuple[float, float]]:
    factor, counted, cells = bus_factor(operation, ranks), True, 0
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}"
        if header := _HEADER.match(line):
            # Older versions print the largest error there, e.g. 5e-07; what is too large is in the last lines.
            counted = header[1] != "error"
        if failed := _OUT_OF_BOUNDS.match(line):
            raise UsageError(f"{place}: {_wrong(failed[1])}")
        if not _ROW.match(line):
            continue
        fields = _STAMP.sub("", line).split()
        cells = cells or len(fields)
        if len(fields) != cells:
            raise UsageError(
                f"{place}: {len(fields)} cells where the first row has {cells}: {line.strip()!r}"
            )
        size, time, algbw, busbw, wrong = _cells(place, line, fields)
        if counted and wrong >= 1:
            raise UsageError(f"{place}: {_wrong(fields[-_COLUMNS + 3])}")
        if busbw > _LEAST_BUSBW and abs(busbw / algbw / factor - 1.0) > _ROUNDING:
            raise UsageError(
                f"{place}: busbw / algbw is {busbw / algbw:.3f}, but {operation} on {ranks} ranks "
                f"has {factor:.3f}; name the right --operation"
            )
        if size > 0 and time > 0:
            yield size, time * 1e-6


def _cells(place: str, line: str, fields: list[str]) -> tuple[float, float, float, float, float]:
    """Return size [B], time [us], both bandwidths [GB/s] and the number of wrong results of a row."""
    try:
        time, algbw, busbw = (float(field) for field in fields[-_COLUMNS : -_COLUMNS + 3])
        size, wrong = float(fields[0]), fields[-_COLUMNS + 3]
        found_wrong = 0.0 if wrong.upper() == "N/A" else float(wrong)
    except ValueError as error:
        raise UsageError(f"{place}: not a row of nccl-tests: {line.strip()!r}") from error
    if algbw > _LEAST_ALGBW or busbw > _LEAST_ALGBW:
        agree = time > 0 and algbw > 0 and abs(size / (time * 1e3) / algbw - 1.0) < _ROUNDING
        if not agree:
            raise UsageError(f"{place}: size, time and algbw do not belong together: {line.strip()!r}")
    return size, time, algbw, busbw, found_wrong


def _wrong(count: str) -> str:
    return f"{count} wrong results; a broken run says nothing"
