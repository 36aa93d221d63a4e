"""Networks given cable by cable: the four formats, what is measured on them, and clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Custom, Topology
from colossus_sim.topology.builders import build_fabric, topology_problems
from colossus_sim.topology.cables import CableError, read_cables
from colossus_sim.topology.custom import hosts_of, leaf_groups, uniform_rate
from colossus_sim.topology.full import full_graph

LoadGpu = Callable[[str], Gpu]
LoadTopology = Callable[[str], Topology]

CSV = """from,to,bandwidth,links
host0,leaf0,400 Gbit/s,8
host1,leaf0,400 Gbit/s,8
host2,leaf1,400 Gbit/s,8
host3,leaf1,400 Gbit/s,8
leaf0,spine0,400 Gbit/s,4
leaf0,spine1,400 Gbit/s,4
leaf1,spine0,400 Gbit/s,4
leaf1,spine1,400 Gbit/s,4
"""

IBNETDISCOVER = """#
# Topology file: generated on Sat Aug  1 12:00:00 2026
#
vendid=0x2c9
devid=0xd2f2
switchguid=0x1(1)
Switch  64 "S-0001"         # "leaf0" enhanced port 0 lid 1 lmc 0
[1]     "H-000a"[1](a1)          # "node1 mlx5_0" lid 5 4xNDR
[2]     "H-000b"[1](b1)          # "node1 mlx5_1" lid 6 4xNDR
[3]     "H-000c"[1](c1)          # "node2 mlx5_0" lid 7 4xNDR

vendid=0x2c9
caguid=0xa
Ca      1 "H-000a"          # "node1 mlx5_0"
[1](a1)         "S-0001"[1]              # lid 5 lmc 0 "leaf0" lid 1 4xNDR

Ca      1 "H-000b"          # "node1 mlx5_1"
[1](b1)         "S-0001"[2]              # lid 6 lmc 0 "leaf0" lid 1 4xNDR

Ca      1 "H-000c"          # "node2 mlx5_0"
[1](c1)         "S-0001"[3]              # lid 7 lmc 0 "leaf0" lid 1 4xNDR
"""

NVIDIA_SMI = """\tGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity
GPU0\t X \tNV18\tSYS\tPIX\t0-55
GPU1\tNV18\t X \tNV18\tPXB\t0-55
GPU2\tSYS\tNV18\t X \tSYS\t56-111
NIC0\tPIX\tPXB\tSYS\t X \t

Legend:
  X    = Self
"""

GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="k" for="node" attr.name="kind" attr.type="string"/>
<key id="g" for="node" attr.name="gpus" attr.type="long"/>
<key id="b" for="edge" attr.name="bandwidth" attr.type="string"/>
<graph edgedefault="undirected">
<node id="a"><data key="k">host</data><data key="g">8</data></node>
<node id="b"><data key="k">host</data><data key="g">8</data></node>
<node id="s"><data key="k">switch</data></node>
<edge source="a" target="s"><data key="b">400 Gbit/s</data></edge>
<edge source="b" target="s"><data key="b">400 Gbit/s</data></edge>
</graph></graphml>
"""


def spec(text: str, name: str = "net.csv", **more: Any) -> Custom:
    """A custom network with this file."""
    return Custom.model_validate({"kind": "custom", "file": name, "text": text} | more)


def network(text: str, gpus: int = 32, name: str = "net.csv", **more: Any) -> Topology:
    """A topology around it, without losses."""
    source = {"kind": "assumption", "reference": "test", "checked": "2026-08"}
    return Topology.model_validate(
        {
            "title": "t",
            "gpu": "h100",
            "gpus": gpus,
            "fabric": {"kind": "custom", "file": name, "text": text} | more,
            "link_efficiency": 1.0,
            "provenance": source,
        }
    )


