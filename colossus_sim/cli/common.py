"""What the commands share: options, settings, output."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from colossus_sim.errors import ColossusError, Problem
    from colossus_sim.specs.scenario import Scenario
    from colossus_sim.training.phases import ModelCache

F = TypeVar("F", bound=Callable[..., Any])

ERROR_SCHEMA_VERSION = 1
CASES = ("low", "central", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The common options of one command line.

    Attributes
    ----------
    seed : int or None
        ``--seed``.
    overrides : tuple of str
        ``--set``, in order.
    case : str
        ``--case``: low, central, high.
    case_given : bool
        Whether the command line says it.
    out : str or None
        ``--out``.
    json : bool
        One JSON document on standard output, nothing else.
    quiet, verbose : bool
        ``-q``, ``-v``.
    """

    seed: int | None = None
    overrides: tuple[str, ...] = ()
    case: str = "central"
    case_given: bool = False
    out: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False


def output_options(function: F) -> F:
    """Add --json, -q, -v; the handler gets one keyword argument `settings`."""
    return _with_settings(function, _OUTPUT)


def scenario_options(function: F) -> F:
    """Add --seed, --set, --case, --json, -q, -v; the handler gets one keyword argument `settings`."""
    return _with_settings(function, [*_SCENARIO, *_OUTPUT])


def scenario_and_out_options(function: F) -> F:
    """Add the same as `scenario_options` and --out."""
    return _with_settings(function, [*_SCENARIO, _OUT, *_OUTPUT])


_Option = Callable[[Callable[..., Any]], Callable[..., Any]]

jobs_option: _Option = click.option(
    "--jobs", type=click.IntRange(1, 4096), metavar="N", help="Worker processes; default: one per core."
)
"""Adds --jobs; see `processes`."""


def processes(jobs: int | None) -> int:
    """Return how many worker processes --jobs means."""
    return jobs or os.cpu_count() or 1


_SCENARIO: list[_Option] = [
    click.option("--seed", type=int, metavar="N", help="Seed of all random streams."),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Change a field, e.g. --set jobs.my_job.gpus=4096; checked like the file. Repeatable.",
    ),
    click.option(
        "--case",
        type=click.Choice(CASES),
        default="central",
        show_default=True,
        help="Which end of the assumptions to use.",
    ),
]


def _out(context: click.Context, option: click.Parameter, folder: str | None) -> str | None:
    """Refuse an --out without a name, as of a shell variable that is not set."""
    if folder is not None and not folder.strip():
        raise click.BadParameter("the name of the folder is empty", context, option)
    return folder


_OUT: _Option = click.option(
    "--out", type=click.Path(), metavar="DIR", callback=_out, help="Folder for the results."
)
_OUTPUT: list[_Option] = [
    click.option("--json", "json", is_flag=True, help="Print one JSON document on stdout, nothing else."),
    click.option("-q", "--quiet", is_flag=True, help="No notes and no progress."),
    click.option("-v", "--verbose", is_flag=True, help="More detail; a traceback where there is a bug."),
]


def _with_settings(function: F, options: Sequence[_Option]) -> F:
    @functools.wraps(function)
    def handler(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in Settings.__dataclass_fields__ if name in kwargs}
        context = click.get_current_context()
        settings = Settings(
            **given, case_given=context.get_parameter_source("case") is ParameterSource.COMMANDLINE
        )
        context.find_root().obj = settings
        return function(*args, settings=settings, **kwargs)

    decorated: Any = handler
    for option in reversed(options):
        decorated = option(decorated)
    result: F = decorated
    return result


def load(path_or_name: str, settings: Settings) -> Scenario:
    """Load a scenario with the overrides, case and seed of the command line."""
    from colossus_sim.loading.load import load_scenario

    return load_scenario(
        path_or_name,
        overrides=settings.overrides,
        case=settings.case,  # type: ignore[arg-type]  # click has checked it
        seed=settings.seed,
    )


def check_feasible(scenario: Scenario) -> ModelCache:
    """Refuse networks that cannot be built and plans that do not fit, e.g. in memory.

    Returns
    -------
    ModelCache
        The phase models that the check had to build, for what comes after.

    Raises
    ------
    InfeasibleError
        With all problems, each with its place in the file.
    """
    from colossus_sim.cli.feasibility import find_problems
    from colossus_sim.errors import InfeasibleError
    from colossus_sim.training.phases import ModelCache

    models = ModelCache()
    problems = find_problems(scenario, models)
    if problems:
        raise InfeasibleError(problems)
    return models


def plain(text: str) -> str:
    """Return `text` with control characters escaped, safe to show on a terminal as written."""
    return "".join(c if c.isprintable() or c in "\n" else repr(c)[1:-1] for c in text)


def echo(text: str) -> None:
    """Print lines on standard output."""
    click.echo(plain(text))


def note(text: str, settings: Settings) -> None:
    """Print a line on standard error, unless -q or --json."""
    if not settings.quiet and not settings.json:
        click.echo(plain(text), err=True)


def echo_json(document: Any) -> None:
    """Print one JSON document on standard output.

    Raises
    ------
    ValueError
        If it holds NaN or infinity, which JSON does not have.
    """
    click.echo(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=True))


def problem_as_json(problem: Problem) -> dict[str, Any]:
    """Return a problem as plain data."""
    return {
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
        "where": problem.where,
    }


def error_as_json(error: ColossusError) -> dict[str, Any]:
    """Return an error as plain data; the document that --json prints in place of a result."""
    problems = getattr(error, "problems", ())
    return {
        "schema_version": ERROR_SCHEMA_VERSION,
        "error": {
            "type": type(error).__name__,
            "exit_code": error.exit_code,
            "message": str(error),
            "problems": [problem_as_json(problem) for problem in problems],
        },
    }


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return an aligned plain-text table at full width; columns in `right` are right-aligned."""
    lines = [[plain(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    shown = []
    for line in (lines[0], rule, *lines[1:]):
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)
