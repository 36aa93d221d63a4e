"""Inverse questions: the smallest (or largest) value of a field with which a condition holds often enough.

Bisection on common random numbers: every candidate is run with the same seeds, so the share of runs that meet the
condition is the same function of the field at every look, and as a rule monotone in it. Where both ends of the
range agree, values between them are tried too, because some fields have a best value inside (checkpoint intervals).
Counts may be jagged (scheduling anomalies: Graham 1969, doi:10.1137/0117039): beyond the crossing that was found
the next ones are tried, until several in a row fail.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from colossus_sim.errors import ColossusError, UsageError
from colossus_sim.loading.load import load_scenario
from colossus_sim.loading.yaml_source import scalar
from colossus_sim.sweeps.candidates import Candidates, Question, candidates
from colossus_sim.sweeps.condition import check_measure
from colossus_sim.sweeps.plan import Point, make_plan
from colossus_sim.sweeps.pool import Executor
from colossus_sim.sweeps.quantities import need_numbers
from colossus_sim.sweeps.statistics import wilson_interval
from colossus_sim.sweeps.task import Outcome, spelt

PROBES = 7
"""Values between the ends that are tried where both ends give the same verdict."""
LARGE_RATIO = 10.0
"""Ratio of the ends from which on these values are spaced evenly in the logarithm."""
FAILING = 4
"""Whole numbers in a row beyond the value found that must fail before it counts as the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One value that was tried.

    Attributes
    ----------
    text : str
        The value as written.
    met, runs : int
        Runs that meet the condition, of how many.
    unknown : int
        Runs that stopped at the horizon before it was clear whether they meet it.
    mean : float
        Mean of the condition's measure over the runs that define it; NaN if none does.
    error : str
        Why it cannot be run; empty if it can.
    """

    text: str
    met: int
    runs: int
    unknown: int = 0
    mean: float = math.nan
    error: str = ""

    @property
    def share(self) -> float:
        """Share of runs that meet the condition."""
        return self.met / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share."""
        return wilson_interval(self.met, self.runs)


Span = tuple[Trial, Trial]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the search found.

    Attributes
    ----------
    found : Trial or None
        A value with which the condition holds: the last one before it fails, or the end of the range at which it is
        nearest to failing; None if there is none.
    smallest : bool or None
        Whether it is the smallest such value (True) or the largest (False); None where it is not known to be
        either: the range ends there, or the condition fails on both sides.
    neighbour : Trial or None
        The value tried next to it with which it does not hold; None without one.
    trials : tuple of Trial
        Everything that was tried, in order of size.
    holds : tuple of (Trial, Trial)
        First and last of each row of tried values with which the condition holds.
    complete : bool
        Whether every value of the range was tried.
    limit : str
        Why the range was cut short: values beyond cannot be run; empty if it was not.
    cut : str
        Which end of the range that is: low or high.
    unknown : Trial or None
        The value at which the search had to stop, because too many runs were cut off at the horizon to say whether
        the condition holds there.
    """

    found: Trial | None
    smallest: bool | None
    neighbour: Trial | None
    trials: tuple[Trial, ...]
    holds: tuple[Span, ...] = ()
    complete: bool = False
    limit: str = ""
    cut: Literal["", "low", "high"] = ""
    unknown: Trial | None = None

    @property
    def jagged(self) -> tuple[Span, ...]:
        """Neighbours between which the share of runs falls, if elsewhere it rises, each by more than chance may.

        A change counts if the share of one is outside the 95 % interval of the other.
        """
        known = [trial for trial in self.trials if trial.runs and not trial.unknown]
        pairs = tuple(itertools.pairwise(known))
        falls = tuple(pair for pair in pairs if pair[1].share < pair[0].interval[0])
        return falls if any(after.share > before.interval[1] for before, after in pairs) else ()

    def nearest(self, bound: float) -> Trial | None:
        """Return the trial that meets the condition most often, and whose mean is nearest to the bound."""
        known = [trial for trial in self.trials if not math.isnan(trial.mean)]
        return min(known, key=lambda trial: (-trial.share, abs(trial.mean - bound)), default=None)


Tried = Callable[[Trial], None]


def solve(question: Question, executor: Executor, tried: Tried | None = None) -> Answer:
    """Search by bisection.

    Raises
    ------
    UsageError
        If the range is no range, or runs do not have the measure.
    ScenarioError
        If the scenario is wrong, or no value of the range can be run.
    """
    search = _Search(question, candidates(question), executor, tried)
    return search.answer()


class _UnknownError(Exception):
    """Nobody knows whether the condition holds often enough at a value."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial.text)
        self.trial = trial


