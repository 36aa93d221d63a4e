"""Broken parts of the network slow the jobs that they touch until they are mended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from colossus_sim.engine.degradation import Degradation, limited
from colossus_sim.engine.runner import simulate
from colossus_sim.errors import ScenarioError
from colossus_sim.parallelism.placement import Placement
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import FakeModel, Unit, a_job, a_scenario, fault

NIC = 47.5e9


class SendingModel(FakeModel):
    """Five seconds of computing and five of sending at the rate of the network, where nothing is broken."""

    def unit(self, gpus: int, placement: Placement, bandwidths: tuple[float, ...] | None = None) -> Unit:
        """Time of a unit at these bandwidths."""
        rate = NIC if bandwidths is None else bandwidths[-1]
        return Unit(5.0 + 5.0 * NIC / rate, (0.0, 0.0, 1.0))


def sending(*, scenario: Scenario, job_name: str, phase_name: str, **_: Any) -> SendingModel:
    """Build the fake."""
    return SendingModel(scenario, job_name, phase_name)


def run(**more: Any) -> RunResult:
    """Run the small scenario with the sending model."""
    scenario = Scenario.model_validate(a_scenario(**more))
    return simulate(scenario, build_model=sending)  # type: ignore[arg-type]


def broken(level: str, fraction: float, **more: Any) -> dict[str, Any]:
    """A network part of this level that is mended after an hour."""
    repair = {"auto_fraction": 0, "manual_time": "1 h", "distribution": "fixed"}
    part = fault("domain", "1 /s", "nothing", interrupts=False, repair=repair)
    part["degrades"] = {"level": level, "fraction": fraction}
    return {"classes": {"part": part | more}}


def seconds(result: RunResult, cause: str, job: str = "one") -> float:
    """Seconds of a job spent on a cause."""
    place = CAUSES.index(cause)
    return sum(row.causes[place] for row in result.intervals if row.job == job)


def test_half_the_bandwidth_for_an_hour(failures_at: Callable[..., None]) -> None:
    """Units take 15 instead of 10 seconds for 3,600 s: a third of that hour is booked as degraded, no stop."""
    failures_at(1000.0 * 16)
    result = run(faults=broken("leaf", 0.5))
    assert result.phases[0].interruptions == 0
    assert seconds(result, "degraded") == pytest.approx(1200.0, abs=30.0)
    assert seconds(result, "lost_work") == 0.0
    kinds = [row.kind for row in result.events if row.subject == "part"]
    assert kinds == ["failure", "repair"]


def test_only_jobs_in_the_group_are_touched(failures_at: Callable[..., None]) -> None:
    """A NIC of the first domain slows the job that holds it, not its neighbour."""
    jobs = {"one": a_job(), "two": a_job()}
    failures_at(16000.0)
    result = run(jobs=jobs, faults=broken("scale_up", 0.5))
    slowed = {job: seconds(result, "degraded", job) for job in jobs}
    assert sorted(slowed.values())[0] == 0.0
    assert max(slowed.values()) == pytest.approx(1200.0, abs=30.0)


def test_unknown_level_is_refused() -> None:
    """A level that no network has is an error that names those that there are."""
    with pytest.raises(ScenarioError, match="levels: leaf, scale_up"):
        run(faults=broken("rail", 0.5))


def test_losses_in_one_group_multiply_and_the_worst_group_counts() -> None:
    """Two parts of one leaf leave a quarter; another leaf's three quarters do not add to that."""
    one, other = Degradation(1, 0, 3, 0.5), Degradation(1, 4, 7, 0.25)
    rates = (400.0, 40.0, 20.0)
    assert limited(rates, [2, 5], [one, one, other]) == (400.0, 10.0, 5.0)
    assert limited(rates, [5], [one, one, other]) == (400.0, 30.0, 15.0)
    assert limited(rates, [9], [one, other]) is rates


def test_a_spine_leaves_the_leaf_alone() -> None:
    """A part of a higher level does not slow what stays below it."""
    assert limited((400.0, 40.0, 20.0), [0], [Degradation(2, 0, 15, 0.5)]) == (400.0, 40.0, 10.0)


def lost(part: str, level: str = "", *, flap: str = "1 h") -> dict[str, Any]:
    """The loss of a part whose share follows from the topology."""
    found = broken("leaf", 0.5)
    found["classes"]["part"]["degrades"] = {"part": part, "level": level}
    found["classes"]["part"]["repair"]["manual_time"] = flap
    return found


def test_a_rail_switch_leaves_seven_of_eight_rails(failures_at: Callable[..., None]) -> None:
    """Traffic of the lost rail takes the other seven: 5 + 5 x 8/7 s a unit for an hour, and nobody stops."""
    failures_at(1000.0 * 16)
    result = run(faults=lost("switch", "leaf"))
    longer = 5.0 * 8 / 7 - 5.0
    assert result.phases[0].interruptions == 0
    assert seconds(result, "degraded") == pytest.approx(3600 * longer / (10 + longer), rel=0.02)


