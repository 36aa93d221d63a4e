"""The documentation site builds, without a warning, and shows what it should."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("sphinx", "myst_parser", "furo")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; the test is skipped where Sphinx is absent."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs colossus-sim[docs]: no {', '.join(missing)}")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", str(target / "trees"),
               str(ROOT / "docs"), str(target / "html")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return target / "html"


def test_every_page_is_in_the_site(site: Path) -> None:
    """Each Markdown file of docs/ became a page, and so did the generated ones."""
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    built = {path.stem for path in site.rglob("*.html")}
    assert pages | {"validation", "networks", "limits", "index"} <= built


def test_the_gallery_shows_every_network(site: Path) -> None:
    """Each file of topologies/ has a heading and a picture."""
    text = (site / "generated" / "networks.html").read_text(encoding="utf-8")
    for path in (ROOT / "topologies").glob("*.yaml"):
        assert f"{path.stem}.png" in text


def test_limits_are_those_of_the_reports(site: Path) -> None:
    """The page of limits repeats the list that every report prints."""
    text = (site / "generated" / "limits.html").read_text(encoding="utf-8")
    lines = (ROOT / "colossus_sim" / "results" / "not_modelled.txt").read_text(encoding="utf-8").splitlines()
    assert text.count("<li><p>") + text.count("<li>") >= len([line for line in lines if line])
