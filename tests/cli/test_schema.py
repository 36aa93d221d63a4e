"""colossus-sim schema: what editors check files against."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from colossus_sim.cli.main import run_command_line
from colossus_sim.errors import ScenarioError
from colossus_sim.loading.files import Files, shipped_folder
from colossus_sim.loading.json_schema import file_schema, schema_of
from colossus_sim.loading.load import _resolve, _validated
from colossus_sim.loading.nodes import Node, Origin, plain
from colossus_sim.loading.yaml_source import parse_yaml
from colossus_sim.sweeps.spec import SweepSpec
from tests.loading.conftest import SCENARIO


def files(kind: str) -> list[Path]:
    folder = shipped_folder(kind)
    return sorted(folder.glob("*.yaml")) if folder is not None else []


def document(text: str | bytes) -> Any:
    tree = parse_yaml(text if isinstance(text, bytes) else text.encode(), "x.yaml")
    return json.loads(json.dumps(plain(tree)))


@pytest.fixture(scope="module")
def scenario() -> Draft202012Validator:
    """The validator of scenario files."""
    return Draft202012Validator(file_schema("scenario"))


def test_the_schemas_are_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints a valid JSON Schema of each kind."""
    schemas = [file_schema("scenario"), file_schema("topology"), schema_of("sweep", SweepSpec)]
    for kind, expected in zip(("scenario", "topology", "sweep"), schemas, strict=True):
        assert run_command_line(["schema", "--kind", kind]) == 0
        schema = json.loads(capsys.readouterr().out)
        Draft202012Validator.check_schema(schema)
        assert schema == json.loads(json.dumps(expected))


@pytest.mark.parametrize("path", files("sweeps"), ids=lambda path: path.stem)
def test_shipped_sweeps_satisfy_theirs(path: Path) -> None:
    """An editor shows no error in a shipped sweep, and one where a key is misspelt."""
    validator = Draft202012Validator(schema_of("sweep", SweepSpec))
    content = document(path.read_bytes())
    assert [error.message for error in validator.iter_errors(content)] == []
    content["vary"]["grit"] = content["vary"].pop(next(iter(content["vary"])))
    assert any("grit" in error.message for error in validator.iter_errors(content))


@pytest.mark.parametrize("path", files("scenarios"), ids=lambda path: path.stem)
def test_shipped_scenarios_satisfy_it(path: Path, scenario: Draft202012Validator) -> None:
    """An editor shows no error in a shipped scenario."""
    assert [error.message for error in scenario.iter_errors(document(path.read_bytes()))] == []


@pytest.mark.parametrize("path", files("topologies"), ids=lambda path: path.stem)
def test_shipped_topologies_satisfy_theirs(path: Path) -> None:
    """Nor in a shipped topology."""
    validator = Draft202012Validator(file_schema("topology"))
    assert [error.message for error in validator.iter_errors(document(path.read_bytes()))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("horizon: 90 days", "horizon: {low: 1 day, central: 2 days, source: x}"),
        ("gpus: 512", "gpus: {value: 100k, source: x, note: y}"),
        ("faults:\n", "faults: {use: none, enabled: true}\nchanges:\n"),
        ("a guess}, gpus: 256}", "a guess}, parallel: {tensor_parallel: 8, stack: some_stack}}"),
    ],
)
def test_what_loading_accepts_is_accepted(old: str, new: str, scenario: Draft202012Validator) -> None:
    """Ranges, names, changes to entries and plans of phases are no errors."""
    text = document(SCENARIO.replace(old, new, 1) if old else SCENARIO)
    text.pop("changes", None)
    assert [error.message for error in scenario.iter_errors(text)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("horizon: 90 days", "horizon: 90"),
        ("horizon: 90 days", "horizn: 90 days"),
        ("gpus: 512", "gpus: {low: 5}"),
        ("gpus: 512", "gpus: [5]"),
        ("kind: clos", "kind: closs"),
        ("per: gpu,", "per: gpus,"),
        ("    site: lab\n", ""),
    ],
)
def test_mistakes_are_found(old: str, new: str, scenario: Draft202012Validator) -> None:
    """Wrong types, names, choices and missing keys are errors in the editor too."""
    assert not scenario.is_valid(document(SCENARIO.replace(old, new, 1)))


