"""Pipeline schedules: closed forms, and the fast form against the pass-by-pass oracle."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.formulas import pipeline
from colossus_sim.formulas.pipeline_events import (
    Pass,
    simulate_pipeline,
    simulated_step_time,
    stage_order,
)


def equal(stages: int, value: float, chunks: int = 1) -> list[list[float]]:
    """A table of equal times."""
    return [[value] * stages for _ in range(chunks)]


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
@pytest.mark.parametrize(("stages", "microbatches"), [(1, 5), (4, 2), (4, 8), (8, 64), (16, 1000)])
def test_equal_stages_closed_form(schedule: str, stages: int, microbatches: int) -> None:
    """Equal stages take (m + S - 1)(f + b)."""
    (time,) = pipeline.pipeline_times(
        schedule, equal(stages, 1.0), equal(stages, 2.0), microbatches=microbatches
    )
    assert time == pytest.approx(pipeline.equal_stages_time(stages, microbatches, 1.0, 2.0), rel=1e-12)


@pytest.mark.parametrize(
    ("stages", "microbatches", "chunks"), [(4, 8, 2), (8, 8, 4), (8, 64, 3), (2, 200, 5)]
)
def test_interleaved_bubble(stages: int, microbatches: int, chunks: int) -> None:
    """Interleaving shrinks the bubble to (S - 1) / (m v) of the work."""
    (time,) = pipeline.pipeline_times(
        "interleaved_1f1b",
        equal(stages, 1.0, chunks),
        equal(stages, 2.0, chunks),
        microbatches=microbatches,
    )
    work = microbatches * chunks * 3.0
    bubble = pipeline.interleaved_bubble_fraction(stages, microbatches, chunks)
    assert time / work - 1 == pytest.approx(bubble, rel=1e-9)


@pytest.mark.parametrize(("stages", "microbatches"), [(4, 8), (8, 16), (8, 100)])
@pytest.mark.parametrize("weight", [1.0, 0.6, 0.1, 0.0])
def test_zero_bubble_closed_form(stages: int, microbatches: int, weight: float) -> None:
    """The bubble of ZB-H1 is (S - 1)(F + B - W): with f = b = w a third of 1f1b's, without weight gradients to put
    off all of it (arXiv:2401.10241, table 2)."""
    (time,) = pipeline.pipeline_times(
        "zero_bubble",
        equal(stages, 1.0),
        equal(stages, 2.0),
        microbatches=microbatches,
        weights=equal(stages, weight),
    )
    assert time == pytest.approx(pipeline.zero_bubble_time(stages, microbatches, 1.0, 2.0 - weight, weight))
    assert time == pytest.approx(3 * microbatches + (stages - 1) * (3.0 - 2.0 * weight))


@pytest.mark.parametrize("weight", [1.0, 0.6, 0.0])
def test_dualpipe_bubble(weight: float) -> None:
    """DualPipe's bubble is (S/2 - 1)(F&B + B - 3 W) (arXiv:2412.19437, table 2)."""
    (time,) = pipeline.pipeline_times(
        "dualpipe", equal(8, 1.0), equal(8, 2.0), microbatches=32, weights=equal(8, weight)
    )
    assert time == pytest.approx(32 * 3.0 + 3 * (3.0 + 2.0 - 3.0 * weight))


def test_a_device_of_dualpipe_works_for_two_stages() -> None:
    """A long last stage shares its device with the short first one; elsewhere it is alone, or with its chunks."""
    passes = [[1.0, 2.0, 2.0, 4.0]]
    assert pipeline.slowest_device("1f1b", passes) == 4.0
    assert pipeline.slowest_device("dualpipe", passes) == 2.5
    assert pipeline.slowest_device("interleaved_1f1b", [*passes, [3.0, 1.0, 1.0, 1.0]]) == 5.0


@pytest.mark.parametrize("microbatches", range(1, 20))
def test_dualpipe_lets_no_micro_batch_jump_stages(microbatches: int) -> None:
    """One micro-batch passes all eight stages and back, and another one never makes the step shorter."""
    times = [pipeline.dualpipe_time(8, m, 1.0, 2.0, 1.0) for m in (microbatches, microbatches + 1)]
    assert 8 * 2.0 + 1.0 <= times[0] <= times[1]


TIMES = st.floats(0.1, 2.0)


Case = tuple[str, list[list[float]], list[list[float]], list[list[float]], int, float]
"""Schedule; forward, backward and weight-gradient times; micro-batches; transfer time."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A schedule with unequal stages, micro-batches and a transfer time; weights are a part of backward."""
    schedule = draw(st.sampled_from(["gpipe", "1f1b", "zero_bubble", "interleaved_1f1b"]))
    stages = draw(st.integers(1, 6))
    chunks = draw(st.integers(2, 4)) if schedule == "interleaved_1f1b" else 1
    rows = st.lists(st.lists(TIMES, min_size=stages, max_size=stages), min_size=chunks, max_size=chunks)
    microbatches = draw(st.integers(1, 40))
    if chunks > 1:
        microbatches = stages * draw(st.integers(1, 8))
    backward = draw(rows)
    weights = [[draw(st.floats(0.0, 1.0)) * time for time in row] for row in backward]
    return schedule, draw(rows), backward, weights, microbatches, draw(st.sampled_from([0.0, 0.05, 0.7]))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_fast_form_equals_oracle(case: Case) -> None:
    """For unequal stages, any share of weight gradients and any transfer time the fast form equals the played
    schedule to 1e-9."""
    schedule, forward, backward, weights, microbatches, transfer = case
    fast = pipeline.pipeline_times(
        schedule,
        forward,
        backward,
        microbatches=microbatches,
        transfers=(0.0, transfer),
        weights=weights,
    )
    split = schedule == "zero_bubble"
    first = [[b - w for b, w in zip(*rows, strict=True)] for rows in zip(backward, weights, strict=True)]
    for time, p in zip(fast, (0.0, transfer), strict=True):
        slow = simulated_step_time(
            schedule,
            forward,
            first if split else backward,
            microbatches=microbatches,
            transfer=p,
            weight=weights if split else None,
        )
        assert time == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(("schedule", "chunks"), [("1f1b", 1), ("interleaved_1f1b", 2)])
