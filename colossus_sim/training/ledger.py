"""Collects every collective of a step: the table of rows, and the bytes per fabric level."""

from __future__ import annotations

from collections.abc import Sequence

from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import PricedCall
from colossus_sim.training.estimate import CommunicationRow
from colossus_sim.training.layer_cost import LayerCost


class Ledger:
    """Adds up calls; equal collectives become one row."""

    def __init__(self, fabric: Fabric) -> None:
        self._levels = fabric.levels
        self._rows: dict[tuple[str, str, str, float], list[float]] = {}
        self._priced: dict[tuple[str, str, str, float], PricedCall] = {}
        self._traffic = [0.0] * len(fabric.levels)

    def add(self, priced: PricedCall, calls: float, mean_calls: float, exposed: float) -> None:
        """Add a collective of one step.

        Parameters
        ----------
        priced : PricedCall
            What one call costs.
        calls : float
            Calls of the busiest rank.
        mean_calls : float
            Calls of the mean rank, for the traffic.
        exposed : float
            Time of the busiest rank that nothing hides. [s]
        """
        call = priced.call
        key = call[:4]
        self._priced[key] = priced
        row = self._rows.setdefault(key, [0.0, 0.0, 0.0])
        row[0] += calls
        row[1] += calls * priced.cost.time
        row[2] += exposed
        for index, sent in enumerate(priced.cost.bytes_per_level):
            self._traffic[index] += mean_calls * sent

    def add_layers(
        self, priced: Sequence[PricedCall], cost: LayerCost, layers: float, mean_layers: float
    ) -> None:
        """Add the collectives of one kind of layer, `layers` times (micro-batches included)."""
        for item in priced:
            call, time = item.call, item.cost.time
            backward = call.backward + call.beside
            exposed = call.forward * cost.exposed_forward[call.axis]
            exposed += backward * cost.exposed_backward[call.axis]
            number = call.forward + backward
            self.add(item, layers * number, mean_layers * number, layers * exposed * time)

    def rows(self) -> tuple[CommunicationRow, ...]:
        """Return one row per different collective."""
        rows = []
        for key, (calls, time, exposed) in self._rows.items():
            call, cost, span = self._priced[key]
            rows.append(
                CommunicationRow(
                    axis=call.axis,
                    operation=call.operation,
                    algorithm=cost.algorithm,
                    group_size=span.size,
                    level=self._levels[span.level].name,
                    message_bytes=call.message,
                    calls=calls,
                    time=time,
                    exposed=exposed,
                    busbw=cost.busbw,
                )
            )
        return tuple(rows)

    def traffic(self) -> tuple[float, ...]:
        """Bytes that the mean GPU sends per step at each level. [B]"""
        return tuple(self._traffic)
