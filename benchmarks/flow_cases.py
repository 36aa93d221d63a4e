"""Flow sets for benchmarks: a Clos network and its traffic from a seed, the same on every machine.

Network: 32 hosts per leaf, 32 leaves and 32 aggregation switches per pod, and above each aggregation index
`cores` core switches that join the pods; every link 50e9 B/s each way. A flow takes the aggregation and the core
switch that its hash says (ECMP). All choices come from splitmix64 (Steele, Lea, Flood 2014,
doi:10.1145/2660193.2660195) of a seed and an index, so that two programs can be given exactly the same flows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

HOSTS_PER_LEAF = LEAVES_PER_POD = AGGREGATIONS = 32
LINK = 50e9
MIB = float(2**20)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One set of flows to make."""

    name: str
    hosts: int
    workload: str
    seed: int = 1
    degree: int = 4
    job: int = 64
    cores: int = 32
    sizes: str = "spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSet:
    """Links, routes (compressed rows), sizes and start times."""

    capacity: Floats
    ptr: Ints
    idx: Ints
    size: Floats
    start: Floats


def splitmix(seed: int, index: npt.ArrayLike, salt: int = 0) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each index."""
    wrap = 2**64
    offset = ((seed + 1) * 0xD1B54A32D192ED03 + (salt + 1) * 0x8CB92BA72F3D8DD7) % wrap
    mixed = np.asarray(index, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(offset)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return hashed


def uniform(seed: int, index: npt.ArrayLike, salt: int) -> Floats:
    """Return a number in [0, 1) for each index."""
    high: Floats = (splitmix(seed, index, salt) >> np.uint64(11)).astype(np.float64)
    return high / 2.0**53


def _pick(seed: int, index: Ints, salt: int, among: int) -> Ints:
    return (splitmix(seed, index, salt) % np.uint64(among)).astype(np.int64)


def _pairs(case: Case) -> tuple[Ints, Ints]:
    """Return source and destination host of each flow."""
    hosts = np.arange(case.hosts, dtype=np.int64)
    if case.workload == "ring":
        return hosts, (hosts + 1) % case.hosts
    if case.workload in ("perm", "jobs"):
        order = np.argsort(splitmix(case.seed, hosts, 1), kind="stable")
        if case.workload == "perm":
            return order, np.roll(order, -1)
        rings = order[: case.hosts // case.job * case.job].reshape(-1, case.job)
        return rings.ravel(), np.roll(rings, -1, axis=1).ravel()
    if case.workload in ("a2a", "poisson"):
        source = np.repeat(hosts, case.degree)
        flows = np.arange(source.size, dtype=np.int64)
        return source, (source + 1 + _pick(case.seed, flows, 2, case.hosts - 1)) % case.hosts
    raise ValueError(f"unknown workload {case.workload!r}")


def _sizes(case: Case, flows: Ints) -> Floats:
    if case.workload == "poisson":
        # Bounded Pareto of shape 1.2 from 64 KiB to 64 MiB.
        low, high, shape = 64 * 1024.0, 64 * MIB, 1.2
        share = uniform(case.seed, flows, 3) * (low**-shape - high**-shape)
        drawn: Floats = (low**-shape - share) ** (-1 / shape)
        return drawn
    if case.sizes == "fixed":
        return np.full(flows.size, 64 * MIB)
    return 16 * MIB + uniform(case.seed, flows, 3) * 64 * MIB


def _starts(case: Case, flows: Ints, size: Floats) -> Floats:
    if case.workload == "jobs":
        jobs = np.arange(case.hosts // case.job)
        return np.repeat(uniform(case.seed, jobs, 9) * 2e-3, case.job)
    if case.workload == "poisson":
        return uniform(case.seed, flows, 4) * (size.sum() / (case.hosts * LINK * 0.5))
    return np.zeros(flows.size)


def make_flows(case: Case) -> FlowSet:
    """Return the flows of a case.

    Raises
    ------
    ValueError
        If the hosts do not fill whole leaves, or the workload is unknown.
    """
    if case.hosts % HOSTS_PER_LEAF:
        raise ValueError(f"hosts must be a multiple of {HOSTS_PER_LEAF}, got {case.hosts}")
    source, target = _pairs(case)
    flows = np.arange(source.size, dtype=np.int64)
    hop, links = _route(case, source, target, flows)
    used = hop >= 0
    size = _sizes(case, flows)
    return FlowSet(
        capacity=np.full(links, LINK),
        ptr=np.concatenate(([0], np.cumsum(used.sum(axis=1)))).astype(np.int64),
        idx=hop[used],
        size=np.floor(size),
        start=_starts(case, flows, size),
    )


def _route(case: Case, source: Ints, target: Ints, flows: Ints) -> tuple[Ints, int]:
    """Return the six directed links of each flow, -1 where it turns round earlier, and how many links exist."""
    pods = max(1, case.hosts // (HOSTS_PER_LEAF * LEAVES_PER_POD))
    leaves = case.hosts // HOSTS_PER_LEAF
    core_links = pods * AGGREGATIONS * case.cores if pods > 1 else 0
    leaf_up = 2 * case.hosts
    leaf_down = leaf_up + leaves * AGGREGATIONS
    core_up = leaf_down + leaves * AGGREGATIONS
    core_down = core_up + core_links
    via = _pick(case.seed, flows, 5, AGGREGATIONS)
    core = _pick(case.seed, flows, 6, case.cores)
    leaf_a, leaf_b = source // HOSTS_PER_LEAF, target // HOSTS_PER_LEAF
    pod_a, pod_b = leaf_a // LEAVES_PER_POD, leaf_b // LEAVES_PER_POD
    hop = np.full((flows.size, 6), -1, dtype=np.int64)
    hop[:, 0], hop[:, 5] = source, case.hosts + target
    out, far = leaf_a != leaf_b, pod_a != pod_b
    hop[out, 1] = leaf_up + (leaf_a * AGGREGATIONS + via)[out]
    hop[out, 4] = leaf_down + (leaf_b * AGGREGATIONS + via)[out]
    hop[far, 2] = core_up + ((pod_a * AGGREGATIONS + via) * case.cores + core)[far]
    hop[far, 3] = core_down + ((pod_b * AGGREGATIONS + via) * case.cores + core)[far]
    return hop, core_down + core_links


def summary(flows: FlowSet) -> dict[str, Any]:
    """Return what was made, in numbers."""
    return {"flows": flows.size.size, "links": flows.capacity.size, "hops": flows.idx.size}
