"""A restart told apart: each part grows with the GPUs by its own law."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from colossus_sim.formulas.reliability import restart_time
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.nodes import plain
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.faults import Restart
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]
PARTS = {
    "requeue": {"time": "100 s", "per_doubling": "20 s"},
    "communicators": {"time": "16 s", "exponent": 1},
    "warm_up": {"time": "30 s"},
}


def test_the_published_points_of_both_laws() -> None:
    """ByteRobust's 454 and 768 s lie on one logarithmic law; MegaScale's set-up stays below its bounds."""
    for gpus, published in ((2048, 454.0), (16384, 768.0)):
        found = restart_time(gpus, base=350.0, per_doubling=105.0)
        assert found == pytest.approx(published, rel=0.02)
    assert restart_time(2048, base=2.5, exponent=1.0) <= 5.0
    assert restart_time(12288, base=2.5, exponent=1.0) <= 30.0


def test_the_parts_add_up_in_a_run(play: Play, failures_at: Callable[..., None]) -> None:
    """On 64 GPUs: 100 s, 16 s / 16, 30 s and a load of 1 + 10 s after a failure; the interval says so."""
    failures_at(5000.0)
    result = play(
        faults={"classes": {"any": fault("site", "1 /s", "nothing")},
                "restart": {"parts": PARTS, "manual_fraction": 0}},
        jobs={"one": a_job(gpus=64)},
        checkpoint={"tiers": [{"name": "storage", "mode": "sync", "interval": "1000 s", "coordination": "1 s"}]},
    )  # fmt: skip
    place = CAUSES.index("restart")
    spent = [row.causes[place] for row in result.intervals if row.causes[place]]
    assert spent == [pytest.approx(131.0), pytest.approx(131.0 + 11.0)]
    notes = {row.note for row in result.intervals if row.causes[place]}
    assert notes == {"requeue 100 s, communicators 1 s, warm_up 30 s"}


def test_the_shipped_parts_agree_with_the_whole_at_90_000_gpus() -> None:
    """The set told apart differs from the one in a piece by no more than 3 % there."""
    catalog = Catalog(Files())
    times = []
    for name in ("colossus_gb200", "colossus_gb200_parts"):
        node = catalog.full_entry("faults", name)
        fields = plain(node)["restart"]
        fields["base"] = fields["per_doubling"] = "0 s"
        restart = Restart.model_validate(fields)
        times.append(
            math.fsum(
                restart_time(90000, base=part.time, per_doubling=part.per_doubling, exponent=part.exponent)
                for part in restart.parts.values()
            )
        )
    whole = restart_time(90000, base=300.0, per_doubling=45.0)
    assert times[0] == 0.0
    assert times[1] == pytest.approx(whole, rel=0.03)
