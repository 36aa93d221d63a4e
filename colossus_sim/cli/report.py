"""``colossus-sim report``: one interactive HTML file of a run."""

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
    """Write the interactive report of a run: one HTML file that works offline and fetches nothing.

    It holds a Gantt chart to zoom, filter and click, the tables, the causes of slip, every assumption with its
    source, what is not modelled, and how to reproduce the run. The run folder itself is left as it is.

    \b
    Examples:
      colossus-sim report out/quickstart-central-seed1
      colossus-sim report out/quickstart-central-seed1 -o quickstart.html
    """
    from colossus_sim.results.store import load_run

    result = load_run(run_folder)

    from colossus_sim.html import write_report

    path = write_report(result, target if target is not None else default_file(run_folder))
    if settings.json:
        echo_json({"schema_version": 1, "files": [str(path)], "bytes": path.stat().st_size})
    elif not settings.quiet:
        echo(str(path))


def default_file(run_folder: str) -> Path:
    """Return the file beside the run folder."""
    folder = Path(run_folder)
    name = folder.name or folder.resolve().name
    return folder.parent / f"{name}-report.html"
