"""Scheduling policies from outside: what one implements, and how one is found.

A package (or a folder on the path, see docs/extending.md) offers a policy under an entry point of the group
`colossus_sim.policies`. The entry point's name is what a scenario writes as ``policies.scheduler``; its object is a
class, or another callable without arguments, that makes a `SchedulingPolicy`. It is imported only when a scenario
names it, and called once per run, so that what a policy remembers never passes from one run to the next. Names of
built-in policies cannot be taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, Protocol, get_args

from colossus_sim.errors import PolicyError, UsageError

GROUP = "colossus_sim.policies"
"""Entry point group in which policies are offered."""

BuiltIn = Literal[
    "fifo",
    "priority",
    "priority_backfill",
    "easy_backfill",
    "conservative_backfill",
    "fair_share",
    "deadline",
]
BUILT_IN: tuple[str, ...] = get_args(BuiltIn)

Passing = Literal["strict", "first_fit", "easy", "conservative"]
"""Who may pass one that does not fit yet: nobody at its site; whoever fits; whoever by the announced run times does
not delay the first one that waits, or anybody who waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """What a policy may know of a phase of a job; times count from the scenario's start.

    Attributes
    ----------
    job, phase : str
        Names, as in the scenario.
    site : str
        Where it runs.
    account : str
        Who pays: the job's account, or its name.
    priority : int
        Larger is more important.
    queued_since : float
        When it entered the queue last. [s]
    gpus : int
        The fewest GPUs with which it starts, its own spares included, in whole scale-up domains of the first
        partition that it may use.
    free_gpus : int
        GPUs that jobs could take in that partition now, or in the one in which it runs.
    work_left : float
        Modelled time of the work left, without failures. [s]
    expected_run : float
        How long a run is announced to take: the job's walltime, else `work_left`. [s]
    due : float
        Target date of the job; infinity without one. [s]
    account_gpu_seconds : float
        What its account has held so far. [GPU s]
    """

    job: str
    phase: str
    site: str
    account: str
    priority: int
    queued_since: float
    gpus: int
    free_gpus: int
    work_left: float
    expected_run: float
    due: float
    account_gpu_seconds: float


class SchedulingPolicy(Protocol):
    """The order in which jobs are served, and who may pass whom.

    The engine asks for the rank of every waiting job each time that something may start: a job came or ended, GPUs
    failed or were repaired, capacity changed. It serves the smallest rank first, and equal ranks in order of
    submission, then as written in the scenario. By the same rank it serves jobs that wait for replacements, and
    elastic jobs that may grow. Allocation, preemption, reservations and power limits stay with the engine.

    A rank is a pure choice: the same job at the same time gives the same rank. With a clock or unseeded random
    numbers, the same seed would no longer give the same result.
    """

    passing: Passing
    """Who may pass one that does not fit yet."""

    def rank(self, job: QueuedJob, now: float) -> float | tuple[float, ...]:
        """Return where a job stands at a time [s]: smaller goes first; tuples of one length, compared in order."""


def offered() -> tuple[str, ...]:
    """Return the names of the policies that packages offer, without importing any."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)))


def known() -> tuple[str, ...]:
    """Return every name that a scenario may write, built-in ones first."""
    return (*BUILT_IN, *offered())


def origin(name: str) -> str:
    """Return the package and version that offer a policy, and the object; empty if it is built in or unknown."""
    points = [] if name in BUILT_IN else _points(name)
    return ", ".join(f"{_package(point)}: {point.value}" for point in points)


def load(name: str) -> SchedulingPolicy:
    """Import and make a policy that a package offers.

    Raises
    ------
    UsageError
        If no package offers it, more than one does, or (`PolicyError`) it does not work.
    """
    points = _points(name)
    if not points:
        raise UsageError(
            f"no scheduling policy {name!r}: known are {', '.join(known())}; a package may add more"
        )
    if len(points) > 1:
        raise UsageError(f"more than one package offers the scheduling policy {name!r}: {origin(name)}")
    try:
        policy: SchedulingPolicy = points[0].load()()
        passing = getattr(policy, "passing", None)
    except (Exception, SystemExit) as error:  # whatever code from outside raises, it is to blame
        raise _broken(name, f"cannot be loaded: {_words(error)}") from error
    if passing not in get_args(Passing):
        choices = ", ".join(get_args(Passing))
        raise _broken(name, f"its 'passing' must be one of {choices}, and is {passing!r}")
    if not callable(getattr(policy, "rank", None)):
        raise _broken(name, "it has no method rank(job, now)")
    return policy


def rank_of(name: str, policy: SchedulingPolicy, job: QueuedJob, now: float) -> tuple[float, ...]:
    """Return the rank of a job as a tuple of numbers.

    Raises
    ------
    PolicyError
        If the policy fails, or returns anything but numbers; NaN is none.
    """
    try:
        found = policy.rank(job, now)
        rank = tuple(float(part) for part in (found if isinstance(found, Iterable) else (found,)))
    except (Exception, SystemExit) as error:
        raise _broken(name, f"rank() of {job.job}/{job.phase} failed: {_words(error)}") from error
    if not rank or any(math.isnan(part) for part in rank):
        raise _broken(name, f"rank() of {job.job}/{job.phase} must be numbers, and is {found!r}")
    return rank


def _points(name: str) -> list[EntryPoint]:
    """Return what offers a name. The same package twice on the path counts once: Python imports the first."""
    found: dict[tuple[str, str], EntryPoint] = {}
    for point in entry_points(group=GROUP, name=name):
        package = "" if point.dist is None else point.dist.name
        found.setdefault((package, point.value), point)
    return [found[key] for key in sorted(found)]


def _package(point: EntryPoint) -> str:
    return "?" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _broken(name: str, what: str) -> PolicyError:
    return PolicyError(f"scheduling policy {name!r} ({origin(name)}): {what}")
