"""``colossus-sim plot``: draw the pictures of a run again from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from colossus_sim.cli.common import Settings, echo, echo_json, note, output_options

KINDS = ("gantt", "utilization", "accounting", "slip", "steps")
"""The pictures; the same names as in `plots.PLOTS`, which is not imported before it is needed."""


@click.command("plot")
@click.argument("run_folder", type=click.Path())
@click.option("--kind", "kinds", type=click.Choice((*KINDS, "all")), multiple=True, default=("all",),
              show_default=True, help="What to draw. Repeatable.")  # fmt: skip
@click.option("--dark", is_flag=True, help="Light on dark.")
@click.option("--format", "formats", default="png,svg", show_default=True, metavar="LIST",
              help="File formats, separated by commas: png, svg, pdf.")  # fmt: skip
@click.option("-o", "--out", "target", type=click.Path(), metavar="DIR",
              help="Folder for the pictures.  [default: RUN_FOLDER-plots]")  # fmt: skip
@output_options
def plot(
    run_folder: str,
    *,
    kinds: tuple[str, ...],
    dark: bool,
    formats: str,
    target: str | None,
    settings: Settings,
) -> None:
    """Draw the pictures of a run again, from its tables; nothing is simulated.

    The run folder itself is left as it is, because run.json lists the checksums of its files.

    \b
    Examples:
      colossus-sim plot out/quickstart-central-seed1
      colossus-sim plot out/quickstart-central-seed1 --kind gantt --dark --format pdf -o slides
    """
    endings = parse_formats(formats)
    from colossus_sim.results.store import load_run

    result = load_run(run_folder)

    from colossus_sim.plots import draw_all

    folder = Path(target) if target is not None else default_folder(run_folder)
    chosen = KINDS if "all" in kinds else tuple(dict.fromkeys(kinds))
    written = draw_all(result, folder, formats=endings, dark=dark, kinds=chosen)
    if settings.json:
        echo_json({"schema_version": 1, "files": [str(path) for path in written]})
        return
    for path in written:
        echo(str(path))
    note(f"{len(written)} pictures in {folder}", settings)


def default_folder(run_folder: str) -> Path:
    """Return the folder beside the run folder."""
    folder = Path(run_folder)
    name = folder.name or folder.resolve().name
    return folder.parent / f"{name}-plots"


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the file formats of ``--format``.

    Raises
    ------
    UsageError
        If one is unknown, or none is given.
    """
    from colossus_sim.errors import UsageError

    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    wrong = next((name for name in names if name not in ("png", "svg", "pdf")), None)
    if wrong is not None or not names:
        raise UsageError(f"--format: {wrong if wrong is not None else text!r} is not one of png, svg, pdf")
    return names
