"""``colossus-sim plot`` draws again from a run folder and simulates nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from colossus_sim.cli.plot import KINDS, default_folder, parse_formats, plot
from colossus_sim.errors import OutputError, UsageError
from tests.plots.conftest import make


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a run folder that holds a made-up run."""
    monkeypatch.setattr("colossus_sim.results.store.load_run", lambda _: make(1, failures=9))
    return tmp_path / "run"


def test_draws_one_kind_into_a_folder(run_folder: Path, tmp_path: Path) -> None:
    """--kind, --format and -o choose what is written where; the paths are printed."""
    target = tmp_path / "slides"
    done = CliRunner().invoke(
        plot, [str(run_folder), "--kind", "gantt", "--format", "png", "-o", str(target)]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [str(target / "gantt.png")]
    assert (target / "gantt.png").read_bytes().startswith(b"\x89PNG")


def test_kinds_are_separated_by_commas_or_repeated(run_folder: Path, tmp_path: Path) -> None:
    """A list means the same as the option once per name, and a wrong name in it is told."""
    base = [str(run_folder), "--format", "png", "-o", str(tmp_path / "slides")]
    shown = []
    for kinds in (["--kind", "slip, gantt"], ["--kind", "slip", "--kind", "gantt"]):
        done = CliRunner().invoke(plot, [*base, *kinds])
        assert done.exit_code == 0, done.output
        shown.append(sorted(Path(line).name for line in done.stdout.splitlines()))
    assert shown == [["gantt.png", "slip.png"]] * 2
    done = CliRunner().invoke(plot, [*base, "--kind", "gantt,pie"])
    assert done.exit_code == 2
    assert "'pie' is not one of gantt, utilization" in done.output


def test_draws_everything_beside_the_run_folder_by_default(run_folder: Path) -> None:
    """Without options all pictures are written next to the run folder, which stays as it is."""
    done = CliRunner().invoke(plot, [str(run_folder), "--format", "png", "--json"])
    assert done.exit_code == 0, done.output
    folder = run_folder.with_name("run-plots")
    assert json.loads(done.stdout)["files"] == [str(folder / f"{kind}.png") for kind in KINDS]
    assert not run_folder.exists()


def test_dark_is_another_picture(run_folder: Path, tmp_path: Path) -> None:
    """--dark changes the picture."""
    base = [str(run_folder), "--kind", "slip", "--format", "png", "-q"]
    for name, extra in (("light", []), ("dark", ["--dark"])):
        assert CliRunner().invoke(plot, [*base, *extra, "-o", str(tmp_path / name)]).exit_code == 0
    assert (tmp_path / "light/slip.png").read_bytes() != (tmp_path / "dark/slip.png").read_bytes()


def test_kinds_are_those_that_can_be_drawn() -> None:
    """The names on the command line are the names of the pictures."""
    from colossus_sim.plots import PLOTS

    assert tuple(PLOTS) == KINDS


def test_a_folder_that_holds_no_run_is_an_output_error(tmp_path: Path) -> None:
    """A folder without run.json is refused, and nothing is written."""
    done = CliRunner().invoke(plot, [str(tmp_path)])
    assert isinstance(done.exception, OutputError)
    assert list(tmp_path.parent.glob("*-plots")) == []


@pytest.mark.parametrize("text", ["gif", "png,bmp", "", ","])
def test_unknown_formats_are_refused(text: str) -> None:
    """Formats other than png, svg and pdf are a usage error that names them."""
    with pytest.raises(UsageError, match="is not one of png, svg, pdf"):
        parse_formats(text)


def test_formats_are_read_leniently() -> None:
    """Case, spaces and repetitions do not matter."""
    assert parse_formats("PNG, svg,png") == ("png", "svg")


def test_default_folder_lies_beside_the_run_folder() -> None:
    """The pictures go next to the run folder, also if its path ends with a slash."""
    assert default_folder("out/quick/") == Path("out/quick-plots")


def test_the_command_imports_nothing_heavy() -> None:
    """Importing the command (as --help does) loads neither matplotlib nor pandas."""
    code = "import sys, colossus_sim.cli.plot; sys.exit(bool({'matplotlib', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
