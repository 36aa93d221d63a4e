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
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from colossus_sim.errors import Problem, ScenarioError, UsageError

CSV_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "submit": ("submit", "submit_time", "timestamp"),
    "gpus": ("gpus", "num_gpus", "num_chips"),
    "duration": ("duration", "duration_s"),
    "walltime": ("walltime", "walltime_limit_s"),
    "account": ("account", "user"),
}
"""Columns of the CSV and the names under which they are found. submit: seconds, or dates with times (UTC unless one
has an offset); duration and walltime: seconds; walltime and account may be missing."""

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
        text = (gzip.decompress(raw) if path.name.endswith(".gz") else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
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


class _Line(NamedTuple):
    """A line of a log, which reads its cells or says what is wrong with them."""

    source: str
    number: int

    def wrong(self, message: str) -> ScenarioError:
        """Return the error of this line."""
        return ScenarioError([Problem(path="", message=message, where=f"{self.source}:{self.number}:1")])

    def value(self, column: str, text: str, least: float = -math.inf) -> float:
        """Return the number in a cell, which must not be smaller."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(f"{column}: {text!r} is not a finite number")
        if value < least:
            raise self.wrong(f"{column}: {text} is less than {least:g}")
        return value

    def moment(self, column: str, text: str) -> tuple[float, bool]:
        """Return seconds, from a number or from a date and time, and whether it is a date."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            if not text.isdecimal():  # 20260101 is a number of seconds
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), True
        try:
            return self.value(column, text), False
        except ScenarioError:
            raise self.wrong(f"{column}: {text!r} is neither seconds nor a date and time") from None


def read_swf(text: str, source: str = "trace") -> list[TraceJob]:
    """Return the jobs of a log in the Standard Workload Format."""
    jobs = []
    for number, content in enumerate(text.splitlines(), 1):
        if not content.strip() or content.lstrip().startswith(";"):
            continue
        fields, line = content.split(), _Line(source, number)
        if len(fields) < 18:
            raise line.wrong(f"an SWF line has 18 fields, this one {len(fields)}")
        place = {name: line.value(f"field {index + 1}", fields[index]) for name, index in _SWF.items()}
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
            raise _Line(source, lines[0][0] if lines else 1).wrong(f"the header has no column {names}")
    jobs, dated = [], set[bool]()
    for (number, _), row in zip(lines[1:], reader, strict=False):
        line = _Line(source, number)
        if None in row:
            count = len(header) + len(row[None])
            raise line.wrong(f"line {number} has {count} cells, the header {len(header)}")
        cells = {key: row.get(name) or "" for key, name in found.items()}
        submit, is_date = line.moment(found["submit"], cells["submit"])
        dated.add(is_date)
        if len(dated) > 1:
            raise line.wrong(f"{found['submit']}: seconds and dates do not go together in one file")
        duration = line.value(found["duration"], cells["duration"], least=0.0)
        gpus = line.value(found["gpus"], cells["gpus"], least=1.0)
        if gpus != int(gpus):
            raise line.wrong(f"{found['gpus']}: {cells['gpus']} is not a whole number")
        announced = cells["walltime"]
        jobs.append(
            TraceJob(
                name=f"job{number}",
                submit=submit,
                gpus=int(gpus),
                duration=duration,
                walltime=line.value(found["walltime"], announced, least=0.0) if announced else duration,
                account=cells["account"],
            )
        )
    return jobs
