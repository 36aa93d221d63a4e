"""Five ways to share one file system, against the lower bound of their waste and the published program.

Herault, Robert, Bouteiller, Arnold, Ferreira, Bosilca, Dongarra 2019, Checkpointing strategies for shared
high-performance computing platforms (INRIA research report 9109), with the figures of its published program.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from colossus_sim.formulas import reliability
from colossus_sim.validation.cielo import CIELO, NODES, STRATEGIES, SYSTEM_MTBF, job_list, play_cielo, useful
from colossus_sim.validation.cielo_program import program_runs, program_shares
from colossus_sim.validation.operations_stats import Case, mean_and_error

_SOURCE = "INRIA RR-9109, published program"
_ALLOWED = 4.0
"""Standard errors that a bound may be missed by."""
_POINTS = 0.02
"""Largest distance from a published share."""
_TIE = -0.005
"""A gap that counts as none: neighbours may be that close. [1]"""
_CLASS_POINTS = 0.01
"""Largest distance of the work of a class from the program's, of the time of all nodes. [1]"""
_LISTS = 9
"""Lists of jobs of the program that are played: its first nine seeds spread the month evenly over a run."""
_REPORTED_ORDER = ("ideal", "cooperative", "first come", "blocking", "uncoordinated")

PUBLISHED: Mapping[float, Mapping[str, float]] = MappingProxyType(
    {
        160e9: dict(zip(STRATEGIES, (0.901, 0.893, 0.888, 0.859, 0.835), strict=True)),
        40e9: dict(zip(STRATEGIES, (0.794, 0.692, 0.669, 0.518, 0.517), strict=True)),
    }
)  # fmt: skip
"""Bandwidth [B/s] -> useful work over that without failures and saves, one seed of the published program."""


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
    pairs = list(itertools.pairwise(_REPORTED_ORDER))
    yield _order_case(f"{name}: order of the strategies in the report", pairs, shares)
    for strategy, values in shares.items():
        mean, error = mean_and_error(values)
        yield Case(
            name=f"{name}: useful work, {strategy}", source=_SOURCE, error=error, simulated=mean,
            kind="published", expected=PUBLISHED[bandwidth][strategy], note=f"{seeds} seeds here, one there",
        )  # fmt: skip
    yield from _program_cases(name, bandwidth, seed)


def _program_cases(name: str, bandwidth: float, seed: int) -> Iterator[Case]:
    """The same as the program plays it, on its jobs of the same seeds: what is left of the differences."""
    theirs = program_runs(bandwidth)
    numbers = list(theirs)[:_LISTS]
    found = {number: program_shares(bandwidth, number, seed + number) for number in numbers}
    shares = {strategy: [found[number][strategy] for number in numbers] for strategy in STRATEGIES}
    yield _order_case(f"{name}: order of the strategies in the program", _told_apart(theirs), shares)
    for strategy, values in shares.items():
        yield _program_case(name, strategy, values, theirs)
    if all(kind in run for kind in CIELO for run in theirs.values()):
        yield from (_class_case(name, kind, found, theirs) for kind in CIELO)


def _program_case(
    name: str, strategy: str, values: Sequence[float], theirs: Mapping[int, Mapping[str, float]]
) -> Case:
    """Useful work beside that of the program on the same lists of jobs."""
    runs = [run[strategy] for run in theirs.values()]
    there, (whole, spread) = math.fsum(runs[: len(values)]) / len(values), mean_and_error(runs)
    gap, error = mean_and_error([one - other for one, other in zip(values, runs, strict=False)])
    allowed = _POINTS + _ALLOWED * error
    return Case(
        name=f"{name}: useful work, {strategy}, as the program plays it", source=_SOURCE, error=error,
        simulated=there + gap, kind="range", expected=there - allowed, upper=there + allowed,
        note=f"{there:.3f} in the program on the same {len(values)} lists of jobs, other failures ({whole:.3f} +- "
        f"{spread:.3f} on all {len(runs)}); 2 points and 4 standard errors of the difference allowed",
    )  # fmt: skip


def _class_case(
    name: str, kind: str, found: Mapping[int, Mapping[str, float]], theirs: Mapping[int, Mapping[str, float]]
) -> Case:
    """Work of one class in the month, without failures: what the order of starts gives it."""
    here, there = (math.fsum(runs[number][kind] for number in found) / len(found) for runs in (found, theirs))
    return Case(
        name=f"{name}: work of {kind} without failures, as the program plays it", source=_SOURCE,
        simulated=here, kind="range", expected=there - _CLASS_POINTS, upper=there + _CLASS_POINTS,
        note=f"{there:.4f} of the time of all nodes in the program, on the same lists of jobs; 1 point allowed",
    )  # fmt: skip


def _told_apart(runs: Mapping[int, Mapping[str, float]]) -> list[tuple[str, str]]:
    """Return the neighbours of which the first does better in these runs, by more than four standard errors."""
    gaps = {
        (better, worse): mean_and_error([run[better] - run[worse] for run in runs.values()])
        for better, worse in itertools.pairwise(STRATEGIES)
    }
    return [pair for pair, (gap, error) in gaps.items() if gap > _ALLOWED * error]


def _order_case(name: str, pairs: Sequence[tuple[str, str]], shares: Mapping[str, list[float]]) -> Case:
    means = {strategy: math.fsum(values) / len(values) for strategy, values in shares.items()}
    return Case(
        name=name, source=_SOURCE, kind="bound", expected=_TIE,
        simulated=min(means[better] - means[worse] for better, worse in pairs),
        note=", ".join(f"{better} > {worse}" for better, worse in pairs)
        + "; the smallest gap, on the same failures",
    )  # fmt: skip


def strategy_shares(bandwidth: float, seeds: int, seed: int) -> dict[str, list[float]]:
    """Return useful work over that without failures and saves, by strategy and seed, on the same failures."""
    shares: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    for number in range(seed, seed + seeds):
        jobs = job_list(number)
        base = useful(play_cielo("alone", bandwidth, jobs, number, failures=False))
        for name, strategy in STRATEGIES.items():
            shares[name].append(useful(play_cielo(strategy, bandwidth, jobs, number)) / base)
    return shares
