"""Step estimates of a run as rows, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from colossus_sim.training.estimate import StepEstimate

Estimates = Mapping[str, Any]
"""Step estimate (or None) of each ``job/phase``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEstimate:
    """What a run folder keeps of a step estimate: its time and exact breakdown. [s]"""

    step_time: float
    parts: Mapping[str, float]


def _estimates(estimates: Estimates) -> Iterator[tuple[dict[str, Any], StepEstimate]]:
    for key, estimate in estimates.items():
        if estimate is not None:
            job, _, phase = key.partition("/")
            yield {"job": job, "phase": phase}, estimate


def step_time_rows(estimates: Estimates) -> list[dict[str, Any]]:
    """Return one row per part of each training step."""
    return [
        {**names, "part": part, "time_ms": seconds * 1e3, "share": seconds / estimate.step_time}
        for names, estimate in _estimates(estimates)
        for part, seconds in estimate.parts.items()
    ]


def memory_rows(estimates: Estimates) -> list[dict[str, Any]]:
    """Return one row per pipeline stage of each training step."""
    parts = ("weights", "gradients", "optimizer", "activations", "buffers", "overhead", "total")
    return [
        {
            **names,
            "stage": stage.stage,
            **{f"{part}_GB": getattr(stage, part) / 1e9 for part in parts},
            "capacity_GB": estimate.memory_capacity / 1e9,
        }
        for names, estimate in _estimates(estimates)
        for stage in estimate.memory
    ]


def communication_rows(estimates: Estimates) -> list[dict[str, Any]]:
    """Return one row per collective of each training step."""
    return [
        {
            **names,
            "axis": item.axis,
            "operation": item.operation,
            "algorithm": item.algorithm,
            "group_size": item.group_size,
            "level": item.level,
            "message_MB": item.message_bytes / 1e6,
            "calls_per_step": item.calls,
            "time_ms": item.time * 1e3,
            "exposed_ms": item.exposed * 1e3,
            "busbw_GBps": item.busbw / 1e9,
        }
        for names, estimate in _estimates(estimates)
        for item in estimate.communication
    ]


def stored_estimates(step_time: pd.DataFrame) -> dict[str, StoredEstimate]:
    """Return what the table ``step_time`` keeps of each estimate."""
    parts: dict[str, dict[str, float]] = {}
    for row in step_time.to_dict("records"):
        parts.setdefault(f"{row['job']}/{row['phase']}", {})[row["part"]] = row["time_ms"] / 1e3
    return {key: StoredEstimate(step_time=sum(value.values()), parts=value) for key, value in parts.items()}
