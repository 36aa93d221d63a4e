"""Which engine plays the runs of a sweep, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from colossus_sim.compiling import jit_available
from colossus_sim.engine.kernel.allow import Choice, choose, expected_failures, unsupported
from colossus_sim.engine.kernel.machine_code import machine_code_kept
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.task import Player, Task


def engine_choice(plan: Plan) -> Choice:
    """Return which engine is to play a plan, and why."""
    runs = len(plan.points) * plan.replicas
    return choose(plan.scenario, runs, available=jit_available(), kept=machine_code_kept())


SINGLE_RUN = Choice(False, "one run, with all its events; the compiled kernel is for many")
"""What plays the one run of a run folder."""


def engine_line(choice: Choice) -> str:
    """Return which engine plays, and why, in a line."""
    return f"engine: {'compiled kernel' if choice.kernel else 'SimPy'} ({choice.why})"


def explain_engine(scenario: Scenario, choice: Choice, *, points: int = 1, replicas: int = 1) -> list[str]:
    """Return a choice of engine with all that it was made from, in lines.

    Parameters
    ----------
    scenario : Scenario
        The scenario without what differs between points.
    points, replicas : int
        Points, and runs of each at most.
    """
    missing = unsupported(scenario)
    able = "has all that this scenario needs" if missing is None else f"does not have {missing}"
    if not jit_available():
        state = "numba (the extra 'fast') is not installed, or switched off"
    else:
        state = "its machine code is kept on disk" if machine_code_kept() else "it has to be compiled first"
    lines = [
        engine_line(choice),
        f"  work: {_counted(points, 'point')} of {_counted(replicas, 'run')}, about "
        f"{expected_failures(scenario):,.0f} failures until the horizon in each",
        f"  compiled kernel: it {able}; {state}",
    ]
    if choice.kernel:
        lines.append("  a point that sets what the kernel does not have is played by SimPy")
    return [*lines, "  results do not depend on it: both engines agree to the last bit"]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def with_engine(tasks: Sequence[Task], choice: Choice) -> list[Task]:
    """Return the tasks with the engine that was chosen; a kernel that is not on disk yet is compiled first.

    One process compiles and keeps the machine code, so that the workers need not do it side by side.
    """
    chosen = [replace(task, kernel=choice.kernel) for task in tasks]
    if choice.kernel and chosen and not machine_code_kept():
        Player().play(chosen[0])
    return chosen
