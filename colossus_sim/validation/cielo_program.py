"""The Cielo workload as the published program plays it: its jobs, order of starts, storage queue, month and count.

Source files named here are those of github.com/SMURFSorg/InterferingCheckpoints, commit 42ecf63. Its runs (seeds 0
to 35, ``celio -s SEED -b BANDWIDTH -m 7200``, built and run here) are in data/validation/cielo_program.csv.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from colossus_sim.engine.agenda import Agenda
from colossus_sim.engine.bench import BenchJob
from colossus_sim.engine.storage_desk import StorageDesk, Transfer, lost_at_risk, lost_standing, waste
from colossus_sim.records import IntervalRow, RunResult
from colossus_sim.units import DAY
from colossus_sim.validation.cielo import (
    CIELO,
    GOAL,
    NODES,
    STRATEGIES,
    WINDOW,
    misses_a_share,
    play_cielo,
    work_inside,
)

_HEAD, _TAIL = DAY, 24.9 * 3600
"""What is left out at the start and the end, of a run as long as `_RUN`. [s]"""
_RUN = 1.2 * WINDOW + _TAIL + _HEAD
"""Run time of the machine for which jobs are made (file celio.C). [s]"""
_LONGEST = 20 * _RUN
"""When a run is given up. [s]"""
_ANNOUNCED = 1.1
"""Announced run time over the work of a job (file App.C). [1]"""
_RAND_MAX = 2**31 - 1


class RandR:
    """The numbers of glibc's ``rand_r``, from 0 to 1."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def __call__(self) -> float:
        """Return the next number."""
        found = self._next() % 2048
        for _ in range(2):
            found = (found << 10) ^ (self._next() % 1024)
        return found / _RAND_MAX

    def _next(self) -> int:
        self._state = (self._state * 1103515245 + 12345) % 2**32
        return self._state >> 16


