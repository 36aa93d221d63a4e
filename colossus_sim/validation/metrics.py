"""Error statistics of predictions against measurements, beside the naive constant-efficiency line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One predicted row.

    Attributes
    ----------
    id, source, gpu, kind, precision : str
        The row; `source` is the family of ids, `kind` dense or moe.
    n_gpus : int
        GPUs.
    specified : str
        Y, near, or N (out-of-memory rows).
    predicted_s, published_s : float or None
        Step time. [s]
    ideal_s : float
        Step time at the dense peak: model FLOPs / (GPUs x peak). [s]
    predicted_mem, published_mem : float or None
        Memory that the source measured, in `mem_unit` (GB or GiB).
    predicted_peak_mem, capacity_mem : float
        Predicted peak and usable memory. [GB]
    fits : bool
        Whether the model calls the plan feasible.
    line : int
        Line of the file that the row is on; 0 = not from a file.
    oom : bool
        Whether the run ran out of memory.
    assumptions : tuple of str
        What was filled in.
    parts : tuple of (str, float)
        Breakdown of the predicted step. [s]
    """

    id: str
    source: str
    gpu: str
    kind: str
    precision: str
    n_gpus: int
    specified: str
    predicted_s: float
    published_s: float | None
    ideal_s: float
    predicted_mem: float
    published_mem: float | None
    mem_unit: str
    predicted_peak_mem: float
    capacity_mem: float
    fits: bool
    oom: bool
    line: int = 0
    stack: str = ""
    family: str = ""
    assumptions: tuple[str, ...] = ()
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def error(self) -> float | None:
        """Relative error of the step time; positive = predicted too slow."""
        return None if not self.published_s else self.predicted_s / self.published_s - 1.0

    @property
    def mem_error(self) -> float | None:
        """Relative error of the memory."""
        return None if not self.published_mem else self.predicted_mem / self.published_mem - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStats:
    """Statistics of relative errors e: of abs(e) count, median, mean and 90th percentile, and mean of e."""

    count: int
    median: float
    mean: float
    p90: float
    bias: float
    median_bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named set of rows with its statistics; None where no row has that measurement."""

    by: str
    name: str
    time: ErrorStats | None
    naive: ErrorStats | None
    memory: ErrorStats | None
    feasibility: Feasibility | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """How often the verdict `fits` was right, for runs that ran and for runs that ran out of memory."""

    ran: int
    ran_right: int
    oom: int
    oom_right: int

    @property
    def shares(self) -> tuple[str, str]:
        """Right verdicts over all, as text such as ``43/46``, for runs that ran and for runs out of memory; empty
        where there are none."""
        pairs = ((self.ran_right, self.ran), (self.oom_right, self.oom))
        ran, oom = (f"{right}/{count}" if count else "" for right, count in pairs)
        return ran, oom

    @property
    def share_right(self) -> float:
        """Right verdicts over all."""
        return (self.ran_right + self.oom_right) / (self.ran + self.oom)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the quantile of `values` with linear interpolation (numpy's default).

    Raises
    ------
    ValueError
        If there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def error_stats(errors: Iterable[float]) -> ErrorStats | None:
    """Return the statistics of relative errors; None if there are none."""
    values = list(errors)
    if not values:
        return None
    sizes = [abs(value) for value in values]
    return ErrorStats(
        count=len(values),
        median=quantile(sizes, 0.5),
        mean=math.fsum(sizes) / len(sizes),
        p90=quantile(sizes, 0.9),
        bias=math.fsum(values) / len(values),
        median_bias=quantile(values, 0.5),
    )


def best_constant_efficiency(measured: Sequence[float]) -> float:
    """Return the one efficiency that predicts a sample with the smallest mean absolute relative error.

    Parameters
    ----------
    measured : sequence of float
        Measured efficiencies, ideal time / published time, all positive.

    Notes
    -----
    With prediction ideal / e the relative error of row i is m_i / e - 1, so the mean of abs(m_i / e - 1) is
    least where 1/e is the median of 1/m_i weighted by m_i.

    Raises
    ------
    ValueError
        If the sample is empty.
    """
    if not measured:
        raise ValueError("no measurements")
    ordered = sorted(measured, reverse=True)
    half = math.fsum(ordered) / 2
    total = 0.0
    for value in ordered:
        total += value
        if total >= half:
            return value
    return ordered[-1]


Efficiencies = Mapping[tuple[str, str], float]
"""The best constant efficiency of each GPU and precision."""


def constant_efficiencies(rows: Sequence[Prediction]) -> Efficiencies:
    """Return the best constant efficiency of each GPU and precision over the timed rows of a sample."""
    samples: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.published_s:
            samples.setdefault((row.gpu, row.precision), []).append(row.ideal_s / row.published_s)
    return {key: best_constant_efficiency(sample) for key, sample in samples.items()}


def naive_errors(rows: Sequence[Prediction], efficiencies: Efficiencies) -> dict[str, float]:
    """Return each timed row's error under the constant efficiency of its GPU and precision, where there is one."""
    return {
        row.id: row.ideal_s / efficiencies[row.gpu, row.precision] / row.published_s - 1.0
        for row in rows
        if row.published_s and (row.gpu, row.precision) in efficiencies
    }


