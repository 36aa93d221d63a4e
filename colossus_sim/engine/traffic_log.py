"""What every job sends during a run, stretch by stretch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colossus_sim.network.run_load import Sending

if TYPE_CHECKING:
    from colossus_sim.engine.phase import PhaseRun


class TrafficLog:
    """A `watch` of ``engine.runner.simulate`` that notes who sends how much from where.

    Attributes
    ----------
    sendings : dict of (str, str) to list of Sending
        Per site and partition, in the order in which they end.
    """

    def __init__(self) -> None:
        self.sendings: dict[tuple[str, str], list[Sending]] = {}

    def __call__(self, phase: PhaseRun, begun: float, units: float) -> None:
        """Note a stretch: its bytes are those of the units done, spread over its time."""
        now = phase.now
        if now <= begun or units <= 0 or not phase.gpus:
            return
        demand, (site, partition, *_) = phase.demand(), phase.where()
        pace = units / (now - begun)
        self.sendings.setdefault((site, partition), []).append(
            Sending(
                start=begun,
                end=now,
                job=phase.job_name,
                placement=demand.placement,
                gpus=demand.gpus,
                rates=tuple(sent * pace for sent in demand.traffic),
                storage=demand.storage,
                flatness=demand.flatness,
            )
        )
