"""What the specs say about a field: its description, unit, examples, and the names beside it."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from colossus_sim.loading.nodes import Node, lookup
from colossus_sim.loading.references import Path
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.units import Instant, Quantity

_INSTANT_MARK = get_args(Instant)[-1]


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows, without ``Annotated`` and ``Union`` around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for inner in get_args(annotation):
            yield from alternatives(inner)
    else:
        yield annotation


def is_spec(kind: Any) -> bool:
    """Say whether a type is one of our records."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def records_at(root: type[BaseModel], path: Path, tree: Node) -> list[type[BaseModel]]:
    """Return the record types that the mapping at `path` may be, narrowed by its ``kind`` where there is one."""
    records = [kind for kind in _kinds_at(root, path) if is_spec(kind)]
    return _narrowed(records, lookup(tree, path)) or records


def has_names(root: type[BaseModel], path: Path) -> bool:
    """Say whether the mapping at `path` has entries under names that its writer chooses, such as jobs."""
    return any(get_origin(kind) is dict for kind in _kinds_at(root, path))


def _kinds_at(root: type[BaseModel], path: Path) -> list[Any]:
    kinds: list[Any] = [root]
    for segment in path:
        kinds = [inner for kind in kinds for inner in _below(kind, segment)]
    return kinds


def field_at(root: type[BaseModel], path: Path, tree: Node) -> FieldInfo | None:
    """Return the declaration of the field at `path`, or None if it is an item of a list or mapping."""
    if not path:
        return None
    for record in records_at(root, path[:-1], tree):
        if str(path[-1]) in record.model_fields:
            return record.model_fields[str(path[-1])]
    return None


def unknown_field(root: type[BaseModel], path: Path, tree: Node) -> tuple[str, str] | None:
    """Return the first segment of a path that neither file nor record has, with a hint; None if there is none."""
    for length, segment in enumerate(path):
        above = lookup(tree, path[:length])
        if above is None:
            return None
        if above.child(segment) is None:
            records = records_at(root, path[:length], tree)
            names = {name for record in records for name in record.model_fields} or set(above.mapping or ())
            known = str(segment) in names
            return None if known else (str(segment), nearest_hint(str(segment), names))
    return None


def quantity_of(info: FieldInfo) -> Quantity | None:
    """Return the kind of quantity of a field, or None."""
    return next((item for item in _metadata(info) if isinstance(item, Quantity)), None)


def is_instant(info: FieldInfo) -> bool:
    """Say whether a field is a moment in time."""
    return any(item is _INSTANT_MARK for item in _metadata(info))


def _metadata(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    yield from _metadata_in(info.annotation)


def _metadata_in(annotation: Any) -> Iterator[Any]:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from arguments[1:]
        yield from _metadata_in(arguments[0])
    else:
        for inner in arguments:
            yield from _metadata_in(inner)


def _below(kind: Any, segment: str | int) -> list[Any]:
    if is_spec(kind):
        info = kind.model_fields.get(str(segment))
        return list(alternatives(info.annotation)) if info is not None else []
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return list(alternatives(arguments[1]))
    if get_origin(kind) is tuple and isinstance(segment, int):
        return list(alternatives(arguments[0]))
    return []


def _narrowed(records: list[type[BaseModel]], node: Node | None) -> list[type[BaseModel]]:
    kind = node.child("kind") if node is not None else None
    if kind is None or len(records) < 2:
        return []
    return [
        record
        for record in records
        if "kind" in record.model_fields
        and get_origin(record.model_fields["kind"].annotation) is Literal
        and kind.value in get_args(record.model_fields["kind"].annotation)
    ]