def test_two_leaves_two_spines(load_gpu: LoadGpu) -> None:
    """16 GPUs with 8 uplinks per leaf: 2:1, found from paths and cuts; three switches on the longest path."""
    fabric = build_fabric(network(CSV), load_gpu("h100"))
    assert [level.name for level in fabric.levels] == ["scale_up", "leaf", "network"]
    assert [level.group_gpus for level in fabric.levels] == [8, 16, 32]
    assert fabric.levels[1].bandwidth == pytest.approx(50e9)
    assert fabric.levels[2].bandwidth == pytest.approx(25e9)
    assert fabric.bisection_bandwidth == pytest.approx(400e9)
    assert fabric.diameter == 3
    assert dict(fabric.switches) == {"all": 4}
    assert dict(fabric.links) == {"host": 32, "switch-to-switch": 16}


@pytest.mark.parametrize(
    "text",
    [
        CSV.replace("from,to,bandwidth,links", "From , TO, Bandwidth ,Links"),
        CSV.replace(",", " , "),
        CSV.replace("host0", '"host0"').replace(",", ", "),
        CSV.replace("links\n", "links,,\n"),
    ],
)
def test_tables_as_spreadsheets_and_people_write_them(text: str) -> None:
    """Capitals in the header, blanks around commas, quotes and empty columns change nothing."""
    assert nx.utils.graphs_equal(read_cables(spec(text)), read_cables(spec(CSV)))


def test_ibnetdiscover_joins_the_adapters_of_a_host() -> None:
    """Two adapters of node1 are one host with two cables of 4 x 100 Gbit/s."""
    graph = read_cables(spec(IBNETDISCOVER, "fabric.ibnet"))
    assert {node for node, host in graph.nodes(data="host") if host} == {"node1", "node2"}
    assert graph.edges["node1", "S-0001"] == {"bandwidth": 100e9, "links": 2}
    assert graph.edges["node2", "S-0001"] == {"bandwidth": 50e9, "links": 1}


def test_ibnetdiscover_as_switches_print_it_today() -> None:
    """A Quantum switch's own SHARP port is no host, chassis ports are cables, makers' names do not join hosts."""
    text = IBNETDISCOVER.replace(
        "vendid=0x2c9\ncaguid=0xa",
        """[41]    "H-00ff"[1](ff1)          # "Mellanox Technologies Aggregation Node" lid 9 4xHDR
[20][ext 7]     "S-0002"[3][ext 2]              # "leaf1" lid 2 4xNDR
[4]     "H-000d"[1](d1)          # "MT4129 ConnectX7   Mellanox Technologies" lid 10 4xNDR
[5]     "H-000e"[1](e1)          # "MT4129 ConnectX7   Mellanox Technologies" lid 11 4xNDR

Switch  64 "S-0002"         # "MF0;leaf1:MQM9700/U1" enhanced port 0 lid 2 lmc 0
[3][ext 2]      "S-0001"[20][ext 7]             # "leaf0" lid 1 4xNDR

Ca      1 "H-00ff"          # "Mellanox Technologies Aggregation Node"
[1](ff1)        "S-0001"[41]             # lid 9 lmc 0 "leaf0" lid 1 4xHDR

Ca      1 "H-000d"          # "MT4129 ConnectX7   Mellanox Technologies"
[1](d1)         "S-0001"[4]              # lid 10 lmc 0 "leaf0" lid 1 4xNDR

Ca      1 "H-000e"          # "MT4129 ConnectX7   Mellanox Technologies"
[1](e1)         "S-0001"[5]              # lid 11 lmc 0 "leaf0" lid 1 4xNDR

vendid=0x2c9
caguid=0xa""",
    )
    graph = read_cables(spec("src/query_smp.c:199; umad (DR path slid 0) bad status 110\n" + text, "f.ibnet"))
    assert {node for node, host in graph.nodes(data="host") if host} == {"node1", "node2", "H-000d", "H-000e"}
    assert graph.edges["S-0001", "S-0002"] == {"bandwidth": 50e9, "links": 1}
    assert {node for node, host in graph.nodes(data="host") if not host} == {"S-0001", "S-0002"}


