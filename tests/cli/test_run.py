"""The run command: what it writes, shows and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from colossus_sim.cli import run as command
from colossus_sim.cli.common import Settings
from colossus_sim.cli.main import run_command_line
from colossus_sim.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_writes_the_default_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, case and seed name the folder; stdout says what came out and what to open."""
    assert run_command_line(["run", "tiny", "--seed", "3", "--no-plots"]) == 0
    folder = here / "out" / "tiny-central-seed3"
    shown = capsys.readouterr().out
    assert "finish" in shown
    assert "Slip by cause" in shown
    assert "out/tiny-central-seed3/report.md" in shown
    assert json.loads((folder / "summary.json").read_text())["seed"] == 3
    assert sorted(path.name for path in here.iterdir()) == ["out"]


def test_run_twice_gives_the_same_bytes(here: Path) -> None:
    """The second run replaces the first with the same summary."""
    results = []
    for _ in range(2):
        assert run_command_line(["run", "tiny", "--no-plots", "-q"]) == 0
        results.append((here / "out" / "tiny-central-seed7" / "summary.json").read_bytes())
    assert results[0] == results[1]


def test_json_is_the_summary_and_nothing_else(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, stdout is one JSON document equal to summary.json, and stderr is empty."""
    assert run_command_line(["run", "tiny", "--json", "--no-plots", "--out", "r"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads((here / "r" / "summary.json").read_text())
    assert shown.err == ""


def test_quiet_says_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -q nothing is printed on success."""
    assert run_command_line(["run", "tiny", "-q", "--no-plots"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == ""


def test_pictures_are_drawn(here: Path) -> None:
    """Without --no-plots the Gantt chart lies in the folder, as picture and as drawing."""
    assert run_command_line(["run", "tiny", "-q", "--out", "r"]) == 0
    assert (here / "r" / "gantt.png").stat().st_size > 1000
    assert (here / "r" / "gantt.svg").is_file()
    assert "gantt.png" in json.loads((here / "r" / "run.json").read_text())["files"]


def test_foreign_folder_is_refused_before_simulating(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with other files ends with exit code 4 and nothing simulated; --overwrite keeps them."""
    (here / "r").mkdir()
    (here / "r" / "notes.txt").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(command, "simulate", lambda *_: pytest.fail("simulated"))
        assert run_command_line(["run", "tiny", "--out", "r", "--no-plots"]) == 4
    assert "notes.txt" in capsys.readouterr().err
    assert run_command_line(["run", "tiny", "--out", "r", "--no-plots", "--overwrite", "-q"]) == 0
    assert (here / "r" / "notes.txt").read_text() == "mine"


def test_overrides_have_a_folder_of_their_own(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with --set does not touch the one without; another run is refused before it is simulated."""
    changed = ["--set", "jobs.small.gpus=32", "--no-plots", "-q"]
    assert run_command_line(["run", "tiny", "--no-plots", "-q"]) == 0
    assert run_command_line(["run", "tiny", *changed]) == 0
    plain, other = sorted(path.name for path in (here / "out").iterdir())
    assert plain == "tiny-central-seed7"
    assert other.startswith("tiny-central-seed7-gpus-32-")
    with monkeypatch.context() as patch:
        patch.setattr(command, "simulate", lambda *_: pytest.fail("simulated"))
        assert run_command_line(["run", "tiny", *changed, "--out", f"out/{plain}"]) == 4
    said = "holds another run: tiny (case central, seed 7), not tiny with jobs.small.gpus=32"
    assert said in capsys.readouterr().err
    assert run_command_line(["run", "tiny", *changed, "--out", f"out/{plain}", "--overwrite"]) == 0


def test_a_file_as_folder_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--out that names a file ends with exit code 4."""
    (here / "r").write_text("x")
    assert run_command_line(["run", "tiny", "--out", "r"]) == 4
    assert "is a file" in capsys.readouterr().err


def test_bad_scenario_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong override ends with exit code 2 and no folder."""
    assert run_command_line(["run", "tiny", "--set", "jobs.large.gpus=abc"]) == 2
    assert "jobs.large.gpus" in capsys.readouterr().err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("text", ["xlsx", "csv,xlsx", "", ","])
def test_unknown_formats_are_refused(text: str) -> None:
    """Only csv and parquet are formats."""
    with pytest.raises(UsageError, match="csv, parquet"):
        command.parse_formats(text)


def test_parquet_is_written_on_request(here: Path) -> None:
    """--formats csv,parquet writes both."""
    pytest.importorskip("pyarrow")
    assert (
        run_command_line(["run", "tiny", "-q", "--no-plots", "--formats", "csv,parquet", "--out", "r"]) == 0
    )
    assert (here / "r" / "jobs.csv").is_file()
    assert (here / "r" / "jobs.parquet").is_file()


def test_plain_progress_is_rare(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is at most one progress line every 30 seconds."""
    times = iter([0.0, 1.0, 29.9, 30.0, 31.0, 60.0])
    progress = command.PlainProgress(Settings(), clock=lambda: next(times))
    for fraction in (0.1, 0.2, 0.3, 0.4, 0.5):
        progress(fraction, "day 1")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["30.0", "50.0"]


def test_names_reach_the_terminal_as_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Square brackets in names are not markup, control sequences are spelled out."""
    from colossus_sim.results import report
    from colossus_sim.results.document import Section, Table

    table = Table(header=("name",), rows=(("[red]x[/]",), ("\x1b[31m",)))
    monkeypatch.setattr(
        report, "short_sections", lambda _: [Section(title="[b]", points=("[/]",), table=table)]
    )

    class Fake:
        def summary(self) -> dict[str, Any]:
            return {}

    command.show_rich(Fake())  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert "[red]x[/]" in shown
    assert "* [/]" in shown
    assert "\x1b[31m" not in shown


def test_narrow_terminals_show_whole_columns() -> None:
    """Columns are left out from the right rather than cut; the first is always there."""
    from colossus_sim.results.document import Table

    widths = command.column_widths(Table(header=("job", "waiting for data"), rows=(("llama", "+1.0"),)))
    assert widths == [5, 7]
    assert command.fitting_columns(widths, 14) == 2
    assert command.fitting_columns(widths, 13) == 1
    assert command.fitting_columns(widths, 2) == 1


def test_help_imports_nothing_heavy() -> None:
    """The help of the command needs neither pandas nor the engine."""
    code = (
        "import sys; from colossus_sim.cli.main import run_command_line; run_command_line(['run', '--help']); "
        "heavy = {'pandas', 'matplotlib', 'simpy', 'networkx', 'numpy', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Examples" in done.stdout
