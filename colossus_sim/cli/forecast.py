"""``colossus-sim forecast``: when each job is done, with probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, echo, echo_json, note, scenario_and_out_options, text_table
from colossus_sim.cli.many import (
    SOME_FAILED,
    Progress,
    executor,
    picture_options,
    say_engine_of,
    say_found,
    stopping,
    worker_options,
)

if TYPE_CHECKING:
    from colossus_sim.sweeps.folder import State, SweepFolder
    from colossus_sim.sweeps.forecast import Forecast
    from colossus_sim.sweeps.pool import Executor
    from colossus_sim.sweeps.task import Outcome


@click.command("forecast")
@click.argument("file")
@scenario_and_out_options
@click.option(
    "--replicas", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Runs, at most."
)
@click.option(
    "--assumptions",
    type=click.Choice(("fixed", "sample")),
    default="fixed",
    show_default=True,
    help="sample: draw them anew in each run, between low and high.",
)
@click.option(
    "--until-ci", metavar="TIME", help="Stop when the mean end of every job is known to +- this, e.g. 0.5d."
)
@click.option(
    "--resume", is_flag=True, help="Go on with what is in the folder; failed runs are played again."
)
@picture_options
@click.option("--explain", is_flag=True, help="Say which engine plays the runs, and what that was judged by.")
@worker_options
def forecast(file: str, settings: Settings, **options: Any) -> int:
    """Play a scenario many times and say when each job is done, and how sure that is.

    Each run has its own seed, so failures fall differently; with --assumptions sample it also draws the
    assumptions that the scenario gives with a low and a high end. Results go to out/NAME-forecast unless --out
    names another folder: forecast.json, report.md, results.csv (every run), phases.csv, a Gantt chart with bands.
    draws.csv has the assumptions drawn for each run, and the command that plays that run alone.

    \b
    Examples:
      colossus-sim forecast quickstart --replicas 200
      colossus-sim forecast colossus_roadmap --replicas 1000 --assumptions sample --until-ci 2d
    """  # fmt: skip
    from colossus_sim.errors import UsageError
    from colossus_sim.sweeps.folder import open_folder
    from colossus_sim.sweeps.forecast import make_forecast
    from colossus_sim.sweeps.forecast_files import forecast_document

    if file == "-":
        raise UsageError("every worker reads the scenario itself: save it to a file first")
    precision = parse_precision(options["until_ci"])
    asked = make_forecast(
        file, options["replicas"], overrides=settings.overrides, case=settings.case,  # type: ignore[arg-type]
        seed=settings.seed, sample_assumptions=options["assumptions"] == "sample",
    )  # fmt: skip
    folder = Path(settings.out) if settings.out else Path("out") / f"{asked.plan.scenario.name}-forecast"
    state: list[State] = []
    with (
        executor(options) as workers,
        stopping(folder, settings, lambda: (len(state[0].outcomes), state[0].total) if state else (0, 0)),
        open_folder(folder, asked.plan, resume=options["resume"]) as opened,
    ):
        state.append(opened.state)
        say_found(opened.state, settings)
        outcomes = play(asked, opened, workers, precision, settings, explain=options["explain"])
        command = _command(file, settings, options)
        plots = not options["no_plots"]
        write(folder, asked, outcomes, plots=plots, command=command, dark=options["dark"])
    document = forecast_document(asked, outcomes)
    show(folder, document, settings)
    return SOME_FAILED if document["failed"] else 0


def parse_precision(text: str | None) -> float | None:
    """Return the half width of ``--until-ci``. [days]

    Raises
    ------
    UsageError
        If it is not a time.
    """
    from colossus_sim.errors import UsageError
    from colossus_sim.units import DAY, DURATION

    if text is None:
        return None
    try:
        days = float(DURATION.parse(text)) / DAY
    except ValueError as error:
        raise UsageError(f"--until-ci: {error}") from None
    if days <= 0.0:
        raise UsageError("--until-ci: the precision must be more than 0")
    return days


def play(
    asked: Forecast,
    opened: SweepFolder,
    workers: Executor,
    precision: float | None,
    settings: Settings,
    *,
    explain: bool,
) -> dict[int, Outcome]:
    """Run the replicas, in growing batches if a precision is asked for."""
    from colossus_sim.sweeps.engines import engine_choice, with_engine
    from colossus_sim.sweeps.forecast import likely_runs, widest_interval
    from colossus_sim.sweeps.precision import batches

    choice = engine_choice(asked.plan)
    say_engine_of(asked.plan, choice, settings, explain=explain)
    tasks = with_engine(asked.plan.tasks(), choice)
    outcomes: dict[int, Outcome] = {}
    with Progress(settings) as progress:
        for count in batches(asked.replicas, growing=precision is not None):
            if precision is not None:
                opened.state.total = likely_runs(asked, outcomes, precision, least=count)
            outcomes = opened.run(workers, tasks[:count], progress)
            if precision is not None and widest_interval(asked, outcomes) <= precision:
                note(f"precise enough after {count} runs", settings)
                break
        else:
            if precision is not None:
                width = widest_interval(asked, outcomes)
                note(f"not as precise as asked after {len(tasks)} runs: +- {width:.3g} days", settings)
    return outcomes


def _command(file: str, settings: Settings, options: Mapping[str, Any]) -> str:
    from colossus_sim.sweeps.study import study_command

    chosen = {
        "--replicas": options["replicas"],
        "--assumptions": options["assumptions"],
        "--until-ci": options["until_ci"],
    }
    return study_command("forecast", file, overrides=settings.overrides, case=settings.case, seed=settings.seed,
                         options=chosen)  # fmt: skip


def write(
    folder: Path,
    asked: Forecast,
    outcomes: Mapping[int, Outcome],
    *,
    plots: bool,
    command: str,
    dark: bool = False,
) -> None:
    """Write documents, tables and pictures, each whole or not at all."""
    from colossus_sim.sweeps.forecast_files import forecast_files
    from colossus_sim.sweeps.study import study_file
    from colossus_sim.sweeps.table import write_files

    files: dict[str, str | bytes] = {**forecast_files(asked, outcomes)}
    files |= study_file(asked.plan, outcomes, (), command=command)
    if plots and any(item.status == "done" for item in outcomes.values()):
        from colossus_sim.plots.draw import render_all
        from colossus_sim.plots.forecast import forecast_figures
        from colossus_sim.sweeps.view import forecast_view

        files |= render_all(forecast_figures(forecast_view(asked, outcomes), dark=dark), dark=dark)
    write_files(folder, files)


def show(folder: Path, document: Mapping[str, Any], settings: Settings) -> None:
    """Show the dates, and where the rest lies."""
    from colossus_sim.results.forecast_words import NO_DRIVER, cautions
    from colossus_sim.sweeps.forecast_files import job_lines

    if settings.json:
        echo_json(document)
        return
    if settings.quiet:
        return
    header, rows = job_lines(document)
    echo(text_table(header, rows, right=(6,)))
    for text in cautions(document):
        echo(text)
    for job in document["jobs"]:
        if job["drivers"]:
            echo(f"{job['name']}: driven by {strongest(job['drivers']) or NO_DRIVER}")
    failed = f", {document['failed']} failed" if document["failed"] else ""
    echo(
        f"\n{document['replicas']} runs{failed}, case {document['case']}, assumptions {document['assumptions']}"
    )
    if document["errors"]:
        echo(f"first failure: {document['errors'][0]}")
    draws = ", draws.csv" if document["assumptions"] == "sampled" else ""
    echo(f"wrote {folder}: report.md, forecast.json, results.csv, phases.csv{draws}")
    echo(f"as one interactive page: colossus-sim report {folder}")


def strongest(drivers: Sequence[Mapping[str, Any]]) -> str:
    """Return the first three drivers beyond chance with their shares of the variance, the largest first."""
    sure = [driver for driver in drivers if driver["beyond_chance"]]
    shown = sorted(sure[:3], key=lambda driver: -driver["first_order_index"])
    return ", ".join(f"{driver['name']} ({driver['first_order_index']:.0%})" for driver in shown)
