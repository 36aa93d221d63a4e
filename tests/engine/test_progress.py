"""The closed forms of a stretch, against a walk through every step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.engine.progress import SaveTier, Stretch


def tier(name: str, period: int, stall: float, drain: float = 0.0) -> SaveTier:
    """A save tier with the fields that matter here."""
    return SaveTier(name=name, period=period, stall=stall, drain=drain, restore=0.0, survives=3)


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    """Any stretch with up to three nested tiers, in quarters of a second so that sums are exact."""
    quarter = st.integers(1, 40).map(lambda n: n / 4)
    period = 1
    tiers = []
    for index in range(draw(st.integers(0, 3))):
        period *= draw(st.integers(1, 4))
        tiers.append(tier(f"tier{index}", period, draw(quarter), draw(st.integers(0, 20)) / 4))
    units = draw(st.integers(0, 30)) + draw(st.sampled_from([0.0, 0.25, 0.5]))
    return Stretch(
        draw(st.integers(0, 100)) / 4, units, draw(quarter), draw(st.sampled_from([0.0, 0.5])), tuple(tiers)
    )


def walk(stretch: Stretch, until: float) -> tuple[float, float, float, dict[str, int]]:
    """Play every step: (units, rest of save, stalled, last readable save of each tier)."""
    time = stretch.start
    stalled = 0.0
    saved: dict[str, int] = {}
    units = stretch.units
    rest = stretch.stall_left
    while True:
        if time + rest > until:
            return units, time + rest - until, stalled + until - time, saved
        time += rest
        stalled += rest
        whole = int(units) + 1
        end = time + (whole - units) * stretch.unit_time
        if end > until:
            return units + (until - time) / stretch.unit_time, 0.0, stalled, saved
        time, units = end, float(whole)
        rest = 0.0
        for one in stretch.tiers:
            if whole % one.period == 0:
                rest = one.stall
        for one in stretch.tiers:
            if whole % one.period == 0 and time + rest + one.drain <= until:
                saved[one.name] = whole


@given(stretches(), st.integers(0, 2000).map(lambda n: n / 8))
def test_stretch_equals_a_walk_through_every_step(stretch: Stretch, elapsed: float) -> None:
    """Units, rest of a save, stalled time and readable saves agree with playing each step."""
    until = stretch.start + elapsed
    units, rest, stalled, saved = walk(stretch, until)

    assert stretch.at(until).position() == pytest.approx((units, rest), abs=1e-6)
    assert stretch.at(until).stall_time() == pytest.approx(stalled, abs=1e-6)
    assert {
        one.name: unit for one in stretch.tiers if (unit := stretch.at(until).last_save(one)) is not None
    } == saved


@given(stretches(), st.integers(0, 400))
def test_end_of_a_unit_is_where_the_position_reaches_it(stretch: Stretch, ahead: int) -> None:
    """The unit that ends at a time is the last whole unit by that time."""
    unit = int(stretch.units) + 1 + ahead

    assert unit == stretch.last_unit_by(stretch.end_of(unit))


def test_a_save_that_ends_at_the_very_moment_counts() -> None:
    """A synchronous save is readable from the instant at which it ends."""
    stretch = Stretch(0.0, 0.0, 1.0, 0.0, (tier("storage", 10, 5.0),))

    assert stretch.at(15.0).last_save(stretch.tiers[0]) == 10
    assert stretch.at(14.9).last_save(stretch.tiers[0]) is None


def test_an_asynchronous_save_is_pending_until_it_is_drained() -> None:
    """Between snapshot and end of the drain the copy is on its way, with a known time of arrival."""
    stretch = Stretch(0.0, 0.0, 1.0, 0.0, (tier("storage", 10, 0.5, drain=4.0),))

    assert stretch.at(13.0).last_save(stretch.tiers[0]) is None
    assert stretch.at(13.0).pending_save(stretch.tiers[0]) == (10, 14.5)
    assert stretch.at(14.5).last_save(stretch.tiers[0]) == 10
    assert stretch.at(13.0).saves() == 1
