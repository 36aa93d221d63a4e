"""Runs of one scenario with the kernel, one seed after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from colossus_sim.engine.failures import gap
from colossus_sim.engine.kernel import draws
from colossus_sim.engine.kernel.book import Book, Desk, KernelFullError
from colossus_sim.engine.kernel.build import Blueprint
from colossus_sim.engine.kernel.jit import COMPILED, make_hook
from colossus_sim.engine.kernel.loop import BEGIN_RUN, CLOSE_RUN, GO_ON, play
from colossus_sim.engine.kernel.state import RESERVE, Error, State
from colossus_sim.engine.runner import build_world
from colossus_sim.randomness import stream
from colossus_sim.specs.scenario import Scenario
from colossus_sim.training.phases import ModelBuilder

_FIRST_DRAWS = 64
"""Draws of a stream to begin with, above what the last run used; used up, as many are added as there are."""
_COPIED = (
    "world", "phases", "parts", "sites", "sources", "hazards", "links", "saved", "known", "owner", "blocks",
    "broken", "installed", "owned",
)  # fmt: skip
"""Arrays that begin each run as the scenario says; the others are written before they are read."""
_GROWING = {
    "events": "pending", "slow": "slow_units", "defects": "defects", "works": "works", "entries": "entries",
    "levels": "levels",
}  # fmt: skip
"""Arrays that grow, and what counts their places in use."""


class StuckError(Exception):
    """A job makes no progress; the SimPy engine says which."""


class Kernel:
    """Plays one scenario with any seed."""

    def __init__(self, scenario: Scenario, build_model: ModelBuilder) -> None:
        world, self.models = build_world(scenario, 0, build_model)
        self.book = Book(world)
        self.scenario = scenario
        self._blueprint = Blueprint(self.book)
        self.state = State(*(array.copy() for array in self._blueprint.state))
        self._sets = 0
        self.runs = 0
        """How many runs were begun."""
        self.used: dict[str, list[int]] = {}
        """Draws of each stream that the last run used, by array."""

    def play(self, seed: int, *, levels: bool = True) -> State:
        """Return the arrays after a run; they are those of the next run too.

        Parameters
        ----------
        levels : bool
            Whether the levels of the partitions are written down, besides the GPU-seconds that they come to.

        Raises
        ------
        KernelFullError, StuckError
            If the SimPy engine has to play (or refuse) this run.
        """
        self._reset()
        self.runs += 1
        self.state.world["keep_levels"] = levels
        desk = Desk(self.book, seed, self._blueprint.defects(seed))
        desk.state = self.state
        streams = _Streams(self, self._blueprint, seed)
        streams.begin()
        hook = make_hook(desk.answer)
        reserve = 64 + 4 * len(self.state.phases) + 4 * len(self.state.parts)
        play(self.state, hook, reserve, BEGIN_RUN)
        try:
            while not self.state.world["finished"][0]:
                play(self.state, hook, reserve, GO_ON)
                self._check(desk)
                if self.state.world["refill"][0]:
                    streams.refill()
                else:
                    self._make_room(reserve)
                desk.state = self.state
        finally:
            self._sets = desk.set_count
        play(self.state, hook, reserve, CLOSE_RUN)
        self.used = {
            "strikes": self.state.sources["drawn"].tolist(),
            "courses": self.state.sources["course"].tolist(),
            "gaps": self.state.hazards["drawn"].tolist(),
            "restarts": self.state.phases["restart_draw"].tolist(),
        }
        return self.state

    def _check(self, desk: Desk) -> None:
        if desk.error is not None:
            raise desk.error
        if self.state.world["error"][0] == Error.STUCK:
            raise StuckError

    def _reset(self) -> None:
        if self.book.trim():
            self.state.tier_count[:] = 0
        first, now = self._blueprint.state, self.state
        for name in _COPIED:
            getattr(now, name)[...] = getattr(first, name)
        used = self._sets
        now.shares[:used] = now.next_set[:used] = -1
        now.costs["domains"][:used] = -1

    def replace(self, **arrays: Any) -> None:
        """Put larger arrays in the place of full ones."""
        self.state = self.state._replace(**arrays)

    def _make_room(self, reserve: int) -> None:
        world = self.state.world
        for name, count in _GROWING.items():
            array = getattr(self.state, name)
            if int(world[count][0]) + reserve > len(array):
                self.replace(**{name: _longer(array, 0, 2 * len(array) + reserve)})
        if self.state.slow_now.shape[1] < len(self.state.slow):
            self.replace(slow_now=_longer(self.state.slow_now, 1, len(self.state.slow)))


def _longer(array: Any, axis: int, length: int) -> Any:
    """Return an array with more places along an axis."""
    shape = list(array.shape)
    shape[axis] = length
    made = np.zeros(shape, array.dtype)
    made[tuple(slice(0, size) for size in array.shape)] = array
    return made if COMPILED or array.dtype.names is None else made.view(np.recarray)


class _Streams:
    """The random streams of one run."""

    def __init__(self, kernel: Kernel, blueprint: Blueprint, seed: int) -> None:
        self._kernel = kernel
        self._seed = seed
        self._blueprint = blueprint
        self._rngs: dict[tuple[str, ...], np.random.Generator] = {}

    def begin(self) -> None:
        """Draw the first gaps, and draw ahead."""
        state = self._kernel.state
        for index, (*_, spec) in enumerate(self._blueprint.sources):
            state.sources["left"][index] = 1.0
            if spec.rate > 0:
                state.sources["left"][index] = gap(spec, self._rng(self._blueprint.source_name(index)))
        for index, (*_, spec) in enumerate(self._blueprint.hazards):
            state.hazards["left"][index] = 1.0
            if spec.rate > 0:
                state.hazards["left"][index] = gap(spec, self._rng(self._blueprint.hazard_name(index)))
        state.lemons["exchanged"] = 0
        for part in np.flatnonzero(state.parts["lemons"]).tolist():
            nodes = self._blueprint.lemons(self._seed, part)
            state.lemons["node"][part, : len(nodes)] = nodes
        self.refill()

    def _rng(self, names: tuple[str, ...]) -> np.random.Generator:
        if names not in self._rngs:
            self._rngs[names] = stream(self._seed, *names)
        return self._rngs[names]

    def refill(self) -> None:
        """Draw ahead for every stream that is used up."""
        kernel, plan = self._kernel, self._blueprint
        kernel.state.world["refill"] = 0
        sources, hazards, phases = kernel.state.sources, kernel.state.hazards, kernel.state.phases
        for index in _used_up(sources["drawn"], sources["limit"], sources["rate"] > 0):
            spec, rng = plan.sources[index][-1], self._rng(plan.source_name(index))
            self._extend("strikes", index, sources["limit"], partial(draws.strikes, spec, rng))
        for index in _used_up(sources["course"], sources["course_limit"], sources["imperfect"] != 0):
            spec, rng = plan.sources[index][-1], self._rng(plan.course_name(index))
            self._extend("courses", index, sources["course_limit"], partial(draws.courses, spec, rng))
        for index in _used_up(hazards["drawn"], hazards["limit"], hazards["rate"] > 0):
            spec, rng = plan.hazards[index][-1], self._rng(plan.hazard_name(index))
            self._extend("gaps", index, hazards["limit"], partial(draws.gaps, spec, rng))
        for index in _used_up(phases["restart_draw"], phases["restart_limit"], phases["total"] >= 0):
            rng = self._rng(plan.restart_name(index))
            self._extend("restarts", index, phases["restart_limit"], partial(draws.restarts, rng))

    def _extend(self, name: str, index: int, limits: Any, draw: Callable[[int], Any]) -> None:
        array = getattr(self._kernel.state, name)
        begin = int(limits[index])
        end = 2 * begin
        if not begin:
            used = self._kernel.used.get(name)
            end = _FIRST_DRAWS + (used[index] if used is not None else 0)
        if end > array.shape[1]:
            array = _longer(array, 1, 2 * end)
            self._kernel.replace(**{name: array})
        drawn = draw(end - begin)
        if array.dtype.names is None:
            array[index, begin:end] = drawn
        else:
            for column, field in enumerate(array.dtype.names):
                array[field][index, begin:end] = drawn[:, column]
        limits[index] = end


def _used_up(drawn: Any, limits: Any, live: Any) -> list[int]:
    found: list[int] = np.flatnonzero(live & (drawn + RESERVE > limits)).tolist()
    return found


__all__ = ["Kernel", "KernelFullError", "StuckError"]
