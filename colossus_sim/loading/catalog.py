"""Named entries: GPUs, models, topologies, storage, stacks, calibrations, fault classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath

from colossus_sim.errors import Problem, ScenarioError
from colossus_sim.loading.files import YAML_SUFFIXES, Files, data_folder, names_in, shipped_folder, show
from colossus_sim.loading.gaps import read_gaps
from colossus_sim.loading.hf_config import read_hf_config
from colossus_sim.loading.nodes import Node, Origin, join, refuse
from colossus_sim.loading.references import REFERENCES, Path, nested_references
from colossus_sim.loading.suggest import nearest_hint
from colossus_sim.loading.tree import merge

MAX_CHAIN = 8
"""Entries that may be built on one another with ``use``."""

_GAPS = ("classes", "*", "gaps")
"""Where a set of faults may name a file of measured gaps."""

CABLE_SUFFIXES = (".graphml", ".csv", ".ibnet", ".topo", ".txt")
"""Files that a custom network may name."""


class Catalog:
    """Finds entries by kind and name, and replaces references by their fields."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def names(self, kind: str) -> list[str]:
        """Return the names of all shipped entries of a kind."""
        if kind in ("topologies", "scenarios"):
            return names_in(shipped_folder(kind))
        return sorted(self._entries(kind))

    def entry(self, kind: str, name: str) -> Node | None:
        """Return the fields of a shipped entry as they are written, or None."""
        if kind in ("topologies", "scenarios"):
            folder = shipped_folder(kind)
            if folder is None or name not in names_in(folder):
                return None
            return self._files.read_yaml(folder / f"{name}.yaml")
        return self._entries(kind).get(name)

    def resolve(self, kind: str, node: Node, path: str) -> Node:
        """Return the full fields of a reference: a name, a file, ``{use: ..., changes}``, or fields inline.

        Raises
        ------
        ScenarioError
            If there is no such entry or file, or entries are built on one another in a circle.
        """
        return self._resolve(kind, node, path, ())

    def _resolve(self, kind: str, node: Node, path: str, chain: tuple[str, ...]) -> Node:
        if len(chain) > MAX_CHAIN:
            raise refuse(node.key or node.origin, f"'use' goes round or on too long: {' -> '.join(chain)}")
        if node.text is not None:
            return self._named(kind, node, path, chain)
        entries = node.mapping
        if entries is None:
            return node
        if "hf_config" in entries and kind == "models":
            return self._from_hf(node, path)
        node = self._with_files(kind, node, path)
        entries = node.mapping or {}
        if "use" not in entries:
            return node
        base = self._named(kind, entries["use"], join(path, "use"), chain)
        changes = {name: child for name, child in entries.items() if name != "use"}
        changed = replace(node, value=changes)
        return merge(base, changed)

    def _named(self, kind: str, node: Node, path: str, chain: tuple[str, ...]) -> Node:
        name = node.text
        if name is None:
            raise refuse(node.origin, "expected the name of a catalog entry", path=path)
        if name.lower().endswith(YAML_SUFFIXES):
            file = self._files.resolve(name, node.origin, path)
            found: Node | None = self._files.read_yaml(file, asked_by=node.origin, field=path)
            name = file.stem
        else:
            found = self.entry(kind, name)
        if found is None:
            noun = _NOUN[kind]
            raise refuse(
                node.origin,
                f"there is no {noun} called {name!r}",
                path=path,
                hint=nearest_hint(name, self.names(kind)),
            )
        full = self._resolve(kind, found, path, (*chain, name))
        return self._with_name(full, name, node)

    def full_entry(self, kind: str, name: str) -> Node:
        """Return a shipped entry with everything that it is built on and everything that it names.

        Raises
        ------
        ScenarioError
            If it, or something that it names, does not exist.
        """
        node = self.resolve(kind, Node(name, Origin(f"catalog {kind}")), name)
        return self._with_nested(kind, node, name)

    def full_file(self, kind: str, file: FilePath) -> Node:
        """Return the entry in a file of its own, with everything that it is built on and that it names.

        Raises
        ------
        ScenarioError
            If the file, or something that it names, does not exist.
        """
        written = self._files.read_yaml(file)
        full = self._resolve(kind, written, "", ())
        named = self._with_name(full, file.stem, written) if full.mapping is not None else full
        return self._with_nested(kind, named, "")

    def _with_nested(self, kind: str, node: Node, name: str) -> Node:
        for pattern, inner in nested_references(kind):

            def resolve(child: Node, path: str, inner: str = inner) -> Node:
                return self.resolve(inner, child, path)

            node = _replace_at(node, pattern, resolve, name)
        return node

    def _with_name(self, full: Node, name: str, reference: Node) -> Node:
        entries = dict(full.mapping or {})
        entries["name"] = Node(name, reference.origin, reference.key)
        return Node(entries, full.origin, reference.key)

    def _from_hf(self, node: Node, path: str) -> Node:
        entries = node.mapping or {}
        pointer = entries["hf_config"]
        if pointer.text is None:
            raise refuse(pointer.origin, "expected the path of a config.json", path=join(path, "hf_config"))
        file = self._files.resolve(pointer.text, pointer.origin, join(path, "hf_config"))
        data = self._files.read_bytes(
            file, (".json",), asked_by=pointer.origin, field=join(path, "hf_config")
        )
        changes = {name: child for name, child in entries.items() if name != "hf_config"}
        base = read_hf_config(data, pointer, str(file), join(path, "hf_config"), beside=changes)
        return merge(base, replace(node, value=changes))

    def _with_files(self, kind: str, node: Node, path: str) -> Node:
        """Read what an entry names of other files: the cables of a network, measured gaps between failures."""
        if kind == "topologies":
            return self._with_cables(node, path)
        return _replace_at(node, _GAPS, self._with_gaps, path) if kind == "faults" else node

    def _with_gaps(self, pointer: Node, path: str) -> Node:
        if pointer.text is None:
            return pointer
        file = self._files.resolve(pointer.text, pointer.origin, path)
        data = self._files.read_bytes(file, (".csv",), asked_by=pointer.origin, field=path)
        return read_gaps(data, pointer, str(file), path)

    def _with_cables(self, node: Node, path: str) -> Node:
        """Read the file that a custom network names into its field `text`."""
        fabric = (node.mapping or {}).get("fabric")
        fields = fabric.mapping if fabric is not None else None
        pointer = fields.get("file") if fields is not None else None
        if fabric is None or fields is None or pointer is None or pointer.text is None or "text" in fields:
            return node
        where = join(join(path, "fabric"), "file")
        file = self._files.resolve(pointer.text, pointer.origin, where)
        data = self._files.read_bytes(file, CABLE_SUFFIXES, asked_by=pointer.origin, field=where)
        try:
            text = Node(data.decode("utf-8-sig"), pointer.origin, None)
        except UnicodeDecodeError as error:
            line = 1 + data.count(b"\n", 0, error.start)
            message = f"{show(file)}: line {line} is not UTF-8 text (byte 0x{data[error.start]:02x})"
            raise refuse(pointer.origin, message, path=where, hint="save it as UTF-8") from None
        read = replace(fabric, value={**fields, "text": text})
        return replace(node, value={**(node.mapping or {}), "fabric": read})

    def _entries(self, kind: str) -> dict[str, Node]:
        file = data_folder() / f"{kind}.yaml"
        if not file.is_file():
            return {}
        return self._files.read_yaml(file).mapping or {}


