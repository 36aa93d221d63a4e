"""What a sweep consists of: points, each a set of overrides, and replicas of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from colossus_sim.loading.load import Case, load_scenario
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.seeds import replica_seed
from colossus_sim.sweeps.task import Task
from colossus_sim.version import MODEL_VERSION

MAX_VALUES = 8
"""Values of one field that the message about another sweep shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of the scenario.

    Attributes
    ----------
    values : mapping of str to str
        What identifies the point in tables and pictures: path -> value as written.
    overrides : tuple of str
        ``path=value`` texts.
    """

    values: dict[str, str]
    overrides: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs of a sweep.

    Attributes
    ----------
    scenario : Scenario
        The scenario without the overrides of points; its facts say where it came from.
    points : tuple of Point
        In order; differences are taken against the first.
    replicas : int
        Runs of each point.
    kind : str
        ``sweep``, ``sample``, ``tornado``, ``changes`` or ``forecast``.
    paired : bool
        Whether replica k has the same seed at every point (common random numbers).
    """

    scenario: Scenario
    source: str
    overrides: tuple[str, ...]
    case: Case
    seed: int
    points: tuple[Point, ...]
    replicas: int
    kind: str = "sweep"
    paired: bool = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what differs between points, in order of appearance."""
        return tuple(dict.fromkeys(name for point in self.points for name in point.values))

    def tasks(self) -> list[Task]:
        """Return all runs in order."""
        return list(self.each_task())

    def each_task(self) -> Iterator[Task]:
        """Yield all runs in order."""
        files = tuple((fact.path, fact.sha256) for fact in self.scenario.loaded.files)
        for number, point in enumerate(self.points):
            overrides = (*self.overrides, *point.overrides)
            for replica in range(self.replicas):
                yield Task(
                    index=number * self.replicas + replica,
                    point=number,
                    replica=replica,
                    source=self.source,
                    overrides=overrides,
                    case=self.case,
                    seed=self._seed(number, replica),
                    files=files,
                )

    def _seed(self, point: int, replica: int) -> int:
        if self.kind == "forecast" and len(self.points) > 1:
            return replica_seed(self.seed, point)
        return replica_seed(self.seed, replica if self.paired else point * self.replicas + replica)

    def _varied(self, name: str) -> str:
        """Return the first values that a field takes, as text."""
        found = list(dict.fromkeys(point.values[name] for point in self.points if name in point.values))
        shown = ", ".join(found[:MAX_VALUES])
        return shown if len(found) <= MAX_VALUES else f"{shown}, ... ({len(found)} values)"

    def header(self) -> dict[str, Any]:
        """Return what must be the same for a sweep to be continued, in a form that shows differences."""
        points = json.dumps([point.overrides for point in self.points])
        return {
            "model_version": MODEL_VERSION,
            "source": self.source,
            "case": self.case,
            "seed": self.seed,
            "kind": self.kind,
            "paired": self.paired,
            "replicas": self.replicas,
            "points": len(self.points),
            **{f"points' {name}": self._varied(name) for name in self.parameters},
            "points_digest": hashlib.blake2b(points.encode(), digest_size=8).hexdigest(),
            "scenario": _leaves(self.scenario.loaded.tree),
        }


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        found: dict[str, Any] = {}
        for name, item in value.items():
            found |= _leaves(item, f"{path}.{name}" if path else str(name))
        return found
    if isinstance(value, (list, tuple)) and value:
        found = {}
        for number, item in enumerate(value):
            found |= _leaves(item, f"{path}[{number}]")
        return found
    return {path: value if not isinstance(value, (dict, list, tuple)) else "empty"}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what differs between two headers, a line each."""
    lines = []
    for name in (*old, *(name for name in new if name not in old)):
        if name == "scenario":
            continue
        if old.get(name) != new.get(name):
            lines.append(f"{name}: {old.get(name)!r} became {new.get(name)!r}")
    before, after = old.get("scenario", {}), new.get("scenario", {})
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path) or (path in before) != (path in after):
            lines.append(f"{path}: {_shown(before, path)} became {_shown(after, path)}")
    return lines


def _shown(leaves: dict[str, Any], path: str) -> str:
    return repr(leaves[path]) if path in leaves else "absent"


def make_plan(
    source: str,
    points: Sequence[Point],
    *,
    replicas: int,
    overrides: Sequence[str] = (),
    case: Case = "central",
    seed: int | None = None,
    kind: str = "sweep",
    paired: bool = True,
) -> Plan:
    """Return the plan of a sweep; the scenario is read and checked.

    Raises
    ------
    ScenarioError
        If the scenario is wrong.
    """
    scenario = load_scenario(source, overrides=overrides, case=case)
    return Plan(
        scenario=scenario,
        source=source,
        overrides=tuple(overrides),
        case=case,
        seed=scenario.seed if seed is None else seed,
        points=tuple(points),
        replicas=replicas,
        kind=kind,
        paired=paired,
    )
