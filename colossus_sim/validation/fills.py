"""The assumptions under which rows with one or two missing cells are simulated."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from colossus_sim.validation.rows import TrainingRow

_MICRO_BATCH = re.compile(r"micro_batch=(\d+)")
_RECOMPUTE = re.compile(r"recompute=(none|selective|full)")
_BEST_MICRO_BATCH = 4
"""Where a fill says one micro-batch with a pipeline, else "best 1-4": the upper end (arXiv:2104.04473, sec. 5)."""
_OLD_STACKS = ("bloom", "vtrain", "sc21", "mlm20", "mtnlg", "palm", "opt", "hf", "uci", "mpt")


def filled(row: TrainingRow) -> tuple[TrainingRow, tuple[str, ...]]:
    """Return the row with its `assumed_fill` applied, and in words what was assumed.

    Where the fill offers alternatives the first is taken. Cells that the row states are never changed.
    """
    values: dict[str, Any] = {}
    if row.fully_specified == "near":
        values.update(_stated_fill(row))
    if row.vpp is None and (vpp := _chunks(row)) is not None:
        values["vpp"] = vpp
    if not row.sequence_parallel:
        values["sequence_parallel"] = "n" if row.id.startswith(_OLD_STACKS) or row.tp == 1 else "y"
    words = tuple(f"{name} = {value} assumed" for name, value in sorted(values.items()))
    return (dataclasses.replace(row, **values) if values else row), words


def _stated_fill(row: TrainingRow) -> dict[str, Any]:
    values: dict[str, Any] = {}
    fill = row.assumed_fill
    if row.micro_batch is None:
        found = _MICRO_BATCH.search(fill)
        values["micro_batch"] = int(found[1]) if found else 1
        if "when pp>1" in fill and row.pp == 1:
            values["micro_batch"] = _BEST_MICRO_BATCH
    if not row.recompute:
        found = _RECOMPUTE.search(fill)
        values["recompute"] = found[1] if found else "none"
        if "none for dense" in fill and row.model_kind == "dense":
            values["recompute"] = "none"
    return values


def _chunks(row: TrainingRow) -> int | None:
    """Return the model chunks per stage that an interleaved schedule of unknown depth most likely had."""
    layers, stages, fill = row.layers or 0, row.pp or 1, row.assumed_fill
    if stages == 1 or not layers:
        return 1
    if "MCore reference table" in fill or "layers per stage interleaved" in fill:
        return -(-layers // stages)
    if "layers/(pp*2)" in fill:
        return layers // (2 * stages) if layers % (2 * stages) == 0 else 1
    if "vpp 1..4" in fill:
        return 2 if layers % (2 * stages) == 0 else 1
    return 1
