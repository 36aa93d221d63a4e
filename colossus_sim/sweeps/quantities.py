"""Values as they are written in a file, moved along a range: ``"7.5T"``, ``"3%"``, ``"10 days"``, 1.0, dates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from colossus_sim import units
from colossus_sim.errors import UsageError
from colossus_sim.sweeps.kinds import FieldKind
from colossus_sim.units import describe, format_instant, parse_instant

_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}(T.*)?\s*$")
_KINDS = (
    units.DURATION, units.BYTES, units.BANDWIDTH, units.FLOPS, units.FLOP_RATE, units.POWER, units.ENERGY,
    units.LENGTH, units.FREQUENCY, units.TOKENS, units.RATIO, units.MONEY,
)  # fmt: skip
_MIN_STEPS = 20
"""Least number of steps of the common divisor in a range for values to be kept to its multiples."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A way to write numbers: with a unit, as whole numbers (multiples of `step`), or as dates."""

    unit: str = ""
    step: int = 0
    """0: any number."""
    date: bool = False

    def text(self, number: float) -> str:
        """Return a number as it is written in a file."""
        if self.date:
            return format_instant(number, seconds=True)
        if self.step:
            return str(round(number / self.step) * self.step)
        return f"{number:.9g}{' ' if len(self.unit) > 1 and self.unit != '%' else ''}{self.unit}"


def numbers(values: list[Any], kind: FieldKind | None = None) -> tuple[list[float], Scale] | None:
    """Return values of one kind as numbers on a common scale, or None if they are not numbers.

    Numbers of a field that holds whole ones have no unit (1k is 1000). Without its kind, numbers count as whole if
    they are all written so.

    >>> numbers(["12 h", "2 days"])[0]
    [12.0, 48.0]
    """
    if any(isinstance(value, bool) or not isinstance(value, (str, int, float)) for value in values):
        return None
    if all(isinstance(value, str) and _DATE.match(value) for value in values):
        return [parse_instant(value) for value in values], Scale(date=True)
    parts = [_split(value) for value in values]
    found = [part for part in parts if part is not None]
    if len(found) != len(parts):
        return None
    unit = "" if kind is not None and kind.whole else found[0][1]
    factors = [_factor(other, unit) for _, other in found]
    known = [factor for factor in factors if factor is not None]
    if len(known) != len(factors):
        return None
    made = [number * factor for (number, _), factor in zip(found, known, strict=True)]
    whole = all(isinstance(value, int) for value in values) if kind is None else kind.whole
    if not whole:
        return made, Scale(unit=unit)
    step = _step([round(number) for number in made]) if kind is None or kind.gpus else 1
    return made, Scale(unit=unit, step=step)


def meaning(value: Any) -> Hashable:
    """Return what two ways to write one value have in common: ``60 min`` and ``1 h``, 1 and 1.0.

    >>> meaning("60 min") == meaning("1 h")
    True
    """
    found = numbers([value])
    if found is None:
        return "text", json.dumps(value)
    (number,), scale = found
    if scale.date:
        return "date", number
    for plain in (units.TOKENS, units.RATIO):  # 100B and 0.1T, 5% and 0.05; bytes are seldom written as B
        if scale.unit in plain.table:
            return "number", f"{number * plain.table[scale.unit]:.12g}"
    kind = next((index for index, kind in enumerate(_KINDS) if scale.unit in kind.table), None)
    if kind is None:
        return scale.unit, number
    return kind, f"{number * _KINDS[kind].table[scale.unit]:.12g}"


def _step(values: list[int]) -> int:
    """Return the step of whole numbers: their common divisor (whole racks), if it is small against the range."""
    divisor = math.gcd(*values)
    spread = max(values) - min(values)
    return divisor if divisor > 1 and spread >= _MIN_STEPS * divisor else 1


def _split(value: str | int | float) -> tuple[float, str] | None:
    if not isinstance(value, str):
        return float(value), ""
    match = _NUMBER.match(value)
    return (float(match.group(1).replace("_", "")), match.group(2)) if match else None


def _factor(unit: str, into: str) -> float | None:
    if unit == into:
        return 1.0
    for kind in _KINDS:
        if unit in kind.table and into in kind.table:
            return kind.table[unit] / kind.table[into]
    return None


def need_numbers(values: list[Any], what: str, kind: FieldKind | None = None) -> tuple[list[float], Scale]:
    """Return `numbers`, or refuse.

    Raises
    ------
    UsageError
        If the values are not numbers, quantities or dates of one kind.
    """
    found = numbers(values, kind)
    if found is None:
        raise UsageError(f"{what}: {no_numbers(values)}")
    return found


def no_numbers(values: list[Any]) -> str:
    """Return in words that values are not of one kind."""
    shown = ", ".join(
        describe(value) if isinstance(value, (dict, list, tuple)) else str(value) for value in values
    )
    return f"expected numbers, quantities or dates of one kind, got {shown}"
