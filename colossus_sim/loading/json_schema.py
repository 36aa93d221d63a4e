"""JSON Schema of the files, for editors, made from the one declaration of each field.

Beyond what pydantic knows, a file may give a range for any value (``{low, central, high, source}``), name a
catalog entry or a file, change an entry (``{use: name, ...}``), leave out in a phase's plan what the job's
plan says, and extend another file (then nothing is required).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from colossus_sim.specs.scenario import Scenario
from colossus_sim.specs.topology import Topology

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTIAL = "Partial"
_REFERENCED = (
    "Architecture",
    "Calibration",
    "CollectiveConstants",
    "Faults",
    "Gpu",
    "Stack",
    "Storage",
    "Topology",
)
_ROOTS: dict[str, type[BaseModel]] = {"scenario": Scenario, "topology": Topology}

_RANGE = "#/$defs/Assumption"
_ANY: Schema = {"description": "The value, as it would be written without a range."}
_ASSUMPTION: Schema = {
    "type": "object",
    "description": "A value with a range; --case picks low, central or high.",
    "properties": {
        "low": _ANY,
        "central": _ANY,
        "high": _ANY,
        "value": _ANY,
        "source": {"type": "string", "description": "Where the range comes from."},
        "note": {"type": "string", "description": "Remark."},
    },
    "additionalProperties": False,
    "oneOf": [{"required": ["central"]}, {"required": ["value"]}],
}
_EXTENDS: Schema = {
    "description": "File or files that this one is laid over; later wins, null deletes.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
}


def file_schema(kind: str) -> Schema:
    """Return the JSON Schema of a ``scenario`` or ``topology`` file."""
    root: Schema = _lists_and_names(_ROOTS[kind].model_json_schema())
    definitions: dict[str, Schema] = root.pop("$defs", {})
    definitions[kind.capitalize()] = root
    full = {name: _with_ranges(schema) for name, schema in definitions.items()}
    partial = {PARTIAL + name: _without_required(schema) for name, schema in full.items()}
    _let_phases_inherit(full)
    named = {name: _with_references(schema) for name, schema in {**full, **partial}.items()}
    uses = {f"Use{name}": _use(named[PARTIAL + name], name) for name in _REFERENCED if name in full}
    top = kind.capitalize()
    schema: Schema = {
        "$schema": DIALECT,
        "title": f"colossus-sim {kind}",
        "$defs": {**named, **uses, "Assumption": _ASSUMPTION},
    }
    if kind == "topology":
        return {**schema, "$ref": f"#/$defs/{top}"}
    return {**schema, **_scenario_root(schema["$defs"])}


def schema_of(kind: str, record: type[BaseModel]) -> Schema:
    """Return the JSON Schema of a file that is one record, without ranges or catalog entries."""
    return {
        "$schema": DIALECT,
        **_lists_and_names(record.model_json_schema()),
        "title": f"colossus-sim {kind}",
    }


def _lists_and_names(schema: Any) -> Any:
    """Return a copy with lengths of lists as such, and no names beside those that match a pattern.

    Lists pass a function before they are checked, for which pydantic writes the lengths of a text.
    """
    if isinstance(schema, list):
        return [_lists_and_names(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _lists_and_names(value) for key, value in schema.items()}
    if result.get("type") == "array":
        for text, items in (("minLength", "minItems"), ("maxLength", "maxItems")):
            if text in result:
                result[items] = result.pop(text)
    if isinstance(result.get("patternProperties"), dict) and "additionalProperties" not in result:
        result["additionalProperties"] = False
    return result


def _scenario_root(definitions: dict[str, Schema]) -> Schema:
    full, partial = definitions["Scenario"], definitions["PartialScenario"]
    full["required"] = [name for name in full["required"] if name != "calibration"]
    partial["properties"] = {"extends": _EXTENDS, **partial["properties"]}
    return {
        "if": {"type": "object", "required": ["extends"]},
        "then": {"$ref": "#/$defs/PartialScenario"},
        "else": {"$ref": "#/$defs/Scenario"},
    }


def _map_values(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return a copy with every place where a value of the file stands changed, the innermost first."""
    result = dict(schema)
    if result.get("$ref") == _RANGE:
        return result
    if "properties" in result:
        result["properties"] = {
            name: change(_map_values(inner, change)) for name, inner in result["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = change(_map_values(result[key], change))
    for key in ("patternProperties",):
        if key in result:
            result[key] = {name: change(_map_values(inner, change)) for name, inner in result[key].items()}
    if "prefixItems" in result:
        result["prefixItems"] = [change(_map_values(inner, change)) for inner in result["prefixItems"]]
    for key in ("anyOf", "oneOf"):
        if key in result:
            result[key] = [_map_values(inner, change) for inner in result[key]]
    return result


def _with_ranges(schema: Schema) -> Schema:
    def change(inner: Schema) -> Schema:
        outer: Schema = {key: inner[key] for key in ("description", "default") if key in inner}
        rest = {key: value for key, value in inner.items() if key not in ("description", "default", "title")}
        # What stands in a range is a value of the field too.
        ends = {"patternProperties": {"^(low|central|high|value)$": {"anyOf": [rest]}}}
        return {**outer, "anyOf": [rest, {"$ref": _RANGE, **ends}]}

    return _map_values(schema, change)


def _without_required(schema: Schema) -> Schema:
    """Return a copy for files that change another: nothing required, null deletes."""
    result: Schema = _retarget(copy.deepcopy(schema))
    result.pop("required", None)

    def change(inner: Schema) -> Schema:
        return {**inner, "anyOf": [*inner["anyOf"], {"type": "null"}]}

    return _map_values(result, change)


def _retarget(schema: Any) -> Any:
    """Point references at the partial definitions."""
    if isinstance(schema, dict):
        return {
            ("anyOf" if key == "oneOf" else key): (
                _partial_name(value) if key == "$ref" else _retarget(value)
            )
            for key, value in schema.items()
            if key != "discriminator"
        }
    if isinstance(schema, list):
        return [_retarget(item) for item in schema]
    return schema


def _partial_name(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return reference if name == "Assumption" else f"#/$defs/{PARTIAL}{name}"


def _let_phases_inherit(definitions: dict[str, Schema]) -> None:
    phase = definitions.get("Phase")
    if phase is not None:
        phase["properties"]["parallel"] = _retarget(phase["properties"]["parallel"])


def _with_references(schema: Schema) -> Schema:
    """Allow a name, a path or ``use`` wherever a catalog entry may stand."""

    def change(inner: Any) -> Any:
        if isinstance(inner, list):
            return [item for one in inner for item in expanded(one)]
        if isinstance(inner, dict):
            return {key: change(value) for key, value in inner.items()}
        return inner

    def expanded(item: Any) -> list[Any]:
        name = _referenced(item)
        if name is None:
            return [change(item)]
        return [
            item,
            {"type": "string", "description": "Name of a catalog entry, or path of a YAML file."},
            {"$ref": f"#/$defs/Use{name}"},
        ]

    result: Schema = change(schema)
    return result


def _referenced(item: Any) -> str | None:
    reference = item.get("$ref", "") if isinstance(item, dict) else ""
    name = reference.rpartition("/")[2].removeprefix(PARTIAL)
    return name if name in _REFERENCED else None


def _use(partial: Schema, name: str) -> Schema:
    """Return the schema of ``{use: entry, changes}`` (for models also ``{hf_config: path, changes}``)."""
    source: Schema = {"use": {"type": "string", "description": "Entry, or file, that is changed."}}
    choices: list[Schema] = [{"required": ["use"]}]
    if name == "Architecture":
        source["hf_config"] = {"type": "string", "description": "Path of a Hugging Face config.json."}
        choices.append({"required": ["hf_config"]})
    return {**partial, "properties": {**source, **partial["properties"]}, "anyOf": choices}
