"""The measured rows as published, typed; nothing is filled in or judged here."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from colossus_sim.errors import UsageError


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
    unreadable: tuple[str, ...] = ()
    """Columns whose text is not a number (their value is None)."""

    @property
    def published_step(self) -> float | None:
        """Step time to compare with: published, or derived from the published throughput. [s]"""
        return self.step_time_derived_s if self.step_time_derived_s is not None else self.step_time_s

    @property
    def is_oom(self) -> bool:
        """Whether the configuration ran out of memory."""
        return self.outcome == "oom"


_KINDS = {
    field.name: str(field.type).split(" ")[0]
    for field in dataclasses.fields(TrainingRow)
    if field.name != "unreadable"
}
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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    reader = csv.DictReader(text.splitlines(keepends=True))
    lacking = [name for name in required if name not in (reader.fieldnames or ())]
    if lacking:
        raise UsageError(f"{path}: columns missing: {', '.join(lacking)}")
    for record in reader:
        yield {key: (value or "").strip() for key, value in record.items() if key is not None}


def read_training_rows(path: Path) -> tuple[TrainingRow, ...]:
    """Read all rows of a file with the columns of ``training_rows.csv`` (others are ignored).

    Raises
    ------
    UsageError
        If the file cannot be read or lacks a column that every row needs.
    """
    return tuple(_row(record) for record in csv_records(path, _REQUIRED))


def _row(record: Mapping[str, str]) -> TrainingRow:
    values: dict[str, object] = {}
    unreadable = []
    for name, kind in _KINDS.items():
        text = record.get(name, "")
        if kind == "str":
            values[name] = text
            continue
        number = _number(text)
        if number is None and text:
            unreadable.append(name)
        values[name] = round(number) if number is not None and kind == "int" else number
    return TrainingRow(**values, unreadable=tuple(unreadable))  # type: ignore[arg-type]


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "").replace("~", ""))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
