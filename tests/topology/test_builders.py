"""Built fabrics against published switch counts, closed forms and clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from colossus_sim.errors import ScenarioError
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Clos, Topology
from colossus_sim.topology.builders import BUILDERS, build_fabric, topology_problems
from colossus_sim.topology.clos import tier_plans
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.full import full_graph
from colossus_sim.topology.lost_parts import lost_part
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
    "ndr_fat_tree_1to1": {"leaf": 512, "spine": 512, "core": 256},
    "dgx_gb200_superpod": {"leaf": 512, "spine": 384, "core": 144},
    "dgx_b300_superpod": {"leaf": 64, "spine": 36},
    "alibaba_hpn_15k": {"leaf": 15 * 16, "spine": 2 * 60},
    "multi_plane_16k": {"leaf": 512, "spine": 256},
    "dragonfly_slingshot": {"router": 74 * 32},
}
"""DGX SuperPOD H100 (4 scalable units); NVIDIA 512-server reference; DGX SuperPOD B200 (64 units of the same
leaf groups); DGX SuperPOD GB200 (16 units) and B300 with XDR (8 units); Alibaba HPN's pod; arXiv:2505.09343 table 3
(768 in all); Frontier's compute groups."""

COUNTED = {
    "ndr_fat_tree_2to1": {"leaf": 512, "spine": 384, "core": 128},
    "ndr_fat_tree_4to1": {"leaf": 512, "spine": 320, "core": 64},
    "xdr_fat_tree_1to1": {"leaf": 288, "spine": 288, "core": 144},
    "xdr_fat_tree_2to1": {"leaf": 288, "spine": 216, "core": 72},
    "xdr_fat_tree_4to1": {"leaf": 288, "spine": 180, "core": 36},
    "rail_only_16k": {"leaf": 256, "spine": 128},
    "rail_optimised_16k": {"leaf": 256, "spine": 256, "core": 128},
    "hgx_h100_16k": {"leaf": 1024, "spine": 42, "core": 6},
    "hgx_h100_24k": {"leaf": 1536, "spine": 56, "core": 7},
    "colossus_1_100k": {"leaf": 1568, "spine": 1600, "core": 800},
    "colossus_1_200k": {"leaf": 3128, "spine": 3136, "core": 1568},
    "colossus_2": {"leaf": 4689, "spine": 4725, "core": 2363},
    "colossus_2_110k": {"leaf": 1719, "spine": 1764, "core": 882},
    "colossus_2_550k": {"leaf": 8595, "spine": 6527, "core": 2167},
    "custom_64": {"all": 4},
    "torus_3d": {},
    "tpu_v5p_pod": {},
}
"""Nothing published at that size: ports by hand, e.g. leaf N / (radix / 2), spine (1 + 1 / r) N / radix and core
N / r / radix for r:1 above the pod. Of Meta's clusters only the ToRs are public, of Colossus none."""


