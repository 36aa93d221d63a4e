"""Contention between jobs: closed forms, fairness, and nothing where nothing is shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colossus_sim.network.boundary import lockstep_rates
from colossus_sim.network.maxmin import max_min_rates
from colossus_sim.network.sharing import MODES, JobDemand, shared_bandwidths
from colossus_sim.parallelism.placement import Placement
from colossus_sim.topology.fabric import Fabric, Level
from tests.counting import function_calls

NIC = 47.5e9


def fabric(*, over: float = 1.0, pods: int = 4, domain: int = 8, leaf: int = 8, pod: int = 8) -> Fabric:
    """Return leaf groups of `leaf` domains, pods of `pod` leaf groups, and a core oversubscribed `over`:1."""
    sizes = (domain, domain * leaf, domain * leaf * pod, domain * leaf * pod * pods)
    rates = (369e9, NIC, NIC, NIC / over)
    levels = tuple(
        Level(name=name, group_gpus=size, bandwidth=rate, latency=1e-6)
        for name, size, rate in zip(("scale_up", "leaf", "spine", "core"), sizes, rates, strict=True)
    )
    return Fabric(
        name="test",
        kind="clos",
        levels=levels,
        injection_bandwidth=NIC,
        gpus=sizes[-1],
        gpus_per_domain=domain,
    )


def job(
    name: str,
    *runs: tuple[int, int],
    traffic: float = 1e9,
    step: float = 1.0,
    domain: int = 8,
    used: int = 8,
) -> JobDemand:
    """Return a job on runs of domains that sends `traffic` bytes per GPU and step over the core."""
    placement = Placement(domain, used, tuple(runs))
    return JobDemand(
        name=name,
        placement=placement,
        gpus=placement.capacity,
        traffic=(1e9, 0.0, 0.0, traffic),
        step_time=step,
    )


@pytest.mark.parametrize("mode", MODES)
def test_one_job_alone_gets_exactly_the_fabric(mode: str) -> None:
    """On a non-blocking fabric one job, however placed, gets what the fabric says, to the last bit."""
    for net, domain, used in (
        (fabric(), 8, 8),
        (fabric(domain=72, leaf=8, pod=7), 72, 72),
        (fabric(domain=72, leaf=8, pod=7), 72, 64),
    ):
        for runs in (((0, 96),), ((3, 50), (70, 1), (60, 7))):
            demand = job("a", *runs, domain=domain, used=used)
            assert shared_bandwidths(fabric=net, demands=[demand], mode=mode)["a"] == net.bandwidths


@pytest.mark.parametrize("mode", MODES)
def test_jobs_on_a_non_blocking_fabric_do_not_meet(mode: str) -> None:
    """Where every group can send all it has, jobs cannot disturb each other."""
    net = fabric()
    demands = [job("a", (0, 100), traffic=1e12), job("b", (100, 156), traffic=1e12)]
    shared = shared_bandwidths(fabric=net, demands=demands, mode=mode)
    assert shared == {"a": net.bandwidths, "b": net.bandwidths}


def test_part_of_a_pod_alone_uses_the_idle_uplinks() -> None:
    """At 4:1 a job on a quarter of each pod sends at NIC rate, on half of each pod at half of it."""
    net = fabric(over=4)
    quarter = job("a", (0, 16), (64, 16))
    half = job("a", (0, 32), (64, 32))
    assert shared_bandwidths(fabric=net, demands=[quarter], mode="none")["a"][3] == NIC
    assert shared_bandwidths(fabric=net, demands=[half], mode="none")["a"][3] == NIC / 2


def test_worst_pod_counts() -> None:
    """A job whose rank groups fill one pod and touch another goes at the pace of the full one."""
    demand = job("a", (0, 64), (64, 4))
    assert shared_bandwidths(fabric=fabric(over=4), demands=[demand], mode="none")["a"][3] == NIC / 4


def test_worst_case_shares_fairly() -> None:
    """Two jobs on half of each pod both get the fabric's 4:1 share when they peak together."""
    net = fabric(over=4)
    demands = [job("a", (0, 32), (64, 32)), job("b", (32, 32), (96, 32))]
    shared = shared_bandwidths(fabric=net, demands=demands, mode="worst_case")
    assert shared["a"] == shared["b"] == net.bandwidths


def test_average_takes_away_the_mean_demand() -> None:
    """The other job's mean rate is subtracted from the pod's uplinks, by hand."""
    net = fabric(over=4)
    mean = 2e9
    demands = [job("a", (0, 32), (64, 32), traffic=1.0), job("b", (32, 32), (96, 32), traffic=mean)]
    shared = shared_bandwidths(fabric=net, demands=demands, mode="average")
    uplinks = 512 * NIC / 4
    assert shared["a"][3] == pytest.approx((uplinks - 256 * mean) / 256)
    assert shared["b"][3] == pytest.approx(NIC / 2, rel=1e-6)


def test_average_never_goes_below_the_fair_share() -> None:
    """A neighbour that could fill the uplinks alone still leaves the fair share."""
    net = fabric(over=4)
    demands = [job("a", (0, 32), (64, 32)), job("b", (32, 32), (96, 32), traffic=1e12)]
    assert shared_bandwidths(fabric=net, demands=demands, mode="average")["a"][3] == pytest.approx(NIC / 4)


