"""Runs on Dask (dask.distributed): a cluster that is there, or worker processes of our own on this machine.

A Dask scheduler runs whatever code it is sent by whoever reaches its port. So: our own cluster listens on loopback
only, without a dashboard; a scheduler elsewhere must speak TLS, unless the user takes the risk in words.
"""

from __future__ import annotations

import functools
import ipaddress
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from colossus_sim.errors import OutputError, UsageError
from colossus_sim.sweeps.pool import MAX_ATTEMPTS
from colossus_sim.sweeps.task import Outcome, Player, Task

TLS_FILES = {
    "tls_ca_file": "COLOSSUS_SIM_TLS_CA",
    "tls_client_cert": "COLOSSUS_SIM_TLS_CERT",
    "tls_client_key": "COLOSSUS_SIM_TLS_KEY",
}
"""Environment variables that name the certificate files for a tls:// scheduler."""
_CONNECT_SECONDS = 30.0


def check_scheduler(address: str, *, insecure: bool) -> None:
    """Refuse a scheduler that others on the network could use to run code here.

    Raises
    ------
    UsageError
        If it is remote and does not use TLS.
    """
    parts = urlsplit(address if "//" in address else f"tcp://{address}")
    if parts.scheme not in ("tls", "tcp") or not parts.hostname:
        raise UsageError(f"--scheduler: expected tls://HOST:PORT, got {address!r}")
    if parts.scheme == "tls" or insecure or is_loopback(parts.hostname):
        return
    raise UsageError(
        f"--scheduler {address}: a remote scheduler without TLS runs code for whoever reaches it; use tls://, "
        "or --insecure on a network that you trust"
    )


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class DaskExecutor:
    """Plays tasks on a Dask cluster.

    Parameters
    ----------
    jobs : int
        Worker processes of our own cluster; not used with `scheduler`.
    scheduler : str, optional
        Address of a scheduler that runs already.
    insecure : bool
        Accept a remote scheduler without TLS.

    Raises
    ------
    UsageError
        If dask.distributed is not installed, or the scheduler is refused.
    OutputError
        If the scheduler does not answer.
    """

    def __init__(self, *, jobs: int, scheduler: str | None = None, insecure: bool = False) -> None:
        if scheduler is not None:
            check_scheduler(scheduler, insecure=insecure)
        try:
            import distributed
        except ImportError as error:
            raise UsageError("--executor dask needs dask.distributed: install colossus-sim[dask]") from error
        self._cluster: Any = None
        self._distributed: Any = distributed
        if scheduler is None:
            self._cluster = self._distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
                protocol="tcp://", silence_logs=50, worker_dashboard_address="127.0.0.1:0",
            )  # fmt: skip
        try:
            self._client: Any = self._distributed.Client(
                self._cluster if scheduler is None else scheduler,
                timeout=_CONNECT_SECONDS,
                security=_security(distributed, scheduler),
            )
        except OSError as error:
            self._close_cluster()
            raise OutputError(f"the Dask scheduler {scheduler or ''} does not answer: {error}") from error

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers, where the scheduler can ask them."""
        return [int(pid) for pid in self._client.run(os.getpid).values()]

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks; one whose worker dies is tried elsewhere, and given up after `MAX_ATTEMPTS`."""
        submit = self._client.submit
        futures = {submit(play, task, pure=False, retries=0): task for task in tasks}
        for future in self._distributed.as_completed(list(futures)):
            task = futures.pop(future)
            yield [_outcome(future, task)]
            future.release()

    def close(self) -> None:
        """Cancel what is open and end our own workers."""
        self._client.close()
        self._close_cluster()

    def _close_cluster(self) -> None:
        if self._cluster is not None:
            self._cluster.close()


def _security(distributed: Any, scheduler: str | None) -> Any:
    if scheduler is None or not scheduler.startswith("tls://"):
        return None
    files = {name: os.environ.get(variable) for name, variable in TLS_FILES.items()}
    missing = [TLS_FILES[name] for name, path in files.items() if not path]
    if missing:
        raise UsageError(f"--scheduler tls://...: the environment variable {missing[0]} must name a file")
    return distributed.Security(require_encryption=True, **files)


def _outcome(future: Any, task: Task) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    error = (
        f"the Dask worker died at this run more than {MAX_ATTEMPTS} times or failed: {future.exception()!r}"
    )
    return Outcome(index=task.index, status="failed", error=error.splitlines()[0], attempts=MAX_ATTEMPTS)


@functools.cache
def _player() -> Player:
    return Player()


def play(task: Task) -> Outcome:
    """Play a task in a Dask worker; its process keeps one player."""
    return _player().play(task)
