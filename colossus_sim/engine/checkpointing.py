"""From a saving policy to periods in units, and which save can be read after which failure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from colossus_sim.engine.copies import Copies
from colossus_sim.engine.progress import Moment, SaveTier
from colossus_sim.formulas import reliability
from colossus_sim.formulas.save_pattern import TierCost, best_pattern
from colossus_sim.specs.checkpoint import CheckpointPolicy, CheckpointTier
from colossus_sim.specs.hardware import Storage

SURVIVAL: Mapping[str, int] = {"software": 0, "node": 1, "domain": 2, "site": 3}
"""Rank of what a copy survives; a failure of rank r can be recovered from a copy that survives at least r."""

REMOVES: Mapping[str, int] = {"nothing": 0, "node": 1, "domain": 2, "group": 3, "site": 3}
"""Rank of a failure by what it removes; a group may hold both copies of a pair of peers, so it counts as a site."""


def storage_share(others: float, users: int) -> float:
    """Return the share of a storage system that one user gets on average.

    Parameters
    ----------
    others : float
        Mean demand of the other users over the system's bandwidth. [1]
    users : int
        Users that save to it, this one included.

    Notes
    -----
    The others' mean demand is taken away, but never more than leaves an equal share; returned as a share of
    the system's bandwidth. Saves of different jobs are taken as unsynchronised.
    """
    return max(1.0 / max(users, 1), 1.0 - others)


def _tier_rates(
    tier: CheckpointTier, storage: Storage, gpus: int, share: float, readers: int
) -> tuple[float, float]:
    """Return (write, read) bandwidth of the whole job at this tier. [B/s]"""
    shared_write = min(storage.write_bandwidth * share, storage.bandwidth_per_gpu * gpus)
    shared_read = min(storage.read_bandwidth / max(readers, 1), storage.bandwidth_per_gpu * gpus)
    write = tier.write_bandwidth * gpus if tier.write_bandwidth is not None else shared_write
    read = tier.read_bandwidth * gpus if tier.read_bandwidth is not None else shared_read
    return write, read


def save_tiers(
    policy: CheckpointPolicy,
    *,
    storage: Storage,
    state_bytes: float,
    gpus: int,
    unit_time: float,
    failure_rates: tuple[float, ...],
    share: float = 1.0,
    readers: int = 1,
) -> tuple[SaveTier, ...]:
    """Return the tiers of a policy for one job, with periods in units that nest.

    Parameters
    ----------
    policy : CheckpointPolicy
        What the scenario says.
    storage : Storage
        Shared storage of the site.
    state_bytes : float
        Size of one checkpoint of the whole job. [B]
    gpus : int
        GPUs that write.
    unit_time : float
        Time of one unit, alone and healthy. [s]
    failure_rates : tuple of float
        Rate of failures of each rank (see REMOVES) that hit this job. [1/s]
    share : float
        Share of the storage's write bandwidth that this job gets.
    readers : int
        Jobs that read at once.
    """
    costs: list[TierCost] = []
    covered = 0
    for tier in policy.tiers:
        write, read = _tier_rates(tier, storage, gpus, share, readers)
        write_time = state_bytes / write
        snapshot = state_bytes / (tier.snapshot_bandwidth * gpus)
        rank = SURVIVAL[tier.survives]
        costs.append(
            TierCost(
                stall=tier.coordination + (write_time if tier.mode == "sync" else snapshot),
                drain=0.0 if tier.mode == "sync" else write_time,
                rate=math.fsum(failure_rates[covered : rank + 1]),
                recovery=tier.coordination + state_bytes / read,
            )
        )
        covered = rank + 1
    tiers: list[SaveTier] = []
    period = 1
    for tier, cost, seconds in zip(policy.tiers, costs, _intervals(policy.tiers, costs), strict=True):
        least = math.ceil(max(cost.drain, 0.0) / unit_time)
        period *= max(1, round(max(seconds / unit_time, least) / period))
        tiers.append(
            SaveTier(
                name=tier.name,
                period=period,
                stall=cost.stall,
                drain=cost.drain,
                restore=cost.recovery,
                survives=SURVIVAL[tier.survives],
            )
        )
    return tuple(tiers)


_NEVER = 1e12
"""An interval beyond any horizon, for a tier that no failure needs. [s]"""


def _interval(tier: CheckpointTier, stall: float, rate: float) -> float:
    if not isinstance(tier.interval, str):
        return tier.interval
    if rate <= 0:
        return _NEVER
    choose = reliability.young_interval if tier.interval == "young" else reliability.daly_interval
    return choose(stall, 1.0 / rate)


def _intervals(tiers: Sequence[CheckpointTier], costs: Sequence[TierCost]) -> list[float]:
    """Return the working time between saves of each tier. [s]"""
    seconds = [_interval(tier, cost.stall, cost.rate) for tier, cost in zip(tiers, costs, strict=True)]
    if all(tier.interval != "optimised" for tier in tiers):
        return seconds
    needed = [index for index, cost in enumerate(costs) if cost.rate > 0.0]
    start = list(accumulate((seconds[index] for index in needed), max))
    free = [tiers[index].interval == "optimised" for index in needed]
    if any(free):
        period, multiples = best_pattern([costs[index] for index in needed], start, free=free)
        for index, multiple in zip(needed, multiples, strict=True):
            period *= multiple
            seconds[index] = period
    return seconds


@dataclass
class SavedState:
    """What a phase could be restored from. Units are counted from the start of the phase."""

    units: dict[str, int] = field(default_factory=dict)
    pending: dict[str, tuple[int, float]] = field(default_factory=dict)
    copies: Copies | None = None
    """Older copies, where the newest may be unreadable."""

    def keep(self, name: str, unit: int) -> None:
        """Note a copy of this tier."""
        self.units[name] = max(unit, self.units.get(name, 0))
        if self.copies is not None:
            self.copies.add(name, (unit,))

    def note(self, end: Moment) -> None:
        """Take over the saves of a stretch that ends at this moment."""
        for tier in end.stretch.tiers:
            self.settle(tier.name, end.time)
            saved = end.last_save(tier)
            if saved is not None:
                if self.copies is not None:
                    self.copies.add(tier.name, range(saved, math.floor(end.stretch.units), -tier.period))
                self.units[tier.name] = max(saved, self.units.get(tier.name, 0))
            under_way = end.pending_save(tier)
            if under_way is not None:
                self.pending[tier.name] = under_way

    def settle(self, name: str, time: float) -> None:
        """Count a pending save of this tier if it has become readable."""
        if name in self.pending and self.pending[name][1] <= time:
            self.keep(name, self.pending.pop(name)[0])

    def restore_point(
        self, tiers: tuple[SaveTier, ...], rank: int, time: float
    ) -> tuple[int, SaveTier | None]:
        """Return (unit, tier) of the newest copy that survives a failure of this rank; (0, None) if none does."""
        best: tuple[int, SaveTier | None] = (0, None)
        for tier in tiers:
            self.settle(tier.name, time)
            unit = self.units.get(tier.name, 0)
            if tier.survives >= rank and unit > 0 and (best[1] is None or unit > best[0]):
                best = (unit, tier)
        return best

    def readable_point(self, tiers: tuple[SaveTier, ...], rank: int, time: float) -> int:
        """Return the unit of the newest copy that survives a failure of this rank and can be read; 0 if none."""
        unit, _ = self.restore_point(tiers, rank, time)
        if self.copies is not None:
            unit, let_down = self.copies.choose(tiers, rank)
            for name in let_down:
                self.units.pop(name, None)
        return unit

    def rolled_back(self, unit: int) -> None:
        """Forget every copy newer than the unit that was restored, and saves under way."""
        self.pending.clear()
        if self.copies is not None:
            self.copies.rolled_back(unit)
        self.units = {name: min(saved, unit) for name, saved in self.units.items()}

    def all_at(self, tiers: tuple[SaveTier, ...], unit: int) -> None:
        """Note that every tier holds this unit, as after a controlled stop."""
        self.pending.clear()
        self.units = {tier.name: unit for tier in tiers}
        if self.copies is not None:
            self.copies.verified(unit)
