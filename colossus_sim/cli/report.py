"""``colossus-sim report``: one interactive HTML file of a run, a sweep or a forecast."""

from __future__ import annotations

from pathlib import Path

import click

from colossus_sim.cli.common import Settings, echo, echo_json, output_options


@click.command("report")
@click.argument("run_folder", type=click.Path())
@click.option("-o", "--out", "target", type=click.Path(), metavar="FILE",
              help="File to write.  [default: RUN_FOLDER-report.html]")  # fmt: skip
@output_options
def report(run_folder: str, *, target: str | None, settings: Settings) -> None:
    """Write the interactive report of a run, sweep or forecast: one HTML file that works offline.

    It holds a Gantt chart to zoom, filter and click, the tables, the causes of slip, every assumption with its
    source, what is not modelled, and how to reproduce the run. For a forecast: when each job ends with P10, P50
    and P90, the chance to be done by any date, and what drives the spread. For a sweep: any measure against any
    varied field with 95 % intervals, cost against benefit, or the tornado. The folder itself is left as it is.

    \b
    Examples:
      colossus-sim report out/quickstart-central-seed1
      colossus-sim report out/quickstart-central-seed1 -o quickstart.html
      colossus-sim report out/quickstart-forecast
      colossus-sim report out/restart_time-sweep
    """
    path = _write(run_folder, target if target is not None else default_file(run_folder))
    if settings.json:
        echo_json({"schema_version": 1, "files": [str(path)], "bytes": path.stat().st_size})
    elif not settings.quiet:
        echo(str(path))


def _write(folder: str, target: str | Path) -> Path:
    from colossus_sim.html.study import is_study, write_study

    if is_study(folder):
        return write_study(folder, target)

    from colossus_sim.html import write_report
    from colossus_sim.results.store import load_run

    return write_report(load_run(folder), target)


def default_file(run_folder: str) -> Path:
    """Return the file beside the folder."""
    folder = Path(run_folder)
    name = folder.name or folder.resolve().name
    return folder.parent / f"{name}-report.html"
