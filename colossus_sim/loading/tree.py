"""Joining trees: one file over another, ``--set`` over both."""

from __future__ import annotations

import json
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from colossus_sim.errors import Problem, ScenarioError, UsageError
from colossus_sim.loading.cases import is_assumption
from colossus_sim.loading.nodes import Node, Origin, join, refuse
from colossus_sim.loading.references import Path, reference_kind
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.loading.yaml_source import parse_value

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Override:
    """One ``--set a.b[2].c=value``, parsed."""

    path: Path
    node: Node
    text: str


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """Return `base` with `over` laid on top: mappings by key, everything else replaced, null deletes.

    Fields laid over the name of a catalog entry change that entry: ``topology: x`` under
    ``topology: {link_efficiency: 0.9}`` gives ``{use: x, link_efficiency: 0.9}``.
    """
    if over.mapping is None or is_assumption(over) or is_assumption(base):
        return over
    if base.text is not None and reference_kind(path) and "use" not in over.mapping:
        base = Node({"use": base}, base.origin, base.key)
    if base.mapping is None:
        return over
    entries = dict(base.mapping)
    for name, child in over.mapping.items():
        if child.value is None and name in entries:
            del entries[name]
        elif name in entries:
            entries[name] = merge(entries[name], child, (*path, name))
        else:
            entries[name] = child
    return Node(entries, over.origin, over.key)


def override_texts(overrides: str | Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """Return overrides as ``path=value`` texts, given as one of them, as several, or as values by path.

    Raises
    ------
    UsageError
        If one is no text, or its value cannot be written as one.
    """
    if isinstance(overrides, str):
        return (overrides,)
    if isinstance(overrides, Mapping):
        return tuple(f"{path}={_flow(path, value)}" for path, value in overrides.items())
    texts = tuple(overrides) if isinstance(overrides, Iterable) else (overrides,)
    wrong = [item for item in texts if not isinstance(item, str)]
    if wrong:
        raise UsageError(f"an override is a text such as 'jobs.my_job.gpus=1024', got {wrong[0]!r}")
    return texts


def _flow(path: str, value: Any) -> str:
    """Return a value as YAML on one line; a text as it is, where that is read as the same text."""
    if isinstance(value, str) and _reads_as(value):
        return value
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return str(int(value))
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        raise UsageError(f"{path}: {value!r} cannot be written as the value of an override") from None


def _reads_as(text: str) -> bool:
    try:
        node = parse_value(text.encode("utf-8", "surrogateescape"), "")
    except ScenarioError:
        return False
    return node is not None and node.text == text


def parse_overrides(texts: Sequence[str]) -> list[Override]:
    """Return the parsed ``--set`` texts.

    Raises
    ------
    ScenarioError
        With one problem for each text that is not ``path=value`` with a value in YAML.
    """
    done: list[Override] = []
    problems: list[Problem] = []
    for number, text in enumerate(texts, start=1):
        try:
            done.append(_parse_override(text, Origin(f"--set #{number}", 0, 0, "")))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(problems)
    return done


def _parse_override(text: str, origin: Origin) -> Override:
    left, sign, right = text.partition("=")
    if not sign or not left.strip():
        raise refuse(origin, f"expected path=value, got {text!r}", hint="e.g. --set jobs.my_job.gpus=1024")
    path = parse_path(left.strip())
    if path is None:
        raise refuse(origin, f"{left.strip()!r} is not a field path", hint="e.g. jobs.my_job.gpus")
    try:
        value = parse_value(right.encode("utf-8", "surrogateescape"), origin.source)
    except ScenarioError as error:
        problem = error.problems[0]
        raise refuse(origin, problem.message, path=left.strip(), hint=problem.hint) from None
    return Override(path, _relabel(value or Node(None, origin), origin), text)


def parse_path(text: str) -> Path | None:
    """Return the segments of ``a.b[2].c`` (or ``a.b.2.c``), or None if the text is not a path."""
    segments: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (position == 0 and text[0] in ".["):
            return None
        name, index = match.groups()
        segments.append(name if name is not None else int(index))
        position = match.end()
    return tuple(segments) or None


def _relabel(node: Node, origin: Origin) -> Node:
    if isinstance(node.value, dict):
        return Node({k: _relabel(v, origin) for k, v in node.value.items()}, origin, origin)
    if isinstance(node.value, tuple):
        return Node(tuple(_relabel(v, origin) for v in node.value), origin, origin)
    return Node(node.value, origin, origin)


def apply_override(root: Node, override: Override) -> Node:
    """Return the tree with one override applied; missing mappings on the way are created, null deletes.

    Raises
    ------
    ScenarioError
        If the path leads through a single value, or to a list item that is not there.
    """
    return _apply(root, matched_path(root, override.path), override.node, "")


def matched_path(root: Node, path: Path) -> Path:
    """Return the path with neighbouring segments joined where the tree has a name with dots in it.

    ``jobs.grok-5.10t.gpus`` becomes ``("jobs", "grok-5.10t", "gpus")`` if there is a job ``grok-5.10t``.
    """
    node: Node | None = root
    rest, done = list(path), []
    while rest:
        taken = 1
        entries = node.mapping if node is not None else None
        if entries is not None:
            for count in range(len(rest), 1, -1):
                if ".".join(str(segment) for segment in rest[:count]) in entries:
                    taken = count
                    break
        segment = rest[0] if taken == 1 else ".".join(str(item) for item in rest[:taken])
        if node is not None and isinstance(node.value, tuple) and str(segment).isdigit():
            segment = int(segment)
        done.append(segment)
        node = node.child(segment) if node is not None else None
        rest = rest[taken:]
    return tuple(done)


def _apply(node: Node, path: Path, value: Node, done: str) -> Node:
    if not path:
        return value
    head, rest = path[0], path[1:]
    here = join(done, head)
    if isinstance(node.value, tuple):
        return _apply_to_list((node, node.value), path, value, done)
    if node.mapping is None:
        if node.value is not None:
            raise refuse(value.origin, f"{done} is a single value, it has no {head!r}", path=here)
        node = Node({}, value.origin, node.key)
    entries = dict(node.mapping or {})
    name = str(head)
    if isinstance(head, int) and not entries:
        hint = f"give the list as a whole: {done}=[...]"
        raise refuse(value.origin, f"{done} is not given, it has no item [{head}]", path=here, hint=hint)
    if isinstance(head, int):
        hint = nearest_hint(name, entries)
        raise refuse(value.origin, f"{done} is a mapping, it has no item [{head}]", path=here, hint=hint)
    old = entries.get(name)
    if not rest and value.value is None:
        entries.pop(name, None)
        return replace(node, value=entries)
    base = old if old is not None else Node({} if rest else None, value.origin, value.origin)
    new = _apply(base, rest, value, here)
    entries[name] = replace(new, key=new.key or base.key) if rest else new
    return replace(node, value=entries)


def _apply_to_list(old: tuple[Node, tuple[Node, ...]], path: Path, value: Node, done: str) -> Node:
    node, nodes = old
    head, rest = path[0], path[1:]
    index = head if isinstance(head, int) else int(head) if head.isdigit() else None
    if index is None or index >= len(nodes):
        raise refuse(
            value.origin,
            f"{done} is a list of {len(nodes)}, it has no item {head!r}",
            path=join(done, head),
            hint="items count from [0]",
        )
    items = list(nodes)
    if not rest and value.value is None:
        del items[index]
    else:
        items[index] = _apply(items[index], rest, value, join(done, index))
    return replace(node, value=tuple(items))
