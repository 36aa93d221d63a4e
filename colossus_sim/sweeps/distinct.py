"""Checks that what a sweep varies is one thing each: fields by their path, values by what they mean."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from colossus_sim.loading.nodes import Node
from colossus_sim.loading.tree import matched_path, parse_path
from colossus_sim.sweeps.spec import Vary, VaryError

Place = tuple[str | int, ...]
Fields = list[tuple[Place, str]]
"""Paths of fields with the place below ``vary`` that gives each."""


def check_fields(vary: Vary, fixed: Sequence[str] = (), root: Node | None = None) -> None:
    """Refuse fields that are varied twice, lie within each other, or are set as well.

    Parameters
    ----------
    fixed : sequence of str
        Fields that are set at all points.
    root : Node, optional
        The scenario, for names with dots.

    Raises
    ------
    VaryError
        With the place of the second one.
    """
    always = [*_places(("grid",), vary.grid), *_places(("zip",), vary.zip)]
    if vary.sample is not None:
        always += _places(("sample", "ranges"), vary.sample.ranges)
    entries = [_places(("list", index), fields) for index, fields in enumerate(vary.list)]
    for entry in entries or [[]]:
        _check_apart([*always, *entry], root)
    for name, fields in vary.changes.items():
        _check_apart(_places(("changes", name), fields), root)
    keys = {field_key(path, root) for path in fixed}
    for place, path in (*always, *_in_all(entries, root)):
        if field_key(path, root) in keys:
            raise VaryError(
                f"{path} is varied and set as well; the value that is set would never be used", *place, path
            )


def field_key(path: str, root: Node | None = None) -> tuple[str, ...]:
    """Return what two spellings of one field have in common."""
    segments = parse_path(path.strip())
    if segments is None:
        return (path,)
    return tuple(map(str, segments if root is None else matched_path(root, segments)))


def _places(place: Place, fields: Mapping[str, Any]) -> Fields:
    return [(place, path) for path in fields]


def _in_all(entries: Sequence[Fields], root: Node | None) -> Iterator[tuple[Place, str]]:
    """Yield the fields of the first entry that all the others have too."""
    keys = [{field_key(path, root) for _, path in entry} for entry in entries]
    for place, path in entries[0] if entries else ():
        if all(field_key(path, root) in found for found in keys):
            yield place, path


def _check_apart(fields: Fields, root: Node | None) -> None:
    # Whatever lies within a field comes right after it in order of the keys.
    ranked = sorted(fields, key=lambda item: field_key(item[1], root))
    for (_, outer), (place, inner) in itertools.pairwise(ranked):
        first, second = field_key(outer, root), field_key(inner, root)
        if first == second:
            spelt = "" if inner == outer else f": {outer} is the same field"
            raise VaryError(f"{inner} is varied twice{spelt}", *place, inner)
        if second[: len(first)] == first:
            raise VaryError(
                f"{inner} lies within {outer}, which is varied too: one would overwrite the other",
                *place, inner,
            )  # fmt: skip
