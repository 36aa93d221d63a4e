"""One driver per sweep folder."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from colossus_sim.errors import OutputError
from colossus_sim.results.files import output_errors


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file; the system lets go of it when the process ends, however it ends.

    Parameters
    ----------
    shared : bool
        Hold it together with others that share it; nobody holds it alone then.

    Raises
    ------
    OutputError
        If another process holds it.
    """
    with output_errors(str(path)):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        _take(handle, path, shared=shared)
        os.ftruncate(handle, 0)
        who = "drivers of shards, the latest of them " if shared else ""
        os.write(handle, f"{who}process {os.getpid()} on host {socket.gethostname()}".encode())
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path, *, shared: bool) -> None:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no advisory locks of this kind
        return
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
        raise OutputError(f"{path.parent} is in use: locked by {holder}") from None
