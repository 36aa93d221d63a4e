"""Jobs at random moments: closed forms of the mean over who else communicates, and storage traffic on the links."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from colossus_sim.network.boundary import lockstep_rates
from colossus_sim.network.collisions import MOST_JOBS, independent_rates
from colossus_sim.network.sharing import JobDemand, shared_bandwidths
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.fabric import Fabric, Level

NIC = 50e9


def network(over: float) -> Fabric:
    """Two pods of 64 domains of 8, joined `over`:1."""
    sizes, rates = (8, 512, 1024), (400e9, NIC, NIC / over)
    levels = tuple(
        Level(name=name, group_gpus=size, bandwidth=rate, latency=1e-6)
        for name, size, rate in zip(("scale_up", "pod", "core"), sizes, rates, strict=True)
    )
    return Fabric(name="t", kind="clos", levels=levels, injection_bandwidth=NIC, gpus=1024, gpus_per_domain=8)


def halves(duty: float, over: float, **more: float) -> list[JobDemand]:
    """Two jobs with half of each pod each, that cross the core for a share `duty` of the time."""
    rate = min(NIC, 2 * NIC / over)
    return [
        JobDemand(
            name=name,
            placement=Placement(8, 8, ((first, 32), (64 + first, 32))),
            gpus=512,
            traffic=(0.0, 0.0, duty * rate),
            step_time=1.0,
            **more,
        )
        for name, first in (("a", 0), ("b", 32))
    ]


@pytest.mark.parametrize("duty", [0.1, 0.4])
def test_two_jobs_meet_with_the_probability_of_the_duty_cycle(duty: float) -> None:
    """A byte takes 1/r alone and 2/r beside the other, which is there for `duty` of the time: r / (1 + duty)."""
    met = independent_rates(
        np.array([100.0]), np.ones((2, 1)), np.full(2, 100.0), np.full(2, 100 * duty), 1e9, lockstep_rates
    )
    assert met == pytest.approx([100 / (1 + duty)] * 2)


def test_three_jobs_by_hand() -> None:
    """With k others there, each at 1/2 of the time, a link gives 1/(k + 1): the mean time is 1 + 2/2 = 2."""
    met = independent_rates(
        np.array([1.0]), np.ones((3, 1)), np.ones(3), np.full(3, 0.5), 1e9, lockstep_rates
    )
    assert met == pytest.approx([0.5] * 3)


def test_jobs_on_other_links_do_not_count() -> None:
    """Whoever shares no link changes nothing, to the last bit."""
    usage = np.array([[3.0, 0.0], [0.0, 3.0]])
    alone = np.array([1.0, 1.0]) / 3
    met = independent_rates(np.ones(2), usage, alone, alone / 2, 1e9, lockstep_rates)
    assert met.tolist() == alone.tolist()


def test_more_jobs_than_combinations_still_fit_the_link() -> None:
    """The least busy of many jobs are taken away on average, and nobody gets less than a share of half the link."""
    many = 2 * MOST_JOBS
    met = independent_rates(
        np.array([1.0]), np.ones((many, 1)), np.ones(many), np.full(many, 0.02), 1e9, lockstep_rates
    )
    assert np.all(met < 1.0)
    assert np.all(met > 0.5)


def test_independent_lies_between_average_and_aligned() -> None:
    """Jobs that meet now and then lose at least their mean demands, and never as much as when aligned."""
    net, demands = network(4.0), halves(0.2, 4.0)
    rates = {
        mode: shared_bandwidths(fabric=net, demands=demands, mode=mode)["a"][2]
        for mode in ("none", "average", "independent", "worst_case")
    }
    assert rates["none"] > rates["average"] >= rates["independent"] > rates["worst_case"]


def test_storage_takes_its_mean_from_the_core() -> None:
    """A quarter of the core for checkpoints on average leaves three; one job alone feels its own storage too."""
    net = network(4.0)
    mine = NIC / 4 / 4
    whole = JobDemand(
        name="a", placement=Placement(8, 8, ((0, 128),)), gpus=1024, traffic=(0.0, 0.0, 1.0), step_time=1.0
    )
    stored = replace(whole, storage=mine, storage_peak=2 * mine)
    for mode, left in (("none", 1.0), ("average", 0.75), ("independent", 0.75), ("worst_case", 0.5)):
        got = shared_bandwidths(fabric=net, demands=[stored], mode=mode)["a"]
        assert got[2] == pytest.approx(left * NIC / 4), mode
        assert got[1] == NIC


def test_storage_leaves_a_fair_half() -> None:
    """However much is saved, collectives keep half of a link."""
    demands = halves(0.2, 4.0, storage=10 * NIC, storage_peak=10 * NIC)
    got = shared_bandwidths(fabric=network(4.0), demands=demands, mode="worst_case")
    assert got["a"][2] == pytest.approx(NIC / 8)
