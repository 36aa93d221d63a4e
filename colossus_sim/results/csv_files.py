"""Tables as CSV that spreadsheets cannot run, and that come back as they were.

Text is quoted, numbers are not. A text that a spreadsheet would take for a formula (it starts with
``= + - @``, a tab or a carriage return) gets an apostrophe in front; so does one that starts with an
apostrophe, so that the reader can take exactly one away again. (OWASP ASVS 1.2.10.)
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from colossus_sim.errors import OutputError
from colossus_sim.results.columns import COLUMNS, Column
from colossus_sim.results.spreadsheets import neutralised, recovered
from colossus_sim.results.tables import typed, with_attributes


def _is_text(column: Column) -> bool:
    return column.unit in ("text", "date")


def write_csv(frame: pd.DataFrame, name: str, path: Path) -> None:
    """Write one table."""
    columns = COLUMNS[name]
    cells = [_cells(frame[column.name], column) for column in columns]
    with path.open("x", encoding="utf-8", newline="") as handle:
        handle.write(",".join(column.name for column in columns) + "\n")
        handle.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))


def _cells(values: pd.Series, column: Column) -> list[str]:
    items = values.tolist()
    if _is_text(column):
        # Names repeat; each is quoted once.
        quoted = {text: _quoted(text) for text in dict.fromkeys(items)}
        return [quoted[text] for text in items]
    if column.unit == "bool":
        return ["true" if value else "false" for value in items]
    if pd.api.types.is_integer_dtype(values.dtype):
        return [str(value) for value in items]
    return [_number(value) for value in items]


def _quoted(text: str) -> str:
    doubled = neutralised(text).replace('"', '""')
    return f'"{doubled}"'


def _number(value: float) -> str:
    if value == 0.0:
        return "0"
    if not math.isfinite(value):
        return ""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def read_csv(name: str, path: Path, *, start: float, scenario: str) -> pd.DataFrame:
    """Read one table back, names such as NA, null or 1e5 as the texts they are.

    Raises
    ------
    OutputError
        If the file is missing or is not this table.
    """
    columns = COLUMNS[name]
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            header, *rows = csv.reader(handle)
    except (OSError, ValueError, csv.Error) as error:
        raise OutputError(f"cannot read table {path}: {error}") from error
    places = {column: index for index, column in enumerate(header)}
    if any(len(row) != len(header) for row in rows):
        raise OutputError(f"{path} is damaged: its rows have different lengths")
    missing = [column.name for column in columns if column.name not in places]
    if missing:
        raise OutputError(f"{path} has no column {missing[0]!r}; it was written by another version")
    try:
        cells = list(zip(*rows, strict=True)) or [()] * len(header)
        data = {column.name: typed(_values(cells[places[column.name]], column), column) for column in columns}
    except ValueError as error:
        raise OutputError(f"{path} is damaged: {error}") from error
    return with_attributes(pd.DataFrame(data), name, start=start, scenario=scenario)


def _values(cells: Sequence[str], column: Column) -> list[object]:
    if _is_text(column):
        return [recovered(text) for text in cells]
    if column.unit == "bool":
        return [text == "true" for text in cells]
    return [float(text) if text else math.nan for text in cells]
