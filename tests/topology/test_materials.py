"""Bill of materials and full graphs against counts by hand."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import pytest

from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.listing import validated_entry
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.parts import Parts
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.full import full_graph
from colossus_sim.topology.materials import bill_of_materials
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


def test_oversubscription_saves(catalog: Catalog, load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """4:1 above the pod costs less than 2:1, and that less than 1:1."""
    costs = []
    for name in ("ndr_fat_tree_1to1", "ndr_fat_tree_2to1", "ndr_fat_tree_4to1"):
        topology = load_topology(name)
        fabric = build_fabric(topology, load_gpu("h100"))
        costs.append(bill_of_materials(topology, fabric, 50e9, parts(catalog)).cost)
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 3


@pytest.mark.parametrize("name", ["hgx_h100_1k", "hgx_h100_4k", "torus_3d", "custom_64"])
def test_full_graph_has_every_gpu_and_switch(
    name: str, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """One node per GPU and switch, as many cables as the fabric counts, all of it connected."""
    topology = load_topology(name)
    gpu = load_gpu(topology.gpu)
    fabric, graph = build_fabric(topology, gpu), full_graph(topology, gpu)
    gpus = sum(fields.get("gpus", 0) for _, fields in graph.nodes(data=True) if fields["kind"] == "host")
    switches = sum(kind == "switch" for _, kind in graph.nodes(data="kind"))
    assert (gpus, switches) == (fabric.gpus, sum(fabric.switches.values()))
    assert sum(links for *_, links in graph.edges(data="links")) == sum(fabric.links.values())
    assert nx.is_connected(graph)


def test_money_is_told_in_words_from_a_million_on() -> None:
    """Three digits, and the word that people say."""
    told = [format_usd(amount) for amount in (6_232.4, 628e6, 1.8725e9, -901e6)]
    assert told == ["6,232 USD", "628 million USD", "1.87 billion USD", "-901 million USD"]
