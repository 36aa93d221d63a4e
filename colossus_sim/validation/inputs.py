"""Catalog entries as the predictions need them."""

from __future__ import annotations

from typing import TypeVar

from colossus_sim.loading.cases import resolve_cases
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.nodes import Node, Origin, plain
from colossus_sim.specs.base import Spec
from colossus_sim.specs.hardware import Calibration, Gpu, Stack
from colossus_sim.specs.topology import CollectiveConstants
from colossus_sim.validation.predict import Inputs

S = TypeVar("S", bound=Spec)
CALIBRATION = "default"
"""Name of the kernel efficiencies that scenarios use unless they say otherwise."""


def shipped_inputs() -> Inputs:
    """Return all shipped GPUs, stacks and constants of collectives, and the default kernel efficiencies.

    Raises
    ------
    ScenarioError
        If an entry of the catalogs is broken.
    """
    catalog = Catalog(Files())
    return Inputs(
        gpus=_all(catalog, "gpus", Gpu),
        stacks=_all(catalog, "stacks", Stack),
        collectives=_all(catalog, "collectives", CollectiveConstants),
        calibration=_entry(catalog, "calibrations", CALIBRATION, Calibration),
    )


def _all(catalog: Catalog, kind: str, spec: type[S]) -> dict[str, S]:
    return {name: _entry(catalog, kind, name, spec) for name in catalog.names(kind)}


def _entry(catalog: Catalog, kind: str, name: str, spec: type[S]) -> S:
    reference = Node(name, Origin("validation"), None)
    node, _ = resolve_cases(catalog.resolve(kind, reference, kind), "central")
    return spec.model_validate(plain(node))
