"""What the interactive Gantt chart shows, as plain data: jobs, failures, levels, and a story per job."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from colossus_sim.html.story import job_story
from colossus_sim.plots.gantt import shown_sites, site_title
from colossus_sim.plots.gantt_rows import slip_label
from colossus_sim.plots.header import headline, run_span
from colossus_sim.plots.roadmap import JobRow, PhaseBar, job_rows, span, without_short_waits
from colossus_sim.plots.series import Levels, end_of, levels, start_of
from colossus_sim.plots.strips import LAYERS, layers
from colossus_sim.plots.style import CAUSE_COLOURS, FAMILY_COLOURS, SHORT_WORDS, STATE_LABELS, WAIT_HATCHES
from colossus_sim.units import DAY

BINS = 500
"""Points of the curves of GPUs and power."""
SHORTEST = 1.0 / 24.0
"""Waits shorter than this are not drawn; failure marks stand for them. [days]"""


def chart_data(result: Any) -> dict[str, Any]:
    """Return the data of the chart; moments in ms since 1970, GPUs as numbers, power in MW."""
    horizon = end_of(result)
    begin = start_of(result.tables) / DAY
    rows = without_short_waits(job_rows(result, horizon=horizon), SHORTEST)
    left, right = span(rows, begin=begin, horizon=horizon)
    edges = np.linspace(begin, max(horizon, begin + 1e-6), BINS + 1)
    sites = shown_sites(result)
    named = {site_title(result, site): levels(result, edges, site=site) for site in sites}
    every = levels(result, edges)
    summary = result.summary()
    jobs = {job["name"]: job for job in summary["jobs"]}
    return {
        "title": summary["title"],
        "headline": headline(result, rows),
        "simulated": run_span(result),
        "range": [ms(left), ms(right)],
        "horizon": ms(horizon),
        "jobs": [_job(result, row, jobs[row.name]) for row in rows],
        "families": _families(rows),
        "waits": {name: STATE_LABELS[name] for name in WAIT_HATCHES},
        "colours": {"families": dict(FAMILY_COLOURS), "causes": {k: v[0] for k, v in CAUSE_COLOURS.items()}},
        "times": [ms(float(moment)) for moment in every.centres],
        "layers": list(LAYERS),
        "sites": [_site(name, shown) for name, shown in (named or {"Cluster": every}).items()],
        "power": _rounded(every.power, 3),
        "power_limit": every.power_limit,
    }


def ms(days: float) -> float | None:
    """Return days since 1970 as ms; None where there is no such moment."""
    return None if not math.isfinite(days) else round(days * DAY) * 1000


def _rounded(values: Sequence[float] | Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _families(rows: Sequence[JobRow]) -> list[dict[str, str]]:
    used = {phase.family for row in rows for phase in row.phases}
    return [
        {"name": name, "short": SHORT_WORDS[name], "colour": colour}
        for name, colour in FAMILY_COLOURS.items()
        if name in used
    ]


def _site(name: str, shown: Levels) -> dict[str, Any]:
    return {
        "name": name,
        "installed": _rounded(shown.installed, 0),
        "layers": [_rounded(values, 0) for values in layers(shown)],
    }


def _job(result: Any, row: JobRow, job: Mapping[str, Any]) -> dict[str, Any]:
    known = {phase["name"]: phase for phase in job["phases"]}
    return {
        "name": row.name,
        "title": row.title,
        "caption": row.caption,
        "site": job["site"],
        "status": _status(row),
        "slip": slip_label(row),
        "verdict": row.verdict,
        "submit": ms(row.submit),
        "finish": ms(row.finish),
        "projected": ms(row.projected),
        "target": ms(row.target),
        "target_end": ms(row.target_end),
        "target_means": job["target_means"] or "",
        "observed": [[ms(first), ms(last)] for first, last in row.observed],
        "gates": [ms(float(gate)) for gate in row.gates],
        "failures": [ms(float(moment)) for moment in np.sort(row.failures)],
        "lanes": row.lanes,
        "phases": [_phase(phase, known.get(phase.name, {})) for phase in row.phases],
        "story": job_story(result, job),
    }


def _status(row: JobRow) -> str:
    if math.isnan(row.finish):
        return "unfinished"
    if math.isnan(row.slip_days):
        return "no target"
    return "late" if row.late else "on time"


def _phase(phase: PhaseBar, known: Mapping[str, Any]) -> dict[str, Any]:
    facts = [
        f"{known['gpus']:,} GPUs" if known else "",
        f"{known['wall_clock_days']:.1f} days" if known.get("wall_clock_days") is not None else "",
        f"MFU {known['mfu_modelled']:.1%}" if known.get("mfu_modelled") is not None else "",
        f"{known['interruptions']:,} stops" if known.get("interruptions") else "",
        "critical path" if known.get("on_critical_path") else "",
    ]
    return {
        "labels": list(phase.labels),
        "family": phase.family,
        "start": ms(phase.start),
        "end": ms(phase.end),
        "lane": phase.lane,
        "waits": [[state, ms(first), ms(last)] for state, first, last in phase.waits],
        "slowed": [[ms(first), ms(last), round(share, 4)] for first, last, share in phase.slowed],
        "facts": [fact for fact in facts if fact and not pd.isna(fact)],
    }
