"""Collisions of hashed paths against flows played one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from colossus_sim.errors import ScenarioError
from colossus_sim.network import max_min_rates
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.builders import build_fabric

LoadTopology = Callable[[str], Topology]
LoadGpu = Callable[[str], Gpu]


def hashed(topology: Topology, flows: int, seed: int = 1) -> Topology:
    """Return it with hashed paths."""
    return topology.model_copy(update={"routing": "ecmp", "flows_per_nic": flows, "ecmp_seed": seed})


def ratio(topology: Topology, gpu: Gpu, flows: int, seed: int = 1) -> float:
    """Return what hashed paths leave of the highest level's bandwidth."""
    ideal = build_fabric(topology, gpu).levels[-1].bandwidth
    return build_fabric(hashed(topology, flows, seed), gpu).levels[-1].bandwidth / ideal


def slowest(flows: int, seed: int, hosts: int = 1024, leaf: int = 32) -> float:
    """Return the lowest max-min fair rate of a permutation on a leaf-spine network of radix 64, paths at random."""
    rng = np.random.default_rng(seed)
    leaves, spines = hosts // leaf, leaf
    target = rng.permutation(hosts)
    routes = []
    for source in range(hosts):
        for _ in range(flows):
            spine, here, there = int(rng.integers(spines)), source // leaf, int(target[source]) // leaf
            between = [] if here == there else [
                2 * hosts + here * spines + spine, 2 * hosts + leaves * spines + there * spines + spine,
            ]  # fmt: skip
            routes.append([source, *between, hosts + int(target[source])])
    capacity = np.ones(2 * hosts + 2 * leaves * spines)
    return flows * float(np.min(max_min_rates(capacity, routes)))


@pytest.mark.parametrize("flows", [1, 4, 16])
def test_the_slowest_flow_is_that_of_flows_played_one_by_one(
    flows: int, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """On 1,024 GPUs the mean over ten hashes agrees with max-min rates of permutations within a tenth."""
    topology, gpu = load_topology("hgx_h100_1k"), load_gpu("h100")
    ours = np.mean([ratio(topology, gpu, flows, seed) for seed in range(10)])
    played = np.mean([slowest(flows, seed) for seed in range(4)])
    assert ours == pytest.approx(played, rel=0.1)


def test_more_flows_collide_less(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """Splitting a NIC's traffic helps, as queue-pair scaling did at Meta; the leaf itself is left alone."""
    topology, gpu = load_topology("ndr_fat_tree_1to1"), load_gpu("h100")
    shares = [ratio(topology, gpu, flows) for flows in (1, 4, 16, 256)]
    assert shares == sorted(shares)
    assert shares[0] < 0.2 < 0.75 < shares[-1] < 1.0
    plain, meeting = build_fabric(topology, gpu), build_fabric(hashed(topology, 1), gpu)
    assert plain.levels[:2] == meeting.levels[:2]
    assert plain.switches == meeting.switches


def test_the_hash_has_a_seed(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """The same seed gives the same network, another seed may give another."""
    topology, gpu = load_topology("hgx_h100_1k"), load_gpu("h100")
    assert ratio(topology, gpu, 16, 3) == ratio(topology, gpu, 16, 3)
    assert len({ratio(topology, gpu, 16, seed) for seed in range(8)}) > 1


def test_other_networks_have_no_hash(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """A setting that would do nothing is refused."""
    with pytest.raises(ScenarioError, match="ecmp is for networks of kind clos; this one is dragonfly"):
        build_fabric(hashed(load_topology("dragonfly_slingshot"), 1), load_gpu("h100"))
