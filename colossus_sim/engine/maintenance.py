"""Planned work on the hardware: domains leave in turn, after the jobs on them have saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.groups import give_back, phases_on, take_out
from colossus_sim.engine.signals import Failure
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.specs.maintenance import Maintenance

if TYPE_CHECKING:
    from colossus_sim.engine.world import World


def plan_maintenance(world: World) -> None:
    """Enter the first round of all planned work of the scenario."""
    for site in world.sites.values():
        for number, spec in enumerate(site.spec.maintenance):
            name = spec.title or f"maintenance {number + 1}"
            for key, partition in site.partitions.items():
                if spec.partition in (None, key) and world.clock(spec.first) >= 0:
                    rounds = _Rounds(world, site, partition, spec, name)
                    world.agenda.at(world.clock(spec.first), Order.CAPACITY, rounds.begin)


class _Rounds:
    """The rounds of one piece of planned work on one partition."""

    def __init__(
        self, world: World, site: SiteState, partition: PartitionState, spec: Maintenance, name: str
    ) -> None:
        self._world = world
        self._site = site
        self._partition = partition
        self._spec = spec
        self._where = (site.name, partition.pool.name)
        self._name = name
        self._notice = Failure(cause=name, rank=REMOVES["domain"], detection=0.0, planned=True)

    def begin(self) -> None:
        """Begin a round, and enter the next one."""
        if self._spec.every is not None:
            self._world.agenda.at(self._world.agenda.now + self._spec.every, Order.CAPACITY, self.begin)
        self._take(self._partition.pool.installed_ids.tolist())

    def _take(self, left: Sequence[int]) -> None:
        """Take the next domains of a round out of service."""
        pool, holders = self._partition.pool, self._world.scheduler.holders
        size = max(1, math.ceil(self._spec.fraction * len(pool.installed_ids)))
        batch, rest = left[:size], left[size:]
        if not batch:
            return
        phases = phases_on(pool, batch, holders)
        self._world.recorder.event(
            self._world.agenda.now, "maintenance", *self._where, value=len(batch), subject=self._name
        )
        taken = take_out(pool, batch, holders)
        self._world.note_level(self._site, self._partition)
        for phase in phases:
            phase.notify(self._notice)
        end = self._world.agenda.now + self._spec.duration
        self._world.agenda.at(end, Order.REPAIR, partial(self._give_back, taken, rest))

    def _give_back(self, taken: dict[int, int], rest: Sequence[int]) -> None:
        now, gpus = self._world.agenda.now, give_back(self._partition.pool, taken)
        self._world.recorder.event(now, "repair", *self._where, value=gpus, subject=self._name)
        self._world.note_level(self._site, self._partition)
        self._world.reschedule()
        self._world.agenda.at(now + self._spec.pause, Order.CAPACITY, partial(self._take, rest))
