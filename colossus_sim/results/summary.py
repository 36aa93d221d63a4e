"""``summary.json``: built from the tables, checked against its schema, the same bytes on every run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from colossus_sim.records import GPU_STATES
from colossus_sim.results.backtest import backtest_rows
from colossus_sim.results.ledger import Ledger
from colossus_sim.results.metrics import METRICS, cluster_metrics, failures_by_kind
from colossus_sim.results.published import published_rows
from colossus_sim.results.schema import SCHEMA_VERSION, Summary
from colossus_sim.units import DAY, format_instant
from colossus_sim.version import MODEL_VERSION

_PLAIN = {field for field in METRICS if not field.startswith("predicted_loss")}


def build_summary(ledger: Ledger, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the summary as plain data, NaN replaced by None.

    Raises
    ------
    pydantic.ValidationError
        If it does not match its own schema, which is a bug.
    """
    run, scenario = ledger.run, ledger.run.scenario
    document = {
        "schema_version": SCHEMA_VERSION,
        "scenario": scenario.name,
        "title": scenario.title,
        "question": scenario.question,
        "seed": run.seed,
        "case": run.case,
        "model_version": MODEL_VERSION,
        "start_date": format_instant(scenario.start, seconds=True),
        "end_date": format_instant(scenario.start + run.end_time, seconds=True),
        "cluster": _cluster(ledger),
        "jobs": [_job(row, ledger, tables) for row in tables["jobs"].to_dict("records")],
        "backtest": backtest_rows(ledger),
        "published": published_rows(ledger),
        "warnings": list(run.warnings),
    }
    return Summary.model_validate(plain(document)).model_dump(mode="json")


def plain(value: Any) -> Any:
    """Return nested data with NaN and infinity as None and numpy numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        # Fifteen digits hold every value that people read and keep sums exact to far below a second.
        return float(f"{value:.15g}") if math.isfinite(value) else None
    return value


def dump_json(document: Any) -> str:
    """Return JSON text with sorted keys, two spaces and a final newline; NaN is refused."""
    return json.dumps(plain(document), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _cluster(ledger: Ledger) -> dict[str, Any]:
    capacity = ledger.total_capacity
    shares = {state: ledger.state(state) / capacity for state in GPU_STATES} if capacity > 0.0 else {}
    return {
        "simulated_days": ledger.run.end_time / DAY,
        **cluster_metrics(ledger),
        "failures_by_kind": failures_by_kind(ledger),
        "gpu_time_shares": shares,
    }


def _job(row: Mapping[Any, Any], ledger: Ledger, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    name = row["job"]
    slip = ledger.jobs[name].slip
    return {
        "name": name,
        **{key: row[key] for key in ("title", "model", "site", "gpus", "finished", "target_means")},
        **{key: row[key] or None for key in ("start_date", "finish_date", "target_date")},
        "submit_date": row["submit_date"],
        **{key: row[key] or None for key in ("projected_finish_date", "gpus_gone_date")},
        **{key: row[key] for key in ("slip_days", "slip_is_lower_bound", "projected_slip_days")},
        "slip_causes": {cause: seconds / DAY for cause, seconds in slip.causes.items()},
        "slip_groups": {group: seconds / DAY for group, seconds in slip.groups.items()},
        "tokens_planned": row["tokens_planned"],
        **{key: row[key] for key in METRICS if key in _PLAIN},
        "mfu_peak": _peak(row),
        "predicted_loss": _loss(row),
        "phases": [_phase(phase) for phase in tables["phases"].to_dict("records") if phase["job"] == name],
    }


def _peak(row: Mapping[Any, Any]) -> str:
    if math.isnan(row["mfu_peak_TFLOPs"]):
        return ""
    return f"{row['mfu_peak_TFLOPs']:g} TFLOP/s dense {row['mfu_precision']}"


def _loss(row: Mapping[Any, Any]) -> dict[str, Any] | None:
    if math.isnan(row["predicted_loss"]):
        return None
    return {
        "low": row["predicted_loss_low"],
        "central": row["predicted_loss"],
        "high": row["predicted_loss_high"],
        "law": row["predicted_loss_law"],
    }


def _phase(row: Mapping[Any, Any]) -> dict[str, Any]:
    same = (
        "kind", "finished", "on_critical_path", "wall_clock_days", "units", "units_done", "unit_time_s",
        "tokens", "tokens_done", "mfu_modelled", "interruptions",
    )  # fmt: skip
    return {
        "name": row["phase"],
        "start": row["start_date"] or None,
        "end": row["end_date"] or None,
        "gpus": row["gpus_wanted"],
        **{key: row[key] for key in same},
    }
