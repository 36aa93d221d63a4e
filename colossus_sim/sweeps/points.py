"""The points of a sweep, from what a file or the command line asks for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from colossus_sim.loading.facts import Assumption
from colossus_sim.loading.tree import parse_path
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.assumptions import groups
from colossus_sim.sweeps.distinct import check_fields, field_key
from colossus_sim.sweeps.plan import Point
from colossus_sim.sweeps.quantities import meaning
from colossus_sim.sweeps.sampling import sample_points
from colossus_sim.sweeps.spec import Vary, VaryError

MAX_POINTS = 1_000_000
SEED_HINT = "every run has its own, drawn from the root seed; use --replicas N (and --seed S for the root)"


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
    fixed: Sequence[str] = (),
    scenario: Scenario | None = None,
) -> tuple[tuple[Point, ...], str]:
    """Return the points and the kind of the sweep: ``sweep``, ``sample``, ``tornado`` or ``changes``.

    Parameters
    ----------
    seed : int
        Root seed, for samples.
    assumptions : sequence of Assumption
        Those of the scenario, for a tornado.
    sites : mapping of str to str, optional
        Site of each job (see `assumptions.groups`).
    fixed : sequence of str
        Fields that are set at all points.
    scenario : Scenario, optional
        What is swept: for names with dots, and for the counts of GPUs that plans can use.

    Raises
    ------
    VaryError
        If nothing varies, or what is asked for does not go together.
    """
    several = bool(vary.grid or vary.zip or vary.list)
    alone = (vary.sample is not None) + (vary.tornado is not None) + bool(vary.changes)
    if several + alone != 1:
        raise VaryError(
            "give grid, zip or list (or several of them), or one of sample, tornado and changes alone"
        )
    _refuse_seed(vary)
    check_fields(vary, fixed, None if scenario is None else scenario.loaded.root)
    if vary.sample is not None:
        return sample_points(vary.sample, seed, scenario), "sample"
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
        raise VaryError(f"{count:,} points are more than {MAX_POINTS:,}")
    _refuse_equal(factors[1], "zip")
    _refuse_equal(factors[2], "list")
    return tuple(_point(parts) for parts in itertools.product(*factors)), "sweep"


def is_seed(path: str) -> bool:
    """Say whether a field path is the scenario's seed, which every run of a sweep gets anew."""
    return parse_path(path) == ("seed",)


def _refuse_seed(vary: Vary) -> None:
    ranges = vary.sample.ranges if vary.sample is not None else {}
    mappings: list[tuple[tuple[str | int, ...], Mapping[str, Any]]] = [
        (("grid",), vary.grid), (("zip",), vary.zip), (("sample", "ranges"), ranges),
        *((("list", index), fields) for index, fields in enumerate(vary.list)),
        *((("changes", name), fields) for name, fields in vary.changes.items()),
    ]  # fmt: skip
    for place, fields in mappings:
        for path in fields:
            if is_seed(path):
                raise VaryError(f"the seed cannot be varied: {SEED_HINT}", *place, path)


def _grid(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    for path, values in fields.items():
        seen: dict[Hashable, str] = {}
        for index, value in enumerate(values):
            text, key = shown(value), meaning(value)
            if key in seen:
                other = "" if seen[key] == text else f": it is {seen[key]}"
                raise VaryError(f"the value {text} is there twice{other}", "grid", path, index)
            seen[key] = text
    combinations = itertools.product(*fields.values())
    return [dict(zip(fields, values, strict=True)) for values in combinations]


def _refuse_equal(entries: Sequence[Mapping[str, Any]], place: str) -> None:
    found = {
        frozenset((field_key(path), meaning(value)) for path, value in entry.items()) for entry in entries
    }
    if len(found) < len(entries):
        raise VaryError("two points are the same", place)


def _zipped(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    lengths = {name: len(values) for name, values in fields.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise VaryError(f"all fields need the same number of values: {listed}", "zip")
    if not fields:
        return [{}]
    return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]


def _point(parts: Sequence[Mapping[str, Any]]) -> Point:
    merged: dict[str, Any] = {}
    for part in parts:
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
    VaryError
        If the scenario has no such assumption.
    """
    chosen = [item for item in assumptions if not wanted or item.path.startswith(tuple(wanted))]
    found = groups(chosen, sites)
    for index, text in enumerate(wanted):
        if not any(item.path.startswith(text) for item in assumptions):
            message = f"the scenario has no assumption whose path begins with {text!r}"
            raise VaryError(message, "tornado", "assumptions", index)
    if not found:
        raise VaryError("the scenario has no assumption with a low and a high end", "tornado")
    points = [Point(values={"assumption": "", "end": "central"}, overrides=())]
    for group in found:
        for end, overrides in zip(("low", "high"), group.ends(), strict=True):
            points.append(Point(values={"assumption": group.name, "end": end}, overrides=overrides))
    return tuple(points)
