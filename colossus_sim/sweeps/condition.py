"""Conditions on measures: ``jobs.a.slip_days<=0``, ``jobs.a.finish<=2026-06-15``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from colossus_sim.errors import UsageError
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.sweeps.cut_off import grows, is_cut_off, least
from colossus_sim.units import DAY, parse_instant

_FORM = re.compile(r"\s*([A-Za-z][\w.\-]*)\s*(<=|>=|<|>)\s*(.+?)\s*$")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A bound on one measure.

    Attributes
    ----------
    measure, sign : str
        ``jobs.NAME.MEASURE`` or ``cluster.MEASURE``; <=, >=, < or >.
    bound : float
        In the unit of the measure; dates as days since the scenario's start.
    """

    text: str
    measure: str
    sign: str
    bound: float

    def holds(self, values: Mapping[str, float]) -> bool | None:
        """Say whether a run meets it; None where the simulation stopped too early for an answer.

        An undefined measure does not meet it. What only grows is below a bound when it has its last value, not
        before, and above it for good once it is there.
        """
        meets = _SIGNS[self.sign]
        if not (grows(self.measure) and is_cut_off(self.measure, values)):
            value = values.get(self.measure, math.nan)
            return not math.isnan(value) and meets(value, self.bound)
        so_far = least(self.measure, values)
        if math.isnan(so_far):
            return False
        if self.sign in ("<", "<="):
            return None if meets(so_far, self.bound) else False
        return True if meets(so_far, self.bound) else None


def parse_condition(text: str, *, start: float) -> Condition:
    """Return the condition that a text means.

    Parameters
    ----------
    start : float
        Start of the scenario, for dates. POSIX seconds.

    Raises
    ------
    UsageError
        If it is not ``MEASURE <= NUMBER``, or ``jobs.NAME.finish <= DATE``.
    """
    match = _FORM.match(text)
    if match is None:
        raise UsageError(
            f"--so-that: expected MEASURE<=NUMBER such as jobs.my_job.slip_days<=0, or jobs.my_job.finish<="
            f"2026-06-15; got {text!r}"
        )
    measure, sign, right = match.groups()
    if measure.endswith(".finish"):
        try:
            bound = (parse_instant(right) - start) / DAY
        except ValueError as error:
            raise UsageError(f"--so-that: {error}") from None
        return Condition(text=text.strip(), measure=f"{measure}_days", sign=sign, bound=bound)
    try:
        bound = float(right)
    except ValueError:
        raise UsageError(f"--so-that: {right!r} is not a number") from None
    if not math.isfinite(bound):
        raise UsageError("--so-that: the bound must be a finite number")
    return Condition(text=text.strip(), measure=measure, sign=sign, bound=bound)


def check_measure(condition: Condition, values: Mapping[str, float]) -> None:
    """Refuse a condition on something that runs do not have.

    Raises
    ------
    UsageError
        With the nearest name.
    """
    if condition.measure not in values:
        hint = nearest_hint(condition.measure, values)
        raise UsageError(f"--so-that: runs have no measure {condition.measure!r}; {hint}")