@cache
def program_runs(bandwidth: float) -> Mapping[int, Mapping[str, float]]:
    """Return what the program gives at a bandwidth [B/s]: by seed, useful work of each strategy.

    At 40 GB/s also, of the time of all nodes in the month, the work of each class without failures and saves.
    """
    text = (files("colossus_sim") / "data" / "validation" / "cielo_program.csv").read_text(encoding="utf-8")
    found: dict[int, Mapping[str, float]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        if float(row.pop("bandwidth_gb_s")) * 1e9 == bandwidth:
            seed = int(row.pop("seed"))
            found[seed] = MappingProxyType({name: float(cell) for name, cell in row.items() if cell})
    return MappingProxyType(found)


# -- jobs (file System.C, finalize; file App.C) ------------------------------------------------------------


def program_job_list(seed: int, bandwidth: float, *, failures: bool = True) -> dict[str, BenchJob]:
    """Return the program's own jobs of a seed at a bandwidth [B/s], in its order.

    Until the machine is full for the whole run a class is drawn by its share of the machine's time, whatever it has
    got so far; then come those that are behind. So most of the small class stands at the end of the list. The run
    times of the list are those of the run without failures; for the strategies the same classes get new ones.
    """
    rand = RandR(seed)
    spent = dict.fromkeys(CIELO, 0.0)
    jobs: list[tuple[str, float]] = []
    while not jobs or math.fsum(spent.values()) < NODES * _RUN or misses_a_share(spent):
        if math.fsum(spent.values()) > 2 * NODES * _RUN:  # the shares do not meet: begin again
            spent, jobs = dict.fromkeys(CIELO, 0.0), []
        name = _draw_class(rand, spent)
        jobs.append((name, CIELO[name].drawn(rand())))
        work = jobs[-1][1] - CIELO[name].moved(bandwidth)
        spent[name] += _ANNOUNCED * work * CIELO[name].nodes
    if failures:
        rand = RandR(seed)
        jobs = [(name, CIELO[name].drawn(rand())) for name, _ in jobs]
    return {
        f"{name}-{number}": CIELO[name].job(run, _ANNOUNCED * (run - CIELO[name].moved(bandwidth)))
        for number, (name, run) in enumerate(jobs)
    }


def _draw_class(rand: RandR, spent: Mapping[str, float]) -> str:
    """Return the class of the next job, by the shares of those that are open."""
    total = math.fsum(spent.values())
    early = total < NODES * _RUN
    open_to = [name for name in CIELO if early or spent[name] < GOAL[name] * total]
    coin = rand() * math.fsum(GOAL[name] for name in open_to)
    for name in open_to:
        coin -= GOAL[name]
        if coin <= 0.0:
            return name
    return open_to[-1]


# -- storage (files Simulation.C and App.C) ----------------------------------------------------------------


class PublishedDesk(StorageDesk):
    """The queue as the program plays it.

    It differs from the report in three points. When a job fails, its place in the queue is not given to the next:
    the storage idles for as long as its transfers would have taken, unless nobody stands behind it and jobs compute
    on while they wait. The cooperative rule takes the loss of a job that stands still for one that computes on, and
    the other way round. And a job that fails while it saves goes on from that save (`AppFailureTask`), though its
    work does not count (see `counted`).
    """

    counts_from_start = True

    def __init__(self, agenda: Agenda, strategy: str) -> None:
        super().__init__(agenda, strategy)
        self._left: set[Transfer] = set()
        """Places of jobs that failed."""

    def cancel(self, transfer: Transfer) -> None:
        """Let the place of a job that failed pass unused."""
        if not self.keeps_order:
            super().cancel(transfer)
            return
        self._left.add(transfer)
        transfer.changed = lambda: self._pass(transfer)
        self._pass(transfer)
        while self.jobs_compute_on and (last := self.last()) in self._left:
            self._left.discard(last)
            super().cancel(last)

    def _pass(self, transfer: Transfer) -> None:
        if transfer.granted and not transfer.running and not transfer.done:
            self.begin(transfer)

    def cost_of(self, index: int) -> float:
        """Return what it costs the others to serve this waiting transfer first [GPU-s]."""
        return waste(self.waiting, index, self.now, standing=lost_at_risk, risked=lost_standing)


# -- count (file Trace.C) ----------------------------------------------------------------------------------


def counted(result: RunResult) -> Iterator[IntervalRow]:
    """Give the intervals whose work the program counts: none between the last save that ended and a failure."""
    failed: dict[str, bool] = {}
    for row in sorted(result.intervals, key=lambda row: row.start, reverse=True):
        if row.state == "restarting":
            failed[row.job] = True
        elif row.saves:
            failed[row.job] = False
        if not failed.get(row.job, False):
            yield row


def program_window(result: RunResult, seed: int) -> float:
    """Return when the month that the program measures begins: drawn by its seed, from a run's length. [s]"""
    last = max(row.end for row in result.intervals)
    first, end = _HEAD / _RUN * last, (_RUN - _TAIL) / _RUN * last
    return first + RandR(seed)() * (end - first - WINDOW)


def play_program(
    strategy: str, bandwidth: float, number: int, seed: int, *, failures: bool = True
) -> dict[str, float]:
    """Play the program's jobs as it does; return the node-seconds of work in its month, by class.

    A job starts as soon as, by the announced run times, it delays nobody before it in the list (file Schedule.C,
    `reschedule_apps`): conservative backfill.

    Parameters
    ----------
    strategy : str
        `policies.storage_access`.
    bandwidth : float
        Of the storage. [B/s]
    number, seed : int
        Seed of the program, which tells jobs and month, and seed of the engine's failures.
    """
    jobs = program_job_list(number, bandwidth, failures=failures)
    result = play_cielo(
        strategy, bandwidth, jobs, seed, failures=failures, build_desk=PublishedDesk,
        scheduler="conservative_backfill", horizon=_LONGEST,
    )  # fmt: skip
    begin = program_window(result, number)
    return work_inside(counted(result), begin, begin + WINDOW)


def program_shares(bandwidth: float, number: int, seed: int) -> dict[str, float]:
    """Return what `program_runs` tells of a seed of the program, as played here, with failures of another."""
    base = play_program("alone", bandwidth, number, seed, failures=False)
    whole = math.fsum(base.values())
    shares = {
        name: math.fsum(play_program(strategy, bandwidth, number, seed).values()) / whole
        for name, strategy in STRATEGIES.items()
    }
    return shares | {name: work / (NODES * WINDOW) for name, work in base.items()}
