"""What the loss of a part of a network takes from whom: which group, from which level on, and what share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Clos, Custom, Topology
from colossus_sim.topology.clos import networks, tier_plans
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric

if TYPE_CHECKING:
    from colossus_sim.topology.reroute import Rerouted


class LostPart(NamedTuple):
    """The blast radius of a part; traffic takes the ways that are left."""

    level: int
    """Lowest fabric level that is slower."""
    group_gpus: int
    """GPUs of one group that feels it."""
    share: float
    """Share of the group's bandwidth that is lost; 1 = nothing is left, the group is cut off."""
    first_gpu: int | None = None
    """First GPU of the group; None = the group around the unit that failed."""


def lost_part(
    part: str, level: str, *, topology: Topology, gpu: Gpu, fabric: Fabric, name: str = ""
) -> LostPart:
    """Return what a part's loss costs; every GPU is taken to have one NIC, on one rail of one plane.

    Parameters
    ----------
    part : str
        nic, switch, cable, rail or plane.
    level : str
        Fabric level of the switch, or of the groups that lose a rail or a plane; empty = the whole network.

    name : str
        Switch, or ends of the cable, of a custom network.

    Raises
    ------
    ValueError
        If the network has no such part.
    """
    spec = topology.fabric
    if name:
        if not isinstance(spec, Custom):
            raise ValueError(f"only parts of a custom network have names; this is one of kind {spec.kind}")
        found = _rerouted(spec, Endpoints.of(topology, gpu, fabric.gpus), part, name)
        lowest = 1 if found.own else max(1, len(fabric.levels) - 1)
        return LostPart(lowest, found.gpus, found.share, found.first_gpu)
    rails, planes = (spec.rails, _planes(spec)) if isinstance(spec, Clos) else (1, 1)
    if part == "nic":
        return LostPart(1, fabric.gpus_per_domain, 1.0 / fabric.gpus_per_domain)
    if part == "switch":
        return _switch(level, topology=topology, gpu=gpu, fabric=fabric)
    count = rails if part == "rail" else planes
    if count < 2:
        raise ValueError(f"the network has one {part} only; its loss is an outage of the site")
    return LostPart(1, _group(level, fabric), 1.0 / count)


def _planes(spec: Clos) -> int:
    """Return the planes; rails that no switch joins are planes of one NIC per domain and rail each."""
    return spec.planes if spec.planes > 1 else networks(spec)


def _rerouted(spec: Custom, ends: Endpoints, part: str, name: str) -> Rerouted:
    """Import graph algorithms only for networks that need them."""
    from colossus_sim.topology.reroute import rerouted

    return rerouted(spec, ends, part, name)


def _switch(level: str, *, topology: Topology, gpu: Gpu, fabric: Fabric) -> LostPart:
    spec = topology.fabric
    index = next((k for k, one in enumerate(fabric.levels) if one.name == level), 0)
    if spec.kind == "dragonfly" and level == "router":
        return LostPart(index, _group(level, fabric), 1.0)
    if not isinstance(spec, Clos):
        hint = "; give the name of one" if isinstance(spec, Custom) else ""
        raise ValueError(
            f"the switches of a network of kind {spec.kind} cannot be told from its levels{hint}"
        )
    plans = tier_plans(spec, Endpoints.of(topology, gpu, fabric.gpus))
    plan = next((one for one in plans if one.name == level), None)
    if plan is None:
        known = ", ".join(one.name for one in plans)
        raise ValueError(f"the network has no switches of level {level!r}; levels: {known}")
    return LostPart(max(index, 1), plan.group_gpus, 1.0 / (networks(spec) * plan.switches))


def _group(level: str, fabric: Fabric) -> int:
    if not level:
        return fabric.gpus
    found = next((one.group_gpus for one in fabric.levels if one.name == level), None)
    if found is None:
        known = ", ".join(one.name for one in fabric.levels)
        raise ValueError(f"the network has no level {level!r}; levels: {known}")
    return found
