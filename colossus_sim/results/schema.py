"""The schema of ``summary.json``: one declaration per field, versioned, with its JSON Schema.

Rules: dates are ISO 8601 in UTC; ratios lie between 0 and 1; what is not defined for a run is null, never NaN.
The version changes when a field is renamed, removed or redefined, not when one is added.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

SCHEMA_VERSION = 1
"""Version of the schema."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int | float, BeforeValidator(_whole)]
"""How often something happened: written without a fraction, where it has none."""


class Record(BaseModel):
    """A frozen part of the summary."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class PhaseSummary(Record):
    """One phase of a job."""

    name: str
    """Phase name."""
    kind: str
    """train, rl or compute."""
    start: str | None
    """First second with GPUs."""
    end: str | None
    """End; null if it did not end before the horizon."""
    finished: bool
    """Whether it ended."""
    on_critical_path: bool
    """Whether it is on the path to what the target means."""
    gpus: int
    """GPUs wanted."""
    wall_clock_days: float | None
    """Start to end, or to the horizon. [days]"""
    units: Count
    """Steps, updates or work units of the whole phase."""
    units_done: Count
    """Of them kept."""
    unit_time_s: float | None
    """Modelled time of one unit, alone and healthy. [s]"""
    tokens: float
    """Training tokens of the whole phase."""
    tokens_done: float
    """Of them kept."""
    mfu_modelled: float | None
    """Modelled MFU of the step, alone and healthy."""
    interruptions: int
    """Stops by failures or preemption."""


class PredictedLoss(Record):
    """Predicted pre-training loss: an interval from a scaling law, not a measure of capability. [nats/token]"""

    low: float
    """At the total parameter count."""
    central: float
    """At sqrt(active x total) parameters."""
    high: float
    """At the active parameter count."""
    law: str
    """Name of the law."""


class JobSummary(Record):
    """One job."""

    name: str
    """Job name in the scenario."""
    title: str
    """Name for people."""
    model: str
    """Architecture."""
    site: str
    """Site it runs at."""
    gpus: int
    """GPUs wanted."""
    submit_date: str
    """When it enters the queue."""
    start_date: str | None
    """First second with GPUs."""
    finish_date: str | None
    """End of the last phase; null if it did not end before the horizon."""
    finished: bool
    """Whether every phase ended before the horizon."""
    target_date: str | None
    """Date to compare with."""
    target_means: str
    """What the target date means."""
    slip_days: float | None
    """End of what the target means minus target; a lower bound if so marked. [days]"""
    slip_is_lower_bound: bool
    """What the target means did not end before the horizon."""
    slip_causes: dict[str, float]
    """Contribution of each cause; adds up to slip_days. [days]"""
    slip_groups: dict[str, float]
    """The same in the groups of the report. [days]"""
    projected_finish_date: str | None
    """Projection, not simulated: remaining units times their healthy unit time, counted while GPUs enough for it
    are installed, for what the target means; null if it ended, or never will."""
    projected_slip_days: float | None
    """Projected end minus target. [days]"""
    gpus_gone_date: str | None
    """Of a job that never ends: from then on no partition that it may use has GPUs enough for it; else null."""
    wall_clock_days: float | None
    """Submission to the end of the last phase, or to the horizon. [days]"""
    queue_wait_days: float | None
    """Waiting for GPUs or capacity, summed over phases. [days]"""
    gpu_days: float | None
    """GPU-time given to the job. [GPU-days]"""
    tokens: float | None
    """Training tokens kept."""
    tokens_planned: float | None
    """Training tokens of all phases."""
    steps: Count | None
    """Optimizer steps and RL updates kept."""
    mfu: float | None
    """Model FLOPs utilization over productive time."""
    mfu_overall: float | None
    """Model FLOPs utilization over all time that the plan's GPUs were held."""
    mfu_modelled: float | None
    """Model FLOPs utilization of one step of the first phase of kind train, alone and healthy."""
    mfu_peak: str
    """Which peak the MFU refers to."""
    goodput: float | None
    """Productive over allocated GPU-time."""
    ettr: float | None
    """Effective training time ratio (arXiv:2410.21680)."""
    interruptions: int | None
    """Stops by failures or preemption."""
    saves: Count | None
    """Checkpoints completed."""
    lost_work_days: float | None
    """Wall time of work done again. [days]"""
    lost_work_gpu_days: float | None
    """GPU-time of work done again. [GPU-days]"""
    energy_MWh: float | None  # noqa: N815 - the unit's own spelling
    """Energy of its GPUs, hosts and cooling included. [MWh]"""
    predicted_loss: PredictedLoss | None
    """Predicted pre-training loss; null where the law does not apply."""
    phases: tuple[PhaseSummary, ...]
    """Phases in the order of the scenario."""


