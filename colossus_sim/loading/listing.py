"""What can be named in a scenario, as rows for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from colossus_sim.errors import Problem, ScenarioError, UsageError
from colossus_sim.loading.cases import resolve_cases
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.load import placed_in
from colossus_sim.loading.messages import problems_of
from colossus_sim.loading.nodes import Node, plain
from colossus_sim.loading.references import KINDS
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.faults import Faults
from colossus_sim.specs.hardware import Calibration, Gpu, Stack, Storage
from colossus_sim.specs.parts import Parts
from colossus_sim.specs.topology import CollectiveConstants, Topology

RECORDS: Mapping[str, type[BaseModel]] = {
    "gpus": Gpu,
    "models": Architecture,
    "topologies": Topology,
    "collectives": CollectiveConstants,
    "storage": Storage,
    "stacks": Stack,
    "calibrations": Calibration,
    "faults": Faults,
    "parts": Parts,
}


def check_kind(kind: str) -> None:
    """Refuse a kind that is none.

    Raises
    ------
    UsageError
        With the nearest name.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no catalog {kind!r}; {nearest_hint(kind, KINDS)}")


def entry_names(kind: str) -> list[str]:
    """Return the names of the shipped entries of a kind."""
    check_kind(kind)
    return Catalog(Files()).names(kind)


def written_entry(kind: str, name: str) -> dict[str, Any]:
    """Return a shipped entry as it is written, references and ranges included.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    check_kind(kind)
    catalog = Catalog(Files())
    node = catalog.entry(kind, name)
    if node is None:
        raise UsageError(f"there is no {name!r} in {kind}; {nearest_hint(name, catalog.names(kind))}")
    found: dict[str, Any] = plain(node)
    return found


def load_entries(kind: str, *, case: str = "central") -> dict[str, BaseModel]:
    """Return all shipped entries of a kind (not of scenarios) as validated records, by name."""
    catalog = Catalog(Files())
    return {name: validated_entry(kind, catalog, name, case=case) for name in catalog.names(kind)}


def validated_entry(kind: str, catalog: Catalog, name: str, *, case: str) -> BaseModel:
    """Return one entry as a validated record.

    Raises
    ------
    ScenarioError
        With the place of each problem in the catalog's file.
    """
    return _validated(kind, catalog.full_entry(kind, name), case)


def validated_file(kind: str, catalog: Catalog, file: Path, *, case: str = "central") -> BaseModel:
    """Return the entry in a file of its own as a validated record.

    Raises
    ------
    ScenarioError
        With the place of each problem in the file.
    """
    return _validated(kind, catalog.full_file(kind, file), case)


def placed_in_entry(kind: str, catalog: Catalog, entry: str | Path, problem: Problem) -> Problem:
    """Return a problem of a valid entry (by name, or the file that it is in) with the place of its field."""
    full = catalog.full_file(kind, entry) if isinstance(entry, Path) else catalog.full_entry(kind, entry)
    return placed_in(problem, full)


def _validated(kind: str, node: Node, case: str) -> BaseModel:
    tree, _ = resolve_cases(node, case)
    record = RECORDS[kind]
    try:
        return record.model_validate(plain(tree))
    except ValidationError as error:
        raise ScenarioError(problems_of(error, record, tree)) from None
