"""Runs until a measure is known well enough: which measures and precision are asked for, which points need more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from colossus_sim.errors import UsageError
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.sweeps.folder import Report, SweepFolder
from colossus_sim.sweeps.measure import describe_measure, known_measures
from colossus_sim.sweeps.plan import Plan, Point
from colossus_sim.sweeps.pool import Executor
from colossus_sim.sweeps.statistics import mean_interval
from colossus_sim.sweeps.table import replicas_of
from colossus_sim.sweeps.task import Outcome, Task
from colossus_sim.units import DAY, DURATION, RATIO, Quantity

FIRST_BATCH = 20
"""Runs before the first look at the precision; the next looks are when they have grown by half."""
MOST_REPLICAS = 100
"""Runs of a point at most, where a precision is asked for and no number of runs."""

_KINDS: dict[str, tuple[Quantity, float]] = {"days": (DURATION, DAY), "ratio": (RATIO, 1.0)}
"""How a width is written for a measure of this unit, and what one of the unit is in SI; the others: a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Half of the 95 % interval that the mean of a measure must not exceed, in the unit of the measure."""

    measure: str
    half_width: float


def batches(total: int, *, growing: bool) -> Iterator[int]:
    """Yield how many runs are to be there before each look at the precision; `total` if it is not looked at."""
    count = min(FIRST_BATCH, total) if growing else total
    while True:
        yield count
        if count >= total:
            return
        count = min(total, count + max(1, count // 2))


def check_names(plan: Plan, names: Sequence[str]) -> None:
    """Refuse measures that no run of a plan can have, before any run.

    Raises
    ------
    UsageError
        With the nearest name.
    """
    added = {
        path.split(".")[1] for point in plan.points for path in _paths(point) if path.startswith("jobs.")
    }
    known = known_measures(dict.fromkeys((*plan.scenario.jobs, *sorted(added))))
    for name in names:
        if name not in known:
            raise UsageError(f"runs have no measure {name!r}; {nearest_hint(name, known)}")


def _paths(point: Point) -> list[str]:
    return [text.partition("=")[0] for text in point.overrides]


def parse_precisions(texts: Iterable[str], jobs: Iterable[str]) -> tuple[Precision, ...]:
    """Return what ``--until-ci`` asks for: ``MEASURE=WIDTH``, or ``TIME`` for the end of every job.

    Raises
    ------
    UsageError
        If a width is not one of the measure's unit, or no run has the measure.
    """
    names, found = tuple(jobs), []
    for text in texts:
        measure, equals, width = text.rpartition("=")
        wanted = [measure.strip()] if equals else [f"jobs.{name}.finish_days" for name in names]
        found += [Precision(measure=name, half_width=_width(name, width.strip(), names)) for name in wanted]
    return tuple(found)


def _width(measure: str, text: str, jobs: Sequence[str]) -> float:
    known = known_measures(jobs)
    if measure not in known:
        raise UsageError(f"--until-ci: runs have no measure {measure!r}; {nearest_hint(measure, known)}")
    unit = describe_measure(measure)[0]
    try:
        if unit in _KINDS:
            kind, scale = _KINDS[unit]
            width = float(kind.parse(text)) / scale
        else:
            width = float(text.removesuffix(unit))
    except ValueError as error:
        hint = str(error) if unit in _KINDS else f"expected a number of {unit}, got {text!r}"
        raise UsageError(f"--until-ci: {measure}: {hint}") from None
    if not (width > 0.0 and math.isfinite(width)):
        raise UsageError("--until-ci: the precision must be more than 0")
    return width


def excess(
    plan: Plan, outcomes: Mapping[int, Outcome], point: int, asked: Sequence[Precision]
) -> tuple[Precision, float] | None:
    """Return the measure of a point that is farthest from its precision, and its half width; None if all hold.

    A measure that no run of the point has (all failed, or the job is not there) is not waited for, nor one whose
    mean is infinite, because a job never ends in some runs.
    """
    worst: tuple[float, Precision, float] | None = None
    for item in asked:
        mean = mean_interval(replicas_of(plan, outcomes, point, item.measure))
        if not mean.count or math.isinf(mean.mean):
            continue
        width = math.inf if math.isnan(mean.half_width) else mean.half_width
        if width > item.half_width and (worst is None or width / item.half_width > worst[0]):
            worst = (width / item.half_width, item, width)
    return None if worst is None else worst[1:]


def run_until(
    folder: SweepFolder,
    executor: Executor,
    tasks: Sequence[Task],
    asked: Sequence[Precision],
    report: Report | None = None,
) -> dict[int, Outcome]:
    """Play growing numbers of runs of each point until all `asked` hold there; return the outcomes that count.

    Points are looked at when a round is over, and only at its runs. So neither the order in which runs end nor
    what else the journal holds decides, and a sweep that is continued gives the same tables. Of a shard, only its
    points are played, so it must hold whole points.
    """
    plan = folder.plan
    waiting = [point for point in range(len(plan.points)) if folder.shard.holds(tasks[point * plan.replicas])]
    outcomes: dict[int, Outcome] = {}
    for count in batches(plan.replicas, growing=True):
        round_tasks = [
            tasks[point * plan.replicas + replica] for point in waiting for replica in range(count)
        ]
        folder.state.total = len(folder.state.outcomes.keys() | {task.index for task in round_tasks})
        outcomes |= folder.run(executor, round_tasks, report)
        waiting = [point for point in waiting if excess(plan, outcomes, point, asked) is not None]
        if not waiting:
            break
    return outcomes


def runs_per_point(plan: Plan, outcomes: Mapping[int, Outcome]) -> list[int]:
    """Return how many runs of each point are there."""
    counts = [0] * len(plan.points)
    for index in outcomes:
        counts[index // plan.replicas] += 1
    return counts


def runs_text(counts: Sequence[int]) -> str:
    """Return a number of runs per point in words, e.g. ``20 to 45 runs per point``."""
    least, most = min(counts, default=0), max(counts, default=0)
    number = f"{most}" if least == most else f"{least} to {most}"
    return f"{number} run{'' if most == 1 else 's'} per point"