def test_nvidia_smi_matrix_with_an_underlined_header() -> None:
    """The header's terminal escapes, which stay in a redirected file, and the legends around it do not matter."""
    head, rest = NVIDIA_SMI.split("\n", 1)
    shown = "\n".join(
        ("\t\x1b[4mGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m", rest)
    )
    legend = "\nNIC Legend:\n\n  NIC0: mlx5_0\n"
    plain = read_cables(spec(head + "\n" + rest, "node.topo"))
    found = read_cables(spec(shown + legend, "node.topo"))
    assert list(found.edges(data=True)) == list(plain.edges(data=True))


def test_nvidia_smi_matrix() -> None:
    """NV18 is 18 links of 25 GB/s; a pair without NVLink goes over PCIe."""
    graph = read_cables(spec(NVIDIA_SMI, "node.topo"))
    assert graph.edges["GPU0", "GPU1"] == {"bandwidth": 18 * 25e9, "links": 18}
    assert graph.edges["GPU0", "GPU2"] == {"bandwidth": 50e9, "links": 1}
    assert len(graph) == 3


def test_graphml(load_gpu: LoadGpu) -> None:
    """Kinds and GPUs per host come from the file."""
    fabric = build_fabric(network(GRAPHML, 16, "net.graphml"), load_gpu("h100"))
    assert fabric.levels[-1].bandwidth == pytest.approx(50e9 / 8)
    assert fabric.gpus == 16


@pytest.mark.parametrize("both", [False, True])
def test_directed_graphml_counts_each_cable_once(both: bool, load_gpu: LoadGpu) -> None:
    """What networkx writes of a DiGraph has an edge each way, or one: one cable, 50 GB/s shared by 8 GPUs."""
    text = GRAPHML.replace('"undirected"', '"directed"')
    if both:
        back = '<edge source="s" target="{}"><data key="b">200 Gbit/s</data></edge>'
        text = text.replace("</graph>", back.format("a") + back.format("b") + "</graph>")
    fabric = build_fabric(network(text, 16, "net.graphml"), load_gpu("h100"))
    assert fabric.levels[-1].bandwidth == pytest.approx(50e9 / 8)
    assert dict(fabric.links) == {"host": 2, "switch-to-switch": 0}


def test_directed_graphml_from_networkx() -> None:
    """A graph, and what networkx makes of it with directions, are the same cables; parallel ones add up."""
    one = nx.MultiGraph([("host0", "s"), ("host0", "s"), ("host1", "s")])
    nx.set_edge_attributes(one, 50e9, "bandwidth")
    nx.set_edge_attributes(one, 4, "links")
    found = [
        read_cables(spec("\n".join(nx.generate_graphml(graph)), "net.graphml"))
        for graph in (one, one.to_directed())
    ]
    assert found[0].edges["host0", "s"] == {"bandwidth": 400e9, "links": 8}
    assert list(found[0].edges(data=True)) == list(found[1].edges(data=True))


UNEVEN = CSV.replace("spine0,400 Gbit/s,4", "spine0,400 Gbit/s,12")
"""16 uplinks per leaf: 12 to one spine, 4 to the other."""


def test_parallel_cables_are_ports_of_their_own(load_gpu: LoadGpu) -> None:
    """16 GPUs over 16 uplinks of 400G: each cable carries one GPU's rate, whichever spine it leads to."""
    fabric = build_fabric(network(UNEVEN, 32), load_gpu("h100"))
    assert fabric.levels[-1].bandwidth == pytest.approx(fabric.levels[-2].bandwidth)
    level = fabric.levels[-1]
    assert level.bandwidth == pytest.approx(50e9 * network(UNEVEN, 32).link_efficiency)


