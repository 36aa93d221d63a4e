"""CPU time of forecasts: per replica of the flagship, and what the machinery adds to each run.

python benchmarks/forecast.py [--scenario NAME] [--replicas N]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colossus_sim.compiling import jit_available
from colossus_sim.sweeps.forecast import make_forecast
from colossus_sim.sweeps.pool import WorkerPool
from colossus_sim.sweeps.task import Outcome, Player, Task


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="colossus_roadmap")
    parser.add_argument("--replicas", type=int, default=5)
    asked = parser.parse_args()
    fixed = make_forecast(asked.scenario, asked.replicas).plan.tasks()
    sampled = make_forecast(asked.scenario, asked.replicas, sample_assumptions=True).plan.tasks()
    first = seconds(Player(), fixed[:1])
    print(f"{asked.scenario}: first run {first:.2f} CPU s (load, models, run)")
    for engine in ("SimPy", "kernel") if jit_available() else ("SimPy",):
        tasks = [replace(task, kernel=engine == "kernel") for task in fixed]
        player = Player()
        seconds(player, tasks[:1])
        mean = seconds(player, tasks[1:]) / max(1, len(tasks) - 1)
        say(f"{engine}, only the seed differs", mean)
        tasks = [replace(task, kernel=engine == "kernel") for task in sampled]
        say(f"{engine}, sampled assumptions", seconds(player, tasks) / len(tasks))
    print(f"machinery: {1e3 * overhead():.2f} ms of driver CPU per run")


def say(what: str, mean: float) -> None:
    """Print the CPU time of a run. [s]"""
    print(f"{what}: {mean:.3f} CPU s each; 1,000 runs {1000 * mean / 120:.1f} min on 2 cores")


def seconds(player: Player, tasks: list[Task]) -> float:
    """Return the CPU time of some tasks. [s]"""
    began = time.process_time()
    for task in tasks:
        outcome = player.play(task)
        if outcome.status == "failed":
            print(f"failed: {outcome.error.splitlines()[0]}")
    return time.process_time() - began


def overhead(count: int = 2000) -> float:
    """Return the driver's CPU time per task for tasks that the workers refuse at once. [s]"""
    task = make_forecast("tiny", 1).plan.tasks()[0]
    tasks = [replace(task, index=number, source="no_such_scenario.yaml") for number in range(count)]
    pool = WorkerPool(2)
    try:
        began = time.process_time()
        outcomes: list[Outcome] = [item for batch in pool.run(tasks) for item in batch]
        spent = time.process_time() - began
    finally:
        pool.close()
    return spent / len(outcomes)


if __name__ == "__main__":
    main()
