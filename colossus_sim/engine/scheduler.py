"""Who gets GPUs: queues, priorities, backfill, preemption, replacements."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from colossus_sim.engine.bookings import Bookings
from colossus_sim.engine.disciplines import policy_named
from colossus_sim.engine.signals import Granted, Grow, Stop
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.specs.policies import Policies

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun


class Scheduler:
    """Gang allocation of whole scale-up domains."""

    def __init__(self, policies: Policies, rng: np.random.Generator) -> None:
        self._policies = policies
        self._policy = policy_named(policies.scheduler)
        self._usage: dict[str, float] = {}
        self._rng = rng
        self.queue: list[PhaseRun] = []
        self.broken: list[PhaseRun] = []
        """Phases that hold some of their GPUs and wait for replacements."""
        self.holders: dict[int, PhaseRun] = {}
        self.bookings = Bookings()
        self.elastic = False
        """Whether any job may grow or shrink."""

    def usage_of(self, phase: PhaseRun) -> float:
        """Return the GPU-seconds that the account of a phase has held so far."""
        account = phase.account
        holders = (holder for holder in self.holders.values() if holder.account == account)
        return self._usage.get(account, 0.0) + sum(holder.held_gpu_seconds() for holder in holders)

    def returned(self, phase: PhaseRun) -> None:
        """Note that a phase gives its GPUs back."""
        self._usage[phase.account] = self._usage.get(phase.account, 0.0) + phase.held_gpu_seconds()
        self.holders.pop(phase.number, None)

    @property
    def has_work(self) -> bool:
        """Whether somebody waits, or might take more."""
        return bool(self.queue or self.broken or self.elastic)

    def run(self) -> None:
        """Serve everybody who can be served now."""
        self._replace()
        self._policy.discipline(self, self._sorted(self.queue))
        self._grow()

    def _sorted(self, phases: Iterable[PhaseRun]) -> list[PhaseRun]:
        found = sorted(phases, key=lambda phase: self._policy.order(self, phase))
        if self.bookings:  # whoever waits past its reservation goes first
            found.sort(key=lambda phase: phase not in self.bookings)
        return found

    def room(self, site: SiteState, partition: PartitionState) -> int:
        """Return the domains that jobs could take now: free ones, as far as the power of the site goes."""
        return site.room(partition, self.holders.values())

    def _replace(self) -> None:
        for phase in self._sorted(self.broken):
            before = len(phase.domains)
            complete = phase.take_replacements()
            if complete:
                self.broken.remove(phase)
            if complete or len(phase.domains) > before:
                phase.notify(Granted())

    def start(self, phase: PhaseRun, closed: Collection[PartitionState] = ()) -> bool:
        """Give a queued phase GPUs outside the closed partitions, if it can start now; return whether it does."""
        for partition in phase.candidates:
            if partition in closed:
                continue
            domains = phase.domains_to_start(partition)
            until = phase.now + phase.expected_run() if domains and self.bookings else 0.0
            spares = phase.job.spare_domains
            if domains and self.bookings.leave(self, phase, partition, domains + spares, until):
                chosen = partition.pool.allocate(
                    phase.number,
                    domains,
                    self._policies.placement,
                    self._rng,
                    first=phase.job.first_domain,
                    spares=spares,
                )
                phase.grant(partition, chosen)
                self.holders[phase.number] = phase
                self.bookings.started(phase)
                self.queue.remove(phase)
                phase.notify(Granted())
                return True
        return False

    def preempt_for(self, phase: PhaseRun) -> PartitionState | None:
        """Ask phases of lower priority to save and leave, lowest first, if that makes enough room.

        Returns the partition that is being emptied, if any. Nobody behind in the queue may start there: it would
        take what has come free, be stopped in turn, and so on for ever. Nor is anybody stopped for a phase that
        would run into a reservation, and so could not start.
        """
        if self._policies.preemption != "priority":
            return None
        for partition in phase.candidates:
            if self.bookings.before(phase, partition, phase.now + phase.expected_run()):
                continue
            # Domains that come free fill the missing spares first, so that much more has to be freed.
            pool = partition.pool
            missing = pool.kept_missing
            need = phase.least_to_start(partition) - self.room(phase.site, partition) + missing
            leaving = self._leaving(partition)
            need -= sum(partition.pool.held(victim.number) for victim in leaving)
            victims = []
            for victim in sorted(
                self.holders.values(), key=lambda holder: (holder.job.priority, -holder.number)
            ):
                if need <= 0:
                    break
                if (
                    victim.partition is partition
                    and victim.job.priority < phase.job.priority
                    and not victim.leaving
                ):
                    victims.append(victim)
                    need -= partition.pool.held(victim.number)
            if need <= 0:
                for victim in _needed(victims, -need):
                    victim.leaving = True
                    victim.notify(Stop("gpu_wait"))
                return partition if victims or leaving else None
        return None

    def _leaving(self, partition: PartitionState) -> list[PhaseRun]:
        return [
            holder for holder in self.holders.values() if holder.leaving and holder.partition is partition
        ]

    def _grow(self) -> None:
        """Give idle GPUs to elastic jobs, if nobody waits and the gain is worth the stop."""
        if not self.elastic or self.queue or self.broken:
            return
        for phase in self._sorted(self.holders.values()):
            if phase.partition is None or phase.leaving or phase.growing or not phase.underway:
                continue
            free = self.room(phase.site, phase.partition)
            more = phase.model.usable_gpus(
                min(phase.most_gpus, (len(phase.domains) + free) * phase.ranks_per_domain)
            )
            wanted = min(free, phase.partition.pool.domains_for(phase.most_gpus) - len(phase.domains))
            if more >= phase.gpus * (1.0 + self._policies.resize_gain) and self.bookings.leave(
                self, phase, phase.partition, wanted, phase.expected_end()
            ):
                phase.growing = True
                phase.notify(Grow())
                return


def _needed(victims: list[PhaseRun], surplus: int) -> list[PhaseRun]:
    """Spare those that need not leave because the others free enough: high priorities first, then small ones."""
    needed = list(victims)
    freed = {victim: victim.held_partition().pool.held(victim.number) for victim in victims}
    for victim in sorted(victims, key=lambda one: (-one.job.priority, freed[one])):
        if freed[victim] <= surplus:
            needed.remove(victim)
            surplus -= freed[victim]
    return needed
