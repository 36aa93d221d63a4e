"""Every effective value of a scenario, with its unit and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from colossus_sim.loading.facts import LoadedFacts
from colossus_sim.loading.fields import is_instant, quantity_of
from colossus_sim.loading.nodes import join
from colossus_sim.specs.base import Provenance
from colossus_sim.specs.job import Phase
from colossus_sim.specs.scenario import Scenario
from colossus_sim.units import DAY, HOUR, MINUTE, format_instant, format_si

DEFAULT = "default"
_TIMES = (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1.0))
_SHORT_TIMES = (("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
_PREFIXED = frozenset(("B", "B/s", "FLOP", "FLOP/s", "W", "J", "USD"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """One value as the simulation sees it.

    Attributes
    ----------
    path : str
        Dotted path.
    value : Any
        In SI units.
    unit : str
        SI unit; empty for texts and truth values, ``date`` for a moment.
    shown : str
        Short text for people.
    origin : str
        ``file:line:column``, ``--set #1`` or ``default``.
    description : str
        What the field means.
    """

    path: str
    value: Any
    unit: str
    shown: str
    origin: str
    description: str


def effective_values(scenario: Scenario) -> Iterator[Effective]:
    """Yield every value of a scenario in the order of the declarations."""
    facts = scenario.loaded
    origins = facts.origins if isinstance(facts, LoadedFacts) else {}
    yield from _walk(scenario, "", None, origins)


def _walk(value: Any, path: str, info: FieldInfo | None, origins: Any) -> Iterator[Effective]:
    if isinstance(value, Provenance):
        shown = f"{value.kind}: {' '.join(value.reference.split())}"
        origin = origins.get(join(path, "reference"), DEFAULT)
        yield Effective(path=path, value=shown, unit="", shown=shown, origin=origin, description="Source.")
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if name == "rollouts" and isinstance(value, Phase) and value.kind != "rl":
                continue
            yield from _walk(getattr(value, name), join(path, name), field, origins)
    elif isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _walk(item, join(path, str(name)), info, origins)
    elif isinstance(value, tuple) and value:
        for index, item in enumerate(value):
            yield from _walk(item, join(path, index), info, origins)
    else:
        yield _leaf(value, path, info, origins)


def _leaf(value: Any, path: str, info: FieldInfo | None, origins: Any) -> Effective:
    unit = _unit(info, value)
    return Effective(
        path=path,
        value=value,
        unit=unit,
        shown=_shown(value, unit),
        origin=origins.get(path, DEFAULT),
        description=(info.description or "").split("\n")[0] if info is not None else "",
    )


def _unit(info: FieldInfo | None, value: Any) -> str:
    if info is None or value is None or isinstance(value, (str, bool, dict, tuple)):
        return ""
    if is_instant(info):
        return "date"
    quantity = quantity_of(info)
    return quantity.unit if quantity is not None else ""


def _shown(value: Any, unit: str) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, tuple)):
        return "empty"
    if unit == "date":
        return format_instant(value)
    if unit == "s":
        return _duration(value)
    if unit in _PREFIXED:
        return format_si(value, unit, digits=6)
    if isinstance(value, (int, float)):
        number = f"{value:,}" if isinstance(value, int) and unit == "1" else f"{value:.10g}"
        return number if unit in ("", "1") else f"{number} {unit}"
    return str(value) if value != "" else "''"


def _duration(seconds: float) -> str:
    """Return the time in the largest unit that shows it without a long fraction."""
    for unit, scale in _TIMES:
        if seconds >= scale and abs(4 * seconds / scale - round(4 * seconds / scale)) < 1e-9:
            return f"{seconds / scale:g} {unit}"
    for unit, scale in _SHORT_TIMES:
        if scale <= seconds < 1.0:
            return f"{seconds / scale:.6g} {unit}"
    return f"{seconds:.10g} s"
