"""How a result shows itself in a notebook: jobs, slip by cause, warnings, and the Gantt chart as a picture."""

from __future__ import annotations

import base64
import html
from typing import Any

from colossus_sim.plots import draw_gantt, render
from colossus_sim.results.document import Section, Table, visible
from colossus_sim.results.report import short_sections

MOST_ROWS = 30
"""Rows of a table that are shown."""
UNBROKEN = 14
"""Longest text of a cell that stays on one line. [characters]"""


def notebook_html(result: Any) -> str:
    """Return HTML without scripts: every text is escaped, the chart is an inline PNG."""
    summary = result.summary()
    picture = base64.b64encode(render(draw_gantt(result), "png")).decode()
    title = _text(str(summary["title"]))
    parts = [f"<h3>{title}</h3>", *map(_section, short_sections(summary))]
    parts.append(
        f'<img alt="Gantt chart of {title}" style="max-width:100%" src="data:image/png;base64,{picture}">'
    )
    return "\n".join(parts)


def _section(section: Section) -> str:
    lines = [f"<h4>{_text(section.title)}</h4>", *(f"<p>{_text(words)}</p>" for words in section.paragraphs)]
    if section.points:
        lines.append("<ul>" + "".join(f"<li>{_text(point)}</li>" for point in section.points) + "</ul>")
    if section.table is not None and section.table.rows:
        lines.append(_table(section.table))
    return "\n".join(lines)


def _table(table: Table) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in table.header)
    rows = "".join(
        "<tr>" + "".join(_cell(cell, right=index in table.right) for index, cell in enumerate(row)) + "</tr>"
        for row in table.rows[:MOST_ROWS]
    )
    rest = len(table.rows) - MOST_ROWS
    more = f"<p>and {rest} more rows</p>" if rest > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _cell(text: str, *, right: bool) -> str:
    """Return a cell; dates and numbers with their units never break."""
    wrap = ";white-space:nowrap" if len(text) <= UNBROKEN else ""
    return f'<td style="text-align:{"right" if right else "left"};padding:2px 8px{wrap}">{_text(text)}</td>'


def _text(words: str) -> str:
    return html.escape(visible(words))