def test_jobs_that_do_not_use_a_level_do_not_count() -> None:
    """A neighbour without traffic over the core costs nothing, and is told what it would get."""
    net = fabric(over=4)
    demands = [job("a", (0, 32), (64, 32)), job("quiet", (32, 32), (96, 32), traffic=0.0)]
    shared = shared_bandwidths(fabric=net, demands=demands, mode="worst_case")
    assert shared["a"][3] == NIC / 2
    assert shared["quiet"][3] == NIC / 4


def test_lower_boundaries_bound_higher_levels() -> None:
    """A path over the core also crosses the leaf's uplinks: bandwidth never rises with the level."""
    sizes = (8, 64, 512, 2048)
    levels = tuple(
        Level(name=str(size), group_gpus=size, bandwidth=rate, latency=1e-6)
        for size, rate in zip(sizes, (369e9, NIC, NIC / 4, NIC / 4), strict=True)
    )
    net = Fabric(
        name="test", kind="clos", levels=levels, injection_bandwidth=NIC, gpus=2048, gpus_per_domain=8
    )
    shared = shared_bandwidths(fabric=net, demands=[job("a", (0, 16), (64, 8))], mode="none")["a"]
    assert shared == (369e9, NIC, NIC / 4, NIC / 4)


@st.composite
def scattered(draw: st.DrawFn) -> list[JobDemand]:
    """Draw jobs on disjoint domains of a fabric with 256."""
    cuts = sorted(draw(st.sets(st.integers(1, 255), min_size=3, max_size=12)))
    pieces = [(a, b - a) for a, b in zip([0, *cuts], [*cuts, 256], strict=True)]
    owners = draw(st.lists(st.integers(0, 3), min_size=len(pieces), max_size=len(pieces)))
    demands = []
    for owner in range(4):
        runs = [piece for piece, who in zip(pieces, owners, strict=True) if who == owner]
        if runs:
            demands.append(job(str(owner), *runs, traffic=draw(st.just(0.0) | st.floats(1.0, 1e11))))
    return demands


@settings(deadline=None)
@given(scattered(), st.sampled_from([1.0, 2.0, 4.0]))
def test_modes_are_ordered_and_capacity_is_kept(demands: list[JobDemand], over: float) -> None:
    """none >= average >= worst_case for every job and level, and worst-case rates fit every pod's uplinks."""
    net = fabric(over=over)
    none, average, worst = (
        shared_bandwidths(fabric=net, demands=demands, mode=mode)
        for mode in ("none", "average", "worst_case")
    )
    for demand in demands:
        for free, mean, peak in zip(none[demand.name], average[demand.name], worst[demand.name], strict=True):
            assert free * (1 + 1e-9) >= mean
            assert mean * (1 + 1e-9) >= peak
    for pod in range(4):
        load = 0.0
        for demand in demands:
            if demand.traffic[3] > 0:
                load += worst[demand.name][3] * _ranks_in(demand, pod * 64, pod * 64 + 64)
        assert load <= 512 * NIC / over * (1 + 1e-9)


def _ranks_in(demand: JobDemand, low: int, high: int) -> int:
    return 8 * sum(
        max(0, min(first + count, high) - max(first, low)) for first, count in demand.placement.runs
    )


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=4))
@settings(deadline=None)
def test_lockstep_equals_max_min_where_each_job_is_one_flow(table: list[list[bool]]) -> None:
    """With one GPU per link, a lockstep job is a flow that crosses its links."""
    usage = np.array(table, dtype=float)
    capacity = np.array([7.0, 3.0, 11.0])
    routes = [[*np.flatnonzero(row).tolist(), 3 + index] for index, row in enumerate(usage)]
    flows = max_min_rates([*capacity.tolist(), *([5.0] * len(routes))], routes)
    assert lockstep_rates(capacity, usage, 5.0) == pytest.approx(flows)


def test_contention_costs_no_more_for_larger_jobs() -> None:
    """Seven jobs on three hundred thousand GPUs take about as many calls as seven a tenth of their size."""
    net = fabric(over=2, domain=72, leaf=8, pod=7, pods=75)

    def calls(domains: int) -> int:
        demands = [
            job(str(i), *[(i * 600 + j * 60, domains) for j in range(10)], domain=72, used=64)
            for i in range(7)
        ]
        return function_calls(lambda: shared_bandwidths(fabric=net, demands=demands, mode="average"))

    assert calls(50) < 2 * calls(5)


def test_wrong_requests_are_refused() -> None:
    """Unknown modes and doubled names are errors; no jobs are not."""
    with pytest.raises(ValueError, match="none, average, worst_case"):
        shared_bandwidths(fabric=fabric(), demands=[], mode="fair")
    with pytest.raises(ValueError, match="same name"):
        shared_bandwidths(fabric=fabric(), demands=[job("a", (0, 1)), job("a", (1, 1))], mode="none")
    assert shared_bandwidths(fabric=fabric(), demands=[], mode="average") == {}
