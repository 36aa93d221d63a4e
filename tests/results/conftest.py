"""A run written by hand, with numbers that can be checked on paper. Times in days; 1000 GPUs at most.

``alpha`` has two phases: ``pretrain`` ends on day 5, ``post`` overlaps it from day 4 and ends on day 7, one
day after the target. ``beta`` waits for capacity, runs from day 3 and is not done when the run stops on day 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from colossus_sim.records import (
    CAUSES,
    GPU_STATES,
    EventRow,
    GpuTimeRow,
    IntervalRow,
    LevelRow,
    PhaseRow,
    RunResult,
)
from colossus_sim.specs.base import Provenance
from colossus_sim.specs.hardware import Calibration, Stack
from colossus_sim.specs.scenario import Scenario
from colossus_sim.training.estimate import CommunicationRow, StageMemory, StepEstimate
from colossus_sim.units import DAY

NAN = float("nan")
PROVENANCE = {"kind": "assumption", "reference": "made up for tests", "checked": "2026-01-01"}
GPU = {
    "title": "Test GPU", "vendor": "none", "year": 2026, "peak": {"bf16": "1 PFLOP/s"}, "hbm_capacity": "80 GB",
    "hbm_bandwidth": "3 TB/s", "multiprocessors": 100, "scale_up_bandwidth": "450 GB/s", "scale_up_domain": 8,
    "gpus_per_node": 8, "nic_bandwidth": "400 Gbit/s", "power_max": "700 W", "power_idle": "100 W",
    "host_power_per_gpu": "300 W", "provenance": PROVENANCE,
}  # fmt: skip
TOPOLOGY = {
    "title": "Test fabric", "gpu": "test", "gpus": 1000, "provenance": PROVENANCE,
    "fabric": {"kind": "clos", "tiers": [{"name": "leaf", "group_gpus": 0}], "switch_radix": 64},
}  # fmt: skip
STORAGE = {
    "write_bandwidth": "1 TB/s", "read_bandwidth": "1 TB/s", "bandwidth_per_gpu": "1 GB/s",
    "provenance": PROVENANCE,
}  # fmt: skip
# Built without validation: results do not read them, and their fields are tested elsewhere.
STACK = Stack.model_construct(title="Test stack", provenance=Provenance(**PROVENANCE))
CALIBRATION = Calibration.model_construct(kernels=(), provenance=Provenance(**PROVENANCE))
MODEL = {
    "name": "tiny", "title": "Tiny", "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8,
    "intermediate_size": 2048, "vocab_size": 1000, "provenance": PROVENANCE,
}  # fmt: skip
PLAN = {"global_batch_size": 512, "sequence_length": 2048, "stack": STACK}


def scenario_document() -> dict[str, Any]:
    """Return the hand-made scenario as plain data."""
    return {
        "version": 1, "name": "by_hand", "title": "By hand", "question": "Do the books balance?",
        "start": "2026-01-01", "horizon": "10 days", "seed": 1,
        "cluster": {"sites": {"here": {
            "topology": TOPOLOGY, "storage": STORAGE, "pue": 1.2,
            "partitions": {"main": {"gpu": GPU, "capacity": [
                {"at": "2026-01-01", "gpus": 800}, {"at": "2026-01-06", "gpus": 1000},
            ]}},
        }}},
        "jobs": {
            "alpha": {
                "title": "Alpha <1>", "model": MODEL, "site": "here", "gpus": 400, "submit": "2026-01-01",
                "parallel": PLAN,
                "phases": {
                    "pretrain": {"tokens": "1T"},
                    "post": {"gpu_hours": 3600.0, "overlap": 0.2, "min_duration": "2 days"},
                },
                "target": {"date": "2026-01-07", "means": "release"},
                "observed": [
                    {"earliest": "2026-01-03", "latest": "2026-01-04", "phase": "pretrain", "note": "news"},
                    {"earliest": "2026-01-06", "latest": "2026-01-08"},
                ],
            },
            "beta": {
                "model": MODEL, "site": "here", "gpus": 320, "submit": "2026-01-03", "parallel": PLAN,
                "phases": {
                    "pretrain": {"tokens": "2T"},
                    "rl": {"kind": "rl", "updates": 10},
                },
                "target": {"date": "2026-01-10", "phase": "pretrain", "means": "end of pre-training"},
            },
        },
        "faults": {"classes": {}},
        "checkpoint": {"tiers": [{"name": "storage"}]},
        "calibration": CALIBRATION,
    }  # fmt: skip


def causes(**days: float) -> tuple[float, ...]:
    """Return seconds per cause from days by name."""
    return tuple(days.get(cause, 0.0) * DAY for cause in CAUSES)


def states(**gpu_days: float) -> tuple[float, ...]:
    """Return GPU-seconds per state from GPU-days by name."""
    return tuple(gpu_days.get(state, 0.0) * DAY for state in GPU_STATES)


def interval(
    job: str, phase: str, state: str, span: tuple[float, float], *, gpus: int = 0, **more: Any
) -> IntervalRow:
    """Return an interval from days; everything not said is zero."""
    values = {"units": 0.0, "tokens": 0.0, "model_flops": 0.0, "saves": 0.0, "note": "", **more}
    return IntervalRow(
        job=job, phase=phase, state=state, start=span[0] * DAY, end=span[1] * DAY, gpus=gpus, **values
    )


def flops(mfu: float, gpu_days: float) -> float:
    """Return model FLOPs of GPU-days at an MFU of a peak of 1 PFLOP/s."""
    return mfu * 1e15 * gpu_days * DAY


INTERVALS = (
    interval("alpha", "pretrain", "gpu_wait", (0, 1), causes=causes(gpu_wait=1)),
    interval("alpha", "pretrain", "running", (1, 3), gpus=400, units=180, tokens=5.9e11, saves=4,
             model_flops=flops(0.4, 400 * 1.8), causes=causes(planned=1.5, slower_step=0.3, contention=0.2)),
    interval("alpha", "pretrain", "restarting", (3, 3.25), gpus=400, causes=causes(restart=0.25)),
    interval("alpha", "pretrain", "running", (3.25, 5), gpus=400, units=125, tokens=4.1e11, saves=3,
             model_flops=flops(0.4, 400 * 1.25),
             causes=causes(planned=1.25, lost_work=0.25, checkpoint=0.05, degraded=0.2)),
    interval("alpha", "post", "data_wait", (4, 4.5), causes=causes(data_wait=0.5)),
    interval("alpha", "post", "running", (4.5, 6), gpus=100, units=15, model_flops=flops(0.3, 150),
             causes=causes(planned=1.5)),
    interval("alpha", "post", "calendar_floor", (6, 7), causes=causes(calendar_floor=1)),
    interval("beta", "pretrain", "capacity_wait", (2, 3), causes=causes(capacity_wait=1)),
    interval("beta", "pretrain", "running", (3, 9.5), gpus=300, units=600, tokens=1.2e12, saves=10,
             model_flops=flops(0.5, 300 * 6.5), causes=causes(planned=6, fewer_gpus=0.5)),
    interval("beta", "pretrain", "repair_wait", (9.5, 10), gpus=300, causes=causes(repair_wait=0.5)),
)  # fmt: skip


def _gpu_time(
    job: str, start: float, end: float, seconds: tuple[float, ...], full_power: float = 0.0
) -> GpuTimeRow:
    return GpuTimeRow("here", "main", job, start * DAY, end * DAY, seconds, full_power * DAY)


GPU_TIME = (
    _gpu_time("alpha", 1, 5, states(productive=1220, contention=80, degraded=80, lost_work=100, checkpoint=20,
                                    restart=100, stranded=80), full_power=1500),
    _gpu_time("alpha", 4.5, 6, states(productive=150), full_power=100),
    _gpu_time("beta", 3, 10, states(productive=1950, repair_wait=150), full_power=1950),
    _gpu_time("", 0, 5, states(idle=1380, spare=250, down=40)),
    _gpu_time("", 5, 10, states(idle=3110, spare=250, down=40)),
)  # fmt: skip


GPU_TIME_WITHOUT_BETA = (
    *GPU_TIME[:2],
    _gpu_time("", 0, 10, states(idle=4490 + 2100, spare=500, down=80)),
)


def phase(job: str, name: str, moments: tuple[float, float, float], **more: Any) -> PhaseRow:
    """Return a phase from days (ready, start, end)."""
    ready, start, end = (moment * DAY for moment in moments)
    values = {
        "kind": "train", "trigger": "", "gpus_wanted": 400, "units": 1.0, "units_done": 0.0, "unit_time": 864.0,
        "planned_unit_time": 800.0, "tokens": 0.0, "tokens_done": 0.0, "peak": 1e15, "precision": "bf16",
        "mfu": 0.42, "interruptions": 0, **more,
    }  # fmt: skip
    return PhaseRow(job=job, phase=name, ready=ready, start=start, end=end, **values)


PHASES = (
    phase("alpha", "pretrain", (0, 1, 5), units=305.0, units_done=305.0, tokens=1e12, tokens_done=1e12,
          interruptions=1),
    phase("alpha", "post", (4, 4.5, 7), trigger="pretrain", gpus_wanted=100, units=15.0,
          units_done=15.0),
    phase("beta", "pretrain", (2, 3, NAN), gpus_wanted=320, units=1000.0, units_done=600.0, tokens=2e12,
          tokens_done=1.2e12, interruptions=1),
    phase("beta", "rl", (NAN, NAN, NAN), kind="rl", gpus_wanted=320, units=10.0, unit_time=0.1 * DAY, peak=0.0),
)  # fmt: skip

LEVELS = (
    LevelRow(0.0, "here", "main", 800, 0, 0, 742, 50, 0, 8, 1, 1e6),
    LevelRow(5 * DAY, "here", "main", 1000, 400, 400, 542, 50, 0, 8, 0, 2e6),
)

EVENTS = (
    EventRow(0.0, "capacity", "here", "main", "", "", "", 800.0, "first racks"),
    EventRow(3 * DAY, "failure", "here", "main", "alpha", "pretrain", "gpu", 8.0, ""),
    EventRow(4 * DAY, "failure", "here", "main", "", "", "nic", 8.0, "in an idle node"),
    EventRow(9.5 * DAY, "failure", "here", "main", "beta", "pretrain", "gpu", 8.0, ""),
)


def step_estimate() -> StepEstimate:
    """Return an estimate of two parts."""
    return StepEstimate(
        step_time=2.0, parts={"gemm": 1.5, "bubble": 0.5}, tokens_per_step=1e6, model_flops=3.2e17,
        hardware_flops=3.2e17, gpus=400, peak=1e15, precision="bf16", memory_capacity=80e9, traffic=(0.0,),
        memory=(StageMemory(stage=0, weights=1e9, gradients=2e9, optimizer=3e9, activations=4e9, buffers=0.0,
                            overhead=1e9),),
        communication=(CommunicationRow(axis="dp", operation="all_reduce", algorithm="ring", group_size=50,
                                        level="leaf", message_bytes=2e6, calls=3.0, time=0.1, exposed=0.02,
                                        busbw=4e10),),
    )  # fmt: skip


def make_run(**changes: Any) -> RunResult:
    """Return the hand-made run, with some parts replaced."""
    parts: dict[str, Any] = {
        "scenario": Scenario.model_validate(scenario_document()),
        "seed": 1,
        "case": "central",
        "end_time": 10 * DAY,
        "events_processed": 42,
        "intervals": INTERVALS,
        "gpu_time": GPU_TIME,
        "levels": LEVELS,
        "events": EVENTS,
        "phases": PHASES,
        "estimates": {"alpha/pretrain": step_estimate(), "alpha/post": None},
        "warnings": ("made by hand",),
    }
    return RunResult(**{**parts, **changes})


@pytest.fixture(scope="session")
def hand_run() -> RunResult:
    """The hand-made run."""
    return make_run()


@pytest.fixture
def hand_run_with() -> Callable[..., RunResult]:
    """A maker of variants of the hand-made run."""

    def make(
        *,
        target_phase: str = "pretrain",
        alpha_target_phase: str = "",
        alpha_target: bool = True,
        beta_submit: str = "2026-01-03",
        drop_interval: int | None = None,
        **changes: Any,
    ) -> RunResult:
        document = scenario_document()
        document["jobs"]["beta"]["target"]["phase"] = target_phase
        document["jobs"]["beta"]["submit"] = beta_submit
        document["jobs"]["alpha"]["target"]["phase"] = alpha_target_phase
        if not alpha_target:
            del document["jobs"]["alpha"]["target"]
        rows = [row for index, row in enumerate(INTERVALS) if index != drop_interval]
        phases = PHASES
        if beta_submit != "2026-01-03":
            rows = [row for row in rows if row.job != "beta"]
            phases = tuple(row for row in PHASES if row.job != "beta")
            changes = {"gpu_time": GPU_TIME_WITHOUT_BETA, **changes}
        parts: dict[str, Any] = {
            "scenario": Scenario.model_validate(document), "intervals": tuple(rows), "phases": phases,
        }  # fmt: skip
        return make_run(**{**parts, **changes})

    return make
