"""Domains that a job keeps beside those it computes on; no other job may take them."""

from __future__ import annotations

_FIRST_PLACE = -10
"""Place of the spares of owner 0; that of owner n is n below it. Above lie the places of domains without a job."""


class OwnSpares:
    """Which jobs have spares of their own in a pool, how many they want, and what they lost.

    The domains themselves lie in a place of their own in the pool's books, one for each owner. A domain that such a
    job loses comes back to its spares after the repair, if it still lacks one.
    """

    def __init__(self, counts: dict[int, int]) -> None:
        self._counts = counts
        """Domains in each place of the pool."""
        self._wanted: dict[int, int] = {}
        self._lost_by: dict[int, int] = {}

    @staticmethod
    def place(owner: int) -> int:
        """Return the place of an owner's spares."""
        return _FIRST_PLACE - owner

    @staticmethod
    def is_place(place: int) -> bool:
        """Whether spares of a job lie in this place."""
        return place <= _FIRST_PLACE

    @property
    def total(self) -> int:
        """Domains that lie ready in all."""
        return sum(self._counts[self.place(owner)] for owner in self._wanted)

    def count(self, owner: int) -> int:
        """Return the domains that lie ready for an owner."""
        return self._counts.get(self.place(owner), 0)

    def open(self, owner: int, wanted: int) -> int:
        """Let an owner have so many spares, which are to be put in the place that is returned."""
        place = self.place(owner)
        self._wanted[owner] = wanted
        self._counts.setdefault(place, 0)
        return place

    def close(self, owner: int) -> None:
        """An owner leaves, and no longer has spares."""
        self._wanted.pop(owner, None)
        self._counts.pop(self.place(owner), None)

    def lost(self, domain: int, owner: int) -> None:
        """Note that an owner, or its spares (then `owner` is their place), lost a domain to repair."""
        number = _FIRST_PLACE - owner if self.is_place(owner) else owner
        if number in self._wanted:
            self._lost_by[domain] = number

    def used(self, domain: int) -> None:
        """Forget who lost a domain: somebody computes on it."""
        self._lost_by.pop(domain, None)

    def home(self, domain: int) -> int | None:
        """Return the place to which a repaired domain comes back, if whoever lost it lacks a spare."""
        owner = self._lost_by.get(domain)
        if owner is None or owner not in self._wanted:
            return None
        return self.place(owner) if self.count(owner) < self._wanted[owner] else None

    def places(self) -> list[int]:
        """Return the places of all owners, by their number."""
        return [self.place(owner) for owner in sorted(self._wanted)]
