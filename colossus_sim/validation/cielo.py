"""Many jobs that save to one file system: the APEX workload of Cielo, and one play of it.

Herault, Robert, Bouteiller, Arnold, Ferreira, Bosilca, Dongarra 2019, Checkpointing strategies for shared
high-performance computing platforms (INRIA research report 9109), with the figures of its published program.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, no_faults, play_bench, saves
from colossus_sim.engine.runner import DeskBuilder
from colossus_sim.engine.storage_desk import StorageDesk
from colossus_sim.formulas import reliability
from colossus_sim.randomness import stream
from colossus_sim.records import CAUSES, IntervalRow, RunResult
from colossus_sim.specs.policies import Policies
from colossus_sim.units import DAY

NODES, NODE_MEMORY, SYSTEM_MTBF = 17_784, 32e9, 7200.0
"""Cielo: nodes, memory of one [B], mean time between failures of the whole system [s]."""

WARM_UP, WINDOW = DAY, 31 * DAY
"""What is left out at the start, and what is measured. [s]"""
_WITHIN = 0.01
"""Largest distance of a class from its share of the machine in a list of jobs. [1]"""
_UNIT = 30.0
"""Length of a unit of work. [s]"""


@dataclass(frozen=True, slots=True)
class Workload:
    """One class of jobs: nodes, run time [s]; checkpoint, input and output over memory; share of the machine."""

    nodes: int
    run: float
    checkpoint: float
    share: float
    reads: float
    writes: float

    @property
    def memory(self) -> float:
        """Memory of its nodes. [B]"""
        return self.nodes * NODE_MEMORY

    @property
    def state_bytes(self) -> float:
        """Size of a checkpoint. [B]"""
        return self.memory * self.checkpoint

    def drawn(self, lot: float) -> float:
        """Return the run time of one job: within 10 % of the mean, by a number from 0 to 1. [s]"""
        return self.run * (0.9 + 0.2 * lot)

    def moved(self, bandwidth: float) -> float:
        """Return the time of its input and output alone at a storage. [s]"""
        return self.memory * (self.reads + self.writes) / bandwidth

    def job(self, run: float, walltime: float | None = None) -> BenchJob:
        """Return a job of this class that computes and moves its files for so long. [s]"""
        return BenchJob(
            units=round(run / _UNIT), unit_time=_UNIT, gpus=self.nodes, walltime=walltime,
            state_bytes=self.state_bytes, input_bytes=self.memory * self.reads,
            output_bytes=self.memory * self.writes,
        )  # fmt: skip


CIELO: Mapping[str, Workload] = MappingProxyType(
    {
        "EAP": Workload(1024, 262.4 * 3600, 1.6, 0.6, 0.03, 1.05),
        "LAP": Workload(256, 64.0 * 3600, 1.85, 0.05, 0.05, 2.2),
        "Silverton": Workload(2048, 128.0 * 3600, 3.5, 0.15, 0.7, 0.43),
        "VPIC": Workload(1875, 157.2 * 3600, 0.85, 0.1, 0.1, 2.7),
    }
)
"""Classes of the APEX workload, as in the program (file celio.C)."""
_NAMES = tuple(CIELO)
_SUM = math.fsum(item.share for item in CIELO.values())
GOAL: Mapping[str, float] = MappingProxyType({name: CIELO[name].share / _SUM for name in CIELO})
"""Share of the machine's time of each class."""

STRATEGIES: Mapping[str, str] = MappingProxyType(
    {
        "ideal": "alone",
        "first come": "first_come",
        "cooperative": "least_waste",
        "blocking": "blocking",
        "uncoordinated": "shared",
    }
)
"""Name in the paper -> `policies.storage_access`; in the order of the published program's results."""


def class_of(job_name: str) -> str:
    """Return the class of a job by its name."""
    return job_name.partition("-")[0]


