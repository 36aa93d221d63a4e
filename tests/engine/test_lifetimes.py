"""Failures by the age of units against renewal theory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from colossus_sim.engine.agenda import Agenda
from colossus_sim.engine.failures import gap
from colossus_sim.engine.lifetimes import LifetimeSource, age_at, cumulative_hazard
from colossus_sim.records import RunResult
from colossus_sim.specs.faults import FaultClass
from colossus_sim.specs.lifetimes import HazardPart
from tests.engine.conftest import a_job, fault

Play = Callable[..., RunResult]
DAY = 86400.0


def a_class(parts: list[dict[str, Any]], rate: str = "0 /s", **more: Any) -> FaultClass:
    """A class whose units fail by these Weibull parts."""
    lifetime = {"parts": parts} | more
    return FaultClass.model_validate(fault("gpu", rate, "nothing", lifetime=lifetime))


def strikes(spec: FaultClass, *, domains: int, per: int, until: float, born: float = 0.0) -> list[float]:
    """Return where the failures of a population hit, in order."""
    places: list[tuple[float, float]] = []
    agenda = Agenda()
    assert spec.lifetime is not None
    source = LifetimeSource(
        agenda, 5, ("site", "part", "class"), spec, spec.lifetime, units_per_domain=per,
        installed=lambda: range(domains), born=lambda: born,
        strike=lambda strike: places.append((agenda.now, strike.place)),
    )  # fmt: skip
    source.set_population(domains * per)
    agenda.run(until=until)
    return [place for _, place in places]


def weibull_renewals(shape: float, life: float, until: float) -> float:
    """Renewal function of Weibull lives by the renewal equation on a grid (trapezoid). [-]"""
    steps = 1500
    grid = np.linspace(0.0, until, steps + 1)
    failed = -np.expm1(-((grid / life) ** shape))
    counts = np.zeros(steps + 1)
    for i in range(1, steps + 1):
        density = np.diff(failed[: i + 1])[::-1]  # chance of a first failure i - j steps ago
        middle = 0.5 * (counts[:i] + counts[1 : i + 1])
        # the newest midpoint holds the value that is being solved for
        known = failed[i] + float(np.dot(middle[:-1], density[:-1])) + 0.5 * counts[i - 1] * density[-1]
        counts[i] = known / (1.0 - 0.5 * density[-1])
    return float(counts[-1])


def test_the_hazard_is_inverted() -> None:
    """The age found for a cumulative hazard has that hazard, for one part and for a bathtub."""
    bathtub = (HazardPart(shape=0.5, life="2000 days"), HazardPart(shape=5.0, life="2000 days"))
    for rate, parts in ((0.0, bathtub[:1]), (1e-8, bathtub)):
        for hazard in (1e-9, 1e-3, 0.7, 4.0):
            age = age_at(hazard, rate, parts)
            assert cumulative_hazard(age, rate, parts) == pytest.approx(hazard, rel=1e-9)


@pytest.mark.parametrize("shape", [0.6, 1.0, 3.0])
def test_weibull_renewals_of_many_units_equal_the_renewal_function(shape: float) -> None:
    """20,000 units over two characteristic lives: failures within four standard errors of N m(t)."""
    spec = a_class([{"shape": shape, "life": "10 days"}], renewed="always")
    found = len(strikes(spec, domains=2500, per=8, until=20 * DAY))
    expected = 20000 * weibull_renewals(shape, 10.0, 20.0)
    assert abs(found - expected) < 4.0 * math.sqrt(expected)
    assert math.sqrt(expected) < 0.01 * expected


def test_units_that_are_never_renewed_follow_the_power_law() -> None:
    """Minimal repair: failures of N units up to age t are Poisson with mean N (t / life)^k, from burn-in on."""
    spec = a_class([{"shape": 0.5, "life": "40 days"}], renewed="never", burn_in="10 days")
    found = len(strikes(spec, domains=1250, per=8, until=30 * DAY))
    expected = 10000 * (math.sqrt(40 / 40) - math.sqrt(10 / 40))
    assert abs(found - expected) < 4.0 * math.sqrt(expected)


def test_age_before_the_clock_starts_counts() -> None:
    """Units installed 90 days before the start have left most of their infant mortality behind."""
    spec = a_class([{"shape": 0.5, "life": "90 days"}], renewed="never")
    found = len(strikes(spec, domains=1250, per=8, until=90 * DAY, born=-90 * DAY))
    expected = 10000 * (math.sqrt(2.0) - 1.0)
    assert abs(found - expected) < 4.0 * math.sqrt(expected)


def test_every_unit_is_hit_alike() -> None:
    """Places of failures are uniform over the installed units."""
    spec = a_class([{"shape": 2.0, "life": "10 days"}], renewed="always")
    places = strikes(spec, domains=50, per=8, until=400 * DAY)
    counts = np.bincount((np.array(places) * 400).astype(int), minlength=400)
    assert counts.min() > 25  # mean 45 renewals, standard deviation 3.5
    assert counts.max() < 65


def test_cost_does_not_depend_on_the_number_of_units() -> None:
    """A million units with a thousandth of the hazard are as many events as a thousand units."""
    few = a_class([{"shape": 2.0, "life": "10 days"}])
    many = a_class([{"shape": 2.0, "life": f"{10 * math.sqrt(1000)} days"}])
    found = [
        len(strikes(few, domains=125, per=8, until=5 * DAY)),
        len(strikes(many, domains=125000, per=8, until=5 * DAY)),
    ]
    assert found == [pytest.approx(250, abs=64)] * 2


def test_infant_mortality_falls_in_a_whole_run(play: Play) -> None:
    """Shape 0.5 without renewal: the first quarter of the run sees half of all failures."""
    spec = fault("gpu", "0 /s", "nothing", lifetime={"parts": [{"shape": 0.5, "life": "1 days"}]})
    result = play(
        horizon="100 days", jobs={"one": a_job(gpus=128, tokens=10**7)}, faults={"classes": {"young": spec}}
    )
    times = [row.time for row in result.events if row.kind == "failure"]
    early = sum(1 for time in times if time < 25 * DAY)
    expected = 128 * math.sqrt(100.0)
    assert abs(len(times) - expected) < 4.0 * math.sqrt(expected)
    assert abs(early - len(times) / 2) < 2.0 * math.sqrt(len(times))


def test_added_and_removed_capacity_keeps_the_ages_of_the_rest(play: Play) -> None:
    """Wear-out: units installed later fail later, and removed ones no more."""
    life = {"parts": [{"shape": 20.0, "life": "50 days"}], "renewed": "always"}
    spec = fault("domain", "0 /s", "nothing", lifetime=life)
    steps = [
        {"at": "2026-01-01", "gpus": 64},
        {"at": "2026-01-21", "gpus": 128},
        {"at": "2026-01-25", "gpus": 96},
    ]
    result = play(
        jobs={"one": a_job(gpus=64, tokens=10**7)},
        faults={"classes": {"old": spec}},
        cluster={"sites": {"here": {"partitions": {"all": {"capacity": steps}}}}},
    )
    times = sorted(row.time / DAY for row in result.events if row.kind == "failure" and row.time < 80 * DAY)
    assert len(times) == 12
    assert times[0] > 30
    assert times[7] < 57 < times[8] < times[11] < 75


def test_the_optimal_interval_reckons_with_the_hazard_ahead(play: Play) -> None:
    """Young units fail more often than the constant rate says, so `optimal` saves more often."""
    base = fault("gpu", "1e-8 /s", "nothing")
    life = {"parts": [{"shape": 0.5, "life": "1000 days"}]}
    saves = []
    for spec in (base, base | {"lifetime": life}):
        result = play(
            horizon="20 days",
            jobs={"one": a_job(gpus=128, tokens=10**7)},
            faults={"classes": {"any": spec}},
            checkpoint={"tiers": [{"name": "storage", "mode": "sync", "interval": "optimal"}]},
        )
        saves.append(sum(row.saves for row in result.intervals))
    assert saves[1] > 1.5 * saves[0]


def test_measured_gaps_are_drawn_again() -> None:
    """The empirical law keeps the stated mean and the measured squared coefficient of variation."""
    spec = FaultClass.model_validate(
        fault("site", "1 /day", "nothing", distribution="empirical", gaps=["1 h", "1 h", "2 h", "20 h"])
    )
    rng = np.random.default_rng(3)
    drawn = np.array([gap(spec, rng) for _ in range(40000)])
    assert drawn.mean() == pytest.approx(1.0, abs=4.0 * math.sqrt(1.82 / 40000))
    assert drawn.var() == pytest.approx(406 / 4 / 36 - 1, rel=0.05)
    assert set(np.round(drawn * 6.0, 9)) == {1.0, 2.0, 20.0}
