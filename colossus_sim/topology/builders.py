"""Fabrics from topology files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from colossus_sim.errors import Problem, ScenarioError
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Custom, Topology
from colossus_sim.topology.clos import build_clos, clos_problems
from colossus_sim.topology.dragonfly import build_dragonfly, dragonfly_problems
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric
from colossus_sim.topology.torus import build_torus, torus_problems


def _custom_problems(spec: Custom, ends: Endpoints) -> list[str]:
    """Import graph algorithms only for networks that need them."""
    from colossus_sim.topology.custom import custom_problems

    return custom_problems(spec, ends)


def _build_custom(spec: Custom, ends: Endpoints) -> Fabric:
    from colossus_sim.topology.custom import build_custom

    return build_custom(spec, ends)


class Builder(NamedTuple):
    """How one kind of network is checked and built, from its spec and its endpoints."""

    problems: Callable[[Any, Endpoints], list[str]]
    build: Callable[[Any, Endpoints], Fabric]


BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "clos": Builder(clos_problems, build_clos),
        "dragonfly": Builder(dragonfly_problems, build_dragonfly),
        "torus": Builder(torus_problems, build_torus),
        "custom": Builder(_custom_problems, _build_custom),
    }
)
"""Kind of network -> its builder."""


def build_fabric(topology: Topology, gpu: Gpu, gpus: int | None = None) -> Fabric:
    """Return the fabric that joins `gpus` GPUs (default: ``topology.gpus``), each with `gpu`'s scale-up domain.

    Raises
    ------
    ScenarioError
        If the network cannot be built: radix, reach, rails.
    """
    problems = topology_problems(topology, gpu, gpus)
    if problems:
        name = topology.name or topology.title
        raise ScenarioError([Problem(path="", message=f"topology {name!r}: {text}") for text in problems])
    return BUILDERS[topology.fabric.kind].build(topology.fabric, Endpoints.of(topology, gpu, gpus))


def placed_problem(topology: Topology, text: str) -> Problem:
    """Return one of the `topology_problems` with the field of the topology that it is about, as far as it says."""
    field, colon, message = text.partition(": ")
    if colon and field in type(topology.fabric).model_fields:
        return Problem(path=f"fabric.{field}", message=message)
    if colon and field in type(topology).model_fields:
        return Problem(path=field, message=message)
    is_file = isinstance(topology.fabric, Custom) and text.startswith(f"{topology.fabric.file}: ")
    return Problem(path="fabric.file" if is_file else "fabric", message=text)


def topology_problems(topology: Topology, gpu: Gpu, gpus: int | None = None) -> list[str]:
    """Return in words why the network cannot be built; empty if it can."""
    ends = Endpoints.of(topology, gpu, gpus)
    if ends.gpus < 1:
        return [f"a network joins at least 1 GPU, got {ends.gpus}"]
    if ends.domain < 1 or ends.nic <= 0 or ends.scale_up <= 0:
        return [
            "the GPU needs a scale-up domain of at least 1, a scale-up bandwidth and a NIC bandwidth above 0"
        ]
    if topology.routing == "ecmp" and topology.fabric.kind != "clos":
        return [f"routing: ecmp is for networks of kind clos; this one is {topology.fabric.kind}"]
    return BUILDERS[topology.fabric.kind].problems(topology.fabric, ends)
