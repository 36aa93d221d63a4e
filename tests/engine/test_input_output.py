"""What a job reads before its first step and writes after its last one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.records import RunResult
from colossus_sim.specs.policies import Policies

GB = 1e9
JOB = BenchJob(units=100, unit_time=10.0, gpus=8, state_bytes=1.0, input_bytes=30 * GB, output_bytes=70 * GB)
"""1,000 s of work, 30 s to read and 70 s to write at 1 GB/s."""


def play(*jobs: BenchJob, access: str = "mean", **more: object) -> RunResult:
    """Play jobs on a site whose storage does 1 GB/s."""
    policies = {"scheduler": "fifo", "contention": "none", "storage_access": access}
    return play_bench(
        {str(number): job for number, job in enumerate(jobs)}, site=a_site(16, domain=8, storage_bandwidth=GB),
        checkpoint=saves(300.0, 0.0), policies=Policies.model_validate(policies), **more,
    )  # fmt: skip


@pytest.mark.parametrize("access", ["mean", "alone", "shared", "blocking", "first_come", "least_waste"])
def test_a_job_alone_waits_for_both(access: str) -> None:
    """30 s, 1,000 s and 70 s, whatever the strategy."""
    result = play(JOB, access=access)
    assert result.phases[0].end == pytest.approx(1100.0, abs=1e-3)
    states = [(row.state, round(row.end - row.start)) for row in result.intervals if row.end - row.start > 1]
    assert states[0] == ("restarting", 30)
    assert states[-1] == ("running", 70)


def test_two_jobs_queue_for_them() -> None:
    """One after the other: the second begins to work 30 s later, and writes when the first is done."""
    ends = [row.end for row in play(JOB, JOB, access="blocking").phases]
    assert ends == pytest.approx([1100.0, 1170.0], abs=1e-2)


def test_a_failure_while_writing_costs_the_work_since_the_last_copy(
    failures_at: Callable[..., None],
) -> None:
    """After 900 s of work there is a copy: the last 100 s are done again, then the output is written anew."""
    failures_at(1050.0)
    result = play(JOB, faults=faults(0.0, site=fault_class("site", 1.0)))
    assert result.phases[0].end == pytest.approx(1050.0 + 100.0 + 70.0, abs=1e-2)
    assert result.phases[0].interruptions == 1


def test_a_failure_while_reading_begins_anew(failures_at: Callable[..., None]) -> None:
    """There is no copy yet: the input is read once more."""
    failures_at(20.0)
    result = play(JOB, faults=faults(0.0, site=fault_class("site", 1.0)))
    assert result.phases[0].end == pytest.approx(20.0 + 1100.0, abs=1e-2)
