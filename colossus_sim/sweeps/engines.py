"""Which engine plays the runs of a sweep, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from colossus_sim.engine.kernel.allow import Choice, choose
from colossus_sim.engine.kernel.machine_code import jit_available, machine_code_kept
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.task import Player, Task


def engine_choice(plan: Plan) -> Choice:
    """Return which engine is to play a plan, and why."""
    runs = len(plan.points) * plan.replicas
    return choose(plan.scenario, runs, available=jit_available(), kept=machine_code_kept())


def with_engine(tasks: Sequence[Task], choice: Choice) -> list[Task]:
    """Return the tasks with the engine that was chosen; a kernel that is not on disk yet is compiled first.

    One process compiles and keeps the machine code, so that the workers need not do it side by side.
    """
    chosen = [replace(task, kernel=choice.kernel) for task in tasks]
    if choice.kernel and chosen and not machine_code_kept():
        Player().play(chosen[0])
    return chosen
