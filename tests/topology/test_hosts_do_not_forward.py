"""Networks given cable by cable in which hosts hang on several switches: traffic goes through switches only."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import networkx as nx
import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.topology.builders import build_fabric, topology_problems
from colossus_sim.topology.cables import read_cables
from colossus_sim.topology.custom import alike_leaves, host_diameter, hosts_of, uniform_rate
from colossus_sim.topology.load import uniform_load
from colossus_sim.topology.lost_parts import LostPart, lost_part
from colossus_sim.topology.quotient import quotient_graph
from tests.topology.test_custom import network, spec

LoadGpu = Callable[[str], Gpu]
CHAIN = (
    "leaf0,agg0,400 Gbit/s,1",
    "agg0,core,400 Gbit/s,1",
    "core,agg1,400 Gbit/s,1",
    "agg1,leaf1,400 Gbit/s,1",
)
"""Two leaves that one thin cable after the other joins."""


def cables(*rows: str) -> str:
    """Return a table of cables."""
    return "\n".join(("from,to,bandwidth,links", *rows)) + "\n"


def bridged(*bridge: str) -> str:
    """Six hosts on the two leaves of the chain, the last one on both."""
    hosts = [f"host{index},leaf{index // 3},400 Gbit/s,8" for index in range(5)]
    return cables(*hosts, *bridge, *CHAIN)


BOTH = bridged("host5,leaf1,400 Gbit/s,4", "host5,leaf0,400 Gbit/s,4")


def test_a_host_on_two_leaves_is_no_way_between_them(load_gpu: LoadGpu) -> None:
    """Three hosts to two over the chain, and back: 6 of 30 pairs share 50 GB/s; five switches, not three.

    Each of six sends to five others: 50 GB/s carry 3 x 2 of its fifths, so a host has 50 x 5 / 6.
    """
    topology, gpu = network(BOTH, 48), load_gpu("h100")
    fabric = build_fabric(topology, gpu)
    assert fabric.diameter == 5
    assert fabric.levels[-1].bandwidth == pytest.approx(50e9 * 5 / 6 / 8)
    # Of what all send to all, itself included, the chain carries 3 x 2 of 6 parts.
    loads = uniform_load(quotient_graph(topology, gpu), 1e9)
    assert loads["agg0", "core"] == pytest.approx(3 * 2 / 6 * 8e9 / 50e9)


def test_the_loss_of_the_way_between_leaves_cuts_hosts_off(load_gpu: LoadGpu) -> None:
    """Without the core the hosts of the smaller side are cut off, though one host hangs on both leaves."""
    topology, gpu = network(BOTH, 48), load_gpu("h100")
    fabric = build_fabric(topology, gpu)
    lost = lost_part("switch", "", topology=topology, gpu=gpu, fabric=fabric, name="core")
    order = hosts_of(read_cables(topology.fabric))  # type: ignore[arg-type]
    assert lost == LostPart(1, 16, 1.0, 8 * order.index("host3"))


@pytest.mark.parametrize(
    ("rows", "lonely"),
    [
        (("host0,leaf0,1 GB/s,1", "host1,leaf0,1 GB/s,1", "host1,host2,1 GB/s,1"), "'host2'"),
        (("host0,leaf0,1 GB/s,1", "host1,leaf0,1 GB/s,1", "host1,leaf1,1 GB/s,1", "host2,leaf1,1 GB/s,1"),
         "'host2'"),
    ],
)  # fmt: skip
def test_hosts_behind_hosts_are_refused(load_gpu: LoadGpu, rows: tuple[str, ...], lonely: str) -> None:
    """What only a host joins to the others is not reached."""
    problems = topology_problems(network(cables(*rows), 24), load_gpu("h100"))
    assert [text for text in problems if lonely in text and "hosts do not forward" in text] == problems != []


@pytest.mark.parametrize(
    "rows",
    [
        # A cable of their own joins two hosts, of which one has no other.
        ("host0,leaf0,1 GB/s,1", "host0,host1,1 GB/s,1"),
        # Each two of three have a switch in common, all three have none.
        tuple(f"host{host},leaf{leaf},1 GB/s,1" for host in range(3) for leaf in range(3) if host != leaf),
    ],
)
def test_hosts_that_all_reach_each_other_are_not(load_gpu: LoadGpu, rows: tuple[str, ...]) -> None:
    """A common switch or a cable of their own is enough for each two."""
    hosts = len({row.split(",")[0] for row in rows} | {"host1"})
    assert not topology_problems(network(cables(*rows), 8 * hosts), load_gpu("h100"))


def drawn(seed: int) -> str:
    """Draw up to four leaves with a few hosts each, some of which hang on the next leaf as well."""
    draw = random.Random(seed)
    rows, host, leaves, spines = [], 0, draw.randint(2, 4), draw.randint(1, 3)
    each = draw.randint(1, 3)
    for leaf in range(leaves):
        for _ in range(each if draw.random() < 0.7 else draw.randint(1, 3)):
            rows.append(f"host{host},leaf{leaf},{draw.choice((100, 400))} Gbit/s,{draw.choice((1, 2, 8))}")
            if draw.random() < 0.3:
                rows.append(f"host{host},leaf{(leaf + 1) % leaves},400 Gbit/s,1")
            host += 1
        for spine in range(spines):
            if spine == 0 or draw.random() < 0.8:
                rows.append(f"leaf{leaf},spine{spine},{draw.choice((200, 800))} Gbit/s,{draw.randint(1, 3)}")
    return cables(*rows)


def pair_by_pair(graph: nx.Graph, hosts: list[str], leaves: list[list[str]]) -> float:
    """Return what each host can send, from each pair's own way through the switches. [B/s]"""
    load: dict[tuple[str, str], float] = defaultdict(float)
    leaf = {host: index for index, members in enumerate(leaves) for host in members}
    for target in hosts:
        sources = [host for host in hosts if host != target and (not leaf or leaf[host] != leaf[target])]
        for source in sources:
            way = graph.subgraph(set(graph) - set(hosts) | {source, target})
            far = nx.single_source_shortest_path_length(way, target)
            amount = defaultdict(float, {source: 1.0 / len(sources)})
            for node in sorted(far, key=lambda one: -far[one]):
                nearer = {
                    other: way.edges[node, other]["links"]
                    for other in way[node]
                    if far[other] == far[node] - 1
                }
                for other, links in nearer.items():
                    sent = amount[node] * links / sum(nearer.values())
                    load[node, other] += sent
                    amount[other] += sent
    return min(graph.edges[edge]["bandwidth"] / sent for edge, sent in load.items() if sent)


