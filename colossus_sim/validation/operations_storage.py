"""Many jobs that save to one file system: the APEX workload of Cielo under five ways to share it.

Herault, Robert, Bouteiller, Arnold, Ferreira, Bosilca, Dongarra 2019, Checkpointing strategies for shared
high-performance computing platforms (INRIA research report 9109), with the figures of its published program.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

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


def job_list(seed: int) -> dict[str, BenchJob]:
    """Return jobs that fill the machine for the window and more, each class within 1 % of its share."""
    rng = stream(seed, "validation", "cielo")
    names = list(CIELO)
    goal = {name: CIELO[name].share / math.fsum(item.share for item in CIELO.values()) for name in names}
    least = NODES * (1.25 * _WINDOW + 2 * _WARM_UP)
    spent = dict.fromkeys(names, 0.0)
    jobs: dict[str, BenchJob] = {}
    while (total := math.fsum(spent.values())) < least or any(
        abs(spent[name] / total - goal[name]) > 0.01 for name in names
    ):
        behind = [name for name in names if not total or spent[name] <= goal[name] * total] or names
        weights = [goal[name] / math.fsum(goal[other] for other in behind) for name in behind]
        name = behind[int(rng.choice(len(behind), p=weights))]
        item = CIELO[name]
        run = item.run * (0.9 + 0.2 * float(rng.random()))
        spent[name] += run * item.nodes
        jobs[f"{name}-{len(jobs)}"] = BenchJob(
            units=round(run / _UNIT), unit_time=_UNIT, gpus=item.nodes, state_bytes=item.state_bytes,
            input_bytes=item.nodes * NODE_MEMORY * item.reads, output_bytes=item.nodes * NODE_MEMORY * item.writes,
        )  # fmt: skip
    return jobs


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
) -> RunResult:
    """Play the workload with saves by Young's interval; without failures nothing is saved either."""
    jobs = {}
    for name, job in job_list(seed).items():
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


def storage_cases(seeds: int, seed: int) -> Iterator[Case]:
    """Useful work of each strategy at two bandwidths: above the bound, in order, beside the published program."""
    for bandwidth, published in PUBLISHED.items():
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
                kind="published", expected=published[strategy], note=f"{seeds} seeds here, one there",
            )  # fmt: skip
        yield from _program_cases(name, bandwidth, seeds, seed)


def _program_cases(name: str, bandwidth: float, seeds: int, seed: int) -> Iterator[Case]:
    """The same with the program's own queue: what is left of the differences."""
    published = PUBLISHED[bandwidth]
    shares = strategy_shares(bandwidth, seeds, seed, build_desk=PublishedDesk)
    yield _order_case(f"{name}: order of the strategies in the program", tuple(STRATEGIES), shares)
    for strategy, values in shares.items():
        mean, error = mean_and_error(values)
        allowed = _POINTS + _ALLOWED * error
        yield Case(
            name=f"{name}: useful work, {strategy}, queue of the program", source=_SOURCE, error=error,
            simulated=mean, kind="range", expected=published[strategy] - allowed,
            upper=published[strategy] + allowed,
            note=f"published {published[strategy]:.3f} from one seed; 2 points and 4 standard errors allowed",
        )  # fmt: skip


def _order_case(name: str, order: tuple[str, ...], shares: Mapping[str, list[float]]) -> Case:
    means = [math.fsum(shares[strategy]) / len(shares[strategy]) for strategy in order]
    gaps = [better - worse for better, worse in itertools.pairwise(means)]
    return Case(
        name=name, source=_SOURCE, kind="bound", simulated=min(gaps), expected=_TIE,
        note=" > ".join(order) + "; the smallest gap, on the same failures",
    )  # fmt: skip


def strategy_shares(
    bandwidth: float, seeds: int, seed: int, build_desk: DeskBuilder = StorageDesk
) -> dict[str, list[float]]:
    """Return useful work over that without failures and saves, by strategy and seed, on the same failures."""
    shares: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    for number in range(seed, seed + seeds):
        base = useful(play_cielo("alone", bandwidth, number, failures=False))
        for name, strategy in STRATEGIES.items():
            played = play_cielo(strategy, bandwidth, number, build_desk=build_desk)
            shares[name].append(useful(played) / base)
    return shares
