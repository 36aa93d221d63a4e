"""What a result rests on is listed whole."""

from __future__ import annotations

from colossus_sim import load_scenario
from colossus_sim.results.assumptions import assumption_rows

UNTITLED = (
    "{{per: job, rate: {rate} /day, removes: nothing, "
    "provenance: {{kind: assumption, reference: own, checked: 2026-08}}}}"
)


def test_untitled_entries_of_one_source_are_all_listed() -> None:
    """Fault classes without a title are called by their key, also where two are equal."""
    classes = {"soft": 1, "hard": 2, "same": 2}
    overrides = [f"faults.classes.{name}={UNTITLED.format(rate=rate)}" for name, rate in classes.items()]
    rows = assumption_rows(load_scenario("tiny", overrides=overrides))
    assert [row["value"] for row in rows if row["source"] == "own"] == list(classes)


def test_an_entry_that_two_jobs_share_is_listed_once_and_a_changed_one_apart() -> None:
    """Equal entries are one row; an entry of the same name with another value is one of its own."""
    for overrides, count in (([], 1), (["jobs.small.parallel.stack.data_overlap=0.1"], 2)):
        rows = assumption_rows(load_scenario("tiny", overrides=overrides))
        assert sum(row["value"] == "megatron_core_2025" for row in rows) == count


def test_unnamed_items_of_one_source_are_one_row() -> None:
    """The kernel rates of a calibration are listed by source."""
    rows = [row for row in assumption_rows(load_scenario("tiny")) if row["value"] == "KernelCalibration"]
    assert len({row["source"] for row in rows}) == len(rows) > 1
