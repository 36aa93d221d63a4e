"""Sums of arrays that are rounded once, so that they do not depend on the order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]

_FEW = 1000
"""Numbers of which `math.fsum` is faster than halving an array."""
_LEFT = 32
"""Numbers at which the halving ends."""
_UNIT = 2.0**-52
"""Twice the largest relative error of one rounding: room for that of the bound itself."""


def exact_sum(arrays: Iterable[_Array]) -> float:
    """Return the sum of all numbers of some arrays, rounded once; zeros, most of many columns, cost little."""
    found = [_without_zeros(array) for array in arrays]
    return _sum_of(found[0] if len(found) == 1 else np.concatenate([*found, np.empty(0)]))


def _without_zeros(array: _Array) -> _Array:
    """Return the numbers of an array; where most are not zero, picking them costs more than it spares."""
    flat = array.reshape(-1)
    return flat if 2 * np.count_nonzero(flat) > len(flat) else flat[flat != 0.0]


def _sum_of(values: _Array) -> float:
    """Add halves of the numbers to each other again and again, with what each rounding left out (Ogita, Rump and
    Oishi 2005, SIAM J. Sci. Comput. 26(6), alg. 3.1 and 4.1, doi:10.1137/030601818).

    The rest is known within a bound; where that leaves open which number is nearest, `math.fsum` decides.
    """
    if len(values) < _FEW:
        return math.fsum(values.tolist())
    heads: list[float] = []
    missing: list[float] = []
    size = 0.0
    rest = values
    with np.errstate(over="ignore", invalid="ignore"):
        while len(rest) > _LEFT:
            half = len(rest) // 2
            if len(rest) % 2:
                heads.append(float(rest[-1]))
            rest, errors = two_sum(rest[:half], rest[half : 2 * half])
            missing.append(float(errors.sum()))
            size += float(np.abs(errors).sum())
    bound = len(values) * _UNIT * size
    if not math.isfinite(bound):
        return math.fsum(values.tolist())
    heads += rest.tolist()
    low, high = (math.fsum([*heads, *missing, end]) for end in (-bound, bound))
    return low if low == high else math.fsum(values.tolist())


def exact_sums(terms: _Array) -> _Array:
    """Return the sums over the first axis of a table, each rounded once.

    Of no more than two numbers that are not zero, any order of adding up gives that.
    """
    sums: _Array = terms.sum(axis=0)
    many = np.flatnonzero(np.count_nonzero(terms, axis=0) > 2)
    if not len(many):
        return sums
    table = terms[:, many]
    total, missing, size = np.zeros(len(many)), np.zeros(len(many)), np.zeros(len(many))
    with np.errstate(over="ignore", invalid="ignore"):
        for row in table:
            total, rest = two_sum(total, row)
            missing, lost = two_sum(missing, rest)
            size += np.abs(lost)
        low, high = ends(total, missing, size, len(table))
    sums[many] = low
    undecided = np.flatnonzero(~((low == high) & np.isfinite(low)))
    sums[many[undecided]] = [math.fsum(table[:, place].tolist()) for place in undecided]
    return sums


def ends(total: Any, missing: Any, size: Any, count: int) -> tuple[Any, Any]:
    """Return two numbers (or arrays) between which a sum lies; where they are equal, that is the sum, rounded once.

    `missing` is what `two_sum` left out of the `total`, added up likewise, and `size` that of what this left out of
    `count` numbers: where nothing, `missing` is exact, else the bound must not itself be rounded away.
    """
    bound = _UNIT * (count * size + (size > 0.0) * abs(missing))
    return total + (missing - bound), total + (missing + bound)


def two_sum(one: Any, other: Any) -> tuple[Any, Any]:
    """Return the sum of two numbers (or arrays), rounded, and exactly what is left out (Knuth, TAOCP 2, 4.2.2)."""
    sums = one + other
    back = sums - one
    return sums, (one - (sums - back)) + (other - back)
