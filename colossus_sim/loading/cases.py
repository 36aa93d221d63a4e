"""Assumptions with a low, a central and a high value, and the choice among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from colossus_sim.loading.facts import Assumption
from colossus_sim.loading.nodes import Node, join, plain, refuse

CASES = ("low", "central", "high")
_KEYS = frozenset((*CASES, "value", "source", "note"))


def is_assumption(node: Node) -> bool:
    """Say whether a node has the form ``{low, central, high, source}`` or ``{value, source}``.

    No field of a scenario consists of these keys alone, so the form cannot be mistaken.
    """
    entries = node.mapping or {}
    return bool(entries) and _KEYS.issuperset(entries) and ("central" in entries or "value" in entries)


def resolve_cases(node: Node, case: str, path: str = "") -> tuple[Node, list[Assumption]]:
    """Return the tree with every assumption replaced by its value of `case`, and the assumptions found.

    A missing low or high falls back to central.

    Raises
    ------
    ScenarioError
        If an assumption has both ``central`` and ``value``, or a source that is not a text.
    """
    found: list[Assumption] = []
    if is_assumption(node):
        chosen, assumption = _choose(node, case, path)
        inner, more = resolve_cases(chosen, case, path)
        return inner, [assumption, *more]
    if isinstance(node.value, dict):
        entries: dict[str, Node] = {}
        for name, child in node.value.items():
            entries[name], more = resolve_cases(child, case, join(path, name))
            found.extend(more)
        return replace(node, value=entries), found
    if isinstance(node.value, tuple):
        items = []
        for index, child in enumerate(node.value):
            item, more = resolve_cases(child, case, join(path, index))
            items.append(item)
            found.extend(more)
        return replace(node, value=tuple(items)), found
    return node, found


def _choose(node: Node, case: str, path: str) -> tuple[Node, Assumption]:
    entries = node.mapping or {}
    if "central" in entries and "value" in entries:
        raise refuse(entries["value"].key, "an assumption has 'central' or 'value', not both", path=path)
    central = entries["central"] if "central" in entries else entries["value"]
    values = {"low": entries.get("low", central), "central": central, "high": entries.get("high", central)}
    chosen = values[case]
    assumption = Assumption(
        path=path,
        low=plain(values["low"]),
        central=plain(central),
        high=plain(values["high"]),
        chosen=case,
        source=_text(entries, "source", path),
        note=_text(entries, "note", path),
        where=str(node.key or node.origin),
    )
    return replace(chosen, key=node.key or chosen.key), assumption


def _text(entries: dict[str, Node], name: str, path: str) -> str:
    node = entries.get(name)
    if node is None:
        return ""
    value: Any = node.value
    if not isinstance(value, str):
        raise refuse(node.origin, f"{name} must be a text", path=join(path, name))
    return value
