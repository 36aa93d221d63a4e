"""The timeline of a run: a track per phase of each job, sites, failures, and counters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from colossus_sim.trace.model import Counter, Mark, Slice, Trace, Track, nanoseconds

COUNTERS = (
    ("installed GPUs", "installed", "GPUs"),
    ("allocated GPUs", "allocated", "GPUs"),
    ("running GPUs", "running", "GPUs"),
    ("stranded GPUs", "stranded", "GPUs"),
    ("down GPUs", "down", "GPUs"),
    ("queued jobs", "queued_jobs", "jobs"),
    ("power", "power_MW", "MW"),
)
"""Name, column of the table ``utilization``, and unit of each counter of a site."""


def run_trace(result: Any) -> Trace:
    """Return the timeline of a run from its tables; time zero is the scenario's start."""
    tables = result.tables
    tracks = [
        *_job_tracks(tables),
        *_site_tracks(tables["events"]),
        *_counter_tracks(tables["utilization"]),
    ]
    return Trace(title=str(result.summary()["title"]), tracks=tuple(tracks))


def _job_tracks(tables: Mapping[str, pd.DataFrame]) -> Iterator[Track]:
    """Give two tracks per phase: the phase as a whole with its failures, and its states."""
    intervals = dict(tuple(tables["intervals"].groupby(["job", "phase"], sort=False)))
    events = tables["events"]
    hits = dict(tuple(events[events["kind"] == "failure"].groupby(["job", "phase"], sort=False)))
    last = _last(tables)
    titles = dict(zip(tables["jobs"]["job"], tables["jobs"]["title"], strict=True))
    for row in tables["phases"].to_dict("records"):
        key = (row["job"], row["phase"])
        title = titles.get(row["job"])
        group = f"{title if isinstance(title, str) and title else row['job']} ({row['job']})"
        yield Track(
            name=str(row["phase"]),
            group=group,
            slices=_phase_slice(row, last),
            marks=tuple(_mark(event) for event in _records(hits.get(key))),
        )
        yield Track(name=f"{row['phase']}: state", group=group, slices=tuple(_states(intervals.get(key))))


def _last(tables: Mapping[str, pd.DataFrame]) -> float:
    ends = [
        float(tables[name][column].max())
        for name, column in (("intervals", "end_s"), ("utilization", "time_s"), ("gpu_time", "end_s"))
        if len(tables[name])
    ]
    return max(ends, default=0.0)


def _records(table: pd.DataFrame | None) -> list[dict[Any, Any]]:
    return [] if table is None else table.to_dict("records")


def _phase_slice(row: Mapping[Any, Any], last: float) -> tuple[Slice, ...]:
    if _missing(row["start_s"]):
        return ()
    end = last if _missing(row["end_s"]) else float(row["end_s"])
    details = tuple(
        (name, str(row[name]))
        for name in ("gpus_wanted", "units", "units_done", "interruptions")
        if not _missing(row[name])
    )
    name = row["title"] if isinstance(row["title"], str) and row["title"] else str(row["phase"])
    return (Slice(name, nanoseconds(float(row["start_s"])), nanoseconds(end), str(row["kind"]), details),)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def _states(table: pd.DataFrame | None) -> Iterator[Slice]:
    """Give the states of a phase; touching intervals of one state are joined."""
    open_slice: Slice | None = None
    rows = [] if table is None else zip(table["state"], table["start_s"], table["end_s"], strict=True)
    for state, start, end in rows:
        first, last = nanoseconds(float(start)), nanoseconds(float(end))
        if open_slice is not None and open_slice.name == state and first <= open_slice.end + 1:
            open_slice = open_slice._replace(end=last)
            continue
        if open_slice is not None:
            yield open_slice
        open_slice = Slice(str(state), first, last, "state")
    if open_slice is not None:
        yield open_slice


def _mark(event: Mapping[Any, Any]) -> Mark:
    details = tuple(
        (name, str(event[name]))
        for name in ("partition", "job", "phase", "value", "note")
        if not _missing(event[name]) and event[name] != ""
    )
    subject = event["subject"] if isinstance(event["subject"], str) else ""
    name = subject if event["kind"] == "failure" and subject else f"{event['kind']} {subject}".strip()
    return Mark(name, nanoseconds(float(event["time_s"])), str(event["kind"]), details)


def _site_tracks(events: pd.DataFrame) -> Iterator[Track]:
    """Give the failures of each site, whether they hit a job or not, and its other events."""
    for site, own in events.groupby("site", sort=True):
        failed = own["kind"] == "failure"
        yield Track(name="failures", group=f"site {site}", marks=tuple(map(_mark, _records(own[failed]))))
        other = own[~failed & ~own["kind"].isin(("repair", "save"))]
        yield Track(name="events", group=f"site {site}", marks=tuple(map(_mark, _records(other))))


def _counter_tracks(levels: pd.DataFrame) -> Iterator[Track]:
    """Give GPUs, queue and power of each site: the sum over its partitions."""
    for site, own in levels.groupby("site", sort=True):
        for name, column, unit in COUNTERS:
            table = own.pivot_table(index="time_s", columns="partition", values=column, aggfunc="last")
            total = table.sort_index().ffill().fillna(0.0).sum(axis=1)
            changed = total[total.diff().fillna(1.0) != 0.0]
            values = tuple(
                Counter(nanoseconds(float(time)), float(value))
                for time, value in zip(changed.index.tolist(), changed.tolist(), strict=True)
            )
            yield Track(name=name, group=f"site {site}", counters=values, unit=unit)
