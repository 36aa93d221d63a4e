"""Repair shops, spares and queues of the engine against queueing theory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.engine.replay import replay
from colossus_sim.randomness import stream
from colossus_sim.records import RunResult
from colossus_sim.traces.jobs import TraceJob
from colossus_sim.validation.operations_stats import Case, ratio_and_error

_WARM_UP = 0.02
"""Share of a run that is left out, because it begins with everything whole."""
_RECURSION_JOBS = 4_000_000
"""Jobs of the recursion that is held against theory (the engine plays fewer, and equals it)."""

FloatArray = npt.NDArray[np.float64]


def repair_cases(failures: int, seed: int) -> Iterator[Case]:
    """Machine repair: 16 nodes, exponential failures and repairs, one to unlimited technicians."""
    nodes, rate, mean = 16, 1e-5, 2e4
    for crew, times in ((1, 1), (2, 4), (None, 2)):
        expected = machine_repair(nodes, rate, 1 / mean, crew or nodes)
        result = _repair_shop(nodes, rate, mean, crew=crew, failures=times * failures, seed=seed)
        simulated, error = ratio_and_error(_down_after(result))
        yield Case(
            name=f"machine repair: mean nodes down, {crew or 'unlimited'} technicians", kind="theory",
            source="M/M/c//N, Trivedi 2002, sec. 8.2", simulated=simulated, expected=expected, error=error,
            unit="nodes", note=f"{times * failures} failures",
        )  # fmt: skip


def spare_cases(failures: int, seed: int) -> Iterator[Case]:
    """A job of 14 nodes with two spares: how much of the time it has all its nodes, by size of the crew."""
    nodes, spares, rate, mean = 14, 2, 1e-5, 5e3
    for crew, times in ((1, 5), (2, 1), (None, 1)):
        chances = down_chances(nodes + spares, rate, 1 / mean, crew or nodes + spares)
        played = times * failures
        result = _repair_shop(nodes, rate, mean, crew=crew, failures=played, seed=seed, spares=spares)
        pairs = [
            (row.end - row.start if row.state == "running" else 0.0, row.end - row.start)
            for row in result.intervals
            if row.start >= _WARM_UP * result.end_time
        ]
        simulated, error = ratio_and_error(pairs)
        yield Case(
            name=f"14 nodes and 2 spares, {crew or 'unlimited'} technicians: share of time that 14 run",
            kind="theory", source="M/M/c//N, Trivedi 2002, sec. 8.2: chance of at most two of 16 down",
            simulated=simulated, expected=math.fsum(chances[: spares + 1]), error=error,
            note=f"{played} failures; saves and restarts take no time",
        )  # fmt: skip


def _repair_shop(
    nodes: int, rate: float, mean: float, *, crew: int | None, failures: int, seed: int, spares: int = 0
) -> RunResult:
    """Play nodes that fail and are mended, with a job on all but the spares if there are any."""
    repair = {"auto_fraction": 0, "manual_time": f"{mean} s", "distribution": "exponential"}
    units = nodes + spares
    expected = machine_repair(units, rate, 1 / mean, crew or units)
    job = BenchJob(units=10**9, unit_time=10.0, gpus=nodes, state_bytes=1.0)
    return play_bench(
        {"job": job} if spares else {},
        site=a_site(units, repair_crew=crew, spare_domains=spares),
        faults=faults(0.0, node=fault_class("domain", rate, "domain", repair=repair)),
        checkpoint=saves(10.0, 0.0),
        horizon=failures / (rate * (units - expected)),
        seed=seed,
    )


def _down_after(result: RunResult) -> list[tuple[float, float]]:
    """Return (unit-seconds down, seconds) of each stretch between changes, after the warm-up."""
    rows = [row for row in result.levels if row.time >= _WARM_UP * result.end_time]
    return [
        (row.down * (after.time - row.time), after.time - row.time) for row, after in itertools.pairwise(rows)
    ]


def down_chances(units: int, failure_rate: float, repair_rate: float, crew: int) -> tuple[float, ...]:
    """Return the chance of 0, 1, ... units down with exponential failures and repairs and a finite crew."""
    weights = [1.0]
    for down in range(1, units + 1):
        arrival = (units - down + 1) * failure_rate
        weights.append(weights[-1] * arrival / (min(down, crew) * repair_rate))
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def machine_repair(units: int, failure_rate: float, repair_rate: float, crew: int) -> float:
    """Return the mean number of units down with exponential failures and repairs and a finite crew."""
    chances = down_chances(units, failure_rate, repair_rate, crew)
    return math.fsum(down * chance for down, chance in enumerate(chances))


# -- queues ----------------------------------------------------------------------------------------------

_LOAD, _SERVICE = 0.5, 100.0
"""Load and mean service time of the queues. [1], [s]"""
_LAWS = (("M/M/1", 1.0), ("M/D/1", 0.0), ("M/G/1, lognormal of shape 0.8", math.expm1(0.64)))
"""Name and squared coefficient of variation of the service."""


def queue_cases(count: int, seed: int) -> Iterator[Case]:
    """One-GPU jobs on one GPU: the engine against Lindley's recursion, that against Pollaczek-Khinchine."""
    for name, square in _LAWS:
        arrivals, services = _draws(name, count, seed)
        jobs = [
            TraceJob(name=str(i), submit=at, gpus=1, duration=run, walltime=run)
            for i, (at, run) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True))
        ]
        played = replay(jobs, gpus=1)
        waits = [row.start - job.submit for job, row in zip(jobs, played.result.phases, strict=True)]
        yield Case(
            name=f"{name} at load {_LOAD:g}: mean wait of {count} jobs by Lindley's recursion", kind="exact",
            source="Lindley 1952", simulated=math.fsum(waits) / count, unit="s",
            expected=float(lindley_waits(arrivals, services).mean()),
        )  # fmt: skip
        many = lindley_waits(*_draws(name, _RECURSION_JOBS, seed))
        mean, error = ratio_and_error([(float(part.mean()), 1.0) for part in np.split(many, 1000)])
        yield Case(
            name=f"{name} at load {_LOAD:g}: mean wait by that recursion", kind="theory",
            source="Pollaczek-Khinchine", simulated=mean, error=error, unit="s",
            expected=_LOAD / (1 - _LOAD) * _SERVICE * (1 + square) / 2, note=f"{_RECURSION_JOBS:,} jobs",
        )  # fmt: skip


def _draws(law: str, count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return arrival times and service times. [s]"""
    rng = stream(seed, "validation", "queue", law)
    arrivals = rng.exponential(_SERVICE / _LOAD, count).cumsum()
    if law == "M/M/1":
        return arrivals, rng.exponential(_SERVICE, count)
    if law == "M/D/1":
        return arrivals, np.full(count, _SERVICE)
    return arrivals, _SERVICE * rng.lognormal(-0.32, 0.8, count)


def lindley_waits(arrivals: FloatArray, services: FloatArray) -> FloatArray:
    """Return the waits of jobs served in turn: ``W_n = S_n - min(S_0 .. S_n)`` of the steps service - gap. [s]"""
    steps = np.concatenate(([0.0], services[:-1] - np.diff(arrivals)))
    walk = steps.cumsum()
    waits: FloatArray = walk - np.minimum.accumulate(walk)
    return waits
