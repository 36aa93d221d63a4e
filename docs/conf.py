"""Sphinx settings of the documentation site; pages under generated/ are written when a build starts.

pip install '.[docs]' && sphinx-build -W docs docs/_build/html
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GENERATED = HERE / "generated"
sys.path.insert(0, str(ROOT))

project = "colossus_sim"
author = "The colossus_sim developers"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "generate.py", "make_images.py"]
highlight_language = "none"
html_theme = "furo"
html_title = "colossus_sim"
html_copy_source = False
html_show_copyright = False
suppress_warnings = ["misc.highlighting_failure", "myst.xref_missing"]


def validation_page() -> str:
    """Return the reports of benchmarks/validation in one page."""
    reports = sorted((ROOT / "benchmarks" / "validation").glob("*.md"))
    lines = [
        "# Validation",
        "",
        "The model against published measurements. `colossus-sim validate` makes these numbers again.",
        "",
    ]
    if not reports:
        lines.append("This checkout holds no reports; run `colossus-sim validate` to see the comparison.")
    for report in reports:
        body = report.read_text(encoding="utf-8").splitlines()
        lines += [f"#{line}" if line.startswith("#") else line for line in body] + [""]
    return "\n".join(lines) + "\n"


def gallery_page() -> str:
    """Draw every shipped network, as it is and under uniform load, and return the page that shows them."""
    from colossus_sim.cli.topology import _build, _draw, _facts

    lines = [
        "# Networks",
        "",
        "Every network in `topologies/`, drawn by group: dots are groups, lines are cables, as thick as their",
        "bandwidth; below each, coloured by the load when all GPUs send to all. `colossus-sim topology show NAME",
        "--png FILE --load` draws one, `topology compare` puts several side by side, and",
        "`topology load RUN_FOLDER` shows the load that the jobs of a run made.",
        "",
    ]
    for path in sorted((ROOT / "topologies").glob("*.yaml")):
        built, name = _build(str(path), None), path.stem
        for suffix, load in (("", False), ("_load", True)):
            _draw(built, None, str(GENERATED / f"{name}{suffix}.png"), load=load, dark=False)
        facts = [f"- {label}: {text}" for label, text in _facts(built).items()]
        pictures = [f"![{name}]({name}.png)", "", f"![{name} under uniform load]({name}_load.png)", ""]
        lines += [f"## {name}", "", *pictures, *facts, ""]
    return "\n".join(lines) + "\n"


def limits_page() -> str:
    """Return what is not modelled, one point each, from the file that reports quote."""
    text = (ROOT / "colossus_sim" / "results" / "not_modelled.txt").read_text(encoding="utf-8")
    points = [f"- {line}" for line in text.splitlines() if line]
    return (
        "\n".join(
            ["# Limits", "", "What the simulator leaves out. Every report repeats this list.", "", *points]
        )
        + "\n"
    )


def write_pages(app: Any) -> None:
    """Write the pages under generated/."""
    GENERATED.mkdir(exist_ok=True)
    for name, make in (("validation", validation_page), ("networks", gallery_page), ("limits", limits_page)):
        (GENERATED / f"{name}.md").write_text(make(), encoding="utf-8")


def setup(app: Any) -> None:
    """Ask Sphinx to write the generated pages first."""
    app.connect("builder-inited", write_pages)
