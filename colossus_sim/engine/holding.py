"""The GPUs of one phase: how many it wants, which it has, where its ranks sit, where it saves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from colossus_sim.engine.checkpointing import save_tiers
from colossus_sim.engine.pool import SPARE
from colossus_sim.engine.progress import SaveTier
from colossus_sim.engine.recovery import launch_time
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.engine.storage_traffic import storage_traffic
from colossus_sim.engine.work import Work
from colossus_sim.network.sharing import JobDemand
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.checkpoint import CheckpointPolicy
from colossus_sim.specs.job import Job, Phase

if TYPE_CHECKING:
    from colossus_sim.engine.world import World


class UnitEstimate(Protocol):
    """Time and traffic of one unit of work."""

    @property
    def time(self) -> float:
        """Seconds."""

    @property
    def traffic(self) -> tuple[float, ...]:
        """Bytes per GPU and fabric level."""

    @property
    def flatness(self) -> tuple[float, ...]:
        """See `JobDemand`."""


class PhaseModel(Protocol):
    """What the engine needs to know of the work (see ``training.phases.PhaseModel``)."""

    units: int
    tokens_per_unit: float
    state_bytes: float
    gpus_wanted: int
    reference_time: float
    planned_unit_time: float

    def unit(
        self, gpus: int, placement: Placement, bandwidths: tuple[float, ...] | None = None
    ) -> UnitEstimate:
        """Time and traffic of one unit on these GPUs."""

    def usable_gpus(self, gpus: int) -> int:
        """How many of so many GPUs the plan can use."""


class Holding:
    """What a phase has of a site."""

    def __init__(self, world: World, names: tuple[str, str], models: dict[str, PhaseModel]) -> None:
        self.world = world
        self._agenda = world.agenda
        self.number = len(world.phases)
        """Its place among all phases; it owns its domains under this number."""
        self.job_name, self.name = names
        self.job: Job = world.scenario.jobs[self.job_name]
        self.spec: Phase = self.job.phases[self.name]
        self.models = models
        self.site: SiteState = world.sites[self.job.site]
        self.candidates = [self.site.partitions[name] for name in models]
        self.model = next(iter(models.values()))
        self.work = Work(self.model.units, world.recorder)
        self.partition: PartitionState | None = None
        self.domains: dict[int, None] = {}
        """Domains at hand, in rank order (a dictionary, so that one of thousands leaves at once)."""
        self.wanted_domains = 0
        self.gpus = 0
        self.layout = 0
        """Changes whenever the ranks are placed anew."""
        self.held_since = 0.0
        """When the run on the GPUs at hand began. [s]"""
        self.chosen_anew = False
        """Whether units were chosen since the last restart: no warm spare took the place of what failed."""
        self.account = self.job.account or self.job_name
        self._placement: Placement | None = None
        self._known_tiers: dict[tuple[int, int, float, int], tuple[SaveTier, ...]] = {}

    @property
    def now(self) -> float:
        """Seconds since the scenario's start."""
        return self._agenda.now

    def where(self) -> tuple[str, str, str, str]:
        """Return site, partition, job and phase, for the event log."""
        partition = self.partition.pool.name if self.partition else ""
        return self.site.name, partition, self.job_name, self.name

    def held_partition(self) -> PartitionState:
        """Return the partition that the phase runs in.

        Raises
        ------
        RuntimeError
            If it holds no GPUs (a bug).
        """
        if self.partition is None:
            raise RuntimeError(f"{self.job_name}/{self.name} holds no GPUs")
        return self.partition

    @property
    def ranks_per_domain(self) -> int:
        """Ranks in one scale-up domain of the partition."""
        return self.held_partition().pool.used_per_domain

    @property
    def most_gpus(self) -> int:
        """GPUs it would use at most."""
        scale = self.model.gpus_wanted / self.job.gpus
        return max(self.model.gpus_wanted, math.floor((self.job.max_gpus or 0) * scale))

    def time_left(self) -> float:
        """Return the time that the work left takes at the reference pace. [s]"""
        return (self.work.total - self.work.units) * self.model.reference_time

    def expected_run(self) -> float:
        """Return how long a run that starts now is announced to take. [s]"""
        if self.job.walltime is not None:
            return self.job.walltime
        return launch_time(self.world.scenario.faults.restart, self.model.gpus_wanted) + self.time_left()

    def expected_end(self) -> float:
        """Return when a run under way is announced to end; never in the past. [s]"""
        if self.job.walltime is not None:
            return max(self.now, self.held_since + self.job.walltime)
        if self.work.underway:
            return max(self.now, self.work.time_of(self.work.total))
        return max(self.now + self.time_left(), self.held_since + self.expected_run())

    def held_gpu_seconds(self) -> float:
        """Return the GPU-seconds of the run under way, spares of its own included."""
        domains = len(self.domains) + self.job.spare_domains
        return (self.now - self.held_since) * domains * self.ranks_per_domain

    def least_domains(self, partition: PartitionState) -> int:
        """Domains without which it does not run."""
        wanted = self.models[partition.pool.name].gpus_wanted
        least = self.job.min_gpus
        gpus = wanted if least is None else min(wanted, least)
        return partition.pool.domains_for(gpus)

    def least_to_start(self, partition: PartitionState) -> int:
        """Domains without which it does not start: those, and its own spares."""
        return self.least_domains(partition) + self.job.spare_domains

    def booked_domains(self, partition: PartitionState) -> int:
        """Domains that a reservation keeps for it."""
        wanted = partition.pool.domains_for(self.models[partition.pool.name].gpus_wanted)
        return wanted + self.job.spare_domains

    def domains_to_start(self, partition: PartitionState) -> int:
        """Return how many domains it takes now, beside its own spares; 0 if it cannot start."""
        if self.now < self.site.outage_until:
            return 0
        free = min(
            self.world.scheduler.room(self.site, partition),
            partition.pool.available() - self.job.spare_domains,
        )
        wanted = partition.pool.domains_for(self.models[partition.pool.name].gpus_wanted)
        if free >= wanted:
            return wanted
        elastic = self.job.min_gpus is not None and free >= self.least_domains(partition)
        return free if elastic and self.model.usable_gpus(free * partition.pool.used_per_domain) else 0

    def grant(self, partition: PartitionState, domains: list[int]) -> None:
        """Take over domains, at the start of a run."""
        self.partition = partition
        self.model = self.models[partition.pool.name]
        self.domains = dict.fromkeys(domains)
        self.wanted_domains = len(domains)
        self._placement = None
        self.layout += 1
        self.held_since = self.now
        self.chosen_anew = True
        self.fit()
        self.world.holding_changed(self)

    def fit(self) -> None:
        """Set the GPUs that compute to what the domains at hand allow."""
        room = len(self.domains) * self.ranks_per_domain
        self.gpus = self.model.usable_gpus(min(room, self.most_gpus))

    def placement(self) -> Placement:
        """Where the ranks sit. A replaced domain counts as near as the one it replaces."""
        if self._placement is None:
            self._placement = self.held_partition().pool.placement(list(self.domains))
        return self._placement

    def packed_time(self) -> float:
        """Time of one unit if the GPUs at hand were packed on an empty partition. [s]"""
        if self.gpus == self.model.gpus_wanted:
            return self.model.reference_time
        packed = self.held_partition().pool.placement(range(len(self.domains)))
        return self.model.unit(self.gpus, packed).time

    def resized(self) -> None:
        """The number of domains has changed: place the ranks anew."""
        self._placement = None
        self.wanted_domains = len(self.domains)
        self.layout += 1
        self.fit()
        self.world.holding_changed(self)

    def demand(self) -> JobDemand:
        """What it asks of the network."""
        alone = self.held_partition().alone(self)
        estimate = self.model.unit(self.gpus, self.placement(), alone)
        mean, peak = storage_traffic(self)
        return JobDemand(
            name=str(self.number),
            placement=self.placement(),
            gpus=self.gpus,
            traffic=estimate.traffic,
            flatness=estimate.flatness,
            step_time=estimate.time,
            storage=mean,
            storage_peak=peak,
        )

    def unit_time(self, bandwidths: tuple[float, ...]) -> float:
        """Time of one unit when each fabric level has so much bandwidth per GPU. [s]"""
        return self.model.unit(self.gpus, self.placement(), bandwidths).time

    def take_replacements(self) -> bool:
        """Fill up with spare or free domains; return whether none is missing."""
        pool = self.held_partition().pool
        while len(self.domains) < self.wanted_domains and self.now >= self.site.outage_until:
            spares = pool.counts[SPARE] + pool.own.count(self.number)
            domain = pool.replace(self.number)
            if domain is None:
                break
            if not spares:
                self.chosen_anew = True
                if pool.spec.refill_spares:
                    pool.refill_spares()
            self.domains[domain] = None
            self.world.note_level(self.site, self.held_partition())
        return len(self.domains) >= self.wanted_domains and self.now >= self.site.outage_until

    @property
    def can_shrink(self) -> bool:
        """Whether it may go on with the domains that it has left."""
        if self.job.min_gpus is None or len(self.domains) < self.least_domains(self.held_partition()):
            return False
        return self.model.usable_gpus(len(self.domains) * self.ranks_per_domain) > 0

    @property
    def policy(self) -> CheckpointPolicy:
        """When and where it saves."""
        return self.job.checkpoint or self.world.scenario.checkpoint

    def refresh_tiers(self) -> None:
        """Work out the saves anew: the share of the storage or the GPUs have changed."""
        if self.world.faults.ageing:
            self._known_tiers.clear()
        share = self.site.storage_share(self.number)
        readers = max(1, self.site.readers) if self.site.desk is None else 1
        key = (self.layout, len(self.domains), share, readers)
        if key not in self._known_tiers:
            self._known_tiers[key] = save_tiers(
                self.policy,
                storage=self.site.spec.storage,
                state_bytes=self.model.state_bytes,
                gpus=self.gpus,
                unit_time=self.unit_time(self.held_partition().alone(self)),
                failure_rates=self.world.faults.rates(self),
                share=share,
                readers=readers,
            )
        self.work.tiers = self._known_tiers[key]
