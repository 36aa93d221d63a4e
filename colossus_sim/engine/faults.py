"""Failure sources of a run: how many units each counts, and how often a phase is stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.failures import FailureSource, Strike
from colossus_sim.engine.groups import domains_hit, groups_installed, groups_touched
from colossus_sim.engine.hits import Hit, failure_of
from colossus_sim.engine.lifetimes import LifetimeSource, lifetime_source
from colossus_sim.engine.network_parts import Network, network_part_problems, switches_installed
from colossus_sim.engine.site import PartitionState, SiteState
from colossus_sim.engine.strikes import Strikes
from colossus_sim.errors import ScenarioError
from colossus_sim.randomness import stream
from colossus_sim.specs.faults import FaultClass

if TYPE_CHECKING:
    from colossus_sim.engine.holding import Holding
    from colossus_sim.engine.world import World


_EVERY = ("gpu", "node", "domain", "group", "switch", "site", "job")
"""All that a rate may count."""


class FaultInjector:
    """All failure sources of a run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._strikes = Strikes(world)
        self._sources: dict[tuple[str, str, str], FailureSource | LifetimeSource] = {}
        self._lifetimes: dict[tuple[str, str, str], LifetimeSource] = {}
        self._stopping = [
            (name, spec, failure_of(name, spec).rank)
            for name, spec in self.classes(*_EVERY)
            if spec.interrupts and not spec.planned
        ]

    def classes(self, *per: str) -> list[tuple[str, FaultClass]]:
        """Return the failure classes whose rate counts one of these."""
        faults = self._world.scenario.faults
        if not faults.enabled:
            return []
        return [(name, spec) for name, spec in faults.classes.items() if spec.per in per]

    def rates(self, phase: Holding) -> tuple[float, ...]:
        """Return the rate at which failures of each rank stop a phase. [1/s]"""
        rates = [0.0] * len(REMOVES)
        if not phase.domains:
            return tuple(rates)
        pool = phase.held_partition().pool
        domains = len(phase.domains)
        used = domains * pool.used_per_domain
        units = {
            "gpu": used,
            "node": used / pool.node_gpus,
            "domain": domains,
            "group": 1,
            "site": 1,
            "job": 1,
        }
        for name, spec, rank in self._stopping:
            rate = spec.rate
            if spec.lifetime is not None:
                rate = self._lifetimes[phase.site.name, pool.name, name].hazard_ahead()
            count = units[spec.per] if spec.group is None else groups_touched(phase.domains, spec.group)
            rates[rank] += count * rate
        return tuple(rates)

    @property
    def ageing(self) -> bool:
        """Whether rates change with the age of units."""
        return bool(self._lifetimes)

    def add_sources(self) -> None:
        """Create the failure sources of all sites and partitions."""
        networks = [
            Network(site.spec.topology, partition.pool.spec.gpu, partition.fabric)
            for site in self._world.sites.values()
            for partition in site.partitions.values()
        ]
        wrong = list(network_part_problems(networks, self.classes(*_EVERY)))
        if wrong:
            raise ScenarioError(wrong)
        for site in self._world.sites.values():
            self._strikes.open_site(site)
            for name, spec in self.classes("site"):
                self._add(site, None, name, spec).set_population(1.0)
            for partition in site.partitions.values():
                for name, spec in self.classes("gpu", "node", "domain", "group", "switch"):
                    self._add(site, partition, name, spec)

    def _add(
        self, site: SiteState, partition: PartitionState | None, name: str, spec: FaultClass
    ) -> FailureSource | LifetimeSource:
        key = (site.name, partition.pool.name if partition else "", name)
        strike: Callable[[Strike], None]
        if partition is None:
            strike = partial(self._strikes.strike_site, site, name, spec)
        elif spec.group is not None:
            strike = self._group_strike(site, partition, name, spec)
        else:
            strike = partial(self._strikes.strike, site, partition, name, spec)
        source: FailureSource | LifetimeSource
        if spec.lifetime is not None and partition is not None:
            source = self._lifetimes[key] = lifetime_source(self._world, partition.pool, key, spec, strike)
        else:
            source = FailureSource(self._world.agenda, self._world.seed, key, spec, strike)
        self._sources[key] = source
        return source

    def _group_strike(
        self, site: SiteState, partition: PartitionState, name: str, spec: FaultClass
    ) -> Callable[[Strike], None]:
        """Return what a failure of a whole group does."""
        chooses = stream(self._world.seed, "group", site.name, partition.pool.name, name)

        def strike(drawn: Strike) -> None:
            if spec.group is not None:
                struck = domains_hit(partition.pool, spec.group, drawn.place, chooses)
                first = Hit(site=site, partition=partition, name=name, spec=spec, strike=drawn)
                self._strikes.strike_group(first, struck)

        return strike

    def set_populations(self, site: SiteState, partition: PartitionState) -> None:
        """Tell the sources of a partition how many units there are now."""
        pool = partition.pool
        domains = len(pool.installed_ids)
        units = {
            "gpu": domains * pool.domain_gpus,
            "node": domains * pool.nodes_per_domain,
            "domain": domains,
        }
        for name, spec in self.classes(*units, "group", "switch"):
            if spec.per == "switch":
                count = switches_installed(partition.fabric, spec, domains)
            else:
                count = units[spec.per] if spec.group is None else groups_installed(pool, spec.group)
            self._sources[(site.name, pool.name, name)].set_population(count)
