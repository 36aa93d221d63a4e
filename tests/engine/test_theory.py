"""The engine against renewal theory."""

from __future__ import annotations

import math
from collections.abc import Callable

from colossus_sim.formulas import reliability
from colossus_sim.records import CAUSES, RunResult
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]


def useful_share(result: RunResult) -> tuple[float, int]:
    """Planned work over wall time of the job, and the number of failures."""
    rows = [row for row in result.intervals if row.job == "one"]
    planned = math.fsum(row.causes[CAUSES.index("planned")] for row in rows)
    failures = sum(1 for row in result.events if row.kind == "failure")
    return planned / (rows[-1].end - rows[0].start), failures


def check_efficiency(play: Play, *, mtbf: float, interval: float, save: float, restart: float) -> None:
    """Compare with the exact efficiency under memoryless failures, within four standard errors."""
    units_per_segment = round((interval - save) / 10.0)
    result = play(
        horizon=f"{12000 * mtbf} s",
        jobs={"one": a_job(gpus=128, tokens=10**9)},
        faults={
            "classes": {"any": fault("site", f"{1 / mtbf:.17g} /s", "nothing")},
            "restart": {"base": f"{restart - 1.0} s"},
        },
        checkpoint={"tiers": [{"name": "storage", "mode": "sync", "interval": f"{units_per_segment * 10} s",
                               "coordination": f"{save - 1.0} s"}]},
        cluster={"sites": {"here": {"storage": {"write_bandwidth": "10 GB/s", "read_bandwidth": "1000000 GB/s",
                                                "bandwidth_per_gpu": "1000000 GB/s"}}}},
    )  # fmt: skip
    share, failures = useful_share(result)
    # the copy is loaded in (save - 1) s of coordination; the rest of the recovery is the restart
    recovery = restart - 1.0 + save - 1.0
    exact = reliability.efficiency(interval - save, save_time=save, mtbf=mtbf, recovery=recovery)
    error = 0.9 / math.sqrt(failures) * (1.0 - exact)

    assert failures > 10000
    assert error < 0.01 * exact
    assert abs(share - exact) < 4.0 * error


def test_efficiency_equals_renewal_theory_when_failures_are_rare(play: Play) -> None:
    """MTBF 4 h, saves of 20 s every 1,220 s: false alarm below one in ten thousand."""
    check_efficiency(play, mtbf=14400.0, interval=1220.0, save=20.0, restart=300.0)


def test_efficiency_equals_renewal_theory_when_segments_are_as_long_as_the_mtbf(play: Play) -> None:
    """MTBF 80 min, hourly saves of 60 s, restarts of 15 min that fail themselves: first-order forms are far off."""
    check_efficiency(play, mtbf=4800.0, interval=3660.0, save=60.0, restart=900.0)


def test_the_optimal_interval_beats_its_neighbours(play: Play) -> None:
    """With common random numbers, half and twice the interval that `optimal` chose are both worse."""
    faults = {"classes": {"any": fault("site", f"{1 / 7200:.17g} /s", "nothing")}}
    best = reliability.daly_interval(10.0, 7200.0)
    shares = []
    for interval in (f"{best / 2} s", "optimal", f"{best * 2} s"):
        tier = {"name": "storage", "mode": "sync", "interval": interval, "coordination": "0 s"}
        result = play(
            horizon="200 days",
            faults=faults,
            jobs={"one": a_job(gpus=128, tokens=10**9)},
            checkpoint={"tiers": [tier]},
        )
        shares.append(useful_share(result)[0])

    assert shares[1] > shares[0]
    assert shares[1] > shares[2]
