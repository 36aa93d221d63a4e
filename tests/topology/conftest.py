"""Shipped topologies and GPUs, as a scenario would get them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.listing import validated_entry
from colossus_sim.loading.nodes import plain
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """Return the shipped catalogs."""
    return Catalog(Files())


@pytest.fixture(scope="session")
def load_topology(catalog: Catalog) -> Callable[[str], Topology]:
    """Return a function that loads a shipped topology by name."""

    def load(name: str) -> Topology:
        found = validated_entry("topologies", catalog, name, case="central")
        assert isinstance(found, Topology)
        return found

    return load


@pytest.fixture(scope="session")
def load_gpu(catalog: Catalog) -> Callable[[str], Gpu]:
    """Return a function that loads a GPU by name."""

    def load(name: str) -> Gpu:
        return Gpu.model_validate({**plain(catalog.entry("gpus", name)), "name": name})

    return load
