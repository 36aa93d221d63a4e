"""One self-contained page: data as inert JSON, own script, charting library, styles, all inlined."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from colossus_sim.html.chart import chart_data
from colossus_sim.html.sections import section_data
from colossus_sim.results.files import output_errors

SCRIPTS = (
    "vendor/echarts.min.js",
    "assets/common.js",
    "assets/gantt.js",
    "assets/story.js",
    "assets/report.js",
)
"""Scripts in the order in which they run."""


def write_report(result: Any, path: str | Path) -> Path:
    """Write the report of a run to an HTML file and return its path.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    return write_page(render_report(result), path)


def write_page(page: str, path: str | Path) -> Path:
    """Write an HTML document, whole or not at all, and return its path.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.part")
    with output_errors(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(page, encoding="utf-8", newline="\n")
        partial.replace(target)
    return target


def render_report(result: Any) -> str:
    """Return the report of a run as one HTML document; the same run gives the same bytes."""
    data = {"chart": chart_data(result), "sections": section_data(result)}
    return page_text(result.summary()["title"], data, scripts=SCRIPTS, page="assets/page.html")


def page_text(title: str, data: Mapping[str, Any], *, scripts: Sequence[str], page: str) -> str:
    """Return a page of our assets with its data and scripts inlined, and a policy that allows nothing else."""
    texts = [_asset(name) for name in scripts]
    parts = {
        "TITLE": html.escape(title),
        "POLICY": _policy(texts),
        "STYLE": _asset("assets/report.css"),
        "DATA": inert_json(data),
        "SCRIPTS": "\n".join(f"<script>{text}</script>" for text in texts),
    }
    return "".join(
        parts.get(piece, piece) for piece in (_asset("assets/head.html") + _asset(page)).split("@@")
    )


def inert_json(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end its script element, whatever the names in it; NaN and infinity become null."""
    text = json.dumps(_finite(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _policy(scripts: list[str]) -> str:
    """Return a content security policy under which only our scripts run and nothing can be fetched."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    hashes = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (files("colossus_sim.html") / name).read_text(encoding="utf-8")
