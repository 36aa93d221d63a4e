"""The commands sweep, forecast and solve: what they write, show and refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from colossus_sim.cli.common import Settings
from colossus_sim.cli.forecast import strongest
from colossus_sim.cli.main import run_command_line
from colossus_sim.cli.many import PLAIN_INTERVAL, Progress
from colossus_sim.compiling import jit_available
from colossus_sim.sweeps.folder import State
from colossus_sim.sweeps.task import Outcome

GRID = ["--set-grid", "faults.restart.base=5 min,1 h", "--jobs", "1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sweep_writes_tables_and_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A grid over a scenario: a row per run, intervals and paired differences, lines with bands."""
    assert run_command_line(["sweep", "tiny", *GRID, "--replicas", "3"]) == 0
    folder = here / "out" / "tiny-sweep"
    names = {path.name for path in folder.iterdir()}
    assert {"results.csv", "points.csv", "columns.json", "lines.png", "journal.jsonl"} <= names
    assert not any(name.endswith(".part") for name in names)
    lines = (folder / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 7
    described = json.loads((folder / "columns.json").read_text(encoding="utf-8"))["tables"]["results"]
    assert [f'"{column["name"]}"' for column in described] == lines[0].split(",")
    shown = capsys.readouterr()
    assert "jobs.large.slip_days" in shown.out
    assert shown.err == ""


def test_the_strongest_drivers_are_shown_by_their_share() -> None:
    """Ranked by share or rank correlation, of which only the share is shown; what chance may give is left out."""
    ranked = [
        ("tokens", 0.29),
        ("repairs", 0.03),
        ("shape", 0.21),
        ("dates", 0.12),
        ("few", 0.13),
        ("none", None),
    ]
    drivers = [
        {"name": name, "first_order_index": share, "beyond_chance": (share or 0.0) > 0.1}
        for name, share in ranked
    ]
    assert strongest(drivers) == "tokens (29%), shape (21%), dates (12%)"
    assert strongest([drivers[1], drivers[5]]) == ""


def test_sweep_answers_in_json_and_resumes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one document; a second time needs --resume and gives the same."""
    command = ["sweep", "tiny", *GRID, "--no-plots", "--json", "--measure", "jobs.large.slip_days"]
    assert run_command_line(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert len(first["rows"]) == 2
    assert first["rows"][0]["difference"] == 0.0
    assert run_command_line(command) == 4
    assert "--resume" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert run_command_line([*command, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == first


def test_sweep_stops_at_a_precision(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each point runs until its mean is known; the table, the note and the study say how many runs that took."""
    command = [
        "sweep",
        "tiny",
        *GRID,
        "--no-plots",
        "--until-ci",
        "jobs.large.finish_days=0.18d",
        "--replicas",
        "40",
    ]
    assert run_command_line(command) == 0
    assert "precise enough after 20 to 30 runs per point" in capsys.readouterr().err
    folder = here / "out" / "tiny-sweep"
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert (study["least_replicas"], study["replicas"]) == (20, 30)
    assert "--until-ci jobs.large.finish_days=0.18d" in study["command"]
    assert (
        run_command_line(["sweep", "tiny", *GRID, "--no-plots", "--until-ci", "1min", "--replicas", "21"])
        == 4
    )
    shown = capsys.readouterr()
    command = ["sweep", "tiny", *GRID, "--no-plots", "--until-ci", "1min", "--replicas", "21", "--out", "b"]
    assert run_command_line(command) == 0
    shown = capsys.readouterr()
    assert "point 1 is not as precise as asked after 21 runs: jobs." in shown.err


def test_explain_says_which_engine_and_why(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--explain of run, sweep and forecast begins with the line that -v shows, and says what it was judged by."""
    judged = "CPU s" if jit_available() else "numba"
    for command, why in (
        (["run", "tiny", "--no-plots"], "one run"),
        (["sweep", "tiny", *GRID, "--no-plots"], judged),
        (["forecast", "tiny", "--replicas", "12", "--jobs", "1", "--no-plots"], judged),
    ):
        assert run_command_line([*command, "--out", f"{command[0]}-v", "-v"]) == 0
        brief = [line for line in capsys.readouterr().err.splitlines() if line.startswith("engine: ")]
        assert run_command_line([*command, "--out", f"{command[0]}-e", "--explain"]) == 0
        long = capsys.readouterr().err.splitlines()
        assert len(brief) == 1
        assert why in brief[0]
        start = long.index(brief[0])
        assert "about 40 failures until the horizon" in long[start + 1]
        assert long[start + 2].startswith("  compiled kernel: it has all that this scenario needs")
    command = ["run", "tiny", "--no-plots", "--set", "policies.scheduler=fair_share", "--explain", "-q"]
    assert run_command_line(command) == 0
    assert capsys.readouterr().err == ""
    assert run_command_line(command[:-1]) == 0
    assert "it does not have policies.scheduler: fair_share" in capsys.readouterr().err


def test_failed_points_exit_with_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A point that cannot be run is marked failed, the others go on, and the exit code says so; --dark redraws."""
    command = ["sweep", "tiny", "--set-grid", "jobs.large.gpus=128,100000", "--jobs", "1"]
    assert run_command_line(command) == 3
    shown = capsys.readouterr().out
    assert "1 of 2 runs failed" in shown
    picture = here / "out" / "tiny-sweep" / "lines.svg"
    assert "#ffffff" in picture.read_text(encoding="utf-8")
    assert run_command_line([*command, "--resume", "--dark"]) == 3
    assert "#15181d" in picture.read_text(encoding="utf-8")
    assert "jobs.large.gpus" in shown
    assert '"failed"' in (here / "out" / "tiny-sweep" / "results.csv").read_text(encoding="utf-8")


def test_slow_runs_exit_with_3_and_are_played_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that takes longer than --task-timeout has failed; --resume with more time plays it, and says so."""
    command = ["sweep", "tiny", *GRID, "--no-plots"]
    assert run_command_line([*command, "--task-timeout", "0.1 ms"]) == 3
    assert "ran longer than --task-timeout 100 us" in capsys.readouterr().out
    assert run_command_line([*command, "--resume", "--task-timeout", "600"]) == 0
    shown = capsys.readouterr()
    assert "played again: 2 runs that failed" in shown.err
    assert "failed" not in shown.out


def test_damaged_lines_are_told_and_nothing_more(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of junk is named as not used; where all runs are there, none is said to be done again."""
    command = ["sweep", "tiny", *GRID, "--no-plots"]
    assert run_command_line(command) == 0
    journal = here / "out" / "tiny-sweep" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b"junk\n")
    capsys.readouterr()
    assert run_command_line([*command, "--resume"]) == 0
    told = capsys.readouterr().err
    assert told.splitlines() == ["found 2 of 2 runs", "damaged lines, not used: journal.jsonl:4"]
    journal.write_bytes(b"junk\n" + journal.read_bytes().partition(b"\n")[2])
    assert run_command_line([*command, "--resume"]) == 0
    assert "its 2 runs cannot be used; set aside as journal.jsonl.damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep", "tiny"], "say what varies"),
        (["sweep", "-", *GRID], "save it to a file"),
        (["sweep", "tiny", "--set-grid", "jobs.larg.gpus=1,2"], "larg"),
        (["sweep", "tiny", "--set-grid", "jobs.large.gpus=x,2"], "point with jobs.large.gpus=x: "),
        (["sweep", "restart_time", *GRID], "says itself what varies"),
        (["sweep", "tiny", *GRID, "--shard", "3/2"], "--shard"),
        (["sweep", "tiny", *GRID, "--scheduler", "tcp://10.0.0.1:1"], "--executor dask"),
        (["sweep", "tiny", *GRID, "--executor", "dask", "--scheduler", "tcp://10.0.0.1:1"], "without TLS"),
        (["forecast", "tiny", "--until-ci", "0.5"], "needs a unit"),
        (["sweep", "tiny", *GRID, "--task-timeout", "5 parsecs"], "--task-timeout: "),
        (["forecast", "tiny", "--task-timeout", "0"], "--task-timeout: the time must be more than 0"),
        (["forecast", "tiny", "--task-timeout", "nan"], "--task-timeout: "),
        *((words, "'--out': the name of the folder is empty") for words in (
            ["run", "tiny", "--out", ""], ["sweep", "tiny", *GRID, "--out", ""], ["forecast", "tiny", "--out", " "]
        )),
        (["sweep", "tiny", *GRID, "--until-ci", "jobs.larg.finish_days=1d"], "jobs.large.finish_days"),
        (["sweep", "tiny", *GRID, "--measure", "jobs.large.slip"], "did you mean"),
        (["solve", "tiny", "--find", "jobs.small.gpus", "--so-that", "jobs.small"], "--so-that"),
        (["sweep", "tiny", "--set-grid", "seed=1,2", "--jobs", "1"], "--set-grid seed: the seed cannot be varied"),
        (["sweep", "tiny", "--set-grid", "jobs.large.gpus=64,64"], "jobs.large.gpus: the value 64 is there twice"),
        (["solve", "tiny", "--find", "seed", "--so-that", "a<=1"], "--replicas N"),
        (["solve", "tiny", "--find", "horizon", "--so-that", "a<=1"], "where the simulation stops"),
        (["solve", "tiny", "--find", "nothing.here", "--so-that", "a<=1"], "unknown key 'nothing'"),
        (["solve", "tiny", "--find", "jobs.larg.gpus", "--so-that", "a<=1"], "did you mean 'large'?"),
        (["solve", "tiny", "--find", "jobs.large.gpsu", "--so-that", "a<=1"], "did you mean 'gpus'?"),
        (["solve", "tiny", "--find", "jobs.large.min_gpus", "--so-that", "a<=1"], "does not give"),
    ],
)  # fmt: skip
def test_wrong_usage_is_refused_before_anything_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Exit 2 with a message, and no folder."""
    assert run_command_line(arguments) == 2
    assert words in capsys.readouterr().err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", [["run", "tiny"], ["sweep", "tiny", *GRID]])
def test_parquet_without_pyarrow_is_refused_before_any_run(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Exit 2 with what to install, of one run and of many alike, and nothing is written."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run_command_line([*command, "--formats", "parquet"]) == 2
    assert "install colossus-sim[parquet]" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_a_sampled_sweep_is_drawn_point_by_point(here: Path) -> None:
    """The shipped sample plays, a row per point, and its picture joins nothing."""
    assert run_command_line(["sweep", "restart_and_saves", "--replicas", "1", "--jobs", "1", "-q"]) == 0
    folder = here / "out" / "restart_and_saves-sweep"
    assert len((folder / "results.csv").read_text(encoding="utf-8").splitlines()) == 65
    assert (folder / "scatter.png").is_file()
    assert not (folder / "lines.png").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scenario: tinny", "s.yaml:2:11: scenario: no such scenario file"),
        ("scenario: t.yaml", "s.yaml:2:11: scenario: no such file: t.yaml"),
        ("scenario: tiny\nmeasures: [jobs.large.slip_days, jobs.large.slip]", "s.yaml:3:34: measures[1]: runs"),
    ],
)  # fmt: skip
def test_what_a_sweep_file_names_is_refused_with_its_place(
    here: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """A scenario or a measure that is not there is an error of the file that names it."""
    text = f"version: 1\n{line}\nvary: {{grid: {{jobs.large.gpus: [64, 128]}}}}\n"
    (here / "s.yaml").write_text(text, encoding="utf-8")
    assert run_command_line(["sweep", "s.yaml"]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["s.yaml"]


def test_nothing_is_left_where_nothing_can_be_merged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a journal, or with one of another sweep, is refused before --out is made."""
    assert run_command_line(["sweep", "tiny", *GRID, "--out", "new", "--merge", "nowhere"]) == 4
    assert "nowhere holds no journal of a sweep" in capsys.readouterr().err
    assert list(here.iterdir()) == []
    assert run_command_line(["sweep", "tiny", *GRID, "--out", "first", "--no-plots", "-q"]) == 0
    assert run_command_line(["sweep", "tiny", *GRID, "--seed", "1", "--out", "new", "--merge", "first"]) == 2
    assert "belongs to another sweep" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["first"]


