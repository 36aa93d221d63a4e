"""Collects every collective of a step: the table of rows, and the bytes per fabric level."""

from __future__ import annotations

from collections.abc import Sequence

from colossus_sim.training.communication import Network, PricedCall
from colossus_sim.training.estimate import CommunicationRow
from colossus_sim.training.layer_cost import LayerCost


class Ledger:
    """Adds up calls; equal collectives become one row."""

    def __init__(self) -> None:
        self.network: Network | None = None
        self._rows: dict[tuple[str, str, str, float], list[float]] = {}
        self._priced: dict[tuple[str, str, str, float], PricedCall] = {}
        self._traffic: list[float] = []

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
        key = (call.axis, call.group, call.operation, call.message)
        self._priced[key] = priced
        row = self._rows.setdefault(key, [0.0, 0.0, 0.0])
        row[0] += calls
        row[1] += calls * priced.cost.time
        row[2] += exposed
        levels = priced.cost.bytes_per_level
        if len(self._traffic) < len(levels):
            self._traffic += [0.0] * (len(levels) - len(self._traffic))
        for index, sent in enumerate(levels):
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
                    level=self._level_name(span.level),
                    message_bytes=call.message,
                    calls=calls,
                    time=time,
                    exposed=exposed,
                    busbw=cost.busbw,
                )
            )
        return tuple(rows)

    def _level_name(self, level: int) -> str:
        return "" if self.network is None else self.network.fabric.levels[level].name

    def traffic(self) -> tuple[float, ...]:
        """Bytes that the mean GPU sends per step at each level; zero where nothing was added. [B]"""
        levels = 0 if self.network is None else len(self.network.fabric.levels)
        return tuple(self._traffic + [0.0] * (levels - len(self._traffic)))
