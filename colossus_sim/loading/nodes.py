"""A tree of values that remembers where each of them was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from colossus_sim.errors import Problem, ScenarioError

MAX_SHOWN = 200
"""Characters of a source line that a message shows."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a file, or an override such as ``--set #1`` (then without a line).

    Attributes
    ----------
    source : str
        Path as shown to people, or ``--set #1``.
    line, column : int
        1-based; 0 where there is none.
    text : str
        The whole source line, for the caret.
    """

    source: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Node:
    """A value: a scalar, a mapping of names to nodes, or a tuple of nodes.

    Attributes
    ----------
    value : Scalar, dict or tuple
        The content.
    origin : Origin
        Where the value begins.
    key : Origin or None
        Where the key that names this value begins; None in lists and at the top.
    """

    value: Scalar | dict[str, Node] | tuple[Node, ...]
    origin: Origin
    key: Origin | None = None

    @property
    def mapping(self) -> dict[str, Node] | None:
        """The content if this is a mapping, else None."""
        return self.value if isinstance(self.value, dict) else None

    @property
    def text(self) -> str | None:
        """The content if this is a text, else None."""
        return self.value if isinstance(self.value, str) else None

    def child(self, segment: str | int) -> Node | None:
        """Return the entry of a mapping, or the item of a list, or None."""
        if isinstance(self.value, dict):
            return self.value.get(str(segment))
        if isinstance(self.value, tuple) and isinstance(segment, int) and 0 <= segment < len(self.value):
            return self.value[segment]
        return None


def plain(node: Node) -> Any:
    """Return the values alone: dicts, tuples and scalars."""
    if isinstance(node.value, dict):
        return {name: plain(child) for name, child in node.value.items()}
    if isinstance(node.value, tuple):
        return tuple(plain(child) for child in node.value)
    return node.value


def node_of(value: Any, origin: Origin) -> Node:
    """Return the tree of plain values, all of them from one place."""
    if isinstance(value, dict):
        return Node({str(name): node_of(item, origin) for name, item in value.items()}, origin, origin)
    if isinstance(value, (list, tuple)):
        return Node(tuple(node_of(item, origin) for item in value), origin, origin)
    return Node(value, origin, origin)


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Yield the dotted path of every scalar (and of every empty container) with its node."""
    if isinstance(node.value, dict) and node.value:
        for name, child in node.value.items():
            yield from leaves(child, join(path, name))
    elif isinstance(node.value, tuple) and node.value:
        for index, child in enumerate(node.value):
            yield from leaves(child, join(path, index))
    else:
        yield path, node


def join(path: str, segment: str | int) -> str:
    """Return the dotted path of a field, e.g. ``cluster.sites.memphis.partitions.gb200.capacity[0].gpus``."""
    if isinstance(segment, int):
        return f"{path}[{segment}]"
    return f"{path}.{segment}" if path else segment


def lookup(root: Node, segments: tuple[str | int, ...]) -> Node | None:
    """Return the node at `segments` below `root`, or None."""
    node: Node | None = root
    for segment in segments:
        node = node.child(segment) if node is not None else None
    return node


def problem_at(origin: Origin | None, message: str, *, path: str = "", hint: str = "") -> Problem:
    """Return a problem that points at `origin`, with its source line and a caret."""
    if origin is None:
        return Problem(path=path, message=message, hint=hint)
    text = _visible(origin.text)
    return Problem(
        path=path,
        message=message,
        hint=hint,
        where=str(origin),
        source_line=text,
        column=origin.column if origin.column <= len(text) + 1 else 0,
    )


def _visible(text: str) -> str:
    """Keep long lines and control characters out of messages; the column of the caret stays right."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_SHOWN])


def refuse(origin: Origin | None, message: str, *, path: str = "", hint: str = "") -> ScenarioError:
    """Return a ScenarioError with this one problem, ready to be raised."""
    return ScenarioError([problem_at(origin, message, path=path, hint=hint)])
