"""What the report of a sweep shows, as plain data: measures at every point, cost against benefit, or a tornado."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from colossus_sim.results.document import Section, Table
from colossus_sim.results.words import OPEN_MARKS, open_mark, open_note

COST = "cluster.gpu_days"
NUMBERS = ("mean", "ci_half_width", "difference", "difference_ci_half_width")


def sweep_chart(study: Mapping[str, Any], points: pd.DataFrame) -> dict[str, Any]:
    """Return the data of the charts: per measure its mean, interval and difference at each point."""
    parameters = list(study["parameters"])
    settings = points.drop_duplicates("point")
    cut = points[points["measure"].isin(study["shown"])]["unfinished"].max() if len(points) else 0
    open_text = f" \u00b7 {open_note('hollow, pale, >= or ~', 'runs')}" if cut else ""
    known = {item["name"]: item for item in study["measures"]}
    by_measure = dict(tuple(points.groupby("measure", sort=False)))
    values = {
        name: _values(frame, grows=known[name]["grows"])
        for name, frame in by_measure.items()
        if frame["mean"].notna().any()
    }
    shown = [name for name in study["shown"] if name in values]
    runs = f"{_runs(study)} per point"
    return {
        "kind": study["kind"],
        "title": study["title"],
        "question": study["question"],
        "headline": f"{study['points']} points, {runs} \u00b7 marks: mean with 95 % interval{open_text}",
        "parameters": [{"name": name, "texts": settings[name].astype(str).tolist()} for name in parameters],
        "measures": [{**known[name], **values[name]} for name in (*shown, *(n for n in values if n not in shown))],
        "shown": len(shown),
        "cost": COST if COST in values else None,
    }  # fmt: skip


def _runs(study: Mapping[str, Any]) -> str:
    most, least = study["replicas"], study.get("least_replicas", study["replicas"])
    return f"{most if least == most else f'{least} to {most}'} run{'s' if most > 1 else ''}"


def _values(frame: pd.DataFrame, *, grows: bool) -> dict[str, list[Any]]:
    """Return the numbers of a measure by point, and the marks of means over runs that the horizon cut off."""
    ordered = frame.sort_values("point")
    marks = [open_mark(bool(count), grows=grows) for count in ordered["unfinished"].tolist()]
    numbers = {
        name: [_rounded(value) for value in ordered[name].tolist()] for name in (*NUMBERS, "unfinished")
    }
    return {**numbers, "marks": marks}


def _rounded(value: float) -> float | None:
    return float(f"{float(value):.6g}") if np.isfinite(value) else None


def sweep_sections(study: Mapping[str, Any], points: pd.DataFrame) -> list[Section]:
    """Return the table of points: settings, and mean, interval and difference of each measure asked for."""
    parameters, known = list(study["parameters"]), {item["name"]: item for item in study["measures"]}
    shown = [name for name in study["shown"] if name in set(points["measure"])]
    cut = set(points["measure"][points["unfinished"] > 0])
    header = ["point", *parameters]
    for name in shown:
        header += [f"{known[name]['label']} [{known[name]['unit']}]", "\u00b1", "difference", "\u00b1"]
        header += ["unfinished"] if name in cut else []
    indexed = points.set_index(["point", "measure"])
    rows = []
    for row in points.drop_duplicates("point").to_dict("records"):
        cells = [str(row["point"]), *(str(row[name]) for name in parameters)]
        for name in shown:
            cells += _cells(indexed, row["point"], known[name])
            cells += [str(indexed.loc[(row["point"], name), "unfinished"])] if name in cut else []
        rows.append(tuple(cells))
    paired = (
        "run by run with the same seeds" if study["paired"] else "of the means; each point has its own seeds"
    )
    about = (
        f"Mean over {_runs(study)} and half of its 95 % t interval; difference to point 0, {paired}, "
        "with half of its 95 % interval. A difference smaller than its interval is not told from chance."
    )
    if not cut.isdisjoint(shown):
        about += f" {OPEN_MARKS[0].upper()}{OPEN_MARKS[1:]}."
    right = (0, *range(1 + len(parameters), len(header)))
    return [
        Section(
            title="Points",
            paragraphs=(about,),
            table=Table(header=tuple(header), rows=tuple(rows), right=right),
        )
    ]


def _cells(indexed: pd.DataFrame, point: int, measure: Mapping[str, Any]) -> list[str]:
    """Return mean, interval, difference and its interval; >= or ~: rests on runs that the horizon cut off."""
    name = measure["name"]
    mean, half, change, half_of_change = (_cell(indexed.loc[(point, name), key]) for key in NUMBERS)
    own, first = (bool(indexed.loc[(number, name), "unfinished"]) for number in (point, 0))
    vague = "~ " if change and point and (own or first) else ""
    mark = open_mark(own and bool(mean), grows=measure["grows"])
    return [mark + mean, half, vague + change, half_of_change]


def _cell(value: float) -> str:
    return "" if not np.isfinite(value) else f"{value:.4g}"