def misses_a_share(spent: Mapping[str, float]) -> bool:
    """Whether any class is too far from its share of the node-seconds spent."""
    total = math.fsum(spent.values())
    return any(abs(spent[name] / total - GOAL[name]) > _WITHIN for name in _NAMES)


def job_list(seed: int) -> dict[str, BenchJob]:
    """Return jobs that fill the machine for the window and more, each class near its share all the time."""
    rng = stream(seed, "validation", "cielo")
    least = NODES * (1.25 * WINDOW + 2 * WARM_UP)
    spent = dict.fromkeys(_NAMES, 0.0)
    jobs: dict[str, BenchJob] = {}
    while (total := math.fsum(spent.values())) < least or misses_a_share(spent):
        behind = [name for name in _NAMES if not total or spent[name] <= GOAL[name] * total]
        _add_job(rng, behind or _NAMES, jobs, spent)
    return jobs


def _add_job(
    rng: np.random.Generator, classes: Sequence[str], jobs: dict[str, BenchJob], spent: dict[str, float]
) -> None:
    """Add a job of one of these classes, drawn by their shares, and note its node-seconds."""
    weights = [GOAL[name] / math.fsum(GOAL[other] for other in classes) for name in classes]
    name = classes[int(rng.choice(len(classes), p=weights))]
    item = CIELO[name]
    run = item.drawn(float(rng.random()))
    spent[name] += run * item.nodes
    jobs[f"{name}-{len(jobs)}"] = item.job(run)


def work_inside(rows: Iterable[IntervalRow], begin: float, end: float) -> dict[str, float]:
    """Return the node-seconds of kept work between two moments, by class."""
    planned = CAUSES.index("planned")
    done: dict[str, list[float]] = {name: [] for name in _NAMES}
    for row in rows:
        inside = min(row.end, end) - max(row.start, begin)
        if inside > 0:
            name = class_of(row.job)
            done[name].append(row.causes[planned] * inside / (row.end - row.start) * CIELO[name].nodes)
    return {name: math.fsum(done[name]) for name in _NAMES}


def useful(result: RunResult) -> float:
    """Return the node-seconds of kept work in the month after the first day."""
    return math.fsum(work_inside(result.intervals, WARM_UP, WARM_UP + WINDOW).values())


def play_cielo(
    strategy: str,
    bandwidth: float,
    jobs: Mapping[str, BenchJob],
    seed: int,
    *,
    failures: bool = True,
    build_desk: DeskBuilder = StorageDesk,
    scheduler: str = "fifo",
    horizon: float = WARM_UP + WINDOW,
) -> RunResult:
    """Play jobs with saves by Young's interval; without failures nothing is saved either.

    Parameters
    ----------
    strategy, scheduler : str
        `policies.storage_access` and `policies.scheduler`.
    bandwidth : float
        Of the storage. [B/s]
    jobs : mapping of BenchJob
        By name (see `class_of`); input and output are part of their run times.
    horizon : float
        When to stop at the latest. [s]
    build_desk : callable, optional
        See `simulate`.
    """
    ready = {}
    for name, job in jobs.items():
        mtbf = SYSTEM_MTBF * NODES / job.gpus
        interval = reliability.young_interval(job.state_bytes / bandwidth, mtbf) if failures else 1e9
        moved = CIELO[class_of(name)].moved(bandwidth)
        ready[name] = replace(job, units=job.units - round(moved / _UNIT), checkpoint=saves(interval, 0.0))
    rate = 1.0 / (SYSTEM_MTBF * NODES)
    policies = {"scheduler": scheduler, "contention": "none", "storage_access": strategy}
    return play_bench(
        ready,
        site=a_site(NODES, storage_bandwidth=bandwidth),
        faults=faults(0.0, node=fault_class("gpu", rate)) if failures else no_faults(),
        policies=Policies.model_validate(policies),
        horizon=horizon,
        seed=seed,
        build_desk=build_desk,
    )
