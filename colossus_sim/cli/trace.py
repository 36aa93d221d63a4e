"""``colossus-sim trace``: timelines for ui.perfetto.dev."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from colossus_sim.cli.common import Settings, echo, echo_json, note, output_options

if TYPE_CHECKING:
    from colossus_sim.results.result import Result
    from colossus_sim.trace import Trace


@click.command("trace")
@click.argument("run_folder", type=click.Path())
@click.option("--step", "job", metavar="JOB", help="One training step of this job in place of the whole run.")
@click.option("--chrome", is_flag=True, help="Chrome JSON; it cannot show overlaps, and is larger.")
@click.option("-o", "--out", "target", type=click.Path(), metavar="FILE",
              help="File to write.  [default: beside the run folder]")  # fmt: skip
@output_options
def trace(run_folder: str, *, job: str | None, chrome: bool, target: str | None, settings: Settings) -> None:
    """Write the timeline of a run, or of one training step, as a trace file; open it at https://ui.perfetto.dev.

    A run has two tracks per phase of each job (the phase with its failures; its states), failures and events of
    each site, and counters of GPUs, queue and power. A step has two tracks per pipeline stage. One second of the
    simulation is one second of the trace, from the scenario's start.

    \b
    Examples:
      colossus-sim trace out/quickstart-central-seed1
      colossus-sim trace out/quickstart-central-seed1 --step llama_70b -o step.pftrace
      colossus-sim trace out/quickstart-central-seed1 --chrome
    """
    from colossus_sim.results.store import load_run

    result = load_run(run_folder)
    made = build(result, job)

    from colossus_sim.trace import write_trace

    path = Path(target) if target is not None else default_file(run_folder, job, chrome=chrome)
    write_trace(made, path, chrome=chrome)
    if settings.json:
        echo_json({"schema_version": 1, "files": [str(path)], "tracks": len(made.tracks)})
        return
    if not settings.quiet:
        echo(str(path))
    note(f"{len(made.tracks)} tracks; open it at https://ui.perfetto.dev", settings)


def build(result: Result, job: str | None) -> Trace:
    """Return the trace of a run, or of one step of a job.

    Raises
    ------
    UsageError
        If there is no such job, or its step cannot be drawn.
    OutputError
        If the run folder holds no scenario that can be read.
    """
    from colossus_sim.errors import OutputError, UsageError
    from colossus_sim.trace import run_trace, step_trace

    if job is None:
        return run_trace(result)
    if result.scenario is None:
        raise OutputError("the run folder holds no scenario that this version reads; a step needs it")
    if job not in result.scenario.jobs:
        from colossus_sim.loading.suggest import nearest_hint

        raise UsageError(f"there is no job {job!r}; {nearest_hint(job, result.scenario.jobs)}")
    from colossus_sim.training.timeline import step_timeline

    return step_trace(step_timeline(result.scenario, job))


def default_file(run_folder: str, job: str | None, *, chrome: bool) -> Path:
    """Return the file beside the run folder."""
    folder = Path(run_folder)
    name = folder.name or folder.resolve().name
    ending = "json" if chrome else "pftrace"
    return folder.parent / (f"{name}-trace.{ending}" if job is None else f"{name}-{job}-step.{ending}")
