"""The command line: one module per command, imported only when that command is called."""

from __future__ import annotations

import errno
import importlib
import json as json_module
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from colossus_sim.cli.common import error_as_json, plain
from colossus_sim.errors import ColossusError, OutputError, PolicyError, UsageError
from colossus_sim.version import __version__

INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell shows of a program that writes to a closed pipe (128 + SIGPIPE)."""


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives, and its line in the overview."""

    target: str
    help: str


COMMANDS: dict[str, Command] = {
    "run": Command(
        "colossus_sim.cli.run:run", "Play a scenario; write summary, tables, report and pictures."
    ),
    "forecast": Command(
        "colossus_sim.cli.forecast:forecast", "Play a scenario many times: dates with probabilities."
    ),
    "sweep": Command("colossus_sim.cli.sweep:sweep", "Play a scenario at many points, and compare them."),
    "solve": Command("colossus_sim.cli.solve:solve", "Find the value with which a condition holds."),
    "check": Command("colossus_sim.cli.check:check", "Validate scenario files; explain every value."),
    "estimate": Command("colossus_sim.cli.estimate:estimate", "Step time, memory and MFU of each job."),
    "plot": Command("colossus_sim.cli.plot:plot", "Draw the pictures of a run again."),
    "topology": Command(
        "colossus_sim.cli.topology:topology", "Show, compare and export networks, with cost and power."
    ),
    "report": Command(
        "colossus_sim.cli.report:report", "One interactive page of a run, as a single HTML file."
    ),
    "trace": Command(
        "colossus_sim.cli.trace:trace", "Timeline of a run, or of one step, for ui.perfetto.dev."
    ),
    "catalog": Command("colossus_sim.cli.catalog:catalog", "List what a scenario can name, with sources."),
    "validate": Command(
        "colossus_sim.cli.validate:validate", "Compare the model with published measurements."
    ),
    "calibrate": Command("colossus_sim.cli.calibrate:calibrate", "Fit a network to nccl-tests of your own."),
    "replay": Command("colossus_sim.cli.replay:replay", "Replay a job log under a scheduling policy."),
    "schema": Command("colossus_sim.cli.schema:schema", "Print the JSON Schema of a file, for editors."),
}

EXAMPLES = """\b
Examples:
  colossus-sim run scenarios/quickstart.yaml
  colossus-sim check scenarios/*.yaml --explain
  colossus-sim run colossus_roadmap --case high --set jobs.grok_5_6t.gpus=110592
  colossus-sim catalog gpus

Exit codes: 0 done, 1 bug, 2 wrong usage or input, 3 no progress or failed runs, 4 output, 130 interrupted,
141 nobody reads the output any more."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is no such name."""
        command = COMMANDS.get(cmd_name)
        if command is None:
            return None
        module, _, attribute = command.target.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown one, name the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from colossus_sim.loading.suggest import nearest_hint

            raise UsageError(f"there is no command {args[0]!r}; {nearest_hint(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="colossus-sim", message="%(prog)s %(version)s")
def cli() -> None:
    """Play a GPU cluster and its roadmap of training runs: when will which model be done, and why not earlier?"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run_command_line(list(sys.argv[1:] if arguments is None else arguments)))


def run_command_line(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors for the user are one message, without a traceback."""
    as_json, verbose = "--json" in arguments, "-v" in arguments or "--verbose" in arguments
    try:
        result: Any = cli.main(arguments, prog_name="colossus-sim", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except ColossusError as error:
        if verbose and isinstance(error, PolicyError):
            _traceback(error)
        return _report(error, as_json)
    except SystemExit:  # click ends the program where the reader of standard output has gone
        return _reader_gone()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return _report(_usage(error), as_json)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return _report(UsageError(f"the name of the file is too long: {error.filename}"), as_json)
        if error.errno != errno.ENOSPC:
            return _bug(error, verbose)
        _silence_stdout()
        return _report(OutputError("no space left to write the output"), as_json=False)
    except Exception as error:  # noqa: BLE001 - the last door: a bug must not look like a crash of Python
        return _bug(error, verbose)


def _usage(error: click.ClickException) -> UsageError:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is not None:
        message += f"\n(see '{context.command_path} --help')"
    return UsageError(message)


def _report(error: ColossusError, as_json: bool) -> int:
    if as_json:
        click.echo(json_module.dumps(error_as_json(error), indent=2))
        return error.exit_code
    text = str(error)
    click.echo(plain(text if text.startswith("error: ") else f"error: {text}"), err=True)
    return error.exit_code


def _bug(error: Exception, verbose: bool) -> int:
    if verbose:
        _traceback(error)
    else:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}:{where.lineno}"  # noqa: PTH119
        click.echo(
            plain(
                f"error: a bug in colossus-sim: {type(error).__name__} at {place}: {error} (-v shows more)"
            ),
            err=True,
        )
    return 1


def _traceback(error: Exception) -> None:
    click.echo(plain("".join(traceback.format_exception(error))), err=True, nl=False)


def _reader_gone() -> int:
    """Whoever read our output has gone, as `head` does: say nothing, and end as a program does then."""
    _silence_stdout()
    return PIPE_CLOSED


def _silence_stdout() -> None:
    """Do not let the interpreter complain when it flushes at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
