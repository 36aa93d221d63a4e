"""Reading sweep files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from colossus_sim.errors import ColossusError, Problem, ScenarioError, UsageError
from colossus_sim.loading.files import Files, find_sweep, names_in, shipped_folder
from colossus_sim.loading.messages import dotted_path, problems_of
from colossus_sim.loading.nodes import Node, Origin, lookup, plain, problem_at, refuse
from colossus_sim.loading.tree import parse_overrides
from colossus_sim.sweeps.points import override
from colossus_sim.sweeps.spec import SweepSpec, Vary, VaryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep file, or what the command line gives in its place.

    Attributes
    ----------
    name : str
        Names the folder of results.
    spec : SweepSpec
        The content.
    source : str
        Name or path of the scenario, as seen from the working directory.
    tree : Node or None
        The file; None if the command line gave it.
    """

    name: str
    spec: SweepSpec
    source: str
    tree: Node | None = None

    def located(self, error: VaryError) -> ColossusError:
        """Return an error in what is to vary with its place in the file, or its option."""
        if self.tree is None:
            option, *keys = error.place or ("--set-grid",)
            words = [_OPTIONS.get(str(option), str(option)), *(key for key in keys if isinstance(key, str))]
            return UsageError(f"{' '.join(words)}: {error}")
        return self.at(str(error), "vary", *error.place)

    def at(self, message: str, *place: str | int) -> ColossusError:
        """Return an error with the place of a field in the file, or of what is there of the way to it."""
        if self.tree is None:
            return UsageError(message)
        found = (lookup(self.tree, place[:length]) for length in range(len(place), 0, -1))
        node = next((item for item in found if item is not None), self.tree)
        origin = node.origin if node.mapping is None else node.key or node.origin
        return refuse(origin, message, path=dotted_path(place))

    def named(self, error: ScenarioError, given: int, point: Sequence[str] = ()) -> ScenarioError:
        """Return an error of a scenario with each override called by where it was written.

        Parameters
        ----------
        given : int
            How many overrides of the command line follow those of the file.
        point : sequence of str
            Overrides of a point, which come last.
        """
        own = self.tree.child("set") if self.tree is not None else None
        places = [node.origin for node in (own.mapping or {}).values()] if own is not None else []
        texts = [*(f"--set #{number}" for number in range(1, given + 1)),
                 *(f"{self._place_of(text)}point with {text}" for text in point)]  # fmt: skip
        every: list[Origin | str] = [*places, *texts]
        called = {f"--set #{number}": place for number, place in enumerate(every, start=1)}
        scenario = self.tree.child("scenario") if self.tree is not None else None
        if scenario is not None and not any(item.where or item.path for item in error.problems):
            problems = [replace(item, path="scenario") for item in error.problems]
            return ScenarioError([_called(item, scenario.origin) for item in problems])
        return ScenarioError([_called(item, called.get(item.where)) for item in error.problems])

    def _place_of(self, text: str) -> str:
        """Return where the file varies the field of a point's override, with a colon; empty if it does not."""
        vary = self.tree.child("vary") if self.tree is not None else None
        if vary is None:
            return ""
        path, _, _ = text.partition("=")
        shared = [lookup(vary, place) for place in (("grid",), ("zip",), ("sample", "ranges"))]
        nodes = [node.child(path) for node in shared if node is not None]
        alone = [node for node in (vary.child("list"), vary.child("changes")) if node is not None]
        for group in alone:
            listed = group.value if isinstance(group.value, tuple) else (group.mapping or {}).values()
            found = (entry.child(path) for entry in listed)
            nodes += [node for node in found if node is not None and override(path, plain(node)) == text]
        return next((f"{node.key}: " for node in nodes if node is not None), "")


def _called(problem: Problem, place: Origin | str | None) -> Problem:
    if isinstance(place, Origin):
        return problem_at(place, problem.message, path=problem.path, hint=problem.hint)
    return problem if place is None else replace(problem, where=place)


_OPTIONS = {"grid": "--set-grid", "zip": "--set-zip", "tornado": "--tornado"}


def read_sweep(path_or_name: str) -> Sweep:
    """Read and check a sweep file, or a shipped one by name.

    Raises
    ------
    ScenarioError
        With every problem and its place.
    """
    path = find_sweep(path_or_name)
    files = Files()
    tree = files.read_yaml(path)
    try:
        spec = SweepSpec.model_validate(plain(tree))
    except ValidationError as error:
        raise ScenarioError(problems_of(error, SweepSpec, tree)) from None
    name = path.stem
    node = tree.child("scenario")
    source = spec.scenario
    if node is not None and source not in names_in(shipped_folder("scenarios")):
        source = str(files.resolve(source, node.origin, "scenario"))
    return Sweep(name=name, spec=spec, source=source, tree=tree)


def is_sweep_file(path_or_name: str) -> bool:
    """Say whether a file (or shipped name) is a sweep and not a scenario: it has the key ``vary``."""
    if path_or_name in names_in(shipped_folder("sweeps")):
        return True
    path = Path(path_or_name)
    if not path.is_file() or path.suffix.lower() not in (".yaml", ".yml"):
        return False
    return Files().read_yaml(path).child("vary") is not None


def sweep_of_flags(
    source: str, *, grid: Sequence[str] = (), zipped: Sequence[str] = (), tornado: Sequence[str] | None = None
) -> Sweep:
    """Return the sweep of ``--set-grid`` and ``--set-zip`` texts ``path=v1,v2`` over a scenario.

    Raises
    ------
    UsageError
        If a text is not that.
    """
    vary = Vary.model_validate(
        {
            "grid": dict(_values(text, "--set-grid") for text in grid),
            "zip": dict(_values(text, "--set-zip") for text in zipped),
            "tornado": None if tornado is None else {"assumptions": tuple(tornado)},
        }
    )
    spec = SweepSpec(version=1, scenario=source, vary=vary)
    return Sweep(name=Path(source).stem, spec=spec, source=source)


def _values(text: str, option: str) -> tuple[str, tuple[object, ...]]:
    path, sign, rest = text.partition("=")
    if not sign or not path.strip() or not rest.strip():
        raise UsageError(f"{option}: expected path=value,value,..., got {text!r}")
    # The values are read like those of --set, in one flow list.
    listed = rest if rest.lstrip().startswith("[") else f"[{rest}]"
    try:
        node = parse_overrides([f"{path}={listed}"])[0].node
    except ScenarioError as error:
        raise UsageError(f"{option} {text!r}: {error.problems[0].message}") from None
    values = plain(node)
    if not isinstance(values, tuple) or not values:
        raise UsageError(f"{option}: expected path=value,value,..., got {text!r}")
    return path.strip(), values