def test_leaping_over_periods_is_exact(schedule: str, chunks: int) -> None:
    """Hundreds of micro-batches, where the fast form leaps, still equal the played schedule."""
    forward, backward = equal(4, 1.0, chunks), equal(4, 2.0, chunks)
    forward[-1][-1], backward[-1][-1], forward[0][0] = 1.3, 2.6, 1.1
    times = pipeline.pipeline_times(schedule, forward, backward, microbatches=400, transfers=(0.0, 0.03))
    for time, p in zip(times, (0.0, 0.03), strict=True):
        slow = simulated_step_time(schedule, forward, backward, microbatches=400, transfer=p)
        assert time == pytest.approx(slow, rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(cases(), st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0]), min_size=1, max_size=4))
def test_transfer_times_do_not_mix(case: Case, transfers: list[float]) -> None:
    """Several transfer times in one call give what each gives alone."""
    schedule, forward, backward, weights, microbatches, _ = case
    together = pipeline.pipeline_times(
        schedule, forward, backward, microbatches=microbatches, transfers=transfers, weights=weights
    )
    for time, p in zip(together, transfers, strict=True):
        (alone,) = pipeline.pipeline_times(
            schedule, forward, backward, microbatches=microbatches, transfers=(p,), weights=weights
        )
        assert time == pytest.approx(alone, rel=1e-12)


def test_interleaved_remainder_lies_between_whole_groups() -> None:
    """Ten micro-batches on four stages take longer than eight and less than twelve."""
    times = [
        pipeline.pipeline_times("interleaved_1f1b", equal(4, 1.0, 2), equal(4, 2.0, 2), microbatches=m)[0]
        for m in (2, 4, 8, 10, 12)
    ]
    assert times == sorted(times)
    assert times[0] > 0


@pytest.mark.parametrize("microbatches", [1, 3, 8])
def test_few_micro_batches_leave_the_way_through_all_stages(microbatches: int) -> None:
    """With m <= S the interleaved step is ``S (F + B) + (m - 1) (F + B) / v``, F and B those of a whole stage."""
    (time,) = pipeline.pipeline_times(
        "interleaved_1f1b", equal(8, 0.25, 4), equal(8, 0.5, 4), microbatches=microbatches
    )
    assert time == pytest.approx(8 * 3.0 + (microbatches - 1) * 3.0 / 4, rel=1e-12)


def test_oracle_respects_dependencies() -> None:
    """No pass starts before what it needs has ended, and no stage does two things at once."""
    orders = [stage_order("1f1b", stages=3, stage=s, microbatches=5) for s in range(3)]
    played = simulate_pipeline(orders, equal(3, 1.0), equal(3, 2.0), transfer=0.25)
    ends = {(item.stage, item.work): item.end for item in played}
    for item in played:
        if item.work.kind == "F" and item.stage > 0:
            assert item.start >= ends[item.stage - 1, item.work] + 0.25
    for stage in range(3):
        mine = [item for item in played if item.stage == stage]
        assert all(a.end <= b.start for a, b in itertools.pairwise(mine))


def test_impossible_orders_are_refused() -> None:
    """Orders that wait for each other in a circle are an error, not an endless loop."""
    backward_first = [[Pass("B", 0, 0), Pass("F", 0, 0)], [Pass("F", 0, 0), Pass("B", 0, 0)]]
    with pytest.raises(ValueError, match="circle"):
        simulate_pipeline(backward_first, equal(2, 1.0), equal(2, 1.0))


def test_unknown_schedule_is_refused() -> None:
    """A wrong name or a table of the wrong shape raises ValueError."""
    with pytest.raises(ValueError, match="no schedule"):
        pipeline.pipeline_times("2f2b", equal(2, 1.0), equal(2, 1.0), microbatches=1)
    with pytest.raises(ValueError, match="one chunk"):
        pipeline.pipeline_times("1f1b", equal(2, 1.0, 2), equal(2, 1.0, 2), microbatches=1)


def test_activations_in_flight() -> None:
    """Stage 0 holds S micro-batches under 1f1b, 1 + (S - 1) / (S v) times as many when interleaved, all
    under gpipe (arXiv:2205.05198, app. B)."""

    def held(schedule: str, stage: int = 0, chunks: int = 1) -> float:
        return pipeline.in_flight_microbatches(
            schedule, stages=8, stage=stage, microbatches=64, chunks=chunks
        )

    assert held("1f1b") == 8
    assert held("1f1b", stage=7) == 1
    assert held("interleaved_1f1b", chunks=4) == pytest.approx(8 * (1 + 7 / (8 * 4)))
    assert held("gpipe") == 64
    assert held("dualpipe") == 9
    assert held("zero_bubble", stage=7) == 8
