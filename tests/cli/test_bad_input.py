"""Every mistake in a scenario file: one clear error with its place, exit code 2, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from colossus_sim.cli.main import run_command_line
from tests.loading.conftest import SCENARIO

GPUS = "    gpus: 512\n"

CASES = {
    # the list of the issue
    "unknown key": ("horizon: 90", "horizn: 90", "5:1: horizn: unknown key 'horizn'; did you mean 'horizon'?"),
    "unknown key inside": (GPUS, "    gpsu: 512\n", "57:5: jobs.small.gpsu: unknown key 'gpsu'; did you"),
    "wrong unit": ("90 days", "90 GB", "5:10: horizon: unit 'GB' is not one of a duration; write e.g. '30 min'"),
    "bits for bytes": ("80 GB", "80 Gbit/s", "28:27: cluster.sites.lab.partitions.main.gpu.hbm_capacity: unit"),
    "bare number": ("90 days", "90", "5:10: horizon: duration needs a unit, e.g. '30 min' or '60 days'"),
    "bare number in a text": ("90 days", "'90'", "5:10: horizon: duration needs a unit"),
    "product": (
        "tensor_parallel: 4",
        "data_parallel: 3\n      tensor_parallel: 4",
        "60:22: jobs.small.parallel.data_parallel: tp 4 x pp 2 x cp 1 x dp 3 = 24, but jobs.small.gpus is 512",
    ),
    "larger than its site": (GPUS, "    gpus: 5120\n", "57:11: jobs.small.gpus: wants 5120 GPUs, but lab/main"),
    "target before start": ("2026-02-15", "2025-02-15", "88:20: jobs.small.target.date: the target 2025-02-15"),
    "duplicate key": (GPUS, "    gpus: 512\n    gpus: 256\n", "58:5: key 'gpus' is written twice"),
    "not a number": ("90 days", ".nan", "5:10: horizon: must be a finite number, got nan"),
    "infinite": (GPUS, "    gpus: .inf\n", "57:11: jobs.small.gpus: must be a finite number, got inf"),
    "infinite in a text": ("90 days", "1e999 days", "5:10: horizon: duration must be finite, got 1e999 days"),
    "negative": ("90 days", "-90 days", "5:10: horizon: duration must not be negative, got -90 days"),
    # catalogue B
    "negative count": (GPUS, "    gpus: -5\n", "57:11: jobs.small.gpus: count must not be negative, got -5"),
    "zero count": (GPUS, "    gpus: 0\n", "57:11: jobs.small.gpus: must be at least 1, got 0"),
    "truth value": (GPUS, "    gpus: true\n", "57:11: jobs.small.gpus: expected a count such as '100k'"),
    "fraction": (GPUS, "    gpus: 1.5\n", "57:11: jobs.small.gpus: count must be a whole number, got 1.5"),
    "potatoes": ("90 days", "30 potatoes", "unit 'potatoes' is not one of a duration"),
    "ambiguous m": ("90 days", "30 m", "'30 m' is ambiguous: write 'min' for minutes"),
    "list for scalar": (GPUS, "    gpus: [1, 2]\n", "57:11: jobs.small.gpus: expected a count such as '100k' or"),
    "scalar for list": (
        "    - {name: storage, interval: 30 min}",
        "    storage",
        "94:5: checkpoint.tiers: expected a list, got 'storage'",
    ),
    "scalar for mapping": ("    target: {date: 2026-02-15, means: released}", "    target: 2026-02-15",
                           "88:13: jobs.small.target: expected a mapping, got '2026-02-15'"),
    "null": (GPUS, "    gpus:\n", "jobs.small.gpus: expected a count such as '100k' or '1024', got nothing (null)"),
    "missing": ("    site: lab\n", "", "47:3: jobs.small.site: 'site' is missing; Site it runs at."),
    "missing quantity": ("horizon: 90 days\n", "", "1:1: horizon: 'horizon' is missing; When it stops, whether "
                         "or not all jobs are done. E.g. '30 min'."),
    "bad date": ("start: 2026-01-01", "start: 2026-13-01", "4:8: start: expected a date such as '2026-04-08'"),
    "number as date": ("start: 2026-01-01", "start: 2026", "start: expected a date such as '2026-04-08', got 2026"),
    "number as text": ("title: Toy GPU", "title: 2024", "expected a text, got 2024; put it in quotes"),
    "share above one": ("data_overlap: 0.8", "data_overlap: 1.2", "67:23: jobs.small.parallel.stack.data_overlap"),
    "weibull shape": ("per: gpu,", "per: gpu, shape: 0,", "faults.classes.gpu.shape: must be at least 0.1, got 0"),
    "wrong choice": ("per: gpu,", "per: gpus,", "faults.classes.gpu.per: expected one of gpu, node, domain, group, "
                     "switch, site, job, got 'gpus'; did you mean 'gpu'?"),
    "wrong kind of fabric": ("kind: clos", "kind: closs", "cluster.sites.lab.topology.fabric.kind: kind must "
                             "be one of clos, dragonfly, torus, custom, got 'closs'; did you mean 'clos'?"),
    "wrong version": ("version: 1", "version: 2", "1:10: version: expected 1, got 2"),
    "unknown precision": ("{bf16: 1", "{bf61: 1", "bf61: expected one of fp32, tf32"),
    # catalogue D: names become folders and files
    "name with slashes": ("name: tiny", "name: ../../x", "2:7: name: expected letters, digits, '_', '.' and '-'"),
    "job name with slashes": ("  small:\n", "  a/b:\n", "47:3: jobs.a/b: expected letters, digits"),
    "no jobs": ("jobs:\n", "jobs: {}\nfaults_:\n", "46:7: jobs: must not be empty"),
    "unknown entry": ("faults:\n", "faults: llama3_h1000\nx:\n", "there is no set of faults called 'llama3_h1000'"),
}  # fmt: skip


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run_command_line(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistake_is_one_clear_error(
    name: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Place, field, what is wrong, what would be right; code 2; no traceback; no output folder."""
    old, new, said = CASES[name]
    assert old in SCENARIO
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO.replace(old, new, 1))
    code, out, err = run([command, "s.yaml"], capsys)
    assert code == 2
    assert out == ""
    assert said in err
    assert "error: s.yaml:" in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_the_caret_points_at_the_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The source line is shown with a caret under the place."""
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("90 days", "90"))
    _, _, err = run(["check", str(path)], capsys)
    lines = err.splitlines()
    assert lines[1] == "    | horizon: 90"
    assert lines[2] == "    |          ^"


def test_a_misspelt_key_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The right key is not reported as missing beside it."""
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("horizon:", "horizn:"))
    assert run(["check", str(path)], capsys)[2].count("error:") == 1


