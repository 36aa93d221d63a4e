"""A report as data, and its two renderings: Markdown for files, plain text for terminals and pipes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARKDOWN = re.compile(r"([\\`*_\[\]|$~])")
_PIPES = " | "


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts; columns in `right` are right-aligned."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with paragraphs, points, a table, and a block of code, in this order."""

    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: Table | None = None
    code: str = ""


def visible(text: str) -> str:
    """Return `text` on one line with control characters spelled out."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def escape_markdown(text: str) -> str:
    """Return `text` so that Markdown (and HTML made from it) shows it as written."""
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def render_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    lines = [f"# {escape_markdown(title)}", ""]
    for section in sections:
        lines += [f"## {escape_markdown(section.title)}", ""]
        for paragraph in section.paragraphs:
            lines += [escape_markdown(paragraph), ""]
        if section.points:
            lines += [*(f"- {escape_markdown(point)}" for point in section.points), ""]
        if section.table is not None:
            lines += [*_markdown_table(section.table), ""]
        if section.code:
            lines += ["```", section.code.replace("```", "'''"), "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _markdown_table(table: Table) -> list[str]:
    marks = ["---:" if index in table.right else "---" for index in range(len(table.header))]
    rows = [table.header, *table.rows]
    body = [f"| {_PIPES.join(escape_markdown(cell) for cell in row)} |" for row in rows]
    return [body[0], f"| {_PIPES.join(marks)} |", *body[1:]]


def render_text(title: str, sections: Sequence[Section]) -> str:
    """Return the report as plain text; tables are as wide as they need to be, never cut."""
    lines = [visible(title), "=" * len(visible(title)), ""]
    for section in sections:
        heading = visible(section.title)
        lines += [heading, "-" * len(heading)]
        lines += [visible(paragraph) for paragraph in section.paragraphs]
        lines += [f"* {visible(point)}" for point in section.points]
        if section.table is not None:
            lines += text_table(section.table)
        if section.code:
            lines += [f"    {line}" for line in section.code.splitlines()]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def text_table(table: Table) -> list[str]:
    """Return the lines of an aligned table."""
    rows = [tuple(visible(cell) for cell in row) for row in (table.header, *table.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.header))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in table.right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
