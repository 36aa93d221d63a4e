"""Which files may be read, where they are, and what was read."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from colossus_sim.loading.facts import FileFact
from colossus_sim.loading.nodes import Node, Origin, refuse
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.loading.yaml_source import MAX_BYTES, parse_yaml

YAML_SUFFIXES = (".yaml", ".yml")
STDIN = "-"
MAX_NAME = 255
"""Most bytes of a file's name that common file systems hold."""


def package_folder() -> Path:
    """Return the folder of the installed package."""
    return Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Return the folder of the catalogs."""
    return package_folder() / "data"


def shipped_folder(kind: str) -> Path | None:
    """Return the folder of shipped files: ``topologies``, ``scenarios``, ``sweeps``; in the package or checkout."""
    package = package_folder()
    for folder in (package / "shipped" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    return None


ParsedTrees = dict[tuple[str, str], Node]
"""Trees of YAML files by the path that is shown and the SHA-256 of what was read."""


class Files:
    """Reads each file once and remembers what it read.

    Parameters
    ----------
    parsed : dict, optional
        What was parsed before, which this adds to: files are read again, but those that are as they were are not
        parsed again.
    """

    def __init__(self, parsed: ParsedTrees | None = None) -> None:
        self._parsed = {} if parsed is None else parsed
        self._trees: dict[Path, Node] = {}
        self._facts: dict[Path, FileFact] = {}
        self._folders: dict[str, Path] = {}

    @property
    def facts(self) -> tuple[FileFact, ...]:
        """Every file read so far, in order of path."""
        return tuple(sorted(self._facts.values(), key=lambda fact: fact.path))

    def folder_of(self, origin: Origin) -> Path:
        """Return the folder that paths written at `origin` are relative to."""
        return self._folders.get(origin.source, Path())

    def read_yaml(self, path: Path, *, asked_by: Origin | None = None, field: str = "") -> Node:
        """Return the tree of a YAML file.

        Raises
        ------
        ScenarioError
            If the file is missing, is not YAML by its name, or is not strict YAML.
        """
        key = _real(path)
        if key not in self._trees:
            data = self.read_bytes(path, YAML_SUFFIXES, asked_by=asked_by, field=field)
            shown = show(path)
            self._folders[shown] = path.parent
            known = shown, self._facts[key].sha256
            if known not in self._parsed:
                self._parsed[known] = parse_yaml(data, shown)
            self._trees[key] = self._parsed[known]
        return self._trees[key]

    def read_stdin(self) -> Node:
        """Return the tree of the YAML document on standard input."""
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
        self._facts[Path(STDIN)] = FileFact(path="<stdin>", sha256=hashlib.sha256(data).hexdigest())
        return parse_yaml(data, "<stdin>")

    def read_bytes(
        self, path: Path, suffixes: tuple[str, ...], *, asked_by: Origin | None = None, field: str = ""
    ) -> bytes:
        """Return the bytes of a file whose name, and the name of what it links to, has one of `suffixes`.

        Raises
        ------
        ScenarioError
            If it is missing, a folder, unreadable, or of another kind (its content is never shown then).
        """
        shown = show(path)
        real = _real(path)
        if path.suffix.lower() not in suffixes or real.suffix.lower() not in suffixes:
            raise refuse(asked_by, f"{shown} is not a file of type {' or '.join(suffixes)}", path=field)
        if not path.exists():
            raise refuse(asked_by, f"no such file: {shown}", path=field, hint=_neighbours(path))
        if not path.is_file():
            raise refuse(asked_by, f"{shown} is not an ordinary file", path=field)
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise refuse(asked_by, f"cannot read {shown}: {error.strerror}", path=field) from None
        self._facts[real] = FileFact(path=shown, sha256=hashlib.sha256(data).hexdigest())
        return data

    def resolve(self, text: str, asked_by: Origin, field: str) -> Path:
        """Return the path that a file names in `text`, relative to that file.

        Raises
        ------
        ScenarioError
            If the path is absolute.
        """
        if not is_safe_text(text):
            raise refuse(asked_by, "the path is too long, or has control characters", path=field)
        if Path(text).is_absolute() or text.startswith("~"):
            raise refuse(
                asked_by,
                f"absolute paths are not allowed in a file: {text}",
                path=field,
                hint="write it relative to this file",
            )
        return self.folder_of(asked_by) / text


def is_safe_text(text: str) -> bool:
    """Say whether a name can be used as a path: printable and not too long, neither as a whole nor in a part."""
    if not text.isprintable() or not 0 < len(text) < 1000:
        return False
    return all(len(part.encode()) <= MAX_NAME for part in text.split("/"))


def show(path: Path) -> str:
    """Return how a file is called in messages: as given, shipped files without the way to them."""
    package = package_folder()
    for folder in (package, package.parent):
        if path.is_absolute() and path.is_relative_to(folder):
            return str(path.relative_to(package.parent))
    return str(path)


def find_scenario(path_or_name: str) -> Path:
    """Return the file of a scenario given by path or by the name of a shipped one.

    Raises
    ------
    ScenarioError
        If there is none; with the nearest names.
    """
    return _find(path_or_name, "scenario")


def find_sweep(path_or_name: str) -> Path:
    """Return the file of a sweep given by path or by the name of a shipped one.

    Raises
    ------
    ScenarioError
        If there is none; with the nearest names.
    """
    return _find(path_or_name, "sweep")


def _find(path_or_name: str, kind: str) -> Path:
    if not is_safe_text(path_or_name):
        raise refuse(None, f"the name of the {kind} file is empty, too long, or has control characters")
    path = Path(path_or_name)
    if path.suffix.lower() in YAML_SUFFIXES or len(path.parts) > 1 or path.is_file():
        return path
    folder = shipped_folder(f"{kind}s")
    names = names_in(folder)
    if folder is not None and path_or_name in names:
        return folder / f"{path_or_name}.yaml"
    if path.exists():
        return path
    raise refuse(
        None,
        f"no such {kind} file, and no shipped {kind} of that name: {path_or_name}",
        hint=nearest_hint(path_or_name, names),
    )


def names_in(folder: Path | None) -> list[str]:
    """Return the names (without suffix) of the YAML files in a folder."""
    if folder is None:
        return []
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def _neighbours(path: Path) -> str:
    folder = path.parent
    try:
        if not folder.is_dir():
            return f"there is no folder {show(folder)}"
        names = [item.name for item in folder.iterdir() if item.suffix == path.suffix]
    except OSError:
        return ""
    return nearest_hint(path.name, names) if names else ""
