"""Sections that hold a run against what was reported or published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colossus_sim.results.document import Section, Table
from colossus_sim.results.words import NONE, day, number, percent

Data = Mapping[str, Any]


def backtest_section(summary: Data) -> Section:
    """Compare simulated ends with reported ones."""
    rows = tuple(
        (
            row["job"],
            row["phase"] or "whole job",
            _reported_range(row),
            "not reached" if row["simulated"] is None else day(row["simulated"]),
            NONE if row["error_days"] is None else _error_words(row["error_days"]),
            "; ".join(text for text in (row["note"], row["source"]) if text),
        )
        for row in summary["backtest"]
    )
    header = ("job", "end of", "reported", "simulated", "difference", "what was reported")
    return Section(title="Back-test against reported outcomes", table=Table(header=header, rows=rows))


def _reported_range(row: Data) -> str:
    if row["observed_latest"] is None:
        return f"not before {row['observed_earliest']}"
    return f"{row['observed_earliest']} to {row['observed_latest']}"


def _error_words(days: float) -> str:
    if days == 0:
        return "inside"
    return f"{number(abs(days), 1)} d {'late' if days > 0 else 'early'}"


def published_section(summary: Data) -> Section:
    """Compare simulated metrics with published figures of the real run."""
    rows = tuple(
        (
            row["job"],
            row["metric"],
            _RELATION_WORDS[row["relation"]] + _metric_text(row["published"], row["unit"]),
            NONE if row["simulated"] is None else _metric_text(row["simulated"], row["unit"]),
            NONE if row["relative_error"] is None else f"{100 * row['relative_error']:+.1f} %",
            {None: NONE, True: "yes", False: "no"}[row["holds"]],
            "; ".join(text for text in (row["note"], row["source"]) if text),
        )
        for row in summary["published"]
    )
    header = ("job", "metric", "published", "simulated", "difference", "bound holds", "what was published")
    return Section(title="Against published figures", table=Table(header=header, rows=rows, right=(2, 3, 4)))


_RELATION_WORDS = {"equals": "", "at_least": ">= ", "at_most": "<= "}


def _metric_text(value: float, unit: str) -> str:
    return percent(value) if unit == "ratio" else number(value, 0 if unit == "count" else 2)
