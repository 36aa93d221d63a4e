"""Many jobs that save to one file system: the APEX workload of Cielo under five ways to share it.

Herault, Robert, Bouteiller, Arnold, Ferreira, Bosilca, Dongarra 2019, Checkpointing strategies for shared
high-performance computing platforms (INRIA research report 9109), with the figures of its published program.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, no_faults, play_bench, saves
from colossus_sim.engine.runner import DeskBuilder
from colossus_sim.engine.storage_desk import StorageDesk, Transfer, lost_at_risk, lost_standing, waste
from colossus_sim.formulas import reliability
from colossus_sim.randomness import stream
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.policies import Policies
from colossus_sim.validation.operations_stats import Case, mean_and_error

NODES, NODE_MEMORY, SYSTEM_MTBF = 17_784, 32e9, 7200.0
"""Cielo: nodes, memory of one [B], mean time between failures of the whole system [s]."""

_DAY = 86400.0
_WARM_UP, _WINDOW = _DAY, 31 * _DAY
"""What is left out at the start, and what is measured. [s]"""
_SOURCE = "INRIA RR-9109, published program"
_ALLOWED = 4.0
"""Standard errors that a bound may be missed by."""
_POINTS = 0.02
"""Largest distance from a published share."""
_TIE = -0.005
"""A gap that counts as none: neighbours may be that close. [1]"""
_WITHIN = 0.01
"""Largest distance of a class from its share of the machine in a list of jobs. [1]"""
_PROGRAM_RUN = 1.2 * _WINDOW + 24.9 * 3600 + _WARM_UP
"""Run time of the machine for which the program makes jobs (file celio.C). [s]"""
_PROGRAM_SEEDS = 3
"""The program's own list of jobs is played with so many times the seeds: runs of it differ more."""
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
    def state_bytes(self) -> float:
        """Size of a checkpoint. [B]"""
        return self.nodes * NODE_MEMORY * self.checkpoint


CIELO: Mapping[str, Workload] = MappingProxyType(
    {
        "EAP": Workload(1024, 262.4 * 3600, 1.6, 0.6, 0.03, 1.05),
        "LAP": Workload(256, 64.0 * 3600, 1.85, 0.05, 0.05, 2.2),
        "Silverton": Workload(2048, 128.0 * 3600, 3.5, 0.15, 0.7, 0.43),
        "VPIC": Workload(1875, 157.2 * 3600, 0.85, 0.1, 0.1, 2.7),
    }
)
"""Classes of the APEX workload, as in the program (file celio.C)."""

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
_REPORTED_ORDER = ("ideal", "cooperative", "first come", "blocking", "uncoordinated")

PUBLISHED: Mapping[float, Mapping[str, float]] = MappingProxyType(
    {
        160e9: dict(zip(STRATEGIES, (0.901, 0.893, 0.888, 0.859, 0.835), strict=True)),
        40e9: dict(zip(STRATEGIES, (0.794, 0.692, 0.669, 0.518, 0.517), strict=True)),
    }
)  # fmt: skip
"""Bandwidth [B/s] -> useful work over that without failures and saves, one seed of the published program."""

PROGRAM_SEEDS = 36
PROGRAM: Mapping[float, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        160e9: {
            "ideal": (0.9006, 0.0031), "first come": (0.8961, 0.0028), "cooperative": (0.8937, 0.0030),
            "blocking": (0.8720, 0.0030), "uncoordinated": (0.8435, 0.0032),
        },
        40e9: {
            "ideal": (0.8036, 0.0036), "first come": (0.7057, 0.0075), "cooperative": (0.6750, 0.0064),
            "blocking": (0.5151, 0.0123), "uncoordinated": (0.5134, 0.0087),
        },
    }
)  # fmt: skip
"""The same, mean and standard error of seeds 0 to 35: the program (commit 42ecf63) was built and run here,
``celio -s SEED -b BANDWIDTH -m 7200``."""


_NAMES = tuple(CIELO)
_SUM = math.fsum(item.share for item in CIELO.values())
GOAL: Mapping[str, float] = MappingProxyType({name: CIELO[name].share / _SUM for name in CIELO})
"""Share of the machine's time of each class."""
JobList = Callable[[int], Mapping[str, BenchJob]]
"""Makes the jobs of one seed."""


def job_list(seed: int) -> dict[str, BenchJob]:
    """Return jobs that fill the machine for the window and more, each class near its share all the time."""
    rng = stream(seed, "validation", "cielo")
    least = NODES * (1.25 * _WINDOW + 2 * _WARM_UP)
    spent = dict.fromkeys(_NAMES, 0.0)
    jobs: dict[str, BenchJob] = {}
    while (total := math.fsum(spent.values())) < least or any(
        abs(spent[name] / total - GOAL[name]) > _WITHIN for name in _NAMES
    ):
        behind = [name for name in _NAMES if not total or spent[name] <= GOAL[name] * total]
        _add_job(rng, behind or _NAMES, jobs, spent)
    return jobs


