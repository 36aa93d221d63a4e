"""The engine against the plain SimPy model of `benchmarks/every_step.py`, which shares no code with it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark script as a module."""
    spec = importlib.util.spec_from_file_location("every_step", ROOT / "benchmarks" / "every_step.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["every_step"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("step", "steps_per_save", "save"), [(16.0, 100, 64.0), (64.0, 7, 4.0), (8.0, 30, 200.0)]
)
def test_engine_equals_a_plain_model_of_every_step_to_the_last_bit(
    benchmark: ModuleType, step: float, steps_per_save: int, save: float
) -> None:
    """End, interruptions, lost work, saves and restarts are the same floats, on the same failures."""
    world = benchmark.World("test", step, 2.0**12, steps_per_save, save=save)
    ours, plain, *_ = benchmark.compare(world, 4.0)

    assert ours == plain
    assert ours.interruptions > 50
    assert ours.lost_work > 0


def test_the_comparison_can_fail(benchmark: ModuleType) -> None:
    """Without one of the failures the plain model gives another answer."""
    world = benchmark.World("test", 16.0, 2.0**12, 100)
    result = benchmark.play_engine(world, 5000)
    failures = [row.time for row in result.events if row.kind == "failure"]

    assert benchmark.PlainJob(world, 5000, failures).play() == benchmark.answer_of(result)
    assert benchmark.PlainJob(world, 5000, failures[1:]).play() != benchmark.answer_of(result)


def test_gaps_have_an_exact_mean(benchmark: ModuleType) -> None:
    """The list of gaps sums to a power of two times its length, so that scaling it changes nothing."""
    for world in benchmark.WORLDS:
        assert sum(benchmark.gaps_of(world)) == world.mean_gap * benchmark.GAPS
        assert min(benchmark.gaps_of(world)) > 0
