"""Discrete-event simulator of very large AI training clusters and their roadmaps.

>>> from colossus_sim import load_scenario, simulate
>>> result = simulate(load_scenario("quickstart"))  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from colossus_sim.version import __version__

if TYPE_CHECKING:
    from colossus_sim.errors import (
        ColossusError,
        InfeasibleError,
        OutputError,
        ScenarioError,
        SimulationError,
        UsageError,
    )
    from colossus_sim.loading.load import load_scenario
    from colossus_sim.results.result import Result, simulate
    from colossus_sim.results.store import load_run
    from colossus_sim.specs.scenario import Scenario

_HOMES = {
    "ColossusError": "colossus_sim.errors",
    "InfeasibleError": "colossus_sim.errors",
    "OutputError": "colossus_sim.errors",
    "ScenarioError": "colossus_sim.errors",
    "SimulationError": "colossus_sim.errors",
    "UsageError": "colossus_sim.errors",
    "Scenario": "colossus_sim.specs.scenario",
    "load_scenario": "colossus_sim.loading.load",
    "Result": "colossus_sim.results.result",
    "simulate": "colossus_sim.results.result",
    "load_run": "colossus_sim.results.store",
}
"""Where the public names live; they are imported on first use, so that importing the package stays cheap."""

__all__ = [
    "ColossusError",
    "InfeasibleError",
    "OutputError",
    "Result",
    "Scenario",
    "ScenarioError",
    "SimulationError",
    "UsageError",
    "__version__",
    "load_run",
    "load_scenario",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'colossus_sim' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
