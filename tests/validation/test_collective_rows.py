"""Own rows of collectives: which device they are priced with, and what is said of cells that cannot be read."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pytest

from colossus_sim.validation.collective_model import CollectivePredictor
from colossus_sim.validation.collectives import CollectivePrediction, collective_groups, read_collective_rows
from colossus_sim.validation.inputs import shipped_inputs

GOOD = {
    "system": "s", "gpu": "H100", "gpus_per_node": "8", "n_gpus": "8", "collective": "all_reduce",
    "message_bytes": "1073741824", "time_us": "4000", "fabric": "NVLink", "nic_gbps_per_gpu": "", "grade": "A",
}  # fmt: skip


class Outcome(NamedTuple):
    """Predictions, and name and reason of every row left out."""

    predictions: tuple[CollectivePrediction, ...]
    left_out: list[tuple[str, str]]


def outcome_of_text(text: str, folder: Path) -> Outcome:
    path = folder / "rows.csv"
    path.write_text(text, encoding="utf-8")
    inputs = shipped_inputs()
    found, left_out = CollectivePredictor(inputs.gpus, inputs.collectives).predict(read_collective_rows(path))
    return Outcome(found, [(row.name, reason) for row, reason in left_out])


def outcome(folder: Path, *changes: dict[str, str]) -> Outcome:
    path = folder / "written.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(GOOD))
        writer.writeheader()
        writer.writerows(GOOD | change for change in changes)
    return outcome_of_text(path.read_text(encoding="utf-8"), folder)


def test_an_a800_has_its_own_nvlink(tmp_path: Path) -> None:
    """gpus.csv gives the A800 200 GB/s of the A100's 300; a large all-reduce takes 3/2 of the time.

    Both orders of the rows give the same: the fabrics kept are told apart by their bandwidth.
    """
    large = {"message_bytes": str(2**36)}
    for order in (("A100-80GB", "A800"), ("A800", "A100-80GB")):
        found = outcome(tmp_path, *(large | {"gpu": gpu} for gpu in order)).predictions
        times = {item.row.gpu: item.predicted for item in found}
        assert times["A800"] / times["A100-80GB"] == pytest.approx(1.5, rel=0.02)


def test_a_domain_of_four_is_no_rack(tmp_path: Path) -> None:
    """Eight GPUs of GB200 NVL4 are two domains, so they use the network; in a rack of 72 they do not."""
    found = outcome(tmp_path, {"gpu": "GB200 NVL4"}, {"gpu": "GB200"}).predictions
    assert [item.domain for item in found] == [4, 72]
    assert [item.in_node for item in found] == [False, True]
    assert found[0].predicted > 4 * found[1].predicted


def test_rows_are_grouped_by_the_domain_that_they_are_priced_with(tmp_path: Path) -> None:
    """Sixteen GPUs in a rack are one NVLink domain, whatever the words of the row's fabric."""
    rack = {"gpu": "GB200", "gpus_per_node": "4", "n_gpus": "16"}
    nodes = {"gpu": "H100", "n_gpus": "16"}
    found = outcome(tmp_path, rack, nodes, rack | {"fabric": "NVLink5 NVL72"}).predictions
    counts = {group.name: group.count for group in collective_groups(found)}
    assert (counts["one NVLink domain"], counts["across nodes"]) == (2, 1)
