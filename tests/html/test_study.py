"""The pages of forecasts and sweeps: from the files of a folder, in a browser, and when the folder is not whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from colossus_sim.cli.main import run_command_line
from colossus_sim.errors import OutputError
from colossus_sim.html.study import is_study, render_study, write_study
from colossus_sim.results.forecast_words import NO_DRIVER, NOT_TOLD
from colossus_sim.results.words import OPEN_MARKS, open_note
from tests.html.conftest import HOSTILE, fetched
from tests.html.test_page import embedded

TITLE = f"jobs.large.title={json.dumps(HOSTILE)}"
TOKENS = "jobs.large.phases.pretrain.tokens={low: 60B, central: 120B, high: 240B, source: for tests}"


def played(folder: Path, command: str, *options: str) -> Path:
    """Run a small study of the tiny scenario into a folder."""
    words = [command, "tiny", "--set", TITLE, "--set", TOKENS, *options, "--jobs", "1", "--no-plots", "-q"]
    assert run_command_line([*words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a forecast of twelve runs with drawn assumptions."""
    folder = tmp_path_factory.mktemp("studies") / "forecast"
    return played(folder, "forecast", "--replicas", "12", "--assumptions", "sample")


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a grid of two times two points."""
    folder = tmp_path_factory.mktemp("studies") / "sweep"
    grid = ("--set-grid", "faults.restart.base=5 min,2 h", "--set-grid", "jobs.large.priority=1,2")
    return played(folder, "sweep", *grid, "--replicas", "3")


@pytest.fixture(scope="session")
def tornado(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tornado over the assumptions with a range."""
    return played(tmp_path_factory.mktemp("studies") / "tornado", "sweep", "--tornado", "--replicas", "2")


