"""The package as it is installed: metadata, lock file, shipped data, start-up."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import colossus_sim
from tests.golden.play import SCENARIOS

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "uv.lock").read_text("utf-8")

HEAVY = ("numpy", "pandas", "matplotlib", "networkx", "simpy", "scipy", "pydantic", "yaml", "rich")
MODEL_LIBRARIES = ("pandas", "matplotlib", "networkx", "simpy")


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[><=\[;! ]", text)[0].lower().replace("_", "-") for text in requirements}


def modules_after(arguments: list[str]) -> set[str]:
    """Return the top-level modules that a command has imported when it ends."""
    script = (
        "import sys\nfrom colossus_sim.cli.main import run_command_line\n"
        f"code = run_command_line({arguments!r})\n"
        "sys.stderr.write('MODULES ' + ' '.join({n.split('.')[0] for n in sys.modules}))\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stderr.rpartition("MODULES ")[2].split())


def test_help_imports_nothing_heavy() -> None:
    """`--help` needs click alone, so that it answers at once."""
    assert not modules_after(["--help"]) & set(HEAVY)


@pytest.mark.parametrize("arguments", [["schema"], ["catalog", "gpus"]], ids=" ".join)
def test_light_commands_do_not_import_the_model(arguments: list[str]) -> None:
    """Commands that only read files import neither engine, networks, tables nor plots."""
    assert not modules_after(arguments) & set(MODEL_LIBRARIES)


def test_every_imported_library_is_declared() -> None:
    """What the package imports is a dependency or belongs to an extra; nothing is there by luck."""
    declared = _names(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        declared |= _names(extra)
    declared |= {"pydantic-core"}  # comes with pydantic, which pins it
    found = set()
    for path in (ROOT / "colossus_sim").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    found -= set(sys.stdlib_module_names) | {"colossus_sim"}
    found = {{"yaml": "pyyaml"}.get(name, name.replace("_", "-")) for name in found}
    assert not found - declared


def test_lock_knows_every_dependency() -> None:
    """The lock file holds each declared dependency and extra; after a change run `uv lock`."""
    locked = set(re.findall(r'^name = "([^"]+)"', LOCK, flags=re.MULTILINE))
    wanted = _names(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        wanted |= _names(extra)
    assert not wanted - {"colossus-sim"} - locked


def test_lock_names_only_the_public_index() -> None:
    """No address of a private index or of one machine is in the lock file."""
    hosts = set(re.findall(r"[a-z]+://([^/\"]+)", LOCK))
    assert hosts <= {"pypi.org", "files.pythonhosted.org"}
    assert "file:" not in LOCK


def test_package_is_typed() -> None:
    """Type checkers read the annotations of the installed package."""
    assert (Path(colossus_sim.__file__).parent / "py.typed").is_file()


def test_version_is_in_the_changelog_and_citation() -> None:
    """The version is the same everywhere that it is written."""
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {colossus_sim.__version__}\n" in citation
    assert "[Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def _installed_shipped() -> Path | None:
    """Return the installed wheel's copy of the shipped files; None where only a checkout is used."""
    try:
        files = metadata.files("colossus-sim") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix() == "colossus_sim/shipped/scenarios/tiny.yaml":
            return Path(str(file.locate())).parents[1]
    return None


@pytest.mark.skipif(_installed_shipped() is None, reason="colossus_sim is not installed as a wheel here")
def test_wheel_finds_its_shipped_files(tmp_path: Path) -> None:
    """The installed wheel, run far from the checkout, lists and plays its own scenarios."""
    command = [sys.executable, "-P", "-m", "colossus_sim"]
    listed = subprocess.run(
        [*command, "catalog", "scenarios"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert not [name for name in SCENARIOS if name not in listed]
    subprocess.run([*command, "run", "tiny", "--no-plots", "-q"], cwd=tmp_path, check=True, timeout=300)
    assert (tmp_path / "out" / "tiny-central-seed7" / "summary.json").is_file()


@pytest.mark.skipif(_installed_shipped() is None, reason="colossus_sim is not installed as a wheel here")
def test_wheel_ships_what_the_checkout_has() -> None:
    """Topologies and scenarios in the wheel are those of the checkout that it was built from."""
    shipped = _installed_shipped()
    assert shipped is not None
    for kind in ("topologies", "scenarios"):
        inside = {path.name for path in (shipped / kind).glob("*.yaml")}
        assert inside == {path.name for path in (ROOT / kind).glob("*.yaml")}
