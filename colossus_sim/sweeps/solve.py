"""Inverse questions: the smallest (or largest) value of a field with which a condition holds often enough.

Bisection on common random numbers: every candidate is run with the same seeds, so the share of runs that meet the
condition is the same function of the field at every look, and as a rule monotone in it. Where it is not (scheduling
anomalies exist: Graham 1969, doi:10.1137/0117039), the answer is one crossing of several; the neighbours that were
tried are part of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from colossus_sim.errors import ColossusError, UsageError
from colossus_sim.loading.fields import unknown_field
from colossus_sim.loading.load import Case, load_scenario
from colossus_sim.loading.nodes import lookup, plain
from colossus_sim.loading.tree import matched_path, parse_path
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.condition import Condition, check_measure
from colossus_sim.sweeps.plan import Point, make_plan
from colossus_sim.sweeps.pool import Executor
from colossus_sim.sweeps.quantities import Scale, need_numbers
from colossus_sim.sweeps.statistics import wilson_interval
from colossus_sim.sweeps.task import Outcome
from colossus_sim.training.phases import build_phase_model

TOLERANCE = 0.01
"""Relative width at which the search over a quantity ends."""
MAX_CANDIDATES = 200_000


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the search found.

    Attributes
    ----------
    found : Trial or None
        The value nearest to the other end of the range with which the condition holds; None if there is none.
    smallest : bool
        Whether it is the smallest such value (else the largest).
    neighbour : Trial or None
        The nearest value tried with which it does not hold; None if it holds in the whole range.
    trials : tuple of Trial
        Everything that was tried, in order.
    limit : str
        Why the range was cut short: values beyond cannot be run; empty if it was not.
    unknown : Trial or None
        The value at which the search had to stop, because too many runs were cut off at the horizon to say whether
        the condition holds there.
    """

    found: Trial | None
    smallest: bool
    neighbour: Trial | None
    trials: tuple[Trial, ...]
    limit: str = ""
    unknown: Trial | None = None

    def nearest(self, bound: float) -> Trial | None:
        """Return the trial that meets the condition most often, and whose mean is nearest to the bound."""
        known = [trial for trial in self.trials if not math.isnan(trial.mean)]
        return min(known, key=lambda trial: (-trial.share, abs(trial.mean - bound)), default=None)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to find.

    Attributes
    ----------
    path : str
        The field.
    condition : Condition
        What must hold.
    confidence : float
        In which share of the replicas, at least.
    low, high : str
        Ends of the range as written.
    """

    source: str
    path: str
    condition: Condition
    confidence: float
    low: str
    high: str
    replicas: int
    overrides: tuple[str, ...] = ()
    case: Case = "central"
    seed: int | None = None


Tried = Callable[[Trial], None]


def default_range(scenario: Scenario, path: str) -> tuple[str, str]:
    """Return a quarter of and four times the value that a field has; GPUs of a job end at what is installed.

    Raises
    ------
    UsageError
        If the scenario gives the field no number.
    """
    value = field_value(scenario, path)
    (number,), scale = need_numbers([value], path)
    if scale.date:
        raise UsageError(f"{path} is a date: give its range with --between 2026-01-01,2026-12-31")
    low, high = number / 4.0, number * 4.0
    job = _job_of_gpus(scenario, path)
    if job is not None:
        high = min(high, float(_installed(scenario, job)))
    return scale.text(low), scale.text(high)


def field_value(scenario: Scenario, path: str) -> object:
    """Return the value of a field as written.

    Raises
    ------
    UsageError
        If the scenario does not give it.
    """
    root = scenario.loaded.root
    segments = parse_path(path)
    if segments is None:
        raise UsageError(f"--find: {path!r} is not a field path, e.g. jobs.my_job.gpus")
    segments = matched_path(root, segments)
    node = lookup(root, segments)
    if node is None:
        unknown = unknown_field(Scenario, segments, root)
        if unknown is not None:
            raise UsageError(f"--find: {path!r}: unknown key {unknown[0]!r}; {unknown[1]}")
        raise UsageError(
            f"--find: the scenario does not give {path!r}; say between what to look: --between LOW,HIGH"
        )
    return plain(node)


def _job_of_gpus(scenario: Scenario, path: str) -> str | None:
    for name in scenario.jobs:
        if path == f"jobs.{name}.gpus":
            return name
    return None


def _installed(scenario: Scenario, job: str) -> int:
    spec = scenario.jobs[job]
    parts = scenario.cluster.sites[spec.site].partitions
    names = [spec.partition] if spec.partition is not None else list(parts)
    return max(step.gpus for name in names for step in parts[name].capacity)


def usable_counts(scenario: Scenario, job: str, low: int, high: int) -> list[int]:
    """Return the GPU counts between two ends that the plan of a job can use, in order."""
    from colossus_sim.topology.builders import build_fabric

    spec = scenario.jobs[job]
    site = scenario.cluster.sites[spec.site]
    partition = spec.partition or next(iter(site.partitions))
    part = site.partitions[partition]
    phase = next(
        (name for name, item in spec.phases.items() if item.kind == "train"), next(iter(spec.phases))
    )
    model = build_phase_model(
        scenario=scenario,
        job_name=job,
        phase_name=phase,
        site=spec.site,
        partition_name=partition,
        fabric=build_fabric(site.topology, part.gpu, part.most_gpus),
    )
    found: list[int] = []
    count = high
    while count >= max(1, low) and len(found) < MAX_CANDIDATES:
        count = model.usable_gpus(count)
        if count < max(1, low):
            break
        found.append(count)
        count -= 1
    return found[::-1]


def candidates(question: Question) -> list[str]:
    """Return the values to choose from, in order of size.

    Raises
    ------
    UsageError
        If the range is empty or is none.
    """
    scenario = load_scenario(question.source, overrides=question.overrides, case=question.case)
    given = [_scalar(question.low), _scalar(question.high)]
    (low, high), scale = need_numbers(given, "--between")
    if low >= high:
        raise UsageError(
            f"--between: the first value must be smaller, got {question.low} and {question.high}"
        )
    job = _job_of_gpus(scenario, question.path)
    if job is not None:
        counts = usable_counts(scenario, job, math.ceil(low), math.floor(high))
        if not counts:
            raise UsageError(
                f"no number of GPUs between {question.low} and {question.high} can be used by the plan of {job}"
            )
        return [str(count) for count in counts]
    return _steps(low, high, scale)


def _steps(low: float, high: float, scale: Scale) -> list[str]:
    if scale.step:
        count = int(high - low) + 1
        if count <= MAX_CANDIDATES:
            return [str(round(low) + number) for number in range(count)]
    if scale.date:
        days = max(1, round((high - low) / 86400.0))
        return [scale.text(low + 86400.0 * number) for number in range(days + 1)]
    if low > 0.0:
        count = max(1, math.ceil(math.log(high / low) / math.log1p(TOLERANCE)))
        ratio = (high / low) ** (1.0 / count)
        return [scale.text(low * ratio**number) for number in range(count + 1)]
    count = math.ceil(1.0 / TOLERANCE)
    return [scale.text(low + (high - low) * number / count) for number in range(count + 1)]


def _scalar(text: str) -> object:
    from colossus_sim.loading.yaml_source import scalar

    return scalar(text.strip())


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
        self, question: Question, values: Sequence[str], executor: Executor, tried: Tried | None
    ) -> None:
        self._question, self._values, self._executor = question, values, executor
        self._tried = tried
        self._trials: dict[int, Trial] = {}
        self._limit = ""

    def answer(self) -> Answer:
        """Cut off what cannot be run, look at both ends, then halve what lies between."""
        try:
            return self._searched()
        except _UnknownError as error:
            return replace(self._made(None, None, smallest=True), unknown=error.trial)

    def _searched(self) -> Answer:
        first, last = self._runnable()
        low_holds, high_holds = self._holds(first), self._holds(last)
        if not low_holds and not high_holds:
            return self._made(None, None, smallest=True)
        if low_holds and high_holds:
            return self._made(first, None, smallest=True)
        inside, outside = (last, first) if high_holds else (first, last)
        while abs(inside - outside) > 1:
            middle = (inside + outside) // 2
            if self._holds(middle):
                inside = middle
            else:
                outside = middle
        return self._made(inside, outside, smallest=high_holds)

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
            raise UsageError(f"neither end of the range can be run; {refused[last]}")
        good, bad = (first, last) if refused[last] else (last, first)
        why = refused[bad]
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            problem = self._refused(self._values[middle])
            good, bad, why = (good, middle, problem) if problem else (middle, bad, why)
        self._limit = f"{self._values[bad]} cannot be run: {_first_line(why)}"
        return (first, good) if bad > good else (good, last)

    def _refused(self, text: str) -> str:
        """Return why the scenario refuses a value; empty if it does not."""
        asked = self._question
        try:
            load_scenario(asked.source, overrides=(*asked.overrides, f"{asked.path}={text}"), case=asked.case)
        except ColossusError as error:
            return str(error)
        return ""

    def _made(self, found: int | None, neighbour: int | None, *, smallest: bool) -> Answer:
        return Answer(
            found=None if found is None else self._trials[found],
            smallest=smallest,
            neighbour=None if neighbour is None else self._trials[neighbour],
            trials=tuple(self._trials.values()),
            limit=self._limit,
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
