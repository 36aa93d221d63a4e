"""No group's error against published measurements may get worse than what is recorded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from colossus_sim.validation.inputs import shipped_inputs

ROOT = Path(__file__).resolve().parent.parent.parent
RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text(encoding="utf-8"))
RELATIVE, ABSOLUTE = 0.02, 0.002


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The script that makes the published tables."""
    path = ROOT / "benchmarks" / "validation_tables.py"
    spec = importlib.util.spec_from_file_location("validation_tables", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["training", "collectives", "campaigns"])
def test_no_error_is_worse_than_recorded(tables: ModuleType, part: str) -> None:
    """Every recorded group is still there, with an error of at most what is recorded."""
    _, now = getattr(tables, part)(shipped_inputs())
    worse = {
        f"{group}: {key}": (now[group][key], error)
        for group, errors in RECORDED[part].items()
        for key, error in errors.items()
        if group not in now or now[group][key] > error * (1.0 + RELATIVE) + ABSOLUTE
    }
    assert not worse


@pytest.mark.parametrize("part", ["training", "collectives", "campaigns"])
def test_published_table_is_current(tables: ModuleType, part: str) -> None:
    """benchmarks/validation holds what the model predicts today."""
    text, _ = getattr(tables, part)(shipped_inputs())
    assert (tables.OUT / f"{part}.md").read_text(encoding="utf-8") == text
