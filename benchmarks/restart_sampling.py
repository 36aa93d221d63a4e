"""Runs of one job under failures: drawn as arrays, played by a careful SimPy model, and by the engine.

Run from the root of the repository: ``PYTHONPATH=. python benchmarks/restart_sampling.py [--replicas N]``. A
step is a stretch of work up to its save: 720 of an hour each, a failure every 1.8 hours, restarts of 15 minutes.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Generator

import numpy as np
import simpy

from colossus_sim.engine.bench import BenchJob, a_site, fault_class, faults, play_bench, saves
from colossus_sim.formulas import reliability
from colossus_sim.formulas.restart_sampling import finish_times

STEPS, INTERVAL, SAVE, RECOVERY = 720, 3600.0, 60.0, 900.0
MTBF = 86400.0 / (2048 * 6.5e-3)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=20_000)
    parser.add_argument("--played", type=int, default=20)
    asked = parser.parse_args()
    began = time.process_time()
    drawn = finish_times(STEPS, INTERVAL, save_time=SAVE, mtbf=MTBF, recovery=RECOVERY, final_save=False,
                         replicas=asked.replicas)  # fmt: skip
    array_step = (time.process_time() - began) / asked.replicas / STEPS
    began = time.process_time()
    played = np.array([_played(seed) for seed in range(asked.played)])
    engine_step = (time.process_time() - began) / asked.played / STEPS
    began = time.process_time()
    careful = np.array([_careful(seed) for seed in range(asked.played)])
    careful_step = (time.process_time() - began) / asked.played / STEPS
    exact = STEPS * INTERVAL / reliability.efficiency(INTERVAL, save_time=SAVE, mtbf=MTBF, recovery=RECOVERY)
    for name, times, step in (
        ("engine", played, engine_step),
        ("careful SimPy model", careful, careful_step),
        ("arrays", drawn, array_step),
    ):
        error = times.std(ddof=1) / math.sqrt(times.size)
        print(f"{name}: {times.size} runs, mean {times.mean() / 86400.0:.3f} +- {1.96 * error / 86400.0:.3f} days, "
              f"{1e9 * step:,.0f} ns of CPU a step")  # fmt: skip
    ratios = ", ".join(f"{step / array_step:,.0f}" for step in (engine_step, careful_step))
    print(
        f"closed form, with a last save: {exact / 86400.0:.3f} days; time per step of the arrays: 1/{ratios}"
    )


def _careful(seed: int) -> float:
    """Return the end of a run of the least model that SimPy can play: one process, interrupted by failures."""
    env, random = simpy.Environment(), np.random.default_rng(seed)

    def strike() -> Generator[simpy.Event, None, None]:
        while True:
            yield env.timeout(random.exponential(MTBF))
            worker.interrupt()

    def stretch(length: float) -> Generator[simpy.Event, None, bool]:
        try:
            yield env.timeout(length)
        except simpy.Interrupt:
            return False
        return True

    def work() -> Generator[simpy.Event, None, None]:
        for step in range(STEPS):
            period = INTERVAL + SAVE if step < STEPS - 1 else INTERVAL
            while not (yield from stretch(period)):
                while not (yield from stretch(RECOVERY)):
                    pass

    worker = env.process(work())
    env.process(strike())
    env.run(until=worker)
    return float(env.now)


def _played(seed: int) -> float:
    run = play_bench({"one": BenchJob(units=STEPS, unit_time=INTERVAL, state_bytes=1.0)}, site=a_site(1),
                     faults=faults(RECOVERY - SAVE, any=fault_class("site", 1.0 / MTBF)),
                     checkpoint=saves(INTERVAL, SAVE), horizon=1e9, seed=seed)  # fmt: skip
    return run.phases[0].end


if __name__ == "__main__":
    main()
