"""From the arrays of a run to the rows that the SimPy engine writes, and to what they come to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from colossus_sim.engine.kernel.play import Kernel
from colossus_sim.engine.kernel.state import State
from colossus_sim.engine.kernel.tally import MOST_PARTS, SUMS, Columns, Sums, add_up, fill
from colossus_sim.engine.recorder import FULL_POWER, GPU_STATE
from colossus_sim.engine.runner import phase_row
from colossus_sim.intervals import IntervalColumns, IntervalTable, PhaseTotals, TableData
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
_INTEGERS = dict.fromkeys(("phase", "state"), np.int64)
_Names = list[tuple[str, str]]
_Totals = Mapping[tuple[str, str], PhaseTotals]


def run_result(kernel: Kernel, state: State, seed: int, *, counted: bool = True) -> RunResult:
    """Return the rows of a run, of the events only how many failures there were.

    The rows of intervals are made when first asked for: before the kernel's next run, whose arrays are the same.

    Parameters
    ----------
    counted : bool
        Whether rows of levels and failures are made; how many failures there were says `failures`.
    """
    end = float(state.world["now"][0])
    names = _phase_names(kernel)
    jobs = list(dict.fromkeys(job for job, _ in names))
    totals, spent = _added_up(kernel, state, names, jobs)
    return RunResult(
        scenario=kernel.scenario,
        seed=seed,
        case=kernel.scenario.case,
        end_time=end,
        events_processed=0,
        intervals=_Intervals(kernel, state, names, totals),
        gpu_time=_gpu_time_rows(kernel, state, jobs, spent),
        levels=_level_rows(kernel, state) if counted else (),
        events=(_FAILURE,) * failures(state) if counted else (),
        phases=phase_rows(kernel, state),
    )


class _Intervals(IntervalTable):
    """The intervals of a run of the kernel."""

    def __init__(self, kernel: Kernel, state: State, names: _Names, totals: _Totals) -> None:
        run = kernel.runs

        def make() -> TableData:
            if kernel.runs != run:
                raise RuntimeError("the kernel has played another run since")
            return _intervals(kernel, state, names)

        super().__init__(names, make)
        self.totals = totals


def _phase_names(kernel: Kernel) -> _Names:
    return [(phase.job_name, phase.name) for phase in kernel.book.world.phases]


def _per_unit(kernel: Kernel, names: _Names) -> npt.NDArray[np.float64]:
    """Return tokens and model FLOPs of a unit of each phase (row)."""
    models = [kernel.models[f"{job}/{phase}"] for job, phase in names]
    return np.array([(float(one.tokens_per_unit), float(one.model_flops_per_unit)) for one in models])


def _intervals(kernel: Kernel, state: State, names: _Names) -> TableData:
    count = int(state.world["entries"][0])
    shapes = {"causes": (len(CAUSES), count)}
    made = Columns(
        *(np.empty(shapes.get(name, count), _INTEGERS.get(name, np.float64)) for name in Columns._fields)
    )
    rows = fill(state.entries, count, made, _scratch())
    columns = Columns(*(column[..., :rows] for column in made))
    tokens, flops = _per_unit(kernel, names).T
    number, units = columns.phase, columns.units
    table = IntervalColumns(
        start=columns.start,
        end=columns.end,
        gpus=columns.gpus,
        units=units,
        tokens=units * tokens[number],
        model_flops=units * flops[number],
        causes=columns.causes,
        saves=columns.saves,
    )
    return TableData(number, columns.state, table)


def _scratch() -> npt.NDArray[np.float64]:
    return np.empty((2, MOST_PARTS))


def _added_up(
    kernel: Kernel, state: State, names: _Names, jobs: list[str]
) -> tuple[_Totals, npt.NDArray[np.float64]]:
    """Return the totals of the phases, and the GPU-seconds of each job (second axis) on each partition (first)."""
    shape = len(names), len(CAUSES) + len(SUMS)
    sums = Sums(
        owners=np.array([jobs.index(job) for job, _ in names]),
        per_unit=_per_unit(kernel, names),
        parts=np.empty((*shape, MOST_PARTS)),
        counts=np.zeros(shape, np.int64),
        results=np.zeros((shape[0], shape[1] + 2)),
        spent=np.zeros((len(kernel.book.parts), len(jobs), FULL_POWER + 2)),
        scratch=_scratch(),
    )
    sums.results[:, -1] = -1.0
    add_up(state.entries, int(state.world["entries"][0]), sums)
    totals = {
        name: PhaseTotals(tuple(row[: len(CAUSES)]), *row[len(CAUSES) :])
        for name, row in zip(names, sums.results.tolist(), strict=True)
        if row[-1] >= 0.0
    }
    return totals, sums.spent


def _gpu_time_rows(
    kernel: Kernel, state: State, jobs: list[str], spent: npt.NDArray[np.float64]
) -> tuple[GpuTimeRow, ...]:
    """Return the GPU-seconds per state."""
    end = float(state.world["now"][0])
    rows = []
    for part, (partition, held) in enumerate(zip(kernel.book.parts, spent.tolist(), strict=True)):
        site, name = partition.pool.site, partition.pool.name
        for job, (*seconds, drawn, entries) in zip(jobs, held, strict=True):
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
