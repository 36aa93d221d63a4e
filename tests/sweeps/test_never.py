"""Runs in which a job never ends, because its GPUs are gone for good: in numbers, words, files and searches."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from colossus_sim.cli.main import run_command_line
from colossus_sim.results.forecast_words import cautions
from colossus_sim.sweeps.condition import parse_condition
from colossus_sim.sweeps.cut_off import least
from colossus_sim.sweeps.forecast import Forecast, job_forecasts, make_forecast, widest_interval
from colossus_sim.sweeps.forecast_files import forecast_document, forecast_files, job_lines
from colossus_sim.sweeps.journal import Journal, read_journals
from colossus_sim.sweeps.pool import InlineExecutor
from colossus_sim.sweeps.precision import Precision, excess
from colossus_sim.sweeps.statistics import mean_interval, paired_difference
from colossus_sim.sweeps.task import Outcome
from colossus_sim.sweeps.view import forecast_view, sweep_view

GONE = """
extends: {base}
name: gone
cluster:
  sites:
    lab:
      partitions:
        h100:
          capacity:
            - {{at: 2026-01-05, gpus: 192}}
            - {{at: 2026-01-06, gpus: 0}}
"""
"""The job needs more than the day that its GPUs stay, unless it has few tokens of their range."""
END, SLIP = "jobs.large.finish_days", "jobs.large.slip_days"


@pytest.fixture(scope="module")
def gone(fast_scenario: str) -> str:
    """Return the path of a scenario whose GPUs leave for good on day 2."""
    path = Path(fast_scenario).parent / "gone.yaml"
    path.write_text(GONE.format(base="fast.yaml"), encoding="utf-8")
    return str(path)


def played(forecast: Forecast) -> dict[int, Outcome]:
    """Play all runs of a forecast."""
    return {item.index: item for batch in InlineExecutor().run(forecast.plan.tasks()) for item in batch}


def strict(text: str) -> Any:
    """Read JSON that has neither NaN nor infinity."""

    def refuse(name: str) -> float:
        raise AssertionError(f"JSON holds {name}")

    return json.loads(text, parse_constant=refuse)


def test_no_date_from_the_horizon(gone: str) -> None:
    """All quantiles are never, with one horizon and with a longer one, and the words say since when."""
    for horizon in ("6 days", "60 days"):
        forecast = make_forecast(gone, 3, overrides=(f"horizon={horizon}",))
        outcomes = played(forecast)
        (job,) = job_forecasts(forecast, outcomes)
        assert (job.finish, job.never, job.finish_mean) == ((math.inf,) * 4, 3, math.inf)
        document = forecast_document(forecast, outcomes)
        (told,) = document["jobs"]
        assert set(told["finish_date"].values()) == {None}
        assert (told["never_ends"], told["gpus_gone_date"]) == (3, "2026-01-06")
        (row,) = job_lines(document)[1]
        assert row[2:7] == ["never"] * 4 + ["never [never, never]"]
        said = "never: too few GPUs there after 2026-01-06 for large, which does not end in 3 of 3 runs"
        assert said in cautions(document)
        files = forecast_files(forecast, outcomes)
        assert said in files["report.md"].replace("\\", "")
        assert strict(files["forecast.json"]) == document
        assert "inf" not in files["results.csv"].lower()


def test_some_runs_end_before(gone: str) -> None:
    """With tokens drawn, those with few end in time: early quantiles are dates, late ones never."""
    forecast = make_forecast(gone, 60, sample_assumptions=True, overrides=("horizon=6 days",))
    outcomes = played(forecast)
    (job,) = job_forecasts(forecast, outcomes)
    assert 0 < job.never == 60 - job.finished
    assert all(
        math.isfinite(end) == (level * 60 <= job.finished)
        for level, end in zip((0.1, 0.5, 0.8, 0.9), job.finish, strict=True)
    )
    assert job.drivers
    assert all(not math.isinf(driver.first_order_index) for driver in job.drivers)
    assert widest_interval(forecast, outcomes) == 0.0
    (band,) = forecast_view(forecast, outcomes).jobs
    assert band.finish[2] == math.inf


def test_least_slip_of_what_never_ends(gone: str) -> None:
    """A run whose job never ends answers every question on its end, also on days after the horizon."""
    forecast = make_forecast(gone, 1)
    values = dict(played(forecast)[0].values)
    assert values[END] == values[SLIP] == math.inf
    assert least(SLIP, values) == least(END, values) == least("cluster.mean_slip_days", values) == math.inf
    assert parse_condition(f"{SLIP}<=1", start=0.0).holds(values) is False
    assert parse_condition(f"{SLIP}>1", start=0.0).holds(values) is True
    assert parse_condition(f"{SLIP}<=5", start=0.0).holds(values) is False
    assert values["cluster.mean_slip_days"] == math.inf


def test_means_of_what_never_ends() -> None:
    """A mean with an endless run is infinite and has no interval; a difference to one is not defined."""
    mean = mean_interval([1.0, math.inf, math.nan])
    assert (mean.count, mean.mean) == (2, math.inf)
    assert math.isnan(mean.half_width)
    assert math.isnan(paired_difference([1.0, math.inf], [math.inf, 1.0]).mean)
    assert paired_difference([3.0, math.inf], [1.0, math.inf]).mean == 2.0


def test_journal_keeps_what_never_ends(tmp_path: Path) -> None:
    """A sweep that is continued knows an endless run from one without a value."""
    values = {"a": math.inf, "b": math.nan, "c": 1.5}
    journal = Journal(tmp_path / "journal.jsonl", {})
    journal.append([Outcome(index=0, status="done", values=values)])
    journal.close()
    ((_, contents),) = read_journals([tmp_path / "journal.jsonl"])
    assert not contents.damaged
    back = contents.outcomes[0].values
    assert (back["a"], math.isnan(back["b"]), back["c"]) == (math.inf, True, 1.5)
    assert all(
        strict(line.partition(" ")[2]) for line in (tmp_path / "journal.jsonl").read_text().splitlines()
    )


def test_points_of_a_sweep_without_end(gone: str) -> None:
    """A mean that is infinite is not waited for and leaves no mark in a picture."""
    forecast = make_forecast(gone, 2)
    outcomes = played(forecast)
    assert excess(forecast.plan, outcomes, 0, [Precision(measure=END, half_width=0.1)]) is None
    view = sweep_view(forecast.plan, outcomes, [END])
    assert all(math.isnan(value) for item in view.measures for value in (*item.mean, *item.low, *item.high))


def test_commands_with_a_job_that_never_ends(
    gone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forecast, page, sweep and solve go through, with plain JSON; a continued forecast gives the same files."""
    out = tmp_path / "forecast"
    command = ["forecast", gone, "--replicas", "3", "--jobs", "1", "--out", str(out)]
    assert run_command_line(command) == 0
    said = capsys.readouterr().out
    assert "never" in said
    assert ">=" not in said
    first = {
        path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".csv", ".json", ".md")
    }
    (out / "forecast.json").unlink()
    assert run_command_line([*command, "--resume"]) == 0
    assert {name: (out / name).read_bytes() for name in first} == first
    assert run_command_line(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0
    capsys.readouterr()
    many = ["--replicas", "2", "--jobs", "1"]
    grid = ["--set-grid", "faults.restart.base=5 min,1 h", "--out", str(tmp_path / "sweep"), "--json"]
    assert run_command_line(["sweep", gone, *grid, *many]) == 0
    assert all(
        row["mean"] is None for row in strict(capsys.readouterr().out)["rows"] if row["measure"] == SLIP
    )
    page = ["report", str(tmp_path / "sweep"), "--out", str(tmp_path / "sweep.html")]
    assert run_command_line(page) == 0
    solve = ["--find", "jobs.large.gpus", "--between", "16,32", "--so-that", f"{SLIP}<=90"]
    assert run_command_line(["solve", gone, *solve, *many]) == 3
    said = capsys.readouterr().out
    assert "no solution" in said
    assert "without end in some runs" in said