class ClusterSummary(Record):
    """All sites together."""

    simulated_days: float
    """From the scenario's start to the end of the simulation. [days]"""
    capacity_gpu_days: float | None
    """Installed GPU-time. [GPU-days]"""
    allocated: float | None
    """Share of capacity given to jobs."""
    busy: float | None
    """Share of capacity that computes."""
    productive: float | None
    """Share of capacity that computes steps that were kept."""
    energy_MWh: float | None  # noqa: N815
    """Energy of all partitions. [MWh]"""
    mean_power_MW: float | None  # noqa: N815
    """Mean power. [MW]"""
    peak_power_MW: float | None  # noqa: N815
    """Largest power at any moment. [MW]"""
    failures: int | None
    """Failures of all classes."""
    failures_by_kind: dict[str, int]
    """Failures of each class."""
    mean_queue_wait_days: float | None
    """Mean over jobs of their waits for GPUs. [days]"""
    max_queue_wait_days: float | None
    """Largest wait of any job. [days]"""
    gpu_time_shares: dict[str, float]
    """Share of capacity in each state; adds up to 1."""


class BacktestSummary(Record):
    """A simulated end against a reported one."""

    job: str
    """Job name."""
    phase: str
    """Phase that ended then; empty = the whole job."""
    observed_earliest: str
    """Earliest date reported."""
    observed_latest: str | None
    """Latest date reported; null: had not happened by `observed_earliest`."""
    simulated: str | None
    """Simulated end; null if it did not end."""
    error_days: float | None
    """Days before (-) or after (+) the reported range; 0 inside it. [days]"""
    note: str
    """What happened, in words."""
    source: str
    """Where it was reported."""


class PublishedSummary(Record):
    """A simulated metric against a published figure."""

    job: str
    """Job."""
    metric: str
    """Metric."""
    unit: str
    """Its unit."""
    relation: str
    """equals, at_least, at_most."""
    published: float
    """The published figure."""
    simulated: float | None
    """What this run gives; null where the metric is not defined."""
    relative_error: float | None
    """(simulated - published) / published."""
    holds: bool | None
    """Whether a published bound holds; null for a value."""
    note: str
    """What the figure counts."""
    source: str
    """Where it was published."""


class Summary(Record):
    """What one run says."""

    schema_version: int
    """Version of this schema."""
    scenario: str
    """Name of the scenario."""
    title: str
    """One line for people."""
    question: str
    """The question that the scenario answers."""
    seed: int
    """Seed of the random streams."""
    case: str
    """Which end of the assumptions was used: low, central, high."""
    model_version: int
    """Version of the numbers that colossus_sim produces."""
    start_date: str
    """When the simulated clock started."""
    end_date: str
    """When it stopped."""
    cluster: ClusterSummary
    """All sites together."""
    jobs: tuple[JobSummary, ...]
    """Jobs in the order of the scenario."""
    backtest: tuple[BacktestSummary, ...]
    """Simulated against reported dates."""
    published: tuple[PublishedSummary, ...]
    """Simulated metrics against published figures of the real run."""
    warnings: tuple[str, ...]
    """Things to know."""


def summary_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``summary.json``."""
    return Summary.model_json_schema()
