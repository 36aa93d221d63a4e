"""A small run with failures, and its traces."""

from __future__ import annotations

import pytest

from colossus_sim.loading.load import load_scenario
from colossus_sim.results.result import Result, simulate


@pytest.fixture(scope="session")
def run() -> Result:
    """Return the quickstart run."""
    return simulate(load_scenario("quickstart"))