def program_job_list(seed: int) -> dict[str, BenchJob]:
    """Return jobs as the published program makes them (file System.C, finalize).

    Until the machine is full for the whole run, a class is drawn by its share of the machine's time whatever it has
    got so far; then come those that are behind. So the first month, which is measured, holds almost no job of the
    small class, and a number of the few large ones that differs from seed to seed.
    """
    rng = stream(seed, "validation", "cielo")
    spent = dict.fromkeys(_NAMES, 0.0)
    jobs: dict[str, BenchJob] = {}
    while (total := math.fsum(spent.values())) < NODES * _PROGRAM_RUN or any(
        abs(spent[name] / total - GOAL[name]) > _WITHIN for name in _NAMES
    ):
        if total > 2 * NODES * _PROGRAM_RUN:  # the shares do not meet: begin again
            spent, jobs, total = dict.fromkeys(_NAMES, 0.0), {}, 0.0
        early = total < NODES * _PROGRAM_RUN
        open_to = [name for name in _NAMES if early or spent[name] < GOAL[name] * total]
        _add_job(rng, open_to, jobs, spent)
    return jobs


def _add_job(
    rng: np.random.Generator, classes: Sequence[str], jobs: dict[str, BenchJob], spent: dict[str, float]
) -> None:
    """Add a job of one of these classes, drawn by their shares, and note its node-seconds."""
    weights = [GOAL[name] / math.fsum(GOAL[other] for other in classes) for name in classes]
    name = classes[int(rng.choice(len(classes), p=weights))]
    item = CIELO[name]
    run = item.run * (0.9 + 0.2 * float(rng.random()))
    spent[name] += run * item.nodes
    jobs[f"{name}-{len(jobs)}"] = BenchJob(
        units=round(run / _UNIT), unit_time=_UNIT, gpus=item.nodes, state_bytes=item.state_bytes,
        input_bytes=item.nodes * NODE_MEMORY * item.reads, output_bytes=item.nodes * NODE_MEMORY * item.writes,
    )  # fmt: skip


def useful(result: RunResult) -> float:
    """Return the node-seconds of kept work inside the window."""
    planned = CAUSES.index("planned")
    nodes = {row.job: row.gpus_wanted for row in result.phases}
    done = []
    for row in result.intervals:
        inside = min(row.end, _WARM_UP + _WINDOW) - max(row.start, _WARM_UP)
        if inside > 0:
            done.append(row.causes[planned] * inside / (row.end - row.start) * nodes[row.job])
    return math.fsum(done)


def play_cielo(
    strategy: str,
    bandwidth: float,
    seed: int,
    *,
    failures: bool = True,
    build_desk: DeskBuilder = StorageDesk,
    make_jobs: JobList = job_list,
) -> RunResult:
    """Play the workload with saves by Young's interval; without failures nothing is saved either."""
    jobs = {}
    for name, job in make_jobs(seed).items():
        save = job.state_bytes / bandwidth
        mtbf = SYSTEM_MTBF * NODES / job.gpus
        interval = reliability.young_interval(save, mtbf) if failures else 1e9
        moved = (job.input_bytes + job.output_bytes) / bandwidth  # is part of the run time
        jobs[name] = replace(job, units=job.units - round(moved / _UNIT), checkpoint=saves(interval, 0.0))
    rate = 1.0 / (SYSTEM_MTBF * NODES)
    broken = faults(0.0, node=fault_class("gpu", rate)) if failures else no_faults()
    policies = {"scheduler": "fifo", "contention": "none", "storage_access": strategy}
    return play_bench(
        jobs,
        site=a_site(NODES, storage_bandwidth=bandwidth),
        faults=broken,
        policies=Policies.model_validate(policies),
        horizon=_WARM_UP + _WINDOW,
        seed=seed,
        build_desk=build_desk,
    )


def least_waste_bound(bandwidth: float) -> float:
    """Return the lower bound of the platform's waste for these classes (RR-9109, sec. 4, Theorem 1)."""
    total = math.fsum(item.share for item in CIELO.values())
    ratios = [item.share / total / (item.nodes * item.run) for item in CIELO.values()]
    scale = NODES / math.fsum(
        item.nodes * ratio * item.run for item, ratio in zip(CIELO.values(), ratios, strict=True)
    )
    classes = [
        (ratio * scale * item.run, item.nodes, item.state_bytes / bandwidth)
        for item, ratio in zip(CIELO.values(), ratios, strict=True)
    ]
    return reliability.shared_storage_waste(classes, nodes=NODES, node_mtbf=SYSTEM_MTBF * NODES)


