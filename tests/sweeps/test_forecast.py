"""Forecasts: dates, probabilities, what drives the spread."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path

import pandas as pd
import pytest

from colossus_sim.cli.main import run_command_line
from colossus_sim.errors import UsageError
from colossus_sim.results.forecast_words import cautions
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
from colossus_sim.sweeps.view import forecast_view


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


def test_a_target_beyond_the_horizon_of_open_runs_is_not_a_miss(fast_scenario: str) -> None:
    """With 5 of 11 done by day 4 and the clock stopped at day 6 before a target of day 15, the chance is not known:
    it lies between that of 5 and that of 11 in 11.
    """
    forecast = make_forecast(fast_scenario, 11, overrides=["jobs.large.target.date=2026-01-20"])
    ended = made([float(day) for day in range(11)], target=15.0)
    open_runs = made([7.0] * 11, finished=False, target=15.0)
    outcomes = {k: ended[k] if k < 5 else open_runs[k] for k in ended}
    (job,) = job_forecasts(forecast, outcomes)
    assert (job.met, job.unknown) == (5, 6)
    assert math.isnan(job.probability[0])
    assert job.probability[1:] == pytest.approx((0.2127, 1.0), abs=1e-4)
    document = forecast_document(forecast, outcomes)
    assert document["jobs"][0]["probability_to_meet_target"] is None
    assert job_lines(document)[1][0][7] == "\u2013 (21% to 100%)"
    assert any("its target, 2026-01-20, lies after that" in text for text in cautions(document))
    band = forecast_view(forecast, outcomes).jobs[0]
    assert math.isnan(band.probability)
    assert band.target > forecast_view(forecast, outcomes).horizon


def test_played_runs_know_whether_the_target_lies_after_their_end(fast_scenario: str) -> None:
    """Runs that stop on day 1 know nothing of a target of day 15, and that one of day 0.5 is missed."""
    for date, became in (("2026-01-20", (0, 3)), ("2026-01-05T12:00", (0, 0))):
        forecast = make_forecast(
            fast_scenario, 3, overrides=["horizon=1 day", f"jobs.large.target.date={date}"]
        )
        outcomes = {
            item.index: item for batch in InlineExecutor().run(forecast.plan.tasks()) for item in batch
        }
        (job,) = job_forecasts(forecast, outcomes)
        assert (job.met, job.unknown) == became
        assert outcomes[0].values["cluster.simulated_days"] == pytest.approx(1.0)


def test_a_run_with_drawn_assumptions_can_be_repeated(fast_scenario: str, tmp_path: Path) -> None:
    """The command of a replica in draws.csv gives its slip, which its seed alone does not."""
    folder = tmp_path / "forecast"
    words = [
        "forecast",
        fast_scenario,
        "--replicas",
        "3",
        "--assumptions",
        "sample",
        "--no-plots",
        "-q",
        "--jobs",
        "1",
    ]
    assert run_command_line([*words, "--out", str(folder)]) == 0
    draws, runs = pd.read_csv(folder / "draws.csv"), pd.read_csv(folder / "results.csv")
    described = json.loads((folder / "columns.json").read_text("utf-8"))["tables"]["draws"]
    assert [column["name"] for column in described] == list(draws.columns)
    assert len(set(draws["jobs.large.phases.pretrain.tokens"])) == 3
    slips = []
    for command in (draws["command"][1], f"colossus-sim run {fast_scenario} --seed {draws['seed'][1]}"):
        out = tmp_path / f"run{len(slips)}"
        assert run_command_line([*shlex.split(command)[1:], "--plots", "none", "-q", "--out", str(out)]) == 0
        summary = json.loads((out / "summary.json").read_text("utf-8"))
        slips.append(summary["jobs"][0]["slip_days"])
    assert slips[0] == pytest.approx(runs["jobs.large.slip_days"][1], abs=1e-9)
    assert slips[1] != pytest.approx(slips[0], abs=1e-3)


def test_few_runs_come_with_a_caution(fast_scenario: str) -> None:
    """P10 and P90 of less than ten runs are their extremes, and the report says so."""
    for count, said in ((1, True), (9, True), (10, False)):
        forecast = make_forecast(fast_scenario, count)
        text = forecast_files(forecast, made([float(day) for day in range(count)]))["report.md"]
        assert ("more than the earliest and the latest" in text) == said


def test_quantiles_from_runs_that_did_not_finish_are_marked(fixed: Forecast) -> None:
    """With 6 of 11 done by day 5, P10 and P50 are simulated, the rest is at least what is shown; with all, nothing
    is.
    """
    days = [float(day) for day in range(11)]
    partly = {k: item if k < 6 else made(days, finished=False)[k] for k, item in made(days).items()}
    (job,) = job_forecasts(fixed, partly)
    assert (job.finished, job.projected) == (6, (False, False, True, True))
    document = forecast_document(fixed, partly)
    header, rows = job_lines(document)
    assert (header[-1], rows[0][-1]) == ("finished", "6 of 11")
    assert [cell.startswith(">= 2026") for cell in rows[0][2:6]] == [False, False, True, True]
    assert rows[0][6] == "+1.0 d [-3.0 d, >= +5.0 d]"
    assert "6 of 11" in forecast_files(fixed, partly)["report.md"]

    (job,) = job_forecasts(fixed, made(days))
    assert not any(job.projected)
    assert job_lines(forecast_document(fixed, made(days)))[0][-1] == "meets target"
    (job,) = job_forecasts(fixed, made(days, finished=False))
    assert all(job.projected)


def test_p90_is_simulated_where_nine_in_ten_are_done(fast_scenario: str) -> None:
    """18 of 20 done by day 17, two open ones projected to day 250: P90 is day 17, as for phases, and no bound; with
    17 done, P90 is the projection, and day 6, the horizon, for runs without one.
    """
    forecast = make_forecast(fast_scenario, 20)
    for done, late, p90, is_bound in (
        (18, 250.0, 17.0, False),
        (17, 250.0, 250.0, True),
        (17, math.nan, 6.0, True),
    ):
        ends = [day / 10.0 if math.isnan(late) else day for day in map(float, range(20))]
        open_runs = made([late] * 20, finished=False)
        outcomes = {k: item if k < done else open_runs[k] for k, item in made(ends).items()}
        (job,) = job_forecasts(forecast, outcomes)
        assert (job.finish[3], job.projected[3]) == (p90, is_bound)
        assert not any(job.projected[:3])
        if not is_bound:
            assert job.slip[3] == 13.0
            assert phase_bands(outcomes)["large/pretrain"][1] == job.finish


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
    assert slip.holds({"jobs.a.slip_days": -1.0, "jobs.a.finished": 0.0}) is False
    date = parse_condition("jobs.a.finish < 1970-01-03", start=0.0)
    assert (date.measure, date.bound) == ("jobs.a.finish_days", 2.0)


def cut(measure: str, value: float, simulated: float = 6.0) -> dict[str, float]:
    """Return a run that was cut off on day 6, with a target of day 9 for the job `a`."""
    return {"jobs.a.finished": 0.0, "jobs.a.complete": 0.0, "cluster.complete": 0.0, "jobs.a.finish_days": 8.0,
            "jobs.a.slip_days": -1.0, "cluster.simulated_days": simulated, measure: value}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        # The end is known to come after day 6, so slip is more than -3; the projected -1 is no answer.
        ("jobs.a.slip_days<=0", cut("jobs.a.slip_days", -1.0), None),
        ("jobs.a.slip_days<=-4", cut("jobs.a.slip_days", -1.0), False),
        ("jobs.a.slip_days<=0", cut("jobs.a.slip_days", -1.0, simulated=9.5), False),
        ("jobs.a.slip_days>-4", cut("jobs.a.slip_days", -1.0), True),
        ("jobs.a.finish_days<=7", cut("jobs.a.finish_days", 8.0), None),
        ("jobs.a.finish_days<=5", cut("jobs.a.finish_days", 8.0), False),
        ("jobs.a.finish_days>=5", cut("jobs.a.finish_days", 8.0), True),
        ("jobs.a.wall_clock_days<=5", cut("jobs.a.wall_clock_days", 4.0), None),
        ("jobs.a.wall_clock_days<=3", cut("jobs.a.wall_clock_days", 4.0), False),
        ("jobs.a.interruptions>=3", cut("jobs.a.interruptions", 4.0), True),
        ("jobs.a.interruptions>=5", cut("jobs.a.interruptions", 4.0), None),
        ("cluster.gpu_days<500", cut("cluster.gpu_days", 400.0), None),
        ("cluster.gpu_days<300", cut("cluster.gpu_days", 400.0), False),
        ("cluster.mean_slip_days<=0", cut("cluster.mean_slip_days", -1.0), None),
        # Ratios have no last value to wait for, and the bill of the network is what it is.
        ("jobs.a.goodput>=0.9", cut("jobs.a.goodput", 0.95), True),
        ("cluster.network_cost_MUSD<=5", cut("cluster.network_cost_MUSD", 4.0), True),
    ],
)  # fmt: skip
def test_a_run_that_was_cut_off_only_answers_what_it_knows(
    text: str, values: dict[str, float], expected: bool | None
) -> None:
    """What only grows is below a bound when it has its last value, and above it for good."""
    assert parse_condition(text, start=0.0).holds(values) is expected
    whole = values | {"jobs.a.finished": 1.0, "jobs.a.complete": 1.0, "cluster.complete": 1.0}
    assert parse_condition(text, start=0.0).holds(whole) is not None


def test_what_the_target_means_may_end_before_the_job() -> None:
    """With the target's phase done and a later one open, the slip is known and the GPU days are not."""
    values = cut("jobs.a.gpu_days", 100.0) | {"jobs.a.finished": 1.0}
    assert parse_condition("jobs.a.slip_days<=0", start=0.0).holds(values) is True
    assert parse_condition("jobs.a.gpu_days<=200", start=0.0).holds(values) is None


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


def test_a_range_that_is_set_is_drawn(fast_scenario: str) -> None:
    """--set with a range, on the very field of another range too, is one more unknown; a plain value is none."""
    path = "jobs.large.phases.pretrain.tokens"
    for value, names in (("{low: 50B, central: 60B, high: 70B}", [path]), ("60B", [])):
        made_so = make_forecast(fast_scenario, 3, overrides=[f"{path}={value}"], sample_assumptions=True)
        assert [group.name for group in made_so.groups if "tokens" in group.name] == names
    texts = [point.overrides[0] for point in make_forecast(
        fast_scenario, 3, overrides=[f"{path}={{low: 50B, central: 60B, high: 70B}}"], sample_assumptions=True
    ).plan.points]  # fmt: skip
    assert all(50.0 <= float(text.partition("=")[2].rstrip("B")) <= 70.0 for text in texts)


def test_drawn_assumptions_have_no_case(fast_scenario: str) -> None:
    """One end of the ranges and draws from all of them contradict each other."""
    with pytest.raises(UsageError, match="--case high does nothing with --assumptions sample"):
        make_forecast(fast_scenario, 3, case="high", sample_assumptions=True)
