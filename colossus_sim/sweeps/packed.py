"""What a driver keeps of many runs: numbers side by side, and their names once for all runs that have the same."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from colossus_sim.sweeps.task import Outcome

Names = dict[str, int]
"""Place of each name."""


class PackedValues(Mapping[str, float]):
    """A mapping of names to numbers that costs eight bytes a number."""

    __slots__ = ("_names", "_numbers")

    def __init__(self, names: Names, numbers: Sequence[float]) -> None:
        self._names, self._numbers = names, array("d", numbers)

    def __getitem__(self, name: str) -> float:
        return self._numbers[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class PackedTimes(Mapping[str, tuple[float, float]]):
    """A mapping of names to pairs of numbers that costs sixteen bytes a pair."""

    __slots__ = ("_names", "_numbers")

    def __init__(self, names: Names, pairs: Sequence[tuple[float, float]]) -> None:
        self._names, self._numbers = names, array("d", (number for pair in pairs for number in pair))

    def __getitem__(self, name: str) -> tuple[float, float]:
        place = 2 * self._names[name]
        return self._numbers[place], self._numbers[place + 1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Packer:
    """Packs outcomes; a set of names that was seen before is not kept again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Names] = {}

    def packed(self, outcome: Outcome) -> Outcome:
        """Return the same outcome in little memory."""
        values, phases = outcome.values, outcome.phases
        return replace(
            outcome,
            values=PackedValues(self._names(values), list(values.values())),
            phases=PackedTimes(self._names(phases), list(phases.values())),
        )

    def _names(self, mapping: Mapping[str, object]) -> Names:
        names = tuple(mapping)
        found = self._known.get(names)
        if found is None:
            found = self._known[names] = {name: place for place, name in enumerate(names)}
        return found
