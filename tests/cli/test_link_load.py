"""``colossus-sim topology load``: the load of cables in a run, and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colossus_sim.cli.main import main


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of two jobs."""
    target = tmp_path_factory.mktemp("load") / "tiny"
    with pytest.raises(SystemExit) as stop:
        main(["run", "tiny", "--out", str(target), "--no-plots", "-q"])
    assert not stop.value.code
    return target


def test_tables_say_how_full_each_tier_was(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """192 GPUs sit in one leaf group, so their NICs carry all; both jobs are named, with the busiest day."""
    code, out, _ = call(capsys, "topology", "load", str(folder))
    assert code == 0
    for words in ("lab/h100, 192 GPUs on hgx_h100_1k", "host", "highest ever", "large", "small", "2026-01-0"):
        assert words in out


def test_a_moment_has_the_jobs_of_that_moment(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Before the second job is submitted the first one alone sends; the loads are those of its steps."""
    code, out, _ = call(capsys, "topology", "load", str(folder), "--at", "2026-01-05T12:00", "--json")
    (part,) = json.loads(out)["partitions"]
    (host,) = part["tiers"]
    assert code == 0
    assert list(host["jobs_B_per_s"]) == ["large"]
    assert 0.0 < host["mean_load"] < host["busiest_link_load"] == host["peak_load"] < 1.0


def test_the_picture_is_coloured_by_the_run(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    """The words of the scale say what makes the load and when."""
    target = tmp_path / "load.svg"
    code, _, err = call(capsys, "topology", "load", str(folder), "--png", str(target), "--dark")
    assert (code, "wrote" in err) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--at", "2027-01-01"), "is not within the run, 2026-01-05 to"),
        (("--at", "soon"), "expected a date such as"),
        (("--partition", "lab/x"), "partitions: lab/h100"),
        (("--dark",), "--png FILE"),
    ],
)
def test_wrong_options_are_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, words: tuple[str, ...], message: str
) -> None:
    """Each ends with status 2 and a line that says what would be right."""
    code, _, err = call(capsys, "topology", "load", str(folder), *words)
    assert code == 2
    assert message in err


def test_a_run_of_another_version_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    """A run that does not come out the same when played again has other loads than those shown."""
    copy = tmp_path / "other"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((copy / "run.json").read_text())
    manifest["end_time_s"] = 1.5 * float(manifest["end_time_s"])
    (copy / "run.json").write_text(json.dumps(manifest))
    code, _, err = call(capsys, "topology", "load", str(copy))
    assert code == 4
    assert "made by another version" in err
    assert call(capsys, "topology", "load", str(tmp_path))[0] == 4
