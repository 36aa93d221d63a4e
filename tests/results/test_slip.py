"""Slip of the hand-made run, against numbers from paper."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.engine.runner import simulate
from colossus_sim.errors import SimulationError
from colossus_sim.loading.load import load_scenario
from colossus_sim.records import PhaseRow, RunResult
from colossus_sim.results.slip import GROUPS, SLIP_CAUSES, critical_path, job_slips
from colossus_sim.units import DAY


def in_days(seconds: dict[str, float]) -> dict[str, float]:
    """Return only what is not zero, in days."""
    return {name: value / DAY for name, value in seconds.items() if value}


def phase_row(name: str, ready: float, trigger: str) -> PhaseRow:
    """Return a phase of which only name, ready time and trigger count."""
    return PhaseRow(
        job="job", phase=name, kind="train", ready=ready, start=ready, end=math.nan, trigger=trigger,
        gpus_wanted=1, units=1.0, units_done=0.0, unit_time=1.0, planned_unit_time=1.0, tokens=0.0,
        tokens_done=0.0, peak=0.0, precision="", mfu=0.0, interruptions=0,
    )  # fmt: skip


def test_path_hands_over_when_the_overlapping_phase_is_ready(hand_run: RunResult) -> None:
    """The critical path leaves a phase at the moment when its overlapping successor became ready."""
    path = job_slips(hand_run)["alpha"].path
    assert [(part.phase, part.start / DAY, part.end / DAY) for part in path] == [
        ("pretrain", 0, 4),
        ("post", 4, 7),
    ]


def test_causes_of_a_finished_job(hand_run: RunResult) -> None:
    """An interval cut by the hand-over counts in proportion; the rest is as written down."""
    slip = job_slips(hand_run)["alpha"]
    cut = 0.75 / 1.75
    planned = 1.5 + 1.25 * cut + 1.5
    expected = {
        "slower_step": 0.3, "contention": 0.2, "degraded": 0.2 * cut, "lost_work": 0.25 * cut,
        "checkpoint": 0.05 * cut, "restart": 0.25, "data_wait": 0.5, "gpu_wait": 1.0, "calendar_floor": 1.0,
        "plan": planned - 6.0,
    }  # fmt: skip
    assert slip.finished
    assert in_days(dict(slip.causes)) == pytest.approx(expected, rel=1e-12)
    assert slip.slip / DAY == pytest.approx(1.0, rel=1e-12)


def test_causes_add_up_to_the_slip(hand_run: RunResult) -> None:
    """Causes and groups add up to end minus target to a microsecond."""
    for slip in job_slips(hand_run).values():
        assert math.fsum(slip.causes.values()) == pytest.approx(slip.slip, abs=1e-6)
        assert math.fsum(slip.groups.values()) == pytest.approx(slip.slip, abs=1e-6)


def test_groups_hold_every_cause_once() -> None:
    """Each cause of slip belongs to exactly one group."""
    members = [cause for group in GROUPS.values() for cause in group]
    assert sorted(members) == sorted(SLIP_CAUSES)


def test_unfinished_job_has_a_lower_bound_and_a_projection(hand_run: RunResult) -> None:
    """400 units of 0.01 days are left on day 10: slip is at least 1 day, projected 5."""
    slip = job_slips(hand_run)["beta"]
    assert not slip.finished
    assert slip.slip / DAY == pytest.approx(1.0)
    assert slip.projected_slip / DAY == pytest.approx(5.0)
    assert in_days(dict(slip.causes)) == pytest.approx(
        {"fewer_gpus": 0.5, "repair_wait": 0.5, "capacity_wait": 1.0, "plan": -1.0}
    )


def test_projection_of_the_whole_job_goes_through_later_phases(hand_run_with: Any) -> None:
    """Without a phase in the target, the projection adds 10 updates of 0.1 days after day 14."""
    run = hand_run_with(target_phase="")
    assert job_slips(run)["beta"].projected_end / DAY == pytest.approx(15.0)


def test_target_on_a_phase_that_waits_for_another(hand_run_with: Any) -> None:
    """A target on a phase that never became ready is attributed to the phase it waits for."""
    run = hand_run_with(target_phase="rl")
    slip = job_slips(run)["beta"]
    assert [part.phase for part in slip.path] == ["pretrain"]
    assert not slip.finished
    assert slip.projected_end / DAY == pytest.approx(15.0)


def test_target_on_an_earlier_phase(hand_run_with: Any) -> None:
    """A target that means the end of pre-training ends the path there."""
    run = hand_run_with(alpha_target_phase="pretrain")
    slip = job_slips(run)["alpha"]
    assert slip.end / DAY == pytest.approx(5.0)
    assert slip.slip / DAY == pytest.approx(-1.0)
    assert in_days(dict(slip.causes))["lost_work"] == pytest.approx(0.25)


def test_job_submitted_after_the_end_has_no_path(hand_run_with: Any) -> None:
    """A job that enters the queue after the simulation stopped has slipped by submit minus target at least."""
    run = hand_run_with(beta_submit="2026-01-15")
    slip = job_slips(run)["beta"]
    assert slip.path == ()
    assert not slip.finished
    assert in_days(dict(slip.causes)) == pytest.approx({"plan": 5.0})


def test_a_hole_in_the_intervals_is_an_error(hand_run_with: Any) -> None:
    """Time on the critical path that no interval covers is reported with the job and the gap."""
    run = hand_run_with(drop_interval=0)
    with pytest.raises(SimulationError, match=r"job alpha.*gap 86400\.0+ s"):
        job_slips(run)


def test_a_plan_far_from_the_model_leaves_only_rounding() -> None:
    """With a planned rate thousands of times too low, causes of 1e10 s cancel, and their rounding is no bug."""
    scenario = load_scenario("quickstart", overrides=["jobs.llama_70b.planned_mfu=1e-4"])
    slip = job_slips(simulate(scenario, seed=0))["llama_70b"]
    assert slip.spent["planned"] > 1e10
    assert math.fsum(slip.spent.values()) == pytest.approx(slip.end - slip.submit, abs=1e-4)


@given(ready=st.lists(st.floats(0, 100), min_size=2, max_size=6), length=st.floats(0.1, 50))
def test_path_covers_submission_to_end_without_overlap(ready: list[float], length: float) -> None:
    """Whatever the ready times, the path is one chain from submission to the end."""
    names = [f"p{index}" for index in range(len(ready))]
    triggers = ["", *names[:-1]]
    rows = {
        name: phase_row(name, moment, trigger)
        for name, moment, trigger in zip(names, sorted(ready), triggers, strict=True)
    }
    end = max(ready) + length
    path = critical_path(rows, list(rows)[-1], submit=0.0, end=end)
    assert path[0].start == 0.0
    assert path[-1].end == end
    for before, after in itertools.pairwise(path):
        assert before.end == after.start
