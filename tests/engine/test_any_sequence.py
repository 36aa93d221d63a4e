"""Any sequence of failures, repairs, preemptions, resizes and saves keeps the books straight."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from colossus_sim.engine import runner
from colossus_sim.engine.agenda import Order
from colossus_sim.engine.signals import Stop
from colossus_sim.engine.storage_desk import StorageDesk
from colossus_sim.engine.world import World
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import a_job, a_scenario, fake_model, fault

SPARES, DOMAIN, SITE, PART = 1, 8, "here", "all"
REPAIR = {"auto_fraction": 1, "auto_time": "2 h", "distribution": "fixed"}
CLASSES = {
    "soft": fault("gpu", "1e-12 /day", "nothing", detection="30 s"),
    "node": fault("domain", "1e-12 /day", "domain", repair=REPAIR),
    "slow": fault("domain", "1e-12 /day", "domain", repair=REPAIR, interrupts=False, slowdown=2),
}
"""So rare that only the test makes them happen."""


def a_world(storage_access: str) -> World:
    """Three jobs, one elastic and one with a spare of its own, that ask for more than the 128 GPUs there are."""
    jobs = {
        "one": a_job(gpus=64, tokens=3000, priority=1, min_gpus=32),
        "narrow": a_job(gpus=32, tokens=4000, spare_domains=1),
        "late": a_job(gpus=64, tokens=2000, priority=2),
    }
    partition = {"spare_domains": SPARES}
    scenario = Scenario.model_validate(
        a_scenario(
            jobs=jobs, faults={"classes": CLASSES}, horizon="100 days",
            cluster={"sites": {SITE: {"partitions": {PART: partition}}}},
            checkpoint={"tiers": [{"name": "storage", "mode": "sync", "interval": "500 s"}]},
            policies={"preemption": "priority", "storage_access": storage_access},
        )
    )  # fmt: skip
    world = World(scenario, 3)
    runner._build_sites(world, StorageDesk)
    runner._build_phases(world, fake_model)
    world.faults.add_sources()
    runner._plan_capacity(world)
    runner._plan_submissions(world)
    return world


class Cluster(RuleBasedStateMachine):
    """A running world to which things happen in any order."""

    @initialize(storage_access=st.sampled_from(["mean", "first_come"]))
    def begin(self, storage_access: str) -> None:
        """Start, and let the jobs be placed."""
        self.world = a_world(storage_access)
        self.pool = self.world.sites[SITE].partitions[PART].pool
        self.before = 0.0
        self.world.agenda.run(until=100.0)

    def happen(self, order: Order, action: Callable[[], None]) -> None:
        """Let something happen now, in its place among the events of this instant, and a second pass."""
        agenda = self.world.agenda
        agenda.at(agenda.now, order, action)
        agenda.run(until=agenda.now + 1.0)

    @rule(seconds=st.sampled_from([1, 37, 600, 7300, 100_000]))
    def let_time_pass(self, seconds: int) -> None:
        """Work, save, restart, repair."""
        self.world.agenda.run(until=self.world.agenda.now + seconds)

    @rule(name=st.sampled_from(sorted(CLASSES)))
    def fail(self, name: str) -> None:
        """Something fails at a place of its own choice."""
        source = self.world.faults._sources[SITE, PART, name]
        self.happen(Order.FAILURE, lambda: source._fire(source._version))

    @rule(index=st.integers(0, 2))
    def preempt(self, index: int) -> None:
        """One job is told to save and leave."""
        phase = self.world.phases[index]

        def stop() -> None:
            if phase.domains and not phase.leaving:
                phase.leaving = True
                phase.notify(Stop("gpu_wait"))

        self.happen(Order.SCHEDULING, stop)

    @rule(gpus=st.sampled_from([64, 96, 120, 128]))
    def resize(self, gpus: int) -> None:
        """Capacity arrives or leaves."""
        site = self.world.sites[SITE]
        change = partial(self.world.announce_capacity, site, site.partitions[PART], gpus, "")
        self.happen(Order.CAPACITY, change)

    @invariant()
    def each_gpu_is_in_one_state(self) -> None:
        """Owners, counts and the phases' own lists agree, and the states add up to what is installed."""
        pool = self.pool
        states = pool.gpus_by_state()
        assert min(states) >= 0
        assert sum(states) == pool.installed_gpus
        assert states[-1] == sum(pool.broken.values())
        for phase in self.world.phases:
            owned = {int(domain) for domain in (pool.owner == phase.number).nonzero()[0]}
            assert owned == set(phase.domains)
        assert not set(itertools.chain(*(phase.domains for phase in self.world.phases))) & {
            domain for domain in pool.broken if pool.owner[domain] < 0
        }

    @invariant()
    def own_spares_are_there_only_while_their_job_holds_gpus(self) -> None:
        """Nobody else's, at most as many as it wants, counted once, and none of them too broken to be used."""
        for phase in self.world.phases:
            place = self.pool.own.place(phase.number)
            ready = (self.pool.owner == place).nonzero()[0]
            assert len(ready) == self.pool.own.count(phase.number)
            assert len(ready) <= (phase.job.spare_domains if phase.domains else 0)
            assert not any(self.pool.gpus_left(int(domain)) < self.pool.used_per_domain for domain in ready)

    @invariant()
    def time_goes_forward(self) -> None:
        """Neither the clock nor the log goes back, and work done never exceeds the work there is."""
        now, times = self.world.agenda.now, [row.time for row in self.world.recorder.events]
        assert now >= self.before
        assert times == sorted(times)
        self.before = now
        for phase in self.world.phases:
            assert 0 <= phase.work.safe_units <= phase.work.total
            assert phase.work.units <= phase.work.total

    def teardown(self) -> None:
        """GPU-seconds that jobs held are those that the partition had allocated."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for phase in world.phases:
            phase.close_interval()
        world.record_levels()
        held = math.fsum(row.held * (row.end - row.start) for row in world.recorder.entries)
        levels = world.recorder.levels
        ends = [*(row.time for row in levels[1:]), world.agenda.now]
        allocated = math.fsum(row.allocated * (end - row.time) for row, end in zip(levels, ends, strict=True))
        assert math.isclose(held, allocated, rel_tol=1e-9, abs_tol=1e-6)
        for row in levels:
            assert row.allocated + row.idle + row.spare + row.stranded + row.down == row.installed


Cluster.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnySequence = Cluster.TestCase


def test_room_made_for_one_job_is_not_taken_by_another() -> None:
    """Two jobs of low priority take turns in what was freed for a third for ever, unless it is kept for it."""
    cluster = Cluster()
    cluster.begin(storage_access="mean")
    cluster.resize(gpus=120)
    cluster.fail(name="node")
    for index in (1, 0, 2, 2):
        cluster.preempt(index=index)
        cluster.fail(name="node")
    cluster.resize(gpus=96)
    cluster.fail(name="node")
    cluster.let_time_pass(seconds=7300)

    late = cluster.world.phases[2]
    assert len(late.domains) == 8
    cluster.teardown()
