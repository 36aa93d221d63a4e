"""One comparison of a simulated with a published or exact figure, and the statistics behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Z_LIMIT = 4.0
"""A two-sided comparison fails beyond so many standard errors: one false alarm in 16,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A simulated figure beside the one that it should give.

    Attributes
    ----------
    name, source, unit : str
        What it is, where the expected figure comes from, unit (empty = none).
    kind : str
        theory: within 4 standard errors; exact: equal up to `tolerance`; bound: at least `expected`; range: from
        `expected` to `upper`; published: shown, with the error, no verdict.
    simulated, expected, upper : float
        The figures.
    error : float
        Standard error of the difference; 0 where both are deterministic.
    tolerance : float
        Largest relative difference of an exact comparison.
    note : str
        What to know.
    """

    name: str
    source: str
    kind: Literal["theory", "exact", "bound", "range", "published"]
    simulated: float
    expected: float
    upper: float = math.nan
    unit: str = ""
    error: float = 0.0
    tolerance: float = 1e-9
    note: str = ""

    @property
    def z(self) -> float:
        """Difference in standard errors; NaN without any."""
        return (self.simulated - self.expected) / self.error if self.error > 0 else math.nan

    @property
    def half_width(self) -> float:
        """Half of the 95 % confidence interval, relative to the expected figure."""
        return 1.96 * self.error / abs(self.expected) if self.expected else math.nan

    @property
    def passed(self) -> bool:
        """Whether the comparison holds."""
        if self.kind == "theory":
            return abs(self.z) < Z_LIMIT
        if self.kind == "exact":
            return abs(self.simulated - self.expected) <= self.tolerance * abs(self.expected)
        if self.kind == "bound":
            return self.simulated >= self.expected
        if self.kind == "range":
            return self.expected <= self.simulated <= self.upper
        return True

    def document(self) -> dict[str, Any]:
        """Return it for JSON; figures that do not exist are null."""
        found = asdict(self) | {"z": self.z, "half_width": self.half_width, "passed": self.passed}
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in found.items()
        }


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of independent values and its standard error."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def ratio_and_error(pairs: Sequence[tuple[float, float]], batches: int = 50) -> tuple[float, float]:
    """Return sum(a) / sum(b) and its standard error, by batches of successive pairs (delta method)."""
    size = max(1, len(pairs) // batches)
    sums = [
        (math.fsum(a for a, _ in pairs[i : i + size]), math.fsum(b for _, b in pairs[i : i + size]))
        for i in range(0, len(pairs) - size + 1, size)
    ]
    ratio = math.fsum(a for a, _ in sums) / math.fsum(b for _, b in sums)
    mean_b = math.fsum(b for _, b in sums) / len(sums)
    _, error = mean_and_error([a - ratio * b for a, b in sums])
    return ratio, error / mean_b
