"""Worker processes under supervision: one that dies takes nothing with it but its own time.

A `concurrent.futures.ProcessPoolExecutor` gives up the whole sweep when one worker is killed. Here each worker
has a pipe of its own; if it dies, the task it was at is tried again, and given up after `MAX_ATTEMPTS`; the
others go on. A task that takes longer than it may is given up at once: it would take as long again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol

from colossus_sim.errors import OutputError
from colossus_sim.sweeps.task import Outcome, Player, Task
from colossus_sim.units import format_duration

MAX_ATTEMPTS = 3
"""How often a task is begun before it is given up."""
CHUNK_SECONDS = 0.2
"""Work that is sent to a worker at once. [s]"""
MAX_CHUNK = 64
MAX_DEATHS_IN_ROW = 20
"""Workers that die one after another without any result before the pool gives up."""
_JOIN_SECONDS = 5.0
_READY = None
"""What a worker sends when it has started."""


class Executor(Protocol):
    """Something that plays tasks and hands back an outcome for each, in any order."""

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks; yield what has come since the last time."""

    def close(self) -> None:
        """Let go of everything, at once."""


class InlineExecutor:
    """Plays tasks one after another in this process; a crash takes the driver with it."""

    def __init__(self) -> None:
        self._player = Player()

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks."""
        for task in tasks:
            yield [self._player.play(task)]

    def close(self) -> None:
        """Nothing to let go of."""


def _serve(connection: Connection) -> None:
    """Life of a worker: take tasks, send outcomes; end when the driver has gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    player = Player()
    with contextlib.suppress(EOFError, OSError):
        connection.send(_READY)
        while True:
            for task in connection.recv():
                connection.send(player.play(task))


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(0)


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    tasks: deque[Task] = field(default_factory=deque)
    """Sent and not answered; the first one is being played."""
    since: float = 0.0
    """When the first one began. [s]"""
    started: bool = False
    """Whether it is ready to play; the time before is not that of its first task."""
    overdue: Task | None = None
    """The task for which it was killed, as that took too long."""


