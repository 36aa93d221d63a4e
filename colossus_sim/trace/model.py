"""What a trace holds, whatever the file format. Times in integer nanoseconds from the start of the trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Slice(NamedTuple):
    """Something that lasts."""

    name: str
    start: int
    end: int
    category: str
    details: tuple[tuple[str, str], ...] = ()


class Mark(NamedTuple):
    """Something that happens at a moment."""

    name: str
    time: int
    category: str
    details: tuple[tuple[str, str], ...] = ()


class Counter(NamedTuple):
    """A value from a moment on."""

    time: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A line of the timeline; slices of one track do not overlap.

    Attributes
    ----------
    group : str
        Heading under which the track stands.
    unit : str
        Unit of the counters.
    """

    name: str
    group: str
    slices: tuple[Slice, ...] = ()
    marks: tuple[Mark, ...] = ()
    counters: tuple[Counter, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All tracks of one timeline."""

    title: str
    tracks: tuple[Track, ...]


def nanoseconds(seconds: float) -> int:
    """Return seconds as whole nanoseconds."""
    return round(seconds * 1e9)
