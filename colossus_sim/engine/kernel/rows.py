"""From the arrays of a run to the rows that the SimPy engine writes, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

from colossus_sim.engine.kernel.play import Kernel
from colossus_sim.engine.kernel.state import State
from colossus_sim.engine.recorder import GPU_STATE, GPU_STATE_OF_CAUSE
from colossus_sim.engine.runner import phase_row
from colossus_sim.intervals import IntervalColumns, IntervalTable
from colossus_sim.records import (
    CAUSES,
    GPU_STATES,
    EventRow,
    GpuTimeRow,
    LevelRow,
    PhaseRow,
    RunResult,
)
from colossus_sim.sums import exact_row_sums

_FAILURE = EventRow(0.0, "failure", "", "", "", "", "", 0.0, "time and place not kept")
"""The kernel counts failures and keeps no event."""


def run_result(kernel: Kernel, state: State, seed: int, *, counted: bool = True) -> RunResult:
    """Return the rows of a run, of the events only how many failures there were.

    Parameters
    ----------
    counted : bool
        Whether rows of levels and failures are made; how many failures there were says `failures`.
    """
    end = float(state.world["now"][0])
    source = kernel.scenario.loaded
    entries = _lasting(state.entries[: int(state.world["entries"][0])])
    causes = _causes(entries)
    return RunResult(
        scenario=kernel.scenario,
        seed=seed,
        case=source.case if source is not None else "central",
        end_time=end,
        events_processed=0,
        intervals=_intervals(kernel, entries, causes),
        gpu_time=_gpu_time_rows(kernel, state, entries, causes, end),
        levels=_level_rows(kernel, state) if counted else (),
        events=(_FAILURE,) * failures(state) if counted else (),
        phases=phase_rows(kernel, state),
    )


def _lasting(entries: Any) -> Any:
    """Return the entries that last; numpy copies rows of a plain table much faster than records."""
    lasting = np.flatnonzero(entries["end"] > entries["start"])
    table = entries.view(np.int64).reshape(len(entries), -1)
    return table[lasting].view(entries.dtype).reshape(-1)


def _causes(entries: Any) -> Any:
    """Return the seconds per cause (columns) of each interval (row), as `engine.recorder.Entry.causes` does."""
    made = np.zeros((len(entries), len(CAUSES)))
    length = entries["end"] - entries["start"]
    waiting = np.flatnonzero(entries["cause"] >= 0)
    made[waiting, entries["cause"][waiting]] = length[waiting]
    working = np.flatnonzero(entries["cause"] < 0)
    rows = entries[working]
    kept = rows["kept"]
    parts = {
        "checkpoint": rows["stalled"],
        "slower_step": kept * (rows["reference"] - rows["planned"]),
        "fewer_gpus": kept * (rows["packed"] - rows["reference"]),
        "placement": kept * (rows["alone"] - rows["packed"]),
        "contention": kept * (rows["shared"] - rows["alone"]),
        "degraded": kept * (rows["actual"] - rows["shared"]),
        "lost_work": np.maximum(0.0, (rows["done"] - rows["begun"] - kept) * rows["actual"]),
    }
    for name, seconds in parts.items():
        made[working, CAUSES.index(name)] = seconds
    others = exact_row_sums(np.column_stack(list(parts.values())))
    made[working, CAUSES.index("planned")] = length[working] - others
    return made


def _intervals(kernel: Kernel, entries: Any, causes: Any) -> IntervalTable:
    phases = kernel.book.world.phases
    models = [kernel.models[f"{phase.job_name}/{phase.name}"] for phase in phases]
    number = entries["phase"].astype(np.int64)
    units = np.where(entries["cause"] < 0, entries["kept"], 0.0)
    columns = IntervalColumns(
        start=entries["start"],
        end=entries["end"],
        gpus=entries["gpus"].astype(np.float64),
        units=units,
        tokens=units * np.array([float(model.tokens_per_unit) for model in models])[number],
        model_flops=units * np.array([float(model.model_flops_per_unit) for model in models])[number],
        causes=causes,
        saves=entries["saves"].astype(np.float64),
    )
    names = [(phase.job_name, phase.name) for phase in phases]
    return IntervalTable(names, number, entries["state"], columns)


def _gpu_time_rows(
    kernel: Kernel, state: State, entries: Any, causes: Any, end: float
) -> tuple[GpuTimeRow, ...]:
    """Return the GPU-seconds per state, added up in the order of the intervals."""
    jobs = [phase.job_name for phase in kernel.book.world.phases]
    names = list(dict.fromkeys(jobs))
    job = np.array([names.index(name) for name in jobs])[entries["phase"]]
    spent = _gpu_seconds(entries, causes)
    drawn = (entries["end"] - entries["start"]) * entries["gpus"] * entries["power"]
    owner = np.where(entries["held"] > 0, entries["part"] * len(names) + job, -1)
    rows = []
    for part, partition in enumerate(kernel.book.parts):
        site, name = partition.pool.site, partition.pool.name
        for index in range(len(names)):
            mine = np.flatnonzero(owner == part * len(names) + index)
            if len(mine):
                seconds = tuple(_in_turn(spent[key][mine]) if key in spent else 0.0 for key in GPU_STATES)
                rows.append(GpuTimeRow(site, name, names[index], 0.0, end, seconds, _in_turn(drawn[mine])))
        booked = [0.0] * len(GPU_STATES)
        for key in ("idle", "spare", "stranded", "down"):
            booked[GPU_STATE[key]] = float(state.parts[f"{key}_seconds"][part])
        rows.append(GpuTimeRow(site, name, "", 0.0, end, tuple(booked), 0.0))
    return tuple(sorted(rows))


def _gpu_seconds(entries: Any, causes: Any) -> dict[str, Any]:
    """Return the GPU-seconds of each interval (rows) by state and, of its causes (columns), one after the other."""
    gpus = entries["gpus"].astype(np.float64)
    length = entries["end"] - entries["start"]
    made = {"stranded": ((entries["held"] - entries["gpus"]) * length)[:, None]}
    for name in GPU_STATE:
        columns = [index for index, cause in enumerate(CAUSES) if GPU_STATE_OF_CAUSE[cause] == name]
        if columns:
            made[name] = causes[:, columns] * gpus[:, None]
    return made


def _in_turn(values: Any) -> float:
    """Add numbers one after the other; numpy's own sum adds them in pairs."""
    return float(np.add.accumulate(values.reshape(-1))[-1])


