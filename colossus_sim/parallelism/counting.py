"""What the groups of an axis touch, counted member by member: plain loops that numba can compile."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from colossus_sim.compiling import machine_code, switched_off

Counter = Callable[[Any, Any, Any, Any], bool]
"""`count_touched`, as it is or compiled."""


def count_touched(groups: Any, ordinals: Any, touched: Any, fewest: Any) -> bool:
    """Write, by level, the most groups that a row of members touches, and the fewest of its members in one of them.

    Parameters
    ----------
    groups : array of int, levels x domains
        Group of each domain, in rank order.
    ordinals : array of int, rows x members
        Domain of each member of each communication group, by its place in rank order.
    touched, fewest : array of int, levels
        Where the answers go.

    Returns
    -------
    bool
        False if some row leaves a group and comes back to it or to a lower one, which this does not count.
    """
    rows, members = ordinals.shape
    for level in range(len(groups)):
        most, least = 1, members
        for row in range(rows):
            last = groups[level, ordinals[row, 0]]
            found, length = 1, 0
            for member in range(members):
                group = groups[level, ordinals[row, member]]
                if group < last:
                    return False
                if group > last:
                    least = min(least, length)
                    found += 1
                    length = 0
                    last = group
                length += 1
            least = min(least, length)
            most = max(most, found)
        touched[level], fewest[level] = most, least
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
