"""What an inverse question asks for, and among which values of its field the answer is looked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from colossus_sim.errors import UsageError
from colossus_sim.loading.fields import unknown_field
from colossus_sim.loading.load import Case, load_scenario
from colossus_sim.loading.nodes import lookup, plain
from colossus_sim.loading.tree import matched_path, parse_path
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.condition import Condition
from colossus_sim.sweeps.kinds import field_kind
from colossus_sim.sweeps.quantities import Scale, need_numbers
from colossus_sim.training.phases import build_phase_model
from colossus_sim.units import DAY, HOUR, MINUTE

TOLERANCE = 0.01
"""Relative width at which the search over a quantity ends."""
MAX_CANDIDATES = 200_000
_DATE_STEPS = (DAY, HOUR, MINUTE)
"""Dates are looked at by the longest of these that fits twice into the range. [s]"""


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


def default_range(scenario: Scenario, path: str) -> tuple[str, str]:
    """Return a quarter of and four times the value that a field has; GPUs of a job end at what is installed.

    Raises
    ------
    UsageError
        If the scenario gives the field no number.
    """
    value = field_value(scenario, path)
    (number,), scale = need_numbers([value], path, field_kind(path, scenario.loaded.root))
    if scale.date:
        raise UsageError(f"{path} is a date: give its range with --between 2026-01-01,2026-12-31")
    if not number:
        raise UsageError(f"{path} is 0, which says nothing of a range: give it with --between LOW,HIGH")
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
        if parse_path(path) == parse_path(f"jobs.{name}.gpus"):
            return name
    return None


def counts_between(scenario: Scenario, path: str, low: float, high: float) -> list[int] | None:
    """Return the GPU counts of `usable_counts` if a field is the GPUs of a job, else None.

    Raises
    ------
    UsageError
        If there is none.
    """
    job = _job_of_gpus(scenario, path)
    if job is None:
        return None
    counts = usable_counts(scenario, job, math.ceil(low), math.floor(high))
    if not counts:
        raise UsageError(f"no number of GPUs between {low:g} and {high:g} can be used by the plan of {job}")
    return counts


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


class Candidates(NamedTuple):
    """The values to choose from, in order of size."""

    texts: list[str]
    whole: bool
    """Whether they are whole numbers."""


def candidates(question: Question) -> Candidates:
    """Return the values to choose from.

    Raises
    ------
    UsageError
        If the range is empty or is none.
    """
    scenario = load_scenario(question.source, overrides=question.overrides, case=question.case)
    given = [_scalar(question.low), _scalar(question.high)]
    kind = field_kind(question.path, scenario.loaded.root)
    (low, high), scale = need_numbers(given, "--between", kind)
    if low >= high:
        raise UsageError(
            f"--between: the first value must be smaller, got {question.low} and {question.high}"
        )
    counts = counts_between(scenario, question.path, low, high)
    if counts is not None:
        return Candidates([str(count) for count in counts], whole=True)
    return Candidates(_steps(low, high, scale), whole=scale.step > 0)


def _steps(low: float, high: float, scale: Scale) -> list[str]:
    if scale.step:
        first, last = math.ceil(low), math.floor(high)
        if last - first < MAX_CANDIDATES:
            return [str(number) for number in range(first, last + 1)]
    if scale.date:
        step = next((step for step in _DATE_STEPS if high - low >= 2.0 * step), _DATE_STEPS[-1])
        places = [low + step * number for number in range(math.ceil((high - low) / step))]
        return [scale.text(place) for place in (*places, high)]
    if low > 0.0:
        count = max(1, math.ceil(math.log(high / low) / math.log1p(TOLERANCE)))
        ratio = (high / low) ** (1.0 / count)
        found = [scale.text(low * ratio**number) for number in range(count + 1)]
    else:
        count = math.ceil(1.0 / TOLERANCE)
        found = [scale.text(low + (high - low) * number / count) for number in range(count + 1)]
    return list(dict.fromkeys(found))


def _scalar(text: str) -> object:
    from colossus_sim.loading.yaml_source import scalar

    return scalar(text.strip())
