"""Run folders: whole or not at all, never over foreign files, and read back equal."""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from colossus_sim.errors import OutputError
from colossus_sim.loading.load import load_scenario
from colossus_sim.records import RunResult
from colossus_sim.results.columns import COLUMNS
from colossus_sim.results.result import Result, result_of, simulate
from colossus_sim.results.spreadsheets import neutralised, recovered
from colossus_sim.results.store import check_target, default_folder, load_run, write_run
from colossus_sim.specs.scenario import Scenario

NASTY = (
    "NA", "null", "None", "1e5", "007", "=HYPERLINK(\"x\")", "+1", "-2+3", "@SUM(1)", "'quoted", "''", "\ttab",
    "a,b;c", 'say "hi"', "line\nbreak", "\rreturn", "back\\slash", "%s {0}", "<script>", "", " space ", "nan",
)  # fmt: skip


@pytest.fixture
def result(hand_run: RunResult) -> Result:
    """The result of the hand-made run."""
    return result_of(hand_run)


@pytest.fixture
def nasty(hand_run: RunResult, hand_run_with: Callable[..., RunResult]) -> Result:
    """A result with every nasty text in the notes of its events."""
    event = hand_run.events[0]
    return result_of(hand_run_with(events=tuple(event._replace(note=text) for text in NASTY)))


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_folder_holds_everything_it_promises(result: Result, tmp_path: Path) -> None:
    """Summary, report, dictionary, manifest and one CSV per table; nothing else, also beside it."""
    folder = write_run(result, tmp_path / "run")
    assert names(folder) == sorted(
        ["summary.json", "report.md", "columns.json", "run.json", *(f"{name}.csv" for name in COLUMNS)]
    )
    assert names(tmp_path) == ["run"]


def test_tables_come_back_equal(nasty: Result, tmp_path: Path) -> None:
    """Names such as NA, formulas, quotes and line breaks survive; numbers are equal to the last bit."""
    loaded = load_run(write_run(nasty, tmp_path / "run"))
    assert loaded.summary() == nasty.summary()
    for name, frame in nasty.tables.items():
        pd.testing.assert_frame_equal(loaded.tables[name], frame)
        assert loaded.tables[name].attrs == frame.attrs
    assert loaded.tables["events"]["note"].tolist() == list(NASTY)
    assert loaded.report() == nasty.report()


