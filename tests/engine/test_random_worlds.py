"""Random worlds with failures, repairs, spares, gates, queues and changes of capacity: what always holds."""

from __future__ import annotations

import math

import pytest

from colossus_sim.engine.runner import simulate
from tests.engine.worlds import busy_model, imperfect_world, random_world


@pytest.mark.parametrize("number", [0, 8, 9, 17, 18])
def test_every_gpu_is_in_one_state_at_every_moment(number: int) -> None:
    """Used, idle, spare and broken GPUs add up to the installed ones in each row, and none is ever negative."""
    run = simulate(random_world(number), build_model=busy_model)
    assert run.levels
    for row in run.levels:
        assert row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed
        assert min(row.allocated, row.idle, row.spare, row.stranded, row.down) >= 0


@pytest.mark.parametrize("number", [5, 8, 10, 11])
def test_the_same_holds_where_repairs_and_diagnoses_fail(number: int) -> None:
    """States add up, nothing is negative, the same world gives the same rows, and its features are seen."""
    run = simulate(imperfect_world(number), build_model=busy_model)
    for row in run.levels:
        assert row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed
        assert min(row.allocated, row.idle, row.spare, row.stranded, row.down) >= 0
    assert any(row.note.endswith("not mended") for row in run.events)
    assert repr(simulate(imperfect_world(number), build_model=busy_model).events) == repr(run.events)


@pytest.mark.parametrize("number", [0, 9])
def test_gpu_time_is_capacity_times_time(number: int) -> None:
    """The GPU-seconds of all states of a partition are its installed GPUs over time."""
    run = simulate(random_world(number), build_model=busy_model)
    for name in {row.partition for row in run.levels}:
        rows = [row for row in run.levels if row.partition == name]
        ends = [row.time for row in rows[1:]] + [run.end_time]
        capacity = math.fsum(row.installed * (end - row.time) for row, end in zip(rows, ends, strict=True))
        spent = math.fsum(sum(row.seconds) for row in run.gpu_time if row.partition == name)
        assert spent == pytest.approx(capacity, rel=1e-9)
