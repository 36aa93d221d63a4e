"""What a run is said to have sent is what its steps send."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.engine.runner import simulate
from colossus_sim.engine.traffic_log import TrafficLog
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import FakeModel, Unit, a_scenario, fault


class SendingModel(FakeModel):
    """Every GPU sends two bytes to peers of the second level and one to those of the third, each unit."""

    def unit(self, gpus: int, placement: Placement, bandwidths: tuple[float, ...] | None = None) -> Unit:
        """Ten seconds."""
        return Unit(10.0, (0.0, 2.0, 1.0))


def sending(*, scenario: Scenario, job_name: str, phase_name: str, **_: Any) -> SendingModel:
    """Build the fake."""
    return SendingModel(scenario, job_name, phase_name)


@pytest.mark.parametrize("failing", [False, True])
def test_bytes_are_those_of_the_units_done(failing: bool) -> None:
    """Rates times time add up to the units times their bytes, work that a failure undid included."""
    faults = {"classes": {"stop": fault("gpu", "2e-5 /s", "nothing")}} if failing else {}
    scenario = Scenario.model_validate(a_scenario(**({"faults": faults} if failing else {})))
    log = TrafficLog()
    watched = simulate(scenario, build_model=sending, watch=log)  # type: ignore[arg-type]
    plain = simulate(scenario, build_model=sending)  # type: ignore[arg-type]
    assert watched.intervals == plain.intervals
    (sent,) = log.sendings.values()
    done = sum(row.units for row in watched.intervals)
    totals = [sum(one.rates[level] * (one.end - one.start) for one in sent) for level in range(3)]
    assert totals[0] == 0.0
    assert totals[1] == pytest.approx(2.0 * totals[2])
    if failing:
        assert watched.phases[0].interruptions > 0
        assert totals[2] > done
    else:
        assert totals[2] == pytest.approx(done)
