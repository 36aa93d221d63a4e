"""Forecasts: dates, probabilities, what drives the spread."""

from __future__ import annotations

import json
import math

import pytest

from colossus_sim.errors import UsageError
from colossus_sim.sweeps.condition import check_measure, parse_condition
from colossus_sim.sweeps.forecast import (
    Forecast,
    job_forecasts,
    likely_runs,
    make_forecast,
    phase_bands,
    widest_interval,
)
from colossus_sim.sweeps.forecast_files import NO_DRIVER, forecast_document, forecast_files, job_lines
from colossus_sim.sweeps.pool import InlineExecutor
from colossus_sim.sweeps.task import Outcome


def made(days: list[float], *, finished: bool = True, target: float = 4.0) -> dict[int, Outcome]:
    """Return replicas of the job `large` that end on these days."""
    return {
        index: Outcome(
            index=index,
            status="done",
            values={
                "jobs.large.finish_days": day,
                "jobs.large.slip_days": day - target,
                "jobs.large.finished": float(finished),
            },
            phases={"large/pretrain": (0.0, day if finished else math.nan)},
        )
        for index, day in enumerate(days)
    }


@pytest.fixture(scope="module")
def fixed(fast_scenario: str) -> Forecast:
    """Return a forecast of 11 replicas in which only the seed differs."""
    return make_forecast(fast_scenario, 11)


def test_quantiles_and_probability(fixed: Forecast) -> None:
    """Days 0 to 10: median 5; 5 of 11 end by day 4, with the Wilson interval of 5 in 11."""
    (job,) = job_forecasts(fixed, made([float(day) for day in range(11)]))
    assert job.finish[1] == pytest.approx(5.0)
    assert job.met == 5
    assert job.probability == pytest.approx((5 / 11, 0.2127, 0.7199), abs=1e-4)


def test_end_beyond_the_horizon_is_a_miss(fixed: Forecast) -> None:
    """A projected end before the target does not count as met: it was not simulated."""
    (job,) = job_forecasts(fixed, made([1.0] * 11, finished=False))
    assert (job.finished, job.met) == (0, 0)


def test_quantiles_from_runs_that_did_not_finish_are_marked(fixed: Forecast) -> None:
    """With 6 of 11 done by day 5, P10 is simulated and the rest is at least what is shown; with all, nothing is."""
    days = [float(day) for day in range(11)]
    partly = {k: item if k < 6 else made(days, finished=False)[k] for k, item in made(days).items()}
    (job,) = job_forecasts(fixed, partly)
    assert (job.finished, job.projected) == (6, (False, False, True, True))
    document = forecast_document(fixed, partly)
    header, rows = job_lines(document)
    assert (header[-1], rows[0][-1]) == ("finished", "6 of 11")
    assert [cell.startswith(">= 2026") for cell in rows[0][2:6]] == [False, False, True, True]
    assert rows[0][6] == "+1.0 d [-3.5 d, >= +5.5 d]"
    assert "6 of 11" in forecast_files(fixed, partly)["report.md"]

    (job,) = job_forecasts(fixed, made(days))
    assert not any(job.projected)
    assert job_lines(forecast_document(fixed, made(days)))[0][-1] == "meets target"
    (job,) = job_forecasts(fixed, made(days, finished=False))
    assert all(job.projected)


def test_bands_are_infinite_where_phases_do_not_end(fixed: Forecast) -> None:
    """Quantiles of phases count replicas without an end as later than any other."""
    outcomes = made([1.0] * 6) | {k + 6: o for k, o in made([1.0] * 5, finished=False).items()}
    start, end = phase_bands(outcomes)["large/pretrain"]
    assert start == (0.0,) * 4
    assert end == (1.0, 1.0, math.inf, math.inf)


def test_drivers_find_what_moves_the_end(fast_scenario: str) -> None:
    """With sampled token counts the end follows them: rank correlation and share near 1."""
    forecast = make_forecast(fast_scenario, 60, sample_assumptions=True)
    column = [group.name for group in forecast.groups].index("jobs.large.phases.pretrain.tokens")
    outcomes = made([float(u) for u in forecast.draws[:, column]])
    (job,) = job_forecasts(forecast, outcomes)
    assert job.drivers[0].name == "jobs.large.phases.pretrain.tokens"
    assert job.drivers[0].rank_correlation == pytest.approx(1.0)
    assert job.drivers[0].first_order_index > 0.9
    assert [driver.name for driver in job.drivers if driver.beyond_chance] == [job.drivers[0].name]
    report = forecast_files(forecast, outcomes)["report.md"]
    assert "tokens (rank" in report
    assert all(f"{driver.name} (rank" not in report for driver in job.drivers[1:])