def test_the_busier_direction_counts(load_gpu: LoadGpu) -> None:
    """Leaf 1 has 8 cables to each spine: half of what it sends comes down 4 of leaf 0's 16, so 1/2 is left."""
    text = UNEVEN.replace("leaf1,spine0,400 Gbit/s,12", "leaf1,spine0,400 Gbit/s,8").replace(
        "leaf1,spine1,400 Gbit/s,4", "leaf1,spine1,400 Gbit/s,8"
    )
    fabric = build_fabric(network(text, 32), load_gpu("h100"))
    assert fabric.levels[-1].bandwidth == pytest.approx(fabric.levels[-2].bandwidth / 2)


def test_exported_fat_tree_keeps_its_width(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """Two pods at 4:1 by hand: 12 uplinks for 52/1024 of a pod's traffic, of which 1024/2016 leaves the pod."""
    topology = load_topology("ndr_fat_tree_4to1")
    graph = full_graph(topology, load_gpu("h100"), 2048)
    nx.set_node_attributes(graph, {node: kind == "host" for node, kind in graph.nodes(data="kind")}, "host")
    hosts = hosts_of(graph)
    for *_, fields in graph.edges(data=True):
        fields["bandwidth"] *= fields["links"]
    rate = uniform_rate(graph, hosts, leaf_groups(graph, hosts))
    assert rate == pytest.approx(12 * 50e9 / 52 * 2016 / 1024)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("a,b\n", "net.csv", "line 1: the header needs from, to, bandwidth"),
        (CSV.replace("400 Gbit/s,8\nhost1", "400 Gbot/s,8\nhost1"), "net.csv", "line 2: unit 'Gbot/s'"),
        (CSV.replace(",8\nhost1", ",0\nhost1"), "net.csv", "line 2, links: must be at least 1"),
        (CSV.replace(",8\nhost1", ",8,9\nhost1"), "net.csv", "line 2: has more columns than the header"),
        (
            CSV.replace("bandwidth,links", "bandwidth,links,Links"),
            "net.csv",
            "line 1: two columns have the same",
        ),
        (CSV.replace("host0,leaf0", "leaf0,leaf0"), "net.csv", "line 2: a cable from 'leaf0' to itself"),
        ("hello", "net.ibnet", "is this the output of ibnetdiscover"),
        (IBNETDISCOVER.replace("4xNDR", "fast"), "net.ibnet", "line 8: no speed"),
        ("hello", "net.topo", "is this the output of nvidia-smi topo -m"),
        (NVIDIA_SMI.replace("SYS\tPIX\t0", "FOO\tPIX\t0"), "net.topo", "unknown word 'FOO'"),
        ("<graphml", "net.graphml", "this is no GraphML"),
        ("<!DOCTYPE x>" + GRAPHML, "net.graphml", "document types"),
        (GRAPHML.replace("400 Gbit/s", "fast"), "net.graphml", "edge 'a' - 's'"),
        ("x", "net.txt", "cannot tell what is in 'net.txt'"),
    ],
)
def test_bad_files_are_refused(text: str, name: str, words: str) -> None:
    """What is wrong is said with its line or its edge."""
    with pytest.raises(CableError, match=words.replace("(", r"\(")):
        read_cables(spec(text, name))


@pytest.mark.parametrize(
    ("text", "gpus", "words"),
    [
        (CSV.replace("host", "node"), 32, "no host among 8 nodes"),
        (CSV + "host9,leaf9,400 Gbit/s,1\n", 40, "falls into 2 parts, so it cannot reach all GPUs"),
        (CSV, 34, "34 GPUs do not divide over 4 hosts"),
        (CSV, 20, "5 GPUs of a host and a scale-up domain of 8 do not divide"),
    ],
)
def test_impossible_networks_are_refused(load_gpu: LoadGpu, text: str, gpus: int, words: str) -> None:
    """No hosts, parts that are cut off, GPUs that do not divide: in words, before anything is built."""
    assert words in "; ".join(topology_problems(network(text, gpus), load_gpu("h100")))
