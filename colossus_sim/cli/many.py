"""What the commands that run a scenario many times share: workers, progress, stopping, exit codes."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from colossus_sim.cli.common import Settings, jobs_option, note, processes

if TYPE_CHECKING:
    from colossus_sim.engine.kernel.allow import Choice
    from colossus_sim.specs.scenario import Scenario
    from colossus_sim.sweeps.folder import State
    from colossus_sim.sweeps.plan import Plan
    from colossus_sim.sweeps.pool import Executor

F = TypeVar("F", bound=Callable[..., Any])

SOME_FAILED = 3
INTERRUPTED, TERMINATED = 130, 143
BAR_INTERVAL = 0.2
"""Least time between two updates of the bar. [s]"""
MAX_DAMAGED = 10
"""Damaged lines of journals that are named."""
PLAIN_INTERVAL = 30.0
"""Least time between two progress lines where there is no terminal. [s]"""


class Terminated(KeyboardInterrupt):
    """The system asked the program to end."""


def picture_options(function: F) -> F:
    """Add --no-plots, --dark."""
    options = [
        click.option("--no-plots", is_flag=True, help="Draw no pictures."),
        click.option("--dark", is_flag=True, help="Pictures light on dark."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _task_timeout(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return the time that --task-timeout gives. [s]"""
    from colossus_sim.errors import UsageError
    from colossus_sim.units import DURATION

    if text is None:
        return None
    try:
        seconds = float(DURATION.parse(_with_seconds(text)))
    except ValueError as error:
        raise UsageError(f"--task-timeout: {error}") from None
    if seconds <= 0.0:
        raise UsageError("--task-timeout: the time must be more than 0")
    return seconds


def _with_seconds(text: str) -> str:
    """Return a plain number with the unit of time that it means, any other text as it is."""
    with suppress(ValueError):
        float(text)
        return f"{text} s"
    return text


def worker_options(function: F) -> F:
    """Add --jobs, --task-timeout, --executor, --scheduler, --insecure."""
    options = [
        jobs_option,
        click.option(
            "--task-timeout",
            callback=_task_timeout,
            metavar="TIME",
            help="Give up a run that takes longer, e.g. 10min (a plain number: seconds); it has failed.",
        ),
        click.option(
            "--executor",
            type=click.Choice(("local", "dask")),
            default="local",
            show_default=True,
            help="Where runs are played.",
        ),
        click.option(
            "--scheduler", metavar="ADDRESS", help="Dask scheduler, tls://HOST:PORT; default: one of our own here."
        ),
        click.option(
            "--insecure", is_flag=True, help="Accept a remote scheduler without TLS: whoever reaches it runs code."
        ),
    ]  # fmt: skip
    decorated: Any = function
    for option in reversed(options):
        decorated = option(decorated)
    result: F = decorated
    return result


@contextmanager
def executor(options: Mapping[str, Any]) -> Iterator[Executor]:
    """Give the executor that the worker options ask for, and let go of it at the end, whatever happens."""
    from colossus_sim.errors import UsageError

    count = processes(options["jobs"])
    scheduler, insecure, task_timeout = options["scheduler"], options["insecure"], options["task_timeout"]
    made: Executor
    if options["executor"] == "dask":
        from colossus_sim.sweeps.dask_executor import DaskExecutor

        if task_timeout is not None:
            raise UsageError("--task-timeout works with local workers only")
        made = DaskExecutor(jobs=count, scheduler=scheduler, insecure=insecure)
    else:
        from colossus_sim.sweeps.pool import WorkerPool

        if scheduler is not None or insecure:
            raise UsageError("--scheduler and --insecure belong to --executor dask")
        made = WorkerPool(count, task_timeout=task_timeout)
    try:
        yield made
    finally:
        made.close()


def say_engine(
    scenario: Scenario,
    choice: Choice,
    settings: Settings,
    *,
    explain: bool,
    points: int = 1,
    replicas: int = 1,
) -> None:
    """Say with -v which engine plays the runs, and why; with --explain also what that was judged by."""
    from colossus_sim.sweeps.engines import engine_line, explain_engine

    if explain:
        for line in explain_engine(scenario, choice, points=points, replicas=replicas):
            note(line, settings)
    elif settings.verbose:
        note(engine_line(choice), settings)


def say_engine_of(plan: Plan, choice: Choice, settings: Settings, *, explain: bool) -> None:
    """Say it of all runs of a plan."""
    say_engine(
        plan.scenario, choice, settings, explain=explain, points=len(plan.points), replicas=plan.replicas
    )


@contextmanager
def stopping(
    folder: Path | None, settings: Settings, counts: Callable[[], tuple[int, int]]
) -> Iterator[None]:
    """On Ctrl-C or a request to end: say what is saved and how to go on, and leave with 130 or 143."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        # A second Ctrl-C ends at once.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        done, total = counts()
        if folder is not None:
            note(f"interrupted: {done} of {total} runs are saved in {folder}; go on with", settings)
            note(f"  {resume_command()}", settings)
        raise click.exceptions.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def resume_command() -> str:
    """Return this command line with --resume."""
    words = ["colossus-sim", *sys.argv[1:]]
    return shlex.join(words if "--resume" in words else [*words, "--resume"])


class Progress:
    """Progress on standard error: a bar on a terminal, else a line now and then; nothing with -q or --json.

    Parameters
    ----------
    best : callable, optional
        Returns a short text about the best point so far.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        best: Callable[[State], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._best, self._clock = settings, best, clock
        self._began = self._last = clock()
        self._silent = settings.quiet or settings.json
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if not self._silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), TextColumn("{task.description}", markup=False))
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=1.0)
            self._bar.start()
        return self

    def __exit__(self, *problem: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, state: State) -> None:
        """Show how far the sweep is."""
        if self._silent:
            return
        now = self._clock()
        if self._bar is not None and now - self._last >= BAR_INTERVAL:
            self._last = now
            share = len(state.outcomes) / max(1, state.total)
            self._bar.update(self._task, completed=share, description=self.line(state, now))
        elif self._bar is None and now - self._last >= PLAIN_INTERVAL:
            self._last = now
            note(self.line(state, now), self._settings)

    def line(self, state: State, now: float) -> str:
        """Return how far the sweep is, in words."""
        done, total = len(state.outcomes), state.total
        spent = max(1e-9, now - self._began)
        rate = (done - state.known) / spent
        left = f"{_clock_text((total - done) / rate)} left" if rate > 0.0 else ""
        parts = [f"{done}/{total} ({done / max(1, total):.1%})", f"{rate:.2g}/s", left]
        if state.failed:
            parts.append(f"{state.failed} failed")
        if self._best is not None:
            parts.append(self._best(state))
        return ", ".join(part for part in parts if part)


def _clock_text(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def say_found(state: State, settings: Settings) -> None:
    """Say what the journals hold, what of it cannot be used, and which runs are played again."""
    for text in state.unusable:
        note(text, settings)
    if state.known:
        note(f"found {state.known} of {state.total} runs", settings)
    if state.again:
        note(f"played again: {state.again} run{'s' if state.again > 1 else ''} that failed", settings)
    if state.damaged:
        places = ", ".join(state.damaged[:MAX_DAMAGED])
        more = ", ..." if len(state.damaged) > MAX_DAMAGED else ""
        note(f"damaged lines, not used: {places}{more}", settings)