class PublishedDesk(StorageDesk):
    """The queue as the published program plays it (files Simulation.C and App.C).

    It differs from the report in two points. When a job fails, its place in the queue is not given to the next: the
    storage idles for as long as its transfers would have taken. And the cooperative rule takes the loss of a job
    that stands still for one that computes on, and the other way round.
    """

    def cancel(self, transfer: Transfer) -> None:
        """Let the place of a job that failed pass unused."""
        if not self.keeps_order:
            super().cancel(transfer)
            return
        transfer.changed = lambda: self._pass(transfer)
        self._pass(transfer)

    def _pass(self, transfer: Transfer) -> None:
        if transfer.granted and not transfer.running and not transfer.done:
            self.begin(transfer)

    def cost_of(self, index: int) -> float:
        """Return what it costs the others to serve this waiting transfer first [GPU-s]."""
        return waste(self.waiting, index, self.now, standing=lost_at_risk, risked=lost_standing)


def storage_cases(bandwidth: float, seeds: int, seed: int) -> Iterator[Case]:
    """Useful work of each strategy at a bandwidth: above the bound, in order, beside the published program."""
    name = f"Cielo workload at {bandwidth / 1e9:.0f} GB/s"
    shares = strategy_shares(bandwidth, seeds, seed)
    mean, error = mean_and_error(shares["first come"])
    yield Case(
        name=f"{name}: waste, first come, above the lower bound", kind="bound", source=_SOURCE,
        simulated=1.0 - mean + _ALLOWED * error, expected=least_waste_bound(bandwidth), error=error,
        note="4 standard errors allowed",
    )  # fmt: skip
    yield _order_case(f"{name}: order of the strategies in the report", _REPORTED_ORDER, shares)
    for strategy, values in shares.items():
        mean, error = mean_and_error(values)
        yield Case(
            name=f"{name}: useful work, {strategy}", source=_SOURCE, error=error, simulated=mean,
            kind="published", expected=PUBLISHED[bandwidth][strategy], note=f"{seeds} seeds here, one there",
        )  # fmt: skip
    yield from _program_cases(name, bandwidth, _PROGRAM_SEEDS * seeds, seed)


def _program_cases(name: str, bandwidth: float, seeds: int, seed: int) -> Iterator[Case]:
    """The same with the program's own queue and list of jobs: what is left of the differences."""
    shares = strategy_shares(bandwidth, seeds, seed, build_desk=PublishedDesk, make_jobs=program_job_list)
    yield _order_case(f"{name}: order of the strategies in the program", tuple(STRATEGIES), shares)
    for strategy, values in shares.items():
        mean, error = mean_and_error(values)
        program, theirs = PROGRAM[bandwidth][strategy]
        allowed = _POINTS + _ALLOWED * math.hypot(error, theirs)
        yield Case(
            name=f"{name}: useful work, {strategy}, queue and jobs of the program", source=_SOURCE, error=error,
            simulated=mean, kind="range", expected=program - allowed, upper=program + allowed,
            note=f"{program:.3f} +- {theirs:.3f} in {PROGRAM_SEEDS} runs of the program; seeds differ by "
            f"{_spread(values):.3f} here (standard deviation of {seeds}); 2 points and 4 standard errors allowed",
        )  # fmt: skip


def _order_case(name: str, order: tuple[str, ...], shares: Mapping[str, list[float]]) -> Case:
    means = [math.fsum(shares[strategy]) / len(shares[strategy]) for strategy in order]
    gaps = [better - worse for better, worse in itertools.pairwise(means)]
    return Case(
        name=name, source=_SOURCE, kind="bound", simulated=min(gaps), expected=_TIE,
        note=" > ".join(order) + "; the smallest gap, on the same failures",
    )  # fmt: skip


def _spread(values: Sequence[float]) -> float:
    return mean_and_error(values)[1] * math.sqrt(len(values))


def strategy_shares(
    bandwidth: float,
    seeds: int,
    seed: int,
    *,
    build_desk: DeskBuilder = StorageDesk,
    make_jobs: JobList = job_list,
) -> dict[str, list[float]]:
    """Return useful work over that without failures and saves, by strategy and seed, on the same failures."""
    shares: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    for number in range(seed, seed + seeds):
        base = useful(play_cielo("alone", bandwidth, number, failures=False, make_jobs=make_jobs))
        for name, strategy in STRATEGIES.items():
            played = play_cielo(strategy, bandwidth, number, build_desk=build_desk, make_jobs=make_jobs)
            shares[name].append(useful(played) / base)
    return shares
