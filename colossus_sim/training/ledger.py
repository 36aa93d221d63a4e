"""Collects every collective of a step: the table of rows, and the bytes per fabric level."""

from __future__ import annotations

from collections.abc import Sequence

from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import PricedCall
from colossus_sim.training.estimate import CommunicationRow
from colossus_sim.training.layer_cost import LayerCost


class Ledger:
    """Adds up calls; equal collectives become one row.

    Parameters
    ----------
    fabric : Fabric
        The network.
    kinds : int
        Kinds of ranks that hold different layers.
    """

    def __init__(self, fabric: Fabric, kinds: int) -> None:
        self._levels, self._kinds = fabric.levels, kinds
        self._rows: dict[tuple[str, str, str, float], list[list[float]]] = {}
        self._priced: dict[tuple[str, str, str, float], PricedCall] = {}
        self._traffic = [0.0] * len(fabric.levels)
        self._calls: dict[tuple[str, str, str, float], float] = {}

    def add(self, priced: PricedCall, calls: float, mean_calls: float, exposed: float) -> None:
        """Add a collective of one step that all kinds of ranks see alike.

        Parameters
        ----------
        priced : PricedCall
            What one call costs.
        calls : float
            Calls of a rank.
        mean_calls : float
            Calls of the mean rank, for the traffic.
        exposed : float
            Time of a rank that nothing hides. [s]
        """
        self._add(priced, [(calls, exposed)] * self._kinds, mean_calls)

    def _add(self, priced: PricedCall, shares: Sequence[tuple[float, float]], mean_calls: float) -> None:
        """Add calls and exposed time of each kind of rank."""
        key = priced.call[:4]
        self._priced[key] = priced
        self._calls[key] = self._calls.get(key, 0.0) + mean_calls
        row = self._rows.setdefault(key, [[0.0, 0.0] for _ in shares])
        for kind, (calls, exposed) in zip(row, shares, strict=True):
            kind[0] += calls
            kind[1] += exposed
        for index, sent in enumerate(priced.cost.bytes_per_level):
            self._traffic[index] += mean_calls * sent

    def add_layers(
        self, priced: Sequence[PricedCall], cost: LayerCost, layers: Sequence[float], mean_layers: float
    ) -> None:
        """Add the collectives of a layer of which each kind of rank runs so many (micro-batches included)."""
        for item in priced:
            call, time = item.call, item.cost.time
            backward = call.backward + call.beside
            exposed = call.forward * cost.exposed_forward[call.axis]
            exposed += backward * cost.exposed_backward[call.axis]
            number = call.forward + backward
            shares = [(held * number, held * exposed * time) for held in layers]
            self._add(item, shares, mean_layers * number)

    def rows(self) -> tuple[CommunicationRow, ...]:
        """Return one row per different collective, of the kind of rank that calls it most."""
        rows = []
        for key, kinds in self._rows.items():
            calls, exposed = max(kinds)
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
                    time=calls * cost.time,
                    exposed=exposed,
                    busbw=cost.busbw,
                )
            )
        return tuple(rows)

    def traffic(self) -> tuple[float, ...]:
        """Bytes that the mean GPU sends per step at each level. [B]"""
        return tuple(self._traffic)

    def flatness(self) -> tuple[float, ...]:
        """How many times more all groups below each level send out, for what the busiest does, than by their ranks.

        Empty if all send in proportion to the ranks of the job in them.
        """
        if not any(priced.span.uneven for priced in self._priced.values()):
            return ()
        sent, most = [0.0] * len(self._levels), [0.0] * len(self._levels)
        for key, priced in self._priced.items():
            span, volume = priced.span, 0.0
            for level in range(span.level, 1, -1):
                volume += self._calls[key] * priced.cost.bytes_per_level[level]
                flat = span.uneven[level - 1].flatness(key[2], span.size) if span.uneven else 1.0
                sent[level] += volume
                most[level] += volume / flat
        return tuple(
            [total / busiest if busiest > 0 else 1.0 for total, busiest in zip(sent, most, strict=True)]
        )
