"""Exact time of one training step through a pipeline with unequal stages.

Every schedule is a fixed order of forward and backward passes on each stage; the step time is the longest path
through the resulting graph. `colossus_sim.formulas.pipeline_waves` computes it over all stages at once, and
leaps over whole periods once the pattern repeats. `colossus_sim.formulas.pipeline_events` plays the same
graphs pass by pass: the oracle, and what times the few passes of an interleaved step with less than one
micro-batch per stage.

Times are given as tables ``[chunk][stage]``: chunk ``c`` on stage ``s`` is the ``(c * stages + s)``-th part of
the model. `transfer` is the time of one send/recv between neighbouring stages; a sequence of them is evaluated
in one go, which costs hardly more than one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from colossus_sim.formulas.pipeline_events import simulated_step_time
from colossus_sim.formulas.pipeline_waves import Array, interleaved, one_forward_one_backward

Table = Sequence[Sequence[float]]

SCHEDULES = ("1f1b", "interleaved_1f1b", "gpipe", "zero_bubble", "dualpipe")


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
    (DeepSeek-V3, arXiv:2412.19437, table 2), which is for at least two micro-batches per stage. With fewer, half
    of them from each end, the first one's way through all stages is longer: ``S (F + B - W) + W``.
    """
    bubble = max(0.0, stages / 2 - 1) * max(0.0, forward + 2.0 * backward - 3.0 * weight)
    way = stages * (forward + backward - weight) + weight
    half = -(-microbatches // 2)
    return max(microbatches * (forward + backward) + bubble, way + (half - 1) * (forward + backward))


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


def slowest_device(schedule: str, passes: Table) -> float:
    """Return how long the busiest device works on one micro-batch, given forward and backward passes together. [s]

    A device of DualPipe holds a stage and its mirror image and runs half of the micro-batches through each.
    """
    busy = [math.fsum(column) for column in zip(*passes, strict=True)]
    if schedule == "dualpipe":
        busy = [0.5 * (one + other) for one, other in zip(busy, reversed(busy), strict=True)]
    return max(busy)


def pipeline_times(
    schedule: str,
    forward: Table,
    backward: Table,
    *,
    microbatches: int,
    transfers: Sequence[float] = (0.0,),
    weights: Table | None = None,
) -> tuple[float, ...]:
    """Return the exact step time for each of the transfer times. [s]

    Parameters
    ----------
    schedule : str
        One of `SCHEDULES`.
    forward, backward : table of float
        Time of one pass, by chunk and stage; one chunk except for the interleaved schedule. [s]
    microbatches : int
        Micro-batches of one step; interleaved_1f1b with more micro-batches than stages is defined for
        multiples of the stages only and is interpolated in between.
    transfers : sequence of float
        Times of one send/recv, one step time each. [s]
    weights : table of float, optional
        Part of each backward pass that computes weight gradients and can be put off (zero_bubble, dualpipe);
        left out = none of it. [s]

    Raises
    ------
    ValueError
        If the schedule is unknown or the tables do not fit it.
    """
    f, b = np.asarray(forward, dtype=float), np.asarray(backward, dtype=float)
    w = np.zeros_like(b) if weights is None else np.asarray(weights, dtype=float)
    if schedule not in SCHEDULES or f.ndim != 2 or not f.shape == b.shape == w.shape:
        raise ValueError(f"no schedule {schedule!r} for tables of {f.shape}, {b.shape} and {w.shape}")
    chunks, stages = f.shape
    p = np.asarray(transfers, dtype=float)
    if stages == 1:
        busy = microbatches * float(f.sum() + b.sum())
        return (busy,) * len(p)
    if schedule == "interleaved_1f1b" and chunks > 1:
        return _interleaved(f.shape, f.tobytes(), b.tobytes(), microbatches, p.tobytes())
    if chunks != 1:
        raise ValueError(f"schedule {schedule!r} has one chunk per stage, not {chunks}")
    if schedule == "gpipe":
        times = _gpipe(f[0], b[0], microbatches, p)
    elif schedule == "dualpipe":
        times = _dualpipe(f[0], b[0], w[0], microbatches, p)
    elif schedule == "zero_bubble":
        times = one_forward_one_backward(f[0], b[0] - w[0], microbatches, p, w[0])
    else:
        times = one_forward_one_backward(f[0], b[0], microbatches, p)
    return tuple(float(time) for time in times)


def _gpipe(f: Array, b: Array, microbatches: int, p: Array) -> Array:
    # Two flow shops of equal jobs, one after the other (the last stage turns around without waiting).
    work = f.sum() + b.sum() + (microbatches - 1) * (f.max() + b.max())
    time: Array = work + 2.0 * (len(f) - 1) * p
    return time


def _dualpipe(f: Array, b: Array, w: Array, microbatches: int, p: Array) -> Array:
    # A device works at the mean rate of its two stages; the slowest pair rules.
    forward, backward, weight = (0.5 * (times + times[::-1]) for times in (f, b, w))
    slowest = int(np.argmax(forward + backward))
    time = dualpipe_time(
        len(f), microbatches, float(forward[slowest]), float(backward[slowest]), float(weight[slowest])
    )
    return time + 2.0 * (len(f) / 2 - 1) * p


@functools.lru_cache(maxsize=4096)
def _interleaved(
    shape: tuple[int, int], forward: bytes, backward: bytes, microbatches: int, transfers: bytes
) -> tuple[float, ...]:
    """Exact up to one per stage and for multiples of the stages, which Megatron-LM asks for; linear in between.

    Remembered, because a job whose data-parallel groups have moved has the same pipeline as before.
    """
    f, b, p = (np.frombuffer(data) for data in (forward, backward, transfers))
    f, b, stages = f.reshape(shape), b.reshape(shape), shape[1]
    whole = microbatches // stages * stages
    if whole == microbatches:
        times = interleaved(f, b, whole, p)
    elif whole == 0:
        played = (f.tolist(), b.tolist())
        times = np.array(
            [
                simulated_step_time("interleaved_1f1b", *played, microbatches=microbatches, transfer=x)
                for x in p
            ]
        )
    else:
        below = interleaved(f, b, whole, p)
        above = interleaved(f, b, whole + stages, p)
        times = below + (above - below) * ((microbatches - whole) / stages)
    return tuple(float(x) for x in times)