@pytest.mark.parametrize("text", NASTY)
def test_text_is_neutralised_and_recovered(text: str) -> None:
    """No neutralised text starts like a formula, and each comes back as it was."""
    assert not neutralised(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert recovered(neutralised(text)) == text


def test_pandas_reads_a_table_in_one_line(result: Result, tmp_path: Path) -> None:
    """pandas.read_csv gives the same numbers, negative ones included."""
    folder = write_run(result, tmp_path / "run")
    frame = pd.read_csv(folder / "slip.csv")
    assert frame["slip_days"].tolist() == result.tables["slip"]["slip_days"].tolist()
    assert frame["slip_days"].min() < 0
    assert pd.read_csv(folder / "jobs.csv")["finished"].tolist() == [True, False]


def test_parquet_equals_csv(nasty: Result, tmp_path: Path) -> None:
    """Parquet tables hold the same texts and numbers."""
    pytest.importorskip("pyarrow")
    folder = write_run(nasty, tmp_path / "run", formats=("csv", "parquet"))
    frame = pd.read_parquet(folder / "events.parquet")
    assert frame["note"].tolist() == list(NASTY)
    assert frame.attrs["units"]["time_s"] == "s"


def test_bytes_do_not_depend_on_the_run(result: Result, tmp_path: Path) -> None:
    """Two folders of the same run have the same bytes but for run.json."""
    first = write_run(result, tmp_path / "a", timings={"simulate": 1.0})
    second = write_run(result, tmp_path / "b", timings={"simulate": 2.0})
    for path in first.iterdir():
        if path.name != "run.json":
            assert path.read_bytes() == (second / path.name).read_bytes()
    assert json.loads((second / "run.json").read_text())["wall_time_s"] == {"simulate": 2.0}


def test_running_again_replaces_the_folder(result: Result, tmp_path: Path) -> None:
    """A folder of an earlier run is replaced; pictures that it had and the new one has not are gone."""
    folder = tmp_path / "run"
    write_run(result, folder, decorate=lambda stage: (stage / "gantt.png").write_bytes(b"png"))
    assert "gantt.png" in names(folder)
    write_run(result, folder)
    assert "gantt.png" not in names(folder)
    assert names(tmp_path) == ["run"]


def test_foreign_files_are_refused_and_kept(result: Result, tmp_path: Path) -> None:
    """A folder with other files is refused; with overwrite they stay."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        write_run(result, folder)
    assert names(folder) == ["thesis.txt"]
    write_run(result, folder, overwrite=True)
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert "summary.json" in names(folder)
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        check_target(folder)


def test_an_empty_folder_is_fine(result: Result, tmp_path: Path) -> None:
    """A folder that exists and is empty is used."""
    (tmp_path / "run").mkdir()
    assert load_run(write_run(result, tmp_path / "run")).summary() == result.summary()


def test_symbolic_links_are_not_followed(result: Result, tmp_path: Path) -> None:
    """Neither a linked folder nor a linked file in it is written through."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OutputError, match="symbolic link"):
        write_run(result, tmp_path / "link")
    (victim / "jobs.csv").write_text("precious")
    folder = write_run(result, tmp_path / "run")
    (folder / "jobs.csv").unlink()
    (folder / "jobs.csv").symlink_to(victim / "jobs.csv")
    with pytest.raises(OutputError, match=r"jobs\.csv"):
        write_run(result, folder)
    write_run(result, folder, overwrite=True)
    assert (victim / "jobs.csv").read_text() == "precious"
    assert not (folder / "jobs.csv").is_symlink()


def test_a_file_in_the_way_is_refused_before_simulating(tmp_path: Path) -> None:
    """A file where the folder should be, or above it, is an output error."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError):
            check_target(path)
    assert names(tmp_path) == ["file"]


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    """The check of a folder that does not exist makes nothing."""
    check_target(tmp_path / "a" / "b" / "run")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_parent_is_refused(tmp_path: Path) -> None:
    """A parent without write permission is an output error before simulating."""
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(OutputError, match="cannot write"):
            check_target(tmp_path / "run")
    finally:
        tmp_path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("failing", range(0, 18, 3))
def test_a_full_disk_leaves_the_earlier_run(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whichever file cannot be written, the earlier folder stays whole and no temporary one is left."""
    folder = write_run(result, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    opened = 0
    real = Path.open

    def full(self: Path, mode: str = "r", *args: object, **kwargs: object) -> io.IOBase:
        nonlocal opened
        if mode == "x":
            opened += 1
            if opened > failing:
                raise OSError(28, "No space left on device")
        return real(self, mode, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match="No space left"):
        write_run(result, folder)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names(tmp_path) == ["run"]


def test_a_failing_picture_leaves_nothing(result: Result, tmp_path: Path) -> None:
    """If drawing fails, no folder appears."""

    def broken(stage: Path) -> None:
        raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        write_run(result, tmp_path / "run", decorate=broken)
    assert names(tmp_path) == []


def test_damaged_and_foreign_folders_are_refused(result: Result, tmp_path: Path) -> None:
    """Reading back names what is wrong."""
    with pytest.raises(OutputError, match="not a run folder"):
        load_run(tmp_path)
    folder = write_run(result, tmp_path / "run")
    (folder / "jobs.csv").write_text("job\nx\n")
    with pytest.raises(OutputError, match="no column"):
        load_run(folder)
    (folder / "summary.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        load_run(folder)


def test_default_folder_says_what_was_run() -> None:
    """Name, case and seed name the folder."""
    assert default_folder("roadmap", "low", 7) == Path("out/roadmap-low-seed7")


def test_the_default_folder_says_what_was_changed() -> None:
    """Overrides are named shortly, and told apart where the short names are the same."""
    shown = [
        default_folder("tiny", "low", 7, overrides).name
        for overrides in (
            ["jobs.large.gpus=64"],
            ["jobs.small.gpus=64"],
            ["faults.restart.base=5 min", "jobs.large.gpus=64"],
            ["a/../b=../../etc/passwd" * 9],
        )
    ]
    assert shown[0].startswith("tiny-low-seed7-gpus-64-")
    assert shown[2].startswith("tiny-low-seed7-base-5-min-gpus-64-")
    assert len(set(shown)) == 4
    assert all(re.fullmatch(r"tiny-low-seed7(-[A-Za-z0-9.]+)+-[0-9a-f]{6}", name) for name in shown)
    assert len(shown[3]) < 60
    assert default_folder("tiny", "low", 7, ["jobs.large.gpus=64"]).name == shown[0]


def changed_in_python(gpus: int) -> Scenario:
    """Return the tiny scenario with other GPUs, changed without overrides."""
    scenario = load_scenario("tiny")
    job = scenario.jobs["small"].model_copy(update={"gpus": gpus})
    return scenario.model_copy(update={"jobs": {**scenario.jobs, "small": job}})


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (lambda: simulate(load_scenario("tiny")), lambda: simulate(load_scenario("tiny"), seed=8), "seed 7"),
        (lambda: simulate(load_scenario("tiny")), lambda: simulate(load_scenario("tiny", case="high")), "high"),
        (lambda: simulate(load_scenario("tiny")),
         lambda: simulate(load_scenario("tiny", overrides="jobs.small.gpus=32")), "gpus=32"),
        (lambda: simulate(load_scenario("tiny")), lambda: simulate(changed_in_python(32)), "changed in Python"),
        (lambda: simulate(changed_in_python(32)), lambda: simulate(changed_in_python(16)), "changed in Python"),
    ],
)  # fmt: skip
def test_another_run_is_not_replaced(
    tmp_path: Path, first: Callable[[], Result], second: Callable[[], Result], said: str
) -> None:
    """The same run again replaces a folder; another seed, case, override or change needs overwrite."""
    folder = tmp_path / "run"
    first().save(folder)
    first().save(folder)
    before = (folder / "run.json").read_bytes()
    with pytest.raises(OutputError, match=f"holds another run: .*{said}.* --overwrite"):
        second().save(folder)
    assert (folder / "run.json").read_bytes() == before
    second().save(folder, overwrite=True)
    assert (folder / "run.json").read_bytes() != before
    assert names(tmp_path) == ["run"]


def test_unknown_format_is_refused(result: Result, tmp_path: Path) -> None:
    """A table format that we cannot write is named."""
    with pytest.raises(OutputError, match="xlsx"):
        write_run(result, tmp_path / "run", formats=("xlsx",))
    assert names(tmp_path) == []
