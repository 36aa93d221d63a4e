"""Any size of a torus against searches of all splits and sums over all pairs of nodes."""

from __future__ import annotations

import math
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.load import uniform_load
from colossus_sim.topology.quotient import quotient_graph
from colossus_sim.topology.torus import cut_links
from tests.topology.test_builders import make

LoadGpu = Callable[[str], Gpu]
SIZES = (
    (2,), (3,), (7,), (8,), (2, 2), (3, 2), (2, 5), (3, 3), (4, 3), (5, 3), (4, 4), (2, 3, 3), (2, 3, 2), (4, 2, 2),
    (2, 2, 2, 2), (1, 3, 1, 2), (1, 1),
)  # fmt: skip


def grid(dims: tuple[int, ...]) -> nx.Graph:
    """Return the nodes and links, rings of two with one link."""
    return nx.grid_graph(dim=list(reversed(dims)), periodic=[size > 2 for size in reversed(dims)])


@pytest.mark.parametrize("dims", SIZES)
def test_cuts_are_the_least_of_all(dims: tuple[int, ...]) -> None:
    """No split of the nodes into halves cuts fewer links; of an odd number one half has a node more."""
    nodes = math.prod(dims)
    splits = np.arange(2 ** (nodes - 1))
    size = sum(splits >> node & 1 for node in range(nodes))
    splits = splits[(size == nodes // 2) | (size == nodes - nodes // 2)]
    cut = np.zeros(len(splits), dtype=int)
    for one, two in nx.convert_node_labels_to_integers(grid(dims)).edges:
        cut += (splits >> one ^ splits >> two) & 1
    assert cut_links(dims) == cut.min()


@pytest.mark.parametrize("dims", [dims for dims in SIZES if max(dims) > 1])
def test_all_to_all_goes_as_fast_as_the_busiest_axis(dims: tuple[int, ...], load_gpu: LoadGpu) -> None:
    """A node sends 1 / N to each: the links of an axis, two ways each, carry the steps along it of all pairs."""
    nodes = math.prod(dims)
    torus = {"kind": "torus", "dims": list(dims), "link_bandwidth": "50 GB/s"}
    gpu = load_gpu("h100").model_copy(update={"scale_up_domain": 1})
    topology = make(nodes, torus)
    fabric = build_fabric(topology, gpu)
    rates = []
    for size in dims:
        steps = sum(min(abs(a - b), size - abs(a - b)) for a in range(size) for b in range(size))
        links = size if size > 2 else size - 1
        if links:
            # Of what each node of a ring sends, every place along the axis gets 1 / size.
            rates.append(50e9 * 2 * links / (steps / size))
    assert fabric.levels[-1].bandwidth == pytest.approx(min(*rates, fabric.injection_bandwidth))
    assert fabric.bisection_bandwidth == cut_links(dims) * 50e9
    load = uniform_load(quotient_graph(topology, gpu), fabric.levels[-1].bandwidth)
    assert max(load.values()) <= 1.0 + 1e-9
    if fabric.levels[-1].bandwidth < fabric.injection_bandwidth:
        assert max(load.values()) == pytest.approx(1.0)
