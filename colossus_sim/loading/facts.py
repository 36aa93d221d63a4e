"""What is known about how a scenario was put together: files, origins, assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from colossus_sim.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """A value of which the file gives a range.

    Attributes
    ----------
    path : str
        Dotted path of the field.
    low, central, high : Any
        The three values as written; `low` and `high` fall back to `central`.
    chosen : str
        Which of them this scenario uses: low, central, high.
    source : str
        Where the range comes from; may be empty.
    note : str
        Remark; may be empty.
    where : str
        ``file:line:column``.
    """

    path: str
    low: Any
    central: Any
    high: Any
    chosen: str
    source: str = ""
    note: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """A file that was read, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFacts:
    """How a scenario came about; reachable as ``scenario.loaded``.

    Attributes
    ----------
    source : str
        Name or path that was asked for.
    case : str
        low, central, high.
    overrides : tuple of str
        The ``--set`` texts.
    files : tuple of FileFact
        Every file that was read, catalogs included.
    assumptions : tuple of Assumption
        Values with a range.
    origins : mapping of str to str
        Dotted path of every leaf in the files -> ``file:line:column`` or ``--set #1``; a field that is
        missing here has its default.
    tree : mapping
        The resolved scenario, references expanded and case chosen, as plain data with units as written.
    warnings : tuple of Problem
        Settings that have no effect, and the like.
    root : Any
        The resolved scenario with the place of every value, for messages.
    """

    source: str
    case: str
    overrides: tuple[str, ...] = ()
    files: tuple[FileFact, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    tree: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    root: Any = None
