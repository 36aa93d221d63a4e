"""What the loss of a NIC, a switch, a rail or a plane takes from whom."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.topology import Topology
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.lost_parts import LostPart, lost_part
from tests.engine.conftest import GPU, TOPOLOGY

DEVICE = Gpu.model_validate(GPU)


def network(**fabric: Any) -> Topology:
    """1,024 GPUs in leaf groups of 256."""
    return Topology.model_validate(TOPOLOGY | {"fabric": {**TOPOLOGY["fabric"], **fabric}})  # type: ignore[dict-item]


def lost(part: str, level: str = "", **fabric: Any) -> LostPart:
    """Lose a part of that network."""
    topology = network(**fabric)
    return lost_part(part, level, topology=topology, gpu=DEVICE, fabric=build_fabric(topology, DEVICE))


@pytest.mark.parametrize(
    ("part", "level", "fabric", "expected"),
    [
        ("nic", "", {}, LostPart(1, 8, 1 / 8)),
        ("switch", "leaf", {}, LostPart(1, 256, 1 / 8)),
        ("switch", "leaf", {"planes": 2}, LostPart(1, 256, 1 / 16)),
        ("rail", "", {}, LostPart(1, 1024, 1 / 8)),
        ("rail", "leaf", {}, LostPart(1, 256, 1 / 8)),
        ("plane", "", {"planes": 4}, LostPart(1, 1024, 1 / 4)),
        ("plane", "", {"rail_only": True}, LostPart(1, 1024, 1 / 8)),
        ("switch", "leaf", {"rails": 1, "switch_radix": 512}, LostPart(1, 256, 1.0)),
    ],
)
def test_shares_follow_from_the_topology(
    part: str, level: str, fabric: dict[str, Any], expected: LostPart
) -> None:
    """1/8 for a NIC, a rail or a rail's leaf switch, half of that with two planes, all for the only leaf switch."""
    assert lost(part, level, **fabric) == expected


def test_a_spine_is_one_of_those_that_the_bill_counts() -> None:
    """Losing one spine of the whole network takes one part in as many as there are, above the leaf only."""
    spines = build_fabric(network(), DEVICE).switches["spine"]
    assert lost("switch", "spine") == LostPart(2, 1024, 1 / spines)


@pytest.mark.parametrize(
    ("part", "level", "text"),
    [
        ("plane", "", "one plane only"),
        ("switch", "core", "levels: leaf, spine"),
        ("rail", "core", "no level"),
    ],
)
def test_what_is_not_there_cannot_be_lost(part: str, level: str, text: str) -> None:
    """A single plane and an unknown level are errors that say what there is."""
    with pytest.raises(ValueError, match=text):
        lost(part, level)
