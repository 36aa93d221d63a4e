"""Sums of arrays that are rounded once, so that they do not depend on the order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]


def exact_sum(arrays: Iterable[_Array]) -> float:
    """Return the sum of all numbers of some arrays, rounded once; zeros, most of many columns, cost little."""
    return math.fsum(itertools.chain.from_iterable(array[array != 0.0].tolist() for array in arrays))


def exact_row_sums(rows: _Array) -> _Array:
    """Return the sum of each row of a table, rounded once.

    Of a row with no more than two numbers that are not zero, any order of adding up gives that.
    """
    sums: _Array = rows.sum(axis=1)
    many = np.flatnonzero(np.count_nonzero(rows, axis=1) > 2)
    sums[many] = list(map(math.fsum, rows[many].tolist()))
    return sums
