"""New paths after a loss, against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.custom import hosts_of, leaf_groups, uniform_rate
from colossus_sim.topology.full import full_graph
from colossus_sim.topology.lost_parts import LostPart, lost_part
from tests.engine.conftest import GPU, TOPOLOGY

DEVICE = Gpu.model_validate(GPU)
LoadTopology = Callable[[str], Topology]
LoadGpu = Callable[[str], Gpu]


def custom(*rows: str, hosts: int) -> Topology:
    """Return a network of nodes of eight GPUs, cable by cable."""
    text = "\n".join(["from,to,bandwidth,links", *rows])
    fabric: dict[str, Any] = {"kind": "custom", "file": "cables.csv", "hosts": "node*", "text": text}
    return Topology.model_validate(TOPOLOGY | {"fabric": fabric, "gpus": 8 * hosts})


def lost(topology: Topology, part: str, name: str) -> LostPart:
    """Lose a part of it."""
    fabric = build_fabric(topology, DEVICE)
    return lost_part(part, "", topology=topology, gpu=DEVICE, fabric=fabric, name=name)


RING = (
    *(f"node{index},switch{index},800 GB/s,1" for index in range(4)),
    *(f"switch{index},switch{(index + 1) % 4},100 GB/s,1" for index in range(4)),
)


def test_a_cut_ring_is_a_line() -> None:
    """Four that send to all take 2/3 of each cable of a ring, 4/3 of the middle one of a line: half is left."""
    assert lost(custom(*RING, hosts=4), "cable", "switch3 - switch0") == LostPart(
        1, 32, pytest.approx(0.5), 0
    )


DETOUR = (
    *(f"node{index},leaf{index // 2},800 GB/s,1" for index in range(4)),
    "leaf0,spine0,100 GB/s,1",
    "leaf1,spine0,100 GB/s,1",
    "leaf0,far0,25 GB/s,1",
    "far0,far1,25 GB/s,1",
    "far1,leaf1,25 GB/s,1",
)


@pytest.mark.parametrize(("part", "name"), [("switch", "spine0"), ("cable", "leaf0 - spine0")])
def test_traffic_takes_a_longer_and_narrower_way(part: str, name: str) -> None:
    """Without its spine all traffic between the leaves takes three cables of a quarter of the width."""
    assert lost(custom(*DETOUR, hosts=4), part, name) == LostPart(2, 32, pytest.approx(0.75), 0)


def test_a_detour_that_nothing_took_costs_nothing() -> None:
    """Shortest paths do not use the long way, so its loss takes nothing."""
    assert lost(custom(*DETOUR, hosts=4), "switch", "far0").share == pytest.approx(0.0)


def test_hosts_without_a_path_are_cut_off() -> None:
    """The loss of the second leaf cuts off GPUs 16 to 31, and touches nobody else."""
    assert lost(custom(*DETOUR, hosts=4), "switch", "leaf1") == LostPart(1, 16, 1.0, 16)


def test_hosts_on_two_leaves_keep_the_other() -> None:
    """A pair of leaves per rack: the loss of one halves what its two hosts send, and theirs only."""
    rows = [f"node{index},leaf{index // 2}{side},200 GB/s,1" for index in range(6) for side in "ab"]
    rows += [
        f"leaf{rack}{side},spine{top},400 GB/s,1" for rack in range(3) for side in "ab" for top in range(4)
    ]
    assert lost(custom(*rows, hosts=6), "switch", "leaf1b") == LostPart(1, 16, pytest.approx(0.5), 16)


def test_a_host_that_loses_one_of_two_cables_is_alone_slower() -> None:
    """Its other cable carries all that it sends then, half as much; all other hosts go on."""
    rows = [f"node{index},leaf{index // 2}{side},200 GB/s,1" for index in range(6) for side in "ab"]
    rows += [
        f"leaf{rack}{side},spine{top},400 GB/s,1" for rack in range(3) for side in "ab" for top in range(4)
    ]
    assert lost(custom(*rows, hosts=6), "cable", "node0 - leaf0b") == LostPart(1, 8, pytest.approx(0.5), 0)


@pytest.mark.parametrize(
    ("part", "name", "text"),
    [
        ("switch", "spine9", "no switch 'spine9'; switches: far0, far1, leaf0, leaf1, spine0"),
        ("switch", "node0", "no switch 'node0'"),
        ("cable", "leaf0 - leaf1", "no cable 'leaf0 - leaf1'; cables: node0 - leaf0"),
        ("switch", "", "give the name of one"),
    ],
)
def test_what_is_not_there_is_refused(part: str, name: str, text: str) -> None:
    """The message names what there is."""
    with pytest.raises(ValueError, match=text):
        lost(custom(*DETOUR, hosts=4), part, name)


def test_names_belong_to_custom_networks() -> None:
    """A network built from parameters has tiers, not names."""
    topology = Topology.model_validate(TOPOLOGY)
    with pytest.raises(ValueError, match="only parts of a custom network have names"):
        lost(topology, "switch", "spine0")


def test_shares_of_a_clos_are_those_of_new_paths(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """Of 8 spines of 512 GPUs one is lost: on the graph of all GPUs new shortest paths leave 7/8, as is charged."""
    topology, gpu = load_topology("hgx_h100_1k"), load_gpu("h100")
    fabric = build_fabric(topology, gpu, 512)
    graph = full_graph(topology, gpu, 512)
    nx.set_node_attributes(graph, {node: kind == "host" for node, kind in graph.nodes(data="kind")}, "host")
    for _, _, edge in graph.edges(data=True):
        edge["bandwidth"] *= edge["links"]
    rail = [host for host in hosts_of(graph) if int(host.removeprefix("gpu")) % 8 == 0]
    spine = next(node for node in graph if node.startswith("spine"))
    left = nx.restricted_view(graph, [spine], [])
    leaves = leaf_groups(graph, rail)
    ratio = uniform_rate(left, rail, leaves) / uniform_rate(graph, rail, leaves)
    charged = lost_part("switch", "spine", topology=topology, gpu=gpu, fabric=fabric)
    assert ratio == pytest.approx(1.0 - charged.share) == pytest.approx(7 / 8)
