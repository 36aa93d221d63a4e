"""Nodes with a history: some fail far more often than the others, and those that keep failing are exchanged."""

from __future__ import annotations

from collections import deque

import numpy as np

from colossus_sim.engine.pool import IntArray, PartitionPool
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import Eviction, Lemons, Repair


def lemon_count(pool: PartitionPool, share: float) -> int:
    """Return how many lemons are among all nodes that may ever be installed."""
    return round(share * (len(pool.owner) * pool.nodes_per_domain))


def draw_lemons(seed: int, pool: PartitionPool, share: float) -> IntArray:
    """Choose the lemons among all nodes that may ever be installed; return them in order."""
    if not share:
        return np.empty(0, dtype=np.int64)
    rng = stream(seed, "lemons", pool.site, pool.name)
    nodes = len(pool.owner) * pool.nodes_per_domain
    return np.sort(rng.choice(nodes, size=lemon_count(pool, share), replace=False))


class NodeHistory:
    """Which nodes of a partition are lemons, and when each of them left for repair lately.

    The failures of a class are drawn for the whole partition at its mean rate as installed. Of n nodes with L
    lemons of factor f, a share L (f - 1) / (n + L (f - 1)) falls upon a lemon; the rest upon any node. What
    falls upon a lemon that has been exchanged does not happen, so the rate sinks as it should.
    """

    def __init__(
        self, seed: int, pool: PartitionPool, *, lemons: Lemons | None, eviction: Eviction | None
    ) -> None:
        self._pool = pool
        self._factor = lemons.factor if lemons is not None else 1.0
        self._eviction = eviction
        self._mends = lemons is not None and lemons.mended_by_repair
        self._lemons = draw_lemons(seed, pool, lemons.share if lemons is not None else 0.0)
        self._exchanged: set[int] = set()
        self._removals: dict[int, deque[float]] = {}
        self._installed: IntArray | None = None
        self._present: list[tuple[int, int]] = []

    def _lemons_present(self) -> list[tuple[int, int]]:
        """Return (node, its place among the installed nodes) of every lemon that is installed."""
        if self._installed is not self._pool.installed_ids:
            self._installed = ids = self._pool.installed_ids
            size = self._pool.nodes_per_domain
            domains = self._lemons // size
            index = np.minimum(np.searchsorted(ids, domains), max(len(ids) - 1, 0))
            here = ids[index] == domains if len(ids) else np.zeros(len(domains), dtype=bool)
            places = index * size + self._lemons % size
            self._present = list(zip(self._lemons[here].tolist(), places[here].tolist(), strict=True))
        return self._present

    def place(self, place: float) -> float | None:
        """Return where a failure drawn at a uniform place hits; None if it does not happen after all."""
        lemons = self._lemons_present()
        nodes = len(self._pool.installed_ids) * self._pool.nodes_per_domain
        if not lemons:
            return place
        extra = len(lemons) * (self._factor - 1.0)
        share = extra / (nodes + extra)
        if place >= share:
            return (place - share) / (1.0 - share)
        which, inside = divmod(place / share * len(lemons), 1.0)
        node, index = lemons[min(int(which), len(lemons) - 1)]
        return None if node in self._exchanged else (index + inside) / nodes

    def mended(self, domain: int, node: int) -> None:
        """Note that a repair has mended a node, which may end its being a lemon."""
        if self._mends:
            self._exchanged.add(domain * self._pool.nodes_per_domain + node)

    def repair(self, domain: int, node: int, now: float, usual: Repair) -> Repair:
        """Note that a node leaves service; return its repair, which is an exchange if it has left too often."""
        if self._eviction is None:
            return usual
        number = domain * self._pool.nodes_per_domain + node
        removals = self._removals.setdefault(number, deque())
        while removals and removals[0] < now - self._eviction.window:
            removals.popleft()
        removals.append(now)
        if len(removals) < self._eviction.failures:
            return usual
        del self._removals[number]
        self._exchanged.add(number)
        return self._eviction.exchange
