"""The interactive report of a sweep or forecast folder, read from its files; nothing is simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from colossus_sim.errors import OutputError
from colossus_sim.html.page import page_text, write_page
from colossus_sim.html.study_forecast import forecast_chart, forecast_sections
from colossus_sim.html.study_sweep import sweep_chart, sweep_sections
from colossus_sim.results.document import Section, Table
from colossus_sim.results.report import not_modelled, ranges_section, sources_section
from colossus_sim.results.study_file import SCHEMA_VERSION, STUDY_FILE

SCRIPTS = (
    "vendor/echarts.min.js",
    "assets/common.js",
    "assets/study_kit.js",
    "assets/study_forecast.js",
    "assets/study_sweep.js",
    "assets/study.js",
)
"""Scripts in the order in which they run."""


def is_study(folder: str | Path) -> bool:
    """Say whether a folder holds a sweep or a forecast."""
    root = Path(folder)
    return (root / STUDY_FILE).is_file() or any(root.glob("journal*.jsonl"))


def write_study(folder: str | Path, path: str | Path) -> Path:
    """Write the report of a sweep or forecast folder to an HTML file and return its path.

    Raises
    ------
    OutputError
        If the folder is not complete or the file cannot be written.
    """
    return write_page(render_study(folder), path)


def render_study(folder: str | Path) -> str:
    """Return the report as one HTML document; the same folder gives the same bytes.

    Raises
    ------
    OutputError
        If the folder is not that of a finished sweep or forecast.
    """
    root = Path(folder)
    study = _document(root, STUDY_FILE)
    if study.get("schema_version") != SCHEMA_VERSION:
        raise OutputError(f"{root / STUDY_FILE} has another version; run its command again with --resume")
    runs = _table(root, "results")
    if study["kind"] == "forecast":
        forecast = _document(root, "forecast.json")
        start = datetime.fromisoformat(study["start_date"]).timestamp() * 1000.0
        chart = forecast_chart(study, forecast, _table(root, "phases"), runs, start)
        own = forecast_sections(study, forecast)
    else:
        points = _table(root, "points", texts=study["parameters"])
        chart, own = sweep_chart(study, points), sweep_sections(study, points)
    sections = [*own, *common_sections(study, runs)]
    data = {"chart": chart, "sections": [_plain(item) for item in sections]}
    return page_text(str(study["title"]), data, scripts=SCRIPTS, page="assets/study.html")


def common_sections(study: Mapping[str, Any], runs: pd.DataFrame) -> list[Section]:
    """Return what every study ends with: failed runs, assumptions, sources, definitions, limits, command."""
    assumptions = pd.DataFrame(study["assumptions"], columns=["path", "value", "low", "central", "high", "kind",
                                                              "source", "note"])  # fmt: skip
    meanings = {
        item["name"].rpartition(".")[2]: (item["unit"], item["meaning"]) for item in study["measures"]
    }
    words = tuple((name, *rest) for name, rest in meanings.items())
    found = [
        _failed(runs),
        ranges_section(assumptions),
        sources_section(assumptions),
        Section(title="Definitions", table=Table(header=("measure", "unit", "meaning"), rows=words)),
        Section(title="What is not modelled", points=not_modelled()),
        _reproduce(study, runs),
    ]
    return [item for item in found if item.points or item.code or (item.table and item.table.rows)]


def _failed(runs: pd.DataFrame) -> Section:
    bad = runs[runs["status"] != "done"]
    rows = tuple(
        (str(row["point"]), str(row["seed"]), str(row["error"]).splitlines()[0])
        for row in bad.to_dict("records")
    )
    return Section(
        title="Failed runs",
        paragraphs=("These runs gave no result and are left out of every figure of this page.",),
        table=Table(header=("point", "seed", "why"), rows=rows, right=(0, 1)),
    )


def _reproduce(study: Mapping[str, Any], runs: pd.DataFrame) -> Section:
    sampled = study["kind"] == "forecast" and study["points"] > 1
    drawn = "; draws.csv has what was drawn for it, and the command that plays it alone" if sampled else ""
    about = (
        f"Version {study['version']} (model version {study['model_version']}), seed {study['seed']}, case "
        f"{study['case']}, {len(runs):,} runs. The same version, scenario and seed give the same results. Every "
        f"run is a row of results.csv, with its seed{drawn}."
    )
    return Section(title="How to reproduce", paragraphs=(about,), code=str(study["command"]))


def _plain(section: Section) -> dict[str, Any]:
    return {key: value for key, value in asdict(section).items() if value}


def _document(root: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads((root / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(
            f"{root} has no {name}: the sweep or forecast did not end, or an earlier version wrote it; run its "
            "command again with --resume, which plays only what is missing"
        ) from error
    except ValueError as error:
        raise OutputError(f"{root / name} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise OutputError(f"{root / name} is damaged: not a mapping")
    return document


def _table(root: Path, name: str, *, texts: Sequence[str] = ()) -> pd.DataFrame:
    path = root / f"{name}.csv"
    try:
        frame = pd.read_csv(
            path, keep_default_na=False, na_values=[""], low_memory=False, dtype=dict.fromkeys(texts, str)
        )
    except OSError as error:
        raise OutputError(f"{root} has no {path.name}; run its command again with --resume") from error
    except ValueError as error:
        raise OutputError(f"{path} is damaged: {error}") from error
    return frame.assign(**{text: frame[text].fillna("") for text in texts})