def test_no_driver_is_named_where_all_may_be_chance(fast_scenario: str) -> None:
    """Ends that have nothing to do with what is drawn have no driver, nor have ends of a few runs."""
    forecast = make_forecast(fast_scenario, 60, sample_assumptions=True)
    for days in ([float(k % 2) for k in range(60)], [float(u) for u in forecast.draws[:10, 0]]):
        outcomes = made(days)
        (job,) = job_forecasts(forecast, outcomes)
        assert not any(driver.beyond_chance for driver in job.drivers)
        assert f"**large**: {NO_DRIVER}" in forecast_files(forecast, outcomes)["report.md"]


def test_widest_interval_is_that_of_the_mean_end(fixed: Forecast) -> None:
    """Equal ends are known exactly; too few replicas are not known at all."""
    assert widest_interval(fixed, made([2.0] * 5)) == 0.0
    assert widest_interval(fixed, made([2.0])) == math.inf


def test_documents_of_played_replicas(fast_scenario: str) -> None:
    """The JSON holds no NaN, the report names every job, tables have a row per replica and phase."""
    forecast = make_forecast(fast_scenario, 4)
    outcomes = {item.index: item for batch in InlineExecutor().run(forecast.plan.tasks()) for item in batch}
    document = forecast_document(forecast, outcomes)
    files = forecast_files(forecast, outcomes)
    assert json.loads(files["forecast.json"]) == document
    assert document["replicas"] == 4
    assert document["jobs"][0]["finish_date"]["p50"].startswith("2026-01-")
    assert "| large |" in files["report.md"]
    assert files["results.csv"].count("\n") == 5
    assert files["phases.csv"].count("\n") == 2


def test_conditions() -> None:
    """Numbers and dates; an end beyond the horizon never meets an upper bound."""
    slip = parse_condition("jobs.a.slip_days<=0", start=0.0)
    assert slip.holds({"jobs.a.slip_days": -1.0, "jobs.a.finished": 1.0})
    assert not slip.holds({"jobs.a.slip_days": -1.0, "jobs.a.finished": 0.0})
    assert not slip.holds({})
    date = parse_condition("jobs.a.finish < 1970-01-03", start=0.0)
    assert (date.measure, date.bound) == ("jobs.a.finish_days", 2.0)


@pytest.mark.parametrize(
    "text", ["jobs.a", "jobs.a<=x", "jobs.a.finish<=soon", "1<=jobs.a", "a<=inf", "a==1"]
)
def test_wrong_conditions_are_refused(text: str) -> None:
    """Anything but MEASURE <= NUMBER is an error in words."""
    with pytest.raises(UsageError, match="--so-that"):
        parse_condition(text, start=0.0)


def test_unknown_measure_names_the_nearest() -> None:
    """A misspelt measure is refused with the right name."""
    with pytest.raises(UsageError, match=r"jobs\.a\.slip_days"):
        check_measure(parse_condition("jobs.a.slip_day<=0", start=0.0), {"jobs.a.slip_days": 0.0})


def test_likely_runs_follow_the_square_of_the_interval() -> None:
    """Twice the precision takes four times the runs; before anything is known it is those of the next look."""
    asked = make_forecast("tiny", 1000)
    values = [10.0, 12.0] * 10

    def outcomes() -> dict[int, Outcome]:
        names = [f"jobs.{job}.finish_days" for job in asked.plan.scenario.jobs]
        return {
            k: Outcome(index=k, status="done", values=dict.fromkeys(names, value))
            for k, value in enumerate(values)
        }

    width = widest_interval(asked, outcomes())
    assert likely_runs(asked, outcomes(), width / 2.0, least=30) == 80
    assert likely_runs(asked, outcomes(), 10.0 * width, least=30) == 30
    assert likely_runs(asked, outcomes(), width / 100.0, least=30) == 1000
    assert likely_runs(asked, {}, width, least=20) == 20
