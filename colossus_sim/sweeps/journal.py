"""The memory of a sweep: lines with checksums, of which a torn, flipped or doubled one is found and done again."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from colossus_sim.errors import OutputError
from colossus_sim.results.files import output_errors
from colossus_sim.sweeps.packed import Packer
from colossus_sim.sweeps.task import Outcome

PATTERN = "journal*.jsonl"
ASIDE = ".damaged"
"""What is added to the name of a journal that cannot be used."""


@dataclass(kw_only=True)
class Contents:
    """What the journals of a folder hold.

    Attributes
    ----------
    header : mapping or None
        What the sweep was made from.
    outcomes : mapping of int to Outcome
        Whole results, by index; of a run that was played again the later one.
    damaged : list of str
        ``file:line`` of lines that are not whole.
    """

    header: dict[str, Any] | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    @property
    def headless(self) -> bool:
        """Whether there are lines, but none that says which sweep they belong to."""
        return self.header is None and bool(self.outcomes or self.damaged)


class Journal:
    """Appends outcomes to a file; `flush` returns only when they are on disk."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._path = path
        with output_errors(str(path)):
            _refuse_link(path)
            torn = path.is_file() and not _ends_whole(path)
            new = not path.exists() or not path.stat().st_size
            self._file: BinaryIO = path.open("ab")
            if torn:
                # A line that was cut off stays, damaged, on a line of its own.
                self._file.write(b"\n")
            if new:
                self._file.write(_line({"header": header}))
            self._sync()

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Write outcomes and wait until the disk has them.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        with output_errors(str(self._path)):
            self._file.write(b"".join(_line({"outcome": _plain(outcome)}) for outcome in outcomes))
            self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; everything appended is on disk already."""
        self._file.close()


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OutputError(f"{path} is a symbolic link; a sweep does not write through it")


def set_aside(path: Path) -> Path:
    """Give a journal that cannot be used another name, so that a new one can begin; return that name."""
    _refuse_link(path)
    names = (path.with_name(f"{path.name}{ASIDE}{number}") for number in ("", *range(2, 10**6)))
    target = next(name for name in names if not name.exists())
    with output_errors(str(path)):
        return path.rename(target)


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as handle:
        if not handle.seek(0, os.SEEK_END):
            return True
        handle.seek(-1, os.SEEK_END)
        return handle.read(1) == b"\n"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _line(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return f"{_digest(text)} {text}\n".encode()


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "index": outcome.index,
        "status": outcome.status,
        "values": {name: _number(value) for name, value in outcome.values.items()},
        "phases": {name: [_number(time) for time in times] for name, times in outcome.phases.items()},
        "error": outcome.error,
        "attempts": outcome.attempts,
    }


def _number(value: float) -> float | str | None:
    """Return a number for JSON, which has no infinity: that is a text."""
    return value if math.isfinite(value) else None if math.isnan(value) else str(value)


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _outcome(document: dict[str, Any]) -> Outcome:
    phases = {name: (_float(a), _float(b)) for name, (a, b) in document["phases"].items()}
    return Outcome(
        index=document["index"],
        status=document["status"],
        values={name: _float(value) for name, value in document["values"].items()},
        phases=phases,
        error=document["error"],
        attempts=document["attempts"],
    )


def read_journals(paths: Iterable[Path]) -> list[tuple[Path, Contents]]:
    """Return the contents of journals, in order of path.

    Raises
    ------
    OutputError
        If one cannot be read.
    """
    return [(path, _read(path)) for path in sorted(paths)]


def _read(path: Path) -> Contents:
    contents, packer = Contents(), Packer()
    for number, raw in enumerate(_lines(path), start=1):
        if not raw:
            continue
        document = _checked(raw)
        if document is None:
            contents.damaged.append(f"{path.name}:{number}")
        elif "header" in document:
            contents.header = document["header"]
        else:
            outcome = _outcome(document["outcome"])
            contents.outcomes[outcome.index] = packer.packed(outcome)
    return contents


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as handle:
            for line in handle:
                yield line.removesuffix(b"\n")
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}") from error


def _checked(raw: bytes) -> dict[str, Any] | None:
    try:
        digest, _, text = raw.decode().partition(" ")
    except UnicodeDecodeError:
        return None
    if digest != _digest(text):
        return None
    document: dict[str, Any] = json.loads(text)
    return document