_NOUN = {
    "gpus": "GPU",
    "models": "model",
    "topologies": "topology",
    "collectives": "set of collective constants",
    "storage": "storage system",
    "stacks": "software stack",
    "calibrations": "calibration",
    "faults": "set of faults",
    "parts": "list of network parts",
}


def expand(root: Node, catalog: Catalog) -> tuple[Node, list[Problem], list[str]]:
    """Replace every reference by its fields, and lay phases' plans over their job's.

    Returns
    -------
    (Node, list of Problem, list of str)
        The tree, what could not be resolved, and the paths where that was.
    """
    problems: list[Problem] = []
    failed: list[str] = []
    for pattern, kind in REFERENCES:

        def resolve(node: Node, path: str, kind: str = kind) -> Node:
            try:
                return catalog.resolve(kind, node, path)
            except ScenarioError as error:
                problems.extend(error.problems)
                failed.append(path)
                return node

        root = _replace_at(root, pattern, resolve)
    return _with_phase_plans(root), problems, failed


def _replace_at(
    node: Node, pattern: tuple[str, ...], change: Callable[[Node, str], Node], path: str = ""
) -> Node:
    if not pattern:
        return change(node, path)
    if node.mapping is None:
        return node
    entries = dict(node.mapping)
    for name in list(entries) if pattern[0] == "*" else [pattern[0]]:
        if name in entries:
            entries[name] = _replace_at(entries[name], pattern[1:], change, join(path, name))
    return replace(node, value=entries)


def _with_phase_plans(root: Node) -> Node:
    def job(node: Node, _: str) -> Node:
        plan = node.child("parallel")
        if plan is None or plan.mapping is None:
            return node

        def phase_plan(own: Node, _: str) -> Node:
            return merge(plan, own) if own.mapping is not None else own

        return _replace_at(node, ("phases", "*", "parallel"), phase_plan)

    return _replace_at(root, ("jobs", "*"), job)


def insert_default(root: Node, path: Path, value: str) -> Node:
    """Return the tree with a top-level field set to a default if it is not there."""
    entries = dict(root.mapping or {})
    entries.setdefault(str(path[0]), Node(value, Origin("default"), None))
    return replace(root, value=entries)
