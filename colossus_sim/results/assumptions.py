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
    """Return the ranged values first, then every catalog entry that says where it comes from, each once."""
    facts = facts_of(scenario)
    rows = [_ranged(item) for item in facts.assumptions] if facts is not None else []
    seen: set[tuple[str, str]] = set()
    for path, value in _entries(scenario, ""):
        provenance: Provenance = value.provenance
        name = getattr(value, "name", "") or getattr(value, "title", "") or type(value).__name__
        if (name, provenance.reference) in seen:
            continue
        seen.add((name, provenance.reference))
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


def _entries(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, spec) of every spec with a provenance, in the order of the fields."""
    if isinstance(value, BaseModel):
        if isinstance(getattr(value, "provenance", None), Provenance):
            yield path, value
        for name, item in value:
            yield from _entries(item, f"{path}.{name}" if path else name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _entries(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _entries(item, f"{path}.{index}")
