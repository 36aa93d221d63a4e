"""Bill of materials and full graphs against counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest

from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.listing import validated_entry
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.parts import Parts
from colossus_sim.specs.topology import Custom, Topology, Torus
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.full import full_graph, write_graphml
from colossus_sim.topology.materials import bill_of_materials
from colossus_sim.topology.quotient import quotient_graph
from colossus_sim.topology.torus import torus_links
from colossus_sim.units import format_usd

LoadTopology = Callable[[str], Topology]
LoadGpu = Callable[[str], Gpu]


def parts(catalog: Catalog) -> Parts:
    """The shipped price list."""
    found = validated_entry("parts", catalog, "network_2024", case="central")
    assert isinstance(found, Parts)
    return found


def test_bill_adds_up(catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """Switches x 64 ports, two optics per cable, fibre by length: every line by hand."""
    topology, prices = load_topology("ndr_fat_tree_1to1"), parts(catalog)
    fabric = build_fabric(topology, load_gpu("h100"))
    bill = bill_of_materials(topology, fabric, 50e9, prices)
    row = next(one for one in prices.rates if one.rate == 50e9)
    switches, cables = sum(fabric.switches.values()), sum(fabric.links.values())
    optics = 2 * cables * row.optic_price
    fibre = cables * topology.cable_length * row.fibre_price_per_metre
    assert bill.cost == pytest.approx(switches * 64 * row.switch_port_price + optics + fibre)
    assert bill.power == pytest.approx(switches * 64 * row.switch_port_power + 2 * cables * row.optic_power)
    assert sum(item.count for item in bill.items if item.name.endswith("optics")) == 2 * cables


def test_short_links_are_copper(catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """Within reach of copper there are no optics and cables draw no power."""
    topology = load_topology("hgx_h100_1k").model_copy(update={"cable_length": 1.5})
    bill = bill_of_materials(topology, build_fabric(topology, load_gpu("h100")), 50e9, parts(catalog))
    assert not [item for item in bill.items if "optics" in item.name]
    assert all(item.power == 0.0 for item in bill.items if "cables" in item.name)


def test_cubes_are_wired_by_copper(catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """64 cubes of 144 cables each inside; 3 x 256 rings leave 4 cubes each, with two optics a cable."""
    topology, prices = load_topology("torus_3d"), parts(catalog)
    fabric = build_fabric(topology, load_gpu("tpu_v4"))
    assert fabric.links == {"in-block": 64 * 144, "between-block": 3 * 256 * 4}
    row = next(one for one in prices.rates if one.rate == 50e9)
    bill = bill_of_materials(topology, fabric, 50e9, prices)
    cost = {item.name: (item.count, item.cost, item.power) for item in bill.items}
    assert cost == {
        "in-block cables": (9216, pytest.approx(9216 * row.copper_price), 0.0),
        "between-block cables": (3072, pytest.approx(3072 * 30 * row.fibre_price_per_metre), 0.0),
        "between-block optics": (
            6144,
            pytest.approx(6144 * row.optic_price),
            pytest.approx(6144 * row.optic_power),
        ),
    }


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("dims", [(4, 4, 4), (8, 4, 4), (4, 4), (4, 8)])
def test_cables_that_leave_a_block(block: int, dims: tuple[int, ...]) -> None:
    """Those of the graph whose ends lie in two blocks, or that go around one that is as long as the torus."""
    graph = nx.grid_graph(dim=list(reversed(dims)), periodic=True)
    leaving = sum(
        any(a // block != b // block or abs(a - b) > 1 for a, b in zip(one, two, strict=True))
        for one, two in graph.edges
    )
    fields = {"kind": "torus", "dims": dims, "link_bandwidth": "50 GB/s", "block": block}
    links = torus_links(Torus.model_validate(fields))
    assert links == {"in-block": graph.number_of_edges() - leaving, "between-block": leaving}


@pytest.mark.parametrize(("block", "inside", "between"), [(1, 0, 4), (2, 4, 0)])
def test_two_nodes_have_no_way_around(block: int, inside: int, between: int) -> None:
    """The four cables of 2 x 2 nodes are all inside of one block, or all between four."""
    fields = {"kind": "torus", "dims": (2, 2), "link_bandwidth": "50 GB/s", "block": block}
    links = torus_links(Torus.model_validate(fields))
    assert links == {"in-block": inside, "between-block": between}


def test_oversubscription_saves(catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """4:1 above the pod costs less than 2:1, and that less than 1:1."""
    costs = []
    for name in ("ndr_fat_tree_1to1", "ndr_fat_tree_2to1", "ndr_fat_tree_4to1"):
        topology = load_topology(name)
        fabric = build_fabric(topology, load_gpu("h100"))
        costs.append(bill_of_materials(topology, fabric, 50e9, parts(catalog)).cost)
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 3


@pytest.mark.parametrize(
    ("name", "size", "parts"),
    [
        ("hgx_h100_1k", None, 1),
        ("hgx_h100_4k", None, 1),
        ("torus_3d", None, 1),
        ("custom_64", None, 1),
        ("alibaba_hpn_15k", 2048, 1),
        ("multi_plane_16k", 2048, 8),
        ("dragonfly_slingshot", 64, 1),
        ("dragonfly_slingshot", 1024, 1),
    ],
)
def test_full_graph_has_every_gpu_and_switch(
    name: str, size: int | None, parts: int, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """One node per GPU and switch, as many cables as the fabric counts, connected as far as switches go."""
    topology = load_topology(name)
    gpu = load_gpu(topology.gpu)
    fabric, graph = build_fabric(topology, gpu, size), full_graph(topology, gpu, size)
    gpus = sum(fields.get("gpus", 0) for _, fields in graph.nodes(data=True) if fields["kind"] == "host")
    switches = sum(kind == "switch" for _, kind in graph.nodes(data="kind"))
    assert (gpus, switches) == (fabric.gpus, sum(fabric.switches.values()))
    assert sum(links for *_, links in graph.edges(data="links")) == sum(fabric.links.values())
    assert nx.number_connected_components(graph) == parts


def out_of_leaves(graph: nx.Graph) -> dict[str, float]:
    """Return the bandwidth of all cables from each leaf switch up. [B/s]"""
    found: dict[str, float] = {}
    for one, two, fields in graph.edges(data=True):
        leaf, other = sorted((one, two), key=lambda name: not name.startswith("leaf"))
        if other.startswith("spine"):
            found[leaf] = found.get(leaf, 0.0) + fields["bandwidth"] * fields["links"]
    return found


def test_dual_port_nics_are_split_over_planes(
    catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Alibaba HPN by hand: two cables of 200G per GPU; 16 ToRs of 128 ports down and 60 of 400G up; 48 TB/s."""
    topology, gpu = load_topology("alibaba_hpn_15k"), load_gpu("h800")
    graph, fabric = full_graph(topology, gpu, 2048), build_fabric(topology, gpu, 2048)
    assert {graph.degree(f"gpu{index}") for index in range(2048)} == {2}
    assert {fields["bandwidth"] for *_, fields in graph.edges("gpu0", data=True)} == {25e9}
    uplinks = out_of_leaves(graph)
    assert len(uplinks) == 2 * 16
    assert set(uplinks.values()) == {60 * 50e9}
    leaf = next(iter(uplinks))
    assert sum(other.startswith("gpu") for other in graph[leaf]) == 128
    assert fabric.links == {"host": 2 * 2048, "leaf-spine": 2 * 16 * 60}
    assert fabric.bisection_bandwidth == pytest.approx(16 * 60 * 50e9)
    quotient = quotient_graph(topology, gpu, 2048)
    assert quotient.edges[("leaf", 0), ("spine", 0)]["bandwidth"] == pytest.approx(16 * 60 * 50e9)
    prices = parts(catalog)
    bill = {item.name: item for item in bill_of_materials(topology, fabric, 50e9, prices).items}
    slow = next(one for one in prices.rates if one.rate == 25e9)
    assert bill["host optics"].count == 2 * 2 * 2048
    assert bill["host optics"].cost == pytest.approx(2 * 2 * 2048 * slow.optic_price)