@pytest.mark.parametrize("seed", range(40))
def test_rates_are_those_of_each_pair(seed: int) -> None:
    """On small random networks rate and diameter are what each pair of hosts gives, one by one."""
    graph = read_cables(spec(drawn(seed)))
    hosts = hosts_of(graph)
    for leaves in ([], alike_leaves(graph, hosts)):
        if not leaves or len(leaves[0]) < len(hosts):
            found = uniform_rate(graph, hosts, leaves)
            assert found == pytest.approx(pair_by_pair(graph, hosts, leaves))
    most = max(
        nx.shortest_path_length(graph.subgraph(set(graph) - set(hosts) | {one, two}), one, two)
        for one in hosts
        for two in hosts
    )
    assert host_diameter(graph, hosts) == max(most - 1, 0)


def test_hosts_without_switches_do_forward(load_gpu: LoadGpu) -> None:
    """Four hosts in a ring: those across reach each other through a third.

    Each sends thirds; a cable carries one way its neighbour's third and half a third of two pairs across: 2/3.
    """
    rows = cables(*(f"host{index},host{(index + 1) % 4},400 Gbit/s,1" for index in range(4)))
    graph = read_cables(spec(rows))
    assert uniform_rate(graph, hosts_of(graph)) == pytest.approx(50e9 * 3 / 2)
    assert not topology_problems(network(rows, 64), load_gpu("h100"))
