"""Reading sweep files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from colossus_sim.errors import ScenarioError, UsageError
from colossus_sim.loading.files import Files, find_sweep, names_in, shipped_folder
from colossus_sim.loading.messages import problems_of
from colossus_sim.loading.nodes import plain
from colossus_sim.loading.tree import parse_overrides
from colossus_sim.sweeps.spec import SweepSpec, Vary


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
    """

    name: str
    spec: SweepSpec
    source: str


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
    return Sweep(name=name, spec=spec, source=source)


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
