"""Projected ends of the hand-made run: the 4 and 1 days that ``beta`` has left on day 10, while it has GPUs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from colossus_sim.records import RunResult
from colossus_sim.results.job_words import finish_text, job_sentence
from colossus_sim.results.projection import Projection, projection
from colossus_sim.results.result import result_of
from colossus_sim.results.slip import job_slips
from colossus_sim.results.summary import dump_json
from colossus_sim.specs.scenario import Scenario
from colossus_sim.units import DAY, format_instant, parse_instant
from tests.results.conftest import make_run, scenario_document

Steps = list[tuple[int, int]]
GROWN: Steps = [(0, 800), (5, 1000)]
"""Capacity of the hand-made run."""


def capacity(steps: Steps) -> list[dict[str, Any]]:
    """Return capacity steps from (day, GPUs)."""
    start = parse_instant("2026-01-01")
    return [{"at": format_instant(start + day * DAY), "gpus": gpus} for day, gpus in steps]


def run_on(
    steps: Steps, *, other: Steps | None = None, job: dict[str, Any] | None = None, spares: int = 0
) -> RunResult:
    """Return the run with other capacity; without a phase in its target, ``beta`` is projected as a whole."""
    document = scenario_document()
    partitions = document["cluster"]["sites"]["here"]["partitions"]
    partitions["main"] |= {"capacity": capacity(steps), "spare_domains": spares}
    if other is not None:
        partitions["other"] = partitions["main"] | {"capacity": capacity(other)}
    document["jobs"]["beta"] |= {"target": {"date": "2026-01-10"}, **(job or {})}
    return make_run(scenario=Scenario.model_validate(document))


@pytest.mark.parametrize(
    ("steps", "job", "end", "gone"),
    [
        ([(12, 0)], {}, math.inf, 12.0),
        ([(8, 319)], {}, math.inf, 8.0),
        ([(12, 0), (20, 320)], {}, 23.0, math.nan),
        ([(9, 0), (20, 320)], {}, 25.0, math.nan),
        ([(12, 319), (20, 320), (21, 0)], {}, math.inf, 21.0),
        ([(12, 200)], {"min_gpus": 200}, 15.0, math.nan),
        ([(12, 199)], {"min_gpus": 200}, math.inf, 12.0),
        ([(15, 0)], {}, 15.0, math.nan),
        ([(14, 0), (16, 320)], {}, 17.0, math.nan),
        ([(8, 336)], {"spare_domains": 3}, math.inf, 8.0),
    ],
)
def test_work_goes_on_only_while_there_are_gpus(
    steps: Steps, job: dict[str, Any], end: float, gone: float
) -> None:
    """The work left waits for a step that brings GPUs enough, and never ends without one."""
    slip = job_slips(run_on([(0, 800), *steps], job=job))["beta"]
    assert slip.projected_end / DAY == pytest.approx(end)
    assert slip.projected_slip / DAY == pytest.approx(end - 9.0)
    assert slip.gpus_gone / DAY == pytest.approx(gone, nan_ok=True)


def test_spares_are_not_for_ranks_but_other_partitions_are() -> None:
    """Three of 42 domains kept as spares leave too few; GPUs of another partition of the site are enough."""
    steps = [(0, 800), (8, 336)]
    assert job_slips(run_on(steps))["beta"].projected_end / DAY == pytest.approx(15.0)
    assert math.isinf(job_slips(run_on(steps, spares=3))["beta"].projected_end)
    gone = [(0, 800), (8, 0)]
    assert job_slips(run_on(gone, other=[(0, 320)]))["beta"].projected_end / DAY == pytest.approx(15.0)
    alone = job_slips(run_on(gone, other=[(0, 320)], job={"partition": "main"}))["beta"]
    assert math.isinf(alone.projected_end)


def test_job_without_gpus_never_ends_whatever_the_horizon() -> None:
    """A longer clock gives no other end to a job whose GPUs are gone for good."""
    for days in (10.0, 70.0):
        run = replace(run_on([(0, 800), (9, 0)]), end_time=days * DAY)
        rows = {row.phase: row for row in run.phases if row.job == "beta"}
        assert projection(run, "beta", rows) == Projection(math.inf, 9.0 * DAY)


def test_summary_and_report_say_that_it_never_ends() -> None:
    """A job that never ends has no projected date, in words and in plain JSON, but the day that its GPUs left."""
    result = result_of(run_on([*GROWN, (12, 0)]))
    job = result.summary()["jobs"][1]
    assert (job["projected_finish_date"], job["projected_slip_days"]) == (None, None)
    assert job["gpus_gone_date"] == result.tables["jobs"]["gpus_gone_date"][1] == "2026-01-13T00:00:00Z"
    assert finish_text(job) == "never: too few GPUs there after 2026-01-13"
    assert "never ends on this capacity: here has not enough GPUs for it after 2026-01-13" in job_sentence(
        job
    )
    assert "Infinity" not in dump_json(result.summary())
    other = result_of(run_on(GROWN)).summary()["jobs"][1]
    assert (other["gpus_gone_date"], finish_text(other)) == (None, "not finished")