class _Search:
    def __init__(
        self, question: Question, found: Candidates, executor: Executor, tried: Tried | None
    ) -> None:
        self._question, self._executor = question, executor
        self._values, self._whole = found
        self._tried = tried
        self._trials: dict[int, Trial] = {}
        self._limit = ""
        self._cut: Literal["", "low", "high"] = ""

    def answer(self) -> Answer:
        """Cut off what cannot be run, look at both ends, then halve what lies between."""
        try:
            return self._searched()
        except _UnknownError as error:
            return replace(self._made(None, None, smallest=None), holds=(), unknown=error.trial)

    def _searched(self) -> Answer:
        first, last = self._runnable()
        low_holds, high_holds = self._holds(first), self._holds(last)
        if low_holds == high_holds:
            return self._between(first, last)
        inside, outside = self._halved(*((last, first) if high_holds else (first, last)))
        if self._whole:
            inside, outside = self._beyond(inside, outside, first, last)
        return self._made(inside, outside, smallest=high_holds)

    def _between(self, first: int, last: int) -> Answer:
        """Answer where both ends agree: by values between them, and by halving where one of those differs."""
        places = [first, *self._inner(first, last), last]
        changes = [
            pair for pair in itertools.pairwise(places) if self._holds(pair[0]) != self._holds(pair[1])
        ]
        for low, high in dict.fromkeys((*changes[:1], *changes[-1:])):
            self._halved(*((low, high) if self._holds(low) else (high, low)))
        held = [place for place in sorted(self._trials) if self._holds(place)]
        return self._made(self._tightest(held[0], held[-1]) if held else None, None, smallest=None)

    def _inner(self, first: int, last: int) -> list[int]:
        """Return the places of up to `PROBES` values that are spread evenly between two others."""
        low, high = self._number(first), self._number(last)
        logs = low > 0.0 and high / low >= LARGE_RATIO
        places = []
        for number in range(1, PROBES + 1):
            share = number / (PROBES + 1)
            wanted = low * (high / low) ** share if logs else low + (high - low) * share
            places.append(bisect_left(range(last), wanted, lo=first, key=self._number))
        return [place for place in dict.fromkeys(places) if first < place < last]

    def _number(self, place: int) -> float:
        texts = [self._values[0], self._values[place]]
        return need_numbers([scalar(text) for text in texts], self._question.path)[0][1]

    def _tightest(self, low: int, high: int) -> int:
        """Return the place at which the condition is nearer to failing: there the answer to a planner lies."""
        bound = self._question.condition.bound
        return high if abs(self._trials[high].mean - bound) < abs(self._trials[low].mean - bound) else low

    def _halved(self, inside: int, outside: int) -> tuple[int, int]:
        """Return neighbours of which the condition holds at the first and not at the second."""
        while abs(inside - outside) > 1:
            middle = (inside + outside) // 2
            if self._holds(middle):
                inside = middle
            else:
                outside = middle
        return inside, outside

    def _beyond(self, inside: int, outside: int, first: int, last: int) -> tuple[int, int]:
        """Go on until `FAILING` values in a row fail; return the last that holds, and the next to it."""
        step = 1 if outside > inside else -1
        place, failed = outside, 1
        while failed < FAILING and first <= place + step <= last:
            place += step
            try:
                holds = self._holds(place)
            except _UnknownError:
                break
            inside, failed = (place, 0) if holds else (inside, failed + 1)
        return inside, inside + step

    def _runnable(self) -> tuple[int, int]:
        """Return the first and the last value that the scenario accepts; one end of the range must be.

        Raises
        ------
        UsageError
            If neither end can be run.
        """
        first, last = 0, len(self._values) - 1
        refused = {place: self._refused(self._values[place]) for place in (first, last)}
        if not any(refused.values()):
            return first, last
        if all(refused.values()):
            raise UsageError(f"neither end of the range can be run; {refused[last].removeprefix('error: ')}")
        good, bad = (first, last) if refused[last] else (last, first)
        why = refused[bad]
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            problem = self._refused(self._values[middle])
            good, bad, why = (good, middle, problem) if problem else (middle, bad, why)
        self._limit = f"{self._values[bad]} cannot be run: {_first_line(why)}"
        self._cut = "high" if bad > good else "low"
        return (first, good) if bad > good else (good, last)

    def _refused(self, text: str) -> str:
        """Return why the scenario refuses a value; empty if it does not."""
        asked = self._question
        overrides = (*asked.overrides, f"{asked.path}={text}")
        try:
            load_scenario(asked.source, overrides=overrides, case=asked.case)
        except ColossusError as error:
            return spelt(error, overrides)
        return ""

    def _made(self, found: int | None, neighbour: int | None, *, smallest: bool | None) -> Answer:
        places = sorted(self._trials)
        rows = itertools.groupby(
            places, key=lambda place: self._trials[place].share >= self._question.confidence
        )
        spans = [[self._trials[place] for place in row] for holds, row in rows if holds]
        return Answer(
            found=None if found is None else self._trials[found],
            smallest=smallest,
            neighbour=None if neighbour is None else self._trials.get(neighbour),
            trials=tuple(self._trials[place] for place in places),
            holds=tuple((span[0], span[-1]) for span in spans),
            complete=not self._limit and len(places) == len(self._values),
            limit=self._limit,
            cut=self._cut,
        )

    def _holds(self, place: int) -> bool:
        if place not in self._trials:
            self._trials[place] = self._try(self._values[place])
            if self._tried is not None:
                self._tried(self._trials[place])
        trial, wanted = self._trials[place], self._question.confidence
        if trial.share < wanted and trial.runs and (trial.met + trial.unknown) / trial.runs >= wanted:
            raise _UnknownError(trial)
        return trial.share >= wanted

    def _try(self, text: str) -> Trial:
        asked = self._question
        point = Point(values={asked.path: text}, overrides=(f"{asked.path}={text}",))
        refused = self._refused(text)
        if refused:
            return Trial(text=text, met=0, runs=0, error=refused)
        plan = make_plan(asked.source, [point], replicas=asked.replicas, overrides=asked.overrides, case=asked.case,
                         seed=asked.seed)  # fmt: skip
        outcomes: list[Outcome] = [item for batch in self._executor.run(plan.tasks()) for item in batch]
        done = [item for item in outcomes if item.status == "done"]
        if not done:
            return Trial(text=text, met=0, runs=0, error=outcomes[0].error)
        check_measure(asked.condition, done[0].values)
        verdicts = [asked.condition.holds(item.values) for item in done]
        found = [item.values[asked.condition.measure] for item in done]
        known = [value for value in found if not math.isnan(value)]
        mean = math.fsum(known) / len(known) if known else math.nan
        return Trial(
            text=text, met=verdicts.count(True), runs=len(outcomes), unknown=verdicts.count(None), mean=mean
        )


def _first_line(text: str) -> str:
    return text.removeprefix("error: ").splitlines()[0] if text else ""
