"""Repairs with few hands and few parts."""

from __future__ import annotations

from functools import partial

from colossus_sim.engine.agenda import Agenda
from colossus_sim.engine.workshop import Workshop


def ends(*, crew: int | None, parts: int | None, jobs: int = 4) -> list[float]:
    """When each of several units that break at once is mended; ten seconds of work each, parts take 100 s."""
    agenda = Agenda()
    shop = Workshop(agenda, crew=crew, parts=parts, lead_time=100.0)
    done: list[float] = []
    for _ in range(jobs):
        shop.repair(10.0, partial(lambda: done.append(agenda.now)))
    agenda.run()
    return done


def test_without_limits_all_are_mended_at_once() -> None:
    """Nobody waits."""
    assert ends(crew=None, parts=None) == [10.0, 10.0, 10.0, 10.0]


def test_a_crew_of_two_works_in_pairs() -> None:
    """First come, first served."""
    assert ends(crew=2, parts=None) == [10.0, 10.0, 20.0, 20.0]


def test_when_parts_run_out_repairs_wait_for_the_delivery() -> None:
    """Three parts are there; the one that the first repair used comes back after 100 s."""
    assert ends(crew=None, parts=3) == [10.0, 10.0, 10.0, 110.0]