@pytest.mark.parametrize("name", SHIPPED)
def test_switch_counts_are_those_published_or_counted_by_hand(
    name: str, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Every shipped network has, at its real size, the switches of its source, or of its ports where none says."""
    topology = load_topology(name)
    assert build_fabric(topology, load_gpu(topology.gpu)).switches == (PUBLISHED | COUNTED)[name]


GB200_UNITS = {
    1: {"leaf": 32, "spine": 24},
    2: {"leaf": 64, "spine": 48, "core": 18},
    4: {"leaf": 128, "spine": 96, "core": 36},
    8: {"leaf": 256, "spine": 192, "core": 72},
    16: {"leaf": 512, "spine": 384, "core": 144},
}
"""Scalable units of 576 GPUs -> switches: NVIDIA DGX SuperPOD GB200 reference architecture, RA-11338-001."""


@pytest.mark.parametrize("units", sorted(GB200_UNITS))
def test_gb200_superpod_has_the_published_switches(
    units: int, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """A unit has four rails of eight leaf and six spine switches; the core grows with the units."""
    topology, gpu = load_topology("dgx_gb200_superpod"), load_gpu("gb200_nvl72")
    fabric = build_fabric(topology, gpu, 576 * units)
    assert fabric.switches == GB200_UNITS[units]
    graph = full_graph(topology, gpu, 576 * units)
    spines = [node for node in graph if node.startswith("spine")]
    assert len(spines) == 24 * units
    for spine in spines:
        leaves = sorted(node for node in graph[spine] if node.startswith("leaf"))
        assert len({leaf.rpartition("-")[2] for leaf in leaves}) == 1
        assert [graph.edges[spine, leaf]["links"] for leaf in leaves] == [3] * 8


@pytest.mark.parametrize(("units", "spines"), [(2, 8), (4, 18), (8, 36)])
def test_b300_superpod_has_the_published_spines(
    units: int, spines: int, load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """NVIDIA (RA-11339-001, table 3) takes spines that divide the 72 uplinks of a leaf: 18 where 16 would do."""
    topology, gpu = load_topology("dgx_b300_superpod"), load_gpu("b300")
    fabric = build_fabric(with_switches(topology, spines), gpu, 576 * units)
    assert fabric.switches == {"leaf": 8 * units, "spine": spines}
    assert fabric.links == {"host": 576 * units, "leaf-spine": 576 * units}
    graph = full_graph(with_switches(topology, spines), gpu, 576 * units)
    between = {links for one, two, links in graph.edges(data="links") if "gpu" not in one + two}
    assert between == {72 // spines}
    assert len(build_fabric(with_switches(topology, None), gpu, 576 * units).switches) == 2


def test_hpn_uses_every_port_of_its_aggregation_switches(
    load_topology: LoadTopology, load_gpu: LoadGpu
) -> None:
    """Alibaba HPN (doi:10.1145/3651890.3672265): 64 + 60 ports of a ToR, 120 + 8 of an aggregation switch."""
    topology, gpu = load_topology("alibaba_hpn_15k"), load_gpu("h800")
    assert isinstance(topology.fabric, Clos)
    leaf, spine, _ = tier_plans(topology.fabric, Endpoints.of(topology, gpu, 2 * 15360))
    assert (leaf.lower, leaf.ports_up // leaf.switches) == (64, 60)
    assert (spine.ports_down // spine.switches, spine.ports_up // spine.switches) == (120, 8)
    tor = lost_part("switch", "leaf", topology=topology, gpu=gpu, fabric=build_fabric(topology, gpu))
    assert (tor.group_gpus, tor.share) == (1024, 1 / 16)


def with_switches(topology: Topology, count: int | None) -> Topology:
    """Return it with another number of switches on its last tier."""
    fabric = topology.fabric
    assert isinstance(fabric, Clos)
    last = fabric.tiers[-1].model_copy(update={"switches": count})
    tiers = (*fabric.tiers[:-1], last)
    return topology.model_copy(update={"fabric": fabric.model_copy(update={"tiers": tiers})})


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


@pytest.mark.parametrize(
    ("gpus", "routers", "local", "cut", "diameter"),
    [
        (64, 4, 6, 4 * 50e9, 2),
        (80, 5, 10, (6 + 8) * 50e9, 2),
        (16, 1, 0, 8 * 50e9, 1),
        (512, 32, 496, 256 * 50e9, 2),
        (1024, 64, 992, 512 * 50e9, 4),
    ],
)
def test_a_group_has_the_cables_of_its_routers(
    gpus: int, routers: int, local: int, cut: float, diameter: int, load_gpu: LoadGpu
) -> None:
    """r routers alone have r (r - 1) / 2 cables; 2 x 2 of 4 routers are cut at 4 of them; whole groups have all.

    Of 5 routers, 2 x 3 are cut at 6 cables and at the NICs of the 8 GPUs that are not in their router's half.
    """
    fabric = build_fabric(make(gpus, dragonfly(16, 32, 16)), load_gpu("h100"))
    assert (fabric.switches["router"], fabric.links["local"]) == (routers, local)
    assert fabric.bisection_bandwidth == pytest.approx(cut)
    assert fabric.diameter == diameter


def test_few_routers_share_few_cables(load_gpu: LoadGpu) -> None:
    """Four routers of 16 GPUs: 3 cables each to the others, 3/16 of a GPU's rate."""
    fabric = build_fabric(make(64, dragonfly(16, 32, 16)), load_gpu("h100"))
    assert fabric.levels[-1].bandwidth == pytest.approx(fabric.injection_bandwidth * 3 / 16)


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


def test_ratios_may_be_written_as_they_are_printed(load_gpu: LoadGpu) -> None:
    """4 and 4:1 are the same oversubscription."""
    rows: list[Any] = [{"name": "leaf", "group_gpus": 256, "oversubscription": "4:1"}]
    fabric = {
        "kind": "clos",
        "switch_radix": 64,
        "rails": 8,
        "tiers": [*rows, {"name": "spine", "group_gpus": 0}],
    }
    assert make(1024, fabric) == make(1024, clos(("leaf", 256, 4), ("spine", 0, 1), rails=8))


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


def test_tpu_v4_has_48_circuit_switches(load_topology: LoadTopology, load_gpu: LoadGpu) -> None:
    """64 cubes on 48 switches, 128 of 136 ports in use (Jouppi et al. 2023, arXiv:2304.01433, section 2)."""
    topology = load_topology("torus_3d")
    assert build_fabric(topology, load_gpu(topology.gpu)).circuit_switches == 48
    assert build_fabric(load_topology("tpu_v5p_pod"), load_gpu("tpu_v5p")).circuit_switches == 0


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


def counted(spines: int, *, leaf: int | None = None, per_rail: bool = False) -> dict[str, Any]:
    """Return a Clos network with a number of spine switches for 1,024 GPUs in leaf groups of 256."""
    spec = clos(("leaf", 256, 1), ("spine", 1024, 1), rails=8)
    spec["tiers"][0]["switches"] = leaf
    spec["tiers"][1].update(switches=spines, per_rail=per_rail)
    return spec


BLOCKS = {"kind": "torus", "dims": [8, 8, 8], "link_bandwidth": "50 GB/s"}

REFUSED = {
    "radix": (make(1024, clos(("leaf", 512, 1), ("spine", 0, 1), rails=8)), "64 ports down and 64 up = 128"),
    "reach": (make(8192, clos(("leaf", 256, 1), ("spine", 0, 1), rails=8)), "can join 64 units"),
    "last tier": (make(4096, clos(("leaf", 256, 1), ("spine", 1024, 1), rails=8)), "cannot reach all 4096"),
    "rails": (make(1024, clos(("leaf", 256, 1), ("spine", 0, 1), rails=3)), "divisors are 1, 2, 4, 8"),
    "twins": (
        make(1024, clos(("leaf", 256, 1), ("leaf", 0, 1), rails=8)),
        "two tiers have the same name, got leaf, leaf",
    ),
    "planes": (
        make(1024, clos(("leaf", 256, 1), ("spine", 0, 1), rails=8, planes=3)),
        "8 rails x 3 planes = 24 switches",
    ),
    "order": (
        make(1024, clos(("leaf", 256, 1), ("spine", 128, 1), ("core", 0, 1), rails=8)),
        "must be larger",
    ),
    "odd group": (
        make(1000, clos(("leaf", 30, 1), ("spine", 0, 1))),
        "whole scale-up domains, so not 30 GPUs; write 24 or 32",
    ),
    "odd pod": (
        make(1000, clos(("leaf", 32, 1), ("spine", 100, 1), ("core", 0, 1))),
        "whole groups of 'leaf', so not 100 GPUs; write 96 or 128",
    ),
    "inner all": (make(1024, clos(("leaf", 0, 1), ("spine", 0, 1), rails=8)), "no tier above"),
    "small": (make(1024, clos(("leaf", 4, 1), ("spine", 0, 1), rails=8)), "smaller than a scale-up domain"),
    "top": (make(1024, clos(("leaf", 256, 1), ("spine", 0, 2), rails=8)), "nothing is above"),
    "few spines": (make(1024, counted(8)), "8 spine switches of 64 ports have 512, but a group of 1024"),
    "few spines of rails": (make(1024, counted(8, per_rail=True)), "at least 16"),
    "spines of rails": (make(1024, counted(20, per_rail=True)), "do not divide over 8 separate rails"),
    "far spines": (
        make(1024, counted(33)),
        "a leaf switch has 32 ports up and cannot reach 33 spine switches",
    ),
    "leaves": (make(1024, counted(16, leaf=4)), "one switch per rail and plane = 8, got 4"),
    "late rails": (
        make(
            4096,
            {
                **counted(16),
                "tiers": [*counted(16)["tiers"], {"name": "core", "group_gpus": 0, "per_rail": True}],
            },
        ),
        "cannot be per_rail, since 'spine' below has joined the rails",
    ),
    "router": (make(1024, dragonfly(16, 32, 18)), "16 ports to GPUs + 31 inside its group + 18 global = 65"),
    "groups": (make(262657, dragonfly(16, 32, 16)), "at most 262656 GPUs"),
    "domains": (make(100, dragonfly(5, 5, 5)), "no whole number of scale-up domains"),
    "zero": (make(100, dragonfly(0, 5, 5)), "at least 1"),
    "a tier called as the domains": (
        make(64, clos(("scale_up", 16, 1), ("spine", 0, 1))),
        "no tier can be called 'scale_up'",
    ),
    "dead local": (
        make(64, dragonfly(4, 4, 2) | {"local_link_bandwidth": "0 Gbit/s"}),
        "local_link_bandwidth: must be above 0",
    ),
    "dead global": (
        make(64, dragonfly(4, 4, 2) | {"global_link_bandwidth": "0 Gbit/s"}),
        "global_link_bandwidth: must be above 0",
    ),
    "torus": (
        make(9000, {"kind": "torus", "dims": [4, 4], "link_bandwidth": "50 GB/s"}),
        "holds 16 GPUs, or 128 with",
    ),
    "flat torus": (
        make(9, {"kind": "torus", "dims": [4, 0], "link_bandwidth": "50 GB/s"}),
        "at least 1 node",
    ),
    "dead torus": (make(9, {"kind": "torus", "dims": [4, 4], "link_bandwidth": "0 GB/s"}), "above 0"),
    "odd blocks": (make(16, {**BLOCKS, "block": 3}), "blocks of side 3 do not fill a torus of 8 x 8 x 8"),
    "blocks": (
        make(16, {**BLOCKS, "block": 1}),
        "joins the two ends of 512 blocks and needs 1024 ports, but has 136",
    ),
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


@pytest.mark.parametrize("field", ["rails", "planes", "switch_radix"])
def test_counts_of_nothing_are_refused(field: str) -> None:
    """No rail, no plane and no port are errors of the field, not a division by zero later on."""
    with pytest.raises(ValueError, match=field):
        make(1024, clos(("leaf", 0, 1)) | {field: 0})
