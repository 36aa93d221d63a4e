"""Every shipped network, exported and read back: the same GPUs, rates, cut and tiers, or a clear refusal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Custom, Topology, Torus
from colossus_sim.topology.builders import build_fabric, topology_problems
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.full import full_graph, write_graphml
from tests.topology.test_builders import clos, make

LoadGpu = Callable[[str], Gpu]
LoadTopology = Callable[[str], Topology]

SHIPPED = sorted(file.stem for file in (Path(__file__).parents[2] / "topologies").glob("*.yaml"))
DIRECT = {"torus_3d", "tpu_v5p_pod"}
"""The scale-up domain is the network."""
LARGEST = 4096
"""GPUs of the networks that are read back; the path computations grow with their square."""


def few(fabric: Fabric) -> int:
    """Return the GPUs of two groups of the largest level that allows it, or all if they are few."""
    sizes = [2 * level.group_gpus for level in fabric.levels[:-1]]
    return fabric.gpus if fabric.gpus <= LARGEST else max(size for size in sizes if size <= LARGEST)


def read_back(topology: Topology, gpu: Gpu, gpus: int, folder: Path) -> Topology:
    """Return the exported network as a list of cables."""
    file = folder / "net.graphml"
    write_graphml(full_graph(topology, gpu, gpus), file)
    cables = Custom(kind="custom", file=file.name, text=file.read_text(encoding="utf-8"))
    return topology.model_copy(update={"fabric": cables, "gpus": gpus, "routing": "adaptive"})


def uniform(fabric: Fabric) -> float:
    """Return what a GPU gets when it sends to all GPUs of other leaves: a tier carries its part. [B/s]"""
    whole, levels = fabric.gpus, fabric.levels
    parts = [
        upper.bandwidth * (whole - levels[1].group_gpus) / (whole - lower.group_gpus)
        for lower, upper in pairwise(levels[1:])
    ]
    return min([fabric.injection_bandwidth, *parts])


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in DIRECT])
def test_a_shipped_network_comes_back(
    name: str, tmp_path: Path, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """GPUs, domain, leaf, injection, cut and what all GPUs can send to all are those of the parameters.

    What is above the leaf comes back as one level. A tier whose cables do not divide over the switches above is up
    to a tenth slower with whole cables.
    """
    topology = load_topology(name)
    gpu = load_gpu(topology.gpu)
    size = few(build_fabric(topology, gpu))
    fabric = build_fabric(topology, gpu, size)
    back = build_fabric(read_back(topology, gpu, size, tmp_path), gpu)
    assert (back.gpus, back.gpus_per_domain) == (fabric.gpus, fabric.gpus_per_domain)
    assert back.injection_bandwidth == pytest.approx(fabric.injection_bandwidth)
    assert back.bisection_bandwidth == pytest.approx(fabric.bisection_bandwidth, rel=1e-3)
    assert sum(back.links.values()) == sum(fabric.links.values())
    assert [level.name for level in back.levels[1:]] == ["leaf", "network"][-len(back.levels) + 1 :]
    assert len(back.levels) == min(3, len(fabric.levels)) or fabric.levels[1].name == "spine"
    for mine, own in zip(back.levels[:-1], fabric.levels, strict=False):
        assert (mine.group_gpus, mine.bandwidth) == (own.group_gpus, pytest.approx(own.bandwidth))
    assert 0.9 * uniform(fabric) <= back.levels[-1].bandwidth <= 1.0001 * uniform(fabric)


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_a_network_that_is_the_domain_is_refused(
    name: str, tmp_path: Path, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Where the scale-up domain has all GPUs no cable would count: a torus is written by its dimensions."""
    topology = load_topology(name)
    gpu = load_gpu(topology.gpu)
    (problem,) = topology_problems(read_back(topology, gpu, topology.gpus, tmp_path), gpu)
    assert "no cable of the file would count" in problem
    assert "kind: torus" in problem


def test_a_torus_of_nodes_comes_back(tmp_path: Path, load_gpu: LoadGpu, load_topology: LoadTopology) -> None:
    """8 x 4 x 4 nodes of 8 H100: all cables, 1.6 TB/s over the middle, the same rate up to the GPU's own share."""
    drawn = {"kind": "torus", "dims": [8, 4, 4], "link_bandwidth": "50 GB/s"}
    torus = Torus.model_validate(drawn)
    topology = load_topology("hgx_h100_1k").model_copy(update={"fabric": torus, "gpus": 1024})
    gpu = load_gpu("h100")
    fabric = build_fabric(topology, gpu)
    back = build_fabric(read_back(topology, gpu, 1024, tmp_path), gpu)
    assert back.bisection_bandwidth == fabric.bisection_bandwidth == 2 * 16 * 50e9
    assert back.injection_bandwidth == pytest.approx(fabric.injection_bandwidth)
    assert back.levels[-1].bandwidth == pytest.approx(fabric.levels[-1].bandwidth, rel=1e-2)


