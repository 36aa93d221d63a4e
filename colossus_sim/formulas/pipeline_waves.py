"""Longest paths through 1F1B and interleaved pipelines, all stages and all transfer times at once.

Every array has one row per transfer time. Steps that all stages take alike run on the flat array, in which a row
runs into the next one; what crosses a seam is overwritten before it is used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]

_SAME = 1e-12
"""Relative difference below which two states of a schedule count as the same pattern."""


def one_forward_one_backward(
    f: Array, b: Array, microbatches: int, p: Array, weight: Array | None = None
) -> Array:
    """Return the step time of 1F1B for each transfer time. [s]

    Round by round: in round ``r`` stage ``s`` runs F of ``r + S - 1 - s`` and B of ``r``.

    Parameters
    ----------
    f, b : array
        Time of a forward and of a backward pass, by stage. [s]
    microbatches : int
        Micro-batches of one step.
    p : array
        Times of one send/recv. [s]
    weight : array, optional
        Weight-gradient passes of ZB-H1, by stage, each put off by ``s`` rounds. [s]
    """
    shop = _Rounds(f, b, p, weight)
    stages = len(f)
    for r in range(1 - stages, 0):
        shop.warm_up(-r, min(stages, microbatches - r))
    # From `rest` on the first stages have no forwards left.
    r, rest, mark = 0, max(0, microbatches - stages + 1), None
    while r < rest:
        stop = min(rest, r + stages)
        shop.steady(r, stop)
        r = stop
        if r < microbatches - 2 * stages:
            step = None if mark is None else _period(mark, shop.state)
            if step is not None:
                periods = (microbatches - stages - r) // stages
                shop.state += periods * step
                r += periods * stages
            mark = shop.state.copy()
    for r in range(rest, microbatches):
        shop.cool_down(r, microbatches - r)
    return shop.end(microbatches)


class _Rounds:
    """State of a 1F1B schedule; stages run from last to first, so that a backward wave is a running maximum."""

    def __init__(self, f: Array, b: Array, p: Array, weight: Array | None) -> None:
        self.stages, self.p = len(f), p[:, None]
        self.f, b = f[::-1], b[::-1]
        self.w = None if weight is None else weight[::-1]
        self.state = np.zeros((2, len(p), len(f)))
        self.free, self.arrival = self.state
        self.done = np.empty((len(p), len(f)))
        wave = np.cumsum(b + self.p, axis=1)
        self.before, self.after = wave - b - self.p, wave - self.p
        # What steady rounds work on: the flat arrays, what is sent on to whom, and what the first stage keeps.
        flat = [array.reshape(-1) for array in (*self.state, self.done, self.before, self.after)]
        durations = np.concatenate([self.f] * len(p)), np.repeat(p, len(f))[1:]
        self.steady_state = (*flat, *durations, self.arrival[:, -1], self.free[:, -1])

    def warm_up(self, low: int, high: int) -> None:
        """Forwards only, on the stages that have begun and still have micro-batches to start."""
        done = np.maximum(self.free[:, low:high], self.arrival[:, low:high]) + self.f[low:high]
        self.free[:, low:high] = done
        self.arrival[:, low - 1 : high - 1] = done + self.p

    def steady(self, start: int, stop: int) -> None:
        """Rounds of one forward and one backward on every stage."""
        free, arrival, done, before, after, f, p, kept, first = self.steady_state
        sent, received = done[1:], arrival[:-1]
        for r in range(start, stop):
            np.maximum(free, arrival, out=done)
            np.add(done, f, done)
            np.add(sent, p, received)
            # The first stage waits for nobody; it only keeps pace, so that periods show.
            kept[:] = first
            np.subtract(done, before, done)
            np.maximum.accumulate(self.done, axis=1, out=self.done)
            np.add(done, after, free)
            self._late_weights(r)

    def cool_down(self, r: int, high: int) -> None:
        """A round in which the first stages have no forwards left."""
        self.done[:] = self.free
        self.done[:, :high] = np.maximum(self.free[:, :high], self.arrival[:, :high]) + self.f[:high]
        self.arrival[:, : high - 1] = self.done[:, 1:high] + self.p
        np.maximum.accumulate(self.done - self.before, axis=1, out=self.done)
        np.add(self.done, self.after, self.free)
        self._late_weights(r)

    def _late_weights(self, r: int) -> None:
        """Weight gradients of round ``r - s`` on stage ``s``."""
        if self.w is not None:
            first = max(0, self.stages - 1 - r)
            self.free[:, first:] += self.w[first:]

    def end(self, microbatches: int) -> Array:
        """When the last stage is done, weight gradients that were put off included."""
        if self.w is None:
            return np.asarray(self.free.max(axis=1))
        left = np.minimum(microbatches, np.arange(self.stages - 1, -1, -1))
        return np.asarray((self.free + self.w * left).max(axis=1))


def interleaved(f: Array, b: Array, microbatches: int, p: Array) -> Array:
    """Return the step time of the interleaved schedule for each transfer time. [s]

    Tick by tick: at tick ``t`` stage ``s`` runs round ``t + s``; all it waits for is one tick older.

    Parameters
    ----------
    f, b : array
        Time of a forward and of a backward pass, ``[chunk, stage]``. [s]
    microbatches : int
        Micro-batches of one step, a multiple of the stages.
    p : array
        Times of one send/recv. [s]
    """
    chunks, stages = f.shape
    total, group = microbatches * chunks, stages * chunks
    ticks = _Ticks(f, b, total, p)
    # Before tick 1 - S no stage runs backward, from `rest` on none runs forward.
    rest = total - group + 1
    # Between 0 and `quiet` every stage runs both at every tick.
    quiet = total - ticks.slack
    ticks.forward_only(-ticks.slack, 1 - stages)
    ticks.forward_and_backward(ticks.rows(1 - stages, 0))
    tick = 0
    if group <= quiet:
        steady, mark = ticks.rows(0, group), ticks.state.copy()
    while tick + group <= quiet:
        ticks.forward_and_backward(steady)
        tick += group
        step = _period(mark, ticks.state)
        if step is not None:
            periods = (quiet - tick) // group
            ticks.state += periods * step
            tick += periods * group
        mark = ticks.state.copy()
    ticks.forward_and_backward(ticks.rows(tick, rest))
    ticks.backward_only(rest, total)
    return ticks.end()


class _Ticks:
    """State of an interleaved schedule, all stages abreast.

    Entry ``s + 1`` ahead is the end of the last forward of stage ``s``, entry 0 that of the last stage (for its
    next chunk). Entry ``s`` behind is the end of the last backward, when the stage is free; the last one repeats
    entry 0.
    """

    def __init__(self, f: Array, b: Array, total: int, p: Array) -> None:
        chunks, stages = f.shape
        self.slack = 2 * (stages - 1) + (chunks - 1) * stages
        self.state = np.zeros((2, len(p), stages + 1))
        ahead, behind = (half.reshape(-1) for half in self.state)
        seam = stages + 1
        # From whom and to whom all stages hand on, and the ends: entries 0 and S of every row.
        self._ahead = ahead[:-1], ahead[1:], ahead[::seam], ahead[stages::seam]
        self._behind = behind[1:], behind[:-1], behind[stages::seam], behind[::seam]
        self._work = np.empty(len(ahead) - 1)
        stage = np.arange(stages, dtype=np.int64)
        # Nothing to wait for: the first chunk on the first stage; the last chunk turns around on the last one.
        self._forward = _Wave(f, p, lead=self.slack - stage, free_stage=0, total=total)
        self._backward = _Wave(b[::-1], p, lead=stage, free_stage=stages - 1, total=total)

    def forward_only(self, start: int, stop: int) -> None:
        """Warm-up ticks."""
        self._one_way(self._ahead, *self._forward.rows(start, stop))
        _, forward_end, *_ = self._ahead
        _, free, last_input, first_output = self._behind
        free[:] = forward_end
        last_input[:] = first_output

    def rows(self, start: int, stop: int) -> list[tuple[Array, ...]]:
        """What is waited for and how long it takes, at each tick: forward, then backward."""
        tables = *self._forward.rows(start, stop), *self._backward.rows(start, stop)
        return list(zip(*tables, strict=True))

    def forward_and_backward(self, rows: list[tuple[Array, ...]]) -> None:
        """Ticks with both."""
        from_before, forward_end, first_input, last_output = self._ahead
        from_after, free, last_input, first_output = self._behind
        work = self._work
        for wait_f, time_f, wait_b, time_b in rows:
            np.add(from_before, wait_f, work)
            np.maximum(work, free, out=work)
            np.add(work, time_f, forward_end)
            first_input[:] = last_output
            np.add(from_after, wait_b, work)
            np.maximum(work, forward_end, out=work)
            np.add(work, time_b, free)
            last_input[:] = first_output

    def backward_only(self, start: int, stop: int) -> None:
        """Cool-down ticks."""
        self._one_way(self._behind, *self._backward.rows(start, stop))

    def _one_way(self, views: tuple[Array, ...], waits: Array, times: Array) -> None:
        """Ticks of one direction."""
        source, end, first, last = views
        work = self._work
        for wait, time in zip(waits, times, strict=True):
            np.add(source, wait, work)
            np.maximum(work, end, out=work)
            np.add(work, time, end)
            first[:] = last

    def end(self) -> Array:
        """When the last stage is done."""
        return np.asarray(self.state[1].max(axis=1))


class _Wave:
    """Waits and durations of the passes of one direction, in the flat order of `_Ticks` without its last entry.

    The tables have one row per chunk in the order of the wave, and a last one for no pass at all: it waits for
    nothing (minus infinity) and takes no time.
    """

    def __init__(self, times: Array, p: Array, *, lead: _Integers, free_stage: int, total: int) -> None:
        chunks, stages = times.shape
        self._chunks, self._stages, self._total = chunks, stages, total
        shape = (chunks + 1, len(p), stages + 1)
        durations, waits = np.zeros(shape), np.full(shape, -np.inf)
        durations[:-1, :, :-1] = times[:, None, :]
        waits[:-1, :, :-1] = p[:, None]
        waits[0, :, free_stage] = -np.inf
        width = len(p) * (stages + 1)
        self._durations = durations.reshape(chunks + 1, width)[:, :-1].ravel()
        self._waits = waits.reshape(chunks + 1, width)[:, :-1].ravel()
        self._lead = np.concatenate([lead, [0]] * len(p))[:-1]
        self._columns = np.arange(width - 1)

    def rows(self, start: int, stop: int) -> tuple[Array, Array]:
        """Return what each stage waits for and how long it takes, one row per tick."""
        low, high = start + int(self._lead.min()), stop + int(self._lead.max())
        rounds = np.arange(low, high)
        chunk = rounds % (self._chunks * self._stages) // self._stages
        chunk[: max(0, -low)] = self._chunks
        chunk[max(0, self._total - low) :] = self._chunks
        ticks = np.arange(start - low, stop - low)[:, None]
        cells = chunk[ticks + self._lead] * len(self._columns) + self._columns
        return self._waits[cells], self._durations[cells]


def _period(before: Array, state: Array) -> Array | None:
    """Return by how much every time has moved, per transfer time, if all have moved alike."""
    moved, most = state - before, _SAME * float(state.max())
    if abs(moved[0, 0, 0] - moved[0, 0, -1]) > most:
        return None  # mostly so while the pattern settles
    low, high = moved.min(axis=(0, 2)), moved.max(axis=(0, 2))
    return np.asarray(low[:, None]) if bool(np.all(high - low <= most)) else None
