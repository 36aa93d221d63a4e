"""Load of cables under uniform traffic, against closed forms."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import pytest

from colossus_sim.specs.topology import Dragonfly
from colossus_sim.topology.load import dragonfly_inside, uniform_load


def star(leaves: int, gpus: int, bandwidth: float) -> nx.Graph:
    """Return leaf groups below one core."""
    graph = nx.Graph()
    graph.add_node("core", tier=1, gpus=0)
    for leaf in range(leaves):
        graph.add_node(leaf, tier=0, gpus=gpus)
        graph.add_edge(leaf, "core", bandwidth=bandwidth)
    return graph


@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_uplinks_of_a_tree_carry_what_leaves_the_group(ratio: float) -> None:
    """The load of an uplink is the oversubscription times the share of traffic that leaves, 1 - 1/groups."""
    loads = uniform_load(star(8, 16, 16 * 50e9 / ratio), 50e9)
    assert list(loads.values()) == pytest.approx([ratio * (1 - 1 / 8)] * 8)


def test_groups_of_a_dragonfly_send_straight_to_each_other() -> None:
    """A pair of groups carries gpus^2 / total per direction, over its own cable only."""
    graph = nx.Graph()
    graph.add_nodes_from(range(6), gpus=10, tier=0)
    graph.add_edges_from(combinations(range(6), 2), bandwidth=100.0)
    assert list(uniform_load(graph, 3.0).values()) == pytest.approx([3.0 * 10 * 10 / 60 / 100.0] * 15)


def test_a_partial_group_of_a_dragonfly_loads_its_own_cables() -> None:
    """Four routers of 16 GPUs: each cable carries a quarter of what 16 GPUs send, per direction."""
    spec = Dragonfly(
        kind="dragonfly",
        endpoints_per_router=16,
        routers_per_group=32,
        global_links_per_router=8,
        local_link_bandwidth="25 GB/s",
        global_link_bandwidth="25 GB/s",
        switch_radix=64,
    )
    assert dragonfly_inside(spec, 64, 5e9, 25e9)["local"] == pytest.approx(16 * 5e9 / 4 / 25e9)


def diamond(first: tuple[int, int], second: tuple[int, int]) -> nx.Graph:
    """Return two leaves of 8 GPUs and two spines; so many cables of each leaf to each spine, at 1 B/s."""
    graph = nx.Graph()
    graph.add_nodes_from(("a", "b"), gpus=8, tier=0)
    for leaf, cables in (("a", first), ("b", second)):
        for spine, links in zip("xy", cables, strict=True):
            graph.add_edge(leaf, spine, links=links, bandwidth=float(links))
    return graph


def test_traffic_spreads_over_cables_not_neighbours() -> None:
    """Three cables to one spine and one to the other: all four carry a quarter of the 4 B/s that cross."""
    assert list(uniform_load(diamond((3, 1), (3, 1)), 1.0).values()) == pytest.approx([1.0] * 4)


def test_a_cable_is_as_full_as_its_busier_direction() -> None:
    """Leaf b has two cables to each spine: of its 4 B/s, half comes down the one cable from y to a."""
    loads = uniform_load(diamond((3, 1), (2, 2)), 1.0)
    assert loads["a", "y"] == pytest.approx(2.0)
    assert loads["a", "x"] == pytest.approx(1.0)
    assert loads["b", "x"] == pytest.approx(1.5)


def test_a_ring_has_the_mean_distance_of_a_ring() -> None:
    """On a ring of even length k the load is injection k / 8 per cable and direction (Dally and Towles, 5.2.1)."""
    graph = nx.cycle_graph(8)
    nx.set_node_attributes(graph, 1, "gpus")
    nx.set_edge_attributes(graph, 1.0, "bandwidth")
    assert list(uniform_load(graph, 1.0).values()) == pytest.approx([8 / 8] * 8)


def test_flow_is_split_over_equal_paths() -> None:
    """Two cores that are reached alike carry half each, whatever the width of their cables."""
    graph = star(4, 2, 10.0)
    for leaf in range(4):
        graph.add_edge(leaf, "other", bandwidth=5.0)
    graph.nodes["other"].update(gpus=0, tier=1)
    loads = uniform_load(graph, 1.0)
    by_core = {name: [load for edge, load in loads.items() if name in edge] for name in ("core", "other")}
    assert by_core["core"] == pytest.approx([0.5 * 2 * 0.75 / 10.0] * 4)
    assert by_core["other"] == pytest.approx([0.5 * 2 * 0.75 / 5.0] * 4)


def test_every_uplink_of_a_large_tree_has_its_closed_form() -> None:
    """However many groups a tree has, none is estimated from the others; groups may differ in size."""
    graph = star(1100, 4, 4.0)
    graph.nodes[7]["gpus"] = 2
    loads = uniform_load(graph, 1.0)
    total = 1099 * 4 + 2
    for edge, load in loads.items():
        inside = 2 if 7 in edge else 4
        assert load == pytest.approx(inside * (1 - inside / total) / 4.0)


def test_tracing_some_groups_of_many_gives_the_mean() -> None:
    """Above the limit of groups of a graph with rings the mean load stays that of the closed form."""
    graph = star(1100, 4, 4.0)
    graph.add_edge("core", "spare", bandwidth=4.0)
    graph.add_edge("core", "more", bandwidth=4.0)
    graph.add_edge("spare", "more", bandwidth=4.0)
    loads = [load for edge, load in uniform_load(graph, 1.0).items() if not {"spare", "more"} & set(edge)]
    assert sum(loads) / len(loads) == pytest.approx(1 - 1 / 1100, rel=1e-9)


def test_a_torus_is_traced_from_one_node() -> None:
    """Each axis of a torus carries length / 8 per cable and direction, as a ring of that length does."""
    graph = nx.grid_graph(dim=[4, 8], periodic=True)
    nx.set_node_attributes(graph, 1, "gpus")
    nx.set_edge_attributes(graph, 1.0, "bandwidth")
    traced = uniform_load(graph, 1.0)
    nx.set_edge_attributes(graph, {(a, b): int(a[0] == b[0]) for a, b in graph.edges}, "alike")
    assert uniform_load(graph, 1.0) == pytest.approx(traced)
    assert sorted({round(load, 9) for load in traced.values()}) == [0.5, 1.0]


def test_inside_of_a_dragonfly_against_every_path() -> None:
    """Local cables carry what walking every pair of GPUs along its minimal path puts on them."""
    p, a, h, groups = 2, 3, 2, 7
    spec = Dragonfly.model_validate(
        {
            "kind": "dragonfly",
            "endpoints_per_router": p,
            "routers_per_group": a,
            "global_links_per_router": h,
            "local_link_bandwidth": "10 GB/s",
            "global_link_bandwidth": "10 GB/s",
            "switch_radix": 16,
        }
    )
    gpus = p * a * groups
    owner = {
        (group, other): ((other - group - 1) % groups) // h
        for group in range(groups)
        for other in range(groups)
    }
    carried = 0.0
    for source in range(gpus):
        for target in range(gpus):
            (one, first), (two, last) = (divmod(gpu // p, a) for gpu in (source, target))
            leave, arrive = (last, first) if one == two else (owner[one, two], owner[two, one])
            carried += (first != leave) if one == two else (first != leave) + (last != arrive)
    per_cable = carried * 5e9 / gpus / (groups * a * (a - 1))
    inside = dragonfly_inside(spec, gpus, 5e9, 10e9)
    assert inside == pytest.approx({"host": 0.5, "local": per_cable / 10e9})
