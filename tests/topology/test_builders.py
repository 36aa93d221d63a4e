"""Built fabrics against published switch counts, closed forms and clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from colossus_sim.errors import ScenarioError
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.builders import BUILDERS, build_fabric, topology_problems
from colossus_sim.topology.quotient import quotient_graph

LoadTopology = Callable[[str], Topology]
LoadGpu = Callable[[str], Gpu]

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "topologies").glob("*.yaml"))


def make(gpus: int, fabric: dict[str, Any], **fields: Any) -> Topology:
    """Return a topology for tests."""
    provenance = {"kind": "assumption", "reference": "test", "checked": "2026-08"}
    values = {"title": "test", "gpu": "h100", "gpus": gpus, "fabric": fabric, "provenance": provenance}
    return Topology.model_validate(values | {"link_efficiency": 1.0, "nic_bandwidth": "400 Gbit/s"} | fields)


def clos(*tiers: tuple[str, int, float], radix: int = 64, **fields: Any) -> dict[str, Any]:
    """Return a Clos network of (name, group_gpus, oversubscription)."""
    rows = [{"name": name, "group_gpus": group, "oversubscription": over} for name, group, over in tiers]
    return {"kind": "clos", "switch_radix": radix, "tiers": rows, **fields}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_topology_builds_at_its_size(
    name: str, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Each file has a source, builds without a problem, reaches all GPUs, and levels nest."""
    topology = load_topology(name)
    fabric = build_fabric(topology, load_gpu(topology.gpu))
    assert len(topology.provenance.reference) > 30
    assert fabric.gpus == topology.gpus
    assert fabric.levels[-1].group_gpus >= fabric.gpus
    assert fabric.levels[0].group_gpus == fabric.gpus_per_domain
    for below, above in zip(fabric.levels, fabric.levels[1:], strict=False):
        assert above.group_gpus % below.group_gpus == 0
        assert above.group_gpus > below.group_gpus
        assert above.bandwidth <= below.bandwidth
        assert above.latency > below.latency
        assert above.bandwidth <= fabric.injection_bandwidth
    assert fabric.bisection_bandwidth > 0
    assert fabric.diameter > 0
    if topology.gpus < 60_000:
        graph = quotient_graph(topology, load_gpu(topology.gpu))
        assert nx.is_connected(graph)


