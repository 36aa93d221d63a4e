"""Load of cables by the jobs of a run, against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from colossus_sim.network.links import Links, links_of
from colossus_sim.network.run_load import Sending, edge_loads, load_at, run_load
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.quotient import quotient_graph
from tests.engine.conftest import GPU, TOPOLOGY

DEVICE = Gpu.model_validate(GPU)
NIC = 50e9
RATE = 1e9
"""What each GPU sends to peers of the highest level. [B/s]"""


def network(fabric: dict[str, Any], gpus: int = 1024) -> Topology:
    """Return a network of H100-like nodes of eight."""
    values = TOPOLOGY | {"fabric": fabric, "gpus": gpus, "nic_bandwidth": "400 Gbit/s"}
    return Topology.model_validate(values)


def links(topology: Topology) -> Links:
    """Return its links."""
    return links_of(topology, DEVICE, build_fabric(topology, DEVICE))


def sending(*runs: tuple[int, int], rates: tuple[float, ...], job: str = "a", **fields: Any) -> Sending:
    """Return a stretch of 10 s of a job on runs of nodes of eight."""
    gpus = 8 * sum(count for _, count in runs)
    values = {"start": 0.0, "end": 10.0, "job": job, "placement": Placement(8, 8, runs), "gpus": gpus}
    return Sending(**(values | {"rates": rates} | fields))


CLOS = {
    "kind": "clos",
    "switch_radix": 64,
    "rails": 8,
    "tiers": [
        {"name": "leaf", "group_gpus": 128},
        {"name": "spine", "group_gpus": 512, "oversubscription": 4},
        {"name": "core", "group_gpus": 0},
    ],
}
"""Eight leaf groups, two pods, 4:1 above them."""


def test_a_job_loads_the_uplinks_of_its_groups_in_proportion_to_its_ranks() -> None:
    """128 GPUs in pod 0 and 64 in pod 1 fill a full and a half leaf group, and 128 / 128 and 64 / 128 of a core."""
    found = run_load(
        links(network(CLOS)), [sending((0, 16), (64, 8), rates=(9e9, 0.0, 0.0, RATE))], 0.0, 10.0
    )
    host, leaf, core = found.tiers
    assert (host.name, leaf.name, core.name) == ("host", "leaf-spine", "spine-core")
    assert host.busiest == pytest.approx(RATE / NIC)
    assert leaf.busiest == pytest.approx(RATE / NIC)
    assert core.busiest == pytest.approx(128 * RATE / (512 / 4 * NIC))
    assert leaf.mean == pytest.approx(192 * RATE / (1024 * NIC))
    assert core.jobs == pytest.approx({"a": 192 * RATE})
    assert found.mean[-2:] == pytest.approx([RATE / NIC, 0.5 * RATE / NIC])


def test_traffic_stays_below_the_level_of_its_peers() -> None:
    """Bytes to peers of one leaf load NICs only, those to peers of one pod no core; NVLink loads nothing here."""
    found = run_load(links(network(CLOS)), [sending((0, 16), rates=(9e9, RATE, 2 * RATE, 0.0))], 0.0, 10.0)
    assert [tier.busiest for tier in found.tiers] == pytest.approx([3 * RATE / NIC, 2 * RATE / NIC, 0.0])


def test_storage_takes_the_tiers_above_the_leaf() -> None:
    """Traffic with the storage is on uplinks, not counted on the NICs."""
    job = sending((0, 16), rates=(0.0, 0.0, 0.0, 0.0), storage=RATE)
    busiest = [tier.busiest for tier in run_load(links(network(CLOS)), [job], 0.0, 10.0).tiers]
    assert busiest == pytest.approx([0.0, RATE / NIC, RATE / NIC])


def test_mean_is_over_time_and_peak_is_where_jobs_meet() -> None:
    """Two jobs in one pod, 10 s of a window of 20 s each, overlap for 5 s: half the mean, the sum as peak."""
    rates = (0.0, 0.0, 0.0, RATE)
    jobs = [sending((0, 16), rates=rates), sending((16, 16), rates=rates, job="b", start=5.0, end=15.0)]
    core = run_load(links(network(CLOS)), jobs, 0.0, 20.0).tiers[-1]
    one = 128 * RATE / (128 * NIC)
    assert core.busiest == pytest.approx(one)
    assert (core.peak, core.peak_time) == (pytest.approx(2 * one), 5.0)
    for time, load in ((2.0, one), (7.0, 2 * one), (12.0, one), (17.0, 0.0)):
        assert load_at(links(network(CLOS)), jobs, time).tiers[-1].busiest == pytest.approx(load)


def test_a_window_cuts_what_lies_outside() -> None:
    """Bytes before and after the window do not count, and an empty window is refused."""
    jobs = [sending((0, 16), rates=(0.0, 0.0, 0.0, RATE))]
    tiers = run_load(links(network(CLOS)), jobs, 9.0, 11.0).tiers
    assert tiers[0].busiest == pytest.approx(0.5 * RATE / NIC)
    with pytest.raises(ValueError, match="must end after"):
        run_load(links(network(CLOS)), jobs, 3.0, 3.0)


DRAGONFLY = {
    "kind": "dragonfly",
    "endpoints_per_router": 8,
    "routers_per_group": 4,
    "global_links_per_router": 3,
    "local_link_bandwidth": "400 Gbit/s",
    "global_link_bandwidth": "400 Gbit/s",
    "switch_radix": 64,
}


def test_groups_of_a_dragonfly_share_what_they_send_by_ranks() -> None:
    """Of 32, 32 and 16 GPUs in three groups each sends to the others' GPUs alike; all that leaves arrives."""
    topology = network(DRAGONFLY, gpus=128)
    rates = (0.0, 0.0, RATE)
    found = run_load(links(topology), [sending((0, 4), (4, 4), (8, 2), rates=rates)], 0.0, 10.0)
    pair = 12 / 3 * NIC
    out = {(0, 1): 32 * 32 / 48, (0, 2): 0.5 * (32 * 16 / 48 + 16 * 32 / 64)}
    loads = edge_loads(quotient_graph(topology, DEVICE), links(topology), found.mean)
    for (one, two), gpus in out.items():
        assert loads[("group", one), ("group", two)] == pytest.approx(gpus * RATE / pair)
    assert loads[("group", 2), ("group", 3)] == 0.0
    assert found.tiers[-1].jobs["a"] == pytest.approx(0.5 * 80 * RATE)


