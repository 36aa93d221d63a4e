"""pydantic's errors in plain words, each with its place in the file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from colossus_sim.errors import Problem
from colossus_sim.loading.fields import field_at, has_names, quantity_of, records_at
from colossus_sim.loading.nodes import Node, Origin, join, lookup, plain, problem_at
from colossus_sim.loading.references import Path, reference_kind
from colossus_sim.loading.suggest import nearest, nearest_hint
from colossus_sim.policies import GROUP
from colossus_sim.units import describe

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "string_type": "a text",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_PATTERNS = {
    r"^[A-Za-z0-9]": "letters, digits, '_', '.' and '-', beginning with a letter or digit, at most 64",
    r"^\d{4}": "a date such as 2026-04 or 2026-04-08",
}

_Place = tuple[Path, Node | None, Node]
"""Path of the field, its node (None if it is not there), and the nearest node that is there."""


def problems_of(error: ValidationError, root: type[BaseModel], tree: Node) -> list[Problem]:
    """Return one problem per wrong field, in the order of the file."""
    problems: dict[str, Problem] = {}
    misspelt: set[str] = set()
    for item in error.errors(include_url=False):
        problem = _problem(item, root, tree)
        problems.setdefault(problem.path, problem)
        if item["type"] == "extra_forbidden":
            names = _names_beside(item["loc"], root, tree)
            misspelt.add(sibling_path(problem.path, nearest(str(item["loc"][-1]), names)))
    # A misspelt key is reported once, not also as the missing right one.
    return [problem for path, problem in problems.items() if path not in misspelt]


def sibling_path(path: str, name: str | None) -> str:
    """Return the path of another field of the same record."""
    parent, dot, _ = path.rpartition(".")
    return f"{parent}{dot}{name or ''}"


def _names_beside(loc: Path, root: type[BaseModel], tree: Node) -> set[str]:
    path, _, _ = _locate(loc, "extra_forbidden", tree)
    return {name for record in records_at(root, path[:-1], tree) for name in record.model_fields}


def _problem(item: Mapping[str, Any], root: type[BaseModel], tree: Node) -> Problem:
    path, node, nearest_node = _locate(item["loc"], item["type"], tree)
    dotted = dotted_path(path)
    if item["type"] == "missing":
        return _missing(path, nearest_node, root, tree)
    if item["type"] == "extra_forbidden":
        return _unknown_key(path, node, root, tree)
    if item["loc"] and item["loc"][-1] == "[key]":
        message, hint = _words(item, path[-1], None)
        return problem_at(_key_of(node), message, path=dotted, hint=hint)
    tag = node.child("kind") if item["type"] == "union_tag_invalid" and node is not None else None
    if tag is not None:
        path, node, dotted = (*path, "kind"), tag, join(dotted, "kind")
    value = plain(node) if node is not None else item.get("input")
    message, hint = _words(item, value, reference_kind(path))
    origin = node.origin if node is not None else nearest_node.key or nearest_node.origin
    return problem_at(origin, message, path=dotted, hint=hint)


def dotted_path(path: Path) -> str:
    """Return ``a.b[2].c`` for the segments of a path."""
    text = ""
    for segment in path:
        text = join(text, segment)
    return text


def _locate(loc: tuple[str | int, ...], kind: str, tree: Node) -> _Place:
    """Walk down the tree; segments that are not in the file are names of union members and are skipped."""
    node, path = tree, []
    for position, segment in enumerate(loc):
        child = node.child(segment)
        if child is not None:
            node = child
            path.append(segment)
        elif kind == "missing" and position == len(loc) - 1:
            return (*path, segment), None, node
    return tuple(path), node, node


def _key_of(node: Node | None) -> Origin | None:
    return None if node is None else node.key or node.origin


def _missing(path: Path, parent: Node, root: type[BaseModel], tree: Node) -> Problem:
    info = field_at(root, path, tree)
    hint = ""
    if info is not None:
        quantity = quantity_of(info)
        hint = (info.description or "").split("\n")[0]
        if quantity is not None and not quantity.bare:
            hint += f" E.g. {quantity.examples[0]!r}."
    return problem_at(
        parent.key or parent.origin, f"{path[-1]!r} is missing", path=dotted_path(path), hint=hint
    )


def absent_entry(path: Path, value: Node, root: type[BaseModel], tree: Node) -> Problem | None:
    """Return what is wrong if an override changes or deletes an entry (a job, a site ...) that is not there.

    A new entry is given whole, so that a misspelt name cannot make one out of a single field.
    """
    for length, segment in enumerate(path):
        whole = length == len(path) - 1
        if whole and value.value is not None:
            return None
        above = lookup(tree, path[:length])
        if (above is not None and above.child(segment) is not None) or not has_names(root, path[:length]):
            continue
        entry, where = dotted_path(path[: length + 1]), dotted_path(path[:length])
        hint = nearest_hint(str(segment), (above.mapping or ()) if above is not None else ())
        if not whole:
            hint += f"{'; ' if hint else ''}a new one is given whole: {entry}={{...}}"
        return problem_at(value.origin, f"there is no {str(segment)!r} in {where}", path=entry, hint=hint)
    return None


def _unknown_key(path: Path, node: Node | None, root: type[BaseModel], tree: Node) -> Problem:
    hint = nearest_hint(str(path[-1]), _names_beside(path, root, tree))
    return problem_at(_key_of(node), f"unknown key {str(path[-1])!r}", path=dotted_path(path), hint=hint)


def _words(item: Mapping[str, Any], value: Any, reference: str | None) -> tuple[str, str]:
    kind = item["type"]
    context = item.get("ctx", {})
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, got {value}", ""
    if kind in ("quantity", "instant", "interval"):
        return str(item["msg"]), ""
    if kind in _TYPES:
        return _wrong_type(kind, value, reference)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {context[name]:g}, got {describe(value)}", ""
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(item, value)
    text = str(item["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:], ""


def _wrong_type(kind: str, value: Any, reference: str | None) -> tuple[str, str]:
    wanted = _TYPES[kind]
    if reference and wanted == "a mapping":
        wanted = f"the name of one of the {reference}, a path, or a mapping"
    hint = ""
    if wanted == "a text" and isinstance(value, (int, float)):
        hint = "put it in quotes"
    elif wanted == "a whole number" and isinstance(value, str):
        hint = "write it without quotes"
    return f"expected {wanted}, got {describe(value)}", hint


def _literal(item: Mapping[str, Any], value: Any) -> tuple[str, str]:
    expected = str(item.get("ctx", {}).get("expected", ""))
    names = re.findall(r"'([^']*)'", expected) or [expected]
    listed = ", ".join(names)
    message = (
        f"expected one of {listed}, got {describe(value)}"
        if len(names) > 1
        else (f"expected {listed}, got {describe(value)}")
    )
    if isinstance(value, str) and len(names) > 1:
        hint = nearest_hint(value, names)
        return message, hint if hint.startswith("did") else ""
    return message, ""


def _policy(item: Mapping[str, Any], value: Any) -> tuple[str, str]:
    message, hint = _literal(item, value)
    return message, hint or f"a package may offer more, as entry points of the group {GROUP!r}"


def _tag(item: Mapping[str, Any], value: Any) -> tuple[str, str]:
    context = item.get("ctx", {})
    name = str(context.get("discriminator", "kind")).strip("'")
    expected = context.get("expected_tags", "")
    names = re.findall(r"'([^']*)'", str(expected))
    listed = ", ".join(names)
    if "tag" not in context:
        return f"{name!r} is missing", f"one of {listed}" if listed else "it says which kind this is"
    hint = nearest_hint(str(context["tag"]), names)
    return f"{name} must be one of {listed}, got {context['tag']!r}", hint if hint.startswith("did") else ""


def _pattern(item: Mapping[str, Any], value: Any = None) -> str:
    pattern = str(item.get("ctx", {}).get("pattern", ""))
    shown = item.get("input") if value is None else value
    for start, words in _PATTERNS.items():
        if pattern.startswith(start):
            return f"expected {words}; got {describe(shown)}"
    return f"{describe(shown)} does not have the form {pattern}"


def _length(item: Mapping[str, Any], value: Any) -> tuple[str, str]:
    context = item.get("ctx", {})
    if "min_length" in context:
        least = context["min_length"]
        if least == 1:
            return "must not be empty", ""
        return f"needs at least {least} entries", ""
    unit = "characters" if isinstance(value, str) else "entries"
    return f"has too many {unit}: at most {context.get('max_length')} are allowed", ""


_SPECIAL: dict[str, Callable[[Mapping[str, Any], Any], tuple[str, str]]] = {
    "literal_error": _literal,
    "unknown_policy": _policy,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _tag,
    "string_pattern_mismatch": lambda item, value: (_pattern(item, value), ""),
    "too_short": _length,
    "too_long": _length,
    "string_too_short": _length,
    "string_too_long": _length,
}
