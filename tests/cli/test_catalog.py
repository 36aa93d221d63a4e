"""colossus-sim catalog: what can be named, with sources."""

from __future__ import annotations

import json

import pytest

from colossus_sim.cli.main import run_command_line
from colossus_sim.loading.listing import RECORDS, load_entries
from colossus_sim.loading.references import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_table(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A header, a rule, and a line per entry."""
    assert run_command_line(["catalog", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("name")
    assert set(lines[1]) <= {"-", " "}
    assert len(lines) > 2


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "scenarios"])
def test_every_entry_shows_its_source(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where an entry has a provenance, its reference is in the table."""
    run_command_line(["catalog", kind])
    out = capsys.readouterr().out
    for name, record in load_entries(kind).items():
        assert name in out
        provenance = getattr(record, "provenance", None)
        if provenance is not None:
            assert " ".join(provenance.reference.split()) in out


@pytest.mark.parametrize("kind", list(RECORDS))
@pytest.mark.parametrize("case", ["low", "central", "high"])
def test_every_shipped_entry_is_valid(kind: str, case: str) -> None:
    """Each entry of each catalog validates in each case, and has its name."""
    entries = load_entries(kind, case=case)
    assert entries
    assert all(getattr(record, "name", name) == name for name, record in entries.items())


def test_one_entry_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """catalog gpus h100 shows every field as it is written."""
    assert run_command_line(["catalog", "gpus", "h100"]) == 0
    out = capsys.readouterr().out
    assert "nic_bandwidth" in out
    assert "400 Gbit/s" in out
    assert "provenance.reference" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """--json gives the entries as written."""
    assert run_command_line(["catalog", "gpus", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["entries"]["h100"]["hbm_capacity"] == "79.6 GiB"
    assert run_command_line(["catalog", "gpus", "h100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entry"] == document["entries"]["h100"]


def test_an_unknown_entry_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is exit code 2 with a suggestion."""
    assert run_command_line(["catalog", "gpus", "h10"]) == 2
    assert "there is no 'h10' in gpus; did you mean" in capsys.readouterr().err
