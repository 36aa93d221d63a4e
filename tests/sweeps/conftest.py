"""Small sweeps for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from colossus_sim.sweeps.plan import Plan, Point, make_plan

FAST = """
extends: {base}
name: fast
horizon: 6 days
jobs:
  small: null
  large:
    phases:
      sft: null
      pretrain:
        tokens: {{low: 60B, central: 120B, high: 240B, source: "for tests"}}
    data:
      releases: null
    target:
      means: end of pre-training
"""
"""One job with failures: a few milliseconds per run."""


@pytest.fixture(scope="session")
def fast_scenario(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a scenario that runs in milliseconds."""
    folder = tmp_path_factory.mktemp("scenario")
    tiny = Path(__file__).parents[2] / "scenarios" / "tiny.yaml"
    (folder / "base.yaml").write_text(tiny.read_text(encoding="utf-8"), encoding="utf-8")
    path = folder / "fast.yaml"
    path.write_text(FAST.format(base="base.yaml"), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def plan(fast_scenario: str) -> Plan:
    """Return a plan of 3 points with 4 runs each."""
    points = [
        Point(values={"faults.restart.base": text}, overrides=(f"faults.restart.base={text}",))
        for text in ("5 min", "1 h", "4 h")
    ]
    return make_plan(fast_scenario, points, replicas=4)
