"""Error tables of a calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from colossus_sim.validation.cases import Case
from colossus_sim.validation.metrics import SWEEPS, error_stats


class Fitted(Protocol):
    """The rows of a fit."""

    cases: Sequence[Case]
    sources: Sequence[str]
    resolved: Sequence[tuple[Any, ...]]


def scores(model: Fitted, errors: Mapping[int, float], held: Mapping[int, float]) -> dict[str, str]:
    """Return what to say about the fit of each stack, and of each device and format."""
    members: dict[str, list[int]] = {}
    for i, case in enumerate(model.cases):
        members.setdefault(case.stack_name, []).append(i)
        gpu = model.resolved[i][0].name
        precision = case.plan.precision
        for name in {precision, "*" if precision in ("bf16", "fp16") else precision}:
            members.setdefault(f"{gpu}/{name}", []).append(i)
    texts = {}
    for name, rows in members.items():
        stats = error_stats(errors[i] for i in rows if i in errors)
        if stats is None:
            continue
        texts[name] = f"{stats.count} rows, median error of step time {stats.median:.1%}"
        left = error_stats(held[i] for i in rows if i in held)
        if left is not None:
            texts[name] += f", {left.median:.1%} with the row's family left out"
    return texts


def table(model: Fitted, errors: Mapping[int, float], title: str) -> str:
    """Return the error table by kind, and by source."""
    kinds = {i: "moe" if model.cases[i].architecture.moe else "dense" for i in errors}
    groups = [
        ("dense, sweeps apart", [i for i in errors if kinds[i] == "dense" and model.sources[i] not in SWEEPS])
    ]
    groups.append(("moe, sweeps apart", [i for i in errors if kinds[i] == "moe"]))
    groups += [(s, [i for i in errors if model.sources[i] == s]) for s in sorted(set(model.sources))]
    lines = [title, f"{'group':24}{'rows':>6}{'median':>9}{'mean':>9}{'p90':>9}{'bias':>9}"]
    for name, members in groups:
        stats = error_stats(errors[i] for i in members)
        if stats is not None:
            figures = f"{stats.median:9.1%}{stats.mean:9.1%}{stats.p90:9.1%}{stats.bias:+9.1%}"
            lines.append(f"{name:24}{stats.count:6}{figures}")
    return "\n".join(lines)
