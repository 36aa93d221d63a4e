"""Simulated ends against reported ones. Reports are never used by the simulation."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.results.ledger import JobLedger, Ledger
from colossus_sim.specs.job import Observation
from colossus_sim.units import DAY, format_instant


def backtest_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Return one row per reported outcome, in the order of the scenario."""
    return [_row(job, observed) for job in ledger.jobs.values() for observed in job.spec.observed]


def _row(job: JobLedger, observed: Observation) -> dict[str, Any]:
    end = _simulated_end(job, observed.phase)
    return {
        "job": job.name,
        "phase": observed.phase,
        "observed_earliest": format_instant(observed.earliest),
        "observed_latest": None if observed.latest is None else format_instant(observed.latest),
        "simulated": None if math.isnan(end) else format_instant(end, seconds=True),
        "error_days": error_days(end, observed),
        "note": observed.note,
        "source": observed.source,
    }


def _simulated_end(job: JobLedger, phase: str) -> float:
    if not phase:
        return job.start + job.finish
    return next((job.start + row.end for row in job.phases if row.phase == phase), math.nan)


def error_days(end: float, observed: Observation) -> float:
    """Return how far `end` [POSIX s] lies outside the reported range, whose last day counts in full. [days]

    A range without a last day is open: an end after `earliest` lies inside it.
    """
    if math.isnan(end):
        return math.nan
    latest = math.inf if observed.latest is None else observed.latest + DAY
    return (min(0.0, end - observed.earliest) + max(0.0, end - latest)) / DAY
