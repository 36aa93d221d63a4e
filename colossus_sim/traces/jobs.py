"""Read job logs: the Standard Workload Format and a documented CSV, plain or compressed with gzip.

Two conventions matter for what a replay gives. Jobs without a run time in an SWF log (cancelled, or unknown) take
their average CPU time instead if the log has one, and are left out otherwise. The width of a job is what it was
given, or what it asked for where that is unknown.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from colossus_sim.errors import Problem, ScenarioError, UsageError

CSV_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "submit": ("submit", "submit_time", "timestamp"),
    "gpus": ("gpus", "num_gpus", "num_chips"),
    "duration": ("duration", "duration_s"),
    "walltime": ("walltime", "walltime_limit_s"),
    "account": ("account", "user"),
}
"""Columns of the CSV and the names under which they are found. submit: seconds, or a date and time (UTC);
duration and walltime: seconds; walltime and account may be missing."""

_SWF = {"submit": 1, "run": 3, "given": 4, "cpu": 5, "asked": 7, "walltime": 8, "account": 11}
"""Places of the fields in a line of SWF (Feitelson, Parallel Workloads Archive, format version 2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJob:
    """One job of a log.

    Attributes
    ----------
    name : str
        Unique in the log.
    submit : float
        When it entered the queue, from the first submission on. [s]
    gpus : int
        Processors or GPUs, all of them for its whole life.
    duration : float
        Run time. [s]
    walltime : float
        Run time that the user had announced; the duration where unknown. [s]
    account : str
        Who pays, for fair share.
    """

    name: str
    submit: float
    gpus: int
    duration: float
    walltime: float
    account: str = ""


def read_trace(path: Path) -> tuple[TraceJob, ...]:
    """Read a log by its suffix: ``.swf`` or ``.csv``, each also with ``.gz``.

    Raises
    ------
    UsageError
        If the suffix is another, or the file cannot be read.
    ScenarioError
        If a line is wrong.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind not in ("swf", "csv"):
        raise UsageError(f"{path}: a trace ends in .swf or .csv (or these with .gz)")
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.name.endswith(".gz") else raw).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    jobs = read_swf(text, str(path)) if kind == "swf" else read_csv(text, str(path))
    if not jobs:
        raise ScenarioError([Problem(path="", message="no job in the trace", where=str(path))])
    return _from_zero(jobs)


def _from_zero(jobs: Iterable[TraceJob]) -> tuple[TraceJob, ...]:
    """Sort by submission (ties as in the file) and count the time from the first one."""
    ordered = sorted(jobs, key=lambda job: job.submit)
    first = ordered[0].submit
    return tuple(
        TraceJob(
            name=job.name,
            submit=job.submit - first,
            gpus=job.gpus,
            duration=job.duration,
            walltime=job.walltime,
            account=job.account,
        )
        for job in ordered
    )


def read_swf(text: str, source: str = "trace") -> list[TraceJob]:
    """Return the jobs of a log in the Standard Workload Format."""
    jobs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        fields = line.split()
        if len(fields) < 18:
            raise _wrong(source, number, f"an SWF line has 18 fields, this one {len(fields)}")
        place = {name: _number(fields[index], source, number) for name, index in _SWF.items()}
        run = place["run"] if place["run"] >= 0 else place["cpu"]
        width = place["given"] if place["given"] > 0 else place["asked"]
        if run < 0 or width < 1:
            continue
        jobs.append(
            TraceJob(
                name=f"{fields[0]}.{number}",
                submit=place["submit"],
                gpus=int(width),
                duration=run,
                walltime=place["walltime"] if place["walltime"] > 0 else run,
                account=fields[_SWF["account"]],
            )
        )
    return jobs


def read_csv(text: str, source: str = "trace") -> list[TraceJob]:
    """Return the jobs of a CSV with a header (see CSV_COLUMNS); lines that begin with ``#`` are skipped."""
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    reader = csv.DictReader(io.StringIO("\n".join(line for _, line in lines)))
    header = reader.fieldnames or []
    found = {key: next((name for name in names if name in header), "") for key, names in CSV_COLUMNS.items()}
    for key in ("submit", "gpus", "duration"):
        if not found[key]:
            names = " or ".join(CSV_COLUMNS[key])
            raise _wrong(source, lines[0][0] if lines else 1, f"the header has no column {names}")
    jobs = []
    for (number, _), row in zip(lines[1:], reader, strict=False):
        duration = _number(row[found["duration"]], source, number)
        gpus = _number(row[found["gpus"]], source, number)
        if duration < 0 or gpus < 1:
            continue
        walltime = row.get(found["walltime"]) or ""
        limit = _number(walltime, source, number) if walltime else duration
        jobs.append(
            TraceJob(
                name=f"job{number}",
                submit=_moment(row[found["submit"]], source, number),
                gpus=int(gpus),
                duration=duration,
                walltime=limit,
                account=row.get(found["account"]) or "",
            )
        )
    return jobs


def _wrong(source: str, line: int, message: str) -> ScenarioError:
    return ScenarioError([Problem(path="", message=message, where=f"{source}:{line}:1")])


def _number(text: str | None, source: str, line: int) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _wrong(source, line, f"{text!r} is not a finite number")
    return value


def _moment(text: str | None, source: str, line: int) -> float:
    """Return seconds, from a number or from a date and time."""
    try:
        return float(text or "")
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _wrong(source, line, f"{text!r} is neither seconds nor a date and time") from None
