"""The points of a sweep, from what a file or the command line asks for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from colossus_sim.errors import UsageError
from colossus_sim.loading.facts import Assumption
from colossus_sim.sweeps.assumptions import groups
from colossus_sim.sweeps.plan import Point
from colossus_sim.sweeps.sampling import sample_points
from colossus_sim.sweeps.spec import Vary

MAX_POINTS = 1_000_000


def override(path: str, value: Any) -> str:
    """Return ``path=value`` with the value in flow style (JSON is YAML)."""
    return f"{path}={shown(value)}"


def shown(value: Any) -> str:
    """Return a value as it is written after ``--set path=``."""
    if isinstance(value, str):
        # A text that YAML would take for something else needs its quotes.
        return value if _is_plain(value) else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    from colossus_sim.errors import ScenarioError
    from colossus_sim.loading.yaml_source import parse_value

    try:
        node = parse_value(text.encode(), "value")
    except ScenarioError:
        return False
    return node is not None and node.text == text


def make_points(
    vary: Vary,
    *,
    seed: int,
    assumptions: Sequence[Assumption] = (),
    sites: Mapping[str, str] | None = None,
) -> tuple[tuple[Point, ...], str]:
    """Return the points and the kind of the sweep: ``sweep``, ``tornado`` or ``changes``.

    Parameters
    ----------
    seed : int
        Root seed, for samples.
    assumptions : sequence of Assumption
        Those of the scenario, for a tornado.
    sites : mapping of str to str, optional
        Site of each job (see `assumptions.groups`).

    Raises
    ------
    UsageError
        If nothing varies, or what is asked for does not go together.
    """
    several = bool(vary.grid or vary.zip or vary.list)
    alone = (vary.sample is not None) + (vary.tornado is not None) + bool(vary.changes)
    if several + alone != 1:
        raise UsageError(
            "vary: give grid, zip or list (or several of them), or one of sample, tornado and changes alone"
        )
    if vary.sample is not None:
        return sample_points(vary.sample, seed), "sweep"
    if vary.tornado is not None:
        return tornado_points(assumptions, vary.tornado.assumptions, sites), "tornado"
    if vary.changes:
        return changed_points(vary.changes), "changes"
    factors = [
        _grid(vary.grid),
        _zipped(vary.zip),
        [dict(entry) for entry in vary.list] or [{}],
    ]
    count = len(factors[0]) * len(factors[1]) * len(factors[2])
    if count > MAX_POINTS:
        raise UsageError(f"vary: {count:,} points are more than {MAX_POINTS:,}")
    return tuple(_point(parts) for parts in itertools.product(*factors)), "sweep"


def _grid(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    combinations = itertools.product(*fields.values())
    return [dict(zip(fields, values, strict=True)) for values in combinations]


def _zipped(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    lengths = {name: len(values) for name, values in fields.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise UsageError(f"vary.zip: all fields need the same number of values: {listed}")
    if not fields:
        return [{}]
    return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]


def _point(parts: Sequence[Mapping[str, Any]]) -> Point:
    merged: dict[str, Any] = {}
    for part in parts:
        twice = merged.keys() & part.keys()
        if twice:
            raise UsageError(f"vary: {sorted(twice)[0]} is varied twice")
        merged |= part
    values = {path: shown(value) for path, value in merged.items()}
    return Point(values=values, overrides=tuple(f"{path}={text}" for path, text in values.items()))


def changed_points(changes: Mapping[str, Mapping[str, Any]]) -> tuple[Point, ...]:
    """Return the scenario as it is, then each named change alone."""
    points = [Point(values={"change": "as it is"}, overrides=())]
    for name, fields in changes.items():
        overrides = tuple(override(path, value) for path, value in fields.items())
        points.append(Point(values={"change": name}, overrides=overrides))
    return tuple(points)


def tornado_points(
    assumptions: Sequence[Assumption], wanted: Sequence[str] = (), sites: Mapping[str, str] | None = None
) -> tuple[Point, ...]:
    """Return the central point, then the low and the high end of each assumption (group).

    Raises
    ------
    UsageError
        If the scenario has no such assumption.
    """
    chosen = [item for item in assumptions if not wanted or item.path.startswith(tuple(wanted))]
    found = groups(chosen, sites)
    missing = [text for text in wanted if not any(item.path.startswith(text) for item in assumptions)]
    if missing:
        raise UsageError(f"tornado: the scenario has no assumption whose path begins with {missing[0]!r}")
    if not found:
        raise UsageError("tornado: the scenario has no assumption with a low and a high end")
    points = [Point(values={"assumption": "", "end": "central"}, overrides=())]
    for group in found:
        for end, overrides in zip(("low", "high"), group.ends(), strict=True):
            points.append(Point(values={"assumption": group.name, "end": end}, overrides=overrides))
    return tuple(points)
