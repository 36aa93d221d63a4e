"""Determinism: the same scenario, case and seed give the same run folder, byte for byte, anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def folder_hashes(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a run folder; of run.json without the wall times that it notes."""
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    notes = json.loads(found["run.json"])
    assert notes.pop("wall_time_s")
    found["run.json"] = json.dumps(notes).encode()
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def run_elsewhere(where: Path, *options: str, **environment: str) -> dict[str, str]:
    """Play the tiny scenario in a process of its own in a folder of its own; return the digests."""
    where.mkdir(parents=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-m", "colossus_sim", "run", "tiny", "-q", "--out", "run", *options]
    subprocess.run(
        command, cwd=where, env={**os.environ, "PYTHONPATH": path, **environment}, check=True, timeout=300
    )
    return folder_hashes(where / "run")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of a first run."""
    where = tmp_path_factory.mktemp("first") / "a"
    return run_elsewhere(where, "--plots", "gantt", PYTHONHASHSEED="0", TZ="UTC", LC_ALL="C")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Chatham"},
        {"LC_ALL": "C.UTF-8", "LANG": "de_DE.UTF-8", "PYTHONOPTIMIZE": "2", "COLUMNS": "40"},
    ],
    ids=lambda environment: " ".join(environment),
)
def test_environment_does_not_matter(
    environment: dict[str, str], reference: dict[str, str], tmp_path: Path
) -> None:
    """Hash seed, time zone, locale, optimisation and the folder it runs in change no byte."""
    assert run_elsewhere(tmp_path / "some where" / "else", "--plots", "gantt", **environment) == reference


def test_seed_matters(reference: dict[str, str], tmp_path: Path) -> None:
    """Another seed gives another summary, so that the comparisons above mean something."""
    other = run_elsewhere(tmp_path / "b", "--no-plots", "--seed", "8")
    assert other["summary.json"] != reference["summary.json"]
    assert other["events.csv"] != reference["events.csv"]
