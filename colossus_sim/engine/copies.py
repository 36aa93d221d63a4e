"""Copies that cannot be read back: which older one is used instead, and the time lost in trying."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from colossus_sim.engine.progress import SaveTier
from colossus_sim.specs.checkpoint import CheckpointPolicy


class Copies:
    """The newest copies of each tier of one phase, and whether each can be read: drawn when it is needed.

    Attributes
    ----------
    wasted : float
        Time spent on copies that could not be read since it was last set to zero. [s]
    """

    def __init__(self, policy: CheckpointPolicy, rng: np.random.Generator) -> None:
        self._unreadable = {tier.name: tier.unreadable for tier in policy.tiers}
        self._most = {tier.name: 1 + (tier.older_copies if tier.unreadable else 0) for tier in policy.tiers}
        self._rng = rng
        self._kept: dict[str, list[int]] = {name: [] for name in self._unreadable}
        """Units of the copies of each tier, newest first."""
        self._good = dict.fromkeys(self._kept, 0)
        """Unit of a copy of each tier that has been read already."""
        self._sure = dict.fromkeys(self._kept, 0)
        """Unit of the oldest copy that a tier keeps, which counts as readable; 0 while it has not so many."""
        self._last = policy.tiers[-1].name
        self.wasted = 0.0

    def add(self, name: str, units: Iterable[int]) -> None:
        """Note new copies of a tier, newest first."""
        kept = list(dict.fromkeys((*units, *self._kept[name])))[: self._most[name]]
        self._kept[name] = kept
        if len(kept) == self._most[name]:
            self._sure[name] = kept[-1]

    def verified(self, unit: int) -> None:
        """Note that every tier holds this unit, read back before the GPUs were given up; it is all there is."""
        for name in self._kept:
            self._kept[name] = [unit]
            self._good[name] = self._sure[name] = unit

    def oldest(self) -> int:
        """Return the unit that no failure can reach behind: the last tier survives everything."""
        return self._sure[self._last]

    def choose(self, tiers: Sequence[SaveTier], rank: int) -> tuple[int, frozenset[str]]:
        """Return the newest copy that can be read after a failure of this rank, and the tiers that let down.

        Copies are tried from the newest to the oldest; each that fails costs the time to load it. With none left
        the phase starts anew, at unit 0.
        """
        found = [
            (-unit, order, tier)
            for order, tier in enumerate(tiers)
            if tier.survives >= rank
            for unit in self._kept[tier.name]
        ]
        let_down = set[str]()
        for negative, _, tier in sorted(found, key=lambda item: item[:2]):
            if self._reads(tier.name, -negative):
                self._good[tier.name] = -negative
                return -negative, frozenset(let_down - {tier.name})
            self.wasted += tier.restore
            self._kept[tier.name].remove(-negative)
            let_down.add(tier.name)
        return 0, frozenset(let_down)

    def _reads(self, name: str, unit: int) -> bool:
        if unit in (self._good[name], self._sure[name]):
            return True
        return float(self._rng.random()) >= self._unreadable[name]

    def rolled_back(self, unit: int) -> None:
        """Forget every copy newer than the unit that was restored."""
        for name, kept in self._kept.items():
            self._kept[name] = [one for one in kept if one <= unit]
