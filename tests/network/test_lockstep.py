"""Collectives of jobs that share links: closed forms, refusals, and agreement with flows where they are equal."""

from __future__ import annotations

import numpy as np
import pytest

from colossus_sim.network import simulate_collectives, simulate_flows


def test_one_slow_link_holds_back_the_whole_ring() -> None:
    """A ring over links of 10, 10 and 2 B/s takes what the slowest link takes for each of its flows."""
    ends = simulate_collectives([10.0, 10.0, 2.0], [[0], [1], [2]], [0, 0, 0], [20.0], [1.0])
    assert ends.tolist() == [11.0]


def test_a_job_that_comes_later_takes_its_share_from_then_on() -> None:
    """Alone for 1 s at 10 B/s, then half each: 10 + 10 bytes of the first end at 3 s, the second gets the rest."""
    ends = simulate_collectives([10.0], [[0], [0]], [0, 1], [20.0, 30.0], [0.0, 1.0])
    assert ends == pytest.approx([3.0, 5.0])


def test_jobs_held_elsewhere_leave_their_share_to_others() -> None:
    """A job held at 2 B/s by a link of its own leaves 8 of 10 B/s of the shared one: max-min, not equal parts."""
    ends = simulate_collectives([10.0, 2.0], [[0], [1], [0]], [0, 0, 1], [2.0, 8.0], [0.0, 0.0])
    assert ends == pytest.approx([1.0, 1.0])


def test_gaps_empty_jobs_and_no_jobs() -> None:
    """Nothing to send ends at the start; a pause between jobs is skipped; no jobs give no times."""
    ends = simulate_collectives([10.0], [[0], [0], [0]], [0, 1, 2], [10.0, 0.0, 10.0], [0.0, 7.0, 5.0])
    assert ends == pytest.approx([1.0, 7.0, 6.0])
    assert simulate_collectives([10.0], [], [], [], []).size == 0


def test_jobs_of_one_flow_are_flows() -> None:
    """With one flow to a job, lockstep changes nothing: the same ends as flow by flow, on random routes."""
    rng = np.random.default_rng(5)
    capacity = rng.uniform(1.0, 10.0, 12)
    routes = [rng.choice(12, size=3, replace=False).tolist() for _ in range(30)]
    size, start = rng.uniform(1.0, 50.0, 30), rng.uniform(0.0, 5.0, 30)
    joint = simulate_collectives(capacity, routes, np.arange(30), size, start)
    assert joint == pytest.approx(simulate_flows(capacity, routes, size, start), rel=1e-9)


@pytest.mark.parametrize(
    ("jobs", "sizes", "text"),
    [([0], [1.0], "2 routes"), ([0, 1], [1.0], "numbered from 0 to 0"), ([0, 0], [-1.0], "not negative")],
)
def test_bad_input_is_refused(jobs: list[int], sizes: list[float], text: str) -> None:
    """Lengths, job numbers and sizes that make no sense are errors in words."""
    with pytest.raises(ValueError, match=text):
        simulate_collectives([10.0], [[0], [0]], jobs, sizes, [0.0])
