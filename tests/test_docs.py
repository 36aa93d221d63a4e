"""The documentation is current: generated pages, README's commands, scenario and numbers."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from colossus_sim import load_scenario, simulate
from colossus_sim.cli.main import COMMANDS, cli, run_command_line
from colossus_sim.sweeps.read import is_sweep_file, read_sweep
from tests.golden.play import SCENARIOS, played

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
QUICK = ("check", "estimate", "catalog", "schema")
"""Commands of the README that are run as they stand; the others have tests of their own or take long."""
PLAYED = ("run", "forecast", "sweep", "solve", "check", "estimate")
"""Commands that play or read a scenario."""


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _script("generate")
NUMBERS = _script("readme_numbers")


def readme_commands() -> Iterator[list[str]]:
    """Give the arguments of every colossus-sim command in the README's blocks."""
    for line in README.splitlines():
        if line.startswith("colossus-sim "):
            yield shlex.split(line, comments=True)[1:]


def example_commands() -> Iterator[tuple[str, ...]]:
    """Give the arguments of every colossus-sim command in README, help texts and the first five minutes."""
    yield from map(tuple, readme_commands())
    texts = [command.help or "" for _, command in GENERATE.commands(cli, ())]
    texts += [cli.epilog or "", (ROOT / "docs" / "first_five_minutes.md").read_text("utf-8")]
    for text in texts:
        for line in text.splitlines():
            if line.lstrip().startswith("colossus-sim "):
                yield tuple(shlex.split(line)[1:])


def command_of(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that arguments call, in groups of commands too, and its own arguments."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    return command, arguments


@pytest.mark.parametrize("name", GENERATE.PAGES)
def test_generated_page_is_current(name: str) -> None:
    """A page made from the code says what the code says; if not, run docs/generate.py."""
    assert (ROOT / name).read_text("utf-8") == GENERATE.PAGES[name](), "run: python docs/generate.py"


def test_limits_in_the_readme_are_those_of_the_report() -> None:
    """README and report leave out the same things."""
    assert GENERATE.block(README, "limits") == GENERATE.limits_block(), "run: python docs/generate.py"


def test_the_readme_shows_what_the_flagship_gives() -> None:
    """The summary printed in the README is that of the current code."""
    expected = NUMBERS.flagship_block(played("colossus_roadmap"))
    assert GENERATE.block(README, "flagship") == expected, "run: python docs/generate.py --numbers"


def test_the_readme_shows_the_reality_check() -> None:
    """The comparison with the published Llama 3 run is that of the current code."""
    expected = NUMBERS.reality_block(played("llama3_405b"))
    assert GENERATE.block(README, "reality") == expected, "run: python docs/generate.py --numbers"


def test_the_readme_shows_the_validation_tables() -> None:
    """The errors in the README are those of benchmarks/validation, every group of rows with its two fits."""
    expected = NUMBERS.validation_block()
    assert GENERATE.block(README, "validation") == expected, "run: python docs/generate.py --numbers"
    assert expected.count(" % |") > 40


def test_the_example_scenario_runs(tmp_path: Path) -> None:
    """The scenario in the README is complete: its job finishes after its data is there."""
    text = GENERATE.block(README, "example").partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "example.yaml"
    path.write_text(text, "utf-8")
    job = simulate(load_scenario(str(path))).summary()["jobs"][0]
    assert job["finished"]
    assert job["slip_causes"]["data_wait"] > 0
    assert job["slip_causes"]["calendar_floor"] > 0


@pytest.mark.parametrize("arguments", [a for a in readme_commands() if a[0] in QUICK], ids=" ".join)
def test_quick_readme_commands_work(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that the README shows succeed at the root of the repository and print something."""
    monkeypatch.chdir(ROOT)
    assert run_command_line(arguments) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("arguments", sorted(set(example_commands())), ids=" ".join)
def test_examples_can_be_run(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are shown have options that exist, and scenarios that are valid with what they set."""
    monkeypatch.chdir(ROOT)
    command, words = command_of(list(arguments))
    options = command.make_context(arguments[0], words).params
    if arguments[0] not in PLAYED:
        return
    fields = [f"--set={text}" for text in options["overrides"]]
    varied = [text.partition("=") for text in (*options.get("grid", ()), *options.get("zipped", ()))]
    changes = [f"--set={path}={value}" for path, _, values in varied for value in values.split(",")]
    for file in options["files"] if "files" in options else [options["file"]]:
        for path in ROOT.glob(file) if "*" in file else [file]:
            source = read_sweep(str(path)).source if is_sweep_file(str(path)) else str(path)
            for change in changes or [""]:
                given = [*fields, *([change] if change else ()), "--case", options["case"]]
                assert run_command_line(["check", source, *given]) == 0, (source, given)


def test_every_command_is_in_the_readme() -> None:
    """Each command of the command line is shown in the README."""
    shown = {arguments[0] for arguments in readme_commands()}
    assert not set(COMMANDS) - shown


def test_every_metric_is_documented() -> None:
    """Each metric of a job and of the cluster has its formula in docs/metrics.md."""
    from colossus_sim.results.metrics import CLUSTER_METRICS, METRICS

    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert not [name for name in (*METRICS, *CLUSTER_METRICS) if f"`{name}`" not in text]


def test_every_shipped_file_is_listed() -> None:
    """Each scenario and topology stands in the table of its folder."""
    for folder in ("scenarios", "topologies"):
        text = (ROOT / folder / "README.md").read_text("utf-8")
        assert not [path.name for path in (ROOT / folder).glob("*.yaml") if f"({path.name})" not in text]
    assert SCENARIOS


def test_links_lead_somewhere() -> None:
    """Relative links in the Markdown files at the root and in docs/ name files that exist."""
    broken = []
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{path.name}: {target}")
    assert not broken


def test_pictures_are_small() -> None:
    """Committed pictures stay below 400 kB each."""
    pictures = list((ROOT / "docs" / "images").glob("*"))
    assert pictures
    assert not [path.name for path in pictures if path.stat().st_size > 400_000]