def scale_of(row: Prediction) -> str:
    """Return the band of GPU counts that a row belongs to."""
    for limit, name in ((8, "1-8"), (64, "9-64"), (512, "65-512"), (1024, "513-1024")):
        if row.n_gpus <= limit:
            return f"{name} GPUs"
    return "over 1024 GPUs"


SWEEPS = ("hf", "vtrain-multi", "vtrain-single")
KEYS: dict[str, Callable[[Prediction], str]] = {
    "source": lambda row: row.source,
    "gpu": lambda row: row.gpu,
    "kind": lambda row: row.kind,
    "scale": scale_of,
    "precision": lambda row: row.precision,
    "stack": lambda row: row.stack,
}
"""What rows can be grouped by."""


def groups(rows: Sequence[Prediction], by: Sequence[str], efficiencies: Efficiencies) -> tuple[Group, ...]:
    """Return the fixed groups (sweeps apart) and one group per value of each key in `by`.

    `efficiencies` make the naive line: fitted on other rows than those judged, lest it know their times.

    Raises
    ------
    KeyError
        If a key is not in KEYS.
    """
    naive = naive_errors(rows, efficiencies)
    fixed = [
        _group("fixed", "all", rows, naive),
        _group("fixed", "dense, sweeps apart", [r for r in _apart(rows) if r.kind == "dense"], naive),
        _group("fixed", "moe, sweeps apart", [r for r in _apart(rows) if r.kind == "moe"], naive),
        _group(
            "fixed", "fully specified, sweeps apart", [r for r in _apart(rows) if r.specified == "Y"], naive
        ),
        *(_group("fixed", name, [r for r in rows if r.source == name], naive) for name in SWEEPS),
    ]
    for key in by:
        values = sorted({KEYS[key](row) for row in rows})
        fixed += [_group(key, value, [r for r in rows if KEYS[key](r) == value], naive) for value in values]
    return tuple(group for group in fixed if group.time or group.memory or group.feasibility)


def worst(rows: Sequence[Prediction], count: int) -> tuple[Prediction, ...]:
    """Return the rows with the largest relative errors of step time, worst first."""
    timed = [row for row in rows if row.error is not None]
    return tuple(sorted(timed, key=lambda row: (-abs(row.error or 0.0), row.id))[:count])


def _apart(rows: Sequence[Prediction]) -> list[Prediction]:
    return [row for row in rows if row.source not in SWEEPS]


def _group(by: str, name: str, rows: Sequence[Prediction], naive: dict[str, float]) -> Group:
    return Group(
        by=by,
        name=name,
        time=error_stats(row.error for row in rows if row.error is not None and not row.oom),
        naive=error_stats(naive[row.id] for row in rows if row.id in naive and not row.oom),
        memory=error_stats(row.mem_error for row in rows if row.mem_error is not None),
        feasibility=_feasibility(rows),
    )


def _feasibility(rows: Sequence[Prediction]) -> Feasibility | None:
    """Judge verdicts on fully specified runs and on those out of memory; a guessed recomputation says nothing."""
    ran = [row for row in rows if not row.oom and row.specified == "Y"]
    oom = [row for row in rows if row.oom]
    if not ran and not oom:
        return None
    return Feasibility(
        ran=len(ran),
        ran_right=sum(row.fits for row in ran),
        oom=len(oom),
        oom_right=sum(not row.fits for row in oom),
    )