@pytest.fixture(params=["forecast", "sweep", "tornado"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the page of each kind of study in turn."""
    return write_study(request.getfixturevalue(request.param), tmp_path / "page.html")


def test_quantiles_on_the_page_are_those_of_the_forecast(forecast: Path) -> None:
    """The page repeats ends, chances and drivers of forecast.json, and every single end of results.csv."""
    data = embedded(render_study(forecast))
    document = json.loads((forecast / "forecast.json").read_text("utf-8"))
    runs = pd.read_csv(forecast / "results.csv")
    start = pd.Timestamp("2026-01-05").timestamp() * 1000.0
    for shown, job in zip(data["chart"]["jobs"], document["jobs"], strict=True):
        assert shown["chance"] == job["probability_to_meet_target"]
        assert [driver[0] for driver in shown["drivers"]] == [driver["name"] for driver in job["drivers"]]
        ends = runs[f"jobs.{job['name']}.finish_days"].sort_values()
        assert shown["ends"] == [round(data["chart"]["start"] + days * 864e5) for days in ends]
        for level in ("p10", "p50", "p90"):
            assert shown["finish"][level] == pytest.approx(
                data["chart"]["start"] + job["finish_days"][level] * 864e5, abs=1
            )
    assert data["chart"]["start"] == start


def test_values_on_the_page_are_those_of_the_points(sweep: Path) -> None:
    """Means and paired differences of every measure are those of points.csv, in the order of the points."""
    chart = embedded(render_study(sweep))["chart"]
    points = pd.read_csv(sweep / "points.csv")
    for measure in chart["measures"]:
        rows = points[points["measure"] == measure["name"]].sort_values("point")
        assert measure["mean"] == pytest.approx(rows["mean"].tolist(), rel=1e-5, nan_ok=True)
        assert measure["difference"] == pytest.approx(rows["difference"].tolist(), rel=1e-5, nan_ok=True)
    assert [item["name"] for item in chart["parameters"]] == ["faults.restart.base", "jobs.large.priority"]


def test_runs_cut_off_at_the_horizon_are_marked_on_the_page(tmp_path: Path) -> None:
    """Points of which runs did not end have their number, a bound before the mean, and no sure difference."""
    grid = ("--set-grid", "horizon=1 day,20 days", "--replicas", "2")
    folder = played(tmp_path / "cut", "sweep", *grid)
    points = pd.read_csv(folder / "points.csv").set_index(["point", "measure"])
    assert points.loc[(0, "jobs.large.slip_days"), "unfinished"] == 2
    assert points.loc[(1, "jobs.large.slip_days"), "unfinished"] == 0
    assert points.loc[(0, "cluster.simulated_days"), "unfinished"] == 0
    data = embedded(render_study(folder))
    (slip,) = [item for item in data["chart"]["measures"] if item["name"] == "jobs.large.slip_days"]
    assert slip["unfinished"] == [2, 0]
    first, second = data["sections"][0]["table"]["rows"]
    assert first[2].startswith(">= ")
    assert not second[2].startswith(">= ")
    assert second[4].startswith("~ ")
    assert (first[6], second[6]) == ("2", "0")
    assert slip["marks"] == [">= ", ""]
    ratios = [item for item in data["chart"]["measures"] if item["unfinished"][0] and not item["grows"]]
    assert ratios
    assert {mark for item in ratios for mark in item["marks"]} == {"~ ", ""}


def test_one_meaning_of_marks_in_table_page_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal, the page and the picture say of cut off runs the same; no picture calls a ratio a bound."""
    words = ["sweep", "tiny", "--set-grid", "horizon=1 day,20 days", "--jobs", "1", "--no-plots"]
    assert run_command_line([*words, "--out", str(tmp_path / "cut")]) == 0
    assert OPEN_MARKS in capsys.readouterr().out
    data = embedded(render_study(tmp_path / "cut"))
    assert OPEN_MARKS[1:] in data["sections"][0]["paragraphs"][0]
    assert data["chart"]["headline"].endswith(open_note("hollow, pale, >= or ~", "runs"))
    assert "at least" not in data["chart"]["headline"]


def test_cells_of_the_heat_map_have_the_marks_of_the_table(browser: Any, tmp_path: Path) -> None:
    """What only grows is a bound, >=, on the page as in the picture and the table."""
    grid = ("--set-grid", "horizon=1 day,20 days", "--set-grid", "jobs.large.priority=1,2")
    folder = played(tmp_path / "cut", "sweep", *grid)
    browser.get(write_study(folder, tmp_path / "page.html").as_uri())
    written = browser.execute_script("""
      const measures = colossus.plan.measures;
      colossus.state.map = true;
      colossus.state.measure = measures.findIndex((item) => item.name === "jobs.large.slip_days");
      colossus.draw();
      const series = echarts.getInstanceByDom(document.querySelector("#first .canvas")).getOption().series[0];
      return series.data.map((cell) => series.label.formatter({ data: cell, value: cell.value }));""")
    assert [text.startswith(">= ") for text in written] == [True, True, False, False]


def test_the_command_on_the_page_makes_the_folder_again(forecast: Path, sweep: Path) -> None:
    """The command is complete: overrides, case, replicas and grids are in it, quoted for a shell."""
    for folder, words in (
        (forecast, "--assumptions sample"),
        (sweep, "--set-grid 'faults.restart.base=5 min,2 h'"),
    ):
        (code,) = [part["code"] for part in embedded(render_study(folder))["sections"] if "code" in part]
        assert words in code
        assert "--set 'jobs.large.title=" in code


def test_the_same_folder_gives_the_same_bytes(forecast: Path) -> None:
    """A page depends on its folder only, and stays small."""
    assert render_study(forecast) == render_study(forecast)
    assert len(render_study(forecast).encode()) < 3e6


def test_drivers_are_told_from_chance_as_in_the_report(forecast: Path, tmp_path: Path) -> None:
    """What the page colours and says of a driver is its `beyond_chance`, whatever the correlation."""
    folder = tmp_path / "copy"
    shutil.copytree(forecast, folder)
    document = json.loads((folder / "forecast.json").read_text("utf-8"))
    drivers = [{"name": name, "rank_correlation": rank, "first_order_index": 0.3, "beyond_chance": sure}
               for name, rank, sure in (("strong", 0.9, False), ("weak", 0.1, True))]  # fmt: skip
    document["jobs"][0]["drivers"] = drivers
    (folder / "forecast.json").write_text(json.dumps(document), "utf-8")
    data = embedded(render_study(folder))
    assert [driver[3] for driver in data["chart"]["jobs"][0]["drivers"]] == [False, True]
    (section,) = [item for item in data["sections"] if item["title"] == "What drives the spread"]
    assert [row[-1] for row in section["table"]["rows"][:2]] == [NOT_TOLD, "yes"]
    assert (data["chart"]["not_told"], data["chart"]["no_driver"]) == (NOT_TOLD, NO_DRIVER)


def test_parallel_phases_have_lanes_and_open_ends_are_marked(tmp_path: Path) -> None:
    """Phases side by side lie under each other; quantiles beyond the horizon are marked as projected, or never."""
    folder = tmp_path / "open"
    words = ["forecast", "tiny", "--replicas", "3", "--jobs", "1", "--no-plots", "-q", "--out", str(folder)]
    changes = ("horizon=2 days", "jobs.large.phases.sft.after=[]",
               "cluster.sites.lab.partitions.h100.capacity[0].gpus=400")  # fmt: skip
    assert run_command_line([*words, *(f"--set={text}" for text in changes)]) == 0
    job = embedded(render_study(folder))["chart"]["jobs"][0]
    assert sorted(phase["lane"] for phase in job["phases"]) == [0, 1]
    assert (job["lanes"], job["never"]) == (2, 0)
    assert job["projected"] == dict.fromkeys(("p10", "p50", "p80", "p90"), True)
    assert all(moment is not None for moment in job["finish"].values())


def test_an_unfinished_folder_is_refused(forecast: Path, tmp_path: Path) -> None:
    """Without its last files, or with damaged ones, a folder gives an error that says what to do."""
    folder = tmp_path / "copy"
    shutil.copytree(forecast, folder)
    (folder / "study.json").unlink()
    assert is_study(folder)
    with pytest.raises(OutputError, match="--resume"):
        render_study(folder)
    (folder / "study.json").write_text("[1", encoding="utf-8")
    with pytest.raises(OutputError, match="damaged"):
        render_study(folder)


def test_report_command_makes_the_page_of_a_study(forecast: Path, tmp_path: Path) -> None:
    """`colossus-sim report FOLDER` knows a study from a run."""
    target = tmp_path / "page.html"
    assert run_command_line(["report", str(forecast), "-o", str(target)]) == 0
    assert target.read_text("utf-8") == render_study(forecast)


def test_study_opens_without_errors_or_requests(opened: Any) -> None:
    """Charts are drawn, the console stays empty, nothing is fetched, names never run."""
    assert opened.get_log("browser") == []
    assert fetched(opened) == []
    assert opened.find_element("css selector", "#first canvas").size["height"] > 80
    assert opened.execute_script("return window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_study_fits_a_phone(opened: Any, scheme: str) -> None:
    """At 360 px nothing is wider than the window, in either colour scheme."""
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    opened.refresh()
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
    assert opened.get_log("browser") == []


def test_arrow_keys_choose_a_job_of_a_forecast(browser: Any, forecast: Path, tmp_path: Path) -> None:
    """Down on the chart tells the next job: its curve, and a line for screen readers."""
    browser.get(write_study(forecast, tmp_path / "page.html").as_uri())
    chart = browser.find_element("css selector", "#first .canvas")
    before = browser.find_element("css selector", "#second h2").text
    chart.send_keys("\ue015")
    assert browser.find_element("css selector", "#second h2").text != before
    assert "median end" in browser.find_element("id", "live").text


def test_the_measure_of_a_sweep_can_be_chosen(browser: Any, sweep: Path, tmp_path: Path) -> None:
    """Another measure draws the charts anew under its name."""
    browser.get(write_study(sweep, tmp_path / "page.html").as_uri())
    before = browser.find_element("css selector", "#first h2").text
    browser.find_element("css selector", "#choice-measure option:nth-child(2)").click()
    assert browser.find_element("css selector", "#first h2").text != before
    assert browser.get_log("browser") == []
