"""``colossus-sim run``: play a scenario and write its run folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from colossus_sim.cli.common import (
    Settings,
    check_feasible,
    echo,
    echo_json,
    load,
    note,
    plain,
    scenario_and_out_options,
)
from colossus_sim.cli.many import say_engine

if TYPE_CHECKING:
    from rich.console import Console

    from colossus_sim.results.document import Table
    from colossus_sim.results.result import Result
    from colossus_sim.specs.scenario import Scenario
    from colossus_sim.training.phases import ModelCache

Progress = Callable[[float, str], None]

FORMATS_HELP = "Tables are CSV files; csv,parquet (or parquet) writes them as Parquet files too."
PLAIN_INTERVAL = 30.0
"""Least time between two progress lines where there is no terminal. [s]"""


@click.command("run")
@click.argument("file")
@scenario_and_out_options
@click.option("--formats", default="csv", show_default=True, help=FORMATS_HELP)
@click.option(
    "--plots", default="usual", show_default=True, metavar="LIST",
    help="Pictures, separated by commas: gantt, utilization, accounting, slip, steps (the usual ones), "
    "waterfall, failures, checkpoints; or usual, all, none.",
)  # fmt: skip
@click.option("--no-plots", is_flag=True, help="Draw no pictures: the same as --plots none.")
@click.option("--overwrite", is_flag=True, help="Replace another run; write beside other files.")
@click.option("--explain", is_flag=True, help="Say which engine plays the run, and what that was judged by.")
def run(
    file: str, *, settings: Settings, formats: str, plots: str, no_plots: bool, overwrite: bool, explain: bool
) -> None:
    """Play a scenario and write summary, tables, report and pictures.

    FILE is a scenario file, the name of a shipped scenario, or - for standard input. The run folder is
    out/NAME-CASE-seedN unless --out names another; what --set changes is added to its name. The same scenario,
    case, seed and --set again replace the folder; one that holds another run, or other files, is refused.

    \b
    Examples:
      colossus-sim run quickstart
      colossus-sim run scenarios/colossus_roadmap.yaml --seed 7 --out /tmp/seven
      colossus-sim run quickstart --set jobs.llama_70b.gpus=480 --json
    """
    table_formats = parse_formats(formats)
    kinds = () if no_plots else parse_plots(plots)
    clock = Stopwatch()
    scenario = load(file, settings)
    folder = target_folder(scenario, settings)
    models = check_before(scenario, folder, overwrite=overwrite)
    clock.lap("load")
    if explain or settings.verbose:
        from colossus_sim.sweeps.engines import SINGLE_RUN

        say_engine(scenario, SINGLE_RUN, settings, explain=explain)
    with progress_bar(settings) as progress:
        result = simulate(scenario, models, progress)
        clock.lap("simulate")
    write(result, folder, table_formats, kinds=kinds, overwrite=overwrite, clock=clock)
    show(result, folder, settings)


class Stopwatch:
    """Wall times of the stages of a command. [s]"""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Note the time since the last call under `name`."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the table formats of ``--formats``.

    Raises
    ------
    UsageError
        If one is unknown, or cannot be written here.
    """
    from colossus_sim.errors import UsageError
    from colossus_sim.results.files import check_parquet

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in ("csv", "parquet")]
    if unknown or not names:
        raise UsageError(f"--formats: {unknown[0] if unknown else text!r} is not one of csv, parquet")
    if "parquet" in names:
        check_parquet()
    return names


def parse_plots(text: str) -> tuple[str, ...]:
    """Return the pictures of ``--plots``.

    Raises
    ------
    UsageError
        If one is unknown.
    """
    from colossus_sim.cli.plot import KINDS, USUAL
    from colossus_sim.errors import UsageError

    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    groups = {"usual": USUAL, "all": KINDS, "none": ()}
    if len(names) == 1 and names[0] in groups:
        return groups[names[0]]
    unknown = next((name for name in names if name not in KINDS), None)
    if unknown is not None or not names:
        given = text if unknown is None else unknown
        raise UsageError(f"--plots: {given!r} is not one of {', '.join(KINDS)}, usual, all, none")
    return names


def target_folder(scenario: Scenario, settings: Settings) -> Path:
    """Return the run folder."""
    from colossus_sim.results.store import default_folder

    if settings.out is not None:
        return Path(settings.out)
    return default_folder(scenario.name, settings.case, scenario.seed, settings.overrides)


def check_before(scenario: Scenario, folder: Path, *, overwrite: bool) -> ModelCache:
    """Check everything that can be known before simulating; return the phase models built for that.

    Raises
    ------
    InfeasibleError
        If a plan does not fit.
    OutputError
        If the run folder cannot be written.
    """
    from colossus_sim.results.identity import planned_identity
    from colossus_sim.results.store import check_target

    models = check_feasible(scenario)
    check_target(folder, planned_identity(scenario), overwrite=overwrite)
    return models


