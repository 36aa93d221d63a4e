"""Scheduling policies: the order of the queue, and who may pass whom."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from colossus_sim.engine.bookings import Profile, expected_profile
from colossus_sim.policies import Passing, QueuedJob, load, rank_of

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun
    from colossus_sim.engine.scheduler import Scheduler
    from colossus_sim.engine.site import PartitionState

Order = Callable[["Scheduler", "PhaseRun"], tuple[float, ...]]
Discipline = Callable[["Scheduler", Sequence["PhaseRun"]], None]


# -- orders ----------------------------------------------------------------------------------------------


def by_submission(scheduler: Scheduler, phase: PhaseRun) -> tuple[float, float, int]:
    """First come, first served."""
    return (0.0, phase.queued_since, phase.number)


def by_priority(scheduler: Scheduler, phase: PhaseRun) -> tuple[float, float, int]:
    """Largest priority first, then first come."""
    return (-float(phase.job.priority), phase.queued_since, phase.number)


def by_usage(scheduler: Scheduler, phase: PhaseRun) -> tuple[float, float, int]:
    """Fair share: the account that has held the fewest GPU-seconds so far first."""
    return (scheduler.usage_of(phase), phase.queued_since, phase.number)


def by_slack(scheduler: Scheduler, phase: PhaseRun) -> tuple[float, float, int]:
    """Least slack first: time to the target date less the work left; jobs without a date last."""
    target = phase.job.target
    if target is None:
        return (math.inf, -float(phase.job.priority), phase.number)
    due = phase.world.clock(target.date)
    return (due - phase.time_left(), phase.queued_since, phase.number)


# -- disciplines -----------------------------------------------------------------------------------------


def strict(scheduler: Scheduler, waiting: Sequence[PhaseRun]) -> None:
    """Nobody passes anybody at the same site."""
    blocked: set[str] = set()
    for phase in waiting:
        if phase.site.name not in blocked and not scheduler.start(phase):
            scheduler.preempt_for(phase)
            blocked.add(phase.site.name)


def greedy(scheduler: Scheduler, waiting: Sequence[PhaseRun]) -> None:
    """Whoever fits starts, even if that makes an earlier one wait longer (a large job may starve)."""
    closed: set[PartitionState] = set()
    for phase in waiting:
        if not scheduler.start(phase, closed):
            _empty_for(scheduler, phase, closed)


def _empty_for(scheduler: Scheduler, phase: PhaseRun, closed: set[PartitionState]) -> None:
    """Preempt for a phase, and keep what comes free for it."""
    partition = scheduler.preempt_for(phase)
    if partition is not None:
        closed.add(partition)


def easy(scheduler: Scheduler, waiting: Sequence[PhaseRun]) -> None:
    """EASY backfill: nobody delays the expected start of the first one that does not fit.

    Aggressive backfilling with one reservation (Mu'alem and Feitelson 2001, doi:10.1109/71.932708); run times
    are the jobs' announced walltimes; the queue is scanned once in order, first fit.
    """
    _backfill(scheduler, waiting, reservations=1)


def conservative(scheduler: Scheduler, waiting: Sequence[PhaseRun]) -> None:
    """Conservative backfill: nobody delays the expected start of anybody before it (same source)."""
    _backfill(scheduler, waiting, reservations=len(waiting))


def _backfill(scheduler: Scheduler, waiting: Sequence[PhaseRun], *, reservations: int) -> None:
    profiles: dict[int, Profile] = {}
    closed: set[PartitionState] = set()
    given: dict[str, int] = {}
    for phase in waiting:
        partition = phase.candidates[0]
        site = phase.site.name
        reserved = given.get(site, 0)
        if not reserved and scheduler.start(phase):
            continue
        if id(partition) not in profiles:
            booked = scheduler.bookings.later(partition, phase.now)
            profiles[id(partition)] = expected_profile(scheduler, phase.site, partition, phase.now, booked)
        profile = profiles[id(partition)]
        need, length = phase.least_to_start(partition), phase.expected_run()
        start = profile.earliest(need, length)
        if start <= phase.now and scheduler.start(phase, closed):
            profile.take(phase.now, phase.now + length, phase.held_partition().pool.held(phase.number))
        elif reserved < reservations:
            if not reserved:
                _empty_for(scheduler, phase, closed)
            given[site] = reserved + 1
            profile.take(start, start + length, need)


@dataclass(frozen=True, slots=True)
class Policy:
    """How the queue is sorted and served."""

    order: Order
    discipline: Discipline


SCHEDULERS: Mapping[str, Policy] = MappingProxyType(
    {
        "fifo": Policy(by_submission, strict),
        "priority": Policy(by_priority, strict),
        "priority_backfill": Policy(by_priority, greedy),
        "easy_backfill": Policy(by_submission, easy),
        "conservative_backfill": Policy(by_submission, conservative),
        "fair_share": Policy(by_usage, greedy),
        "deadline": Policy(by_slack, greedy),
    }
)
"""Built-in scheduling policies by name (``policies.scheduler``)."""


# -- policies from outside -------------------------------------------------------------------------------


DISCIPLINES: Mapping[Passing, Discipline] = MappingProxyType(
    {"strict": strict, "first_fit": greedy, "easy": easy, "conservative": conservative}
)
"""Who may pass whom, as a policy from outside names it."""


def queued_job(scheduler: Scheduler, phase: PhaseRun) -> QueuedJob:
    """Return what a policy from outside may know of a phase."""
    target = phase.job.target
    first = phase.candidates[0]
    partition = phase.partition or first
    return QueuedJob(
        job=phase.job_name,
        phase=phase.name,
        site=phase.site.name,
        account=phase.account,
        priority=phase.job.priority,
        queued_since=phase.queued_since,
        gpus=phase.least_to_start(first) * first.pool.used_per_domain,
        free_gpus=scheduler.room(phase.site, partition) * partition.pool.used_per_domain,
        work_left=phase.time_left(),
        expected_run=phase.expected_run(),
        due=math.inf if target is None else phase.world.clock(target.date),
        account_gpu_seconds=scheduler.usage_of(phase),
    )


def policy_named(name: str) -> Policy:
    """Return a policy, built in or offered by a package, new for one run."""
    if name in SCHEDULERS:
        return SCHEDULERS[name]
    offered = load(name)

    def order(scheduler: Scheduler, phase: PhaseRun) -> tuple[float, ...]:
        rank = rank_of(name, offered, queued_job(scheduler, phase), phase.now)
        return (*rank, phase.queued_since, phase.number)

    return Policy(order, DISCIPLINES[offered.passing])
