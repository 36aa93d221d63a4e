"""The rows that a simulation writes, with the unit and meaning of every column.

Times are seconds since the scenario's start. Everything after the engine (tables, metrics, report, plots)
is computed from these rows and from the scenario, never from engine objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CAUSES = (
    "planned",
    "slower_step",
    "contention",
    "degraded",
    "fewer_gpus",
    "placement",
    "lost_work",
    "checkpoint",
    "restart",
    "repair_wait",
    "data_wait",
    "gpu_wait",
    "capacity_wait",
    "calendar_floor",
)
"""What a second of a phase's wall time is spent on; the columns of an interval that add up to its length.

planned: useful work at the planned rate; slower_step: the same work taking longer than planned because the
modelled step is slower than `planned_mfu` (negative when faster); contention: links shared with other jobs;
degraded: stragglers, degraded links, power throttling; fewer_gpus: fewer GPUs than wanted; placement: GPUs
farther apart than when packed (negative where a partly filled group leaves more bandwidth per GPU); lost_work: work
done again after a failure; checkpoint: stalls for saving; restart: detection, requeue, loading, warm-up;
repair_wait: stopped until failed GPUs are replaced; data_wait: at a data gate; gpu_wait: queued or preempted;
capacity_wait: stopped or queued because installed capacity shrank or had not arrived; calendar_floor: the
work is done but people are not.
"""

UNDISTURBED = ("planned", "slower_step", "fewer_gpus", "placement")
"""Causes of seconds in which a phase makes the progress that its GPUs allow, alone and healthy."""

STATES = (
    "running",
    "detecting",
    "restarting",
    "repair_wait",
    "data_wait",
    "gpu_wait",
    "capacity_wait",
    "calendar_floor",
)
"""What the job is doing during an interval."""

GPU_STATES = (
    "productive",
    "contention",
    "degraded",
    "checkpoint",
    "lost_work",
    "restart",
    "repair_wait",
    "data_wait",
    "stranded",
    "idle",
    "spare",
    "down",
)
"""The one state of each GPU-second of capacity. stranded: in a domain given to a job but not used by its plan,
or whole but in a domain that is out of service because of others; spare: kept aside; down: under repair itself, or
at a site that is out."""


class IntervalRow(NamedTuple):
    """A stretch of one phase of one job in one state."""

    job: str
    phase: str
    state: str
    start: float
    end: float
    gpus: int
    """GPUs computing (the plan's world size); 0 while queued."""
    units: float
    """Steps (or updates, or work units) kept."""
    tokens: float
    """Training tokens kept."""
    model_flops: float
    """Model FLOPs kept."""
    causes: tuple[float, ...]
    """Seconds per cause, in the order of CAUSES; adds up to end - start."""
    saves: float
    """Checkpoints completed."""
    note: str


class GpuTimeRow(NamedTuple):
    """GPU-seconds of one partition (and job, or empty) in one state during one stretch of time."""

    site: str
    partition: str
    job: str
    start: float
    end: float
    seconds: tuple[float, ...]
    """GPU-seconds per state, in the order of GPU_STATES."""
    full_power: float
    """GPU-seconds at full power that draw as much on top of idling as the GPUs did: those that computed, each times
    its clock factor to the site's `power_exponent`. [GPU-s]"""


class LevelRow(NamedTuple):
    """State of a partition from `time` on (a step function)."""

    time: float
    site: str
    partition: str
    installed: int
    allocated: int
    running: int
    """GPUs in jobs that compute at this moment."""
    idle: int
    spare: int
    stranded: int
    """GPUs that are whole, in domains that are out of service."""
    down: int
    """GPUs that are broken themselves, or at a site that is out and in no job."""
    queued_jobs: int
    power: float
    """IT power of the partition times PUE. [W]"""
    fragmentation: float = 0.0
    """Share of the free scale-up domains that is not in the longest run of neighbouring ones."""


class EventRow(NamedTuple):
    """Something that happened."""

    time: float
    kind: str
    """failure, misdiagnosis, repair, evict, reserve (a domain of it was won), selection (of units for a job),
    maintenance, capacity, start, finish, preempt, resize, gate, save, throttle, gave_up."""
    site: str
    partition: str
    job: str
    phase: str
    subject: str
    """Failure class, unit, or the like."""
    value: float
    """What the kind says: GPUs removed, GPUs installed, seconds, ..."""
    note: str


class PhaseRow(NamedTuple):
    """One phase of one job, from the moment it might have started to its end (NaN if it did not end)."""

    job: str
    phase: str
    kind: str
    ready: float
    """When its predecessors let it start."""
    start: float
    """First second with GPUs."""
    end: float
    trigger: str
    """Predecessor phase that came last; empty for the first."""
    gpus_wanted: int
    units: float
    """Steps, updates or work units of the whole phase."""
    units_done: float
    unit_time: float
    """Modelled time of one unit on the wanted GPUs, alone and healthy. [s]"""
    planned_unit_time: float
    """The same at the planned MFU, if there is one. [s]"""
    tokens: float
    tokens_done: float
    peak: float
    """Dense peak of one GPU at the phase's precision; 0 where no MFU is defined. [FLOP/s]"""
    precision: str
    mfu: float
    """Modelled MFU of the step, alone and healthy; 0 where not defined."""
    interruptions: int
    """Stops by failures or preemption."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Everything a simulation produced.

    Attributes
    ----------
    scenario : Any
        The scenario (frozen specs) that was run.
    seed, case : int, str
        Seed of the random streams, and which end of the assumptions was used.
    end_time : float
        When the simulation stopped. [s]
    events_processed : int
        Events of the engine.
    warnings : tuple of str
        Things the user should know.
    """

    scenario: Any
    seed: int
    case: str
    end_time: float
    events_processed: int
    intervals: Sequence[IntervalRow]
    gpu_time: tuple[GpuTimeRow, ...]
    levels: tuple[LevelRow, ...]
    events: tuple[EventRow, ...]
    phases: tuple[PhaseRow, ...]
    estimates: Mapping[str, Any] = field(default_factory=dict)
    """Step estimate (or None) of each ``job/phase``, alone and healthy on the wanted GPUs."""
    warnings: tuple[str, ...] = ()
