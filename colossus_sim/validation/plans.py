"""How a row trains: the parallel plan that its cells and its notes about the configuration stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from colossus_sim.specs.hardware import Stack
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.validation import words
from colossus_sim.validation.rows import TrainingRow
from colossus_sim.validation.tables import plain_gpu

PLAN_COLUMNS: Mapping[str, str] = {
    "tensor_parallel": "tp",
    "pipeline_parallel": "pp",
    "virtual_pipeline": "vpp",
    "context_parallel": "cp",
    "expert_parallel": "ep",
    "expert_tensor_parallel": "tp",
    "data_parallel": "dp",
    "zero_stage": "zero_stage_or_fsdp",
    "activation_recomputation": "recompute",
    "micro_batch_size": "micro_batch",
    "global_batch_size": "global_batch",
    "sequence_length": "seq_len",
}
"""The column that each field of a plan is read from, where it has another name."""


def plan_of(row: TrainingRow, stack: Stack) -> tuple[ParallelPlan, tuple[str, ...]]:
    """Return the plan of a row, and in words what was assumed.

    Raises
    ------
    ValueError
        If a cell is outside what the field allows, or leaves the number format open.
    """
    schedule, chunks, of_schedule = _schedule(row)
    stage, of_stage = _zero_stage(row)
    number_format, of_format = words.precision(row.precision, plain_gpu(row.gpu))
    plan = ParallelPlan.model_validate(
        {
            "tensor_parallel": row.tp,
            "pipeline_parallel": row.pp,
            "virtual_pipeline": chunks,
            "context_parallel": row.cp or 1,
            "expert_parallel": (row.ep or 1) if row.moe_experts else 1,
            "expert_tensor_parallel": _expert_tensor(row),
            "data_parallel": row.dp,
            "zero_stage": stage,
            "sequence_parallel": (row.tp or 1) > 1 and row.sequence_parallel == "y",
            "activation_recomputation": row.recompute,
            "recomputed_share": _recomputed_share(row, chunks=chunks),
            "schedule": schedule,
            "micro_batch_size": row.micro_batch,
            "global_batch_size": row.global_batch,
            "sequence_length": row.seq_len,
            "precision": number_format,
            "stack": stack,
        }
    )
    of_context = "cp = 1 assumed" if row.cp is None else ""
    return plan, tuple(text for text in (of_context, of_schedule, of_stage, of_format) if text)


def _schedule(row: TrainingRow) -> tuple[str, int, str]:
    """Return the schedule, its chunks per stage, and the words for one that the source only names in passing."""
    stages, chunks = row.pp or 1, row.vpp or 1
    if stages == 1:
        return "1f1b", 1, ""
    named = words.named_schedule(f"{row.notes} | {row.source}")
    if named:
        return named, 1, f"schedule {named} by the words of the source"
    return ("interleaved_1f1b", chunks, "") if chunks > 1 else ("1f1b", 1, "")


def _expert_tensor(row: TrainingRow) -> int:
    """Experts are cut like the dense layers unless the source says otherwise (Megatron Core before 0.9)."""
    if not row.moe_experts:
        return 1
    text = row.notes
    unfolded = "MCore reference table" in text or ("strategy" in text and "Folding" not in text)
    only_tensor = (row.ep or 1) == 1 and (row.tp or 1) > 1
    return (row.tp or 1) if unfolded or only_tensor else 1


def _recomputed_share(row: TrainingRow, *, chunks: int) -> float:
    """Share of the layers that run again where the recipe names their number in each stage (or chunk of it)."""
    named = re.search(r"\bfull(?: \w+)? x(\d+) layers", row.notes)
    if not named or row.recompute != "full":
        return 1.0
    return min(1.0, int(named[1]) * (row.pp or 1) * chunks / (row.layers or 1))


def _zero_stage(row: TrainingRow) -> tuple[int, str]:
    """As stated; in a pipeline TorchTitan gathers weights once per step, as stage 2 does (``reshard_after_forward``
    is off by default there: torchtitan/config, "default" policy)."""
    stage, assumed = words.zero_stage(row.zero_stage_or_fsdp)
    return (min(stage, 2) if row.id.startswith("titan") and (row.pp or 1) > 1 else stage), assumed