def test_forecast_says_dates_and_chances(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A forecast: quantiles of the end, chance of the target, Gantt chart with bands."""
    command = ["forecast", "tiny", "--replicas", "25", "--jobs", "2", "--until-ci", "2 days"]
    assert run_command_line(command) == 0
    shown = capsys.readouterr()
    assert "P10" in shown.out
    assert "precise enough after 20 runs" in shown.err
    folder = here / "out" / "tiny-forecast"
    document = json.loads((folder / "forecast.json").read_text(encoding="utf-8"))
    assert document["replicas"] == 20
    low, middle, high = (document["jobs"][0]["finish_days"][key] for key in ("p10", "p50", "p90"))
    assert low <= middle <= high
    assert (folder / "gantt_bands.png").stat().st_size > 10_000


def test_solve_finds_the_checkpoint_interval(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The largest interval with which the slip stays under a bound lies inside the range."""
    command = ["solve", "tiny", "--find", "checkpoint.tiers[0].interval", "--so-that", "cluster.gpu_days<=680",
               "--confidence", "0.5",
               "--replicas", "4", "--jobs", "1", "--between", "30 min,8 h", "--json"]  # fmt: skip
    assert run_command_line(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["smallest"] is False
    assert 30.0 <= float(answer["found"].removesuffix("min").strip()) < 480.0


def test_progress_is_quiet_in_pipes_and_then_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing for the first half minute, then one line with rate, time left and failures."""
    now = [0.0]
    state = State(
        total=10, outcomes={0: Outcome(index=0, status="done"), 1: Outcome(index=1, status="failed")}
    )
    with Progress(Settings(), clock=lambda: now[0]) as progress:
        progress(state)
        assert capsys.readouterr().err == ""
        now[0] = PLAIN_INTERVAL
        progress(state)
        progress(state)
    assert capsys.readouterr().err == "2/10 (20.0%), 0.067/s, 0:02:00 left, 1 failed\n"
