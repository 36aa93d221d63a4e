"""Strict YAML: the core schema of YAML 1.2 (yaml.org/spec/1.2.2, chapter 10.3), with a place for every value.

Refused: duplicate keys, tags, merge keys, more than one document, deep nesting, runaway aliases, files over
4 MiB. PyYAML only splits the text into events; what scalars mean is decided here, because its own reading
(YAML 1.1) takes ``1e9`` for a text, ``on`` for a truth value and ``010`` for eight.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from colossus_sim.loading.nodes import Node, Origin, Scalar, refuse

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 64
MAX_ALIAS_COPIES = 20_000
"""Nodes that aliases may add to those written in the file."""
MAX_DIGITS = 400

_Parser: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]+$")
_BASED = re.compile(r"0o[0-7]+$|0x[0-9a-fA-F]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_SPECIAL: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + inf: math.inf for sign in ("", "+") for inf in (".inf", ".Inf", ".INF")},
    **{"-" + inf: -math.inf for inf in (".inf", ".Inf", ".INF")},
}


def parse_yaml(data: bytes, source: str) -> Node:
    """Return the one document of `data` as a tree whose top is a mapping.

    Parameters
    ----------
    data : bytes
        UTF-8 text.
    source : str
        How the file is called in messages.

    Raises
    ------
    ScenarioError
        If this is not such a document; never anything else, whatever the bytes.
    """
    root = parse_value(data, source)
    if root is None or root.value is None:
        raise refuse(Origin(source), "the file is empty", hint="expected a mapping such as 'version: 1'")
    if root.mapping is None:
        what = "a list" if isinstance(root.value, tuple) else "a single value"
        raise refuse(root.origin, f"expected a mapping at the top level, got {what}")
    return root


def parse_value(data: bytes, source: str) -> Node | None:
    """Return the one document of `data`, whatever it is, or None if there is none."""
    text = _decoded(data, source)
    lines = text.splitlines()
    try:
        return _Composer(source, lines).compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise refuse(_origin(source, lines, mark), _syntax_message(error)) from None
    except yaml.YAMLError as error:
        raise refuse(Origin(source), f"not valid YAML: {_one_line(str(error))}") from None


def scalar(text: str) -> Scalar:
    """Return what an unquoted scalar means in the core schema of YAML 1.2.

    Raises
    ------
    ValueError
        If it is a number with more digits than anybody needs.
    """
    if text in _SPECIAL:
        return _SPECIAL[text]
    if _INT.match(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"number with {len(text)} digits")
        return int(text)
    if _BASED.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    return text


def _decoded(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        raise refuse(
            Origin(source), f"the file is too large: {len(data)} bytes, at most {MAX_BYTES} are read"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(
            Origin(source), f"not a UTF-8 text file (byte {error.start} is not valid UTF-8)"
        ) from None
    if "\0" in text:
        raise refuse(Origin(source), "not a text file (it contains a NUL character)")
    return text


def _origin(source: str, lines: list[str], mark: Any) -> Origin:
    if mark is None:
        return Origin(source)
    text = lines[mark.line] if mark.line < len(lines) else ""
    return Origin(source, mark.line + 1, mark.column + 1, text)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:300]


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = _one_line(error.problem or "syntax error")
    if "cannot start any token" in problem:
        problem += " (YAML does not allow tabs for indentation)"
    context = f" ({_one_line(error.context)})" if error.context else ""
    return f"not valid YAML: {problem}{context}"


@dataclass
class _Open:
    """A mapping or list whose end has not come yet."""

    origin: Origin
    anchor: str | None
    entries: dict[str, Node] | None
    items: list[Node] = field(default_factory=list)
    key: str | None = None
    key_origin: Origin | None = None
    size: int = 1


class _Composer:
    """Builds the tree from parser events, without recursion."""

    def __init__(self, source: str, lines: list[str]) -> None:
        self._source = source
        self._lines = lines
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._copies = 0
        self._root: Node | None = None

    def compose(self, text: str) -> Node | None:
        parser = _Parser(text)
        try:
            documents = 0
            while parser.check_event():
                event = parser.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self._refuse(event, "a second document begins here; one file, one document")
                elif isinstance(event, yaml.NodeEvent):
                    self._node(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._close()
        finally:
            parser.dispose()
        return self._root

    def _refuse(self, event: yaml.Event, message: str, hint: str = "") -> Exception:
        return refuse(self._at(event), message, hint=hint)

    def _at(self, event: yaml.Event) -> Origin:
        return _origin(self._source, self._lines, event.start_mark)

    def _node(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._alias(event)
            return
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._refuse(event, f"YAML tags are not allowed here: {_one_line(tag)}")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
            return
        self._expect_value(event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._refuse(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        entries: dict[str, Node] | None = {} if isinstance(event, yaml.MappingStartEvent) else None
        self._stack.append(_Open(self._at(event), event.anchor, entries))

    def _expect_value(self, event: yaml.Event) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.entries is not None and top.key is None:
            raise self._refuse(event, "a key must be a plain name, not a mapping, list or alias")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        top = self._stack[-1] if self._stack else None
        origin = self._at(event)
        if top is not None and top.entries is not None and top.key is None:
            self._key(top, top.entries, event.value, origin)
            return
        try:
            value: Scalar = scalar(event.value) if event.implicit[0] else event.value
        except ValueError as error:
            raise refuse(origin, str(error)) from None
        self._add(Node(value, origin), 1, event.anchor)

    def _key(self, top: _Open, entries: dict[str, Node], name: str, origin: Origin) -> None:
        if name in entries:
            first = entries[name].key
            raise refuse(origin, f"key {name!r} is written twice in the same mapping; first at {first}")
        if name == "<<":
            raise refuse(origin, "merge keys are not supported", hint="use 'extends: base.yaml'")
        top.key, top.key_origin = name, origin

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._expect_value(event)
        if event.anchor not in self._anchors:
            raise self._refuse(event, f"alias *{event.anchor} has no anchor before it")
        found = self._anchors[event.anchor]
        if found is None:
            raise self._refuse(event, f"alias *{event.anchor} lies inside its own anchor")
        node, size = found
        self._copies += size
        if self._copies > MAX_ALIAS_COPIES:
            raise self._refuse(event, f"aliases expand to more than {MAX_ALIAS_COPIES} values")
        self._add(node, size, None)

    def _add(self, node: Node, size: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        top.size += size
        if top.entries is None or top.key is None:
            top.items.append(node)
            return
        top.entries[top.key] = replace(node, key=top.key_origin)
        top.key = None

    def _close(self) -> None:
        done = self._stack.pop()
        value = done.entries if done.entries is not None else tuple(done.items)
        self._add(Node(value, done.origin), done.size, done.anchor)
