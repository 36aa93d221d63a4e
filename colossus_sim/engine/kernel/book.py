"""Answers to what the kernel asks: the SimPy engine's own functions, remembered from run to run of a scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from colossus_sim.engine.checkpointing import save_tiers
from colossus_sim.engine.kernel.draws import Defects
from colossus_sim.engine.kernel.state import FREE, Ask, State
from colossus_sim.engine.phase import PhaseRun
from colossus_sim.engine.placers import PLACERS, IntArray, from_domain
from colossus_sim.engine.progress import SaveTier
from colossus_sim.engine.recovery import own_time
from colossus_sim.engine.site import PartitionState
from colossus_sim.engine.storage_traffic import writing_rate
from colossus_sim.engine.world import World
from colossus_sim.errors import ColossusError
from colossus_sim.network.sharing import JobDemand
from colossus_sim.parallelism.placement import Placement
from colossus_sim.randomness import stream
from colossus_sim.training.work import UnitEstimate

Bandwidths = tuple[float, ...]

MOST_SETS = 4096
"""Sets of computing phases in one run."""
TIER_SETS = 8192
"""Sets of tiers that the kernel can tell apart."""
MOST_KNOWN = 50_000
"""Remembered answers of one kind, beyond which all are forgotten."""


class KernelFullError(Exception):
    """A table of the kernel is too small for a run; the SimPy engine has no such limits."""


_FAILURES = (
    ColossusError,
    KernelFullError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Held:
    """What a phase has: enough of `engine.holding.Holding` to work out failure rates."""

    domains: range
    partition: PartitionState
    site: Any

    def held_partition(self) -> PartitionState:
        """Return the partition."""
        return self.partition


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the ranks of a phase sit since it was given its GPUs; one object each, so told apart by identity."""

    part: int
    gpus: int
    placement: Placement
    alone: Bandwidths
    """Per-GPU bandwidth of each level without other jobs. [B/s]"""
    units: dict[int, UnitEstimate] = field(default_factory=dict)
    """Units of phases here that have the links to themselves, by phase."""
    demands: dict[int, JobDemand] = field(default_factory=dict)
    """What these ask of the links."""


