"""Own rows of collectives: which device they are priced with, and what is said of cells that cannot be read."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pytest

from colossus_sim.errors import UsageError
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


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("gpus_per_node", "0.3", "gpus_per_node: 0.3 is not a whole number; a whole number from 1 to"),
        ("gpus_per_node", "eight", "gpus_per_node: 'eight' is not a number; a whole number from 1 to"),
        ("gpus_per_node", "0", "gpus_per_node: '0' is out of range; a whole number from 1 to"),
        ("time_us", "1e-320", "time_us: '1e-320' is out of range; a number from 0.001 to"),
        ("time_us", "inf", "time_us: 'inf' is not a finite number"),
        ("time_us", "4 ms", "time_us: '4 ms' is not a number"),
        ("time_us", "", "time_us: empty; a number from 0.001 to"),
        ("message_bytes", "1 GiB", "message_bytes: '1 GiB' is not a number"),
        ("n_gpus", "0.4", "n_gpus: 0.4 is not a whole number; a whole number from 2 to"),
        ("n_gpus", "8.4", "n_gpus: 8.4 is not a whole number"),
        ("n_gpus", "1", "n_gpus: '1' is out of range; a whole number from 2 to"),
        ("n_gpus", "1e300", "n_gpus: '1e300' is out of range"),
        ("nic_gbps_per_gpu", "100 Gb/s", "nic_gbps_per_gpu: '100 Gb/s' is not a number"),
        ("nic_gbps_per_gpu", "1e-320", "nic_gbps_per_gpu: '1e-320' is out of range"),
        ("collective", "gossip", "the model refuses it: "),
    ],
)
def test_only_the_row_with_an_unreadable_cell_is_left_out(
    tmp_path: Path, column: str, text: str, said: str
) -> None:
    """The reason names the column, its text and what would be right; the good row is still predicted."""
    found = outcome(tmp_path, {column: text}, {})
    assert [item.row.line for item in found.predictions] == [3]
    [(name, reason)] = found.left_out
    assert name.startswith("2:s:")
    assert reason.startswith(said)


def test_numbers_may_have_commas_and_optional_ones_may_be_absent(tmp_path: Path) -> None:
    """`1,073,741,824` is the same size, and `n/a` the same as an empty optional cell."""
    found = outcome(tmp_path, {}, {"message_bytes": "1,073,741,824", "nic_gbps_per_gpu": "n/a"})
    assert not found.left_out
    assert found.predictions[0].predicted == found.predictions[1].predicted


def test_the_largest_numbers_accepted_are_predicted(tmp_path: Path) -> None:
    """Rows at the bounds give a finite error."""
    most = {"n_gpus": "1e7", "message_bytes": "1e15", "time_us": "0.001", "nic_gbps_per_gpu": "0.001"}
    [item] = outcome(tmp_path, most).predictions
    assert 0.0 < item.error < float("inf")


def test_the_words_on_the_fabric_state_the_network_where_its_column_is_empty(tmp_path: Path) -> None:
    """`8x100G` is the 100 Gbit/s per GPU of the column, not the 400 of the H100; the column comes first."""
    nodes = {"n_gpus": "16"}
    words, column, both = (
        nodes | {"fabric": "RoCE 8x100G/node"},
        nodes | {"fabric": "RoCE", "nic_gbps_per_gpu": "100"},
        nodes | {"fabric": "RoCE 8x400G/node", "nic_gbps_per_gpu": "100"},
    )
    found = outcome(tmp_path, words, column, both, nodes).predictions
    assert len({item.predicted for item in found[:3]}) == 1
    assert found[0].predicted > 2 * found[3].predicted


def test_rows_are_named_by_the_line_on_which_they_start(tmp_path: Path) -> None:
    """Blank lines and quoted line breaks count; a comma without quotes is said to be one."""
    header = "notes," + ",".join(GOOD)
    cells = ",".join(GOOD.values())
    text = f'{header}\n\n"two\nlines",{cells}\n,{cells}\nx,{cells.replace("8,8,", "8,1,024,")}\n'
    found = outcome_of_text(text, tmp_path)
    assert [item.row.line for item in found.predictions] == [3, 5]
    [(name, reason)] = found.left_out
    assert name.startswith("6:")
    assert reason == "row: more cells than columns (a comma without quotes?)"


def test_sendrecv_is_send_recv(tmp_path: Path) -> None:
    """nccl-tests' own name of the operation is predicted."""
    found = outcome(tmp_path, *({"collective": name} for name in ("sendrecv", "sendrecv_perf", "send_recv")))
    assert len({item.predicted for item in found.predictions}) == 1
    assert not found.left_out


def test_a_quote_that_is_not_closed_is_said_to_be_one(tmp_path: Path) -> None:
    """The csv module gives up on a cell of more than 131,072 characters; the message is one line, no traceback."""
    text = ",".join(GOOD) + "\n" + ",".join(GOOD.values()) + '\n"' + "x\n" * 70_000
    with pytest.raises(UsageError, match=r"rows.csv: cannot be read after line \d+: .*quote that is not"):
        outcome_of_text(text, tmp_path)