WRONG: tuple[Any, ...] = (-1, 0, 2, "x", "-5 days", "2026-02-40", [], {"central": -1})


def changed(content: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a document with the value at a path replaced."""
    if not path:
        return value
    copy = list(content) if isinstance(content, list) else dict(content)
    copy[path[0]] = changed(content[path[0]], path[1:], value)
    return copy


def values(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything in a document that is not the document itself."""
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for name, item in inner:
        yield (*path, name)
        yield from values(item, (*path, name))


def refusal(content: Any) -> str:
    """Return why loading refuses a document, rules between fields aside; empty if it does not."""
    origin = Origin("x")

    def node(value: Any) -> Node:
        if isinstance(value, dict):
            return Node({name: node(item) for name, item in value.items()}, origin, origin)
        return Node(tuple(map(node, value)) if isinstance(value, list) else value, origin, origin)

    try:
        _validated(_resolve(node(content), [], "central", Files()))
    except ScenarioError as error:
        return error.problems[0].message
    return ""


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_schema_and_loading_refuse_the_same(wrong: Any, scenario: Draft202012Validator) -> None:
    """Each value of a scenario in turn is replaced: units, signs, limits, dates, lengths, ranges.

    What a schema cannot say: which catalog entries there are, and limits of numbers written as text. Loading does
    not look at the ends of a range that the case does not use.
    """
    content = document(SCENARIO)
    for path in values(content):
        if path[-1] in ("low", "high"):
            continue
        mutant = changed(content, path, wrong)
        why, valid = refusal(mutant), scenario.is_valid(mutant)
        if why.startswith("there is no") or (why.startswith("must be") and isinstance(wrong, str)):
            continue
        assert valid == (not why), (path, wrong, why)


def test_names_and_dates_are_checked(scenario: Draft202012Validator) -> None:
    """A name of a job that loading refuses is an error in the editor; a date with a time is none."""
    content = document(SCENARIO)
    assert not scenario.is_valid(
        {**content, "jobs": {**content["jobs"], "bad name!": content["jobs"]["small"]}}
    )
    for date in ("2026-01-01T12:00", "2026-01-01 12:00Z", "2026-01-01", "20260101"):
        assert scenario.is_valid({**content, "start": date})
    assert not scenario.is_valid({**content, "start": "2026-13-01"})


@pytest.mark.parametrize(
    ("interval", "right"), [("optimal", True), ("1 h", True), ("optimale", False), ("1", False)]
)
def test_intervals_of_saves_are_a_time_or_a_formula(
    interval: str, right: bool, scenario: Draft202012Validator
) -> None:
    """The three names pass, and durations."""
    content = document(SCENARIO)
    path = ("checkpoint", "tiers", 0, "interval")
    assert scenario.is_valid(changed(content, path, interval)) is right


def test_an_extending_file_needs_nothing_else(scenario: Draft202012Validator) -> None:
    """A file that extends another may say as little as it likes, but nothing unknown."""
    assert scenario.is_valid(
        document("extends: base.yaml\njobs: {a: {gpus: 5, model: {hidden_size: 8}}, b: null}\n")
    )
    assert scenario.is_valid(document("extends: [a.yaml, b.yaml]\nhorizon: 5 days\n"))
    assert not scenario.is_valid(document("extends: base.yaml\njobs: {a: {gpsu: 5}}\n"))


def test_fields_carry_description_and_examples() -> None:
    """An editor can show what a field means and how it is written."""
    horizon = file_schema("scenario")["$defs"]["Scenario"]["properties"]["horizon"]
    assert horizon["description"] == "When it stops, whether or not all jobs are done."
    assert horizon["anyOf"][0]["examples"] == ["30 min", "60 days"]
