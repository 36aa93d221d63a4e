"""Plays the shipped scenarios once per test session and reduces their summaries to what is pinned."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from colossus_sim import load_scenario, simulate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCENARIOS = tuple(sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml")))
DIGITS = 12
"""Significant digits that are written; `TOLERANCE` of them are compared."""
TOLERANCE = 1e-9
"""Largest relative difference of two floats that are the same."""

JOB_FIELDS = (
    "start_date", "finish_date", "finished", "target_date", "slip_days", "slip_causes", "wall_clock_days",
    "queue_wait_days", "gpu_days", "tokens", "steps", "mfu", "mfu_overall", "mfu_modelled", "goodput", "ettr",
    "interruptions", "saves", "lost_work_days", "energy_MWh", "predicted_loss",
)  # fmt: skip
PHASE_FIELDS = ("start", "end", "units", "units_done", "unit_time_s", "tokens_done", "interruptions")


@cache
def played(name: str) -> dict[str, Any]:
    """Return the summary of a shipped scenario in its central case with its own seed."""
    return simulate(load_scenario(str(ROOT / "scenarios" / f"{name}.yaml"))).summary()


def essentials(summary: dict[str, Any]) -> dict[str, Any]:
    """Return what is pinned of a summary."""
    jobs = {}
    for job in summary["jobs"]:
        kept = {field: job[field] for field in JOB_FIELDS}
        phases = {phase["name"]: {key: phase[key] for key in PHASE_FIELDS} for phase in job["phases"]}
        jobs[job["name"]] = {**kept, "phases": phases}
    pinned = {
        "scenario": summary["scenario"],
        "seed": summary["seed"],
        "case": summary["case"],
        "end_date": summary["end_date"],
        "cluster": summary["cluster"],
        "jobs": jobs,
    }
    rounded: dict[str, Any] = _rounded(pinned)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    return value


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return the places where two sets of essentials differ: floats beyond `TOLERANCE`, all else exactly."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = [f"{where}.{key}: only in one of them" for key in sorted(old.keys() ^ new.keys())]
        for key in old:
            if key in new:
                found += differences(old[key], new[key], f"{where}.{key}" if where else key)
        return found
    numbers = [
        value for value in (old, new) if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) == 2 and any(isinstance(value, float) for value in numbers):
        same = abs(old - new) <= TOLERANCE * max(abs(old), abs(new), 1e-6)
    else:
        same = bool(old == new)
    return [] if same else [f"{where}: {old!r} -> {new!r}"]
