"""The workload of many jobs at one file system, and the bound on its waste."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from colossus_sim.engine.agenda import Agenda
from colossus_sim.engine.storage_desk import StorageDesk, Transfer
from colossus_sim.formulas import reliability
from colossus_sim.validation.operations_storage import (
    CIELO,
    NODES,
    PublishedDesk,
    job_list,
    least_waste_bound,
    play_cielo,
    program_job_list,
    useful,
)  # fmt: skip


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


def test_the_list_of_the_program_meets_its_shares_only_in_the_end() -> None:
    """In all within 1 %, but of the first 60 % of the time nearly nothing is of the small class."""
    goals = sum(item.share for item in CIELO.values())
    early = []
    for seed in range(1, 9):
        spent, first = dict.fromkeys(CIELO, 0.0), dict.fromkeys(CIELO, 0.0)
        jobs = program_job_list(seed)
        total = sum(job.units * job.gpus for job in jobs.values())
        for name, job in jobs.items():
            kind = name.partition("-")[0]
            if sum(spent.values()) < 0.6 * total:
                first[kind] += job.units * job.gpus
            spent[kind] += job.units * job.gpus
        for name, item in CIELO.items():
            assert spent[name] / total == pytest.approx(item.share / goals, abs=0.011)
        early.append(first["LAP"] / sum(first.values()))

    assert sum(early) / len(early) == pytest.approx(0.004, abs=0.003)


def test_queues_cost_work_and_the_ideal_does_not() -> None:
    """At 40 GB/s on the same failures: ideal above first come above uncoordinated."""
    shares = [useful(play_cielo(name, 40e9, 2)) / NODES for name in ("alone", "first_come", "shared")]

    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 1.2 * shares[2]


@pytest.mark.parametrize(("desk", "granted"), [(StorageDesk, 10.0), (PublishedDesk, 20.0)])
def test_the_program_leaves_the_place_of_a_failed_job_unused(desk: type[StorageDesk], granted: float) -> None:
    """Of three transfers of 10 s the second gives up: the third starts after 10 s here, after 20 s there."""
    agenda = Agenda()
    queue = desk(agenda, "blocking")
    times: list[float] = []

    def transfer(changed: Callable[[], None]) -> Transfer:
        return Transfer(
            seconds=10.0, most=1.0, gpus=1, stops=True, at_risk_since=0.0, failure_rate=0.0, restore=0.0,
            changed=changed,
        )  # fmt: skip

    first = transfer(lambda: None)
    second, third = transfer(lambda: None), transfer(lambda: times.append(agenda.now))
    for one in (first, second, third):
        queue.ask(one)
    queue.begin(first)
    queue.cancel(second)
    agenda.run(until=50.0)

    assert times == [granted]
