"""Small worlds for the engine: one partition, fake step times, failures to order."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from colossus_sim.engine import failures
from colossus_sim.engine.runner import simulate
from colossus_sim.parallelism.placement import Placement
from colossus_sim.records import RunResult
from colossus_sim.specs.hardware import Calibration, Stack
from colossus_sim.specs.scenario import Scenario

SOURCE = {"kind": "assumption", "reference": "made up for a test", "checked": "2026-01-01"}

GPU = {
    "title": "test GPU", "vendor": "none", "year": 2026, "peak": {"bf16": "1 PFLOP/s"},
    "hbm_capacity": "80 GB", "hbm_bandwidth": "3 TB/s", "multiprocessors": 132,
    "scale_up_bandwidth": "400 GB/s", "scale_up_domain": 8, "gpus_per_node": 8,
    "nic_bandwidth": "400 Gbit/s", "power_max": "700 W", "power_idle": "100 W",
    "host_power_per_gpu": "300 W", "provenance": SOURCE,
}  # fmt: skip

TOPOLOGY = {
    "title": "flat", "gpu": "test", "gpus": 1024,
    "fabric": {
        "kind": "clos", "switch_radix": 64, "rails": 8,
        "tiers": [{"name": "leaf", "group_gpus": 256}, {"name": "spine", "group_gpus": 0}],
    },
    "provenance": SOURCE,
}  # fmt: skip

STACK = Stack.model_construct(name="fake")
CALIBRATION = Calibration.model_construct(name="fake", kernels=())
"""Never looked at: the fake model below gives the step times."""

MODEL = {
    "hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 8, "intermediate_size": 4096,
    "vocab_size": 32000, "provenance": SOURCE,
}  # fmt: skip


def a_job(*, gpus: int = 64, tokens: float = 1000, **more: Any) -> dict[str, Any]:
    """A job of so many units (one token each)."""
    job = {
        "model": MODEL, "site": "here", "gpus": gpus, "submit": "2026-01-01",
        "parallel": {"global_batch_size": 64, "sequence_length": 128, "stack": STACK},
        "phases": {"pretrain": {"tokens": tokens}},
    }  # fmt: skip
    return job | more


def a_scenario(**more: Any) -> dict[str, Any]:
    """A scenario of one job on 64 of 128 GPUs, without failures, that saves every 100 units for 10 s."""
    base: dict[str, Any] = {
        "version": 1, "name": "small", "start": "2026-01-01", "horizon": "100 days", "seed": 7,
        "cluster": {
            "sites": {
                "here": {
                    "topology": TOPOLOGY,
                    "partitions": {"all": {"gpu": GPU, "capacity": [{"at": "2026-01-01", "gpus": 128}]}},
                    "storage": {
                        "write_bandwidth": "1 GB/s", "read_bandwidth": "1 GB/s", "bandwidth_per_gpu": "1 GB/s",
                        "provenance": SOURCE,
                    },
                }
            }
        },
        "jobs": {"one": a_job()},
        "faults": {
            "classes": {},
            "restart": {"base": "60 s", "per_doubling": "0 s", "manual_fraction": 0, "swap_time": "0 s"},
        },
        "checkpoint": {
            "tiers": [{"name": "storage", "mode": "sync", "interval": "1000 s", "coordination": "0 s"}]
        },
        "calibration": CALIBRATION,
        "policies": {"contention": "none"},
    }  # fmt: skip
    return deep_merge(base, more)


def deep_merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; the second wins."""
    merged = dict(copy.deepcopy(dict(base)))
    for key, value in more.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = deep_merge(merged[key], value) if both else copy.deepcopy(value)
    return merged


@dataclass(frozen=True)
class Unit:
    """Time and traffic of one unit."""

    time: float
    traffic: tuple[float, ...] = (0.0, 0.0, 0.0)
    flatness: tuple[float, ...] = ()


class FakeModel:
    """Ten seconds a unit on the wanted GPUs, in proportion on others; 10 GB of state."""

    def __init__(self, scenario: Scenario, job_name: str, phase_name: str) -> None:
        job = scenario.jobs[job_name]
        phase = job.phases[phase_name]
        self.units = int(phase.tokens or phase.updates or 0)
        self.tokens_per_unit = 1.0
        self.model_flops_per_unit = 1e15
        self.state_bytes = 10e9
        self.gpus_wanted = phase.gpus or job.gpus
        self.reference = None
        self.reference_time = 10.0
        self.planned_unit_time = 10.0
        self.peak = 1e15
        self.precision = "bf16"

    def unit(self, gpus: int, placement: Placement, bandwidths: tuple[float, ...] | None = None) -> Unit:
        """Ten seconds, inversely proportional to the GPUs."""
        return Unit(10.0 * self.gpus_wanted / gpus)

    def usable_gpus(self, gpus: int) -> int:
        """Multiples of eight."""
        return gpus // 8 * 8


def fake_model(*, scenario: Scenario, job_name: str, phase_name: str, **_: Any) -> FakeModel:
    """Build the fake."""
    return FakeModel(scenario, job_name, phase_name)


@pytest.fixture
def play() -> Callable[..., RunResult]:
    """Run a scenario that differs from the small one as said."""

    def run(seed: int | None = None, **more: Any) -> RunResult:
        scenario = Scenario.model_validate(a_scenario(**more))
        return simulate(scenario, seed=seed, build_model=fake_model)  # type: ignore[arg-type]

    return run


def fault(per: str, rate: str, removes: str, **more: Any) -> dict[str, Any]:
    """A failure class; what it removes is back after exactly six hours unless said otherwise."""
    repair = {"auto_fraction": 0, "manual_time": "6 h", "distribution": "fixed"}
    base = {"per": per, "rate": rate, "removes": removes, "detection": "0 s", "provenance": SOURCE}
    return base | ({} if removes == "nothing" else {"repair": repair}) | more


@pytest.fixture
def failures_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make failures of a population of one, at one per second, come at these times and no others."""

    def fix(*times: float) -> None:
        gaps = [after - before for before, after in zip((0.0, *times), times, strict=False)]
        remaining = iter(gaps)
        monkeypatch.setattr(failures, "gap", lambda spec, rng: next(remaining, 1e12))

    return fix
