"""The measured rows as published, typed; nothing is filled in or judged here."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from colossus_sim.errors import UsageError
from colossus_sim.validation.cells import COLUMNS_OF_FEW_VALUES, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One published measurement of a training step; None = the source does not say.

    Field names are the columns of ``training_rows.csv``; units are in the README beside that file.
    """

    id: str
    source: str
    model: str
    layers: int | None
    hidden: int | None
    heads: int | None
    kv_heads: int | None
    ffn_hidden: int | None
    vocab: int | None
    seq_len: int | None
    moe_experts: int | None
    moe_topk: int | None
    moe_ffn_hidden: int | None
    gpu: str
    n_gpus: int | None
    gpus_per_node: int | None
    interconnect: str
    tp: int | None
    pp: int | None
    vpp: int | None
    cp: int | None
    ep: int | None
    dp: int | None
    zero_stage_or_fsdp: str
    sequence_parallel: str
    recompute: str
    micro_batch: int | None
    global_batch: int | None
    precision: str
    step_time_s: float | None
    tokens_per_s_per_gpu: float | None
    notes: str
    step_time_derived_s: float | None
    peak_mem_gb: float | None
    outcome: str
    model_kind: str
    family: str
    fully_specified: str
    missing: str
    assumed_fill: str
    head_dim: int | None
    mlp_gated: str
    attn: str
    moe_shared_ffn: int | None
    moe_dense_layers: int | None
    line: int = 0
    """Line of the file on which the row starts; 0 = not from a file."""
    unreadable: tuple[tuple[str, str], ...] = ()
    """Columns whose text cannot be read (their value is None or empty), each with what is wrong."""

    @property
    def published_step(self) -> float | None:
        """Step time to compare with: published, or the global batch's tokens over the published throughput. [s]"""
        for time in (self.step_time_derived_s, self.step_time_s):
            if time is not None:
                return time
        rate = (self.tokens_per_s_per_gpu or 0.0) * (self.n_gpus or 0)
        tokens = (self.global_batch or 0) * (self.seq_len or 0)
        return tokens / rate if rate and tokens else None

    @property
    def is_oom(self) -> bool:
        """Whether the configuration ran out of memory."""
        return self.outcome == "oom"


_KINDS = {
    field.name: str(field.type).split(" ")[0]
    for field in dataclasses.fields(TrainingRow)
    if field.name not in ("line", "unreadable")
}
_SIMILAR = 0.8
"""Likeness (difflib's ratio) from which an unknown column is taken for a misspelling of one that is absent."""
_BLANK = ("n/a", "na", "-", "--", "?", "unknown", "not stated")
"""Words that say as little as an empty cell."""
_TOO_MANY = "more cells than columns (a comma without quotes?)"
_REQUIRED = ("id", "gpu", "n_gpus", "layers", "hidden", "heads", "global_batch", "fully_specified")


def shipped(name: str) -> Path:
    """Return the path of a table that comes with the package, e.g. ``training_rows.csv``."""
    return Path(str(files("colossus_sim") / "data" / "validation" / name))


def csv_records(path: Path, required: tuple[str, ...] = ()) -> Iterator[Mapping[str, str]]:
    """Yield the records of a CSV file as texts, stripped.

    Raises
    ------
    UsageError
        If the file cannot be read, is empty, or lacks one of the `required` columns.
    """
    for _, record in _rows(path, _reader(path, required)):
        yield _cells(record)


def numbered_records(
    path: Path, required: tuple[str, ...] = ()
) -> Iterator[tuple[int, Mapping[str, str], tuple[str, ...]]]:
    """Yield the line on which each record of a CSV file starts, the record, and what is wrong with it as a whole.

    Where a comma lacks its quotes, the cells stand under other columns; what they hold says nothing.

    Raises
    ------
    UsageError
        As `csv_records`.
    """
    for line, record in _rows(path, _reader(path, required)):
        yield line, _cells(record), (f"row: {_TOO_MANY}",) if None in record else ()


def _reader(path: Path, required: tuple[str, ...]) -> csv.DictReader[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    lacking = [name for name in required if name not in reader.fieldnames]
    if lacking:
        raise UsageError(f"{path}: columns missing: {', '.join(lacking)}")
    return reader


def _cells(record: Mapping[str, str]) -> dict[str, str]:
    return {key: (value or "").strip() for key, value in record.items() if key is not None}


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield every record with the line on which it starts; the reader itself counts to where it ends."""
    try:
        for record in reader:
            breaks = sum((value or "").count("\n") for key, value in record.items() if key is not None)
            yield reader.line_num - breaks, record
    except csv.Error as error:
        after = f"after line {reader.line_num}"
        raise UsageError(f"{path}: cannot be read {after}: {error} (a quote that is not closed?)") from None


def read_training_rows(path: Path) -> tuple[TrainingRow, ...]:
    """Read all rows of a file with the columns of ``training_rows.csv`` (others are ignored).

    Raises
    ------
    UsageError
        If the file cannot be read, lacks a column that every row needs, or misspells a column.
    """
    reader = _reader(path, _REQUIRED)
    columns = reader.fieldnames or ()
    absent = [name for name in _KINDS if name not in columns]
    for column in columns:
        near = [] if column in _KINDS else difflib.get_close_matches(column, absent, 1, _SIMILAR)
        if near:
            raise UsageError(f"{path}: unknown column {column!r}: did you mean {near[0]!r}?")
    return tuple(_row(record, line) for line, record in _rows(path, reader))


def _row(record: Mapping[str, str], line: int) -> TrainingRow:
    values: dict[str, object] = {}
    unreadable = []
    cells = _cells(record)
    for name, kind in _KINDS.items():
        text = cells.get(name, "")
        if kind == "str":
            values[name], wrong = _word(name, text)
        else:
            values[name], wrong = read_number(text, whole=kind == "int")
        if wrong:
            unreadable.append((name, wrong))
    if None in record:
        unreadable = [("row", _TOO_MANY)]
    return TrainingRow(**values, line=line, unreadable=tuple(unreadable))  # type: ignore[arg-type]


def _word(column: str, text: str) -> tuple[str, str]:
    """Return the column's own word for a text, and what is wrong with it."""
    if column not in COLUMNS_OF_FEW_VALUES:
        return text, ""
    return ("", "") if text.lower() in ("", *_BLANK) else value_of(column, text)


def read_number(text: str, *, whole: bool) -> tuple[float | None, str]:
    """Return the number that a text stands for, None for none, and what is wrong with it."""
    if text.lower() in ("", *_BLANK):
        return None, ""
    try:
        number = float(text.replace(",", "").replace("~", ""))
    except ValueError:
        return None, f"{text!r} is not a number"
    if not math.isfinite(number):
        return None, f"{text!r} is not a finite number"
    if number < 0.0:
        return None, f"{text} is negative"
    if whole and number != round(number):
        return None, f"{text} is not a whole number"
    return (round(number) if whole else number), ""


def bounded_number(text: str, *, whole: bool, least: float, most: float) -> tuple[float | None, str]:
    """Return the number of a text, None for none, and what is wrong with it together with what would be right."""
    number, wrong = read_number(text, whole=whole)
    if number is not None and not least <= number <= most:
        number, wrong = None, f"{text!r} is out of range"
    return number, f"{wrong}; {needed_number(whole=whole, least=least, most=most)}" if wrong else ""


def needed_number(*, whole: bool, least: float, most: float) -> str:
    """Return what a cell should hold, in words."""
    return f"a {'whole ' if whole else ''}number from {least:g} to {most:g} is needed"
