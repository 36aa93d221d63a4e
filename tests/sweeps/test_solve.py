"""Inverse questions against an executor with a known answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from colossus_sim.cli.solve import answer_text
from colossus_sim.errors import UsageError
from colossus_sim.loading.load import load_scenario
from colossus_sim.sweeps.condition import parse_condition
from colossus_sim.sweeps.solve import Question, candidates, default_range, solve
from colossus_sim.sweeps.task import Outcome, Task


class Known:
    """Ends on day 512 / GPUs; one replica in ten is a day later."""

    def __init__(self, horizon: float = 1e9) -> None:
        self.tried: list[int] = []
        self.horizon = horizon

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks."""
        for task in tasks:
            gpus = int(task.overrides[-1].partition("=")[2])
            self.tried += [gpus] if not task.replica else []
            day = 512.0 / gpus + (1.0 if task.replica % 10 == 0 else 0.0)
            values = {
                "jobs.large.finish_days": day,
                "jobs.large.finished": float(day <= self.horizon),
                "cluster.simulated_days": min(day, self.horizon),
            }
            yield [Outcome(index=task.index, status="done", values=values)]

    def close(self) -> None:
        """Do nothing."""


def question(
    source: str, condition: str, low: str = "8", high: str = "160", confidence: float = 0.8
) -> Question:
    """Return a question about the GPUs of the job `large`."""
    return Question(
        source=source, path="jobs.large.gpus", condition=parse_condition(condition, start=0.0),
        confidence=confidence, low=low, high=high, replicas=10,
    )  # fmt: skip


def test_smallest_usable_count_is_found(fast_scenario: str) -> None:
    """512 / GPUs <= 8 first holds at 64 GPUs; the neighbour is the next count that the plan can use."""
    executor = Known()
    asked = question(fast_scenario, "jobs.large.finish_days<=8")
    usable = [int(text) for text in candidates(asked)]
    answer = solve(asked, executor)
    assert answer.found is not None
    assert answer.neighbour is not None
    assert answer.smallest
    assert int(answer.found.text) == min(count for count in usable if 512 / count <= 8)
    assert int(answer.neighbour.text) == max(count for count in usable if 512 / count > 8)
    assert answer.found.met == 9
    assert len(executor.tried) < 10


def test_largest_value_is_found_where_less_is_harmful(fast_scenario: str) -> None:
    """A lower bound on the end is met by few GPUs: the largest such count is the answer."""
    answer = solve(question(fast_scenario, "jobs.large.finish_days>=8"), Known())
    assert answer.found is not None
    assert not answer.smallest
    assert int(answer.found.text) == 64


def test_confidence_counts(fast_scenario: str) -> None:
    """With 95 % wanted the late replica counts too: 512 / GPUs + 1 <= 8 needs 73.1 GPUs or more."""
    answer = solve(question(fast_scenario, "jobs.large.finish_days<=8", confidence=0.95), Known())
    assert answer.found is not None
    assert int(answer.found.text) >= 74


def test_no_solution_and_whole_range(fast_scenario: str) -> None:
    """Where nothing meets the condition there is no answer; where everything does, the first value is it."""
    none = solve(question(fast_scenario, "jobs.large.finish_days<=1"), Known())
    assert none.found is None
    assert len(none.trials) == 2
    every = solve(question(fast_scenario, "jobs.large.finish_days<=1000"), Known())
    assert every.found is not None
    assert every.neighbour is None


def test_range_is_cut_where_the_scenario_refuses(fast_scenario: str) -> None:
    """More GPUs than are installed cannot be run: the search stays below and says so."""
    answer = solve(question(fast_scenario, "jobs.large.finish_days<=8", high="100000"), Known())
    assert answer.found is not None
    assert int(answer.found.text) == 64
    assert "cannot be run" in answer.limit


def test_steps_of_quantities_and_default_range(fast_scenario: str) -> None:
    """Times are searched in steps of one per cent; the default range is a quarter to four times the value."""
    scenario = load_scenario(fast_scenario)
    path = "checkpoint.tiers[0].interval"
    low, high = default_range(scenario, path)
    assert (low, high) == ("0.25h", "4h")
    asked = Question(
        source=fast_scenario, path=path, condition=parse_condition("jobs.large.slip_days<=0", start=0.0),
        confidence=0.8, low=low, high=high, replicas=2,
    )  # fmt: skip
    steps = [float(text.removesuffix("h")) for text in candidates(asked)]
    assert steps[0] == pytest.approx(0.25)
    assert steps[-1] == pytest.approx(4.0)
    assert all(1.0 < after / before < 1.0101 for before, after in itertools.pairwise(steps))
    with pytest.raises(UsageError, match="does not give"):
        default_range(scenario, "jobs.large.max_gpus")
    with pytest.raises(UsageError, match=r"got a mapping$"):
        default_range(scenario, "jobs.large.model")
    with pytest.raises(UsageError, match="must be smaller"):
        candidates(question(fast_scenario, "a<=1", low="20", high="10"))


def test_without_a_solution_the_nearest_value_is_known(fast_scenario: str) -> None:
    """Where no run meets the condition, the end with the mean nearest to the bound, on either side of it."""
    for text, expected in (("jobs.large.finish_days<=1", 160), ("jobs.large.finish_days>=100", 8)):
        answer = solve(question(fast_scenario, text), Known())
        nearest = answer.nearest(parse_condition(text, start=0.0).bound)
        assert nearest is not None
        assert int(nearest.text) == expected
        assert nearest.mean == pytest.approx(512 / expected + 0.1)
    assert replace(answer, trials=()).nearest(1.0) is None


def test_no_answer_where_the_horizon_is_too_short_for_one(fast_scenario: str) -> None:
    """A job cut off on day 6 may still end by day 8: the search stops there and says so, with what it knows."""
    asked = question(fast_scenario, "jobs.large.finish_days<=8")
    answer = solve(asked, Known(horizon=6.0))
    assert answer.found is None
    assert answer.unknown is not None
    assert (answer.unknown.met, answer.unknown.unknown) == (0, 10)
    text = answer_text(asked, answer)
    assert "not known" in text
    assert "horizon" in text
    assert "holds in the whole range" not in text


def test_runs_cut_off_after_the_bound_are_answers(fast_scenario: str) -> None:
    """What had not ended on day 9 did not end by day 8 either: the same answer as without a horizon."""
    asked = question(fast_scenario, "jobs.large.finish_days<=8")
    answer = solve(asked, Known(horizon=9.0))
    assert answer.found is not None
    assert answer.found.text == solve(asked, Known()).found.text  # type: ignore[union-attr]
