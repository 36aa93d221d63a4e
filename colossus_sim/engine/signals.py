"""What can happen to a running phase, as typed messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something broke (or is to be taken out) under the phase.

    Attributes
    ----------
    cause : str
        Failure class.
    rank : int
        Largest thing removed, see ``checkpointing.REMOVES``.
    detection : float
        Time until the restart is decided. [s]
    planned : bool
        Announced: the phase saves first and loses nothing.
    undetected : float
        Time before that for which nobody notices, and all work is in vain. [s]
    """

    cause: str
    rank: int
    detection: float
    planned: bool = False
    undetected: float = 0.0


@dataclass(frozen=True, slots=True)
class Rerate:
    """The pace may have changed: links, power, storage share, or a unit that slows the step."""


@dataclass(frozen=True, slots=True)
class Granted:
    """GPUs were given to the queued phase, or to one that waits for replacements."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Save, give the GPUs back and queue again.

    Attributes
    ----------
    cause : str
        How the wait is booked.
    at_once : bool
        The GPUs go now: a removal announced in good time, for which the phase has saved already.
    """

    cause: str
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Grow:
    """More GPUs are free: save, take them and go on."""


Signal = Failure | Rerate | Granted | Stop | Grow