PUBLISHED = {
    "hgx_h100_1k": {"leaf": 32, "spine": 16},
    "hgx_h100_4k": {"leaf": 128, "spine": 128, "core": 64},
    "multi_plane_16k": {"leaf": 512, "spine": 256},
    "dragonfly_slingshot": {"router": 74 * 32},
}
"""DGX SuperPOD H100 (4 scalable units); NVIDIA 512-server reference; arXiv:2505.09343 table 3 (768 in all);
Frontier's compute groups."""


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_switch_counts_are_those_published(name: str, load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """The bill of switches equals the published one."""
    topology = load_topology(name)
    assert build_fabric(topology, load_gpu(topology.gpu)).switches == PUBLISHED[name]


@pytest.mark.parametrize("radix", [8, 16, 32, 64])
def test_fat_tree_of_radix_k(radix: int, load_gpu: LoadGpu) -> None:
    """A k-ary fat tree has k^3/4 hosts, k^2/2 leaf, k^2/2 spine, k^2/4 core switches (Al-Fares et al. 2008)."""
    hosts = radix**3 // 4
    topology = make(
        hosts,
        clos(("leaf", radix // 2, 1), ("spine", radix**2 // 4, 1), ("core", 0, 1), radix=radix),
    )
    gpu = load_gpu("h100").model_copy(update={"scale_up_domain": radix // 2})
    fabric = build_fabric(topology, gpu)
    assert fabric.switches == {"leaf": radix**2 // 2, "spine": radix**2 // 2, "core": radix**2 // 4}
    assert fabric.links == {"host": hosts, "leaf-spine": hosts, "spine-core": hosts}
    assert fabric.bisection_bandwidth == hosts / 2 * 50e9
    assert fabric.diameter == 5


def test_three_tier_fat_tree_of_deepseek_cost_table(load_gpu: LoadGpu) -> None:
    """65,536 endpoints need 5,120 switches of 64 ports on three tiers, 2,048 need 96 on two."""
    gpu = load_gpu("h100")
    three = make(65536, clos(("leaf", 32, 1), ("spine", 1024, 1), ("core", 0, 1)))
    two = make(2048, clos(("leaf", 32, 1), ("spine", 0, 1)))
    assert sum(build_fabric(three, gpu).switches.values()) == 5120
    assert sum(build_fabric(two, gpu).switches.values()) == 96


def test_dragonfly_of_deepseek_cost_table(load_gpu: LoadGpu) -> None:
    """261,632 endpoints need 16,352 routers of 64 ports (p 16, a 32, h 16), and are balanced."""
    fabric = build_fabric(make(261632, dragonfly(16, 32, 16)), load_gpu("h100"))
    assert fabric.switches == {"router": 16352}
    assert fabric.levels[-1].bandwidth == 50e9


def dragonfly(p: int, a: int, h: int, radix: int = 64) -> dict[str, Any]:
    """Return a dragonfly with 400 Gbit/s links."""
    return {
        "kind": "dragonfly",
        "endpoints_per_router": p,
        "routers_per_group": a,
        "global_links_per_router": h,
        "local_link_bandwidth": "400 Gbit/s",
        "global_link_bandwidth": "400 Gbit/s",
        "switch_radix": radix,
    }


def test_dragonfly_tapers_with_its_global_links(load_gpu: LoadGpu) -> None:
    """Half the global links halve what each GPU gets between groups, and nothing inside them."""
    fabric = build_fabric(make(37888, dragonfly(16, 32, 8)), load_gpu("h100"))
    assert [level.name for level in fabric.levels] == ["scale_up", "router", "group", "global"]
    assert fabric.bandwidths[2:] == (50e9, 25e9)
    assert fabric.links["global"] == 74 * 32 * 8 // 2
    assert fabric.links["local"] == 74 * 32 * 31 // 2


@pytest.mark.parametrize("over", [1.0, 2.0, 4.0])
def test_oversubscription_divides_the_level_above(over: float, load_gpu: LoadGpu) -> None:
    """An r:1 spine leaves the pods as they are and gives 1/r above, in bandwidth, links and bisection."""
    topology = make(16384, clos(("leaf", 256, 1), ("spine", 1024, over), ("core", 0, 1), rails=8))
    fabric = build_fabric(topology, load_gpu("h100"))
    assert fabric.bandwidths[1:] == (50e9, 50e9, 50e9 / over)
    assert fabric.links["spine-core"] == 16384 / over
    assert fabric.bisection_bandwidth == 8192 * 50e9 / over


def test_overbuilt_uplinks_do_not_exceed_the_nic(load_gpu: LoadGpu) -> None:
    """More uplinks than NICs help against the next tier's oversubscription, but no GPU sends faster."""
    topology = make(16384, clos(("leaf", 128, 0.5), ("spine", 2048, 4), ("core", 0, 1), radix=192, rails=8))
    assert build_fabric(topology, load_gpu("h100")).bandwidths[1:] == (50e9, 50e9, 25e9)


def test_rail_only_needs_a_tier_less(load_gpu: LoadGpu) -> None:
    """Separate rails of 2,048 endpoints fit two tiers of radix 128, joined rails do not."""
    tiers = (("leaf", 512, 1.0), ("spine", 0, 1.0))
    gpu = load_gpu("h100")
    apart = build_fabric(make(16384, clos(*tiers, radix=128, rails=8, rail_only=True)), gpu)
    assert apart.switches == {"leaf": 256, "spine": 128}
    (problem,) = topology_problems(make(16384, clos(*tiers, radix=128, rails=8)), gpu)
    assert "can join 128 units" in problem
    assert "has 256" in problem


def test_torus_by_hand(load_gpu: LoadGpu) -> None:
    """16 x 16 x 16 with 50 GB/s links: 3 cables per node, 25.6 TB/s over the middle, 24 hops across."""
    torus = {"kind": "torus", "dims": [16, 16, 16], "link_bandwidth": "50 GB/s"}
    fabric = build_fabric(make(4096, torus, gpu="tpu_v4"), load_gpu("tpu_v4"))
    assert fabric.links == {"torus": 3 * 4096}
    assert fabric.bisection_bandwidth == 2 * 256 * 50e9
    assert fabric.diameter == 24
    assert fabric.levels[0].bandwidth == 8 * 50e9 / 16
    assert fabric.levels[0].ring_bandwidth == 150e9


def test_torus_of_nodes(load_gpu: LoadGpu) -> None:
    """With eight GPUs at each node they share its links, and the diameter equals the graph's."""
    torus = {"kind": "torus", "dims": [4, 3, 2], "link_bandwidth": "50 GB/s"}
    topology = make(192, torus)
    fabric = build_fabric(topology, load_gpu("h100"))
    assert fabric.levels[1].ring_bandwidth == 5 * 50e9 / 8
    graph = quotient_graph(topology, load_gpu("h100"))
    assert nx.diameter(graph) == fabric.diameter == 4
    assert graph.number_of_edges() == fabric.links["torus"]


def test_quotient_graph_of_a_fat_tree(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """The graph of groups has the fabric's links, all GPUs, and the bisection between its pods."""
    topology = load_topology("ndr_fat_tree_4to1")
    fabric = build_fabric(topology, load_gpu("h100"))
    graph = quotient_graph(topology, load_gpu("h100"))
    assert sum(data["gpus"] for _, data in graph.nodes(data=True)) == fabric.gpus
    links = sum(data["links"] for _, _, data in graph.edges(data=True))
    assert links == fabric.links["leaf-spine"] + fabric.links["spine-core"]
    top = sum(graph.edges[edge]["bandwidth"] for edge in graph.edges(("core", 0)))
    assert top == 2 * fabric.bisection_bandwidth


def test_levels_above_the_last_gpu_are_left_out(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """A partition that fits into one pod has no core level; one node has only its scale-up domain."""
    topology, gpu = load_topology("colossus_1_100k"), load_gpu("h100")
    assert [level.name for level in build_fabric(topology, gpu, 2048).levels] == ["scale_up", "leaf", "spine"]
    assert [level.name for level in build_fabric(topology, gpu, 8).levels] == ["scale_up"]


def test_other_domains_round_groups_down(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """NVL72 racks on a network drawn for 512-GPU arrays: seven racks per array."""
    fabric = build_fabric(load_topology("colossus_1_100k"), load_gpu("h100"), 50_000)
    assert fabric.levels[1].group_gpus == 512
    topology = load_topology("rail_optimised_16k")
    racks = build_fabric(topology, load_gpu("gb200_nvl72"), 14_400)
    assert racks.levels[1].group_gpus == 504


REFUSED = {
    "radix": (make(1024, clos(("leaf", 512, 1), ("spine", 0, 1), rails=8)), "64 ports down and 64 up = 128"),
    "reach": (make(8192, clos(("leaf", 256, 1), ("spine", 0, 1), rails=8)), "can join 64 units"),
    "last tier": (make(4096, clos(("leaf", 256, 1), ("spine", 1024, 1), rails=8)), "cannot reach all 4096"),
    "rails": (make(1024, clos(("leaf", 256, 1), ("spine", 0, 1), rails=3)), "divisors are 1, 2, 4, 8"),
    "order": (
        make(1024, clos(("leaf", 256, 1), ("spine", 128, 1), ("core", 0, 1), rails=8)),
        "must be larger",
    ),
    "inner all": (make(1024, clos(("leaf", 0, 1), ("spine", 0, 1), rails=8)), "no tier above"),
    "small": (make(1024, clos(("leaf", 4, 1), ("spine", 0, 1), rails=8)), "smaller than a scale-up domain"),
    "top": (make(1024, clos(("leaf", 256, 1), ("spine", 0, 2), rails=8)), "nothing is above"),
    "router": (make(1024, dragonfly(16, 32, 18)), "16 ports to GPUs + 31 inside its group + 18 global = 65"),
    "groups": (make(262657, dragonfly(16, 32, 16)), "at most 262656 GPUs"),
    "domains": (make(100, dragonfly(5, 5, 5)), "no whole number of scale-up domains"),
    "zero": (make(100, dragonfly(0, 5, 5)), "at least 1"),
    "torus": (
        make(9000, {"kind": "torus", "dims": [4, 4], "link_bandwidth": "50 GB/s"}),
        "holds 16 GPUs, or 128 with",
    ),
    "flat torus": (
        make(9, {"kind": "torus", "dims": [4, 0], "link_bandwidth": "50 GB/s"}),
        "at least 1 node",
    ),
    "dead torus": (make(9, {"kind": "torus", "dims": [4, 4], "link_bandwidth": "0 GB/s"}), "above 0"),
    "no gpus": (make(0, clos(("leaf", 0, 1))), "at least 1 GPU"),
    "no nic": (make(64, clos(("leaf", 0, 1)), nic_bandwidth="0 Gbit/s"), "above 0"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_networks_that_cannot_be_built_are_refused(case: str, load_gpu: LoadGpu) -> None:
    """Radix, reach, rails and sizes that do not fit are errors with the numbers in them."""
    topology, words = REFUSED[case]
    with pytest.raises(ScenarioError, match="topology 'test'") as caught:
        build_fabric(topology, load_gpu("h100"))
    assert words in str(caught.value)


def test_every_builder_has_a_shipped_topology(load_topology: LoadTopology) -> None:
    """Each kind of network is exercised by at least one file."""
    assert {load_topology(name).fabric.kind for name in SHIPPED} == set(BUILDERS)


SUPERPOD = {
    2: ({"leaf": 16, "spine": 8}, {"leaf-spine": 512}),
    4: ({"leaf": 32, "spine": 16}, {"leaf-spine": 1024}),
    8: ({"leaf": 64, "spine": 32}, {"leaf-spine": 2048}),
    16: ({"leaf": 128, "spine": 128, "core": 64}, {"leaf-spine": 4096, "spine-core": 4096}),
    32: ({"leaf": 256, "spine": 256, "core": 128}, {"leaf-spine": 8192, "spine-core": 8192}),
    64: ({"leaf": 512, "spine": 512, "core": 256}, {"leaf-spine": 16384, "spine-core": 16384}),
}
"""Switches and cables by scalable units of 32 nodes: NVIDIA DGX SuperPOD B200 reference architecture; four
units also in that of H100 (RA-11333, table 4), which differs at one unit, where four spines join the rails (here a
single leaf group needs no tier above it), and at three, with 16 spines where 12 have the ports."""


@pytest.mark.parametrize("units", sorted(SUPERPOD))
def test_superpod_has_the_published_switches_and_cables(
    units: int, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """From 512 to 16,384 GPUs the shipped two- and three-tier networks have NVIDIA's counts, tier by tier."""
    topology = load_topology("hgx_h100_1k" if units <= 8 else "hgx_h100_4k")
    fabric = build_fabric(topology, load_gpu(topology.gpu), 256 * units)
    switches, cables = SUPERPOD[units]
    assert fabric.switches == switches
    assert fabric.links == {"host": 256 * units, **cables}


@pytest.mark.parametrize(("name", "pods"), [("hgx_h100_16k", 16384 / 3072), ("hgx_h100_24k", 8.0)])
def test_meta_has_192_racks_to_a_pod(
    name: str, pods: float, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Llama 3 (arXiv:2407.21783, 3.3.1): a ToR per rack of 16, 192 racks to a pod, 1:7 above; 24K = 8 pods."""
    topology = load_topology(name)
    fabric = build_fabric(topology, load_gpu(topology.gpu))
    assert fabric.switches["leaf"] == 192 * pods
    assert [level.group_gpus for level in fabric.levels][1:3] == [16, 3072]
    inside, above = fabric.levels[2].bandwidth, fabric.levels[3].bandwidth
    assert inside == fabric.injection_bandwidth
    assert inside / above == pytest.approx(7 / 1.125)


@pytest.mark.parametrize("name", ["colossus_1_100k", "colossus_1_200k"])
def test_colossus_has_racks_of_64_in_arrays_of_512(
    name: str, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Of Colossus, arrays of 512 GPUs (ServeTheHome, 2024-10) and three tiers are public."""
    topology = load_topology(name)
    fabric = build_fabric(topology, load_gpu(topology.gpu))
    assert [level.group_gpus for level in fabric.levels][1] == 512
    assert fabric.switches["leaf"] == 8 * -(-fabric.gpus // 512)
    assert list(fabric.switches) == ["leaf", "spine", "core"]