def test_exported_planes_come_back_with_their_uplinks(
    tmp_path: Path, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Two segments of Alibaba HPN as a list of cables: 48 TB/s and 1.067:1, as drawn."""
    topology, gpu = load_topology("alibaba_hpn_15k"), load_gpu("h800")
    file = tmp_path / "hpn.graphml"
    write_graphml(full_graph(topology, gpu, 2048), file)
    cables = Custom(kind="custom", file=file.name, text=file.read_text(encoding="utf-8"))
    back = build_fabric(topology.model_copy(update={"fabric": cables, "gpus": 2048}), gpu)
    assert back.bisection_bandwidth == pytest.approx(48e12)
    assert back.injection_bandwidth / back.levels[-1].bandwidth == pytest.approx(16 / 15)


def test_planes_of_one_nic_each_are_apart(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """DeepSeek's planes (arXiv:2505.09343) by hand: a cable per GPU; 32 NICs of 32 nodes and 32 uplinks a leaf."""
    topology, gpu = load_topology("multi_plane_16k"), load_gpu("h800")
    graph, fabric = full_graph(topology, gpu, 512), build_fabric(topology, gpu, 512)
    assert {graph.degree(f"gpu{index}") for index in range(512)} == {1}
    uplinks = out_of_leaves(graph)
    assert len(uplinks) == 2 * 8
    assert set(uplinks.values()) == {32 * 50e9}
    (leaf,) = graph["gpu3"]
    assert sorted(int(other[3:]) for other in graph[leaf] if other.startswith("gpu")) == list(
        range(3, 256, 8)
    )
    assert fabric.links == {"host": 512, "leaf-spine": 512}
    quotient = quotient_graph(topology, gpu, 512)
    assert quotient.edges[("leaf", 0), ("spine", 0)]["bandwidth"] == pytest.approx(8 * 32 * 50e9)


def test_spines_share_the_cables_of_a_pod(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """32 leaf switches of 32 uplinks on 20 spines: 51 or 52 ports down each, where taking turns anew gave 64."""
    topology = load_topology("ndr_fat_tree_4to1")
    graph = full_graph(topology, load_gpu("h100"), 2048)
    down = {
        sum(graph.edges[node, other]["links"] for other in graph[node] if other.startswith("leaf"))
        for node in graph
        if node.startswith("spine")
    }
    assert down == {51, 52}


RATES = """from,to,bandwidth,links
host0,leaf0,400 Gbit/s,8
host1,leaf1,400 Gbit/s,8
leaf0,spine0,800 Gbit/s,40
leaf1,spine0,800 Gbit/s,40
"""


def test_listed_cables_are_priced_at_their_own_rate(
    catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """80 cables of 800G and 16 of 400G; 64 ports per switch unless it has more cables (80), at its fastest rate."""
    spec = Custom(kind="custom", file="net.csv", text=RATES)
    topology = load_topology("custom_64").model_copy(update={"fabric": spec, "gpus": 16})
    prices = parts(catalog)
    bill = bill_of_materials(topology, build_fabric(topology, load_gpu("h100")), 50e9, prices)
    fast, slow = (next(one for one in prices.rates if one.rate == rate) for rate in (100e9, 50e9))
    costs = {item.name: item.cost for item in bill.items}
    assert costs["switch-to-switch optics"] == pytest.approx(2 * 80 * fast.optic_price)
    assert costs["host optics"] == pytest.approx(2 * 16 * slow.optic_price)
    assert costs["all switches"] == pytest.approx((64 + 64 + 80) * fast.switch_port_price)
    assert ["64" in note for note in bill.notes] == [True]


def test_money_is_told_in_words_from_a_million_on() -> None:
    """Three digits, and the word that people say."""
    told = [format_usd(amount) for amount in (6_232.4, 628e6, 1.8725e9, -901e6)]
    assert told == ["6,232 USD", "628 million USD", "1.87 billion USD", "-901 million USD"]
