"""Failures by the age of units: renewal processes of a whole partition at a cost linear in failures.

The units that have never been renewed since they were installed together form a cohort of one age, so the next
failure among n of them comes when their summed cumulative hazard has grown by a standard exponential draw. Each
renewed unit has a life of its own, drawn when it begins. Both are exact: nothing is drawn per unit that does
not fail.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colossus_sim.engine.agenda import Agenda, Order
from colossus_sim.engine.failures import Strike, by_hand, draw_strike
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import FaultClass
from colossus_sim.specs.lifetimes import HazardPart, Lifetime

if TYPE_CHECKING:
    from colossus_sim.engine.pool import PartitionPool
    from colossus_sim.engine.world import World

_HALVINGS = 200
"""More than a double has bits, so that the inversion ends by itself."""
_TRIES = 64
"""Draws by rejection before the members of a cohort are listed."""


def cumulative_hazard(age: float, rate: float, parts: Sequence[HazardPart]) -> float:
    """Return the expected failures of one unit from new to an age: rate a + sum (a / life)^shape.

    Additive Weibull model (Xie and Lai 1996, doi:10.1016/0951-8320(95)00149-2, eq. 1).
    """
    return rate * age + math.fsum((age / part.life) ** part.shape for part in parts)


def age_at(hazard: float, rate: float, parts: Sequence[HazardPart]) -> float:
    """Return the age at which the cumulative hazard reaches a value. [s]"""
    if rate == 0.0 and len(parts) == 1:
        return parts[0].life * math.pow(hazard, 1.0 / parts[0].shape)
    high = min(
        part.life * math.pow(hazard, 1.0 / part.shape) for part in parts
    )  # each part alone comes later
    low = 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if cumulative_hazard(middle, rate, parts) < hazard:
            low = middle
        else:
            high = middle
    return high


@dataclass(slots=True)
class _Cohort:
    """Units that were installed together and have not been renewed."""

    born: float
    domains: list[int]
    own: int = 0
    """Units in its domains that have a life of their own."""
    left: float = 0.0
    """Cumulative hazard of all its units until the next failure."""


class LifetimeSource:
    """Failures of one class among the installed units of a partition.

    Parameters
    ----------
    installed : callable
        Returns the installed domains, in order.
    born : callable
        Returns when units installed now were new (before now if they were there before the clock started). [s]
    """

    def __init__(
        self,
        agenda: Agenda,
        seed: int,
        names: tuple[str, ...],
        spec: FaultClass,
        life: Lifetime,
        *,
        units_per_domain: int,
        installed: Callable[[], Sequence[int]],
        born: Callable[[], float],
        strike: Callable[[Strike], None],
    ) -> None:
        self._agenda = agenda
        self._spec = spec
        self._life = life
        self._strike = strike
        self._rng = stream(seed, "failure", *names)
        self._per_domain = units_per_domain
        self._installed = installed
        self._born = born
        self._domains: list[int] = []
        self._cohorts: list[_Cohort] = []
        self._home: dict[int, _Cohort] = {}
        """Cohort of each installed domain."""
        self._ends: dict[int, float] = {}
        """When each unit with a life of its own fails next; units are domain x units per domain + place."""
        self._births: dict[int, float] = {}
        """When each of these was new."""
        self._heap: list[tuple[float, int]] = []
        self._since = agenda.now
        self._version = 0

    # -- population ----------------------------------------------------------------------------------

    def set_population(self, units: float) -> None:
        """Take note of domains that came or went (`units` is what the installed domains amount to)."""
        self._pass_time()
        before, self._domains = self._home.keys(), [int(domain) for domain in self._installed()]
        fresh = [domain for domain in self._domains if domain not in before]
        self._forget(before - set(self._domains))
        if fresh:
            cohort = _Cohort(self._born() - self._life.burn_in, fresh)
            cohort.left = float(self._rng.standard_exponential())
            self._cohorts.append(cohort)
            self._home.update(dict.fromkeys(fresh, cohort))
        self._plan()

    def _forget(self, gone: Set[int]) -> None:
        if not gone:
            return
        for unit in [unit for unit in self._ends if unit // self._per_domain in gone]:
            del self._ends[unit], self._births[unit]
            self._home[unit // self._per_domain].own -= 1
        for cohort in self._cohorts:
            cohort.domains = [domain for domain in cohort.domains if domain not in gone]
        self._cohorts = [cohort for cohort in self._cohorts if cohort.domains]
        self._home = {domain: cohort for domain, cohort in self._home.items() if domain not in gone}

    def _members(self, cohort: _Cohort) -> int:
        return len(cohort.domains) * self._per_domain - cohort.own

    def hazard_ahead(self) -> float:
        """Return the mean failures per unit and time over the outlook, all units as old as their cohort. [1/s]"""
        if not self._domains:
            return self._spec.rate
        now, ahead = self._agenda.now, self._life.outlook
        grown = math.fsum(
            len(one.domains) * (self._hazard(now + ahead - one.born) - self._hazard(now - one.born))
            for one in self._cohorts
        )
        return grown / len(self._domains) / ahead

    def _hazard(self, age: float) -> float:
        return cumulative_hazard(age, self._spec.rate, self._life.parts)

    # -- failures ------------------------------------------------------------------------------------

    def _pass_time(self) -> None:
        """Use up the hazard since the last change."""
        now = self._agenda.now
        for cohort in self._cohorts:
            grown = self._hazard(now - cohort.born) - self._hazard(self._since - cohort.born)
            cohort.left -= grown * self._members(cohort)
        self._since = now

    def _due(self, cohort: _Cohort) -> float:
        """Return when the next unit of a cohort fails; infinity if it has none. [s]"""
        members = self._members(cohort)
        if not members:
            return math.inf
        hazard = self._hazard(self._since - cohort.born) + max(cohort.left, 0.0) / members
        return max(cohort.born + age_at(hazard, self._spec.rate, self._life.parts), self._since)

    def _plan(self) -> None:
        self._version += 1
        version = self._version
        while self._heap and self._ends.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        due, which = min(
            ((self._due(cohort), index) for index, cohort in enumerate(self._cohorts)), default=(math.inf, 0)
        )
        if self._heap and self._heap[0][0] < due:
            due, which = self._heap[0][0], -1
        self._agenda.at(due, Order.FAILURE, lambda: self._fire(version, which))

    def _fire(self, version: int, which: int) -> None:
        """Let the unit that is due fail: one of a cohort, or (-1) the first of those with a life of their own."""
        if version != self._version:
            return
        self._pass_time()
        if which < 0:
            unit = heapq.heappop(self._heap)[1]
        else:
            unit = self._choose(self._cohorts[which])
            self._cohorts[which].left = float(self._rng.standard_exponential())
        strike = draw_strike(self._spec, self._rng, self._place(unit))
        now = self._agenda.now
        if self._renews(strike):
            self._begin_life(unit, now - self._life.burn_in)
        elif which < 0:
            self._begin_life(unit, self._births[unit])
        self._plan()
        self._strike(strike)

    def _choose(self, cohort: _Cohort) -> int:
        """Return any unit of the cohort that has no life of its own, each with the same chance."""
        size = self._per_domain
        total = len(cohort.domains) * size
        for _ in range(_TRIES):
            index = int(self._rng.integers(total))
            unit = cohort.domains[index // size] * size + index % size
            if unit not in self._ends:
                return unit
        every = (domain * size + place for domain in cohort.domains for place in range(size))
        left = [unit for unit in every if unit not in self._ends]
        return left[int(self._rng.integers(len(left)))]

    def _place(self, unit: int) -> float:
        """Return where a unit is among the installed ones, from 0 to 1, at a random point inside it."""
        domain, inside = divmod(unit, self._per_domain)
        index = bisect_left(self._domains, domain)
        return (index + (inside + float(self._rng.random())) / self._per_domain) / len(self._domains)

    def _renews(self, strike: Strike) -> bool:
        repair = self._spec.repair
        if self._life.renewed == "by_hand":
            return repair is not None and by_hand(repair, strike)
        return self._life.renewed == "always"

    def _begin_life(self, unit: int, born: float) -> None:
        """Give a unit that has just failed a life of its own, as old as its birth says."""
        if unit not in self._ends:
            self._home[unit // self._per_domain].own += 1
        hazard = self._hazard(self._agenda.now - born) + float(self._rng.standard_exponential())
        end = max(born + age_at(hazard, self._spec.rate, self._life.parts), self._agenda.now)
        self._births[unit] = born
        self._ends[unit] = end
        heapq.heappush(self._heap, (end, unit))


def lifetime_source(
    world: World,
    pool: PartitionPool,
    names: tuple[str, ...],
    spec: FaultClass,
    strike: Callable[[Strike], None],
) -> LifetimeSource:
    """Return the source of a class with a `lifetime` in a partition.

    Raises
    ------
    ValueError
        If the class has none (a bug).
    """
    if spec.lifetime is None:
        raise ValueError(f"{names[-1]} has no lifetime")

    def born() -> float:
        now, at = world.agenda.now, math.nan
        for step in pool.spec.capacity:
            if step.gpus == pool.installed_gpus and max(0.0, world.clock(step.at)) == now:
                at = world.clock(step.at)
        return now if math.isnan(at) else at

    sizes = {"gpu": pool.domain_gpus, "node": pool.nodes_per_domain, "domain": 1}
    return LifetimeSource(
        world.agenda,
        world.seed,
        names,
        spec,
        spec.lifetime,
        units_per_domain=sizes[spec.per],
        installed=lambda: pool.installed_ids.tolist(),
        born=born,
        strike=strike,
    )
