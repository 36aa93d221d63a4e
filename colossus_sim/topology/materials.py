"""Bill of materials of a network: switch ports, optics and cables, with cost and power."""

from __future__ import annotations

from dataclasses import dataclass

from colossus_sim.specs.parts import Parts, RateParts
from colossus_sim.specs.topology import Clos, Dragonfly, Topology, Torus
from colossus_sim.topology.fabric import Fabric


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
    optical = topology.cable_length > parts.copper_reach
    items = []
    for tier, count in fabric.switches.items():
        ports = count * _radix(topology, tier)
        row, scale = _row(parts, nic)
        items.append(
            Item(
                name=f"{tier} switches",
                count=count,
                cost=ports * row.switch_port_price * scale,
                power=ports * row.switch_port_power * scale,
            )
        )
    for tier, count in fabric.links.items():
        row, scale = _row(parts, _link_rate(topology, tier, nic))
        price = topology.cable_length * row.fibre_price_per_metre if optical else row.copper_price * scale
        items.append(Item(name=f"{tier} cables", count=count, cost=count * price, power=0.0))
        if optical:
            items.append(
                Item(
                    name=f"{tier} optics",
                    count=2 * count,
                    cost=2 * count * row.optic_price * scale,
                    power=2 * count * row.optic_power * scale,
                )
            )
    return Bill(items=tuple(item for item in items if item.count))


def _row(parts: Parts, rate: float) -> tuple[RateParts, float]:
    """Return the parts of the nearest rate, and by how much to scale them."""
    row = min(parts.rates, key=lambda one: abs(one.rate - rate))
    return row, rate / row.rate


def _radix(topology: Topology, tier: str) -> int:
    fabric = topology.fabric
    if isinstance(fabric, Clos):
        own = next((one.switch_radix for one in fabric.tiers if one.name == tier), None)
        return own or fabric.switch_radix
    if isinstance(fabric, Dragonfly):
        return fabric.switch_radix
    return 64  # a list of cables does not say how many ports its switches have


def _link_rate(topology: Topology, tier: str, nic: float) -> float:
    fabric = topology.fabric
    if isinstance(fabric, Torus):
        return fabric.link_bandwidth
    if isinstance(fabric, Dragonfly):
        return {"local": fabric.local_link_bandwidth, "global": fabric.global_link_bandwidth}.get(tier, nic)
    return nic
