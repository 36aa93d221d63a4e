"""Domains that leave and come back together: who is in a group, who is hit, and which phases that concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from colossus_sim.engine.pool import PartitionPool
from colossus_sim.specs.faults import Group

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun


def groups_touched(domains: Iterable[int], group: Group) -> int:
    """Return how many groups these domains lie in."""
    return len({domain // group.domains for domain in domains})


def groups_installed(pool: PartitionPool, group: Group) -> float:
    """Return how many groups the installed domains make up; the last one may be a part."""
    return len(pool.installed_ids) / group.domains


def domains_hit(pool: PartitionPool, group: Group, place: float, rng: np.random.Generator) -> list[int]:
    """Return the installed domains that an event at this place (0 <= place < 1) of the partition hits."""
    ids = pool.installed_ids
    if not len(ids):
        return []
    first = int(ids[min(int(place * len(ids)), len(ids) - 1)]) // group.domains * group.domains
    low, high = np.searchsorted(ids, (first, first + group.domains))
    members: list[int] = ids[low:high].tolist()
    if group.share == 1.0:
        return members
    return [domain for domain in members if rng.random() < group.share]


def phases_on(pool: PartitionPool, domains: Iterable[int], holders: Mapping[int, PhaseRun]) -> list[PhaseRun]:
    """Return the phases that have any of these domains, each once."""
    owners = (holders.get(int(pool.owner[domain])) for domain in domains)
    return list({phase.number: phase for phase in owners if phase is not None}.values())


def take_out(pool: PartitionPool, domains: Iterable[int], holders: Mapping[int, PhaseRun]) -> dict[int, int]:
    """Take whole domains out of service and from their phases; return the GPUs that each had left."""
    taken = {}
    for domain in domains:
        taken[domain] = pool.gpus_left(domain)
        holder = holders.get(int(pool.owner[domain]))
        if taken[domain] and pool.fail(domain, taken[domain]) and holder is not None:
            holder.domains.pop(domain, None)
    return taken


def give_back(pool: PartitionPool, taken: Mapping[int, int]) -> int:
    """Bring back what `take_out` took; return the GPUs."""
    for domain, gpus in taken.items():
        pool.repair(domain, gpus)
    return sum(taken.values())
