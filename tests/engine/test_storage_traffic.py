"""Saves and training data on the same network as the collectives, where the topology says so."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.engine.runner import simulate
from colossus_sim.parallelism.placement import Placement
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import FakeModel, Unit, a_job, a_scenario

GPUS, OVER = 128, 4
CORE = 50e9 * 0.95 / OVER
"""What a GPU gets of a core of 4:1, at 95 % of the line rate. [B/s]"""


class SendingModel(FakeModel):
    """Five seconds of computing and five of sending over the core, where nothing else is on it."""

    def unit(self, gpus: int, placement: Placement, bandwidths: tuple[float, ...] | None = None) -> Unit:
        """Time of a unit at these bandwidths."""
        rate = CORE if bandwidths is None else bandwidths[2]
        return Unit(5.0 + 5.0 * CORE / rate, (0.0, 0.0, 5.0 * CORE))


def sending(*, scenario: Scenario, job_name: str, phase_name: str, **_: Any) -> SendingModel:
    """Build the fake."""
    return SendingModel(scenario, job_name, phase_name)


def run(network: str, bytes_per_token: float = 0.0, **storage: str) -> RunResult:
    """One job over two leaves on a core of 4:1 that reads so much for each token."""
    tiers = [{"name": "leaf", "group_gpus": 64, "oversubscription": OVER}, {"name": "spine", "group_gpus": 0}]
    topology = {"storage_network": network, "fabric": {"tiers": tiers}}
    more: dict[str, Any] = {
        "cluster": {"sites": {"here": {"topology": topology, "storage": storage}}},
        "policies": {"contention": "average"},
        "jobs": {"one": a_job(gpus=GPUS, data={"bytes_per_token": f"{bytes_per_token:.0f} B"})},
    }
    return simulate(Scenario.model_validate(a_scenario(**more)), build_model=sending)  # type: ignore[arg-type]


def contention(result: RunResult) -> float:
    """Seconds of each unit that are booked on contention."""
    place = CAUSES.index("contention")
    return sum(row.causes[place] for row in result.intervals) / result.phases[0].units_done


def test_training_data_takes_its_share_of_the_core() -> None:
    """Reading at a quarter of the core leaves three: 5 + 5 / 0.75 s a unit, the excess booked as contention."""
    quarter = CORE / 4 * GPUS * 10.0
    result = run("shared", quarter)
    assert contention(result) == pytest.approx(5.0 / 0.75 - 5.0, rel=1e-3)


def test_storage_with_a_network_of_its_own_costs_nothing() -> None:
    """The same reads beside the fabric change nothing, to the bit."""
    reads = CORE / 4 * GPUS * 10.0
    assert contention(run("separate", reads)) == 0.0
    assert run("separate", reads).phases[0].end == run("separate").phases[0].end


def test_checkpoints_drain_over_the_core() -> None:
    """Saves of 10 GB each 100 units are a thousandth of a percent of the core: felt, and no more than that."""
    found = contention(run("shared"))
    mean = 10e9 / 1000.0 / GPUS / CORE
    assert found == pytest.approx(5.0 * mean, rel=0.02)
