"""Exact time of one training step through a pipeline with unequal stages.

Every schedule is a fixed order of forward and backward passes on each stage; the step time is the longest path
through the resulting graph. The functions here compute it round by round over all stages at once, and leap
over whole periods once the pattern repeats. `colossus_sim.formulas.pipeline_events` plays the same graphs
pass by pass and is the oracle.

Times are given as tables ``[chunk][stage]``: chunk ``c`` on stage ``s`` is the ``(c * stages + s)``-th part of
the model. `transfer` is the time of one send/recv between neighbouring stages; a sequence of them is evaluated
in one go, which costs hardly more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Table = Sequence[Sequence[float]]

SCHEDULES = ("1f1b", "interleaved_1f1b", "gpipe", "zero_bubble", "dualpipe")

_SAME = 1e-12
"""Relative difference below which two states of a schedule count as the same pattern."""


def equal_stages_time(stages: int, microbatches: int, forward: float, backward: float) -> float:
    """Step time of gpipe or 1f1b with equal stages and free transfers. [s]

    Source: ``(m + S - 1)(f + b)`` (Narayanan et al. SC21, arXiv:2104.04473, sec. 2.2.1).
    """
    return (microbatches + stages - 1) * (forward + backward)


def interleaved_bubble_fraction(stages: int, microbatches: int, chunks: int) -> float:
    """Idle over busy time of the interleaved schedule with equal stages.

    Source: ``(S - 1) / (m v)`` (arXiv:2104.04473, sec. 2.2.2).
    """
    return (stages - 1) / (microbatches * chunks)


def zero_bubble_time(stages: int, microbatches: int, forward: float, backward: float, weight: float) -> float:
    """Step time of ZB-H1 with equal stages; `backward` is the part for the inputs only. [s]

    Source: bubble ``(S - 1)(T_F + T_B - T_W)`` (Qi et al. 2023, arXiv:2401.10241, table 2).
    """
    busy = microbatches * (forward + backward + weight)
    return busy + (stages - 1) * (forward + backward - weight)


def dualpipe_time(stages: int, microbatches: int, forward: float, backward: float, weight: float) -> float:
    """Step time of DualPipe with equal stages; `backward` contains `weight`. [s]

    Source: bubble ``(S/2 - 1)(F&B + B - 3 W)`` with ``F&B = F + B`` where compute is the limit
    (DeepSeek-V3, arXiv:2412.19437, table 2).
    """
    bubble = max(0.0, stages / 2 - 1) * max(0.0, forward + 2.0 * backward - 3.0 * weight)
    return microbatches * (forward + backward) + bubble


def in_flight_microbatches(
    schedule: str, *, stages: int, stage: int, microbatches: int, chunks: int = 1
) -> float:
    """Largest number of micro-batches whose activations a stage holds, in units of a whole stage.

    Notes
    -----
    1f1b: ``S - s`` (arXiv:2104.04473). Interleaved: ``(2 (S - s - 1) + (v - 1) S + 1) / v``, at stage 0
    ``1 + (S - 1) / (S v)`` times 1f1b (arXiv:2205.05198, app. B). gpipe: all. ZB-H1: as stage 0 of 1f1b on
    every stage (arXiv:2401.10241, sec. 3). DualPipe: ``S + 1`` (arXiv:2412.19437, table 2).
    """
    if schedule == "gpipe":
        return float(microbatches)
    if schedule == "zero_bubble":
        return float(min(microbatches, stages))
    if schedule == "dualpipe":
        return float(min(microbatches, stages + 1))
    if schedule == "interleaved_1f1b" and chunks > 1:
        warmup = 2 * (stages - stage - 1) + (chunks - 1) * stages + 1
        return min(microbatches * chunks, warmup) / chunks
    return float(min(microbatches, stages - stage))


def pipeline_times(
    schedule: str,
    forward: Table,
    backward: Table,
    *,
    microbatches: int,
    transfers: Sequence[float] = (0.0,),
    weight_share: float = 0.5,
) -> tuple[float, ...]:
    """Return the exact step time for each of the transfer times. [s]

    Parameters
    ----------
    schedule : str
        One of `SCHEDULES`.
    forward, backward : table of float
        Time of one pass, by chunk and stage; one chunk except for the interleaved schedule. [s]
    microbatches : int
        Micro-batches of one step; interleaved_1f1b is defined for multiples of the stages only and is
        interpolated in between.
    transfers : sequence of float
        Times of one send/recv, one step time each. [s]
    weight_share : float
        Part of the backward pass that computes weight gradients and can be put off (zero_bubble, dualpipe).

    Raises
    ------
    ValueError
        If the schedule is unknown or the tables do not fit it.
    """
    f, b = np.asarray(forward, dtype=float), np.asarray(backward, dtype=float)
    if schedule not in SCHEDULES or f.ndim != 2 or f.shape != b.shape:
        raise ValueError(f"no schedule {schedule!r} for tables of {f.shape} and {b.shape}")
    chunks, stages = f.shape
    p = np.asarray(transfers, dtype=float)
    if stages == 1:
        busy = microbatches * float(f.sum() + b.sum())
        return (busy,) * len(p)
    if schedule == "interleaved_1f1b" and chunks > 1:
        return _interleaved(f, b, microbatches, p)
    if chunks != 1:
        raise ValueError(f"schedule {schedule!r} has one chunk per stage, not {chunks}")
    if schedule == "gpipe":
        times = _gpipe(f[0], b[0], microbatches, p)
    elif schedule == "dualpipe":
        times = _dualpipe(f[0], b[0], microbatches, p, weight_share)
    elif schedule == "zero_bubble":
        times = _one_forward_one_backward(
            f[0], b[0] * (1.0 - weight_share), microbatches, p, b[0] * weight_share
        )
    else:
        times = _one_forward_one_backward(f[0], b[0], microbatches, p)
    return tuple(float(time) for time in times)


def _gpipe(f: Array, b: Array, microbatches: int, p: Array) -> Array:
    # Two flow shops of equal jobs, one after the other (the last stage turns around without waiting).
    work = f.sum() + b.sum() + (microbatches - 1) * (f.max() + b.max())
    time: Array = work + 2.0 * (len(f) - 1) * p
    return time


def _dualpipe(f: Array, b: Array, microbatches: int, p: Array, weight_share: float) -> Array:
    # A device holds stage s and its mirror image, so it works at their mean rate; the slowest pair rules.
    pair = 0.5 * (f + f[::-1]), 0.5 * (b + b[::-1])
    slowest = int(np.argmax(pair[0] + pair[1]))
    forward, backward = float(pair[0][slowest]), float(pair[1][slowest])
    time = dualpipe_time(len(f), microbatches, forward, backward, weight_share * backward)
    return time + 2.0 * (len(f) / 2 - 1) * p


def _one_forward_one_backward(
    f: Array, b: Array, microbatches: int, p: Array, weight: Array | None = None
) -> Array:
    """1F1B round by round: in round ``r`` stage ``s`` runs F of ``r + S - 1 - s`` and B of ``r``.

    With `weight`, the weight-gradient passes of ZB-H1 follow, each put off by ``s`` rounds.
    """
    shop = _Rounds(f, b, p, weight)
    stages = len(f)
    for r in range(1 - stages, 0):
        shop.warm_up(-r, min(stages, microbatches - r))
    r, mark = 0, None
    while r < microbatches:
        if r <= microbatches - stages:
            shop.steady()
        else:
            shop.cool_down(microbatches - r)
        shop.late_weights(r)
        r += 1
        if r % stages == 0 and stages <= r < microbatches - 2 * stages:
            step = None if mark is None else _period(shop.state - mark, shop.state)
            if step is not None:
                periods = (microbatches - stages - r) // stages
                shop.state += periods * step
                r += periods * stages
            mark = shop.state.copy()
    return shop.end(microbatches)


class _Rounds:
    """State of a 1F1B schedule; stages run from last to first, so that a backward wave is a running maximum."""

    def __init__(self, f: Array, b: Array, p: Array, weight: Array | None) -> None:
        stages = len(f)
        self.stages, self.p = stages, p
        self.f, self.b = f[::-1, None], b[::-1, None]
        self.w = None if weight is None else weight[::-1, None]
        self.state = np.zeros((2, stages, len(p)))
        self.free, self.arrival = self.state
        wave = np.cumsum(self.b + p, axis=0)
        self.before, self.after = wave - self.b - p, wave - p
        self.done = np.empty_like(self.free)

    def warm_up(self, low: int, high: int) -> None:
        """Forwards only, on the stages that have begun and still have micro-batches to start."""
        done = np.maximum(self.free[low:high], self.arrival[low:high]) + self.f[low:high]
        self.free[low:high] = done
        self.arrival[low - 1 : high - 1] = done + self.p

    def steady(self) -> None:
        """One forward and one backward on every stage."""
        np.maximum(self.free, self.arrival, out=self.done)
        self.done += self.f
        np.add(self.done[1:], self.p, out=self.arrival[:-1])
        # The first stage waits for nobody; it only keeps pace, so that periods show.
        self.arrival[-1] = self.free[-1]
        self._backward()

    def cool_down(self, high: int) -> None:
        """The first stages have no forwards left."""
        self.done[:] = self.free
        self.done[:high] = np.maximum(self.free[:high], self.arrival[:high]) + self.f[:high]
        self.arrival[: high - 1] = self.done[1:high] + self.p
        self._backward()

    def _backward(self) -> None:
        self.done -= self.before
        np.maximum.accumulate(self.done, axis=0, out=self.done)
        np.add(self.done, self.after, out=self.free)

    def late_weights(self, r: int) -> None:
        """Weight gradients of round ``r - s`` on stage ``s``."""
        if self.w is not None:
            first = max(0, self.stages - 1 - r)
            self.free[first:] += self.w[first:]

    def end(self, microbatches: int) -> Array:
        """When the last stage is done, weight gradients that were put off included."""
        if self.w is None:
            return np.asarray(self.free.max(axis=0))
        left = np.minimum(microbatches, np.arange(self.stages - 1, -1, -1))[:, None]
        return np.asarray((self.free + self.w * left).max(axis=0))


def _interleaved(f: Array, b: Array, microbatches: int, p: Array) -> tuple[float, ...]:
    """Exact for multiples of the stages, the only numbers that Megatron-LM accepts; linear in between."""
    stages = f.shape[1]
    whole = microbatches // stages * stages
    if whole == microbatches:
        times = _interleaved_ticks(f, b, whole, p)
    elif whole == 0:
        missing = (stages - microbatches) * float((f + b).sum(axis=0).max())
        times = _interleaved_ticks(f, b, stages, p) - missing
    else:
        below = _interleaved_ticks(f, b, whole, p)
        above = _interleaved_ticks(f, b, whole + stages, p)
        times = below + (above - below) * ((microbatches - whole) / stages)
    return tuple(float(x) for x in times)


def _interleaved_ticks(f: Array, b: Array, microbatches: int, p: Array) -> Array:
    """Tick by tick: at tick ``t`` stage ``s`` runs round ``t + s``; all it waits for is one tick older."""
    chunks, stages = f.shape
    total, group = microbatches * chunks, stages * chunks
    ticks = _Ticks(f, b, total, p)
    # Before `both` no stage runs backward, from `rest` on none runs forward.
    both, rest = 1 - stages, max(1 - stages, total - group + 1)
    # Between 0 and `quiet` every stage runs both at every tick.
    quiet = total - ticks.slack
    tick, mark = -ticks.slack, None
    while tick < total:
        if tick < both:
            ticks.forward_only(tick, both)
            tick = both
        elif tick < rest:
            stop = min(rest, (tick // group + 1) * group)
            ticks.forward_and_backward(tick, stop)
            tick = stop
        else:
            ticks.backward_only(tick, total)
            tick = total
        if tick % group == 0 and 0 <= tick <= quiet:
            step = None if mark is None else _period(ticks.state - mark, ticks.state)
            if step is not None:
                periods = (quiet - tick) // group
                ticks.state += periods * step
                tick += periods * group
            mark = ticks.state.copy()
    return np.asarray(ticks.behind.max(axis=0))


class _Ticks:
    """State of an interleaved schedule, all stages abreast.

    Row ``s + 1`` of `ahead` is the end of the last forward of stage ``s``, row 0 that of the last stage (for its
    next chunk). Row ``s`` of `behind` is the end of the last backward, when the stage is free; the last row
    repeats row 0.
    """

    def __init__(self, f: Array, b: Array, total: int, p: Array) -> None:
        chunks, stages = f.shape
        self.slack = 2 * (stages - 1) + (chunks - 1) * stages
        self.state = np.zeros((2, stages + 1, len(p)))
        self.ahead, self.behind = self.state
        self._work = np.empty((stages, len(p)))
        self._make_tables(f, b, total, p)

    def _make_tables(self, f: Array, b: Array, total: int, p: Array) -> None:
        """What every stage does at every tick: waits (minus infinity for nothing) and durations, F and B."""
        chunks, stages = f.shape
        group = stages * chunks
        stage = np.arange(stages)
        backward = np.arange(-self.slack, total)[:, None] + stage
        forward = backward + (self.slack - 2 * stage)
        chunk_f = (forward % group) // stages
        chunk_b = chunks - 1 - (backward % group) // stages
        on_f = (forward >= 0) & (forward < total)
        on_b = (backward >= 0) & (backward < total)
        # Nothing to wait for: the first chunk on the first stage; the last chunk turns around on the last one.
        needs_f = on_f & ((stage > 0) | (chunk_f > 0))
        needs_b = on_b & ((stage < stages - 1) | (chunk_b < chunks - 1))
        shape = (*forward.shape, len(p))
        self._wait_f = np.where(needs_f[:, :, None], p, -np.inf)
        self._wait_b = np.where(needs_b[:, :, None], p, -np.inf)
        self._time_f = np.broadcast_to(np.where(on_f, f[chunk_f, stage], 0.0)[:, :, None], shape)
        self._time_b = np.broadcast_to(np.where(on_b, b[chunk_b, stage], 0.0)[:, :, None], shape)

    def _rows(self, start: int, stop: int, *tables: Array) -> Iterator[tuple[Array, ...]]:
        return zip(*(table[start + self.slack : stop + self.slack] for table in tables), strict=True)

    def forward_only(self, start: int, stop: int) -> None:
        """Warm-up ticks."""
        ahead, behind, work = self.ahead, self.behind, self._work
        for wait, time in self._rows(start, stop, self._wait_f, self._time_f):
            np.add(ahead[:-1], wait, out=work)
            np.maximum(work, behind[:-1], out=work)
            np.add(work, time, out=ahead[1:])
            ahead[0] = ahead[-1]
            behind[:-1] = ahead[1:]
        behind[-1] = behind[0]

    def forward_and_backward(self, start: int, stop: int) -> None:
        """Ticks with both."""
        ahead, behind, work = self.ahead, self.behind, self._work
        from_before, forward_end = ahead[:-1], ahead[1:]
        from_after, free = behind[1:], behind[:-1]
        tables = (self._wait_f, self._time_f, self._wait_b, self._time_b)
        for wait_f, time_f, wait_b, time_b in self._rows(start, stop, *tables):
            np.add(from_before, wait_f, out=work)
            np.maximum(work, free, out=work)
            np.add(work, time_f, out=forward_end)
            ahead[0] = ahead[-1]
            np.add(from_after, wait_b, out=work)
            np.maximum(work, forward_end, out=work)
            np.add(work, time_b, out=free)
            behind[-1] = behind[0]

    def backward_only(self, start: int, stop: int) -> None:
        """Cool-down ticks."""
        behind, work = self.behind, self._work
        for wait, time in self._rows(start, stop, self._wait_b, self._time_b):
            np.add(behind[1:], wait, out=work)
            np.maximum(work, behind[:-1], out=work)
            np.add(work, time, out=behind[:-1])
            behind[-1] = behind[0]


def _period(moved: Array, state: Array) -> Array | None:
    """Return by how much every time has moved, per transfer time, if all have moved alike."""
    axes = tuple(range(moved.ndim - 1))
    low, high = moved.min(axis=axes), moved.max(axis=axes)
    if bool(np.all(high - low <= _SAME * state.max())):
        return np.asarray(low)
    return None
