"""The workload of many jobs at one file system, and the bound on its waste."""

from __future__ import annotations

import pytest

from colossus_sim.formulas import reliability
from colossus_sim.validation.cielo import CIELO, NODES, job_list, play_cielo, useful
from colossus_sim.validation.cielo_program import program_runs
from colossus_sim.validation.operations_storage import _program_case, _told_apart, least_waste_bound


def test_the_lower_bound_is_the_published_one() -> None:
    """0.1019 where the saves fit, 0.2225 where they ask for 1.33 of the storage (RR-9109, Theorem 1)."""
    assert least_waste_bound(160e9) == pytest.approx(0.1019, abs=5e-5)
    assert least_waste_bound(40e9) == pytest.approx(0.2225, abs=5e-5)


def test_one_job_alone_has_youngs_waste() -> None:
    """A single class that fills the machine: sqrt(2 C / mu) + C / mu."""
    found = reliability.shared_storage_waste([(1.0, 100.0, 60.0)], nodes=100, node_mtbf=1e6)

    assert found == pytest.approx((2 * 60.0 / 1e4) ** 0.5 + 60.0 / 1e4)


def test_classes_have_their_shares_of_the_machine() -> None:
    """Within one percent of 0.6 : 0.05 : 0.15 : 0.1."""
    spent = dict.fromkeys(CIELO, 0.0)
    for name, job in job_list(3).items():
        spent[name.partition("-")[0]] += job.units * job.unit_time * job.gpus
    total, goals = sum(spent.values()), sum(item.share for item in CIELO.values())
    for name, item in CIELO.items():
        assert spent[name] / total == pytest.approx(item.share / goals, abs=0.011)


def test_queues_cost_work_and_the_ideal_does_not() -> None:
    """At 40 GB/s on the same failures: ideal above first come above uncoordinated."""
    jobs = job_list(2)
    shares = [useful(play_cielo(name, 40e9, jobs, 2)) / NODES for name in ("alone", "first_come", "shared")]

    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 1.2 * shares[2]


def test_the_order_is_that_of_neighbours_that_the_program_tells_apart() -> None:
    """At 40 GB/s blocking and uncoordinated differ by 0.002 in 36 runs: no order. The others do."""
    pairs = _told_apart(program_runs(40e9))

    assert pairs == [("ideal", "first come"), ("first come", "cooperative"), ("cooperative", "blocking")]


@pytest.mark.parametrize(("off", "passed"), [(0.015, True), (-0.015, True), (0.025, False), (-0.025, False)])
def test_useful_work_is_held_against_the_same_lists(off: float, passed: bool) -> None:
    """Two points from the program on each of nine lists, though the lists differ by ten."""
    runs = program_runs(40e9)
    case = _program_case(
        "Cielo", "first come", [runs[number]["first come"] + off for number in range(9)], runs
    )

    assert case.passed is passed