def test_all_mistakes_are_reported_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several mistakes in one file come together, in the order of the declarations."""
    path = tmp_path / "s.yaml"
    text = SCENARIO.replace("90 days", "90").replace("80 GB", "80").replace("    gpus: 512", "    gpus: x")
    path.write_text(text)
    assert run(["check", str(path)], capsys)[2].count("error:") == 3


def test_at_most_twenty_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beyond that, only their number."""
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO + "".join(f"x{n}: 1\n" for n in range(30)))
    err = run(["check", str(path)], capsys)[2]
    assert err.count("error:") == 20
    assert "... and 10 more" in err


def test_other_files_than_yaml_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The content of a file that is not YAML by its name is never shown."""
    path = tmp_path / "secret.txt"
    path.write_text("password: hunter2\n")
    code, out, err = run(["check", str(path)], capsys)
    assert code == 2
    assert "hunter2" not in out + err


def test_errors_as_json_name_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check --json gives one document with a list of problems per file."""
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("90 days", "90"))
    code, out, err = run(["check", str(path), "--json"], capsys)
    (found,) = json.loads(out)["files"]
    assert (code, err, found["valid"]) == (2, "", False)
    assert found["problems"][0]["path"] == "horizon"
    assert found["problems"][0]["where"] == f"{path}:5:10"


@pytest.mark.parametrize(
    "path",
    ["", "\x00", "x" * 5000, "nope", "nope.yaml", "no/such/folder/x.yaml", ".", "/dev/zero", "a\nb.yaml"],
)
def test_no_path_is_a_crash(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Impossible, missing and endless files are ordinary errors."""
    code, out, err = run(["check", path], capsys)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_bad_and_good_files_are_both_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One wrong file does not hide the others; the exit code is that of the worst."""
    (tmp_path / "good.yaml").write_text(SCENARIO)
    (tmp_path / "bad.yaml").write_text("")
    code, out, err = run(["check", str(tmp_path / "bad.yaml"), str(tmp_path / "good.yaml")], capsys)
    assert code == 2
    assert "good.yaml: valid" in out
    assert "the file is empty" in err
