"""What ``forecast.json`` says, in words for the terminal, the report and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colossus_sim.results.words import never

NOT_KNOWN = "\u2013"
"""Shown for a chance that nobody knows."""
NO_DRIVER = "no assumption that can be told from chance"
NOT_TOLD = "not told from chance"
"""Said of an assumption whose share of the variance chance alone may give."""
LEAST_RUNS = 10
"""Runs below which a tenth of them is less than one run, so that P10 and P90 are the extremes."""


def chance_text(job: Mapping[str, Any]) -> str:
    """Return the chance of a job to meet its target, with its interval; empty without a target."""
    share = job["probability_to_meet_target"]
    if share is None and not job["target_not_known"]:
        return ""
    low, high = job["probability_interval"]
    return f"{NOT_KNOWN if share is None else f'{share:.0%}'} ({low:.0%} to {high:.0%})"


def cautions(document: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the dates has to know: projected ends, targets beyond the horizon, few runs."""
    runs, found = document["replicas"], []
    if any(job["finished_before_horizon"] + job.get("never_ends", 0) < runs for job in document["jobs"]):
        found.append(
            ">=: rests on runs that were not done at the horizon, with their end if nothing goes wrong any more"
        )
    for job in document["jobs"]:
        if job.get("never_ends"):
            since = never(job["gpus_gone_date"]) or "never: too few GPUs there"
            found.append(
                f"{since} for {job['name']}, which does not end in {job['never_ends']} of {runs} runs"
            )
        if job["target_not_known"]:
            found.append(
                f"{NOT_KNOWN}: {job['name']} was not done at the horizon in {job['target_not_known']} of {runs} "
                f"runs, and its target, {job['target_date']}, lies after that; in brackets what the share can be; "
                "simulate a longer horizon"
            )
    if 0 < runs < LEAST_RUNS:
        found.append(
            f"{runs} run{'s' if runs > 1 else ''} only: P10, P80 and P90 of fewer than {LEAST_RUNS} are little "
            "more than the earliest and the latest of them; play more with --replicas"
        )
    return found
