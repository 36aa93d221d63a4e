"""The blocks of README.md that hold results, made from run summaries and from benchmarks/validation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VALIDATION = Path(__file__).resolve().parents[1] / "benchmarks" / "validation"


def flagship_block(summary: Mapping[str, Any]) -> str:
    """Return what `colossus-sim run` prints for the flagship scenario."""
    from colossus_sim.results.report import short_report

    return f"```\n{short_report(summary).rstrip()}\n```\n"


def reality_block(summary: Mapping[str, Any]) -> str:
    """Return the comparison of the Llama 3 scenario with its published figures."""
    lines = ["| metric | published | simulated | difference | what it counts |", "| --- " * 5 + "|"]
    for row in summary["published"]:
        sign = {"at_least": ">= ", "at_most": "<= "}.get(row["relation"], "")
        error = "" if row["relative_error"] is None else f"{row['relative_error']:+.1%}"
        held = {True: "holds", False: "does not hold", None: error}[row["holds"]]
        published, simulated = f"{sign}{row['published']:.4g}", f"{row['simulated']:.4g}"
        lines.append(
            f"| {row['metric']} | {published} | {simulated} | {held} | {' '.join(row['note'].split())} |"
        )
    return "\n".join(lines) + "\n"


def validation_block() -> str:
    """Return the errors of the training-step model, with those of rows whose family was left out of the fit.

    Read from the tables in benchmarks/validation, which a test holds against the model.
    """
    training = (VALIDATION / "training.md").read_text("utf-8")
    held_out = (VALIDATION / "cross_validation.md").read_text("utf-8")
    lines = [
        "| rows | count | median error | mean | 90th percentile | bias | median, constant MFU "
        "| family left out: median | 90th percentile |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for line in training.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) < 8 or cells[0] in ("group", "---") or ":" in cells[0] or not cells[1]:
            continue
        left = re.search(
            rf"^{re.escape(cells[0])}  +\d+ +([\d.]+)% +[\d.]+% +([\d.]+)%", held_out, re.MULTILINE
        )
        lines.append(
            f"| {' | '.join(cells[:7])} | {' | '.join(f'{e} %' for e in left.groups()) if left else ' | '} |"
        )
    found = re.search(r"(\d+) left out", training)
    missing = found[1] if found else "0"
    return (
        "\n".join(lines)
        + f"\n\n{missing} rows are left out because a needed input is not published.\n{_memory(training)}"
    )


def _memory(training: str) -> str:
    """Return a sentence on peak memory from the first row of the table of training steps."""
    first = next(line for line in training.splitlines() if line.startswith("| all |"))
    rows, median, feasible, infeasible = (cell.strip() for cell in first.strip("| ").split("|")[-4:])
    (ran, of_ran), (failed, of_failed) = (text.split("/") for text in (feasible, infeasible))
    return (
        f"Peak memory: median error {median} of {rows} rows; {ran} of {of_ran} plans that ran are called feasible, "
        f"{failed} of {of_failed} that ran out of memory infeasible.\n"
    )


def number_blocks() -> dict[str, str]:
    """Return the blocks by name; simulates the two scenarios that they show."""
    from colossus_sim import load_scenario, simulate

    scenarios = VALIDATION.parents[1] / "scenarios"
    flagship = simulate(load_scenario(str(scenarios / "colossus_roadmap.yaml"))).summary()
    llama = simulate(load_scenario(str(scenarios / "llama3_405b.yaml"))).summary()
    return {
        "flagship": flagship_block(flagship),
        "reality": reality_block(llama),
        "validation": validation_block(),
    }
