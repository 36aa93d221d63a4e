"""Nodes that fail again and again, and their exchange."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from colossus_sim.engine.bench import a_site
from colossus_sim.engine.lemons import NodeHistory
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.records import RunResult
from colossus_sim.specs.faults import Eviction, Lemons, Repair
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]
USUAL = Repair.model_validate({})


def a_pool(nodes: int) -> PartitionPool:
    """So many nodes of eight GPUs, all installed."""
    spec = a_site(8 * nodes, domain=8).partitions["all"]
    pool = PartitionPool("site", "all", spec, (1,))
    pool.resize(8 * nodes, [])
    return pool


def nodes_hit(history: NodeHistory, nodes: int, draws: int) -> Counter[int]:
    """Count where failures drawn evenly over the partition hit; -1 if they do not happen."""
    places = [history.place((index + 0.5) / draws) for index in range(draws)]
    return Counter(-1 if place is None else int(place * nodes) for place in places)


def test_lemons_take_their_share_of_the_failures() -> None:
    """Two lemons of factor 50 among a hundred nodes: each is hit fifty times as often as any other node."""
    history = NodeHistory(3, a_pool(100), lemons=Lemons(share=0.02, factor=50.0), eviction=None)
    hits = nodes_hit(history, 100, 198_000)
    counts = sorted(hits.values())
    assert len(hits) == 100
    assert counts[:98] == [1000] * 98 or max(counts[:98]) - min(counts[:98]) <= 2
    assert all(abs(count - 50_000) < 60 for count in counts[98:])


def test_an_exchanged_lemon_fails_like_any_other_node() -> None:
    """After three removals within the window the node is exchanged, and its extra failures no longer happen."""
    pool = a_pool(100)
    eviction = Eviction.model_validate({"failures": 3, "window": "28 days"})
    history = NodeHistory(3, pool, lemons=Lemons(share=0.01, factor=100.0), eviction=eviction)
    lemon = nodes_hit(history, 100, 19_900).most_common(1)[0][0]
    day = 86400.0
    repairs = [history.repair(lemon, 0, time * day, USUAL) for time in (0, 20, 30, 40)]
    assert repairs[:3] == [USUAL] * 3  # the first is out of the window when the third comes
    assert repairs[3] == eviction.exchange
    hits = nodes_hit(history, 100, 19_900)
    assert abs(hits[-1] - 9_900) <= 2
    assert abs(hits[lemon] - 100) <= 2


def test_the_defaults_give_the_published_failure_rates_of_large_jobs() -> None:
    """Jobs on 64 nodes fail in 14 % of cases with lemons among the nodes and in 4 % without (arXiv:2410.21680)."""
    lemons = Lemons()
    mean = 1.0 + lemons.share * (lemons.factor - 1.0)
    healthy = -math.log(1.0 - 0.04) / 64
    with_lemons = (
        1.0
        - (math.exp(-healthy) * (1.0 - lemons.share * (1.0 - math.exp(-healthy * (lemons.factor - 1.0)))))
        ** 64
    )
    assert abs(with_lemons - 0.14) < 0.015
    assert abs(mean - math.log(1 - 0.14) / math.log(1 - 0.04)) < 0.15


def test_eviction_ends_the_series_in_a_whole_run(play: Play) -> None:
    """One lemon of sixteen nodes, factor 400: exchanged after three failures, then 1/26 of the rate is left."""
    spec = fault("node", "2e-6 /s", "node")
    base = {"classes": {"hardware": spec}, "lemons": {"share": 0.0625, "factor": 400}}
    exchange = {"manual_time": "1 h", "distribution": "fixed"}
    results = [
        play(horizon="400 days", jobs={"one": a_job(tokens=10**7)}, faults=faults, seed=11)
        for faults in (base, base | {"eviction": {"failures": 3, "window": "100 days", "exchange": exchange}})
    ]
    kept, evicted = (sum(1 for row in result.events if row.kind == "failure") for result in results)
    whole = 16 * 2e-6 * 400 * 86400
    left = whole * 16 / (16 + 399)
    per_day = (whole - left) / 400
    renewals = 400 * per_day / (1.0 + per_day * 0.25)  # the lemon cannot fail during its six hours of repair
    assert abs(kept - left - renewals) < 4.0 * math.sqrt(left + renewals)
    assert abs(evicted - 3 - left) < 4.0 * math.sqrt(left)
    exchanges = [row for row in results[1].events if row.kind == "evict"]
    assert exchanges
    last = [row for row in results[1].events if row.kind == "failure" and row.time == exchanges[0].time]
    assert [row.value for row in last] == [exchanges[0].value]


def test_lemons_leave_the_mean_rate_alone(play: Play) -> None:
    """The stated rate is that of all nodes as installed, so failures are as many with lemons as without."""
    spec = fault("gpu", "2e-6 /s", "nothing")
    counts = []
    for more in ({}, {"lemons": {"share": 0.125, "factor": 20}}):
        result = play(
            horizon="200 days", jobs={"one": a_job(tokens=10**7)}, faults={"classes": {"any": spec}} | more
        )
        counts.append(sum(1 for row in result.events if row.kind == "failure"))
    assert counts[0] == counts[1]


def test_lemons_are_the_same_for_every_class_and_every_draw() -> None:
    """Lemons are a property of the partition and the seed, so one node is bad in all respects."""
    pool = a_pool(1000)
    lemons = Lemons(share=0.01, factor=1e6)
    same = [set(nodes_hit(NodeHistory(5, pool, lemons=lemons, eviction=None), 1000, 997)) for _ in range(2)]
    other = set(nodes_hit(NodeHistory(6, pool, lemons=lemons, eviction=None), 1000, 997))
    assert same[0] == same[1]
    assert len(same[0]) == 10
    assert same[0] != other
    assert np.unique(sorted(same[0])).size == 10
