"""The comparisons of operations as table, Markdown and JSON document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from colossus_sim.validation.operations_stats import Case

HEADER = ["case", "simulated", "expected", "z", "+- 95 %", "verdict", "source"]


def lines(cases: Sequence[Case]) -> list[list[str]]:
    """Return the cells of each case, in the order of HEADER."""
    return [
        [
            case.name + (f" [{case.unit}]" if case.unit else ""),
            f"{case.simulated:,.5g}" if case.simulated < 1e4 else f"{case.simulated:,.2f}",
            _expected(case),
            "" if math.isnan(case.z) or case.kind in ("bound", "range") else f"{case.z:+.2f}",
            f"{case.half_width:.2%}" if case.error > 0 else "",
            _verdict(case),
            case.source,
        ]
        for case in cases
    ]


def _expected(case: Case) -> str:
    text = f"{case.expected:,.5g}" if case.expected < 1e4 else f"{case.expected:,.2f}"
    if case.kind == "range":
        return f"{text} to {case.upper:,.5g}"
    return f">= {text}" if case.kind == "bound" else text


def _verdict(case: Case) -> str:
    if case.kind == "published":
        return f"{case.simulated / case.expected - 1:+.1%}"
    return "ok" if case.passed else "FAIL"


def verdict(cases: Sequence[Case]) -> str:
    """Return one line: how many hold."""
    judged = [case for case in cases if case.kind != "published"]
    return (
        f"{sum(case.passed for case in judged)} of {len(judged)} cases hold (|z| < 4 where there is chance)"
    )


def markdown(cases: Sequence[Case]) -> str:
    """Return the table as a page."""
    text = [
        "# Operations: simulated against closed forms and published figures",
        "",
        "Written by `colossus-sim validate operations --out benchmarks/validation/operations.md`. Two-sided "
        "comparisons fail beyond 4 standard errors; the half-width is that of the 95 % interval, relative to the "
        "expected figure. Without a verdict: the relative difference from a published figure.",
        "",
        "| " + " | ".join(HEADER) + " | note |",
        "|---|--:|--:|--:|--:|---|---|---|",
    ]
    text += [
        "| " + " | ".join([*row, case.note]) + " |" for row, case in zip(lines(cases), cases, strict=True)
    ]
    return "\n".join([*text, "", verdict(cases), ""])


def document(cases: Sequence[Case]) -> dict[str, Any]:
    """Return everything for JSON."""
    return {
        "schema_version": 1,
        "passed": all(case.passed for case in cases),
        "cases": [case.document() for case in cases],
    }
