"""The summary: schema, exact sums, determinism, no NaN."""

from __future__ import annotations

import json
import math

import jsonschema
import pytest

from colossus_sim.records import RunResult
from colossus_sim.results.backtest import error_days
from colossus_sim.results.result import Result, result_of
from colossus_sim.results.schema import SCHEMA_VERSION, summary_json_schema
from colossus_sim.results.summary import dump_json
from colossus_sim.specs.job import Observation
from colossus_sim.units import DAY, parse_instant


@pytest.fixture(scope="module")
def result(hand_run: RunResult) -> Result:
    """The result of the hand-made run."""
    return result_of(hand_run)


def test_summary_matches_its_json_schema(result: Result) -> None:
    """The document is valid against the JSON Schema that is published for it."""
    jsonschema.validate(json.loads(dump_json(result.summary())), summary_json_schema())
    assert result.summary()["schema_version"] == SCHEMA_VERSION


def test_every_field_is_described() -> None:
    """Each field of the schema has a description."""
    schema = summary_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        for name, field in definition["properties"].items():
            assert field.get("description") or "$ref" in str(field), name


def test_promised_keys_are_there(result: Result) -> None:
    """The keys that users build on exist, under these names."""
    document = result.summary()
    assert {"schema_version", "scenario", "seed", "case", "cluster", "jobs"} <= set(document)
    job = document["jobs"][0]
    assert {
        "name", "target_date", "finish_date", "slip_days", "slip_causes", "wall_clock_days", "gpu_days", "mfu",
        "mfu_peak", "goodput", "ettr", "interruptions", "phases",
    } <= set(job)  # fmt: skip
    assert {"name", "start", "end"} <= set(job["phases"][0])


def test_counts_have_no_fraction(result: Result) -> None:
    """Saves, steps and units are written as whole numbers, as the tables have them."""
    for job in json.loads(dump_json(result.summary()))["jobs"]:
        counts = [
            job["saves"],
            job["steps"],
            *(phase[key] for phase in job["phases"] for key in ("units", "units_done")),
        ]
        assert all(type(count) is int for count in counts), counts


def test_causes_add_up_in_the_file(result: Result) -> None:
    """After rounding to the file's digits the causes still add up to the slip."""
    for job in json.loads(dump_json(result.summary()))["jobs"]:
        assert math.fsum(job["slip_causes"].values()) * DAY == pytest.approx(job["slip_days"] * DAY, abs=1e-6)


def test_bytes_are_the_same_and_hold_no_nan(hand_run: RunResult) -> None:
    """Two runs of the same rows give the same bytes; what is undefined is null."""
    first, second = (dump_json(result_of(hand_run).summary()) for _ in range(2))
    assert first == second
    assert "NaN" not in first
    assert "Infinity" not in first
    assert json.loads(first)["jobs"][1]["phases"][1]["start"] is None


def test_unfinished_is_marked(result: Result) -> None:
    """An unfinished job has no finish date, a lower bound and a projection."""
    job = result.summary()["jobs"][1]
    assert job["finish_date"] is None
    assert job["slip_is_lower_bound"]
    assert job["projected_slip_days"] == pytest.approx(5.0)


def test_summary_is_a_copy(result: Result) -> None:
    """Changing what summary() returned changes nothing else."""
    result.summary()["jobs"].clear()
    assert len(result.summary()["jobs"]) == 2


@pytest.mark.parametrize(("end", "error"), [
    ("2026-01-02", -1.0), ("2026-01-03", 0.0), ("2026-01-04T23:00", 0.0), ("2026-01-06", 1.0),
])  # fmt: skip
def test_backtest_error_is_the_distance_to_the_reported_range(end: str, error: float) -> None:
    """The last reported day counts in full."""
    observed = Observation.model_validate({"earliest": "2026-01-03", "latest": "2026-01-04"})
    assert error_days(parse_instant(end), observed) == pytest.approx(error)


def test_backtest_compares_phases_and_jobs(result: Result) -> None:
    """Pre-training ended a day after the reported range, the job inside it."""
    assert [row["error_days"] for row in result.summary()["backtest"]] == pytest.approx([1.0, 0.0])
