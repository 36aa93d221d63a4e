"""The frame of the command line: help, exit codes, errors, interruption, broken pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from colossus_sim.cli import main as frame
from colossus_sim.errors import OutputError, SimulationError
from tests.interrupts import hear_interrupts
from tests.loading.conftest import SCENARIO

ROOT = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable, "-m", "colossus_sim"]


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )  # type: ignore[call-overload,no-any-return]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return {name.partition(".")[0] for name in done.stdout.split()}


HEAVY = {"numpy", "pandas", "matplotlib", "networkx", "simpy", "scipy", "rich"}


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The overview names each command with its line, in the order in which one meets them."""
    assert frame.run_command_line(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"\n  {name} ") for name in frame.COMMANDS]
    assert places == sorted(places)
    assert "Exit codes:" in shown


@pytest.mark.parametrize("name", list(frame.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """COMMAND --help works for each of them."""
    assert frame.run_command_line([name, "--help"]) == 0
    assert f"Usage: colossus-sim {name}" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    """The overview needs click only, so that it comes at once."""
    code = "from colossus_sim.cli.main import run_command_line\nrun_command_line(['--help'])"
    loaded = modules_after(code)
    assert loaded.isdisjoint(HEAVY | {"pydantic", "yaml"})


def test_check_imports_no_numerics() -> None:
    """Validating a file needs YAML and pydantic, no numerics and no plotting."""
    code = (
        "from colossus_sim.cli.main import run_command_line\nrun_command_line(['catalog', 'gpus', '--json'])"
    )
    assert modules_after(code).isdisjoint(HEAVY)
    assert modules_after("import colossus_sim.loading.load").isdisjoint(HEAVY)


def test_importing_the_package_is_cheap() -> None:
    """The public names are imported on first use."""
    assert modules_after("import colossus_sim").isdisjoint(HEAVY | {"pydantic", "yaml", "click"})


def test_the_public_names_exist() -> None:
    """Everything that the package promises can be imported, and nothing else."""
    import colossus_sim

    assert callable(colossus_sim.load_scenario)
    assert colossus_sim.ScenarioError.exit_code == 2
    assert set(colossus_sim.__all__) == set(dir(colossus_sim))
    with pytest.raises(AttributeError, match="no attribute 'simulation'"):
        _ = colossus_sim.simulation


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints name and version."""
    from colossus_sim import __version__

    assert frame.run_command_line(["--version"]) == 0
    assert capsys.readouterr().out == f"colossus-sim {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek"], "there is no command 'chek'; did you mean 'check'?"),
        (["check"], "Missing argument 'FILE...'"),
        (["check", "x.yaml", "--case", "worst"], "'worst' is not one of 'low', 'central', 'high'"),
        (["check", "x.yaml", "--seed", "1.5"], "'1.5' is not a valid integer"),
        (["check", "--nonsense"], "No such option"),
        (["catalog", "gpu"], "there is no catalog 'gpu'; did you mean 'gpus'?"),
        (["check", "x" * 300], "the name of the scenario file is empty, too long, or has control characters"),
        (["sweep", "x" * 300], "the name of the file is too long: xxx"),
        (["report", "x" * 300], "the name of the file is too long: xxx"),
        (["run", "tiny", "--out", "x" * 300], "the name of the file is too long: xxx"),
        (["schema", "--kind", "cenario"], "there is no schema of kind 'cenario'; did you mean 'scenario'?"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on standard output, no traceback, code 2."""
    assert frame.run_command_line(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


def with_command(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    @click.command("boom")
    @click.option("-v", "--verbose", is_flag=True)
    @click.option("--json", is_flag=True)
    def boom(**_: object) -> None:
        raise failure

    def get_command(_: object, __: object, name: str) -> click.Command | None:
        return boom if name == "check" else None

    monkeypatch.setattr(frame.LazyGroup, "get_command", get_command)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (SimulationError("no progress"), 3),
        (OutputError("disk full"), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("oops"), 1),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    failure: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code tells a script what happened; no traceback is shown."""
    with_command(monkeypatch, failure)
    assert frame.run_command_line(["check"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_shows_its_traceback_only_with_v(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug is one line; -v shows where it happened."""
    with_command(monkeypatch, RuntimeError("oops"))
    frame.run_command_line(["check"])
    short = capsys.readouterr().err
    assert short.count("\n") == 1
    assert "a bug in colossus-sim: RuntimeError" in short
    frame.run_command_line(["check", "-v"])
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_errors_are_json_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json an error is one document on standard output."""
    with_command(monkeypatch, SimulationError("no progress"))
    assert frame.run_command_line(["check", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["error"] == {
        "type": "SimulationError",
        "exit_code": 3,
        "message": "no progress",
        "problems": [],
    }
    assert err == ""


def test_python_m_is_the_same_command() -> None:
    """python -m colossus_sim runs the command line and passes its exit code on."""
    done = python("check", "nothing.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no such file: nothing.yaml")


@pytest.mark.parametrize("command", ["schema", "--help", "run tiny --no-plots"])
def test_a_reader_that_goes_away_is_no_error(command: str, tmp_path: Path) -> None:
    """A closed pipe ends the command quietly, with the code of a program that SIGPIPE ends; its files are whole."""
    with subprocess.Popen(
        [*PYTHON, *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141
    if command.startswith("run"):
        (folder,) = (tmp_path / "out").iterdir()
        assert (folder / "run.json").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs an always-full device")
def test_a_full_disk_is_exit_code_4() -> None:
    """Standard output on a full device is an output error, not a crash."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PYTHON, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "error: no space left to write the output\n"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interruption_ends_with_130() -> None:
    """Control-C gives one line and code 130, wherever it comes."""

    with subprocess.Popen(
        [*PYTHON, "check", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write("# more than a pipe holds, so that this returns when it is being read\n" * 5_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "interrupted"


def scenario_file(tmp_path: Path, changes: Sequence[tuple[str, str]] = ()) -> Path:
    text = SCENARIO
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return path


def test_names_are_shown_as_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup and control characters in titles are neither interpreted nor sent to the terminal."""
    title = 'title: "[red]x[/] \\e[31m $a$ <b>"'
    path = scenario_file(tmp_path, [("title: A tiny scenario", title)])
    assert frame.run_command_line(["check", str(path), "--explain"]) == 0
    shown = capsys.readouterr().out
    assert "[red]x[/] \\x1b[31m $a$ <b>" in shown
    assert "\x1b" not in shown
