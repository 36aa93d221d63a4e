"""Measured times between failures from a CSV file."""

from __future__ import annotations

import csv
import io
import math

from colossus_sim.loading.nodes import Node, Origin, refuse

_UNITS = {"gap_s": "s", "gap_h": "h"}
"""Columns that hold gaps, and their units."""


def read_gaps(data: bytes, pointer: Node, shown: str, path: str) -> Node:
    """Return the gaps of a CSV file as a list of durations.

    Parameters
    ----------
    data : bytes
        Content: a header line that names a column ``gap_s`` or ``gap_h``, then one gap a line.
    pointer : Node
        The reference to it, for messages and origins.
    shown : str
        The file's name in messages.
    path : str
        Dotted path of the reference.

    Raises
    ------
    ScenarioError
        If there is no such column, or a value in it is not a number from 0 up.
    """
    lines = io.StringIO(data.decode("utf-8-sig", errors="replace"))
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    name = next((column for column in rows.fieldnames or () if column in _UNITS), None)
    if name is None:
        raise refuse(
            pointer.origin,
            f"{shown} has no column {' or '.join(_UNITS)}",
            path=path,
            hint="name it in line 1",
        )
    gaps = []
    for number, row in enumerate(rows, start=2):
        try:
            value = float(row[name])
        except (TypeError, ValueError):
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise refuse(
                pointer.origin, f"{shown}, row {number}: {row[name]!r} is not a number from 0 up", path=path
            )
        gaps.append(Node(f"{value!r} {_UNITS[name]}", Origin(shown, number), None))
    return Node(tuple(gaps), pointer.origin, pointer.key)