class Book:
    """What is known of one scenario, whatever the seed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.parts = [part for site in world.sites.values() for part in site.partitions.values()]
        self._layouts: dict[tuple[int, int, Placement], Layout] = {}
        self.tier_sets: list[tuple[SaveTier, ...]] = [()]
        self._tier_numbers: dict[tuple[SaveTier, ...], int] = {(): 0}
        self._saves: dict[tuple[float, ...], tuple[int, float]] = {}
        self._bandwidths: list[Bandwidths] = []
        self._bandwidth_numbers: dict[Bandwidths, int] = {}
        self._costs: dict[tuple[Any, ...], tuple[float, float, float]] = {}

    def trim(self) -> bool:
        """Forget what has become too much, between runs; return whether that was so."""
        much = len(self._layouts) > MOST_KNOWN or len(self.tier_sets) > TIER_SETS // 2
        if much:
            self.__init__(self.world)  # type: ignore[misc]
        return much

    # -- names for what is compared ------------------------------------------------------------------

    def bandwidth_number(self, bandwidths: Bandwidths) -> int:
        """Return the number that stands for these bandwidths."""
        if bandwidths not in self._bandwidth_numbers:
            self._bandwidth_numbers[bandwidths] = len(self._bandwidths)
            self._bandwidths.append(bandwidths)
        return self._bandwidth_numbers[bandwidths]

    def phase(self, number: int) -> PhaseRun:
        """Return a phase that is never played, for what it knows."""
        return self.world.phases[number]

    def model(self, number: int, part: int) -> Any:
        """Return the model of a phase at a partition."""
        return self.phase(number).models[self.parts[part].pool.name]

    # -- answers -------------------------------------------------------------------------------------

    def layout(self, number: int, part: int, domains: IntArray) -> Layout:
        """Return the layout of a phase on these domains."""
        pool, model = self.parts[part].pool, self.model(number, part)
        gpus = model.usable_gpus(min(len(domains) * pool.used_per_domain, model.gpus_wanted))
        key = part, gpus, pool.placement(domains)
        if key not in self._layouts:
            alone = self.parts[part].links.alone(key[2], gpus)
            self._layouts[key] = Layout(*key, alone)
        return self._layouts[key]

    def restart_time(self, gpus: int) -> float:
        """Return the time of a restart without what may come on top. [s]"""
        return own_time(self.world.scenario.faults.restart, gpus)[0]

    def saves(self, number: int, at: Layout, domains: int, share: float, readers: int) -> tuple[int, float]:
        """Return (number of the tiers, mean rate of writing to shared storage) of a phase."""
        unit_time = self._unit_alone(number, at).time
        key = (number, at.part, at.gpus, unit_time, domains, share, readers)
        if key not in self._saves:
            phase, model, partition = self.phase(number), self.model(number, at.part), self.parts[at.part]
            held: Any = Held(range(domains), partition, phase.site)
            tiers = save_tiers(
                phase.policy,
                storage=phase.site.spec.storage,
                state_bytes=model.state_bytes,
                gpus=at.gpus,
                unit_time=unit_time,
                failure_rates=self.world.faults.rates(held),
                share=share,
                readers=readers,
            )
            if tiers not in self._tier_numbers:
                self._tier_numbers[tiers] = len(self.tier_sets)
                self.tier_sets.append(tiers)
            self._saves[key] = self._tier_numbers[tiers], writing_rate(phase.policy, tiers, model)
        return self._saves[key]

    def _unit_alone(self, number: int, at: Layout) -> UnitEstimate:
        """Return a unit of a phase that has the links to itself."""
        if number not in at.units:
            at.units[number] = self.model(number, at.part).unit(at.gpus, at.placement, at.alone)
        return at.units[number]

    def _demand(self, number: int, at: Layout) -> JobDemand:
        if number not in at.demands:
            estimate = self._unit_alone(number, at)
            at.demands[number] = JobDemand(
                name=str(number),
                placement=at.placement,
                gpus=at.gpus,
                traffic=estimate.traffic,
                flatness=estimate.flatness,
                step_time=estimate.time,
            )
        return at.demands[number]

    def shares(self, part: int, members: tuple[tuple[int, Layout], ...]) -> dict[int, int]:
        """Return the number of the bandwidths of each phase that computes on a partition."""
        if len(members) < 2:
            return {number: self.bandwidth_number(at.alone) for number, at in members}
        layouts = {str(number): (number, at) for number, at in members}

        def step_time(name: str, mine: Bandwidths) -> float:
            number, at = layouts[name]
            if mine == at.alone:
                return float(self._unit_alone(number, at).time)
            return float(self.model(number, part).unit(at.gpus, at.placement, mine).time)

        demands = [self._demand(number, at) for number, at in members]
        mode = self.world.scenario.policies.contention
        shared = self.parts[part].links.joint(demands, mode, step_time)
        return {number: self.bandwidth_number(shared[str(number)]) for number, _ in members}

    def cost(self, number: int, at: Layout, domains: int, mine: int) -> tuple[float, float, float]:
        """Return the time of a unit packed, alone and with these bandwidths. [s]"""
        key = (number, at, domains, mine)
        if key not in self._costs:
            model = self.model(number, at.part)
            packed = model.reference_time
            if at.gpus != model.gpus_wanted:
                near = self.parts[at.part].pool.placement(range(domains))
                packed = model.unit(at.gpus, near).time
            alone = self._unit_alone(number, at).time
            shared = model.unit(at.gpus, at.placement, self._bandwidths[mine]).time
            self._costs[key] = packed, alone, shared
        return self._costs[key]


class Desk:
    """Answers the questions of one run, and writes the answers into its arrays."""

    def __init__(self, book: Book, seed: int, defects: Defects) -> None:
        self.book = book
        self._defects = defects
        self.error: Exception | None = None
        self.state: State
        self._rng = stream(seed, "placement")
        self._layouts: dict[tuple[int, int], Layout] = {}
        self._sets: dict[tuple[int, bytes], int] = {}
        self.set_count = len(book.parts)

    def answer(self, question: int, a: int, b: int, c: int) -> int:
        """Answer one question; return 1 if that failed."""
        try:
            if question == Ask.PLACE:
                self._place(a, b, c)
            elif question == Ask.SAVES:
                self._note_saves(a, b)
            elif question == Ask.SHARES:
                self._note_shares(a, b)
            elif question == Ask.BLAME:
                self._blame(a, b, c)
            elif question == Ask.RECUR_AFTER:
                self.state.sources["wait"][a] = self._defects.recurs_after(a)
            elif question == Ask.RECUR:
                source = self.state.sources[a : a + 1]
                source["seconds"], source["by_hand"], source["hang"] = self._defects.again(a)
            else:
                self._note_cost(a, b)
        except _FAILURES as error:  # it must not cross compiled code; the caller raises it
            self.error = error
            return 1
        return 0

    def _layout(self, number: int) -> Layout:
        return self._layouts[number, int(self.state.phases[number]["layout"])]

    def _place(self, number: int, part: int, count: int) -> None:
        state, book = self.state, self.book
        pool = book.parts[part].pool
        owner = state.owner[part, : len(pool.owner)]
        free = np.flatnonzero(owner == FREE)
        first = book.phase(number).job.first_domain
        if first is not None:
            chosen = from_domain(free, count, first)
        else:
            policy = book.world.scenario.policies.placement
            chosen = PLACERS[policy](free, count, pool.level_domains, self._rng)
        owner[chosen] = number
        joined = int(state.world["joined"][0])
        state.joined[part, chosen] = np.arange(joined, joined + count)
        state.world["joined"] += count
        row = state.parts[part : part + 1]
        row["free"] -= count
        blocks = state.blocks[part, -FREE]
        blocks -= np.bincount(chosen // int(row["block"][0]), minlength=len(blocks))
        row["owned"] += count
        row["broken_free"] -= state.broken[part, chosen].sum()
        state.owned[number] += count
        at = book.layout(number, part, chosen)
        it = state.phases[number : number + 1]
        self._layouts[number, int(it["layout"][0]) + 1] = at
        it["gpus"] = at.gpus
        it["restart_base"] = book.restart_time(at.gpus)
        state.costs["domains"][part, number] = -1

    def _blame(self, source: int, unit: int, number: int) -> None:
        state = self.state
        part = int(state.sources["part"][source])
        mine = np.flatnonzero(state.owner[part] == number)
        in_order = mine[np.argsort(state.joined[part, mine])].tolist()
        nodes = self.book.parts[part].pool.nodes_per_domain
        state.sources["blamed"][source] = self._defects.blamed(source, unit, in_order, nodes)

    def _note_saves(self, number: int, readers: int) -> None:
        state, share = self.state, float(self.state.world["share"][0])
        at, domains = self._layout(number), int(state.owned[number])
        tiers, rate = self.book.saves(number, at, domains, share, readers)
        if tiers >= len(state.tiers):
            raise KernelFullError
        if tiers and not state.tier_count[tiers]:
            self.write_tiers(tiers)
        it = state.phases[number : number + 1]
        it["tiers"], it["demand"] = tiers, rate

    def write_tiers(self, number: int) -> None:
        """Put a set of tiers into the arrays."""
        for index, tier in enumerate(self.book.tier_sets[number]):
            self.state.tiers[number, index] = (
                tier.period,
                tier.stall,
                tier.drain,
                tier.restore,
                tier.survives,
            )
        self.state.tier_count[number] = len(self.book.tier_sets[number])

    def _note_shares(self, part: int, number: int) -> None:
        state = self.state
        seated = state.members[: int(state.world["members"][0])]
        key = part, seated.tobytes()
        found = self._sets.get(key)
        if found is None:
            found = self._sets[key] = self._new_set(part, seated.tolist())
        old = int(state.parts["node"][part])
        state.next_set[old, number] = found
        state.next_layout[old, number] = state.phases["layout"][number]
        state.parts["node"][part] = found

    def _new_set(self, part: int, seated: list[list[int]]) -> int:
        """Share the links of a partition among these phases in these layouts; return the number of the set."""
        if not seated:
            return part
        number = self.set_count
        if number >= len(self.state.shares):
            raise KernelFullError
        self.set_count += 1
        members = tuple((other, self._layouts[other, layout]) for other, layout in seated)
        for other, mine in self.book.shares(part, members).items():
            self.state.shares[number, other] = mine
        return number

    def _note_cost(self, number: int, node: int) -> None:
        at, domains = self._layout(number), int(self.state.owned[number])
        mine = int(self.state.shares[node, number])
        if not self.state.world["share_links"][0]:
            mine = self.book.bandwidth_number(at.alone)
        times = self.book.cost(number, at, domains, mine)
        self.state.costs[node, number] = (domains, *times)
