"""Hardware out of service: into repair, and back to whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.failures import by_hand, repair_time
from colossus_sim.engine.groups import take_out
from colossus_sim.engine.hits import Hit
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.signals import Rerate
from colossus_sim.engine.site import SiteState
from colossus_sim.engine.workshop import Workshop
from colossus_sim.specs.faults import Repair

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun
    from colossus_sim.engine.world import World


class OutOfService:
    """The way of broken units out of service and back, with the workshop of each site."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._workshops: dict[str, Workshop] = {}

    def open_workshop(self, site: SiteState) -> None:
        """Give a site its crew and its parts."""
        self._workshops[site.name] = Workshop(
            self._world.agenda,
            crew=site.spec.repair_crew,
            parts=site.spec.repair_parts,
            lead_time=site.spec.part_lead_time,
        )

    def users(self, pool: PartitionPool, domains: Iterable[int]) -> list[PhaseRun]:
        """Return the phases that have any of these domains, each once."""
        holders = self._world.scheduler.holders
        owners = (holders.get(int(pool.owner[domain])) for domain in domains)
        return list({phase.number: phase for phase in owners if phase is not None}.values())

    def take_together(self, hit: Hit, domains: list[int], repair: Repair) -> None:
        """Take domains out of service; one repair brings all of them back."""
        pool = hit.partition.pool
        taken = take_out(pool, domains, self._world.scheduler.holders)

        def mended() -> None:
            for domain, gpus in taken.items():
                pool.repair(domain, gpus)
            self._back(hit, sum(taken.values()))

        self.repair(hit, repair, mended)
        self._world.note_level(hit.site, hit.partition)

    def forget_slow(self, hit: Hit) -> None:
        """Slow units that go for repair with what broke are mended there."""
        if not hit.partition.slow:
            return
        whole = hit.spec.removes in ("domain", "group")
        for number, unit in list(hit.partition.slow.items()):
            if unit.domain == hit.domain and (whole or unit.node == hit.node):
                del hit.partition.slow[number]
                user = self._world.scheduler.holders.get(int(hit.partition.pool.owner[hit.domain]))
                if user is not None:
                    user.notify(Rerate())

    def repair(self, hit: Hit, repair: Repair, done: Callable[[], None]) -> None:
        """Mend a unit: by itself, or by hand when a technician and a part are there."""
        seconds = repair_time(repair, hit.strike)
        if by_hand(repair, hit.strike):
            self._workshops[hit.site.name].repair(seconds, done)
        else:
            self._world.agenda.at(self._world.agenda.now + seconds, Order.REPAIR, done)

    def mended(self, hit: Hit, gpus: int) -> None:
        """Bring GPUs of one domain back."""
        hit.partition.pool.repair(hit.domain, gpus)
        self._back(hit, gpus)

    def _back(self, hit: Hit, gpus: int) -> None:
        """Record that GPUs are back, and let waiting phases have them."""
        self._world.recorder.event(self._world.agenda.now, "repair", value=gpus, **hit.where)
        self._world.note_level(hit.site, hit.partition)
        self._world.reschedule()
