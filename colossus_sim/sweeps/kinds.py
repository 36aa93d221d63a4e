"""Whether a field holds whole numbers, by what the specs say of it, not by how its values are written."""

from __future__ import annotations

import functools
from typing import NamedTuple

from colossus_sim.loading.fields import alternatives, field_at, quantity_of
from colossus_sim.loading.nodes import Node, Origin
from colossus_sim.loading.tree import matched_path, parse_path
from colossus_sim.specs.scenario import Scenario


class FieldKind(NamedTuple):
    """What kind of numbers a field holds."""

    whole: bool
    """Whether they are whole."""
    gpus: bool = False
    """Whether they are GPUs, which come in whole racks."""


def field_kind(path: str, root: Node | None = None) -> FieldKind | None:
    """Return the kind of the field at a path; None if the specs do not say, or it holds no numbers.

    Parameters
    ----------
    root : Node, optional
        The scenario, for names with dots and records of several kinds.
    """
    return _declared(path) if root is None else _kind(path, root)


@functools.lru_cache(maxsize=4096)
def _declared(path: str) -> FieldKind | None:
    return _kind(path, Node("", Origin("scenario"), None))


def _kind(path: str, root: Node) -> FieldKind | None:
    segments = parse_path(path)
    if not segments:
        return None
    segments = matched_path(root, segments)
    info = field_at(Scenario, segments, root)
    if info is None:
        return None
    quantity, types = quantity_of(info), set(alternatives(info.annotation))
    if quantity is None and not types & {int, float}:
        return None
    whole = quantity.integer if quantity is not None else float not in types
    return FieldKind(whole, whole and str(segments[-1]).endswith("gpus"))
