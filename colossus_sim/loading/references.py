"""The fields of a scenario that name a catalog entry."""

from __future__ import annotations

Path = tuple[str | int, ...]

REFERENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("jobs", "*", "model"), "models"),
    (("jobs", "*", "parallel", "stack"), "stacks"),
    (("jobs", "*", "phases", "*", "parallel", "stack"), "stacks"),
    (("cluster", "sites", "*", "topology"), "topologies"),
    (("cluster", "sites", "*", "topology", "collectives"), "collectives"),
    (("cluster", "sites", "*", "topology", "parts"), "parts"),
    (("cluster", "sites", "*", "partitions", "*", "gpu"), "gpus"),
    (("cluster", "sites", "*", "storage"), "storage"),
    (("faults",), "faults"),
    (("calibration",), "calibrations"),
)
"""Path pattern (``*`` is any name) and the kind of catalog."""

KINDS = (
    "gpus",
    "models",
    "topologies",
    "collectives",
    "storage",
    "stacks",
    "calibrations",
    "faults",
    "parts",
    "scenarios",
)
"""What ``colossus-sim catalog`` can list."""


def reference_kind(path: Path) -> str | None:
    """Return the catalog that the field at `path` names an entry of, or None."""
    for pattern, kind in REFERENCES:
        if len(pattern) == len(path) and _matches(pattern, path):
            return kind
    return None


def nested_references(kind: str) -> list[tuple[tuple[str, ...], str]]:
    """Return the references inside entries of a kind: path within the entry, and the catalog they name."""
    outer = [pattern for pattern, named in REFERENCES if named == kind][:1]
    return [
        (pattern[len(start) :], named)
        for start in outer
        for pattern, named in REFERENCES
        if len(pattern) > len(start) and pattern[: len(start)] == start
    ]


def reaches_into_reference(path: Path) -> bool:
    """Say whether `path` goes on inside an entry, e.g. ``jobs.a.model.hidden_size``."""
    return any(
        len(path) > len(pattern) and _matches(pattern, path[: len(pattern)]) and path[len(pattern)] != "use"
        for pattern, _ in REFERENCES
    )


def _matches(pattern: tuple[str, ...], path: Path) -> bool:
    return all(want in ("*", have) for want, have in zip(pattern, path, strict=True))
