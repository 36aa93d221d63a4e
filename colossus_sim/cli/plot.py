"""``colossus-sim plot``: draw the pictures of a run again from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, echo, echo_json, note, output_options

if TYPE_CHECKING:
    from colossus_sim.results.result import Result

USUAL = ("gantt", "utilization", "accounting", "slip", "steps")
"""Pictures that `run` draws."""

KINDS = (*USUAL, "waterfall", "failures", "checkpoints")
"""The pictures of a run; the same names as in `plots.PLOTS`, which is not imported before it is needed."""

JOB_KINDS = ("pipeline", "scaling")
"""Pictures of one job's step, made from the scenario of the run."""


def _kinds(context: click.Context, option: click.Parameter, lists: tuple[str, ...]) -> tuple[str, ...]:
    """Return the pictures of all --kind options, each a name or names separated by commas."""
    names = tuple(dict.fromkeys(name.strip().lower() for text in lists for name in text.split(",")))
    known = (*KINDS, *JOB_KINDS, "all")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise click.BadParameter(f"{unknown!r} is not one of {', '.join(known)}", context, option)
    return names


@click.command("plot")
@click.argument("run_folder", type=click.Path())
@click.option("--kind", "kinds", metavar="LIST", multiple=True, default=("all",), show_default="all",
              callback=_kinds, help="What to draw, separated by commas: gantt, utilization, accounting, slip, "
              "steps, waterfall, failures, checkpoints, or all of these; pipeline and scaling, which need --job. "
              "Repeatable.")  # fmt: skip
@click.option("--job", metavar="JOB", help="Job of the pipeline and scaling pictures.")
@click.option("--compare", "other", type=click.Path(), metavar="RUN_FOLDER",
              help="Draw this run and the other one on one axis, and nothing else.")  # fmt: skip
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
    job: str | None,
    other: str | None,
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
      colossus-sim plot out/quickstart-central-seed1 --kind pipeline,scaling --job llama_70b
      colossus-sim plot out/quickstart-central-seed1 --compare out/quickstart-high-seed1
    """
    endings = parse_formats(formats)
    from colossus_sim.results.store import load_run

    result = load_run(run_folder)

    from colossus_sim.plots import draw_all, save_figure

    folder = Path(target) if target is not None else default_folder(run_folder)
    if other is not None:
        figures = {"compare": comparison(result, run_folder, other, dark=dark)}
        chosen: tuple[str, ...] = ()
    else:
        figures = job_figures(result, kinds, job, dark=dark)
        chosen = KINDS if "all" in kinds else tuple(kind for kind in kinds if kind in KINDS)
    written = list(draw_all(result, folder, formats=endings, dark=dark, kinds=chosen))
    for name, figure in figures.items():
        written += [save_figure(figure, folder / f"{name}.{ending}", dark=dark) for ending in endings]
    if settings.json:
        echo_json({"schema_version": 1, "files": [str(path) for path in written]})
        return
    for path in written:
        echo(str(path))
    note(f"{len(written)} pictures in {folder}", settings)


def comparison(result: Result, run_folder: str, other: str, *, dark: bool) -> Any:
    """Return the picture of two runs on one axis."""
    from colossus_sim.plots.compare import draw_comparison
    from colossus_sim.results.store import load_run

    names = (Path(run_folder).resolve().name, Path(other).resolve().name)
    return draw_comparison(result, load_run(other), names=names, dark=dark)


def job_figures(result: Result, kinds: tuple[str, ...], job: str | None, *, dark: bool) -> dict[str, Any]:
    """Return the wanted pictures of one job's step, by file name.

    Raises
    ------
    UsageError
        If --job is missing or names no job, or its step cannot be drawn.
    OutputError
        If the run folder holds no scenario that can be read.
    """
    wanted = [kind for kind in JOB_KINDS if kind in kinds]
    if not wanted:
        return {}
    from colossus_sim.errors import OutputError, UsageError

    if job is None:
        raise UsageError(f"--kind {wanted[0]} needs --job")
    if result.scenario is None:
        raise OutputError("the run folder holds no scenario that this version reads; this picture needs it")
    if job not in result.scenario.jobs:
        from colossus_sim.loading.suggest import nearest_hint

        raise UsageError(f"there is no job {job!r}; {nearest_hint(job, result.scenario.jobs)}")
    from colossus_sim.plots.pipeline import draw_pipeline
    from colossus_sim.plots.scaling import draw_scaling, scaling_points
    from colossus_sim.training.timeline import step_timeline

    title = result.scenario.jobs[job].title or job
    figures: dict[str, Any] = {}
    if "pipeline" in wanted:
        step = step_timeline(result.scenario, job)
        figures[f"pipeline-{job}"] = draw_pipeline(
            step, dark=dark, title=f"{title}: one step of {step.phase}"
        )
    if "scaling" in wanted:
        points, gpus = scaling_points(result.scenario, job)
        figures[f"scaling-{job}"] = draw_scaling(points, gpus, dark=dark, job=title)
    return figures


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
