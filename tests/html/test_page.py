"""The report as a file: inert, self-contained, complete."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

from click.testing import CliRunner

from colossus_sim.cli.report import default_file, report
from colossus_sim.html.page import inert_json, render_report
from colossus_sim.results.result import Result
from tests.html.conftest import HOSTILE
from tests.plots.conftest import make


def embedded(text: str) -> dict:  # type: ignore[type-arg]
    """Return the data of a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return dict(json.loads(found.group(1)))


def test_names_cannot_leave_the_data(page: Path) -> None:
    """A title with a script in it appears only as escaped JSON, and reads back as it was."""
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<img src=x" not in text
    assert embedded(text)["chart"]["jobs"][0]["title"] == HOSTILE


def test_json_has_no_not_a_number() -> None:
    """NaN and infinity, which JSON does not know, become null; markup characters are escaped."""
    assert json.loads(inert_json({"a": [float("nan"), float("inf"), 1.5], "b": "</script>&"})) == {
        "a": [None, None, 1.5], "b": "</script>&",
    }  # fmt: skip
    assert "<" not in inert_json({"b": "</script>"})


def test_nothing_is_fetched(page: Path) -> None:
    """No element names an address, and the policy forbids every request."""
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    head = text[: text.index('<script type="application/json"')]
    assert re.findall(r'(?:src|href)="(?!#|data:)', head) == []
    assert re.findall(r"<script[^>]+src=", text) == []


def test_the_page_is_small_and_the_same_every_time(page: Path, run: Result) -> None:
    """The same run gives the same bytes, well under 5 MB."""
    text = page.read_text(encoding="utf-8")
    assert render_report(run) == text
    assert len(text.encode()) < 3e6


def test_the_page_holds_every_section_and_phase(page: Path, run: Result) -> None:
    """All sections of the written report, and start and end of every phase, as in the tables."""
    data = embedded(page.read_text(encoding="utf-8"))
    titles = [section["title"] for section in data["sections"]]
    assert {"Jobs", "What is not modelled", "How to reproduce", "Sources of the other inputs"} <= set(titles)
    start = run.manifest["scenario_start"]
    table = run.tables["phases"]
    for job in data["chart"]["jobs"]:
        rows = table[table["job"] == job["name"]]
        expected = [round(start + value) * 1000 for value in rows["start_s"].tolist()]
        assert [phase["start"] for phase in job["phases"]] == expected
        assert len(job["failures"]) == sum(
            (run.tables["events"]["kind"] == "failure") & (run.tables["events"]["job"] == job["name"])
        )


def test_the_charting_library_is_the_one_that_is_documented() -> None:
    """The vendored file has the hash that its README states."""
    folder = files("colossus_sim.html") / "vendor"
    digest = hashlib.sha256((folder / "echarts.min.js").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text(encoding="utf-8")
    assert "</script" not in (folder / "echarts.min.js").read_text(encoding="utf-8").lower()


def test_the_command_writes_beside_the_run_folder(run: Result, tmp_path: Path) -> None:
    """Without -o the file lies beside the run folder, which stays as it is; --json names it."""
    folder = run.save(tmp_path / "run")
    before = sorted(path.name for path in folder.iterdir())
    done = CliRunner().invoke(report, [str(folder), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"] == [str(tmp_path / "run-report.html")]
    assert (tmp_path / "run-report.html").stat().st_size > 1e6
    assert sorted(path.name for path in folder.iterdir()) == before
    assert default_file("out/a/") == Path("out/a-report.html")


def test_charts_of_many_jobs_are_still_small() -> None:
    """The data of 200 jobs with 20,000 failures stays under 2 MB."""
    from colossus_sim.html import chart

    result = make(200, failures=20_000)
    rows = chart.job_rows(result, horizon=chart.end_of(result))
    known = {"phases": [], "site": "", "target_means": ""}
    story, chart.job_story = chart.job_story, lambda *_: {}
    try:
        jobs = [chart._job(result, row, known) for row in rows]
    finally:
        chart.job_story = story
    assert len(jobs) == 200
    assert len(inert_json({"jobs": jobs})) < 2e6
