"""Direct networks: k-ary n-cubes of GPUs (a TPU pod) or of scale-up domains."""

from __future__ import annotations

import math

from colossus_sim.specs.topology import Torus
from colossus_sim.topology.endpoints import PROPAGATION, Endpoints
from colossus_sim.topology.fabric import Fabric, Level

IN_BLOCK = "in-block"
"""Name of the cables inside blocks, which are of copper."""


def gpus_per_node(spec: Torus, ends: Endpoints) -> int:
    """Return the GPUs at one node of the torus: 1, or a whole scale-up domain where one does not reach."""
    return 1 if ends.gpus <= math.prod(spec.dims) else ends.domain


def torus_problems(spec: Torus, ends: Endpoints) -> list[str]:
    """Return in words what cannot be built."""
    nodes = math.prod(spec.dims)
    shape = " x ".join(str(size) for size in spec.dims)
    if min(spec.dims) < 1:
        return [f"dims: every dimension has at least 1 node, got {shape}"]
    if spec.link_bandwidth <= 0:
        return ["link_bandwidth: must be above 0"]
    if ends.gpus > nodes * ends.domain:
        return [
            f"dims: a torus of {shape} = {nodes} nodes holds {nodes} GPUs, or {nodes * ends.domain} with a "
            f"scale-up domain of {ends.domain} at each node; it cannot reach all {ends.gpus}"
        ]
    return _block_problems(spec, shape) if spec.block else []


def _block_problems(spec: Torus, shape: str) -> list[str]:
    """Blocks that do not fill the torus, or that are too many for a circuit switch."""
    if any(size % spec.block for size in spec.dims):
        return [f"block: blocks of side {spec.block} do not fill a torus of {shape}"]
    ports = 2 * blocks(spec)
    if ports > spec.circuit_switch_ports:
        return [
            f"circuit_switch_ports: each circuit switch joins the two ends of {blocks(spec)} blocks and needs "
            f"{ports} ports, but has {spec.circuit_switch_ports}"
        ]
    return []


def blocks(spec: Torus) -> int:
    """Return how many blocks of copper there are."""
    return math.prod(size // spec.block for size in spec.dims)


def circuit_switches(spec: Torus) -> int:
    """Return the optical circuit switches: along each axis one for each place on the face of a block.

    48 for a TPU v4 of 4 x 4 x 4 cubes: Jouppi et al. 2023, arXiv:2304.01433, section 2.
    """
    return len(spec.dims) * spec.block ** (len(spec.dims) - 1) if spec.block else 0


def torus_links(spec: Torus) -> dict[str, int]:
    """Return the cables: one ring per line of nodes; a ring of two is a single cable.

    With blocks those inside of one and those between two (or around one) are counted apart.
    """
    nodes, block = math.prod(spec.dims), spec.block
    total = sum(nodes // size * _cables_of_a_ring(size) for size in spec.dims)
    if not block:
        return {"torus": total}
    leaving = sum(
        nodes // size * (size // block if size > 2 else _cables_of_a_ring(size // block))
        for size in spec.dims
    )
    return {IN_BLOCK: total - leaving, "between-block": leaving}


def _cables_of_a_ring(nodes: int) -> int:
    return nodes if nodes > 2 else nodes - 1


def longest_axis(dims: tuple[int, ...]) -> float:
    """Return the k of a torus of one even axis in which each node can send as much evenly to all, itself included.

    Along an axis of even k a packet goes k / 4 links on average, spread over two links of a node, so that at a
    rate of b each the node sends 8 b / k (Dally and Towles 2004, Principles and Practices of Interconnection
    Networks, section 5.2). With odd k these are (k^2 - 1) / 4 k links; two nodes have one cable, which half of what
    each sends takes. The slowest axis counts.
    """
    return max(4.0 if k == 2 else (k * k - k % 2) / k for k in dims)


def cut_links(dims: tuple[int, ...]) -> int:
    """Return the fewest links between two halves of the nodes.

    Across an axis of even k a cut passes two links of each of N / k rings (one where k is 2). An odd k leaves a
    slab in the middle, which is cut along the other axes. Exact where no axis has two nodes (Arjona Aroca and
    Fernandez Anta 2012, arXiv:1202.6291); with such axes it is what a search of all splits finds up to 20 nodes.
    """
    found = [0] if max(dims) == 1 else []
    for axis, k in enumerate(dims):
        others = (*dims[:axis], *dims[axis + 1 :])
        if k > 1:
            slab = cut_links(others) if k % 2 and others else 0
            found.append((1 if k == 2 else 2) * math.prod(others) + slab)
    return min(found)


def build_torus(spec: Torus, ends: Endpoints) -> Fabric:
    """Return the fabric, with the limit of its fullest links for uniform traffic and the links' for rings.

    Rings along the dimensions use all 2 n links of a node.
    """
    nodes, per_node = math.prod(spec.dims), gpus_per_node(spec, ends)
    efficiency = ends.topology.link_efficiency
    degree = sum(2 if size > 2 else 1 if size == 2 else 0 for size in spec.dims)
    wires = degree * spec.link_bandwidth / per_node * efficiency
    if per_node == 1 and ends.domain >= nodes:
        wires = min(wires, ends.scale_up * efficiency)
    longest = longest_axis(spec.dims)
    uniform = min(wires, 8 * spec.link_bandwidth / longest / per_node * efficiency) if longest else wires
    whole = nodes * per_node
    torus = Level(
        name="torus",
        group_gpus=-(-whole // ends.domain) * ends.domain,
        bandwidth=uniform,
        latency=ends.topology.base_latency + ends.topology.cable_length * PROPAGATION,
        ring_bandwidth=wires,
    )
    levels = (torus,) if ends.domain >= whole else (ends.domain_level(), torus)
    return Fabric(
        name=ends.topology.name or ends.topology.title,
        kind="torus",
        levels=levels,
        injection_bandwidth=wires,
        gpus=ends.gpus,
        gpus_per_domain=ends.domain,
        switches={},
        links=torus_links(spec),
        bisection_bandwidth=cut_links(spec.dims) * spec.link_bandwidth,
        diameter=sum(size // 2 for size in spec.dims),
        circuit_switches=circuit_switches(spec),
        collectives=ends.topology.collectives,
    )