def _level_rows(kernel: Kernel, state: State) -> tuple[LevelRow, ...]:
    parts = [(part.pool.site, part.pool.name) for part in kernel.book.parts]
    fields = state.levels.dtype.names
    made = []
    for row in state.levels[: int(state.world["levels"][0])].tolist():
        values = dict(zip(fields, row, strict=True))
        site, partition = parts[values.pop("part")]
        queued = values.pop("queued")
        made.append(LevelRow(site=site, partition=partition, queued_jobs=queued, **values))
    return tuple(made)


def failures(state: State) -> int:
    """Return the failures of all kinds."""
    return int(state.world["failures"][0])


def phase_rows(kernel: Kernel, state: State) -> tuple[PhaseRow, ...]:
    """Return the rows of the phases."""
    phases = kernel.book.world.phases
    made = []
    for phase, row in zip(phases, state.phases, strict=True):
        model = kernel.models[f"{phase.job_name}/{phase.name}"]
        trigger = int(row["trigger"])
        made.append(
            phase_row(
                phase,
                model,
                times=(float(row["ready"]), float(row["start"]), float(row["end"])),
                trigger=phases[trigger].name if trigger >= 0 else "",
                kept=float(row["units"]),
                interruptions=int(row["interruptions"]),
            )
        )
    return tuple(made)
