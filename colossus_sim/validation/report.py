"""Validation results as JSON documents and text."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from colossus_sim.validation.campaigns import CampaignOutcome
from colossus_sim.validation.cases import LeftOut
from colossus_sim.validation.collectives import CollectiveGroup, CollectivePrediction, CollectiveRow
from colossus_sim.validation.metrics import ErrorStats, Group, Prediction, quantile

SCHEMA_VERSION = 1


def training_document(
    predictions: Sequence[Prediction], left_out: Sequence[LeftOut], groups: Sequence[Group]
) -> dict[str, Any]:
    """Return rows, groups and the rows left out with their reasons. Times in s, memory in the row's unit."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": [_row(item) for item in predictions],
        "groups": [group_document(group) for group in groups],
        "left_out": [{"id": item.row.id, "line": item.row.line, "reason": item.reason} for item in left_out],
    }


def _row(item: Prediction) -> dict[str, Any]:
    return {
        "id": item.id,
        "line": item.line,
        "predicted_s": item.predicted_s,
        "published_s": item.published_s,
        "error": item.error,
        "predicted_mem_gb": item.predicted_mem,
        "published_mem_gb": item.published_mem,
        "mem_error": item.mem_error,
        "mem_unit": item.mem_unit,
        "predicted_peak_mem_gb": item.predicted_peak_mem,
        "capacity_gb": item.capacity_mem,
        "feasible": item.fits,
        "oom": item.oom,
        "source": item.source,
        "gpu": item.gpu,
        "n_gpus": item.n_gpus,
        "kind": item.kind,
        "precision": item.precision,
        "stack": item.stack,
        "fully_specified": item.specified,
        "assumptions": list(item.assumptions),
        "parts_s": dict(item.parts),
    }


def group_document(group: Group) -> dict[str, Any]:
    """Return one group as plain data."""
    return {
        "by": group.by,
        "name": group.name,
        "step_time": _plain(group.time),
        "constant_efficiency": _plain(group.naive),
        "memory": _plain(group.memory),
        "feasibility": None
        if group.feasibility is None
        else {**dataclasses.asdict(group.feasibility), "share_right": group.feasibility.share_right},
    }


def _plain(record: Any) -> dict[str, Any] | None:
    return None if record is None else dataclasses.asdict(record)


def training_markdown(groups: Sequence[Group], worst: Sequence[Prediction]) -> str:
    """Return the table of groups, with the naive line beside each, and the worst rows, as Markdown."""
    lines = [
        "| group | rows | median | mean | p90 | bias | constant efficiency: median | mean "
        "| memory: rows | median | ran: called feasible | out of memory: called infeasible |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for group in groups:
        time = _percents(group.time, ("median", "mean", "p90", "bias"))
        naive = _percents(group.naive, ("median", "mean"))
        memory = [str(group.memory.count) if group.memory else "", *_percents(group.memory, ("median",))]
        right = group.feasibility.shares if group.feasibility else ("", "")
        name = group.name if group.by == "fixed" else f"{group.by}: {group.name}"
        count = str(group.time.count) if group.time else ""
        lines.append("| " + " | ".join([name, count, *time, *naive, *memory, *right]) + " |")
    lines += ["", "| worst rows | GPUs | published | predicted | error |", "|---|--:|--:|--:|--:|"]
    for row in worst:
        size = f"{row.n_gpus} {row.gpu}"
        times = f"{row.published_s:.4g} s | {row.predicted_s:.4g} s"
        lines.append(f"| {row.id} | {size} | {times} | {100 * (row.error or 0):+.0f} % |")
    return "\n".join(lines) + "\n"


def _percents(stats: ErrorStats | None, names: Sequence[str]) -> list[str]:
    if stats is None:
        return [""] * len(names)
    return [
        f"{100 * getattr(stats, name):+.1f} %" if name == "bias" else f"{100 * getattr(stats, name):.1f} %"
        for name in names
    ]


def left_out_text(left_out: Sequence[LeftOut], *, verbose: bool) -> str:
    """Return why rows were left out: by reason with counts, or row by row."""
    return reasons_text([(_place(item), item.reason) for item in left_out], verbose=verbose)


def reasons_text(left_out: Sequence[tuple[str, str]], *, verbose: bool) -> str:
    """Return the same of names and reasons."""
    if verbose:
        return "\n".join(f"left out {name}: {reason}" for name, reason in left_out)
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out:
        reasons.setdefault(reason, []).append(name)
    lines = [f"{len(left_out)} rows left out (-v names each):"]
    for reason, ids in sorted(reasons.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        lines.append(f"  {len(ids):4d}  {reason} ({ids[0]}{', ...' if len(ids) > 1 else ''})")
    return "\n".join(lines)


def _place(item: LeftOut) -> str:
    return f"{item.row.id} on line {item.row.line}".lstrip() if item.row.line else item.row.id


def assumptions_text(predictions: Sequence[Prediction], limit: int = 12) -> str:
    """Return how many predictions rest on something assumed, and the most frequent of it with counts."""
    resting = [item for item in predictions if item.assumptions]
    if not resting:
        return "no prediction rests on an assumption"
    counts = Counter(words for item in resting for words in dict.fromkeys(item.assumptions))
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    lines = [f"{len(resting)} of {len(predictions)} predictions rest on assumptions (--json names each):"]
    lines += [f"  {count:4d}  {words}" for words, count in ordered[:limit]]
    if len(ordered) > limit:
        lines.append(f"        and {len(ordered) - limit} others")
    return "\n".join(lines)


def collectives_document(
    predictions: Sequence[CollectivePrediction],
    left_out: Sequence[tuple[CollectiveRow, str]],
    groups: Sequence[CollectiveGroup],
) -> dict[str, Any]:
    """Return rows, groups and the rows left out with their reasons."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": [
            {
                "id": item.row.name,
                "system": item.row.system,
                "collective": item.row.collective,
                "n_gpus": item.row.n_gpus,
                "message_bytes": item.row.message_bytes,
                "grade": item.row.grade,
                "in_node": item.in_node,
                "predicted_s": item.predicted,
                "published_s": item.row.time,
                "error": item.error,
            }
            for item in predictions
        ],
        "groups": [dataclasses.asdict(group) for group in groups],
        "left_out": [{"id": row.name, "reason": reason} for row, reason in left_out],
    }


def campaigns_document(outcomes: Sequence[CampaignOutcome]) -> dict[str, Any]:
    """Return every campaign with its error, and the median absolute error."""
    errors = [abs(item.error) for item in outcomes if item.error is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": [{**dataclasses.asdict(item), "error": item.error} for item in outcomes],
        "count": len(errors),
        "median": quantile(errors, 0.5) if errors else None,
    }
