"""colossus-sim check: valid files, warnings, and where each value comes from."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from colossus_sim.cli.main import run_command_line
from tests.loading.conftest import SCENARIO


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """A valid scenario file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(SCENARIO)
    return path


def test_a_valid_file_is_one_line(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Jobs, GPUs, sites and assumptions are counted."""
    assert run_command_line(["check", str(tiny_file)]) == 0
    out, err = capsys.readouterr()
    assert (
        out == f"{tiny_file}: valid: 1 job, 1,024 GPUs at 1 site, 1 assumption (case central), 0 warnings\n"
    )
    assert err == ""


def test_quiet_says_nothing(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-q leaves the exit code alone."""
    assert run_command_line(["check", "-q", str(tiny_file)]) == 0
    assert capsys.readouterr() == ("", "")


def test_warnings_go_to_standard_error(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting without effect is mentioned with its place; the file stays valid."""
    assert run_command_line(["check", str(tiny_file), "--set", "jobs.small.phases.pretrain.overlap=0.1"]) == 0
    out, err = capsys.readouterr()
    assert "1 warning" in out
    assert err.startswith("warning: --set #1: jobs.small.phases.pretrain.overlap: has no effect")


LONG = (
    "jobs.small.phases.sft={kind: rl, updates: 9, gpus: 512, rollouts: {generation_share: 0.75, "
    "max_response_tokens: 32768}}"
)


def test_a_response_that_no_sequence_holds_is_a_warning(
    tiny_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words, count and document name what its update would need; a plan that holds it is silent."""
    assert run_command_line(["check", str(tiny_file), "--set", LONG]) == 0
    out, err = capsys.readouterr()
    assert "1 warning" in out
    assert "jobs.small.phases.sft.rollouts.max_response_tokens: the update of the longest response, " in err
    assert "33,792 tokens with its prompt, needs " in err
    assert run_command_line(["check", str(tiny_file), "--set", LONG, "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["files"][0]["warnings"]
    assert warning["message"].endswith("the estimate packs sequences of 8,192 tokens")
    assert run_command_line(["check", str(tiny_file), "--set", LONG.replace("32768", "7168")]) == 0
    assert "0 warnings" in capsys.readouterr().out


def test_explain_shows_value_and_origin(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each effective value has its line: field, value with unit, place."""
    arguments = ["check", str(tiny_file), "--explain", "--set", "jobs.small.gpus=256", "--case", "high"]
    assert run_command_line(arguments) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["jobs.small.gpus", "--set", "#1", "256"] in lines
    assert ["horizon", f"{tiny_file}:5:10", "90", "d"] in lines
    assert ["policies.contention", "default", "average"] in lines
    assert ["cluster.sites.lab.storage.read_bandwidth", f"{tiny_file}:43:25", "200", "GB/s"] in lines
    ranged = ["jobs.small.phases.sft.gpu_time_share", "0.01", "0.02", "0.05", "high", "a", "guess"]
    assert ranged in lines


def test_json_is_one_document(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json --explain gives all values in SI units."""
    assert run_command_line(["check", str(tiny_file), "--json", "--explain"]) == 0
    document = json.loads(capsys.readouterr().out)
    (found,) = document["files"]
    assert (found["valid"], found["jobs"], found["gpus"]) == (True, 1, 1024)
    values = {item["path"]: item for item in found["values"]}
    assert values["horizon"]["value"] == 7776000
    assert values["horizon"]["unit"] == "s"
    assert found["assumptions"][0]["path"] == "jobs.small.phases.sft.gpu_time_share"


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A dash reads standard input."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(SCENARIO.encode())))
    assert run_command_line(["check", "-"]) == 0
    assert "valid: 1 job" in capsys.readouterr().out


def test_a_plan_that_does_not_fit_in_memory(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stage, missing bytes and changes that would help are named; exit code 2."""
    changes = ["tensor_parallel=1", "pipeline_parallel=1", "zero_stage=0"]
    options = [word for change in changes for word in ("--set", f"jobs.small.parallel.{change}")]
    assert run_command_line(["check", str(tiny_file), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"error: {tiny_file}:59:5: jobs.small.parallel: does not fit in memory: stage 0 needs" in err
    assert "would fit: " in err
    assert err.count("error:") == 1


def test_each_offered_change_makes_the_plan_valid(
    tiny_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the replicas are given, and where 20 heads let tensor parallelism be 2 or 4, but not 8."""
    fields = {"tensor_parallel": 2, "pipeline_parallel": 1, "data_parallel": 128, "sequence_length": 32768}
    model = {"num_attention_heads": 20, "num_key_value_heads": 20, "head_dim": 128}

    def checked(plan: dict[str, str]) -> int:
        values = {"gpus": 256, **{f"model.{name}": value for name, value in model.items()}}
        values |= {f"parallel.{name}": value for name, value in plan.items()}
        options = [word for name, value in values.items() for word in ("--set", f"jobs.small.{name}={value}")]
        return run_command_line(["check", str(tiny_file), *options])

    written = {name: str(value) for name, value in fields.items()}
    assert checked(written) == 2
    offered = capsys.readouterr().err.partition("would fit: ")[2].split("\n")[0].split(", ")
    assert "tensor_parallel: 4 with data_parallel: 64" in offered
    for change in offered:
        update = dict(pair.split(": ") for pair in change.split(" with "))
        assert checked(written | update) == 0, change


def test_a_network_that_cannot_be_built(tiny_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Impossible fabrics are found before any run."""
    change = "cluster.sites.lab.topology.fabric.switch_radix=64"
    assert run_command_line(["check", str(tiny_file), "--set", change]) == 2
    assert "--set #1: cluster.sites.lab.topology.fabric.switch_radix: a leaf" in capsys.readouterr().err


BROKEN_PART = """\
extends: tiny.yaml
faults:
  classes:
    odd:
      title: A switch that no network has
      per: switch
      rate: 1e-5 /h
      removes: nothing
      degrades: {part: switch, level: nolevel}
      interrupts: false
      repair: {manual_time: 24 h}
      provenance: {kind: assumption, reference: made up, checked: 2026-11-25}
"""


def test_a_part_that_no_network_has_is_found_before_any_run(
    tiny_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names file, line and field, and the levels that there are."""
    path = tiny_file.parent / "broken.yaml"
    path.write_text(BROKEN_PART)
    assert run_command_line(["check", str(path)]) == 2
    err = capsys.readouterr().err
    assert "broken.yaml:9:" in err
    assert "faults.classes.odd.degrades: no network here has a level 'nolevel' of that kind; levels: " in err
