"""What the networks of a scenario are made of, so that a sweep can set the days they cost against their price."""

from __future__ import annotations

import functools
import math

from colossus_sim.errors import ColossusError
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.listing import validated_entry
from colossus_sim.specs.parts import Parts
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.materials import bill_of_materials

DEFAULT_PARTS = "network_2024"
"""Catalog entry whose prices count where a topology names none."""

MEASURES: dict[str, tuple[str, str]] = {
    "network_cost_MUSD": (
        "million USD",
        "switches, optics and cables of all sites at full size, at the prices of `topology.parts`",
    ),
    "network_power_MW": ("MW", "switches and optics of all sites at full size, without cooling"),
    "network_switches": ("count", "switches of all sites at full size"),
}
"""Unit and meaning of the measures of the bill of materials."""


@functools.cache
def default_parts() -> Parts:
    """Return the catalog's price list."""
    found = validated_entry("parts", Catalog(Files()), DEFAULT_PARTS, case="central")
    if not isinstance(found, Parts):
        raise ColossusError(f"{DEFAULT_PARTS} is no list of network parts")
    return found


def network_bill(scenario: Scenario) -> dict[str, float]:
    """Return cost, power and switches of the scale-out networks, each partition at its full size.

    The names are those of `MEASURES`, with ``cluster.`` before them.
    """
    costs, powers, switches = [], [], 0
    for site in scenario.cluster.sites.values():
        topology = site.topology
        for partition in site.partitions.values():
            fabric = build_fabric(topology, partition.gpu, partition.most_gpus)
            nic = topology.nic_bandwidth or partition.gpu.nic_bandwidth
            bill = bill_of_materials(topology, fabric, nic, topology.parts or default_parts())
            costs.append(bill.cost)
            powers.append(bill.power)
            switches += sum(fabric.switches.values())
    return {
        "cluster.network_cost_MUSD": math.fsum(costs) / 1e6,
        "cluster.network_power_MW": math.fsum(powers) / 1e6,
        "cluster.network_switches": float(switches),
    }
