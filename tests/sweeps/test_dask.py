"""Runs on Dask: the same bytes, workers killed on the way, nothing open to the network."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from colossus_sim.errors import UsageError
from colossus_sim.sweeps.dask_executor import DaskExecutor, check_scheduler
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.pool import InlineExecutor
from colossus_sim.sweeps.table import csv_text, run_table
from colossus_sim.sweeps.task import Outcome


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "node7:8786", "ucx://10.0.0.1:8786", "tcp://0.0.0.0:1"]
)
def test_remote_scheduler_without_tls_is_refused(address: str) -> None:
    """Without TLS only loopback is accepted; other protocols are not known."""
    with pytest.raises(UsageError, match="--scheduler"):
        check_scheduler(address, insecure=False)


@pytest.mark.parametrize(
    "address", ["tls://node7:8786", "tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786"]
)
def test_tls_and_loopback_are_accepted(address: str) -> None:
    """TLS anywhere, plain TCP on this machine."""
    check_scheduler(address, insecure=False)


def test_insecure_flag_accepts_the_risk() -> None:
    """With the explicit flag a remote scheduler without TLS is accepted."""
    check_scheduler("tcp://10.0.0.1:8786", insecure=True)


def listening() -> set[tuple[str, int]]:
    """Return the addresses (hex) and ports on which processes of this user listen, IPv4 and IPv6."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in (Path("/proc/net") / name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[7]) == os.getuid():
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


@pytest.mark.filterwarnings("ignore")
def test_local_cluster_gives_the_same_bytes_though_a_worker_is_killed(plan: Plan) -> None:
    """Several worker processes on loopback only; one is killed; the table is that of one process."""
    pytest.importorskip("distributed")
    tasks = plan.tasks()
    wanted = {item.index: item for batch in InlineExecutor().run(tasks) for item in batch}
    before = listening()
    found: dict[int, Outcome] = {}
    with contextlib.closing(DaskExecutor(jobs=2)) as workers:
        opened = listening() - before
        assert opened
        assert {address for address, _ in opened} == {"0100007F"}
        victim = workers.pids[0]
        for batch in workers.run(tasks):
            if not found:
                os.kill(victim, signal.SIGKILL)
            found |= {item.index: item for item in batch}
    assert csv_text(run_table(plan, found)) == csv_text(run_table(plan, wanted))
