"""One run of a sweep, and the player that a worker process keeps to do such runs one after another."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from colossus_sim.engine.runner import rare_collections, simulate
from colossus_sim.errors import ColossusError, ScenarioError
from colossus_sim.loading.files import ParsedTrees
from colossus_sim.loading.load import Case, load_scenario
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.measure import measure, phase_times
from colossus_sim.sweeps.network_bill import network_bill
from colossus_sim.training.phases import ModelCache

if TYPE_CHECKING:
    from colossus_sim.sweeps.compiled import KernelPlayer

Status = Literal["done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run: a scenario with overrides, and a seed.

    Attributes
    ----------
    index : int
        Place in the sweep; results are put in this order.
    point, replica : int
        Which point of the sweep, and which of its runs.
    source : str
        Path or name of the scenario.
    overrides : tuple of str
        ``path=value`` texts, those of the command line first.
    case : str
        Which end of the assumptions.
    seed : int
        Root seed of the run.
    files : tuple of (str, str)
        Path and SHA-256 of each file that the driver read; a worker refuses others.
    kernel : bool
        Whether the compiled kernel plays it, if it has all that the point needs; the outcome is the same.
    """

    index: int
    point: int
    replica: int
    source: str
    overrides: tuple[str, ...]
    case: Case
    seed: int
    files: tuple[tuple[str, str], ...] = ()
    kernel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a task.

    Attributes
    ----------
    values : mapping of str to float
        Measures by name (see `measure.measure`); NaN and missing mean: not defined.
    phases : mapping of str to (float, float)
        Start and end of each ``job/phase`` since the scenario's start, NaN where it did not. [days]
    error : str
        Why it failed; empty if it did not.
    attempts : int
        How often it was begun; more than one if a worker died. Not part of any result.
    """

    index: int
    status: Status
    values: Mapping[str, float] = field(default_factory=dict)
    phases: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    error: str = ""
    attempts: int = 1


def spelt(error: ColossusError, overrides: Sequence[str]) -> str:
    """Return an error that names overrides by what they set: a sweep's own were never given as ``--set``."""
    if not isinstance(error, ScenarioError):
        return str(error)
    called = {f"--set #{number}": text for number, text in enumerate(overrides, start=1)}
    return str(
        ScenarioError([replace(item, where=called.get(item.where, item.where)) for item in error.problems])
    )


class Player:
    """Plays tasks; scenario and phase models of the last point are kept for its next replica."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._scenario: Scenario | None = None
        self._models = ModelCache()
        self._bill: dict[str, float] = {}
        self._parsed: ParsedTrees = {}
        self._kernel: KernelPlayer | None = None

    def play(self, task: Task) -> Outcome:
        """Run a task; an input that is refused, or a run without progress, is a failed outcome."""
        try:
            scenario = self._loaded(task)
            with rare_collections(frozen=True):
                values, phases = self._played(scenario, task)
            return Outcome(index=task.index, status="done", values=values | self._bill, phases=phases)
        except ColossusError as error:
            return Outcome(index=task.index, status="failed", error=spelt(error, task.overrides))

    def _played(
        self, scenario: Scenario, task: Task
    ) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        measured = self._kernel.measured(task.seed) if self._kernel is not None else None
        if measured is not None:
            return measured
        run = simulate(scenario, seed=task.seed, build_model=self._models)
        return measure(run), phase_times(run)

    def _loaded(self, task: Task) -> Scenario:
        key = (task.source, task.overrides, task.case, task.kernel)
        if self._scenario is None or self._key != key:
            self._scenario = self._kernel = None
            scenario = load_scenario(
                task.source, overrides=task.overrides, case=task.case, parsed=self._parsed
            )
            _check_files(scenario, task)
            self._bill = network_bill(scenario)
            self._key, self._scenario, self._models = key, scenario, ModelCache()
            if task.kernel:
                from colossus_sim.sweeps.compiled import kernel_player  # imports numba

                self._kernel = kernel_player(scenario, self._models)
            # A run makes millions of short-lived rows; what stays need not be walked again and again.
            gc.collect()
            gc.freeze()
        return self._scenario


def _check_files(scenario: Scenario, task: Task) -> None:
    """Refuse to mix runs of different inputs in one sweep."""
    wanted = dict(task.files)
    for fact in scenario.loaded.files:
        if wanted.get(fact.path, fact.sha256) != fact.sha256:
            raise ColossusError(f"{fact.path} was changed while the sweep was running")
