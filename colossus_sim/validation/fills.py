"""The assumptions under which rows with one or two missing cells are simulated."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from colossus_sim.specs.shares import ENDS
from colossus_sim.validation.rows import TrainingRow

_MICRO_BATCH = re.compile(r"micro_batch=(\d+)")
_MILDEST = ("none", "selective", "full")
_ALTERNATIVES = re.compile(r"recompute=(none|selective|full) or (none|selective|full)")
_RECOMPUTE = re.compile(r"recompute=(none|selective|full)")
_LARGER = re.compile(r"micro_batch=\d+ \(try (\d+)\)")
"""A second value: without a pipeline no bubble asks for small micro-batches (arXiv:2104.04473, sec. 3.4)."""
_BEST_MICRO_BATCH = 4
"""Where a fill says one micro-batch with a pipeline, else "best 1-4": the upper end (arXiv:2104.04473, sec. 5)."""
_OLD_STACKS = ("bloom", "vtrain", "sc21", "mlm20", "mtnlg", "palm", "opt", "hf", "uci", "mpt")


def filled(row: TrainingRow) -> tuple[TrainingRow, tuple[str, ...]]:
    """Return the row with its `assumed_fill` applied, and in words what was assumed.

    Where the fill offers alternatives the first is taken, of recomputation the mildest, of micro-batches the larger
    one where there is no pipeline. Cells that the row states are never changed.
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
        larger = _LARGER.search(fill)
        if larger and row.pp == 1 and (row.global_batch or 0) % (int(larger[1]) * (row.dp or 1)) == 0:
            values["micro_batch"] = int(larger[1])
        if row.id.startswith("titan"):
            # TorchTitan cuts the local batch into as many micro-batches as there are stages unless told otherwise.
            values["micro_batch"] = max(1, (row.global_batch or 1) // ((row.dp or 1) * (row.pp or 1)))
    if not row.recompute:
        values["recompute"] = recomputations(row)[0]
    return values


def recomputations(row: TrainingRow) -> tuple[str, ...]:
    """Return what a row may recompute, mildest first: nobody computes more again than memory asks for.

    One value where the row or its fill names one, else what the fill offers with "or", else all three.
    """
    fill = row.assumed_fill
    if row.recompute:
        return (row.recompute,)
    if "none for dense" in fill and row.model_kind == "dense":
        return ("none",)
    if found := _ALTERNATIVES.search(fill):
        return tuple(sorted(found.groups(), key=_MILDEST.index))
    if found := _RECOMPUTE.search(fill):
        return (found[1],)
    return _MILDEST


def _chunks(row: TrainingRow) -> int | None:
    """Return the model chunks per stage that an interleaved schedule of unknown depth most likely had."""
    layers, stages, fill = row.layers or 0, row.pp or 1, row.assumed_fill
    if stages == 1 or not layers:
        return 1
    if "Interleaved 1F1B" in row.notes:
        return 2
    if "MCore reference table" in fill or "layers per stage interleaved" in fill:
        return min(-(-layers // stages), max((layers + ENDS) // stages, 1))
    if "layers/(pp*2)" in fill:
        return layers // (2 * stages) if layers % (2 * stages) == 0 else 1
    if "vpp 1..4" in fill:
        return 2 if layers % (2 * stages) == 0 else 1
    return 1
