"""Writes benchmarks/validation/{training,collectives,campaigns}.md and, with --record, the errors the tests hold.

python benchmarks/validation_tables.py [--record]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.validation import metrics, report  # noqa: E402
from colossus_sim.validation.campaigns import predict_campaigns, read_campaigns  # noqa: E402
from colossus_sim.validation.collective_model import CollectivePredictor  # noqa: E402
from colossus_sim.validation.collectives import collective_groups, read_collective_rows  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402
from colossus_sim.validation.predict import Inputs, Predictor  # noqa: E402
from colossus_sim.validation.rows import read_training_rows, shipped  # noqa: E402

KEYS = ("source", "gpu", "stack", "scale", "precision")
OUT = ROOT / "benchmarks" / "validation"
RECORDED = ROOT / "tests" / "validation" / "recorded.json"
LEAST_ROWS = 5
"""Groups of fewer rows are shown but not recorded."""


def training(inputs: Inputs) -> tuple[str, dict[str, dict[str, float]]]:
    """Return the table of training steps, and the errors to record."""
    predictions, left_out = Predictor(inputs).predict(read_training_rows(shipped("training_rows.csv")))
    groups = metrics.groups(predictions, KEYS, metrics.constant_efficiencies(predictions))
    text = "# Training steps: predicted against published\n\n"
    text += (
        f"{sum(1 for p in predictions if p.error is not None)} timed rows, {len(left_out)} left out "
        "(`colossus-sim validate training -v` says why). Errors are relative; bias above zero means predicted "
        "too slow; naive is the best constant efficiency per GPU and format, fitted to the same rows.\n\n"
    )
    apart = [item for item in predictions if item.source not in metrics.SWEEPS]
    sweeps = [item for item in predictions if item.source in metrics.SWEEPS]
    text += report.training_markdown(groups, metrics.worst(apart, 20) + metrics.worst(sweeps, 10))
    kept = {}
    for group in groups:
        if group.by in ("fixed", "source") and group.time and group.time.count >= LEAST_ROWS:
            kept[f"{group.by}: {group.name}"] = {"median": group.time.median, "mean": group.time.mean}
        if group.by == "fixed" and group.memory and group.memory.count >= LEAST_ROWS:
            kept[f"memory: {group.name}"] = {"median": group.memory.median}
    verdicts = next(group.feasibility for group in groups if group.name == "all")
    if verdicts:
        kept["wrong verdicts on memory"] = {
            "share": 1.0 - verdicts.share_right,
            "ran": 1.0 - verdicts.ran_right / verdicts.ran,
            "out of memory": 1.0 - verdicts.oom_right / verdicts.oom,
        }
    return text, kept


def collectives(inputs: Inputs) -> tuple[str, dict[str, dict[str, float]]]:
    """Return the table of collectives, and the errors to record."""
    rows = read_collective_rows(shipped("nccl_rows.csv"))
    predictions, left_out = CollectivePredictor(inputs.gpus, inputs.collectives).predict(rows)
    groups = collective_groups(predictions)
    lines = [
        "# Collectives: predicted against measured",
        "",
        f"{len(predictions)} measurements, {len(left_out)} left out (grade C, no time or no such GPU). Constants",
        "per NVLink and fabric generation (`colossus_sim/data/collectives.yaml`).",
        "",
        "| group | systems | rows | mean over systems | mean | median | bias |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for g in groups:
        figures = f"{g.mean_of_systems:.1%} | {g.mean:.1%} | {g.median:.1%} | {g.bias:+.1%}"
        lines.append(f"| {g.name} | {g.systems} | {g.count} | {figures} |")
    kept = {
        g.name: {"mean": g.mean, "mean_of_systems": g.mean_of_systems}
        for g in groups
        if g.count >= LEAST_ROWS
    }
    return "\n".join(lines) + "\n", kept


def campaigns(inputs: Inputs) -> tuple[str, dict[str, dict[str, float]]]:
    """Return the table of whole trainings, and the error to record."""
    outcomes = predict_campaigns(read_campaigns(shipped("campaigns.csv")), inputs)
    document = report.campaigns_document(outcomes)
    lines = [
        "# Whole trainings: GPU-hours predicted against published",
        "",
        f"Median absolute error {document['median']:.1%} of {document['count']} trainings for which tokens,",
        "cluster and a plan are known. Steps without failures, divided by the expected share of useful time at the",
        "published failure rate (`data/validation/campaign_assumptions.csv`).",
        "",
        "| training | model | published GPU h | predicted | error |",
        "|---|---|---:|---:|---:|",
    ]
    for item in outcomes:
        if item.predicted is not None and item.error is not None:
            hours = f"{item.gpu_hours:,.0f} | {item.predicted:,.0f} | {item.error:+.1%}"
            lines.append(f"| {item.id} | {item.model} | {hours} |")
    lines += ["", "Left out:", ""]
    lines += [f"- {item.id} ({item.model}): {item.reason}" for item in outcomes if item.reason]
    return "\n".join(lines) + "\n", {"campaigns": {"median": document["median"]}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="also write tests/validation/recorded.json")
    options = parser.parse_args(arguments)
    inputs = shipped_inputs()
    OUT.mkdir(exist_ok=True)
    recorded = {}
    for name, make in (("training", training), ("collectives", collectives), ("campaigns", campaigns)):
        text, recorded[name] = make(inputs)
        (OUT / f"{name}.md").write_text(text, encoding="utf-8")
    if options.record:
        rounded = {
            name: {
                group: {key: round(value, 4) for key, value in errors.items()}
                for group, errors in part.items()
            }
            for name, part in recorded.items()
        }
        RECORDED.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
