"""From a scenario to the arrays of a run."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from colossus_sim.engine.agenda import Order, most_at_once
from colossus_sim.engine.checkpointing import REMOVES
from colossus_sim.engine.defects import plain
from colossus_sim.engine.disciplines import SCHEDULERS, by_priority, strict
from colossus_sim.engine.hits import failure_of
from colossus_sim.engine.kernel import state as layout
from colossus_sim.engine.kernel.book import MOST_SETS, TIER_SETS, Book
from colossus_sim.engine.kernel.draws import Defects
from colossus_sim.engine.kernel.faults import PER_DOMAIN, PER_GPU, PER_NODE, PER_SITE
from colossus_sim.engine.kernel.jit import COMPILED
from colossus_sim.engine.kernel.state import ABSENT, RESERVED, TIERS, Kind, State
from colossus_sim.engine.kernel.steps import CAUSE
from colossus_sim.engine.lemons import draw_lemons, lemon_count
from colossus_sim.engine.phase import PhaseRun
from colossus_sim.engine.pool import IntArray
from colossus_sim.engine.runner import predecessors
from colossus_sim.engine.site import PartitionState
from colossus_sim.specs.faults import FaultClass

_PER = {"gpu": PER_GPU, "node": PER_NODE, "domain": PER_DOMAIN, "site": PER_SITE}
_EVENTS, _ENTRIES, _LEVELS, _SLOW = 1 << 14, 1 << 14, 1 << 15, 1 << 11
"""Places to begin with; the arrays grow when they are full."""


def records(count: int | tuple[int, ...], kind: np.dtype[Any]) -> Any:
    """Return an array of empty records; with attributes where numba does not give them."""
    made = np.zeros(count, kind)
    return made if COMPILED else made.view(np.recarray)


def sources_of(book: Book) -> list[tuple[int, int, str, FaultClass]]:
    """Return (site, partition or -1, class name, class) of every source, in the order of the SimPy engine."""
    found, number = [], 0
    faults = book.world.faults
    for index, site in enumerate(book.world.sites.values()):
        found += [(index, -1, name, spec) for name, spec in faults.classes("site")]
        for _ in site.partitions:
            found += [(index, number, name, spec) for name, spec in faults.classes("gpu", "node", "domain")]
            number += 1
    return found


def hazards_of(book: Book) -> list[tuple[int, str, FaultClass]]:
    """Return (phase, class name, class) of every failure that a job brings on itself."""
    own = book.world.faults.classes("job")
    return [(phase.number, name, spec) for phase in book.world.phases for name, spec in own]


def lemons_of(book: Book) -> float:
    """Return the share of the nodes that fail more often."""
    faults = book.world.scenario.faults
    return faults.lemons.share if faults.enabled and faults.lemons is not None else 0.0


class Blueprint:
    """The arrays of a scenario before anything has happened; each run begins with a copy."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.sources = sources_of(book)
        self.hazards = hazards_of(book)
        self._before = list(predecessors(book.world.phases))
        self._domains = max(len(part.pool.owner) for part in book.parts)
        share = lemons_of(book)
        self._lemons = [lemon_count(part.pool, share) for part in book.parts]
        self.state = self._empty()
        self._fill_world()
        self._fill_sites()
        self._fill_sources()
        for phase, before in self._before:
            self._fill_phase(phase, waiting=len(before))
        self.state.costs["domains"] = -1

    def source_name(self, index: int) -> tuple[str, ...]:
        """Return the name of the random stream of a source."""
        site, part, name, _ = self.sources[index]
        partition = self.book.parts[part].pool.name if part >= 0 else ""
        return ("failure", list(self.book.world.sites)[site], partition, name)

    def course_name(self, index: int) -> tuple[str, ...]:
        """Return the name of the random stream of the repairs after a source."""
        return ("repair", *self.source_name(index)[1:])

    def defects(self, seed: int) -> Defects:
        """Return what draws the failures that come back, and who is blamed, in a run."""
        diagnosis = self.book.world.scenario.faults.diagnosis
        names = [self.source_name(index)[1:] for index in range(len(self.sources))]
        return Defects(seed, names, [spec for *_, spec in self.sources], diagnosis)

    def lemons(self, seed: int, part: int) -> IntArray:
        """Return the lemons of a partition in a run, by node."""
        return draw_lemons(seed, self.book.parts[part].pool, lemons_of(self.book))

    def hazard_name(self, index: int) -> tuple[str, ...]:
        """Return the name of the random stream of a job's own failures."""
        number, name, _ = self.hazards[index]
        phase = self.book.phase(number)
        return ("failure", "job", phase.job_name, phase.name, name)

    def restart_name(self, number: int) -> tuple[str, ...]:
        """Return the name of the random stream of a phase's restarts."""
        phase = self.book.phase(number)
        return ("restart", phase.job_name, phase.name)

    def _empty(self) -> State:
        phases, parts = len(self.book.world.phases), len(self.book.parts)
        sites, domains = len(self.book.world.sites), self._domains
        whole = np.int64
        return State(
            world=records(1, layout.WORLD),
            events=records(_EVENTS, layout.EVENT),
            plan=self._plan(),
            phases=records(phases, layout.PHASE),
            parts=records(parts, layout.PART),
            sites=records(sites, layout.SITE),
            sources=records(len(self.sources), layout.SOURCE),
            strikes=records((len(self.sources), 1), layout.STRIKE),
            courses=records((len(self.sources), 1), layout.COURSE),
            hazards=records(len(self.hazards), layout.HAZARD),
            gaps=records((len(self.hazards), 1), layout.GAP),
            restarts=records((phases, 1), layout.RESTART),
            choices=records((phases, parts), layout.CHOICE),
            links=self._links(),
            gates=self._gates(),
            saved=records((phases, TIERS), layout.SAVED),
            tiers=records((TIER_SETS, TIERS), layout.TIER),
            tier_count=np.zeros(TIER_SETS, whole),
            known=records((phases, layout.KNOWN), layout.KNOWN_TIERS),
            owner=np.full((parts, domains), ABSENT, whole),
            joined=np.zeros((parts, domains), whole),
            blocks=np.zeros((parts, -RESERVED + 1, math.isqrt(domains) + 2), whole),
            lemons=records((parts, max(self._lemons, default=1) or 1), layout.LEMON),
            broken=np.zeros((parts, domains), whole),
            installed=np.zeros((parts, domains), whole),
            owned=np.zeros(phases, whole),
            queue=np.zeros(phases, whole),
            waiting=np.zeros(phases, whole),
            in_turn=np.zeros(phases, whole),
            holders=np.zeros(phases, whole),
            changed=np.zeros(parts, whole),
            savers=np.zeros((sites, phases), whole),
            defects=records(_SLOW, layout.DEFECT),
            works=records(_SLOW, layout.WORK),
            slow=records(_SLOW, layout.SLOW),
            slow_now=np.zeros((parts, _SLOW), whole),
            shares=np.full((MOST_SETS, phases), -1, np.int32),
            members=np.zeros((phases, 2), whole),
            next_set=np.full((MOST_SETS, phases), -1, np.int32),
            next_layout=np.full((MOST_SETS, phases), -1, np.int32),
            costs=records((MOST_SETS, phases), layout.COST),
            entries=records(_ENTRIES, layout.ENTRY),
            levels=records(_LEVELS, layout.LEVEL),
        )

    # -- what does not change ------------------------------------------------------------------------

    def _fill_world(self) -> None:
        scenario, world = self.book.world.scenario, self.state.world
        spec, policy = scenario.faults.restart, SCHEDULERS[scenario.policies.scheduler]
        world["horizon"] = scenario.horizon
        world["reschedule_at"] = -1.0
        world["unfinished"] = len(self.book.world.phases)
        world["most_at_once"] = most_at_once(len(self.book.world.phases), self.book.world.domains)
        world["most_restarts"] = scenario.faults.max_restarts_without_progress
        world["by_priority"] = policy.order is by_priority
        world["strict"] = policy.discipline is strict
        world["share_links"] = scenario.policies.contention != "none"
        world["neumaier"] = sys.version_info >= (3, 12)
        world["manual_fraction"], world["manual_time"] = spec.manual_fraction, spec.manual_time
        world["swap_time"] = spec.swap_time
        world["selection_time"] = spec.selection_time
        world["watchdog"] = scenario.faults.watchdog
        world["diagnosis"] = scenario.faults.diagnosis is not None
        if scenario.faults.lemons is not None:
            world["lemon_factor"] = scenario.faults.lemons.factor
            world["lemons_mended"] = scenario.faults.lemons.mended_by_repair

    def _fill_sites(self) -> None:
        number = 0
        for index, site in enumerate(self.book.world.sites.values()):
            row = self.state.sites[index : index + 1]
            row["write_bandwidth"] = site.spec.storage.write_bandwidth
            row["read_bandwidth"] = site.spec.storage.read_bandwidth
            row["bandwidth_per_gpu"] = site.spec.storage.bandwidth_per_gpu
            row["first_part"], row["parts"] = number, len(site.partitions)
            limit = site.spec.power_limit
            row["power"] = math.inf if limit is None else limit / site.spec.pue
            row["power_exponent"], row["speed"] = site.spec.power_exponent, 1.0
            crew, stock = site.spec.repair_crew, site.spec.repair_parts
            row["limited"] = crew is not None or stock is not None
            row["crew"], row["stock"] = -1 if crew is None else crew, -1 if stock is None else stock
            row["lead_time"] = 0.0 if stock is None else site.spec.part_lead_time
            row["first_work"] = -1
            row["queues"] = limit is not None and site.spec.power_control == "queue"
            for partition in site.partitions.values():
                self._fill_part(number, index, partition)
                self.state.parts["pue"][number] = site.spec.pue
                number += 1

    def _fill_part(self, number: int, site: int, partition: PartitionState) -> None:
        pool, gpu = partition.pool, partition.pool.spec.gpu
        row = self.state.parts[number : number + 1]
        row["site"], row["domain_gpus"], row["node_gpus"] = site, pool.domain_gpus, pool.node_gpus
        row["used"], row["spares"], row["most"] = (
            pool.used_per_domain,
            pool.spec.spare_domains,
            len(pool.owner),
        )
        row["reserves"], row["reserve_time"] = pool.spec.reserve_domains, pool.spec.reserve_time
        row["refills"], row["lemons"] = pool.spec.refill_spares, self._lemons[number]
        row["block"] = math.isqrt(self._domains) + 1
        row["node"], row["pending"] = number, -1
        row["idle_power"] = gpu.base_power
        row["busy_power"] = gpu.dynamic_power
        mine = [index for index, source in enumerate(self.sources) if source[1] == number]
        row["first_source"], row["sources"] = min(mine, default=0), len(mine)

    def _fill_sources(self) -> None:
        for index, (site, part, name, spec) in enumerate(self.sources):
            row, failure = self.state.sources[index : index + 1], failure_of(name, spec)
            row["site"], row["part"], row["per"] = site, part, _PER[spec.per]
            row["removes"], row["rank"] = REMOVES[spec.removes], failure.rank
            row["interrupts"], row["planned"] = spec.interrupts, spec.planned
            row["mends"], row["rate"] = spec.repair is not None, spec.rate
            row["detection"], row["undetected"] = spec.detection, spec.undetected
            row["slowdown"], row["under_load"] = spec.slowdown, spec.under_load
            if spec.repair is not None:
                row["recurs"], row["imperfect"] = spec.repair.recurs_after is not None, not plain(spec.repair)
                row["auto_first"] = spec.repair.auto_first
                row["auto_unmended"] = spec.repair.auto_unmended
                row["manual_unmended"] = spec.repair.manual_unmended
            row["lemons"] = spec.per in ("gpu", "node") and lemons_of(self.book) > 0
        for index, (_, name, spec) in enumerate(self.hazards):
            row, failure = self.state.hazards[index : index + 1], failure_of(name, spec)
            row["rate"], row["rank"], row["planned"] = spec.rate, failure.rank, spec.planned
            row["detection"], row["undetected"] = spec.detection, spec.undetected

    def _fill_phase(self, phase: PhaseRun, *, waiting: int) -> None:
        world, number = self.book.world, phase.number
        site_names = list(world.sites)
        row = self.state.phases[number : number + 1]
        for name in ("ready", "start", "end", "queued_since"):
            row[name] = math.nan
        for name in ("part", "trigger", "unsettled", "load_rank"):
            row[name] = -1
        row["total"], row["site"] = phase.work.total, site_names.index(phase.site.name)
        row["priority"], row["queue_cause"] = phase.job.priority, CAUSE["gpu_wait"]
        ready = phase.spec.data_ready
        row["gate"] = -math.inf if ready is None else world.clock(ready)
        row["min_duration"] = phase.spec.min_duration
        row["yields"] = phase.job.data.when_starved == "yield"
        row["input_bytes"], row["output_bytes"] = phase.job.input_bytes, phase.job.output_bytes
        row["saving"] = phase.model.state_bytes > 0
        row["waiting"] = waiting
        row["first_gate"], row["gates"] = self._gate_places[number]
        own = len(world.faults.classes("job"))
        row["hazard"], row["hazards"] = number * own, own
        self.state.saved["pending"][number] = -1
        for part, partition in enumerate(self.book.parts):
            if partition in phase.candidates:
                model = phase.models[partition.pool.name]
                domains = partition.pool.domains_for(model.gpus_wanted)
                self.state.choices[number, part] = (
                    model.gpus_wanted,
                    domains,
                    1,
                    model.reference_time,
                    model.planned_unit_time,
                )

    def _gates(self) -> Any:
        """How many units the data allow, as steps over time, for one phase after the other."""
        rows: list[tuple[float, int]] = []
        self._gate_places = []
        for phase in self.book.world.phases:
            times = sorted({self.book.world.clock(part.ready) for part in phase.job.data.releases})
            if not (phase.spec.data_gated and times and phase.model.tokens_per_unit > 0):
                self._gate_places.append((0, 0))
                continue
            self._gate_places.append((len(rows), len(times) + 1))
            for time in (-math.inf, *times):
                rows.append((time, self.book.world.released_units(phase, time)))
        made = records(max(len(rows), 1), layout.GATE)
        for index, row in enumerate(rows):
            made[index] = row
        return made

    def _links(self) -> Any:
        """Which phase waits for which, in the order in which the SimPy engine notes it."""
        rows = list(self._waits())
        made = records(max(len(rows), 1), layout.LINK)
        made["phase"] = -1
        for index, (units, phase, successor) in enumerate(rows):
            made[index] = (units, phase, successor, 0)
        return made

    def _waits(self) -> Iterator[tuple[float, int, int]]:
        for phase, before in self._before:
            for other in before:
                overlap = phase.spec.overlap > 0 and other.work.total > 0
                units = other.work.total * (1.0 - phase.spec.overlap) if overlap else math.inf
                yield units, other.number, phase.number

    # -- the first events ----------------------------------------------------------------------------

    def _plan(self) -> Any:
        """Return what the SimPy engine has on its agenda before it starts, but for failures."""
        world = self.book.world
        rows: list[tuple[float, int, int, int, int]] = []
        for number, part in enumerate(self.book.parts):
            for step in part.pool.spec.capacity:
                time = max(0.0, world.clock(step.at))
                rows.append((time, Order.CAPACITY, Kind.CAPACITY, number, step.gpus))
        for phase, before in self._before:
            if not before:
                time = max(0.0, world.clock(phase.job.submit))
                rows.append((time, Order.CAPACITY, Kind.SUBMIT, phase.number, 0))
        rows.append((world.scenario.horizon, Order.SCHEDULING, Kind.HALT, 0, 0))
        made = records(len(rows), layout.EVENT)
        for index, (time, order, kind, a, b) in enumerate(rows):
            made[index] = (time, order, 0, kind, a, b, 0)
        return made
