"""GPUs that are broken count as down wherever they are; whole ones of a domain out of service as stranded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.engine.pool import ABSENT, FREE, OUT, PartitionPool
from colossus_sim.randomness import stream
from colossus_sim.records import GPU_STATES, RunResult
from colossus_sim.specs.cluster import Partition
from tests.engine.conftest import GPU, a_job, fault

NODES_OF_TWO = GPU | {"gpus_per_node": 2}
REPAIR = 86400.0
TRAY = {"auto_fraction": 0, "manual_time": "24 h", "distribution": "fixed"}


def nobodys(result: RunResult, state: str) -> float:
    """GPU-seconds of GPUs without a job in a state."""
    return math.fsum(row.seconds[GPU_STATES.index(state)] for row in result.gpu_time if not row.job)


def broken_over_time(result: RunResult) -> list[tuple[float, int]]:
    """Return (seconds, broken GPUs) for each domain and stretch in which any of its GPUs were under repair."""
    stretches = []
    for domain in {row.value for row in result.events if row.kind == "failure"}:
        begun = [row.time for row in result.events if row.kind == "failure" and row.value == domain]
        moments = sorted({*begun, *(time + REPAIR for time in begun), result.end_time})
        for start, end in itertools.pairwise(moments):
            nodes = sum(time <= start < time + REPAIR for time in begun)
            if nodes and end <= result.end_time:
                stretches.append((end - start, 2 * nodes))
    return stretches


@pytest.mark.parametrize(("used", "spares"), [(8, 0), (8, 2), (6, 0), (6, 2), (4, 3)])
def test_each_failure_costs_its_own_gpus_for_the_time_of_its_repair(
    play: Callable[..., RunResult], used: int, spares: int
) -> None:
    """Two GPUs a day per failure, however many of a domain's GPUs jobs may use and whoever has the domain."""
    partition = {"gpu": NODES_OF_TWO, "gpus_used_per_domain": used, "spare_domains": spares}
    result = play(
        horizon="40 days",
        cluster={"sites": {"here": {"partitions": {"all": partition}}}},
        jobs={"one": a_job(gpus=24, tokens=10**7)},
        faults={"classes": {"tray": fault("node", "0.05 /day", "node", repair=TRAY)}},
    )
    stretches = broken_over_time(result)
    assert sum(row.kind == "failure" for row in result.events) > 50
    down = math.fsum(seconds * broken for seconds, broken in stretches)
    assert nobodys(result, "down") == pytest.approx(down, rel=1e-9)
    stranded = math.fsum(seconds * (8 - broken) for seconds, broken in stretches if 8 - broken < used)
    assert nobodys(result, "stranded") == pytest.approx(stranded, rel=1e-9)
    assert (stranded > down) == (used == 8)


def test_during_an_outage_everything_without_a_job_is_down(
    play: Callable[..., RunResult], failures_at: Callable[..., None]
) -> None:
    """Sixty-four GPUs stay with their job; the others are down for six hours, and idle before and after."""
    failures_at(5000.0)
    result = play(
        faults={"classes": {"power": fault("site", "1 /s", "site")}}, jobs={"one": a_job(tokens=9000)}
    )
    assert {row.down for row in result.levels if row.allocated} == {0, 64}
    assert nobodys(result, "down") == pytest.approx(64 * 6 * 3600.0)
    assert nobodys(result, "stranded") == 0.0


@given(
    st.sampled_from([2, 5, 6, 8]),
    st.integers(0, 3),
    st.integers(0, 2),
    st.lists(
        st.tuples(st.sampled_from(["fail", "repair", "take", "give", "shrink"]), st.integers(0, 15)),
        max_size=60,
    ),
)
def test_the_counts_are_those_of_the_domains(
    used: int, spares: int, reserve: int, happenings: list[tuple[str, int]]
) -> None:
    """Whatever happens to a pool, down, stranded and spare GPUs are what a count of all its domains gives."""
    spec = {"gpu": NODES_OF_TWO, "capacity": [{"at": "2026-01-01", "gpus": 128}]}
    spec |= {"gpus_used_per_domain": used, "spare_domains": spares, "reserve_domains": reserve}
    pool = PartitionPool("site", "all", Partition.model_validate(spec), (1,))
    pool.resize(128, [])
    for what, number in happenings:
        if what == "fail" and pool.gpus_left(number):
            pool.fail(number, 2)
        elif what == "repair":
            pool.repair(number, 2)
        elif what == "take" and pool.available() > 2:
            pool.allocate(number, 2, "packed", stream(1, "placement"), spares=number % 2)
        elif what == "give":
            pool.release(number)
        elif what == "shrink":
            pool.resize(128 - 8 * (number % 4), [])
        assert pool.gpus_by_state() == counted(pool)


def counted(pool: PartitionPool) -> tuple[int, int, int, int, int]:
    """Look at every domain."""
    in_use = idle = spare = stranded = down = 0
    for domain, owner in enumerate(pool.owner.tolist()):
        whole = pool.gpus_left(domain)
        down += 0 if owner == ABSENT else 8 - whole
        if owner >= 0:
            in_use += pool.used_per_domain
            spare += whole - pool.used_per_domain
        elif owner == OUT:
            stranded += whole
        elif owner == FREE:
            idle += whole
        elif owner != ABSENT:
            spare += whole
    return in_use, idle, spare, stranded, down
