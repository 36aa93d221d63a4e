"""A scenario that was made or changed in Python, as the file that says the same."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from colossus_sim.loading.facts import LoadedFacts
from colossus_sim.loading.fields import is_instant, quantity_of
from colossus_sim.specs.scenario import Scenario


def written(scenario: Scenario) -> dict[str, Any]:
    """Return the fields of a scenario that are set, as a file has them: quantities with units, dates as texts.

    Moments are written to the microsecond, all other numbers to the last bit.
    """
    tree: dict[str, Any] = _plain(scenario, None)
    return tree


def resolved_tree(scenario: Any) -> dict[str, Any] | None:
    """Return `written`, or None where reading it back would not give the same scenario."""
    if not isinstance(scenario, Scenario):
        return None
    tree = written(scenario)
    return tree if _says(tree, scenario) else None


def facts_that_hold(scenario: Any) -> LoadedFacts | None:
    """Return how a scenario was loaded; None if it was not, or has been changed since.

    A scenario is frozen, but its mappings (jobs, sites) can be changed in place.
    """
    facts = getattr(scenario, "loaded", None)
    return facts if isinstance(facts, LoadedFacts) and _says(facts.tree, scenario) else None


def _says(tree: Any, scenario: Scenario) -> bool:
    """Say whether reading a tree gives the fields of a scenario."""
    try:
        again = Scenario.model_validate(tree)
    except ValidationError:
        return False
    return dict(again) == dict(scenario)


def _plain(value: Any, info: FieldInfo | None) -> Any:
    if isinstance(value, BaseModel):
        fields, given = type(value).model_fields, value.model_fields_set
        # `model_copy` takes any name; one that is no field is written too, and refused when it is read.
        names = [*(name for name in fields if name in given), *sorted(given - fields.keys())]
        return {name: _plain(getattr(value, name), fields.get(name)) for name in names}
    if isinstance(value, dict):
        return {name: _plain(item, info) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, info) for item in value]
    if info is None or isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return _number(value, info)


def _number(value: float, info: FieldInfo) -> Any:
    if is_instant(info):
        try:
            return dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return value  # refused when it is read
    quantity = quantity_of(info)
    if quantity is None or quantity.bare:
        return value
    unit = next(name for name, scale in quantity.table.items() if scale == 1.0)
    return f"{float(value)!r} {unit}"
