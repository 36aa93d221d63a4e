"""Global cables of dragonflies: counted, even, and what is left where a group is one router."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations

import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.full import full_graph, global_pairs
from tests.topology.test_builders import dragonfly, make

LoadGpu = Callable[[str], Gpu]


def test_routers_without_a_group_have_only_global_links(load_gpu: LoadGpu) -> None:
    """Three routers of 8 GPUs with 2 global links of the NIC's rate each: a quarter of it for each GPU."""
    fabric = build_fabric(make(24, dragonfly(8, 1, 2)), load_gpu("h100"))
    assert fabric.levels[-1].bandwidth == pytest.approx(2 * 50e9 / 8)


@pytest.mark.parametrize(
    ("p", "a", "h", "gpus"),
    [(4, 4, 2, 64), (8, 1, 2, 24), (8, 3, 1, 32), (8, 3, 1, 72), (2, 4, 3, 56), (2, 4, 3, 64), (2, 4, 3, 72),
     (2, 4, 3, 80), (2, 4, 3, 104), (4, 2, 9, 56), (16, 32, 8, 37888)],
)  # fmt: skip
def test_global_cables_of_the_export_are_those_billed_and_even(
    p: int, a: int, h: int, gpus: int, load_gpu: LoadGpu
) -> None:
    """Each two groups have as many cables as any other two, or one more; no router has more than its ports."""
    topology, gpu = make(gpus, dragonfly(p, a, h)), load_gpu("h100").model_copy(update={"scale_up_domain": 1})
    groups = -(-gpus // (p * a))
    count = Counter(global_pairs(groups, a * h))
    assert count.total() == build_fabric(topology, gpu).links["global"] == groups * a * h // 2
    even = Counter({frozenset(pair): 0 for pair in combinations(range(groups), 2)})
    for pair, cables in count.items():
        even[frozenset(pair)] += cables
    assert max(even.values()) - min(even.values()) <= 1
    used = Counter(group for pair in count.elements() for group in pair)
    assert sorted(used.values())[1:] == [a * h] * (groups - 1)
    assert min(used.values()) == a * h - groups * a * h % 2
    if gpus < 200:
        graph = full_graph(topology, gpu)
        ports: Counter[str] = Counter()
        for one, two, links in graph.edges(data="links"):
            if "gpu" not in one + two and one.split("-")[1] != two.split("-")[1]:
                ports.update({one: links, two: links})
        assert ports.total() == 2 * count.total()
        assert max(ports.values()) == h
