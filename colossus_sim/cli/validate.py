"""``colossus-sim validate``: the model against published measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from colossus_sim.cli.common import Settings, jobs_option, output_options, processes

if TYPE_CHECKING:
    from colossus_sim.validation.collectives import CollectiveGroup
    from colossus_sim.validation.metrics import ErrorStats, Group

_KEYS = ("source", "gpu", "kind", "scale", "precision", "stack")


@click.group()
def validate() -> None:
    """Compare the model with published measurements."""


@validate.command()
@click.argument("rows", required=False, type=click.Path(path_type=Path))
@click.option("--by", default="source,gpu,kind,scale", show_default=True, help="Groups to print, by commas.")
@click.option("--worst", default=10, show_default=True, help="Rows with the largest errors to print.")
@output_options
def training(rows: Path | None, by: str, worst: int, settings: Settings) -> None:
    """Predict published training steps (default: the shipped ROWS) and print the errors.

    The naive columns are one constant efficiency per GPU and format, fitted on the shipped rows. Below the tables
    stand the most frequent assumptions and why rows are left out.
    """
    from colossus_sim.cli.common import echo, echo_json
    from colossus_sim.errors import UsageError
    from colossus_sim.validation import metrics, report
    from colossus_sim.validation.inputs import shipped_inputs
    from colossus_sim.validation.predict import Predictor
    from colossus_sim.validation.rows import read_training_rows, shipped

    keys = tuple(key.strip() for key in by.split(",") if key.strip())
    unknown = [key for key in keys if key not in _KEYS]
    if unknown:
        raise UsageError(f"--by: unknown {', '.join(unknown)}; known: {', '.join(_KEYS)}")
    measured = read_training_rows(rows or shipped("training_rows.csv"))
    predictor = Predictor(shipped_inputs())
    predictions, left_out = predictor.predict(measured)
    known = predictions
    if rows is not None:
        known, _ = predictor.predict(read_training_rows(shipped("training_rows.csv")))
    groups = metrics.groups(predictions, keys, metrics.constant_efficiencies(known))
    if settings.json:
        echo_json(report.training_document(predictions, left_out, groups))
        return
    echo(_group_table(groups))
    echo(_worst_table(metrics.worst(predictions, worst)))
    echo(report.assumptions_text(predictions))
    echo(report.left_out_text(left_out, verbose=settings.verbose))


@validate.command()
@click.argument("rows", required=False, type=click.Path(path_type=Path))
@output_options
def collectives(rows: Path | None, settings: Settings) -> None:
    """Predict measured collectives (default: the shipped ROWS) and print the errors."""
    from colossus_sim.cli.common import echo, echo_json
    from colossus_sim.validation import report
    from colossus_sim.validation.collective_model import CollectivePredictor
    from colossus_sim.validation.collectives import collective_groups, read_collective_rows
    from colossus_sim.validation.inputs import shipped_inputs
    from colossus_sim.validation.rows import shipped

    measured = read_collective_rows(rows or shipped("nccl_rows.csv"))
    inputs = shipped_inputs()
    predictions, left_out = CollectivePredictor(inputs.gpus, inputs.collectives).predict(measured)
    groups = collective_groups(predictions)
    if settings.json:
        echo_json(report.collectives_document(predictions, left_out, groups))
        return
    echo(_collective_table(groups))
    echo(report.reasons_text([(row.name, reason) for row, reason in left_out], verbose=settings.verbose))


@validate.command()
@click.argument("rows", required=False, type=click.Path(path_type=Path))
@output_options
def campaigns(rows: Path | None, settings: Settings) -> None:
    """Predict the GPU-hours of whole published trainings (default: the shipped ROWS)."""
    from colossus_sim.cli.common import echo, echo_json, text_table
    from colossus_sim.validation import report
    from colossus_sim.validation.campaigns import predict_campaigns, read_campaigns
    from colossus_sim.validation.inputs import shipped_inputs
    from colossus_sim.validation.rows import shipped

    outcomes = predict_campaigns(read_campaigns(rows or shipped("campaigns.csv")), shipped_inputs())
    document = report.campaigns_document(outcomes)
    if settings.json:
        echo_json(document)
        return
    lines = [
        [item.id, item.model, f"{item.gpu_hours:,.0f}", f"{item.predicted:,.0f}", f"{item.error:+.1%}"]
        for item in outcomes
        if item.predicted is not None and item.error is not None
    ]
    header = ["campaign", "model", "published GPU h", "predicted", "error"]
    echo(text_table(header, lines, right=(2, 3, 4)))
    for item in outcomes:
        if item.reason:
            echo(f"left out {item.id} ({item.model}): {item.reason}")
    if document["median"] is not None:
        echo(f"median absolute error {document['median']:.1%} of {document['count']} campaigns")


@validate.command()
@click.option("--quick", is_flag=True, help="A tenth of the failures; leave the long job logs out.")
@click.option(
    "--seed",
    "first_seed",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seed of the draws.",
)
@jobs_option
@click.option(
    "--out", "page", type=click.Path(path_type=Path), help="Also write the table as Markdown to this file."
)
@output_options
def operations(quick: bool, first_seed: int, jobs: int | None, page: Path | None, settings: Settings) -> None:
    """Compare failures, saves, repair and queue with closed forms and published figures."""
    from colossus_sim.cli.common import echo, echo_json, text_table
    from colossus_sim.validation.operations import run_cases
    from colossus_sim.validation.operations_report import HEADER, document, lines, markdown, verdict

    cases = run_cases(quick=quick, seed=first_seed, jobs=processes(jobs))
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(markdown(cases), encoding="utf-8")
    if settings.json:
        echo_json(document(cases))
    else:
        echo(text_table(HEADER, lines(cases), right=(1, 2, 3, 4)))
        echo(verdict(cases))
    if not all(case.passed for case in cases):
        raise click.exceptions.Exit(1)


def _group_table(groups: tuple[Group, ...]) -> str:
    from colossus_sim.cli.common import text_table

    header = ["by", "group", "rows", "median", "mean", "p90", "bias", "naive median", "naive mean"]
    header += ["mem rows", "mem median", "ran: fits", "OOM: does not"]
    lines = []
    for group in groups:
        naive = [_percent(group.naive, "median"), _percent(group.naive, "mean")]
        feasible = group.feasibility.shares if group.feasibility else ("", "")
        memory = [str(group.memory.count) if group.memory else "0", _percent(group.memory, "median")]
        time = [_percent(group.time, name) for name in ("median", "mean", "p90", "bias")]
        count = str(group.time.count) if group.time else "0"
        lines.append([group.by, group.name, count, *time, *naive, *memory, *feasible])
    return text_table(header, lines, right=tuple(range(2, len(header))))


def _percent(stats: ErrorStats | None, name: str) -> str:
    if stats is None:
        return ""
    value: float = getattr(stats, name)
    return f"{value:+.1%}" if name == "bias" else f"{value:.1%}"


def _worst_table(rows: tuple[object, ...]) -> str:
    from colossus_sim.cli.common import text_table
    from colossus_sim.validation.metrics import Prediction

    header = ["worst rows", "GPU", "GPUs", "precision", "published s", "predicted s", "error"]
    lines = [
        [
            r.id,
            r.gpu,
            str(r.n_gpus),
            r.precision,
            f"{r.published_s:.4g}",
            f"{r.predicted_s:.4g}",
            f"{r.error:+.0%}",
        ]
        for r in rows
        if isinstance(r, Prediction)
    ]
    return text_table(header, lines, right=(2, 4, 5, 6))


def _collective_table(groups: tuple[CollectiveGroup, ...]) -> str:
    from colossus_sim.cli.common import text_table

    header = ["group", "systems", "rows", "mean over systems", "mean", "median", "bias"]
    lines = [
        [
            group.name,
            str(group.systems),
            str(group.count),
            f"{group.mean_of_systems:.1%}",
            f"{group.mean:.1%}",
            f"{group.median:.1%}",
            f"{group.bias:+.1%}",
        ]
        for group in groups
    ]
    return text_table(header, lines, right=(1, 2, 3, 4, 5, 6))
