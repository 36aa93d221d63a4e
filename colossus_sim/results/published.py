"""Simulated metrics against published figures of the real run. The simulation never sees the latter."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.results.ledger import JobLedger, Ledger
from colossus_sim.results.metrics import METRICS
from colossus_sim.specs.job import Published


def published_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Return one row per published figure, in the order of the scenario."""
    return [_row(job, figure) for job in ledger.jobs.values() for figure in job.spec.published]


def _row(job: JobLedger, figure: Published) -> dict[str, Any]:
    metric = METRICS.get(figure.metric)
    simulated = math.nan if metric is None or metric.of_job is None else metric.of_job(job)
    return {
        "job": job.name,
        "metric": figure.metric,
        "unit": "" if metric is None else metric.unit,
        "relation": figure.relation,
        "published": figure.value,
        "simulated": simulated,
        "relative_error": (simulated - figure.value) / figure.value if figure.value else math.nan,
        "holds": holds(simulated, figure),
        "note": figure.note,
        "source": figure.source,
    }


def holds(simulated: float, figure: Published) -> bool | None:
    """Return whether a published bound holds; None for a value, which is only compared, or without a result."""
    if figure.relation == "equals" or math.isnan(simulated):
        return None
    return simulated >= figure.value if figure.relation == "at_least" else simulated <= figure.value
