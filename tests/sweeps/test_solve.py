"""Inverse questions against an executor with a known answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from colossus_sim.cli.solve import answer_text
from colossus_sim.errors import UsageError
from colossus_sim.loading.load import load_scenario
from colossus_sim.sweeps.candidates import Question, candidates, default_range
from colossus_sim.sweeps.condition import parse_condition
from colossus_sim.sweeps.solve import FAILING, PROBES, Answer, Trial, solve
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
    usable = [int(text) for text in candidates(asked).texts]
    answer = solve(asked, executor)
    assert answer.found is not None
    assert answer.neighbour is not None
    assert answer.smallest
    assert int(answer.found.text) == min(count for count in usable if 512 / count <= 8)
    assert int(answer.neighbour.text) == max(count for count in usable if 512 / count > 8)
    assert answer.found.met == 9
    assert len(executor.tried) < 10 + FAILING


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
    """Where nothing (or everything) tried meets the condition, values between the ends were among it.

    No value is known to be the smallest then; the fewest GPUs are nearest to failing.
    """
    asked = question(fast_scenario, "jobs.large.finish_days<=1")
    none = solve(asked, Known())
    assert none.found is None
    assert len(none.trials) == 2 + PROBES
    assert f"among the {2 + PROBES} that were tried" in answer_text(asked, none)
    asked = question(fast_scenario, "jobs.large.finish_days<=1000")
    every = solve(asked, Known())
    assert every.found is not None
    assert (every.found.text, every.smallest, every.neighbour) == ("8", None, None)
    assert [(low.text, high.text) for low, high in every.holds] == [("8", "160")]
    text = answer_text(asked, every)
    assert "holds from 8 to 160\n" in text
    assert f"each of the {2 + PROBES} values that were tried" in text
    assert "whole range" not in text


class Shaped(Known):
    """Ends on a day that is a given function of the GPUs."""

    def __init__(self, days: Callable[[int], float]) -> None:
        super().__init__()
        self.days = days

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks."""
        for task in tasks:
            day = self.days(int(task.overrides[-1].partition("=")[2]))
            values = {"jobs.large.finish_days": day, "jobs.large.finished": 1.0}
            yield [Outcome(index=task.index, status="done", values=values)]


def test_what_holds_in_the_middle_of_the_range_is_found(fast_scenario: str) -> None:
    """A best value inside: both edges of where it holds are found, and the answer names them."""
    asked = question(fast_scenario, "jobs.large.finish_days<=12")
    answer = solve(asked, Shaped(lambda gpus: abs(gpus - 60.0)))
    assert answer.found is not None
    assert answer.smallest is None
    assert [(low.text, high.text) for low, high in answer.holds] == [("48", "72")]
    assert "holds from 48 to 72\n" in answer_text(asked, answer)


def test_what_fails_in_the_middle_of_the_range_is_found(fast_scenario: str) -> None:
    """A worst value inside: it holds on both sides of it, and nobody says everywhere."""
    asked = question(fast_scenario, "jobs.large.finish_days>=12")
    answer = solve(asked, Shaped(lambda gpus: abs(gpus - 60.0)))
    assert [(low.text, high.text) for low, high in answer.holds] == [("8", "48"), ("72", "160")]
    text = answer_text(asked, answer)
    assert "holds from 8 to 48 and from 72 to 160\n" in text
    assert "it fails at" in text


def test_smaller_counts_that_hold_beyond_a_jag_are_found(fast_scenario: str) -> None:
    """Bisection ends at 98, below which 96 fails; 94 holds as well, and the answer warns."""
    usable = {94, *range(98, 200)}
    asked = question(fast_scenario, "jobs.large.finish_days<=1")
    answer = solve(asked, Shaped(lambda gpus: 0.0 if gpus in usable else 9.0))
    assert answer.found is not None
    assert answer.neighbour is not None
    assert (answer.found.text, answer.neighbour.text, answer.smallest) == ("94", "92", True)
    assert [(low.text, high.text) for low, high in answer.jagged] == [("94", "96")]
    assert "warning: the share of runs does not move in one direction only (94: 10 of 10, 96: 0 of 10)" in (
        answer_text(asked, answer)
    )
    even = solve(question(fast_scenario, "jobs.large.finish_days<=8"), Known())
    assert even.jagged == ()


def test_a_share_that_wavers_within_chance_is_not_jagged() -> None:
    """17, 18, 16 of 20 runs may be chance; 17, 3, 18 are not."""
    wavering = [Trial(text=str(met), met=met, runs=20) for met in (20, 17, 18, 16)]
    jagged = [Trial(text=str(met), met=met, runs=20) for met in (17, 3, 18)]
    answer = Answer(found=None, smallest=None, neighbour=None, trials=tuple(wavering))
    assert answer.jagged == ()
    assert replace(answer, trials=tuple(jagged)).jagged == ((jagged[0], jagged[1]),)


def test_a_range_that_cannot_be_run_to_its_end_is_told_as_what_held(fast_scenario: str) -> None:
    """The least or most that was tried is no smallest value; the end beyond which nothing runs is named."""
    asked = question(fast_scenario, "jobs.large.finish_days<=1000", high="100000")
    answer = solve(asked, Known())
    assert (answer.smallest, answer.cut) == (None, "high")
    low, high = answer.holds[0]
    assert low.text == "8"
    text = answer_text(asked, answer)
    assert f"holds from 8 to {high.text}, the largest value that can be run\n" in text
    assert "100000" not in text.splitlines()[0]
    assert answer.limit
    rising = solve(question(fast_scenario, "jobs.large.finish_days<=1000"), Shaped(float))
    assert rising.found is not None
    assert rising.found.text == "160"


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
    steps = [float(text.removesuffix("h")) for text in candidates(asked).texts]
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
