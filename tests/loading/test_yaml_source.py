"""The strict YAML reader."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from colossus_sim.errors import ScenarioError
from colossus_sim.loading.nodes import plain
from colossus_sim.loading.yaml_source import MAX_BYTES, MAX_DEPTH, parse_value, parse_yaml
from tests.counting import function_calls


def values(text: str) -> object:
    return plain(parse_yaml(text.encode(), "f.yaml"))


def refusal(data: str | bytes) -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_yaml(data if isinstance(data, bytes) else data.encode(), "f.yaml")
    assert len(caught.value.problems) == 1
    return str(caught.value)


def outcome(data: bytes) -> str:
    try:
        parse_value(data, "f.yaml")
    except ScenarioError as error:
        return str(error)
    return "tree"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e9", 1e9),
        ("1e-6", 1e-6),
        ("-.5", -0.5),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("+7", 7),
        ("on", "on"),
        ("NO", "NO"),
        ("12:30", "12:30"),
        ("2026-04-08", "2026-04-08"),
        ("1_000", "1_000"),
        ("100k", "100k"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("'null'", "null"),
        ('"1"', "1"),
        ("=", "="),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(written: str, meant: object) -> None:
    """An unquoted scalar means what YAML 1.2 says, not what YAML 1.1 said."""
    got = values(f"a: {written}")
    assert got == {"a": meant}
    assert type(got["a"]) is type(meant)


def test_keys_are_texts_as_written() -> None:
    """Names such as 007, null and 1e5 come back as the same text."""
    assert list(values("007: 1\nnull: 2\n1e5: 3\ntrue: 4\nNA: 5\n")) == ["007", "null", "1e5", "true", "NA"]


def test_places_of_keys_and_values_are_kept() -> None:
    """Every key and value knows its line, column and source line."""
    root = parse_yaml(b"a:\n  b: [1, 2]\n", "f.yaml")
    inner = root.child("a").child("b")
    assert inner is not None
    assert str(inner.key) == "f.yaml:2:3"
    assert str(inner.origin) == "f.yaml:2:6"
    assert str(inner.child(1).origin) == "f.yaml:2:10"
    assert inner.origin.text == "  b: [1, 2]"


def test_aliases_are_expanded() -> None:
    """An alias stands for the value of its anchor."""
    assert values("a: &x {k: 1}\nb: *x\n") == {"a": {"k": 1}, "b": {"k": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yaml: the file is empty"),
        ("# only a comment\n", "f.yaml: the file is empty"),
        ("- 1\n", "f.yaml:1:1: expected a mapping at the top level, got a list"),
        ("5\n", "f.yaml:1:1: expected a mapping at the top level, got a single value"),
        (
            "a: 1\nb: 2\na: 3\n",
            "f.yaml:3:1: key 'a' is written twice in the same mapping; first at f.yaml:1:1",
        ),
        ("a: {b: 1, b: 2}\n", "f.yaml:1:11: key 'b' is written twice"),
        ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1:4: YAML tags are not allowed"),
        ("a: !env HOME\n", "f.yaml:1:4: YAML tags are not allowed here: !env"),
        (
            "a:\n\tb: 1\n",
            "f.yaml:2:1: not valid YAML: found character that cannot start any token (YAML does not",
        ),
        ("a: [1, 2\n", "f.yaml:2:1: not valid YAML"),
        ("name: a: b\n", "f.yaml:1:8: not valid YAML: mapping values are not allowed"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here"),
        ("a: &x [*x]\n", "f.yaml:1:8: alias *x lies inside its own anchor"),
        ("a: *x\n", "f.yaml:1:4: alias *x has no anchor before it"),
        ("<<: {a: 1}\n", "f.yaml:1:1: merge keys are not supported"),
        ("? [1]\n: 2\n", "f.yaml:1:3: a key must be a plain name"),
        ("a: " + "9" * 5000, "number with 5000 digits"),
        (b"a: \xff", "f.yaml: not a UTF-8 text file (byte 3"),
        (b"a: \0", "f.yaml: not a text file"),
        (b"a: \x07", "f.yaml: not valid YAML"),
    ],
)
def test_what_is_not_one_clean_mapping_is_refused_with_its_place(text: str | bytes, said: str) -> None:
    """Each trap of YAML gives one error that names line and column."""
    assert said in refusal(text)


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "a: [", "\n - "])
def test_deep_nesting_is_refused(opening: str) -> None:
    """Thousands of nested brackets give an error, not a crash."""
    assert "f.yaml:" in refusal(opening * 5000)


def test_reasonable_nesting_is_accepted() -> None:
    """Nesting up to the stated depth is read."""
    depth = MAX_DEPTH - 1
    assert values("a: " + "[" * depth + "]" * depth)
    assert "nested deeper than" in refusal("a: " + "[" * (depth + 1) + "]" * (depth + 1))


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    """Nine levels of ten aliases each would be a thousand million values; refusing them takes few calls."""
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    text = "\n".join(lines)
    assert "aliases expand to more than" in refusal(text)
    assert function_calls(lambda: refusal(text)) < 1_000_000


def test_a_large_file_is_refused_by_its_size() -> None:
    """More than 4 MiB is not even parsed."""
    assert "the file is too large" in refusal(b"#" * (MAX_BYTES + 1))


def test_control_characters_do_not_reach_messages() -> None:
    """An escape sequence in the file is not shown."""
    assert "\x1b" not in refusal("a: 1\n'\\e[31m': 1\na: 2\n")


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_tree_or_a_scenario_error(data: bytes) -> None:
    """Nothing but a tree or a ScenarioError comes out, whatever the bytes."""
    assert outcome(data).startswith(("tree", "error: f.yaml"))


@settings(max_examples=600, deadline=None)
@given(st.text(alphabet="ab1:-?[]{}&*!|>'\"%@`#,~ \t\n.\\e<x\x85\u2028", max_size=60))
def test_any_yaml_like_text_gives_a_tree_or_a_scenario_error(text: str) -> None:
    """The same for texts made of YAML's own signs."""
    assert outcome(text.encode()).startswith(("tree", "error: f.yaml"))


_TEXT = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=8)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_TEXT, _PLAIN, min_size=1, max_size=3))
def test_json_reads_as_itself(document: dict[str, object]) -> None:
    """JSON is YAML: the reader returns what was written."""
    text = json.dumps(document, ensure_ascii=False)
    assume("<<" not in text)
    assert values(text) == _tuples(document)


def _tuples(value: object) -> object:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value
