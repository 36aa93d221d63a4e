"""One failure at its place, and the message that it sends to a phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.failures import Strike
from colossus_sim.engine.signals import Failure
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.specs.faults import FaultClass, Faults

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun


class Hit(NamedTuple):
    """One failure at its place."""

    site: SiteState
    partition: PartitionState
    name: str
    spec: FaultClass
    strike: Strike
    domain: int = -1
    node: int = 0
    phase: PhaseRun | None = None

    @property
    def where(self) -> tuple[str, str]:
        """Site and partition, for the event log."""
        return self.site.name, self.partition.pool.name


def failure_of(
    name: str, spec: FaultClass, *, planned: bool | None = None, watchdog: float | None = None
) -> Failure:
    """Return the message that a failure of this class sends; `watchdog` is the time-out if it is a hang. [s]"""
    rank = REMOVES["site"] if spec.needs_storage_checkpoint else REMOVES[spec.removes]
    return Failure(
        cause=name,
        rank=rank,
        detection=spec.detection if watchdog is None else watchdog,
        planned=spec.planned if planned is None else planned,
        undetected=spec.undetected,
    )


def time_out(faults: Faults, hang: bool) -> float | None:
    """Return the watchdog's time-out if a failure is a hang, None if it shows itself. [s]"""
    return faults.watchdog if hang else None
