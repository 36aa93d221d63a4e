"""What a repair leaves unmended, and which unit is blamed: defects that stay and come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from colossus_sim.engine.agenda import Order
from colossus_sim.engine.failures import by_hand, draw_strike, repair_law, repair_time
from colossus_sim.engine.hits import Hit
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import Repair

if TYPE_CHECKING:
    from colossus_sim.engine.world import World


class Course(NamedTuple):
    """How a repair goes.

    Attributes
    ----------
    automatic, manual : float or None
        Time of each stage; None = there is no such stage. [s]
    mended : bool
        Whether the unit is mended at its end.
    note : str
        In words, for the event log; empty for repairs of one stage that always mend.
    """

    automatic: float | None
    manual: float | None
    mended: bool = True
    note: str = ""


def plain(repair: Repair) -> bool:
    """Say whether a repair has one stage that always mends."""
    return not (repair.auto_first or repair.auto_unmended or repair.manual_unmended)


class Defects:
    """Draws the course of repairs and of diagnoses, and brings back failures that were not mended.

    Its random numbers have streams of their own, so that switching it on moves no failure.
    """

    def __init__(self, world: World, strike: Callable[[Hit], bool]) -> None:
        self._world = world
        self._strike = strike
        self._streams: dict[tuple[str, str, str, str], np.random.Generator] = {}
        self._open: dict[tuple[str, str, int, int], dict[str, object]] = {}
        """Defects that will come back: by unit (site, partition, domain, node), then by class."""
        self._recurs = any(
            spec.repair is not None and spec.repair.recurs_after is not None
            for spec in world.scenario.faults.classes.values()
        )

    def _draws(self, purpose: str, hit: Hit) -> np.random.Generator:
        key = (purpose, hit.site.name, hit.partition.pool.name, hit.name)
        if key not in self._streams:
            self._streams[key] = stream(self._world.seed, *key)
        return self._streams[key]

    # -- repair --------------------------------------------------------------------------------------

    def course(self, hit: Hit, repair: Repair) -> Course:
        """Return how the repair of what was hit goes."""
        strike, hands = hit.strike, by_hand(repair, hit.strike)
        if plain(repair):
            seconds = repair_time(repair, strike)
            return Course(None, seconds) if hands else Course(seconds, None)
        rng = self._draws("repair", hit)
        # Always three draws, so that they can be drawn ahead of knowing what fails.
        lot, normal, exponential = float(rng.random()), rng.standard_normal(), rng.standard_exponential()
        mended = lot >= (repair.manual_unmended if hands else repair.auto_unmended)
        note = ("by hand" if hands else "automatic") + ("" if mended else ", not mended")
        if not repair.auto_first:
            seconds = repair_time(repair, strike)
            return Course(None, seconds, mended, note) if hands else Course(seconds, None, mended, note)
        first = repair_law(repair, repair.auto_time, strike.normal, strike.exponential)
        if not hands:
            return Course(first, None, mended, note)
        second = repair_law(repair, repair.manual_time, float(normal), float(exponential))
        return Course(first, second, mended, note)

    # -- diagnosis -----------------------------------------------------------------------------------

    def blamed(self, hit: Hit) -> Hit | None:
        """Return what goes for repair: what was hit, another unit of the same job, or None for nothing."""
        spec, phase = self._world.scenario.faults.diagnosis, hit.phase
        if spec is None or phase is None or hit.spec.removes not in ("node", "domain"):
            return hit
        rng = self._draws("diagnosis", hit)
        if float(rng.random()) < spec.missed:
            self._note(hit, "no unit is blamed")
            self.stays(hit)
            return None
        if float(rng.random()) >= spec.wrong or len(phase.domains) < 2:
            return hit
        others = [domain for domain in phase.domains if domain != hit.domain]
        domain = others[int(rng.integers(len(others)))]
        node = int(rng.integers(hit.partition.pool.nodes_per_domain))
        self._note(hit, f"domain {domain} is blamed")
        self.stays(hit)
        return hit._replace(domain=domain, node=node)

    def _note(self, hit: Hit, text: str) -> None:
        self._world.recorder.event(
            self._world.agenda.now, "misdiagnosis", *hit.where, subject=hit.name, value=hit.domain, note=text
        )

    # -- what comes back -----------------------------------------------------------------------------

    def _units(self, hit: Hit) -> list[tuple[str, str, int, int]]:
        """Return the units that a repair of what was hit is about: its node, or all nodes of its domain."""
        pool = hit.partition.pool
        nodes = range(pool.nodes_per_domain) if hit.spec.removes == "domain" else (hit.node,)
        return [(hit.site.name, pool.name, hit.domain, node) for node in nodes]

    def mended(self, hit: Hit) -> None:
        """A repair has mended a unit: nothing comes back."""
        if self._recurs:
            for unit in self._units(hit):
                self._open.pop(unit, None)

    def stays(self, hit: Hit) -> None:
        """What was hit is in service again, or still, and was not mended: its failure comes back some time."""
        repair = hit.spec.repair
        if repair is None or repair.recurs_after is None:
            return
        token = object()
        self._open.setdefault(self._units(hit)[0], {})[hit.name] = token
        self._wait(hit._replace(phase=None), token, repair.recurs_after)

    def _wait(self, hit: Hit, token: object, mean: float) -> None:
        seconds = mean * float(self._draws("recurrence", hit).standard_exponential())
        again = partial(self._again, hit, token, mean)
        self._world.agenda.at(self._world.agenda.now + seconds, Order.FAILURE, again)

    def _again(self, hit: Hit, token: object, mean: float) -> None:
        """Let a failure come back; a unit that cannot fail now (under repair, at rest) goes on waiting."""
        defects = self._open.get(self._units(hit)[0], {})
        if defects.get(hit.name) is not token:
            return
        del defects[hit.name]
        strike = draw_strike(hit.spec, self._draws("recurrence", hit), hit.strike.place)
        if not self._strike(hit._replace(strike=strike)):
            self._open.setdefault(self._units(hit)[0], {})[hit.name] = token
            self._wait(hit, token, mean)
