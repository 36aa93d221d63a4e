"""Pipeline schedules pass by pass: the order of work on every stage, and when each pass runs.

Slow and plain on purpose: the oracle of `colossus_sim.formulas.pipeline`, and the source of schedule drawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Table = Sequence[Sequence[float]]


class Pass(NamedTuple):
    """One pass of one micro-batch through one chunk of a stage."""

    kind: str
    """F: forward; B: backward (for the inputs only where W is separate); W: weight gradients."""
    chunk: int
    microbatch: int


class TimedPass(NamedTuple):
    """A pass with its place on the time axis."""

    stage: int
    work: Pass
    start: float
    end: float


def stage_order(schedule: str, *, stages: int, stage: int, microbatches: int, chunks: int = 1) -> list[Pass]:
    """Return the passes of one stage in the order in which it runs them.

    Raises
    ------
    ValueError
        If the schedule is not one of 1f1b, interleaved_1f1b, gpipe, zero_bubble.
    """
    if schedule == "gpipe":
        forwards = [Pass("F", 0, i) for i in range(microbatches)]
        return forwards + [Pass("B", 0, i) for i in range(microbatches)]
    if schedule == "1f1b" or (schedule == "interleaved_1f1b" and chunks == 1):
        forwards = [Pass("F", 0, i) for i in range(microbatches)]
        backwards = [Pass("B", 0, i) for i in range(microbatches)]
        return _alternate(forwards, backwards, stages - 1 - stage)
    if schedule == "interleaved_1f1b":
        forwards = _chunked("F", range(chunks), stages, microbatches)
        backwards = _chunked("B", range(chunks - 1, -1, -1), stages, microbatches)
        return _alternate(forwards, backwards, 2 * (stages - 1 - stage) + (chunks - 1) * stages)
    if schedule == "zero_bubble":
        plain = stage_order("1f1b", stages=stages, stage=stage, microbatches=microbatches)
        return _with_weights(plain, delay=stage, microbatches=microbatches)
    raise ValueError(f"no order of passes for schedule {schedule!r}")


def _chunked(kind: str, chunk_order: Sequence[int], stages: int, microbatches: int) -> list[Pass]:
    # Groups of `stages` micro-batches go through all chunks before the next group starts.
    order: list[Pass] = []
    for first in range(0, microbatches, stages):
        group = range(first, min(first + stages, microbatches))
        order.extend(Pass(kind, chunk, i) for chunk in chunk_order for i in group)
    return order


def _alternate(forwards: list[Pass], backwards: list[Pass], warmup: int) -> list[Pass]:
    warmup = min(warmup, len(forwards))
    order = forwards[:warmup]
    for forward, backward in zip(forwards[warmup:], backwards, strict=False):
        order += (forward, backward)
    return order + backwards[len(forwards) - warmup :]


def _with_weights(order: list[Pass], *, delay: int, microbatches: int) -> list[Pass]:
    full: list[Pass] = []
    for work in order:
        full.append(work)
        if work.kind == "B" and work.microbatch >= delay:
            full.append(Pass("W", 0, work.microbatch - delay))
    return full + [Pass("W", 0, i) for i in range(max(0, microbatches - delay), microbatches)]


def simulate_pipeline(
    orders: Sequence[Sequence[Pass]],
    forward: Table,
    backward: Table,
    *,
    transfer: float = 0.0,
    weight: Table | None = None,
) -> list[TimedPass]:
    """Play the given orders and return every pass with its times.

    Raises
    ------
    ValueError
        If the orders wait for each other in a circle.
    """
    stages, chunks = len(orders), len(forward)
    ends: dict[tuple[int, Pass], float] = {}
    free = [0.0] * stages
    position = [0] * stages
    played: list[TimedPass] = []
    durations = {"F": forward, "B": backward, "W": weight if weight is not None else forward}
    moved = True
    while moved:
        moved = False
        for stage, order in enumerate(orders):
            while position[stage] < len(order):
                work = order[position[stage]]
                needs = _needs(stage, work, stages, chunks)
                if any(need not in ends for need in needs):
                    break
                waits = [ends[need] + (transfer if need[0] != stage else 0.0) for need in needs]
                start = max([free[stage], *waits])
                free[stage] = ends[stage, work] = start + durations[work.kind][work.chunk][stage]
                played.append(TimedPass(stage, work, start, free[stage]))
                position[stage] += 1
                moved = True
    if any(position[stage] < len(order) for stage, order in enumerate(orders)):
        raise ValueError("the orders of the stages wait for each other in a circle")
    return played


def _needs(stage: int, work: Pass, stages: int, chunks: int) -> list[tuple[int, Pass]]:
    kind, chunk, i = work
    if kind == "W":
        return [(stage, Pass("B", chunk, i))]
    if kind == "F":
        if stage > 0:
            return [(stage - 1, Pass("F", chunk, i))]
        return [(stages - 1, Pass("F", chunk - 1, i))] if chunk > 0 else []
    if stage < stages - 1:
        return [(stage + 1, Pass("B", chunk, i))]
    if chunk < chunks - 1:
        return [(0, Pass("B", chunk + 1, i))]
    return [(stage, Pass("F", chunk, i))]


def simulated_step_time(
    schedule: str,
    forward: Table,
    backward: Table,
    *,
    microbatches: int,
    transfer: float = 0.0,
    weight: Table | None = None,
) -> float:
    """Return when the last pass of the step ends. [s]"""
    stages = len(forward[0])
    orders = [
        stage_order(schedule, stages=stages, stage=stage, microbatches=microbatches, chunks=len(forward))
        for stage in range(stages)
    ]
    played = simulate_pipeline(orders, forward, backward, transfer=transfer, weight=weight)
    return max(work.end for work in played)
