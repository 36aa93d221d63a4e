"""The story of one job: what happened, why it ended when it did, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from colossus_sim.results.job_words import finish_text, job_sentence
from colossus_sim.results.words import day, number, percent

MOST_EVENTS = 80
"""Events that are listed one by one; failures, repairs and saves are counted instead."""
COUNTED = ("failure", "repair", "save")


def job_story(result: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return sentence, facts, slip by cause [days], failures by class, events, and assumptions of a job."""
    events = result.tables["events"]
    own = events[events["job"] == job["name"]]
    return {
        "sentence": job_sentence(job),
        "facts": _facts(job),
        "causes": _causes(job),
        "failures": _failures(own),
        "events": _events(own),
        "assumptions": _assumptions(result.tables["assumptions"], job["name"]),
    }


def _facts(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("GPUs", f"{job['gpus']:,}"),
        ("Model", str(job["model"])),
        ("Start", day(job["start_date"])),
        ("Finish", finish_text(job)),
        ("Target", day(job["target_date"])),
        ("Wall-clock", f"{number(job['wall_clock_days'], 1)} d"),
        ("Queued", f"{number(job['queue_wait_days'], 1)} d"),
        ("MFU", percent(job["mfu"])),
        ("Goodput", percent(job["goodput"])),
        ("ETTR", percent(job["ettr"])),
        ("Stops", number(job["interruptions"], 0)),
        ("Energy", f"{number(job['energy_MWh'], 0)} MWh"),
    ]


def _causes(job: Mapping[str, Any]) -> list[tuple[str, float]]:
    groups = job["slip_groups"] or {}
    return [(name, round(days, 3)) for name, days in groups.items() if abs(days) >= 0.005]


def _failures(events: pd.DataFrame) -> list[tuple[str, int]]:
    subjects = events["subject"][events["kind"] == "failure"].fillna("").astype(str)
    counts = subjects.value_counts()
    return sorted(
        ((str(name), int(count)) for name, count in counts.items()), key=lambda row: (-row[1], row[0])
    )


def _events(events: pd.DataFrame) -> list[tuple[str, str, str]]:
    told = events[~events["kind"].isin(COUNTED)]
    rows = []
    for row in told.head(MOST_EVENTS).to_dict("records"):
        words = [
            str(row[name]) for name in ("phase", "subject", "note") if not pd.isna(row[name]) and row[name]
        ]
        rows.append((str(row["time_date"])[:16].replace("T", " "), str(row["kind"]), ", ".join(words)))
    if len(told) > MOST_EVENTS:
        rows.append(("", "", f"and {len(told) - MOST_EVENTS} more in events.csv"))
    return rows


def _assumptions(table: pd.DataFrame, name: str) -> list[tuple[str, str, str]]:
    prefix = f"jobs.{name}."
    paths = table["path"].astype(str)
    own = table[paths.str.startswith(prefix)]
    return [
        (str(row["path"])[len(prefix) :], str(row["value"]), str(row["source"]))
        for row in own.to_dict("records")
    ]
