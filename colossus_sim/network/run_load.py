"""What the jobs of a run put on the cables of their network, over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import numpy as np

from colossus_sim.network.links import FloatArray, Links
from colossus_sim.network.sharing import DomainRuns
from colossus_sim.topology.custom import hosts_of
from colossus_sim.topology.load import Edge


class Sending(NamedTuple):
    """A stretch of time in which one phase computes at a constant pace, and what each of its GPUs sends."""

    start: float
    end: float
    """[s]"""
    job: str
    placement: DomainRuns
    gpus: int
    rates: tuple[float, ...]
    """Mean rate of one GPU to peers at each fabric level, pauses for saves included. [B/s]"""
    storage: float = 0.0
    """Mean rate of one GPU to and from the storage over the tiers above the leaf. [B/s]"""
    flatness: tuple[float, ...] = ()
    """See `JobDemand`."""

    def row(self) -> FloatArray:
        """Return the rates as `Links.pattern` has its rows."""
        return np.array([*self.rates, self.storage])


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLoad:
    """One tier of cables under a run.

    Attributes
    ----------
    name : str
        Tier, as `Links.tiers` has it.
    capacity : float
        Of all its links, one direction. [B/s]
    mean, busiest, peak : float
        Load as a share of the wire rate: mean over links and time; of the link with the highest mean; highest of
        any link at any moment, averaged over a step.
    peak_time : float
        When that moment began. [s]
    jobs : dict of str to float
        Mean rate of each job over the tier, one direction. [B/s]
    """

    name: str
    capacity: float
    mean: float
    busiest: float
    peak: float
    peak_time: float
    jobs: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLoad:
    """Load of every link, as a share of its wire rate.

    Attributes
    ----------
    mean, peak : array of float, links
        Over the window; highest at any moment of it.
    tiers : tuple of TierLoad
        The same, tier by tier.
    """

    mean: FloatArray
    peak: FloatArray
    tiers: tuple[TierLoad, ...]


def run_load(links: Links, sendings: Sequence[Sending], start: float, end: float) -> RunLoad:
    """Return the load of every link from `start` to `end` [s].

    Raises
    ------
    ValueError
        If the window is empty.
    """
    if end <= start:
        raise ValueError(f"the window must end after it starts, got {start} to {end} s")
    cut = [
        one._replace(start=max(one.start, start), end=min(one.end, end))
        for one in sendings
        if one.end > start and one.start < end
    ]
    by_job = _job_bytes(links, cut)
    total = np.sum(list(by_job.values()), axis=0) if by_job else np.zeros(len(links.capacity))
    mean = total / (links.capacity * (end - start))
    peak, times = _peaks(links, cut, start)
    tiers = []
    for index, name in enumerate(links.tiers):
        own = links.tier_of == index
        capacity = float(links.capacity[own].sum())
        jobs = {job: float(sent[own].sum()) / (end - start) for job, sent in sorted(by_job.items())}
        tiers.append(
            TierLoad(
                name=name,
                capacity=capacity,
                mean=math.fsum(jobs.values()) / capacity,
                busiest=float(mean[own].max()),
                peak=float(peak[own].max()),
                peak_time=float(times[index]),
                jobs=jobs,
            )
        )
    return RunLoad(mean=mean, peak=peak, tiers=tuple(tiers))


def load_at(links: Links, sendings: Sequence[Sending], time: float) -> RunLoad:
    """Return the load of every link at a moment [s], averaged over a step; mean and peak are the same then."""
    return run_load(
        links, [one._replace(start=0.0, end=1.0) for one in sendings if one.start <= time < one.end], 0.0, 1.0
    )


def _job_bytes(links: Links, sendings: Iterable[Sending]) -> dict[str, FloatArray]:
    """Return what each job sent over each link. [B]"""
    sums: dict[str, dict[tuple[DomainRuns, int, tuple[float, ...]], FloatArray]] = {}
    for one in sendings:
        places = sums.setdefault(one.job, {})
        sent, key = one.row() * (one.end - one.start), (one.placement, one.gpus, one.flatness)
        places[key] = places[key] + sent if key in places else sent
    return {
        job: np.sum([sent @ links.pattern(*key) for key, sent in places.items()], axis=0)
        for job, places in sums.items()
    }


def _peaks(links: Links, sendings: Sequence[Sending], start: float) -> tuple[FloatArray, FloatArray]:
    """Return the highest load of each link, and when the highest of each tier began. [s]"""
    changes = sorted(
        (moment, sign, index)
        for index, one in enumerate(sendings)
        for moment, sign in ((one.end, -1), (one.start, 1))
    )
    now, peak = np.zeros(len(links.capacity)), np.zeros(len(links.capacity))
    highest, times = np.zeros(len(links.tiers)), np.full(len(links.tiers), start)
    for position, (moment, sign, index) in enumerate(changes):
        one = sendings[index]
        now += sign * (one.row() @ links.pattern(one.placement, one.gpus, one.flatness))
        if sign < 0 or (position + 1 < len(changes) and changes[position + 1][:2] == (moment, 1)):
            continue  # the load falls, or more begins at this moment
        load = now / links.capacity
        np.maximum(peak, load, out=peak)
        for tier, slots in enumerate(links.slots):
            most = float(load[slots].max())
            if most > highest[tier]:
                highest[tier], times[tier] = most, moment
    return peak, times


def edge_loads(graph: nx.Graph, links: Links, loads: FloatArray) -> dict[Edge, float]:
    """Return the load of each edge of a network's quotient graph, for pictures.

    Parameters
    ----------
    graph : networkx.Graph
        See ``topology.quotient.quotient_graph``.
    links, loads
        The links of the same network, and a load of each.
    """
    found = {
        frozenset(edge): load
        for edge, load in zip(links.edges, loads.tolist(), strict=True)
        if edge is not None
    }
    # Where the first links are those of single nodes (a torus, the hosts of a custom network), cables show theirs.
    nodes = [node for node, host in graph.nodes(data="host", default=True) if host] if not found else []
    if any("host" in fields for _, fields in graph.nodes(data=True)):
        nodes = list(hosts_of(graph))
    own = dict(zip(nodes, loads.tolist(), strict=False))
    for one, two in graph.edges:
        ends = [own[node] for node in (one, two) if node in own]
        if ends and frozenset((one, two)) not in found:
            found[frozenset((one, two))] = math.fsum(ends) / len(ends)
    return {(one, two): found.get(frozenset((one, two)), 0.0) for one, two in graph.edges}
