"""Points spread evenly over ranges: Latin hypercube and Sobol sequences."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from colossus_sim.errors import UsageError
from colossus_sim.randomness import stream
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.assumptions import triangular
from colossus_sim.sweeps.candidates import counts_between
from colossus_sim.sweeps.kinds import field_kind
from colossus_sim.sweeps.plan import Point
from colossus_sim.sweeps.quantities import Scale, no_numbers, numbers
from colossus_sim.sweeps.spec import Range, Sample, VaryError

_Z95 = 1.6448536269514722
TAIL = 1e-6
"""Chance of a value beyond either end of what a normal law must be able to give: one that is negligible."""


def sample_points(sample: Sample, seed: int, scenario: Scenario | None = None) -> tuple[Point, ...]:
    """Return the points of a sample; the same seed gives the same points.

    GPUs of a job are rounded to the nearest count that its plan in the `scenario` can use.

    Raises
    ------
    VaryError
        If the ends of a range are not of one kind, or are in the wrong order.
    """
    laws = {path: _law(path, law, scenario) for path, law in sample.ranges.items()}
    counts = {
        path: _counts(path, sample.ranges[path].law, ends, scenario) for path, (ends, _) in laws.items()
    }
    steps = {path: 0 if counts[path] else scale.step for path, (_, scale) in laws.items()}
    points = []
    for row in _unit_points(sample, seed):
        values = {
            path: _text(scale, _quantile(sample.ranges[path].law, ends, u, steps[path]), counts[path])
            for (path, (ends, scale)), u in zip(laws.items(), row, strict=True)
        }
        points.append(
            Point(values=values, overrides=tuple(f"{path}={text}" for path, text in values.items()))
        )
    return tuple(points)


def _counts(
    path: str, law: str, given: tuple[float, float, float], scenario: Scenario | None
) -> list[int] | None:
    """Return the counts that GPUs of a job may have; None for other fields."""
    if scenario is None:
        return None
    low, _, high = given
    if law == "normal":
        low, high = _tails(given)
        low = max(1.0, low)
    try:
        return counts_between(scenario, path, low, high)
    except UsageError as error:
        raise VaryError(str(error), "sample", "ranges", path) from None


def _text(scale: Scale, number: float, counts: list[int] | None) -> str:
    """Return a value as written, a count as the nearest one that can be used."""
    if counts is None:
        return scale.text(number)
    place = bisect_left(counts, number)
    return str(min(counts[max(0, place - 1) : place + 1], key=lambda count: abs(count - number)))


def tails(sample: Sample, scenario: Scenario | None = None) -> Iterator[tuple[str, str]]:
    """Yield path and value of both tails of each normal law, which has no ends of its own."""
    for path, item in sample.ranges.items():
        if item.law == "normal":
            found, scale = _law(path, item, scenario)
            for value in _tails(found):
                yield path, scale.text(value)


def _tails(given: tuple[float, float, float]) -> tuple[float, float]:
    """Return both tails of a normal law."""
    return _quantile("normal", given, TAIL), _quantile("normal", given, 1.0 - TAIL)


def _unit_points(sample: Sample, seed: int) -> list[list[float]]:
    """Return points in the unit cube (McKay, Beckman, Conover 1979; Owen 1998 for the scrambling)."""
    from scipy.stats import qmc

    generator = stream(seed, "sample", sample.method)
    dimension = len(sample.ranges)
    if sample.method == "latin_hypercube":
        rows: list[list[float]] = (
            qmc.LatinHypercube(d=dimension, rng=generator).random(sample.points).tolist()
        )
        return rows
    exponent = math.ceil(math.log2(sample.points))
    rows = qmc.Sobol(d=dimension, rng=generator).random_base2(exponent).tolist()
    return rows[: sample.points]


def _law(path: str, law: Range, scenario: Scenario | None) -> tuple[tuple[float, float, float], Scale]:
    given: list[Any] = [law.low, law.high, *([] if law.mode is None else [law.mode])]
    place = ("sample", "ranges", path)
    found = numbers(given, field_kind(path, None if scenario is None else scenario.loaded.root))
    if found is None:
        raise VaryError(no_numbers(given), *place)
    (low, high, *rest), scale = found
    if low >= high:
        raise VaryError(f"low must be less than high, got {law.low} and {law.high}", *place, "low")
    mode = rest[0] if rest else (low + high) / 2.0
    if not low <= mode <= high:
        raise VaryError(f"mode must lie between low and high, got {law.mode}", *place, "mode")
    if rest and law.law != "triangular":
        raise VaryError(f"mode belongs to the triangular law, not to {law.law}", *place, "mode")
    if law.law == "loguniform" and low <= 0.0:
        raise VaryError(f"a loguniform law needs a low end above 0, got {law.low}", *place, "low")
    return (low, mode, high), scale


def _quantile(law: str, numbers: tuple[float, float, float], u: float, step: int = 0) -> float:
    """Return a quantile of a law; of whole numbers the uniform one gives each the same chance."""
    low, mode, high = numbers
    if law == "loguniform":
        return low * math.exp(u * math.log(high / low))
    if law == "triangular":
        return triangular(u, low, mode, high)
    if law == "normal":
        from scipy.special import ndtri

        middle, sd = (low + high) / 2.0, (high - low) / (2.0 * _Z95)
        return middle + sd * float(ndtri(min(max(u, 1e-12), 1.0 - 1e-12)))
    if step:
        return min(high, low + step * math.floor(u * ((high - low) / step + 1.0)))
    return low + u * (high - low)