@pytest.mark.parametrize("gpus", [16, 40, 48, 72, 80, 112, 144, 512, 1024])
def test_cut_of_a_dragonfly_is_that_of_its_cables(
    gpus: int, tmp_path: Path, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Odd numbers of routers, and partly filled ones, are cut where maximum flows find the least.

    Three routers of 16 GPUs at one cable of the NIC's rate each: the middle one's GPUs are divided, so that two
    cables and eight NICs are cut.
    """
    topology = load_topology("dragonfly_slingshot")
    gpu = load_gpu("h100")
    fabric = build_fabric(topology, gpu, gpus)
    back = build_fabric(read_back(topology, gpu, gpus, tmp_path), gpu)
    assert back.bisection_bandwidth == pytest.approx(fabric.bisection_bandwidth)
    if gpus == 48:
        assert fabric.bisection_bandwidth == (2 + 8) * 25e9


def test_an_odd_number_of_gpus_is_cut_on_the_better_side(
    load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """17 GPUs on two routers of 16: the halves are 8 and 9, one cable to the single GPU and 7 or 8 NICs."""
    fabric = build_fabric(load_topology("dragonfly_slingshot"), load_gpu("h100"), 17)
    assert fabric.bisection_bandwidth == 8 * 25e9


def test_a_rail_with_part_of_a_domain_is_refused(
    tmp_path: Path, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Hosts are alike in a list of cables: half a domain is told, not taken for a whole one."""
    topology, gpu = load_topology("rail_only_16k"), load_gpu("h100")
    problems = topology_problems(read_back(topology, gpu, 1020, tmp_path), gpu)
    assert problems == ["net.graphml: hosts have different numbers of GPUs (4, 8)"]


@pytest.mark.parametrize(
    ("leaf", "asked", "got"),
    [(16, 8.0, 2.0), (64, 3.0, 8 / 3), (64, 4.0, 4.0), (64, 1.5, 8 / 6), (64, 0.6, 8 / 14)],
)
def test_leaf_switches_have_whole_ports(
    leaf: int, asked: float, got: float, tmp_path: Path, load_gpu: LoadGpu
) -> None:
    """Two GPUs on each leaf switch share no less than one port up, eight share 3 of 2.7: as priced and exported."""
    gpu = load_gpu("h100")
    topology = make(512, clos(("leaf", leaf, asked), ("spine", 0, 1), radix=256, rails=8))
    fabric = build_fabric(topology, gpu)
    assert fabric.links["leaf-spine"] == round(512 / got)
    assert fabric.levels[-1].bandwidth == pytest.approx(min(50e9, 50e9 / got))
    assert fabric.bisection_bandwidth == pytest.approx(256 * min(50e9, 50e9 / got))
    back = build_fabric(read_back(topology, gpu, 512, tmp_path), gpu)
    assert back.bisection_bandwidth == pytest.approx(fabric.bisection_bandwidth)
    assert back.levels[-1].bandwidth == pytest.approx(fabric.levels[-1].bandwidth, rel=0.05)


def test_a_thinner_tier_is_never_faster(load_gpu: LoadGpu) -> None:
    """Along the ratio from 1:1 to 16:1 cables and bandwidth only fall, in leaves of 8 ports and of 256."""
    gpu = load_gpu("h100")
    for leaf in (64, 2048):
        found = [
            build_fabric(
                make(8192, clos(("leaf", leaf, 1 + step / 100), ("spine", 0, 1), radix=1024, rails=8)), gpu
            )
            for step in range(1500)
        ]
        rates = [fabric.levels[-1].bandwidth for fabric in found]
        cables = [fabric.links["leaf-spine"] for fabric in found]
        assert rates == sorted(rates, reverse=True)
        assert cables == sorted(cables, reverse=True)
        for rate, count in zip(rates, cables, strict=True):
            assert rate == pytest.approx(50e9 * count / 8192, rel=0.011)


def test_pods_with_a_spine_per_rail_have_the_cables_of_whole_rails(load_gpu: LoadGpu) -> None:
    """128 ports down at 3:1 are 42.7: 6 in each of 8 rails, and all of them are in the export."""
    gpu = load_gpu("h100")
    fabric = clos(("leaf", 64, 1), ("spine", 128, 3), ("core", 0, 1), rails=8)
    fabric["tiers"][1]["per_rail"] = fabric["tiers"][2]["per_rail"] = True
    topology = make(512, fabric)
    built = build_fabric(topology, gpu)
    assert built.links["spine-core"] == 4 * 6 * 8
    assert built.levels[-1].bandwidth == pytest.approx(50e9 * 48 / 128)
    graph = full_graph(topology, gpu)
    assert sum(links for *_, links in graph.edges(data="links")) == sum(built.links.values())
