"""The validate command on small files: shape of its JSON, exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from colossus_sim.cli.validate import validate
from colossus_sim.errors import UsageError
from colossus_sim.validation.rows import shipped

IDS = ("mlperf-0001", "bridge-0002", "hf-0001", "hf-1285", "vtrain-multi-0000", "automodel-0003")


def small_file(name: str, folder: Path, keep: tuple[str, ...]) -> Path:
    with shipped(name).open(encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(records[0]))
        writer.writeheader()
        writer.writerows(record for record in records if record[next(iter(record))] in keep or not keep)
    return path


def test_training_json_names_every_row_once(tmp_path: Path) -> None:
    """Each row of the file is either predicted or left out with a reason; errors follow from the times."""
    path = small_file("training_rows.csv", tmp_path, IDS)
    result = CliRunner().invoke(validate, ["training", str(path), "--json"], catch_exceptions=False)
    document = json.loads(result.output)
    assert document["schema_version"] == 1
    predicted = {row["id"]: row for row in document["rows"]}
    left_out = {row["id"]: row["reason"] for row in document["left_out"]}
    assert sorted([*predicted, *left_out]) == sorted(IDS)
    assert left_out == {"automodel-0003": "model kind 'hybrid' is not modelled"}
    row = predicted["mlperf-0001"]
    assert row["published_s"] == 12.074
    assert row["error"] == pytest.approx(row["predicted_s"] / 12.074 - 1.0)
    assert sum(row["parts_s"].values()) == pytest.approx(row["predicted_s"])
    assert predicted["hf-1285"]["oom"] is True
    assert predicted["hf-1285"]["error"] is None
    assert predicted["hf-0001"]["published_mem_gb"] == 25.07


def test_training_json_has_fixed_groups_and_those_asked_for(tmp_path: Path) -> None:
    """--by chooses the groups beside the fixed ones; every group has the naive line."""
    path = small_file("training_rows.csv", tmp_path, IDS)
    result = CliRunner().invoke(
        validate, ["training", str(path), "--json", "--by", "gpu"], catch_exceptions=False
    )
    groups = {(group["by"], group["name"]): group for group in json.loads(result.output)["groups"]}
    assert {by for by, _ in groups} == {"fixed", "gpu"}
    everything = groups["fixed", "all"]
    assert everything["step_time"]["count"] == everything["constant_efficiency"]["count"] == 4
    assert everything["feasibility"]["oom"] == 1
    assert groups["gpu", "GB200"]["step_time"]["count"] == 1


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    """--by with an unknown key names the known ones."""
    with pytest.raises(UsageError, match="known: source"):
        CliRunner().invoke(validate, ["training", "--by", "colour"], catch_exceptions=False)


def test_training_text_shows_groups_worst_rows_and_what_is_left_out(tmp_path: Path) -> None:
    """The text has the table of groups, the worst rows by name, and the reasons."""
    path = small_file("training_rows.csv", tmp_path, IDS)
    output = CliRunner().invoke(validate, ["training", str(path)], catch_exceptions=False).output
    assert "vtrain-multi" in output
    assert "worst rows" in output
    assert "1 rows left out" in output
    assert "automodel-0003 on line " in output
    assert "predictions rest on assumptions" in output
    assert "  network: AWS p5" in output


def test_the_naive_line_of_a_small_file_does_not_know_its_times(tmp_path: Path) -> None:
    """A file of one row is not predicted exactly by the constant efficiency, which is that of the shipped rows."""
    path = small_file("training_rows.csv", tmp_path, ("mpt-0016",))
    result = CliRunner().invoke(validate, ["training", str(path), "--json"], catch_exceptions=False)
    naive = json.loads(result.output)["groups"][0]["constant_efficiency"]
    assert naive["count"] == 1
    assert naive["median"] > 0.01


def test_collectives_json_scores_no_degraded_row(tmp_path: Path) -> None:
    """Grade C rows are left out; times are in seconds."""
    with shipped("nccl_rows.csv").open(encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    chosen = [next(r for r in records if r["grade"] == grade and r["n_gpus"] == "16") for grade in ("A", "C")]
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(records[0]))
        writer.writeheader()
        writer.writerows(chosen)
    result = CliRunner().invoke(validate, ["collectives", str(path), "--json"], catch_exceptions=False)
    document = json.loads(result.output)
    assert [row["grade"] for row in document["rows"]] == ["A"]
    assert document["rows"][0]["published_s"] == pytest.approx(float(chosen[0]["time_us"]) * 1e-6)
    assert document["left_out"][0]["reason"].startswith("grade C")
    assert document["groups"][0]["count"] == 1


def test_collectives_name_every_row_that_is_left_out(tmp_path: Path) -> None:
    """A row without a time and one of an unknown grade are counted with their reasons, not dropped or scored."""
    with shipped("nccl_rows.csv").open(encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    good = next(r for r in records if r["grade"] == "A" and r["n_gpus"] == "16")
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(records[0]))
        writer.writeheader()
        writer.writerows(
            [
                good,
                good | {"time_us": "fast", "message_bytes": "-1"},
                good | {"time_us": ""},
                good | {"grade": "Z"},
            ]
        )
    output = CliRunner().invoke(validate, ["collectives", str(path)], catch_exceptions=False).output
    assert "3 rows left out" in output
    assert (
        "message_bytes: -1 is negative; a number from 1 to 1e+15 is needed; time_us: 'fast' is not" in output
    )
    assert "time_us: empty; a number from 0.001 to 1e+12 is needed (4:" in output
    assert "grade 'Z' is none of A, B, C" in output
    result = CliRunner().invoke(validate, ["collectives", str(path), "--json"], catch_exceptions=False)
    document = json.loads(result.output)
    assert document["schema_version"] == 1
    assert (len(document["rows"]), len(document["left_out"])) == (1, 3)
    assert document["groups"][0]["count"] == 1


def test_campaigns_json_says_why_a_campaign_has_no_prediction(tmp_path: Path) -> None:
    """A campaign without tokens or GPU-hours is listed with what is missing."""
    path = small_file("campaigns.csv", tmp_path, ("camp-35", "camp-43"))
    result = CliRunner().invoke(validate, ["campaigns", str(path), "--json"], catch_exceptions=False)
    document = json.loads(result.output)
    assert document["schema_version"] == 1
    reasons = {row["id"]: row["reason"] for row in document["rows"]}
    assert reasons == {"camp-35": "", "camp-43": "tokens and GPU-hours are not published"}
    assert document["count"] == 1