class WorkerPool:
    """Local worker processes.

    Parameters
    ----------
    jobs : int
        Number of processes.
    task_timeout : float, optional
        Longest time of one task; a worker that is slower is killed, and the task has failed. [s]
    start_method : str, optional
        How processes are started: forkserver, spawn, fork; default: forkserver where there is one.
    """

    def __init__(
        self, jobs: int, *, task_timeout: float | None = None, start_method: str | None = None
    ) -> None:
        known = multiprocessing.get_all_start_methods()
        method = start_method or ("forkserver" if "forkserver" in known else "spawn")
        self._context: BaseContext = multiprocessing.get_context(method)
        if method == "forkserver":
            multiprocessing.set_forkserver_preload(["colossus_sim.sweeps.pool"])
        self._jobs, self._timeout = max(1, jobs), task_timeout
        self._workers: list[_Worker] = []
        self._attempts: dict[int, int] = {}
        self._deaths = 0
        self._seconds_per_task = CHUNK_SECONDS

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid or 0 for worker in self._workers]

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Play tasks and yield their outcomes as they come.

        Raises
        ------
        OutputError
            If workers die again and again before they do anything.
        """
        queue = deque(tasks)
        open_tasks = len(queue)
        self._attempts = {}
        while open_tasks:
            self._feed(queue)
            arrived = [outcome for worker in self._ready() for outcome in self._collect(worker, queue)]
            if arrived:
                open_tasks -= len(arrived)
                yield arrived

    def _feed(self, queue: deque[Task]) -> None:
        while len(self._workers) < min(self._jobs, len(queue) + self._busy()):
            self._workers.append(self._start())
        for worker in list(self._workers):
            if worker.tasks or not queue:
                continue
            chunk = [queue.popleft() for _ in range(min(len(queue), self._chunk(len(queue))))]
            worker.tasks.extend(chunk)
            worker.since = time.monotonic()
            # A dead worker is noticed by `_ready`; what it was sent goes back to the queue there.
            with contextlib.suppress(OSError):
                worker.connection.send(chunk)

    def _busy(self) -> int:
        return sum(1 for worker in self._workers if worker.tasks)

    def _chunk(self, left: int) -> int:
        fitting = int(CHUNK_SECONDS / max(1e-4, self._seconds_per_task))
        return max(1, min(MAX_CHUNK, fitting, left // (2 * self._jobs)))

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        return _Worker(process=process, connection=ours)

    def _ready(self) -> list[_Worker]:
        """Wait for answers, deaths, or a task that takes too long."""
        by_handle: dict[object, _Worker] = {}
        for worker in self._workers:
            by_handle[worker.connection] = worker
            by_handle[worker.process.sentinel] = worker
        patience = 1.0 if self._timeout is None else min(1.0, max(0.01, self._timeout / 4.0))
        found = wait(list(by_handle), timeout=patience)  # type: ignore[arg-type]
        ready = {id(by_handle[handle]): by_handle[handle] for handle in found}
        for worker in self._workers:
            if self._is_late(worker):
                worker.overdue = worker.tasks[0]
                worker.process.kill()
                worker.process.join(_JOIN_SECONDS)
                ready[id(worker)] = worker
        return list(ready.values())

    def _is_late(self, worker: _Worker) -> bool:
        if self._timeout is None or not worker.started or not worker.tasks:
            return False
        if time.monotonic() - worker.since <= self._timeout:
            return False
        # An answer that only waits to be read came in time, and one that died by itself is buried as such.
        return not worker.connection.poll() and worker.process.is_alive()

    def _collect(self, worker: _Worker, queue: deque[Task]) -> Iterator[Outcome]:
        try:
            while worker.connection.poll():
                outcome: Outcome | None = worker.connection.recv()
                now = time.monotonic()
                if outcome is _READY:
                    worker.started, worker.since = True, now
                    continue
                task = worker.tasks.popleft()
                self._seconds_per_task += 0.3 * (now - worker.since - self._seconds_per_task)
                worker.since, self._deaths = now, 0
                yield replace(outcome, attempts=self._attempts.get(task.index, 0) + 1)
            dead = not worker.process.is_alive() and not worker.connection.poll()
        except (EOFError, OSError):
            dead = True
        if dead:
            yield from self._bury(worker, queue)

    def _bury(self, worker: _Worker, queue: deque[Task]) -> Iterator[Outcome]:
        worker.process.join(_JOIN_SECONDS)
        worker.connection.close()
        self._workers.remove(worker)
        if worker.overdue is not None:
            yield from self._give_up(worker, queue)
            return
        self._deaths += 1
        if self._deaths > MAX_DEATHS_IN_ROW:
            raise OutputError(
                f"{self._deaths} worker processes died one after another ({_how(worker)}); is memory short?"
            )
        if not worker.tasks:
            return
        suspect = worker.tasks.popleft()
        queue.extendleft(reversed(worker.tasks))
        attempts = self._attempts[suspect.index] = self._attempts.get(suspect.index, 0) + 1
        if attempts < MAX_ATTEMPTS:
            queue.append(suspect)
            return
        error = f"the worker process died {attempts} times at this run (last: {_how(worker)})"
        yield Outcome(index=suspect.index, status="failed", error=error, attempts=attempts)

    def _give_up(self, worker: _Worker, queue: deque[Task]) -> Iterator[Outcome]:
        """Say that the task for which a worker was killed has failed; what waited behind it goes back."""
        late = worker.overdue
        if worker.tasks and late is worker.tasks[0]:  # else its answer came in the last moment
            worker.tasks.popleft()
            error = f"ran longer than --task-timeout {format_duration(self._timeout or 0.0)}"
            attempts = self._attempts.get(late.index, 0) + 1
            yield Outcome(index=late.index, status="failed", error=error, attempts=attempts)
        queue.extendleft(reversed(worker.tasks))

    def close(self) -> None:
        """Kill the workers; what they were at is lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(_JOIN_SECONDS)
            worker.connection.close()
        self._workers.clear()


def _how(worker: _Worker) -> str:
    code = worker.process.exitcode
    if code is None:
        return "no answer"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
