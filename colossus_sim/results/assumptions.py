"""What a result rests on: values with a range, and catalog entries with their source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from colossus_sim.loading.facts import Assumption, LoadedFacts
from colossus_sim.specs.base import Provenance
from colossus_sim.specs.scenario import Scenario


def facts_of(scenario: Any) -> LoadedFacts | None:
    """Return what is known about how the scenario was loaded; None if it was built in Python."""
    facts = getattr(scenario, "loaded", None)
    return facts if isinstance(facts, LoadedFacts) else None


def assumption_rows(scenario: Scenario) -> list[dict[str, str]]:
    """Return the ranged values first, then every entry that says where it comes from.

    Equal entries are there once, and so are the unnamed items of a list that have one source.
    """
    facts = facts_of(scenario)
    rows = [_ranged(item) for item in facts.assumptions] if facts is not None else []
    seen: dict[str, list[Any]] = {}
    for path, key, value in _entries(scenario, ""):
        provenance: Provenance = value.provenance
        name = getattr(value, "name", "") or getattr(value, "title", "") or key or type(value).__name__
        content = value if name != type(value).__name__ else provenance.reference
        if content in seen.setdefault(name, []):
            continue
        seen[name].append(content)
        rows.append(
            {
                "path": path,
                "value": str(name),
                "low": "",
                "central": "",
                "high": "",
                "kind": provenance.kind,
                "source": provenance.reference,
                "note": provenance.note,
            }
        )
    return rows


def _ranged(item: Assumption) -> dict[str, str]:
    return {
        "path": item.path,
        "value": str(getattr(item, item.chosen)),
        "low": str(item.low),
        "central": str(item.central),
        "high": str(item.high),
        "kind": "scenario",
        "source": item.source,
        "note": item.note,
    }


def _entries(value: Any, path: str, key: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield (dotted path, own key, spec) of every spec with a provenance, in the order of the fields.

    The key is empty for the items of a list.
    """
    if isinstance(value, BaseModel):
        if isinstance(getattr(value, "provenance", None), Provenance):
            yield path, key, value
        for name, item in value:
            yield from _entries(item, f"{path}.{name}" if path else name, name)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _entries(item, f"{path}.{name}" if path else str(name), str(name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _entries(item, f"{path}.{index}")
