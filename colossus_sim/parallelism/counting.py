"""What the groups of an axis touch, counted member by member: plain loops that numba can compile."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from colossus_sim.compiling import machine_code, switched_off

Counter = Callable[[Any, Any, Any, Any], bool]
"""`count_touched`, as it is or compiled."""

COUNTS = 7
"""Numbers that `count_touched` finds out about one level."""


def count_touched(groups: Any, ordinals: Any, counts: Any, tally: Any) -> bool:
    """Count, by level, how rows of members (one row for each communication group) fill the groups of that level.

    Parameters
    ----------
    groups : array of int, levels x domains
        Group of each domain, in rank order.
    ordinals : array of int, rows x members
        Domain of each member of each communication group, by its place in rank order.
    counts : array of int, levels x 7
        Where the answers go: the most groups that a row touches; the fewest of its members in one of them; groups
        touched, summed over rows; pairs of members of a row that are in one group (each with itself too); of all
        groups the most members in one, the most rows that are in it with some members but not all, and the most
        pairs of members of a row of which the first is in it and the second is not.
    tally : array of int, 3 x groups
        Scratch.

    Returns
    -------
    bool
        False if some row leaves a group and comes back to it or to a lower one, which this does not count.
    """
    rows, members = ordinals.shape
    for level in range(len(groups)):
        most, least, total, together = 1, members, 0, 0
        for kind in range(3):
            for place in range(tally.shape[1]):
                tally[kind, place] = 0
        for row in range(rows):
            found, length = 0, 0
            last = groups[level, ordinals[row, 0]]
            for member in range(members + 1):
                group = groups[level, ordinals[row, member]] if member < members else -1
                if group != last:
                    if 0 <= group < last:
                        return False
                    found += 1
                    least = min(least, length)
                    together += length * length
                    tally[0, last] += length
                    if length < members:
                        tally[1, last] += 1
                        tally[2, last] += length * (members - length)
                    length = 0
                    last = group
                length += 1
            most = max(most, found)
            total += found
        counts[level, 0], counts[level, 1], counts[level, 2], counts[level, 3] = most, least, total, together
        for kind in range(3):
            counts[level, 4 + kind] = 0
            for place in range(tally.shape[1]):
                counts[level, 4 + kind] = max(counts[level, 4 + kind], tally[kind, place])
    return True


@functools.cache
def machine_count() -> Counter:
    """Return `count_touched` as machine code."""
    made: Counter = machine_code(count_touched)
    return made


def compiled_count() -> Counter | None:
    """Return `count_touched` as machine code where numba is loaded already; it is not worth loading for this."""
    if "numba" not in sys.modules or switched_off():
        return None
    return machine_count()
