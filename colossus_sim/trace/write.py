"""Trace files: Perfetto TrackEvent protobuf, and the older Chrome JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from colossus_sim.errors import OutputError
from colossus_sim.results.files import output_errors
from colossus_sim.trace.model import Trace, Track

SEQUENCE = 1
"""Id of the one packet sequence; ids of tracks count up from here as well."""


def write_trace(trace: Trace, path: str | Path, *, chrome: bool = False) -> Path:
    """Write a trace and return the path; Perfetto's own format unless `chrome`.

    Raises
    ------
    OutputError
        If the file cannot be written, or the package perfetto is missing.
    """
    target = Path(path)
    data = chrome_json(trace).encode() if chrome else perfetto_bytes(trace)
    partial = target.with_name(f".{target.name}.part")
    with output_errors(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(target)
    return target


def perfetto_bytes(trace: Trace) -> bytes:
    """Return a trace as TrackEvent protobuf (https://perfetto.dev/docs/reference/synthetic-track-event).

    Raises
    ------
    OutputError
        If the package perfetto is missing.
    """
    try:
        from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as Message
    except ImportError as error:
        raise OutputError(
            "Perfetto traces need the package perfetto; install colossus-sim[trace], or ask for Chrome JSON"
        ) from error
    message = Message()
    groups: dict[str, int] = {}
    for track in trace.tracks:
        if track.group not in groups:
            groups[track.group] = len(groups) + 1
            _describe(message, groups[track.group], name=track.group)
    for number, track in enumerate(trace.tracks, start=len(groups) + 1):
        _describe(message, number, name=track.name, parent=groups[track.group], unit=track.unit)
        _add_events(message, number, track)
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def _describe(message: Any, uuid: int, *, name: str, parent: int = 0, unit: str = "") -> None:
    packet = message.packet.add()
    packet.trusted_packet_sequence_id = SEQUENCE
    packet.timestamp = 0
    packet.track_descriptor.uuid = uuid
    packet.track_descriptor.name = name
    if parent:
        packet.track_descriptor.parent_uuid = parent
    if unit:
        packet.track_descriptor.counter.unit_name = unit
    # 3: children in the order of their descriptors' ranks (TrackDescriptor.ChildTracksOrdering.EXPLICIT).
    packet.track_descriptor.child_ordering = 3
    packet.track_descriptor.sibling_order_rank = uuid


def _add_events(message: Any, uuid: int, track: Track) -> None:
    # TrackEvent.Type: 1 slice begin, 2 slice end, 3 instant, 4 counter.
    for item in track.slices:
        event = _event(message, uuid, item.start, 1, item.name, item.category)
        _annotate(event, item.details)
        _event(message, uuid, item.end, 2)
    for mark in track.marks:
        event = _event(message, uuid, mark.time, 3, mark.name, mark.category)
        _annotate(event, mark.details)
    for count in track.counters:
        _event(message, uuid, count.time, 4).double_counter_value = count.value


def _event(message: Any, uuid: int, time: int, kind: int, name: str = "", category: str = "") -> Any:
    packet = message.packet.add()
    packet.timestamp = time
    packet.trusted_packet_sequence_id = SEQUENCE
    event = packet.track_event
    event.type = kind
    event.track_uuid = uuid
    if name:
        event.name = name
    if category:
        event.categories.append(category)
    return event


def _annotate(event: Any, details: tuple[tuple[str, str], ...]) -> None:
    for name, text in details:
        note = event.debug_annotations.add()
        note.name = name
        note.string_value = text


def chrome_json(trace: Trace) -> str:
    """Return a trace in the Trace Event Format of Chrome, which knows no overlaps within a track.

    Times are whole microseconds, rounded down: a start plus a length in fractions of them misses the next start by
    some nanoseconds, and Perfetto drops slices that overlap.
    """
    events = list(_chrome_events(trace))
    document = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"title": trace.title}}
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def _chrome_events(trace: Trace) -> Iterator[dict[str, Any]]:
    groups: dict[str, int] = {}
    for number, track in enumerate(trace.tracks, start=1):
        if track.group not in groups:
            groups[track.group] = len(groups) + 1
            yield _named("process_name", groups[track.group], 0, track.group)
        place = {"pid": groups[track.group], "tid": number}
        if not track.counters:
            yield _named("thread_name", place["pid"], number, track.name)
        for item in track.slices:
            yield {**place, "ph": "X", "name": item.name, "cat": item.category, "ts": item.start // 1000,
                   "dur": item.end // 1000 - item.start // 1000, "args": dict(item.details)}  # fmt: skip
        for mark in track.marks:
            yield {**place, "ph": "i", "s": "t", "name": mark.name, "cat": mark.category, "ts": mark.time // 1000,
                   "args": dict(mark.details)}  # fmt: skip
        for count in track.counters:
            yield {"pid": place["pid"], "ph": "C", "name": f"{track.name} [{track.unit}]", "ts": count.time // 1000,
                   "args": {"value": count.value}}  # fmt: skip


def _named(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}
