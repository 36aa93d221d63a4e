"""Bill of materials of a network: switch ports, optics and cables, with cost and power."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from colossus_sim.specs.parts import Parts, RateParts
from colossus_sim.specs.topology import Clos, Custom, Dragonfly, Topology, Torus
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.torus import IN_BLOCK

Ports = Mapping[float, int]
"""Rate of a port or cable [B/s] -> how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the bill.

    Attributes
    ----------
    name : str
        What it is.
    count : int
        How many.
    cost : float
        Price of all. [USD]
    power : float
        Power of all. [W]
    """

    name: str
    count: int
    cost: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All lines, and their sums."""

    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()
    """What was assumed to count them."""

    @property
    def cost(self) -> float:
        """Price of everything. [USD]"""
        return sum(item.cost for item in self.items)

    @property
    def power(self) -> float:
        """Power of everything. [W]"""
        return sum(item.power for item in self.items)


def bill_of_materials(topology: Topology, fabric: Fabric, nic: float, parts: Parts) -> Bill:
    """Return what the network is made of.

    Parameters
    ----------
    topology : Topology
        Its parameters.
    fabric : Fabric
        The network as built, with switches and cables per tier.
    nic : float
        Rate of one GPU's link. [B/s]
    parts : Parts
        Prices and powers. Every switch is priced with all its ports, used or not.
    """
    spec = topology.fabric
    notes: tuple[str, ...] = ()
    if isinstance(spec, Custom):
        switches, cables = _counted(spec)
        notes = (
            f"A list of cables does not show free ports: each switch is priced with {spec.switch_radix} "
            "(fabric.switch_radix), or its cables where they are more, at the rate of its fastest cable",
        )
    else:
        switches = {tier: {nic: count * _radix(topology, tier)} for tier, count in fabric.switches.items()}
        cables = {tier: {_link_rate(topology, tier, nic): count} for tier, count in fabric.links.items()}
    items = [
        _priced(f"{tier} switches", fabric.switches[tier], ports, "switch_port", parts)
        for tier, ports in switches.items()
    ]
    for tier, counts in cables.items():
        items.extend(_cable_items(topology, tier, counts, parts))
    return Bill(items=tuple(item for item in items if item.count), notes=notes)


def _cable_items(topology: Topology, tier: str, counts: Ports, parts: Parts) -> Iterator[Item]:
    """Return the lines of a tier's cables, and of their optics where copper does not reach."""
    optical = topology.cable_length > parts.copper_reach and tier != IN_BLOCK
    number, price = sum(counts.values()), 0.0
    for rate, count in counts.items():
        row, scale = _row(parts, rate)
        price += count * (
            topology.cable_length * row.fibre_price_per_metre if optical else row.copper_price * scale
        )
    yield Item(name=f"{tier} cables", count=number, cost=price, power=0.0)
    if optical:
        ends = {rate: 2 * count for rate, count in counts.items()}
        yield _priced(f"{tier} optics", 2 * number, ends, "optic", parts)


def _priced(name: str, count: int, ports: Ports, part: str, parts: Parts) -> Item:
    """Return the line of parts that are priced by rate: switch_port or optic."""
    found = [(number, *_row(parts, rate)) for rate, number in ports.items()]
    cost = math.fsum(number * getattr(row, f"{part}_price") * scale for number, row, scale in found)
    power = math.fsum(number * getattr(row, f"{part}_power") * scale for number, row, scale in found)
    return Item(name=name, count=count, cost=cost, power=power)


def _counted(spec: Custom) -> tuple[dict[str, Ports], dict[str, Ports]]:
    """Return the ports of switches, and the cables of hosts and between switches, of a list of cables by rate."""
    from colossus_sim.topology.cables import read_cables

    graph = read_cables(spec)
    ports: Counter[float] = Counter()
    for switch in (node for node, host in graph.nodes(data="host") if not host):
        cables = [
            (fields["bandwidth"] / fields["links"], fields["links"]) for fields in graph[switch].values()
        ]
        used = sum(links for _, links in cables)
        ports[max((rate for rate, _ in cables), default=0.0)] += max(spec.switch_radix, used)
    counts: defaultdict[str, Counter[float]] = defaultdict(Counter)
    for one, two, fields in graph.edges(data=True):
        tier = "host" if graph.nodes[one]["host"] or graph.nodes[two]["host"] else "switch-to-switch"
        counts[tier][fields["bandwidth"] / fields["links"]] += fields["links"]
    return {"all": ports}, dict(counts)


def _row(parts: Parts, rate: float) -> tuple[RateParts, float]:
    """Return the parts of the nearest rate, and by how much to scale them."""
    row = min(parts.rates, key=lambda one: abs(one.rate - rate))
    return row, rate / row.rate


def _radix(topology: Topology, tier: str) -> int:
    fabric = topology.fabric
    if isinstance(fabric, Clos):
        own = next((one.switch_radix for one in fabric.tiers if one.name == tier), None)
        return own or fabric.switch_radix
    return fabric.switch_radix if isinstance(fabric, Dragonfly) else 0


def _link_rate(topology: Topology, tier: str, nic: float) -> float:
    fabric = topology.fabric
    if isinstance(fabric, Clos):
        return nic / fabric.planes if tier == "host" else nic
    if isinstance(fabric, Torus):
        return fabric.link_bandwidth
    if isinstance(fabric, Dragonfly):
        return {"local": fabric.local_link_bandwidth, "global": fabric.global_link_bandwidth}.get(tier, nic)
    return nic
