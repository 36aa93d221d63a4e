"""Networks fitted to nccl-tests: the reader of logs, and constants found again in logs made from them."""

from __future__ import annotations

import json
import re
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


def modelled(topology: Any, gpu: Any, ranks: int, operation: str = "all_reduce") -> list[tuple[int, float]]:
    """Return the times of an operation that the model gives on a network."""
    fabric = build_fabric(topology, gpu, ranks)
    span = packed_span(ranks, 8, fabric)
    return [(size, group_collective_time(operation, float(size), span, fabric).time) for size in SIZES]


def model_log(folder: Path, topology: Any, gpu: Any, hosts: int, operation: str = "all_reduce") -> Path:
    """Write the log that a network would give by the model on so many hosts of 8."""
    path = folder / f"{hosts}_{operation}_perf.log"
    rows = modelled(topology, gpu, 8 * hosts, operation)
    path.write_text(log(rows, ranks=8 * hosts, hosts=hosts, operation=operation), encoding="utf-8")
    return path


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
    runs = [read_nccl_tests(model_log(tmp_path, worse, gpu, hosts)) for hosts in (1, 2)]
    fit = fit_fabric(topology, gpu, runs)
    assert fit.before > 0.05
    assert fit.after < 0.03
    assert fit.topology.scale_up_efficiency == pytest.approx(0.65, rel=0.06)


@pytest.mark.parametrize(
    ("operation", "hosts", "true"),
    [("all_reduce", 2, 0.6), ("all_reduce", 2, 0.119), ("all_reduce", 2, 0.05), ("all_gather", 4, 0.475)],
)
def test_slow_fabrics_are_found_again(tmp_path: Path, operation: str, hosts: int, true: float) -> None:
    """Where the NICs do not bind before the fit, a log of a slower fabric still gives its link efficiency."""
    topology, gpu = named_topology(NETWORK)
    slow = topology.model_copy(update={"link_efficiency": true})
    run = read_nccl_tests(model_log(tmp_path, slow, gpu, hosts, operation))
    fit = fit_fabric(topology, gpu, [run])
    assert fit.topology.link_efficiency == pytest.approx(true, rel=0.02)
    assert fit.after < 0.01
    assert fit.far_off == {}
    largest, measured = run.timings[-1]
    fabric = build_fabric(fit.topology, gpu, run.ranks)
    span = packed_span(run.ranks, 8, fabric)
    fitted = group_collective_time(operation, largest, span, fabric).time
    assert fitted == pytest.approx(measured, rel=0.02)


def test_two_hosts_are_bound_by_their_nics_when_these_are_slow(tmp_path: Path) -> None:
    """By hand: at 10 % of 400 Gbit/s each of the 8 NICs of a host carries an eighth of 4 GiB, once each way."""
    topology, gpu = named_topology(NETWORK)
    slow = topology.model_copy(update={"link_efficiency": 0.1})
    size, time = modelled(slow, gpu, 16)[-1]
    assert time == pytest.approx(size / 8 / (0.1 * 50e9), rel=0.02)


def test_a_log_of_the_base_keeps_the_base(tmp_path: Path) -> None:
    """The error before is that of the network itself: its own log gives none, and no constant moves."""
    topology, gpu = named_topology(NETWORK)
    fit = fit_fabric(topology, gpu, [read_nccl_tests(model_log(tmp_path, topology, gpu, 2))])
    # Times are printed to 10 ns.
    assert fit.before < 1e-3
    assert fit.after <= fit.before
    assert fit.overheads is not None
    assert max(fit.overheads) < 1e-6
    assert all(factor == pytest.approx(1.0, abs=0.02) for factor in fit.factors.values())


def test_overhead_across_grows_from_nothing(tmp_path: Path) -> None:
    """An overhead of 60 us on a network that had none is found within a quarter (the prior holds it back)."""
    topology, gpu = named_topology(NETWORK)
    assert topology.collectives is not None
    protocols = [
        one.model_copy(update={"pipeline_overhead_scale_out": 60e-6})
        for one in topology.collectives.protocols
    ]
    constants = topology.collectives.model_copy(update={"protocols": tuple(protocols)})
    slow = topology.model_copy(update={"collectives": constants})
    fit = fit_fabric(topology, gpu, [read_nccl_tests(model_log(tmp_path, slow, gpu, 2))])
    assert fit.overheads == (0.0, pytest.approx(60e-6, rel=0.25))
    assert fit.after < 0.02


def test_large_sizes_out_of_reach_are_told(tmp_path: Path) -> None:
    """Two logs that contradict each other: the command warns of the one whose large sizes stay wrong."""
    topology, gpu = named_topology(NETWORK)
    slow = topology.model_copy(update={"link_efficiency": 0.1})
    paths = []
    for name, network, hosts in (("a", topology, 2), ("b", topology, 4), ("c", slow, 8)):
        (tmp_path / name).mkdir()
        paths.append(str(model_log(tmp_path / name, network, gpu, hosts)))
    arguments = [*paths, "--topology", NETWORK]
    result = CliRunner().invoke(
        calibrate, [*arguments, "-o", str(tmp_path / "1.yaml")], catch_exceptions=False
    )
    assert f"misses the largest sizes of {paths[2]}" in result.output
    assert f"misses the largest sizes of {paths[0]}" not in result.output
    assert "pipeline overhead across domains: 0 us -> " in result.output
    text = CliRunner().invoke(calibrate, [*arguments, "-o", str(tmp_path / "2.yaml"), "--json"])
    document = json.loads(text.output)
    assert document["schema_version"] == 1
    assert list(document["far_off"]) == [paths[2]]
    assert document["far_off"][paths[2]] > 0.15
    assert document["pipeline_overhead_across_before_s"] == 0.0


