"""From the arrays of a run to the rows that the SimPy engine writes, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

from colossus_sim.engine.kernel.play import Kernel
from colossus_sim.engine.kernel.state import State
from colossus_sim.engine.kernel.tally import Columns, fill, gpu_seconds, settle
from colossus_sim.engine.recorder import FULL_POWER, GPU_STATE
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

_FAILURE = EventRow(0.0, "failure", "", "", "", "", "", 0.0, "time and place not kept")
"""The kernel counts failures and keeps no event."""
_INTEGERS = dict.fromkeys(("phase", "state", "open"), np.int64)


def run_result(kernel: Kernel, state: State, seed: int, *, counted: bool = True) -> RunResult:
    """Return the rows of a run, of the events only how many failures there were.

    Parameters
    ----------
    counted : bool
        Whether rows of levels and failures are made; how many failures there were says `failures`.
    """
    end = float(state.world["now"][0])
    source = kernel.scenario.loaded
    columns = _columns(state)
    return RunResult(
        scenario=kernel.scenario,
        seed=seed,
        case=source.case if source is not None else "central",
        end_time=end,
        events_processed=0,
        intervals=_intervals(kernel, columns),
        gpu_time=_gpu_time_rows(kernel, state, columns.causes, end),
        levels=_level_rows(kernel, state) if counted else (),
        events=(_FAILURE,) * failures(state) if counted else (),
        phases=phase_rows(kernel, state),
    )


def _columns(state: State) -> Columns:
    """Return the columns of the entries that last."""
    count = int(state.world["entries"][0])
    shapes = {"causes": (len(CAUSES), count)}
    made = Columns(
        *(np.empty(shapes.get(name, count), _INTEGERS.get(name, np.float64)) for name in Columns._fields)
    )
    rows = fill(state.entries, count, made)
    columns = Columns(*(column[..., :rows] for column in made))
    for row in np.flatnonzero(columns.open).tolist():
        settle(columns, row)
    return columns


def _intervals(kernel: Kernel, columns: Columns) -> IntervalTable:
    phases = kernel.book.world.phases
    models = [kernel.models[f"{phase.job_name}/{phase.name}"] for phase in phases]
    number, units = columns.phase, columns.units
    table = IntervalColumns(
        start=columns.start,
        end=columns.end,
        gpus=columns.gpus,
        units=units,
        tokens=units * np.array([float(model.tokens_per_unit) for model in models])[number],
        model_flops=units * np.array([float(model.model_flops_per_unit) for model in models])[number],
        causes=columns.causes,
        saves=columns.saves,
    )
    names = [(phase.job_name, phase.name) for phase in phases]
    return IntervalTable(names, number, columns.state, table)


def _gpu_time_rows(kernel: Kernel, state: State, causes: Any, end: float) -> tuple[GpuTimeRow, ...]:
    """Return the GPU-seconds per state, added up in the order of the intervals."""
    jobs = [phase.job_name for phase in kernel.book.world.phases]
    names = list(dict.fromkeys(jobs))
    owners = np.array([names.index(name) for name in jobs])
    spent = np.zeros((len(kernel.book.parts), len(names), FULL_POWER + 2))
    gpu_seconds(state.entries, int(state.world["entries"][0]), causes, owners, spent)
    rows = []
    for part, (partition, held) in enumerate(zip(kernel.book.parts, spent.tolist(), strict=True)):
        site, name = partition.pool.site, partition.pool.name
        for job, (*seconds, drawn, entries) in zip(names, held, strict=True):
            if entries:
                rows.append(GpuTimeRow(site, name, job, 0.0, end, tuple(seconds), drawn))
        booked = [0.0] * len(GPU_STATES)
        for key in ("idle", "spare", "stranded", "down"):
            booked[GPU_STATE[key]] = float(state.parts[f"{key}_seconds"][part])
        rows.append(GpuTimeRow(site, name, "", 0.0, end, tuple(booked), 0.0))
    return tuple(sorted(rows))


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
