"""From a scenario file to a validated, frozen Scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from colossus_sim.errors import Problem, ScenarioError, UsageError
from colossus_sim.loading.cases import CASES, resolve_cases
from colossus_sim.loading.catalog import Catalog, expand, insert_default
from colossus_sim.loading.checks import check_scenario
from colossus_sim.loading.checks.sites import misspelt_network_gpu
from colossus_sim.loading.ends import at_an_end, doubtful_cases
from colossus_sim.loading.facts import Assumption, LoadedFacts
from colossus_sim.loading.files import STDIN, Files, ParsedTrees, find_scenario, show
from colossus_sim.loading.messages import absent_entry, problems_of
from colossus_sim.loading.nodes import Node, Origin, leaves, lookup, node_of, plain, problem_at, refuse
from colossus_sim.loading.references import reaches_into_reference
from colossus_sim.loading.tree import (
    Override,
    apply_override,
    matched_path,
    merge,
    override_texts,
    parse_overrides,
    parse_path,
)
from colossus_sim.loading.written import facts_that_hold, written
from colossus_sim.specs.scenario import Scenario

Case = Literal["low", "central", "high"]

SEED_OPTION = "--seed"
"""Origin of a seed that replaces the file's."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    """The whole tree with nothing left to look up."""

    tree: Node
    assumptions: tuple[Assumption, ...]
    problems: list[Problem]
    failed: list[str]


def load_scenario(
    path_or_name: str | Path,
    *,
    overrides: str | Mapping[str, Any] | Sequence[str] = (),
    case: Case = "central",
    seed: int | None = None,
    parsed: ParsedTrees | None = None,
) -> Scenario:
    """Read, resolve, validate and check a scenario; ``scenario.loaded`` holds the LoadedFacts.

    Parameters
    ----------
    path_or_name : str or Path
        Path of a YAML file, name of a shipped scenario, or ``-`` for standard input.
    overrides : sequence of str, str or mapping
        ``a.b.c=value`` texts (or one of them), each typed and checked like the file; or values by path.
    case : str
        Which end of the assumptions to use: low, central, high.
    seed : int, optional
        Replaces the scenario's seed.
    parsed : dict, optional
        What was parsed for scenarios loaded before (see `files.Files`), kept by whoever loads many.

    Raises
    ------
    ScenarioError
        With all problems found, each with its place in the file.
    UsageError
        If `case` is none of the three, or an override is no text.
    """
    texts = override_texts(overrides)
    if case not in CASES:
        raise UsageError(f"case must be one of {', '.join(CASES)}, got {case!r}")
    files = Files(parsed)
    source = str(path_or_name)
    root = _read(source, files)
    if seed is not None:
        origin = Origin(SEED_OPTION)
        root = replace(root, value={**(root.mapping or {}), "seed": Node(seed, origin, origin)})
    resolved = _resolve(root, parse_overrides(texts), case, files)
    scenario, warnings = _checked(resolved, files)
    _check_ends(resolved, lambda other: _resolve(root, parse_overrides(texts), other, files))
    # The model is frozen for its users; this is the one moment at which the facts are attached.
    scenario._case = case
    scenario._loaded = LoadedFacts(
        source=source,
        case=case,
        overrides=texts,
        files=files.facts,
        assumptions=resolved.assumptions,
        origins={path: str(node.origin) for path, node in leaves(resolved.tree)},
        tree=plain(resolved.tree),
        warnings=warnings,
        root=resolved.tree,
    )
    return scenario


def _check_ends(resolved: _Resolved, resolve: Callable[[str], _Resolved]) -> None:
    """Refuse ranges with an end that their field refuses, though this case uses another."""
    problems: list[Problem] = []
    for case in doubtful_cases(resolved.assumptions, resolved.tree):
        try:
            other = resolve(case)
            _validated(other)
        except ScenarioError as error:
            found = [problem for problem in error.problems if at_an_end(problem, resolved.assumptions)]
            problems += [
                replace(item, message=f"{item.message} (the {case} end of a range)") for item in found
            ]
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))


def with_overrides(scenario: Scenario, overrides: Sequence[str | Mapping[str, Any]]) -> Scenario:
    """Return a scenario with changed fields: see `Scenario.with_overrides`."""
    texts = tuple(text for item in overrides for text in override_texts(item))
    facts = facts_that_hold(scenario)
    if facts is None or facts.source == STDIN:
        return _read_again(scenario, texts)
    seed = scenario.seed if facts.origins.get("seed") == SEED_OPTION else None
    return load_scenario(
        facts.source, overrides=(*facts.overrides, *texts), case=_case(facts.case), seed=seed
    )


def settled(scenario: Scenario) -> Scenario:
    """Return a scenario as it may be run: one that was made or changed in Python is checked like a file.

    Raises
    ------
    ScenarioError
        With all problems found.
    """
    return scenario if facts_that_hold(scenario) is not None else _read_again(scenario, ())