def test_base_file_is_named_from_the_written_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base beside the caller and a file written into a folder: the written one can be loaded."""
    monkeypatch.chdir(tmp_path)
    topology, gpu = named_topology(NETWORK)
    path = model_log(tmp_path, topology, gpu, 1)
    Path("base.yaml").write_text(f"use: {NETWORK}\nlink_efficiency: 0.5\n", encoding="utf-8")
    Path("sub").mkdir()
    arguments = [str(path), "--topology", "base.yaml", "-o", "sub/mine.yaml"]
    CliRunner().invoke(calibrate, arguments, catch_exceptions=False)
    assert "use: ../base.yaml\n" in Path("sub/mine.yaml").read_text(encoding="utf-8")
    assert named_topology("sub/mine.yaml")[0].link_efficiency == 0.5


HALF = "    time   algbw   busbw  error"
OLD_HEADER = f"#       size         count      type   redop {HALF} {HALF}"


def test_old_logs_print_an_error_where_newer_ones_count(tmp_path: Path) -> None:
    """Under `error` stands the largest error: 5e-07 is none, and only the last line says that results are wrong."""
    path = tmp_path / "all_reduce_perf.log"
    rows = log([(2**26, 5e-4), (2**30, 4e-3)], ranks=8, hosts=1).replace("      0", "  5e-07")
    text = rows.replace("# Using devices", f"# Using devices\n{OLD_HEADER}")
    path.write_text(text, encoding="utf-8")
    assert len(read_nccl_tests(path).timings) == 2
    path.write_text(text.replace("5e-07", "3e+00"), encoding="utf-8")
    assert len(read_nccl_tests(path).timings) == 2
    path.write_text(text.replace("values : 0 OK", "values : 16 FAILED"), encoding="utf-8")
    with pytest.raises(UsageError, match="16 wrong results"):
        read_nccl_tests(path)


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


def test_lines_may_end_with_a_time_stamp(tmp_path: Path) -> None:
    """``-S 1`` adds one to each line."""
    text = log([(2**26, 5e-4), (2**30, 4e-3)], ranks=8, hosts=1)
    path = tmp_path / "all_reduce_perf.log"
    path.write_text(re.sub(r"(?m)(float.*)$", r"\1  2025-09-01 12:00:00", text), encoding="utf-8")
    assert [time for _, time in read_nccl_tests(path).timings] == pytest.approx([5e-4, 4e-3])


@pytest.mark.parametrize("cut", [1, 2, 4, 5])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_row_cut_short_is_refused(tmp_path: Path, cut: int, rows: int) -> None:
    """Whatever is missing at the end, no other column is taken for the time, in the first row or a later one."""
    lines = log([(2 ** (26 + row), 5e-4 * 2**row) for row in range(rows)], ranks=8, hosts=1).splitlines()
    lines[-2] = " ".join(lines[-2].split()[:-cut])
    path = tmp_path / "all_reduce_perf.log"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        UsageError, match=f"line {len(lines) - 1}: (not a row|.*cells where|.*belong together)"
    ):
        read_nccl_tests(path)


@pytest.mark.parametrize(
    ("program", "said", "message"),
    [
        ("broadcast_perf", "send_recv", "a log of broadcast_perf; read are those of all_reduce"),
        ("alltoall_perf", "all_gather", "--operation all_gather, but the log is one of all_to_all"),
    ],
)
def test_the_program_that_the_log_names_counts(tmp_path: Path, program: str, said: str, message: str) -> None:
    """Neither another program nor another operation than the log's own is fitted."""
    path = tmp_path / "mine.log"
    rows = log([(2**26, 5e-4), (2**30, 4e-3)], ranks=8, hosts=1, operation=said)
    path.write_text(f"# Collective test starting: {program}\n{rows}", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_nccl_tests(path, said)


@pytest.mark.parametrize(
    "base",
    [
        "collectives: nccl_nvlink4_efa",
        "collectives: {use: nccl_nvlink4, fabric_reduction: {latency: 20 us, bandwidth_fraction: 0.95}}",
    ],
)
def test_every_constant_of_the_base_is_written_so_that_it_loads(tmp_path: Path, base: str) -> None:
    """Switches of flags and switches that add up come back as they were."""
    (tmp_path / "base.yaml").write_text(f"use: {NETWORK}\n{base}\n", encoding="utf-8")
    topology, gpu = named_topology(str(tmp_path / "base.yaml"))
    path = model_log(tmp_path, topology, gpu, 2)
    done = CliRunner().invoke(
        calibrate, [str(path), "--topology", str(tmp_path / "base.yaml"), "-o", str(tmp_path / "out.yaml")]
    )
    assert done.exit_code == 0, done.output
    again, _ = named_topology(str(tmp_path / "out.yaml"))
    assert again.collectives.fastest_tree == topology.collectives.fastest_tree
    assert again.collectives.fabric_reduction == topology.collectives.fabric_reduction


def test_a_log_counts_once(tmp_path: Path) -> None:
    """The same file by two paths would weigh twice."""
    topology, gpu = named_topology(NETWORK)
    path = model_log(tmp_path, topology, gpu, 1)
    again = tmp_path / "." / path.name
    done = CliRunner().invoke(
        calibrate, [str(path), str(again), "--topology", NETWORK, "-o", str(tmp_path / "out.yaml")]
    )
    assert isinstance(done.exception, UsageError)
    assert "given twice" in str(done.exception)
    assert not (tmp_path / "out.yaml").exists()
