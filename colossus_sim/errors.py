"""Every error that a user can cause, each with its own exit code.

Anything else that escapes is a bug of ours and exits with 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ColossusError(Exception):
    """Base of all errors that are meant for the user."""

    exit_code = 1


class UsageError(ColossusError):
    """The command line, or an argument of the API, makes no sense."""

    exit_code = 2


class PolicyError(UsageError):
    """A scheduling policy from outside does not work; what it raised is the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with the input.

    Attributes
    ----------
    path : str
        Dotted path of the field, e.g. ``jobs.grok_5_10t.gpus``; empty for the file as a whole.
    message : str
        What is wrong.
    hint : str
        What would be right; may be empty.
    where : str
        ``file:line:column`` or ``--set #1``; may be empty.
    source_line : str
        The text of that line, to be shown with a caret; may be empty.
    column : int
        1-based column for the caret; 0 if unknown.
    """

    path: str
    message: str
    hint: str = ""
    where: str = ""
    source_line: str = ""
    column: int = 0

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        path = f"{self.path}: " if self.path else ""
        text = f"error: {head}{path}{self.message}"
        if self.hint:
            text += f"; {self.hint}"
        if self.source_line:
            text += f"\n    | {self.source_line}"
            if self.column > 0:
                text += "\n    | " + " " * (self.column - 1) + "^"
        return text


class ScenarioError(ColossusError):
    """The scenario (or a file it names) is wrong. Carries all problems found."""

    exit_code = 2
    max_shown = 20

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        shown = [str(problem) for problem in self.problems[: self.max_shown]]
        hidden = len(self.problems) - len(shown)
        if hidden > 0:
            shown.append(f"... and {hidden} more")
        return "\n".join(shown)


class InfeasibleError(ScenarioError):
    """The scenario is well formed, but a plan does not fit: memory, GPUs, divisibility."""


class SimulationError(ColossusError):
    """The run could not make progress (deadlock, no restart ever completes)."""

    exit_code = 3


class OutputError(ColossusError):
    """Disk full, no permission, output folder in use."""

    exit_code = 4
