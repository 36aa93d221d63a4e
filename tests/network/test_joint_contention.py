"""Contention as a fixed point over duty cycles: closed form, band, exactness alone, and the shipped what-ifs."""

from __future__ import annotations

import pytest

from colossus_sim.cli.contention import job_bands
from colossus_sim.loading.load import load_scenario
from colossus_sim.network.sharing import MODES, JobDemand, contention_band, joint_bandwidths
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.fabric import Fabric, Level

NIC, COMPUTE, TRAFFIC = 50e9, 1.0, 8e9


def network(over: float) -> Fabric:
    """Two pods of 64 domains of 8, joined `over`:1."""
    sizes = (8, 512, 1024)
    rates = (400e9, NIC, NIC / over)
    levels = tuple(
        Level(name=name, group_gpus=size, bandwidth=rate, latency=1e-6)
        for name, size, rate in zip(("scale_up", "pod", "core"), sizes, rates, strict=True)
    )
    return Fabric(name="t", kind="clos", levels=levels, injection_bandwidth=NIC, gpus=1024, gpus_per_domain=8)


def step(name: str, bandwidths: tuple[float, ...]) -> float:
    """Compute, then send over the core."""
    return COMPUTE + TRAFFIC / bandwidths[2]


def two_jobs(fabric: Fabric) -> list[JobDemand]:
    """Two jobs with half of each pod each."""
    return [
        JobDemand(
            name=name,
            placement=Placement(8, 8, ((first, 32), (64 + first, 32))),
            gpus=512,
            traffic=(0.0, 0.0, TRAFFIC),
            step_time=step(name, fabric.bandwidths),
        )
        for name, first in (("a", 0), ("b", 32))
    ]


def test_average_solves_demand_and_share_together() -> None:
    """The share x satisfies 256 x = uplinks - 256 traffic / step(x), with the slowed step on both sides."""
    fabric = network(4.0)
    found = joint_bandwidths(fabric=fabric, demands=two_jobs(fabric), mode="average", step_time=step)
    share = found["a"][2]
    assert found["a"] == found["b"]
    assert share == pytest.approx(2 * NIC / 4 - TRAFFIC / (COMPUTE + TRAFFIC / share), rel=1e-3)


def test_band_is_ordered() -> None:
    """Alone is no slower than interleaved, that no slower than independent, that no slower than aligned."""
    fabric = network(4.0)
    band = contention_band(fabric=fabric, demands=two_jobs(fabric), step_time=step)
    times = [band[mode]["a"] for mode in ("none", "best_case", "average", "worst_case")]
    assert times == sorted(times)
    assert times[0] < times[3]
    assert times[3] == pytest.approx(COMPUTE + TRAFFIC / (NIC / 4))


def test_interleaved_jobs_slow_only_when_the_link_is_too_small() -> None:
    """While the mean demands fit, jobs that take turns lose nothing."""
    fabric = network(4.0)
    band = contention_band(fabric=fabric, demands=two_jobs(fabric), step_time=step)
    assert band["best_case"] == band["none"]


@pytest.mark.parametrize("mode", MODES)
def test_nobody_is_slowed_where_nothing_is_short(mode: str) -> None:
    """On a non-blocking core every mode gives exactly the fabric."""
    fabric = network(1.0)
    found = joint_bandwidths(fabric=fabric, demands=two_jobs(fabric), mode=mode, step_time=step)
    assert found == {"a": fabric.bandwidths, "b": fabric.bandwidths}


def test_one_job_alone_has_exactly_its_estimate() -> None:
    """With the real step model, one job alone on a non-blocking fabric is as fast as the estimate, to the bit."""
    from colossus_sim.cli.feasibility import build_fabrics
    from colossus_sim.training.phases import build_phase_model

    scenario = load_scenario("quickstart")
    name, job = next(iter(scenario.jobs.items()))
    alone = scenario.model_copy(update={"jobs": {name: job}})
    (band,) = job_bands(alone)
    (key, fabric) = next(iter(build_fabrics(scenario).items()))
    model = build_phase_model(
        scenario=scenario,
        job_name=name,
        phase_name=next(iter(job.phases)),
        site=key[0],
        partition_name=key[1],
        fabric=fabric,
    )
    assert set(band.times.values()) == {model.reference_time}


def test_roadmap_contends_at_4_to_1_and_not_at_1_to_1() -> None:
    """Given racks at random, models slow one another at 4:1, aligned or not, and never at 1:1 in any mode."""
    thin = {band.job: band.times for band in job_bands(load_scenario("contention_4to1"))}
    full = {band.job: band.times for band in job_bands(load_scenario("contention_1to1"))}
    model = thin["grok_4_5_1p5t_a"]
    assert model["worst_case"] > 1.02 * model["none"]
    assert 1.0001 * model["none"] < model["independent"] < model["worst_case"]
    for times in full.values():
        assert set(times.values()) == {times["none"]}


def test_contention_is_a_cause_in_the_run() -> None:
    """Played with arrivals and departures, 4:1 books hours of contention on the intervals, 1:1 not a second."""
    from colossus_sim.engine.runner import simulate
    from colossus_sim.records import CAUSES

    place = CAUSES.index("contention")
    lost = {}
    for name in ("contention_4to1", "contention_1to1"):
        run = simulate(load_scenario(name, overrides=("horizon=175 days",)))
        lost[name] = sum(row.causes[place] for row in run.intervals)
        if name == "contention_4to1":
            assert max(row.fragmentation for row in run.levels if row.partition == "gb200") > 0.5
    assert lost["contention_4to1"] > 3600.0
    assert lost["contention_1to1"] == 0.0
