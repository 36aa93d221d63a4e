"""The compiled kernel against the SimPy engine: CPU time per run, start-up, and whether every bit agrees.

Run from the root of the repository: ``PYTHONPATH=. python benchmarks/kernel.py [--scenario NAME] [--replicas N]
[--worlds N]``; worlds are random scenarios played by both.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from colossus_sim.compiling import jit_available
from colossus_sim.engine.kernel.machine_code import machine_code_kept
from colossus_sim.sweeps.forecast import make_forecast
from colossus_sim.sweeps.task import Player
from tests.engine.kernel_worlds import differences


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="colossus_roadmap")
    parser.add_argument("--replicas", type=int, default=10)
    parser.add_argument("--worlds", type=int, default=500)
    asked = parser.parse_args()
    if not jit_available():
        raise SystemExit("numba is not installed, or switched off")
    tasks = make_forecast(asked.scenario, asked.replicas + 1).plan.tasks()
    simpy, kernel = Player(), Player()
    simpy.play(tasks[0])  # scenario and models
    how = "kept" if machine_code_kept() else "made"
    began = time.process_time()
    kernel.play(replace(tasks[0], kernel=True))
    first = time.process_time() - began
    print(f"first run of the kernel, machine code {how}: {first:.1f} CPU s")
    spent, equal = [0.0, 0.0], 0
    for task in tasks[1:]:
        began = time.process_time()
        expected = simpy.play(task)
        middle = time.process_time()
        found = kernel.play(replace(task, kernel=True))
        spent[0] += middle - began
        spent[1] += time.process_time() - middle
        equal += repr(expected) == repr(found)
    each = [seconds / asked.replicas for seconds in spent]
    print(
        f"{asked.scenario}: SimPy {each[0]:.3f}, kernel {each[1]:.3f} CPU s a run, ratio {each[0] / each[1]:.1f}"
    )
    print(f"1,000 runs on 2 cores: {500 * each[0]:.0f} s and {500 * each[1]:.0f} s")
    print(f"{equal} of {asked.replicas} outcomes are equal to the last bit")
    wrong = [line for number in range(asked.worlds) for line in differences(number)]
    print(f"{asked.worlds} random worlds: {len(wrong)} differences", *wrong, sep="\n")


if __name__ == "__main__":
    main()
