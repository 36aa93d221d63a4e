"""Ends of ranges that a case does not use: they are values of the same field, and wrong where it refuses them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from colossus_sim.errors import Problem
from colossus_sim.loading.cases import CASES
from colossus_sim.loading.facts import Assumption
from colossus_sim.loading.fields import records_at
from colossus_sim.loading.nodes import Node
from colossus_sim.loading.tree import parse_path
from colossus_sim.specs.scenario import Scenario


def doubtful_cases(assumptions: Sequence[Assumption], tree: Node) -> Iterator[str]:
    """Yield the cases with an end that its own field may refuse.

    Most ends are numbers of plain fields, which this reads alone; what it cannot read so (names of catalog entries,
    items of lists) is doubtful, and settled by reading the whole scenario in that case.
    """
    ranges = [item for item in assumptions if not item.low == item.central == item.high]
    readers = [(item, _reader_at(item, tree)) for item in ranges]
    for case in CASES:
        if any(not _reads(reader, getattr(item, case)) for item, reader in readers if item.chosen != case):
            yield case


def at_an_end(problem: Problem, assumptions: Sequence[Assumption]) -> bool:
    """Say whether a problem lies in the value of a range."""
    path = parse_path(problem.path) or ()
    return any(path[: len(own)] == own for item in assumptions if (own := parse_path(item.path)))


def _reader_at(item: Assumption, tree: Node) -> TypeAdapter[Any] | None:
    """Return what reads the field of an assumption alone; None if nothing does."""
    path = parse_path(item.path) or ()
    name = str(path[-1]) if path else ""
    records = [kind for kind in records_at(Scenario, path[:-1], tree) if name in kind.model_fields]
    return _reader(records[0], name) if len(records) == 1 else None


@functools.lru_cache(maxsize=1024)
def _reader(record: type[BaseModel], name: str) -> TypeAdapter[Any] | None:
    field = record.model_fields[name]
    annotation: Any = field.annotation
    for mark in field.metadata:
        annotation = Annotated[annotation, mark]
    try:
        return TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))
    except PydanticUserError:  # a record, which has a configuration of its own
        return None


def _reads(reader: TypeAdapter[Any] | None, value: Any) -> bool:
    if reader is None:
        return False
    try:
        reader.validate_python(value)
    except ValidationError:
        return False
    return True
