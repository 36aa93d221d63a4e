"""The sections of the written report as plain data for the page."""

from __future__ import annotations

from typing import Any

from colossus_sim.results.document import Section
from colossus_sim.results.report import all_sections


def section_data(result: Any) -> list[dict[str, Any]]:
    """Return title, paragraphs, points, table and code of every section of the report."""
    return [_section(section) for section in all_sections(result.summary(), result.tables, result.manifest)]


def _section(section: Section) -> dict[str, Any]:
    data: dict[str, Any] = {"title": section.title}
    if section.paragraphs:
        data["paragraphs"] = list(section.paragraphs)
    if section.points:
        data["points"] = list(section.points)
    if section.table is not None and section.table.rows:
        table = section.table
        data["table"] = {"header": table.header, "rows": table.rows, "right": table.right}
    if section.code:
        data["code"] = section.code
    return data
