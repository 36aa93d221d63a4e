"""Own rows of whole trainings: which plan they get, and what is said of cells that cannot be read."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from colossus_sim.cli.validate import validate
from colossus_sim.validation.campaigns import CampaignOutcome, predict_campaigns, read_campaigns
from colossus_sim.validation.inputs import shipped_inputs
from colossus_sim.validation.rows import shipped

GOOD = {
    "id": "mine", "model": "Llama 3 70B", "tokens_b": "15000", "gpu": "", "n_gpus": "", "gpu_hours": "6400000",
    "seq_len": "",
}  # fmt: skip


def of_shipped(row: str) -> Any:
    """Return what is predicted of a shipped campaign, to within 1e-5. [GPU-h]"""
    return pytest.approx(_shipped_hours()[row], rel=1e-5)


@cache
def _shipped_hours() -> dict[str, float | None]:
    found = predict_campaigns(read_campaigns(shipped("campaigns.csv")), shipped_inputs())
    return {outcome.id: outcome.predicted for outcome in found}


def written(folder: Path, *changes: dict[str, str]) -> Path:
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(GOOD))
        writer.writeheader()
        writer.writerows(GOOD | change for change in changes)
    return path


def outcomes(folder: Path, *changes: dict[str, str]) -> tuple[CampaignOutcome, ...]:
    return predict_campaigns(read_campaigns(written(folder, *changes)), shipped_inputs())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"id": "camp-04"},
        {"model": "llama-3-70B", "gpu": "8192x NVIDIA H100"},
        {"gpu": "H100 (700W)", "n_gpus": "8192", "seq_len": "8192"},
        {"gpu": "H100-80GB", "n_gpus": "up to 8,192", "seq_len": "8192 then 131072"},
        {"n_gpus": "8000"},
    ],
)
def test_a_row_that_agrees_with_the_plan_gets_it(tmp_path: Path, changes: dict[str, str]) -> None:
    """Spellings, spares of a few percent and cells that say nothing do not keep a plan from its row."""
    [found] = outcomes(tmp_path, changes)
    assert found.reason == ""
    assert found.predicted == of_shipped("camp-04")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gpu": "A100-40GB", "n_gpus": "512"}, "gpu 'A100-40GB', n_gpus '512'"),
        ({"gpu": "GB200", "n_gpus": "72"}, "gpu 'GB200', n_gpus '72'"),
        ({"gpu": "H800", "n_gpus": "8192"}, "gpu 'H800'"),
        ({"gpu": "GH200"}, "gpu 'GH200'"),
        ({"gpu": "Ascend 910B"}, "gpu 'Ascend 910B'"),
        ({"n_gpus": "7000"}, "n_gpus '7000'"),
        ({"n_gpus": "768 -> 2304"}, "n_gpus '768 -> 2304'"),
        ({"seq_len": "4096"}, "seq_len '4096'"),
    ],
)
def test_a_row_that_differs_from_the_plan_is_left_out(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    """The reason names the plan's GPU and count, and what the row says."""
    [found] = outcomes(tmp_path, changes)
    plan = "the plan of Llama-3-70B is for 8192 H100 and sequences of 8192 tokens"
    assert found.reason == f"{plan}; the row says {said}"
    assert found.predicted is None


def test_an_id_alone_gets_no_plan(tmp_path: Path) -> None:
    """A row with a shipped id and another model is not predicted with that id's plan."""
    unknown, known = outcomes(tmp_path, {"id": "camp-01", "model": "Qwen2.5 7B"}, {"id": "camp-01"})
    assert unknown.reason == "no plan of 'Qwen2.5 7B' is known; camp-01 is that of Llama 3.1 405B"
    assert known.predicted == of_shipped("camp-04")


def test_of_two_plans_of_a_model_the_row_chooses(tmp_path: Path) -> None:
    """Llama 2 7B is known on 512 GPUs (2T tokens) and on 128 (2.2T)."""
    model = {"model": "Llama 2 7B", "gpu": "A100"}
    large, small = outcomes(
        tmp_path,
        model | {"n_gpus": "512", "tokens_b": "2000"},
        model | {"n_gpus": "128", "tokens_b": "2200"},
    )
    assert large.predicted == of_shipped("camp-10")
    assert small.predicted == of_shipped("camp-33")


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("tokens_b", "inf", "tokens_b: 'inf' is not a finite number; a number from"),
        ("tokens_b", "15T", "tokens_b: '15T' is not a number; a number from"),
        ("tokens_b", "-5", "tokens_b: -5 is negative; a number from"),
        ("tokens_b", "0", "tokens_b: '0' is out of range; a number from"),
        ("gpu_hours", "inf", "gpu_hours: 'inf' is not a finite number; a number from"),
        ("gpu_hours", "1e-320", "gpu_hours: '1e-320' is out of range; a number from"),
        ("gpu_hours", "6.4 M", "gpu_hours: '6.4 M' is not a number; a number from"),
        ("n_gpus", "many", "n_gpus: 'many' is not a number; a whole number above 0 is needed"),
        ("n_gpus", "0", "n_gpus: 0 is no count; a whole number above 0 is needed"),
        ("seq_len", "8k", "seq_len: '8k' is not a number; a whole number above 0 is needed"),
    ],
)
def test_only_the_row_with_an_unreadable_cell_is_left_out(
    tmp_path: Path, column: str, text: str, said: str
) -> None:
    """The reason names line, column, text and what would be right; JSON is written all the same."""
    path = written(tmp_path, {column: text}, {})
    result = CliRunner().invoke(validate, ["campaigns", str(path), "--json"], catch_exceptions=False)
    wrong, good = json.loads(result.output)["rows"]
    assert wrong["reason"].startswith(f"line 2: {said}")
    assert good["predicted"] == of_shipped("camp-04")


def test_numbers_may_have_commas(tmp_path: Path) -> None:
    """`15,000` is 15000, and an empty cell is still said not to be published."""
    commas, empty = outcomes(tmp_path, {"tokens_b": "15,000"}, {"tokens_b": ""})
    assert commas.predicted == of_shipped("camp-04")
    assert empty.reason == "tokens are not published"


def test_the_line_is_that_on_which_the_row_starts(tmp_path: Path) -> None:
    """A blank line and a quoted line break count; a comma without quotes is said to be one."""
    path = tmp_path / "rows.csv"
    path.write_text(
        'id,model,tokens_b,gpu_hours,notes\n\na,Llama 3 70B,15000,1,"two\nlines"\nb,Llama 3 70B,15,000,1,\n'
    )
    _, row = predict_campaigns(read_campaigns(path), shipped_inputs())
    assert row.reason == "line 5: row: more cells than columns (a comma without quotes?)"
