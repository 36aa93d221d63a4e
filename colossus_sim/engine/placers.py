"""Placement policies: which of the free scale-up domains a job gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Placer = Callable[[IntArray, int, tuple[int, ...], np.random.Generator], IntArray]
"""(free domains in order, how many, domains per group of each scale-out level, stream) -> domains in rank order."""


def packed(free: IntArray, count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """The shortest run of neighbouring free domains that is long enough, or else the lowest ones."""
    starts, lengths = runs(free)
    enough = np.flatnonzero(lengths >= count)
    if len(enough):
        start = int(starts[enough[np.argmin(lengths[enough])]])
        return free[start : start + count]
    return free[:count]


def spread(free: IntArray, count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """Evenly over the groups of the first scale-out level: one from each in turn."""
    rank_in_group = np.zeros(len(free), dtype=np.int64)
    groups = free // sizes[0]
    edges = np.flatnonzero(np.diff(groups)) + 1
    for block in np.split(np.arange(len(free)), edges):
        rank_in_group[block] = np.arange(len(block))
    order = np.lexsort((groups, rank_in_group))
    return np.sort(free[order[:count]])


def anywhere(free: IntArray, count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """Anywhere, in random order."""
    return rng.permutation(free)[:count]


def minimum_tier(free: IntArray, count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """Inside the smallest group of the lowest tier that has room (best fit), so that few tiers are crossed.

    Where no group of a tier has room, as few groups as possible, the fullest last.
    """
    for size in sizes:
        groups, room = _groups(free, size)
        enough = np.flatnonzero(room >= count)
        if len(enough):
            best = groups[enough[np.argmin(room[enough])]]
            inside = free[free // size == best]
            return packed(inside, count, sizes, rng)
    return _few_groups(free, count, sizes, rng)


def _few_groups(free: IntArray, count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """The emptiest groups of the highest tier that has more than one, whole; the rest by best fit."""
    size = sizes[-1]
    groups, room = _groups(free, size)
    chosen = free[:0]
    for index in np.argsort(-room, kind="stable"):
        if count - len(chosen) < room[index]:
            break
        chosen = np.concatenate((chosen, free[free // size == groups[index]]))
    if len(chosen) < count:
        left = free[~np.isin(free, chosen)]
        chosen = np.concatenate((chosen, minimum_tier(left, count - len(chosen), sizes, rng)))
    return np.sort(chosen)


def _groups(free: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """Return the groups of so many domains in which some are free, and how many are."""
    numbers = free // size
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    return numbers[first], np.diff(first, append=len(free))


def rail_aligned(free: IntArray, count: int, sizes: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """Whole leaf groups from their first domain on, so that GPUs of one rail share a leaf switch.

    What does not fill a group goes where it fits best; without enough empty groups, into the emptiest.
    """
    return _few_groups(free, count, sizes[:1], rng)


def from_domain(free: IntArray, count: int, first: int) -> IntArray:
    """The first free domains from `first` on, then from the beginning."""
    ordered = np.concatenate((free[free >= first], free[free < first]))
    return ordered[:count]


def runs(free: IntArray) -> tuple[IntArray, IntArray]:
    """Return where runs of neighbouring domains begin in `free`, and how long they are."""
    breaks = np.flatnonzero(np.diff(free) != 1) + 1
    starts = np.concatenate(([0], breaks)).astype(np.int64)
    return starts, np.diff(np.concatenate((starts, [len(free)])))


def fragmentation(free: IntArray) -> float:
    """Return the share of the free domains that is not in the longest run of neighbours; 0 if none is free."""
    if not len(free):
        return 0.0
    return 1.0 - float(runs(free)[1].max()) / len(free)


PLACERS: Mapping[str, Placer] = MappingProxyType(
    {
        "packed": packed,
        "rail_aligned": rail_aligned,
        "minimum_tier": minimum_tier,
        "spread": spread,
        "random": anywhere,
    }
)
"""Placement policies by name."""