def test_a_torus_counts_the_cables_of_each_node() -> None:
    """Rings along the axes use the six cables of a node alike."""
    topology = network({"kind": "torus", "dims": [4, 4, 4], "link_bandwidth": "50 GB/s"}, gpus=512)
    found = run_load(links(topology), [sending((0, 8), rates=(0.0, RATE))], 0.0, 10.0)
    assert found.tiers[0].busiest == pytest.approx(8 * RATE / (6 * 50e9))
    assert found.tiers[0].mean == pytest.approx(found.tiers[0].busiest / 8)


def test_cables_of_a_custom_network_carry_shortest_paths(load_custom: Callable[[], Topology]) -> None:
    """Between two leaves on two spines half of what leaves a leaf goes over each spine, over two cables each."""
    topology = load_custom()
    found = run_load(links(topology), [sending((0, 8), rates=(0.0, 0.0, RATE))], 0.0, 10.0)
    host, spine = found.tiers
    assert host.busiest == pytest.approx(RATE / NIC)
    assert spine.busiest == pytest.approx(32 * RATE / (16 * NIC))
    graph = quotient_graph(topology, DEVICE)
    loads = edge_loads(graph, links(topology), found.mean)
    assert len(loads) == graph.number_of_edges()
    assert np.unique(np.round(list(loads.values()), 12)).tolist() == pytest.approx(
        [RATE / NIC, 2 * RATE / NIC]
    )


@pytest.fixture
def load_custom(load_topology: Callable[[str], Topology]) -> Callable[[], Topology]:
    """Return a function that loads the shipped custom network."""
    return lambda: load_topology("custom_64")
