"""Which scenarios the kernel can play, and when that is worth while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from colossus_sim.engine.kernel.state import TIERS
from colossus_sim.specs.faults import Faults
from colossus_sim.specs.scenario import Scenario

_SCHEDULERS = ("fifo", "priority", "priority_backfill")
_MOST_PHASES = 256


def unsupported(scenario: Scenario) -> str | None:
    """Return the first feature of a scenario that the kernel does not have; None if it can play it."""
    return next(_missing(scenario), None)


def _missing(scenario: Scenario) -> Iterator[str]:
    policies = scenario.policies
    if policies.scheduler not in _SCHEDULERS:
        yield f"policies.scheduler: {policies.scheduler}"
    if policies.preemption != "none":
        yield f"policies.preemption: {policies.preemption}"
    if policies.storage_access != "mean":
        yield f"policies.storage_access: {policies.storage_access}"
    for name, site in scenario.cluster.sites.items():
        if site.maintenance:
            yield f"cluster.sites.{name}.maintenance"
        if site.topology.storage_network != "separate":
            yield f"cluster.sites.{name}.topology.storage_network: {site.topology.storage_network}"
    if scenario.faults.enabled:
        yield from _missing_in_faults(scenario.faults)
    if sum(len(job.phases) for job in scenario.jobs.values()) > _MOST_PHASES:
        yield f"more than {_MOST_PHASES} phases"
    yield from _missing_in_jobs(scenario)


def _missing_in_faults(faults: Faults) -> Iterator[str]:
    if faults.eviction is not None:
        yield "faults.eviction"
    for name, spec in faults.classes.items():
        for key in ("degrades", "lifetime", "group"):
            if getattr(spec, key) is not None:
                yield f"faults.classes.{name}.{key}"
        if spec.per == "group" or spec.removes == "group":
            yield f"faults.classes.{name}: groups"


def _missing_in_jobs(scenario: Scenario) -> Iterator[str]:
    # Without `min_gpus` and `max_gpus` a job always has as many GPUs, so the kernel needs no `reshard_time`.
    for name, job in scenario.jobs.items():
        for key in ("min_gpus", "max_gpus"):
            if getattr(job, key) is not None:
                yield f"jobs.{name}.{key}"
        if job.spare_domains:
            yield f"jobs.{name}.spare_domains"
        if job.reserved:
            yield f"jobs.{name}.reserved"
        tiers = (job.checkpoint or scenario.checkpoint).tiers
        names = [tier.name for tier in tiers]
        if len(names) > TIERS or len(set(names)) < len(names):
            yield f"jobs.{name}: more than {TIERS} tiers of saves, or two of one name"
        if any(tier.unreadable for tier in tiers):
            yield f"jobs.{name}: tiers of saves that may be unreadable"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which engine plays the runs of a sweep, and why."""

    kernel: bool
    why: str


SIMPY_SECONDS = 4.5e-5
"""CPU time of the SimPy engine per failure, at least (benchmarks/kernel.py). [s]"""
SAVED = 0.9
"""Share of that time that the kernel saves, at least."""
COLD_START, WARM_START = 70.0, 1.0
"""CPU time until the kernel is ready: to be compiled, or kept on disk (benchmarks/kernel.py). [s]"""


def expected_failures(scenario: Scenario) -> float:
    """Return about how many failures one run until the horizon sees."""
    if not scenario.faults.enabled:
        return 0.0
    total = 0.0
    for site in scenario.cluster.sites.values():
        for part in site.partitions.values():
            gpus = part.most_gpus
            size = part.gpu.scale_up_domain
            units = {"gpu": gpus, "node": gpus / part.gpu.gpus_per_node, "domain": gpus / size}
            classes = scenario.faults.classes.values()
            total += sum(units.get(spec.per, 0.0) * spec.rate for spec in classes)
    return total * scenario.horizon


def choose(scenario: Scenario, runs: int, *, available: bool, kept: bool) -> Choice:
    """Return which engine is to play so many runs of a scenario.

    Parameters
    ----------
    available : bool
        Whether the kernel can be compiled here.
    kept : bool
        Whether its machine code is on disk.
    """
    missing = unsupported(scenario)
    if missing is not None:
        return Choice(False, f"the kernel does not have {missing}")
    if not available:
        return Choice(False, "numba (the extra 'fast') is not installed, or switched off")
    work = runs * expected_failures(scenario) * SIMPY_SECONDS
    start = WARM_START if kept else COLD_START
    state = "machine code kept on disk" if kept else "to be compiled first"
    text = f"the kernel saves about {SAVED * work:,.0f} CPU s and starts in {start:.0f} CPU s, {state}"
    return Choice(SAVED * work > start, text)