def _read_again(scenario: Scenario, overrides: Sequence[str]) -> Scenario:
    files = Files()
    root = node_of(written(scenario), Origin("scenario in Python"))
    again, _ = _checked(_resolve(root, parse_overrides(overrides), "central", files), files)
    again._case = scenario.case
    return again


def _case(name: str) -> Case:
    return "low" if name == "low" else "high" if name == "high" else "central"


def _checked(resolved: _Resolved, files: Files) -> tuple[Scenario, tuple[Problem, ...]]:
    """Return the scenario, which keeps all rules, and the warnings."""
    scenario = _validated(resolved)
    problems, warnings = check_scenario(scenario)
    problems += misspelt_network_gpu(scenario, lambda: Catalog(files).names("gpus"))
    if problems:
        raise ScenarioError([placed_in(problem, resolved.tree) for problem in problems])
    return scenario, tuple(placed_in(warning, resolved.tree) for warning in warnings)


def placed(problem: Problem, scenario: Scenario) -> Problem:
    """Return a problem of a loaded scenario with the place of its field in the file, where that is known."""
    facts = scenario.loaded
    if not isinstance(facts, LoadedFacts) or facts.root is None:
        return problem
    return placed_in(problem, facts.root)


def _read(source: str, files: Files) -> Node:
    if source == STDIN:
        return _with_bases(files.read_stdin(), Path("<stdin>"), files, ())
    path = find_scenario(source)
    return _with_bases(files.read_yaml(path), path, files, (path,))


def _with_bases(root: Node, path: Path, files: Files, chain: tuple[Path, ...]) -> Node:
    """Lay a file over the files that its ``extends`` names, the first one undermost."""
    entries = dict(root.mapping or {})
    extends = entries.pop("extends", None)
    own = replace(root, value=entries)
    if extends is None:
        return own
    items = extends.value if isinstance(extends.value, tuple) else (extends,)
    base: Node | None = None
    for item in items:
        if item.text is None:
            raise refuse(item.origin, "expected the path of a YAML file", path="extends")
        file = files.resolve(item.text, item.origin, "extends")
        if any(file.resolve() == seen.resolve() for seen in chain):
            shown = " -> ".join(show(seen) for seen in (*chain, file))
            raise refuse(item.origin, f"files extend each other in a circle: {shown}", path="extends")
        tree = files.read_yaml(file, asked_by=item.origin, field="extends")
        layer = _with_bases(tree, file, files, (*chain, file))
        base = layer if base is None else merge(base, layer)
    return own if base is None else merge(base, own)


def _resolve(root: Node, overrides: list[Override], case: str, files: Files) -> _Resolved:
    # Overrides inside a catalog entry wait until the entry is there.
    inner = []
    for item in overrides:
        if reaches_into_reference(matched_path(root, item.path)):
            inner.append(item)
        else:
            root = _overridden(root, item)
    root = insert_default(root, ("calibration",), "default")
    root, assumptions = resolve_cases(root, case)
    root, problems, failed = expand(root, Catalog(files))
    if inner and not problems:
        for item in inner:
            root = _overridden(root, item)
        # Such an override may itself name an entry, e.g. the collectives of a topology.
        root, more = resolve_cases(root, case)
        root, problems, failed = expand(root, Catalog(files))
        assumptions = [*assumptions, *more]
    root, more = resolve_cases(root, case)
    found = {item.path: item for item in (*assumptions, *more)}
    return _Resolved(tree=root, assumptions=tuple(found.values()), problems=problems, failed=failed)


def _overridden(root: Node, override: Override) -> Node:
    """Return the tree with one override applied; refuse one that changes an entry that is not there."""
    problem = absent_entry(matched_path(root, override.path), override.node, Scenario, root)
    if problem is not None:
        raise ScenarioError([problem])
    return apply_override(root, override)


def _validated(resolved: _Resolved) -> Scenario:
    problems = list(resolved.problems)
    try:
        scenario = Scenario.model_validate(plain(resolved.tree))
    except ValidationError as error:
        for problem in problems_of(error, Scenario, resolved.tree):
            if not any(problem.path.startswith(path) for path in resolved.failed):
                problems.append(problem)
        raise ScenarioError(problems) from None
    if problems:
        raise ScenarioError(problems)
    return scenario


def placed_in(problem: Problem, tree: Node) -> Problem:
    """Give a problem the place of its field, or of the nearest field above it that is in the file."""
    segments = matched_path(tree, parse_path(problem.path) or ())
    for length in range(len(segments), -1, -1):
        node = lookup(tree, segments[:length])
        if node is not None:
            origin = (
                node.origin if length == len(segments) and node.mapping is None else node.key or node.origin
            )
            return problem_at(origin, problem.message, path=problem.path, hint=problem.hint)
    return problem
