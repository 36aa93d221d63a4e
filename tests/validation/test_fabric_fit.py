"""Networks fitted to nccl-tests: the reader of logs, and constants found again in logs made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from colossus_sim.cli.calibrate import calibrate
from colossus_sim.cli.topology import named_topology
from colossus_sim.errors import UsageError
from colossus_sim.formulas.collectives import bus_factor
from colossus_sim.parallelism.collective_time import group_collective_time
from colossus_sim.topology.builders import build_fabric
from colossus_sim.validation.collective_model import packed_span
from colossus_sim.validation.fabric_fit import fit_fabric
from colossus_sim.validation.nccl_tests import read_nccl_tests

NETWORK = "hgx_h100_1k"
SIZES = tuple(2**power for power in range(10, 34, 2))


def log(rows: list[tuple[int, float]], *, ranks: int, hosts: int, operation: str = "all_reduce") -> str:
    """Return what nccl-tests prints for sizes [B] and times [s]."""
    lines = ["# nThread 1 nGpus 1 minBytes 8 maxBytes 8589934592 step: 2(factor)", "#", "# Using devices"]
    for rank in range(ranks):
        host = f"node{rank * hosts // ranks:03d}"
        lines.append(
            f"#  Rank {rank:2d} Group  0 Pid {4000 + rank} on {host} device {rank % 8} [0x1b] NVIDIA H100"
        )
    for size, time in rows:
        algbw = size / time / 1e9
        busbw = algbw * bus_factor(operation, ranks)
        half = f"{time * 1e6:9.2f} {algbw:7.2f} {busbw:7.2f}      0"
        lines.append(f"{size:12d} {size // 4:12d}     float     sum      -1 {half} {half}")
    return "\n".join([*lines, "# Out of bounds values : 0 OK", ""])


def modelled(topology: Any, gpu: Any, ranks: int) -> list[tuple[int, float]]:
    """Return all-reduce times that the model gives on a network."""
    fabric = build_fabric(topology, gpu, ranks)
    span = packed_span(ranks, 8, fabric)
    return [(size, group_collective_time("all_reduce", float(size), span, fabric).time) for size in SIZES]


def test_log_says_what_ran_where(tmp_path: Path) -> None:
    """Ranks, hosts, sizes and out-of-place times come from the log, the program from its name."""
    path = tmp_path / "two_hosts_all_reduce_perf.log"
    path.write_text(log([(1024, 20e-6), (2**30, 4e-3)], ranks=16, hosts=2), encoding="utf-8")
    run = read_nccl_tests(path)
    assert (run.operation, run.ranks, run.nodes) == ("all_reduce", 16, 2)
    assert [size for size, _ in run.timings] == [1024.0, 2.0**30]
    assert [time for _, time in run.timings] == pytest.approx([20e-6, 4e-3])


@pytest.mark.parametrize(
    ("change", "operation", "message"),
    [
        (lambda text: "hello\n", "all_reduce", "no output of nccl-tests"),
        (lambda text: text, None, "which program ran"),
        (lambda text: text, "all_gather", "name the right --operation"),
        (lambda text: text.replace("      0 ", "      7 "), "all_reduce", "7 wrong results"),
        (lambda text: text + text, "all_reduce", "busbw / algbw is"),
        (lambda text: text.replace("float     sum", "float sum x"), "all_reduce", None),
    ],
)
def test_bad_logs_are_refused(
    tmp_path: Path, change: Any, operation: str | None, message: str | None
) -> None:
    """A log that is none, contradicts itself or is broken gives one error that names the file."""
    path = tmp_path / "run.log"
    path.write_text(change(log([(2**26, 5e-4), (2**30, 4e-3)], ranks=8, hosts=1)), encoding="utf-8")
    if message is None:
        assert read_nccl_tests(path, operation).ranks == 8
        return
    with pytest.raises(UsageError, match=message) as caught:
        read_nccl_tests(path, operation)
    assert str(path) in str(caught.value)


def test_fit_finds_the_network_again(tmp_path: Path) -> None:
    """Logs made on a network with other constants lead back to them within a few percent of time."""
    topology, gpu = named_topology(NETWORK)
    worse = topology.model_copy(update={"link_efficiency": 0.7, "scale_up_efficiency": 0.65})
    runs = []
    for ranks, hosts in ((8, 1), (16, 2)):
        path = tmp_path / f"{hosts}_all_reduce_perf.log"
        path.write_text(log(modelled(worse, gpu, ranks), ranks=ranks, hosts=hosts), encoding="utf-8")
        runs.append(read_nccl_tests(path))
    fit = fit_fabric(topology, gpu, runs)
    assert fit.before > 0.05
    assert fit.after < 0.03
    assert fit.topology.scale_up_efficiency == pytest.approx(0.65, rel=0.06)


def test_written_file_is_a_network(tmp_path: Path) -> None:
    """The written file loads as a topology with the fitted constants; an existing file is not overwritten."""
    topology, gpu = named_topology(NETWORK)
    path, out = tmp_path / "all_reduce_perf.log", tmp_path / "mine.yaml"
    path.write_text(log(modelled(topology, gpu, 8), ranks=8, hosts=1), encoding="utf-8")
    arguments = [str(path), "--topology", NETWORK, "-o", str(out)]
    result = CliRunner().invoke(calibrate, arguments, catch_exceptions=False)
    assert "12 timings" in result.output
    found, _ = named_topology(str(out))
    assert found.scale_up_efficiency == pytest.approx(topology.scale_up_efficiency, rel=0.02)
    assert found.collectives is not None
    assert len(found.collectives.protocols) == 3
    again = CliRunner().invoke(calibrate, arguments)
    assert "exists already" in str(again.exception)
