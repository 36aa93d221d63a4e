"""Append-only memory of a run: what happened, what each job did, where each GPU-second went."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from colossus_sim.records import CAUSES, GPU_STATES, EventRow, GpuTimeRow, IntervalRow, LevelRow

CAUSE = {name: index for index, name in enumerate(CAUSES)}
GPU_STATE = {name: index for index, name in enumerate(GPU_STATES)}
_IDLE, _SPARE, _DOWN, _STRANDED = (GPU_STATE[name] for name in ("idle", "spare", "down", "stranded"))
FULL_POWER = len(GPU_STATES)
"""Place of the GPU-seconds at full power, behind those of the states."""
_PLANNED, _SLOWER, _FEWER, _PLACEMENT = (
    CAUSE[name] for name in ("planned", "slower_step", "fewer_gpus", "placement")
)
_CONTENTION, _DEGRADED, _LOST, _CHECKPOINT = (
    CAUSE[name] for name in ("contention", "degraded", "lost_work", "checkpoint")
)

GPU_STATE_OF_CAUSE = {
    "planned": "productive",
    "slower_step": "productive",
    "fewer_gpus": "productive",
    "placement": "productive",
    "contention": "contention",
    "degraded": "degraded",
    "lost_work": "lost_work",
    "checkpoint": "checkpoint",
    "restart": "restart",
    "repair_wait": "repair_wait",
    "data_wait": "data_wait",
    "gpu_wait": "data_wait",
    "capacity_wait": "repair_wait",
    "calendar_floor": "data_wait",
}
"""State of the GPUs that a job holds while it spends time on a cause."""
STATE_OF = tuple(GPU_STATE[GPU_STATE_OF_CAUSE[cause]] for cause in CAUSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """Seconds of one unit of work, from what was planned to what it took.

    Attributes
    ----------
    planned, reference, packed, alone, shared, actual : float
        At the planned MFU; as modelled on the wanted GPUs; on the GPUs at hand, packed; where they really sit,
        alone; with links shared; and with slow or throttled GPUs. [s]
    """

    planned: float
    reference: float
    packed: float
    alone: float
    shared: float
    actual: float


@dataclass(slots=True, kw_only=True)
class Entry:
    """One interval of one phase; `kept` may shrink later, when a failure rolls work back."""

    job: str
    phase: str
    state: str
    start: float
    end: float
    gpus: int
    held: int
    site: str = ""
    partition: str = ""
    begun: float = 0.0
    done: float = 0.0
    """Units at the start and at the end."""
    kept: float = 0.0
    """Units of these that were not rolled back."""
    cost: UnitCost | None = None
    stalled: float = 0.0
    saves: float = 0.0
    cause: str = ""
    note: str = ""
    power: float = 0.0
    """Share of their dynamic power that the computing GPUs draw; 0 while they wait."""

    def causes(self) -> tuple[float, ...]:
        """Seconds per cause, in the order of CAUSES; adds up to the length."""
        seconds = [0.0] * len(CAUSES)
        length = self.end - self.start
        if self.cost is None:
            seconds[CAUSE[self.cause]] = length
            return tuple(seconds)
        cost, kept = self.cost, self.kept
        seconds[_CHECKPOINT] = self.stalled
        seconds[_SLOWER] = kept * (cost.reference - cost.planned)
        seconds[_FEWER] = kept * (cost.packed - cost.reference)
        seconds[_PLACEMENT] = kept * (cost.alone - cost.packed)
        seconds[_CONTENTION] = kept * (cost.shared - cost.alone)
        seconds[_DEGRADED] = kept * (cost.actual - cost.shared)
        seconds[_LOST] = max(0.0, (self.done - self.begun - kept) * cost.actual)
        seconds[_PLANNED] = length - math.fsum(seconds)
        return tuple(seconds)


@dataclass
class Recorder:
    """Rows of one run."""

    entries: list[Entry] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    levels: list[LevelRow] = field(default_factory=list)
    unheld: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """GPU-seconds per state of GPUs that no job holds, by partition."""
    _last_level: dict[tuple[str, str], LevelRow] = field(default_factory=dict)

    def event(
        self,
        time: float,
        kind: str,
        site: str = "",
        partition: str = "",
        job: str = "",
        phase: str = "",
        *,
        subject: str = "",
        value: float = 0.0,
        note: str = "",
    ) -> None:
        """Note that something happened; the details are columns of `EventRow`."""
        row = EventRow(time, kind, site, partition, job, phase, subject, float(value), note)
        self.events.append(row)

    def level(self, row: LevelRow) -> None:
        """Note the state of a partition from now on; GPU-seconds of the state before are booked."""
        key = (row[1], row[2])
        self.close_level(key, row[0])
        self._last_level[key] = row
        self.levels.append(row)

    def close_level(self, key: tuple[str, str], time: float) -> None:
        """Book the GPU-seconds of the last state of a partition up to `time`."""
        last = self._last_level.get(key)
        if last is None:
            return
        booked = self.unheld.get(key)
        if booked is None:
            booked = self.unheld[key] = [0.0] * len(GPU_STATES)
        seconds = time - last.time
        booked[_IDLE] += last.idle * seconds
        booked[_SPARE] += last.spare * seconds
        booked[_STRANDED] += last.stranded * seconds
        booked[_DOWN] += last.down * seconds

    def interval_rows(
        self, tokens_per_unit: dict[str, float], flops_per_unit: dict[str, float]
    ) -> list[IntervalRow]:
        """Return the finished intervals; the mappings are keyed by ``job/phase``."""
        rows = []
        for entry in self.entries:
            if entry.end <= entry.start:
                continue
            key = f"{entry.job}/{entry.phase}"
            rows.append(
                IntervalRow(
                    job=entry.job,
                    phase=entry.phase,
                    state=entry.state,
                    start=entry.start,
                    end=entry.end,
                    gpus=entry.gpus,
                    units=entry.kept,
                    tokens=entry.kept * tokens_per_unit.get(key, 0.0),
                    model_flops=entry.kept * flops_per_unit.get(key, 0.0),
                    causes=entry.causes(),
                    saves=entry.saves,
                    note=entry.note,
                )
            )
        return rows

    def gpu_time_rows(self, end: float) -> list[GpuTimeRow]:
        """Return the GPU-seconds per state, by partition and job, over the whole run."""
        held: dict[tuple[str, str, str], list[float]] = {}
        for entry in self.entries:
            if not entry.held or entry.end <= entry.start:
                continue
            seconds = held.setdefault((entry.site, entry.partition, entry.job), [0.0] * (len(GPU_STATES) + 1))
            seconds[_STRANDED] += (entry.held - entry.gpus) * (entry.end - entry.start)
            seconds[FULL_POWER] += (entry.end - entry.start) * entry.gpus * entry.power
            if entry.cost is None:
                seconds[STATE_OF[CAUSE[entry.cause]]] += (entry.end - entry.start) * entry.gpus
                continue
            for state, spent in zip(STATE_OF, entry.causes(), strict=True):
                seconds[state] += spent * entry.gpus
        rows = [
            GpuTimeRow(site, partition, job, 0.0, end, tuple(seconds[:FULL_POWER]), seconds[FULL_POWER])
            for (site, partition, job), seconds in held.items()
        ]
        rows += [
            GpuTimeRow(site, partition, "", 0.0, end, tuple(seconds), 0.0)
            for (site, partition), seconds in self.unheld.items()
        ]
        return sorted(rows)