def simulate(scenario: Scenario, models: ModelCache, progress: Progress) -> Result:
    """Run the engine and make its result."""
    from colossus_sim.engine.runner import simulate as play
    from colossus_sim.results.result import result_of

    return result_of(play(scenario, progress=progress, build_model=models))


def write(
    result: Result,
    folder: Path,
    formats: tuple[str, ...],
    *,
    kinds: tuple[str, ...],
    overwrite: bool,
    clock: Stopwatch,
) -> None:
    """Write the run folder, pictures included."""
    from colossus_sim.results.store import write_run

    def decorate(stage: Path) -> None:
        from colossus_sim.plots import draw_all

        for kind in kinds:
            draw_all(result, stage, formats=("png", "svg") if kind == "gantt" else ("png",), kinds=(kind,))
        clock.lap("plot")

    write_run(
        result,
        folder,
        formats=formats,
        overwrite=overwrite,
        decorate=decorate if kinds else None,
        timings=clock.laps,
    )


def show(result: Result, folder: Path, settings: Settings) -> None:
    """Show the summary and where the rest lies."""
    if settings.json:
        echo_json(result.summary())
        return
    if settings.quiet:
        return
    if sys.stdout.isatty():
        show_rich(result)
    else:
        echo(result.text(short=True).rstrip("\n"))
    echo(f"\nwrote {folder}: {', '.join(_first_files(folder))}")
    echo(f"next: read {folder / 'report.md'}, look at {_picture(folder)}")


def _first_files(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir())
    wanted = ("summary.json", "report.md", "gantt.png", "gantt.svg", "jobs.csv")
    first: list[str] = [name for name in wanted if name in names]
    rest = len(names) - len(first)
    return [*first, f"and {rest} more files"] if rest else first


def _picture(folder: Path) -> Path:
    picture = folder / "gantt.png"
    return picture if picture.is_file() else folder / "jobs.csv"


def show_rich(result: Result) -> None:
    """Show the summary on a terminal; columns that do not fit its width are left to the report."""
    from rich.console import Console
    from rich.text import Text

    from colossus_sim.results.document import visible
    from colossus_sim.results.report import short_sections

    console = Console(highlight=False, markup=False, emoji=False)
    for section in short_sections(result.summary()):
        console.print(Text(visible(section.title), style="bold"))
        for point in section.points:
            console.print(Text(f"* {visible(point)}"))
        if section.table is not None:
            _show_table(console, section.table)
        console.print()


def _show_table(console: Console, table: Table) -> None:
    from rich.table import Table as RichTable
    from rich.text import Text

    from colossus_sim.results.document import visible

    widths = column_widths(table)
    count = fitting_columns(widths, console.width)
    shown = RichTable(box=None, pad_edge=False, padding=(0, 1))
    for index, name in enumerate(table.header[:count]):
        justify: Literal["left", "right"] = "right" if index in table.right else "left"
        shown.add_column(Text(visible(name)), justify=justify, min_width=widths[index])
    for row in table.rows:
        shown.add_row(*(Text(visible(cell)) for cell in row[:count]))
    console.print(shown)
    if count < len(widths):
        console.print(Text(f"({len(widths) - count} more columns in report.md)", style="dim"))


def column_widths(table: Table) -> list[int]:
    """Return the least width of each column: its longest cell, its header broken between words."""
    return [
        max(len(word) for word in (*name.split(), *(row[index] for row in table.rows)))
        for index, name in enumerate(table.header)
    ]


def fitting_columns(widths: list[int], available: int) -> int:
    """Return how many columns from the left fit, with two spaces between; at least one."""
    used = 0
    for count, width in enumerate(widths):
        used += width + (2 if count else 0)
        if used > available and count:
            return count
    return len(widths)


@contextmanager
def progress_bar(settings: Settings) -> Iterator[Progress]:
    """Give a callable that shows progress on standard error: a bar on a terminal, else a line now and then."""
    if settings.quiet or settings.json:
        yield _silent
    elif sys.stderr.isatty():
        with _rich_bar() as progress:
            yield progress
    else:
        yield PlainProgress(settings)


def _silent(fraction: float, text: str) -> None:
    """Show nothing."""


class PlainProgress:
    """Progress as plain lines, at most one every `PLAIN_INTERVAL`."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._last = clock()

    def __call__(self, fraction: float, text: str) -> None:
        now = self._clock()
        if now - self._last >= PLAIN_INTERVAL:
            self._last = now
            note(f"{100 * fraction:5.1f} %  {text}", self._settings)


@contextmanager
def _rich_bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    # markup=False: a job name is shown as written.
    words = TextColumn("{task.description}", markup=False)
    columns = (TextColumn("simulating"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), words)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def update(fraction: float, text: str) -> None:
            bar.update(task, completed=fraction, description=plain(text))

        yield update
