"""One row per job: dates, slip, metrics."""

from __future__ import annotations

import math
from typing import Any

from colossus_sim.results.ledger import JobLedger, Ledger
from colossus_sim.results.loss import LAW
from colossus_sim.results.metrics import has_mfu, job_metrics
from colossus_sim.units import DAY, format_instant, parse_instant

_LAST_DATE = parse_instant("9999-12-31")


def job_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the rows of the table ``jobs``."""
    return [_job_row(job) for job in ledger.jobs.values()]


def _job_row(job: JobLedger) -> dict[str, Any]:
    starts = [row.start for row in job.phases if not math.isnan(row.start)]
    return {
        "job": job.name,
        "title": job.spec.title or job.name,
        "model": job.spec.model.title or job.spec.model.name,
        "site": job.spec.site,
        "gpus": job.spec.gpus,
        "priority": job.spec.priority,
        "submit_s": job.slip.submit,
        "start_s": min(starts, default=math.nan),
        "finish_s": job.finish,
        "finished": not math.isnan(job.finish),
        "tokens_planned": math.fsum(row.tokens for row in job.phases),
        **_slip_columns(job),
        **_peak_columns(job),
        **job_metrics(job),
        "predicted_loss_law": "" if job.spec.model.kind != "transformer" else LAW.name,
    }


def _slip_columns(job: JobLedger) -> dict[str, Any]:
    slip, target = job.slip, job.spec.target
    unfinished = not slip.finished
    # A table holds moments that there are: an end that never comes has none, but the moment that is its reason.
    ahead = unfinished and math.isfinite(slip.projected_end)
    return {
        "target_s": slip.target,
        "target_means": "" if target is None else target.means or target.phase or "end of the job",
        "slip_days": slip.slip / DAY,
        "slip_is_lower_bound": unfinished and target is not None,
        "projected_finish_date": _date(job, slip.projected_end) if ahead else "",
        "projected_slip_days": slip.projected_slip / DAY if ahead else math.nan,
        "gpus_gone_date": _date(job, slip.gpus_gone),
    }


def _date(job: JobLedger, seconds: float) -> str:
    """Return the date; empty where there is none, also beyond what calendars can write."""
    moment = job.start + seconds
    return format_instant(moment, seconds=True) if moment < _LAST_DATE else ""


def _peak_columns(job: JobLedger) -> dict[str, Any]:
    row = next((row for row in job.phases if has_mfu(row)), None)
    return {
        "mfu_peak_TFLOPs": math.nan if row is None else row.peak / 1e12,
        "mfu_precision": "" if row is None else row.precision,
    }