def test_a_flapping_cable_costs_no_more_than_it_is_down(failures_at: Callable[..., None]) -> None:
    """Two minutes without one NIC of eight are 8 seconds of a job that sends half of its time."""
    failures_at(1000.0 * 16)
    longer = 5.0 * 8 / 7 - 5.0
    result = run(jobs={"one": a_job(), "two": a_job()}, faults=lost("nic", flap="120 s"))
    slowed = sorted(seconds(result, "degraded", job) for job in ("one", "two"))
    assert slowed[0] == 0.0
    assert slowed[1] == pytest.approx(120 * longer / (10 + longer), abs=longer)


def test_the_only_leaf_switch_stops_the_jobs_of_its_group(failures_at: Callable[..., None]) -> None:
    """Of four jobs in two leaf groups, the two behind a lost switch stop, once each, and go on after the repair."""
    failures_at(16000.0)
    tiers = [{"name": "leaf", "group_gpus": 64}, {"name": "spine", "group_gpus": 0}]
    topology = {"fabric": {"rails": 1, "switch_radix": 128, "tiers": tiers}}
    jobs = {name: a_job(gpus=32) for name in ("a", "b", "c", "d")}
    more = {
        "jobs": jobs,
        "faults": lost("switch", "leaf"),
        "cluster": {"sites": {"here": {"topology": topology}}},
    }
    base = a_scenario()["jobs"]
    scenario = Scenario.model_validate(a_scenario(**more) | {"jobs": jobs})
    assert set(base) == {"one"}
    result = simulate(scenario, build_model=sending)  # type: ignore[arg-type]
    stops = {row.job: row.interruptions for row in result.phases}
    assert sorted(stops.values()) == [0, 0, 1, 1]
    assert all(row.units_done == row.units for row in result.phases)
    waits = [
        seconds(result, "repair_wait", job) + seconds(result, "gpu_wait", job) for job in stops if stops[job]
    ]
    assert waits == pytest.approx([3600.0] * 2, abs=5.0)


def test_a_part_that_no_network_has_is_refused() -> None:
    """A plane of a single network, and neither part nor share, are errors before anything runs."""
    with pytest.raises(ScenarioError, match="more than one plane"):
        run(faults=lost("plane"))
    with pytest.raises(ValueError, match="give part"):
        run(faults=broken("leaf", 0.5, degrades={"level": "leaf"}))


def switch_faults(level: str, rate: str) -> dict[str, Any]:
    """Switches of a level that fail at a rate of each and are mended after an hour."""
    repair = {"auto_fraction": 0, "manual_time": "1 h", "distribution": "fixed"}
    part = fault("switch", rate, "nothing", interrupts=False, repair=repair)
    part["degrades"] = {"part": "switch", "level": level}
    return {"classes": {"part": part}}


def test_a_rate_per_switch_counts_the_switches_that_are_installed() -> None:
    """On 64 of the network's GPUs its eight leaf switches of one group fail 8 x rate x time, within four errors."""
    result = run(faults=switch_faults("leaf", "1e-4 /s"))
    failures = sum(event.kind == "failure" for event in result.events)
    expected = 8 * 1e-4 * result.end_time
    assert abs(failures - expected) < 4 * expected**0.5


def test_switches_of_a_level_beyond_the_partition_never_fail() -> None:
    """A named set works on a partition too small for a spine; a level that no network has is an error."""
    result = run(faults=switch_faults("spine", "1 /s"))
    assert not [event for event in result.events if event.kind == "failure"]
    with pytest.raises(ScenarioError, match="has a level 'router'"):
        run(faults=switch_faults("router", "1 /s"))


def test_a_named_part_of_a_custom_network_reroutes(failures_at: Callable[..., None]) -> None:
    """Without the wide way the job has a quarter of its rate for an hour: 5 + 5 x 4 s a unit, and does not stop."""
    rows = ["from,to,bandwidth,links", *(f"node{index},leaf{index // 8},400 Gbit/s,8" for index in range(16))]
    rows += ["leaf0,wide,400 Gbit/s,64", "wide,leaf1,400 Gbit/s,64"]
    rows += ["leaf0,a,400 Gbit/s,16", "a,b,400 Gbit/s,16", "b,leaf1,400 Gbit/s,16"]
    fabric = {"kind": "custom", "file": "x.csv", "hosts": "node*", "text": "\n".join(rows)}
    scenario = a_scenario(faults=switch_faults("", "1 /s"))
    scenario["cluster"]["sites"]["here"]["topology"]["fabric"] = fabric
    scenario["faults"]["classes"]["part"]["degrades"] = {"part": "switch", "name": "wide"}
    failures_at(1000.0)
    result = simulate(Scenario.model_validate(scenario), build_model=sending)  # type: ignore[arg-type]
    assert result.phases[0].interruptions == 0
    assert seconds(result, "degraded") == pytest.approx(3600 * 15 / 25, rel=0.05)
    scenario["faults"]["classes"]["part"]["degrades"] = {"part": "cable", "name": "a - c"}
    with pytest.raises(ScenarioError, match="no cable 'a - c'"):
        simulate(Scenario.model_validate(scenario), build_model=sending)  # type: ignore[arg-type]
