"""One site during a run: its pools, its links and storage as the phases share them, its power."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from colossus_sim.engine.checkpointing import storage_share
from colossus_sim.engine.degradation import Degradation, SlowUnit, limited, slowest
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.signals import Rerate
from colossus_sim.engine.storage_desk import StorageDesk
from colossus_sim.engine.storage_traffic import storage_traffic
from colossus_sim.network.sharing import LinkSharing
from colossus_sim.records import LevelRow
from colossus_sim.specs.cluster import Site
from colossus_sim.topology.fabric import Fabric

if TYPE_CHECKING:
    from colossus_sim.engine.holding import Holding
    from colossus_sim.engine.phase import PhaseRun


class PartitionState:
    """One partition: its domains, and the phases that compute on it."""

    def __init__(self, pool: PartitionPool, fabric: Fabric, contention: str) -> None:
        self.pool = pool
        self.fabric = fabric
        self.links = LinkSharing(fabric)
        self.computing: dict[int, PhaseRun] = {}
        self.in_vain: dict[int, PhaseRun] = {}
        """Phases that compute on what is lost already: full power, no use of the links."""
        self.computing_gpus = 0
        self.bandwidths: dict[int, tuple[float, ...]] = {}
        self.degradations: dict[int, Degradation] = {}
        """Broken network parts by number, until they are repaired."""
        self.slow: dict[int, SlowUnit] = {}
        """Slow units by number, until they are found or leave service with something else."""
        self.power_state: tuple[int, int, float] | None = None
        """Installed and computing GPUs and clock factor for which `power` was worked out."""
        self.power = 0.0
        """Power with cooling. [W]"""
        self._contention = contention
        self._alone: dict[tuple[int, int], tuple[float, ...]] = {}
        self._known: dict[tuple[tuple[int, int, float], ...], dict[int, tuple[float, ...]]] = {}

    def limited(self, phase: PhaseRun) -> tuple[float, ...]:
        """Return what a phase gets of the links now, broken ones in its groups included. [B/s]"""
        mine = self.bandwidths[phase.number]
        return limited(mine, phase.domains, tuple(self.degradations.values())) if self.degradations else mine

    def slowdown(self, phase: PhaseRun) -> float:
        """Return the step-time factor that the slow units among its domains cause."""
        return slowest(phase.domains, self.slow.values()) if self.slow else 1.0

    def enter(self, phase: PhaseRun) -> None:
        """A phase begins to compute."""
        self.computing[phase.number] = phase
        self.computing_gpus += phase.gpus

    def leave(self, phase: PhaseRun) -> None:
        """A phase stops computing, before its GPUs change."""
        del self.computing[phase.number]
        self.computing_gpus -= phase.gpus

    def load(self, phase: PhaseRun, gpus: int) -> None:
        """A phase begins to compute in vain on so many GPUs, or stops (negative)."""
        self.computing_gpus += gpus
        if gpus > 0:
            self.in_vain[phase.number] = phase
        else:
            self.in_vain.pop(phase.number, None)

    def under_power(self) -> dict[int, PhaseRun]:
        """Return the phases that draw more than idle power, by number."""
        return self.computing | self.in_vain if self.in_vain else self.computing

    def alone(self, phase: Holding) -> tuple[float, ...]:
        """Return the per-GPU bandwidth of each level if no other job were there. [B/s]"""
        key = (phase.number, phase.layout)
        if key not in self._alone:
            self._alone[key] = self.links.alone(phase.placement(), phase.gpus)
        return self._alone[key]

    def _share_alone(self) -> None:
        """Give every phase its links to itself; cheap, for thousands of jobs."""
        known, computing = self.bandwidths, self.computing
        for number in [number for number in known if number not in computing]:
            del known[number]
        for number in computing:
            if number not in known:
                known[number] = self.alone(computing[number])

    def share_links(self) -> None:
        """Work out anew what each phase gets of the links, and tell those for which it changed."""
        if self._contention == "none":
            self._share_alone()
            return
        # What a phase saves changes with its share of the storage, without a new layout.
        key = tuple(
            sorted(
                (number, phase.layout, storage_traffic(phase)[0]) for number, phase in self.computing.items()
            )
        )
        if key not in self._known:
            demands = [self.computing[number].demand() for number, *_ in key]
            phases = {str(number): self.computing[number] for number, *_ in key}
            shared = self.links.joint(
                demands, self._contention, lambda name, mine: phases[name].unit_time(mine)
            )
            self._known[key] = {number: shared[str(number)] for number, *_ in key}
        old, self.bandwidths = self.bandwidths, self._known[key]
        for number, mine in self.bandwidths.items():
            if number in old and old[number] != mine:
                self.computing[number].notify(Rerate())


class SiteState:
    """A site: partitions, storage users, power."""

    def __init__(self, name: str, spec: Site, partitions: dict[str, PartitionState]) -> None:
        self.name = name
        self.spec = spec
        self.partitions = partitions
        self.savers: dict[int, float] = {}
        """Mean rate at which each phase that holds GPUs here writes to the storage. [B/s]"""
        self.readers = 0
        self.desk: StorageDesk | None = None
        """Where jobs queue to save, unless the storage is shared in closed form."""
        self.outage_until = 0.0
        self.speed = 1.0
        """Clock factor that keeps the site below its power limit."""

    # -- storage -------------------------------------------------------------------------------------

    def storage_share(self, number: int) -> float:
        """Return the share of the storage's write bandwidth that this phase gets."""
        if self.desk is not None:
            return 1.0  # the wait and the sharing are played
        if len(self.savers) == 1 and number in self.savers:
            return 1.0
        others = sum(mean for key, mean in self.savers.items() if key != number)
        return storage_share(others / self.spec.storage.write_bandwidth, len(self.savers.keys() | {number}))

    # -- power ---------------------------------------------------------------------------------------

    def it_power(self, partition: PartitionState, speed: float) -> float:
        """Return the power of a partition without cooling. [W]"""
        gpu = partition.pool.spec.gpu
        installed = partition.pool.installed_gpus
        busy = partition.computing_gpus
        dynamic = gpu.dynamic_power * math.pow(speed, self.spec.power_exponent)
        return installed * gpu.base_power + busy * dynamic

    def power_share(self, phase: Holding) -> float:
        """Return the share of its dynamic power that each computing GPU of a phase draws now; 0 while it waits."""
        if phase.partition is None or phase.number not in phase.partition.under_power():
            return 0.0
        return math.pow(self.speed, self.spec.power_exponent)

    def room(self, partition: PartitionState, holders: Iterable[PhaseRun]) -> int:
        """Return the domains of a partition that jobs could take now: free ones, as far as the power goes.

        Held GPUs count at full power whether they compute or not, so that nobody starts in a pause of another.
        """
        free = partition.pool.available()
        if self.spec.power_limit is None or self.spec.power_control == "throttle":
            return free
        left = self.spec.power_limit / self.spec.pue
        for other in self.partitions.values():
            left -= self.it_power(other, 0.0)
        for holder in holders:
            if holder.site is self and holder.partition is not None:
                domains = max(holder.wanted_domains, len(holder.domains))
                left -= domains * _dynamic_power(holder.partition.pool)
        each = _dynamic_power(partition.pool)
        within = math.floor(left / each + ROUNDING) if each > 0 else free
        return max(0, min(free, within))

    def throttle(self) -> bool:
        """Set the clock factor for the power limit; return whether it changed."""
        if self.spec.power_limit is None:
            return False
        budget = self.spec.power_limit / self.spec.pue
        full = floor = 0.0
        for partition in self.partitions.values():
            full += self.it_power(partition, 1.0)
            floor += self.it_power(partition, 0.0)
        speed = 1.0
        if full > budget:
            room = max(budget - floor, 0.0) / (full - floor) if full > floor else 1.0
            speed = max(math.pow(room, 1.0 / self.spec.power_exponent), LEAST_SPEED)
        changed = speed != self.speed
        self.speed = speed
        return changed

    # -- record --------------------------------------------------------------------------------------

    def level_row(self, time: float, partition: PartitionState, queued: int) -> LevelRow:
        """Return the state of a partition, for the record."""
        used, idle, spare, stranded, down = partition.pool.gpus_by_state()
        if time < self.outage_until:
            idle, spare, stranded, down = 0, 0, 0, down + idle + spare + stranded
        pool = partition.pool
        state = (pool.installed_gpus, partition.computing_gpus, self.speed)
        if (
            state != partition.power_state
        ):  # most rows are failures and repairs, which leave the power as it is
            partition.power_state, partition.power = (
                state,
                self.it_power(partition, self.speed) * self.spec.pue,
            )
        return LevelRow(
            time, self.name, pool.name, pool.installed_gpus, used, partition.computing_gpus, idle, spare, stranded,
            down, queued, partition.power, pool.fragmentation,
        )  # fmt: skip


def _dynamic_power(pool: PartitionPool) -> float:
    """Return what a domain in use draws on top of an idle one. [W]"""
    return pool.used_per_domain * pool.spec.gpu.dynamic_power


ROUNDING = 1e-9
"""A limit that is met exactly leaves room for the last domain."""
LEAST_SPEED = 0.05
"""Clocks never fall below this share, so that a limit below the idle power cannot stop time."""
