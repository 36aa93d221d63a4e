"""The engine against a plain SimPy model that plays every training step, on the same failures.

    python benchmarks/every_step.py [--days N]

The plain model is what one writes first: a process that times out step after step and save after save, and another
that interrupts it. All times are multiples of 1/1024 s, so that neither sum rounds and the answers have to be equal
to the last bit. Failures come from a list of gaps drawn again with replacement; both models see the same ones.
With numba, the compiled kernel plays the same run too: what a run costs in a sweep of many.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import simpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colossus_sim.compiling import jit_available
from colossus_sim.engine.bench import BenchJob, a_site, bench_world, fault_class, faults, saves
from colossus_sim.engine.kernel.play import Kernel
from colossus_sim.engine.kernel.rows import run_result
from colossus_sim.engine.runner import simulate
from colossus_sim.randomness import stream
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.specs.scenario import Scenario
from colossus_sim.training.phases import ModelBuilder

DAY = 86400.0
GAPS, GRAIN = 1024, 1024
"""Gaps in the list; grains of a second."""


@dataclass(frozen=True)
class World:
    """One job that saves and fails; times in seconds, the mean gap a power of two."""

    name: str
    step: float
    mean_gap: float
    steps_per_save: int
    save: float = 64.0
    restart: float = 512.0


WORLDS = (
    World("16,384 GPUs, a failure every 2.3 h, steps of 4 s", 4.0, 2.0**13, 900),
    World("1,024 GPUs, a failure every 9.1 h, steps of 4 s", 4.0, 2.0**15, 900),
    World("1,024 GPUs, a failure every 9.1 h, steps of 1 s", 1.0, 2.0**15, 3600),
    World("256 GPUs, a failure every 3 days, steps of 1 s", 1.0, 2.0**18, 3600),
    World("256 GPUs, a failure every 3 days, steps of 1/4 s", 0.25, 2.0**18, 14400),
)


@dataclass(frozen=True)
class Answer:
    """When the job ended, how often it was interrupted, and what was lost to what. [s]"""

    end: float
    interruptions: int
    lost_work: float
    checkpoint: float
    restart: float


def gaps_of(world: World) -> tuple[float, ...]:
    """Return gaps of exponential law, in grains, whose mean is exact."""
    rng = stream(1, "benchmark", "every_step", world.name)
    grains = (rng.exponential(world.mean_gap * GRAIN, GAPS - 1) + 1.0).astype(int).tolist()
    rest = round(world.mean_gap * GRAIN) * GAPS - sum(grains)
    while rest <= 0:  # too many long ones: halve the longest
        longest = grains.index(max(grains))
        rest += grains[longest] - grains[longest] // 2
        grains[longest] //= 2
    return tuple(grain / GRAIN for grain in [*grains, rest])


def build(world: World, steps: int) -> tuple[Scenario, ModelBuilder]:
    """Return the job as the engine takes it."""
    gaps = [f"{gap!r} s" for gap in gaps_of(world)]
    spec = fault_class("site", 1.0 / world.mean_gap, distribution="empirical", gaps=gaps)
    return bench_world(
        {"one": BenchJob(units=steps, unit_time=world.step, state_bytes=1.0)},
        site=a_site(1),
        faults=faults(world.restart, any=spec),
        checkpoint=saves(world.steps_per_save * world.step, world.save),
    )


def play_engine(world: World, steps: int) -> RunResult:
    """Play the job in the engine, which jumps from event to event."""
    scenario, models = build(world, steps)
    return simulate(scenario, build_model=models)


def play_kernel(world: World, steps: int) -> tuple[Answer, float] | None:
    """Return the compiled kernel's answer and the CPU time of one of its runs [s]; None without numba."""
    if not jit_available():
        return None
    scenario, models = build(world, steps)
    kernel = Kernel(scenario, models)
    state = kernel.play(scenario.seed)  # compiles, and sees how much room the run needs
    spent = cpu_time(lambda: kernel.play(scenario.seed), 5)
    return answer_of(run_result(kernel, state, scenario.seed)), spent


def answer_of(result: RunResult) -> Answer:
    """Return what the engine found."""
    sums = {
        cause: math.fsum(row.causes[CAUSES.index(cause)] for row in result.intervals)
        for cause in ("lost_work", "checkpoint", "restart")
    }
    return Answer(end=result.phases[0].end, interruptions=result.phases[0].interruptions, **sums)


class PlainJob:
    """Every step and every save as an event of its own."""

    def __init__(self, world: World, steps: int, failures: list[float]) -> None:
        self.env = simpy.Environment()
        self.world, self.steps, self.failures = world, steps, failures
        self.interruptions = 0
        self.spent = dict.fromkeys(("work", "checkpoint", "restart"), 0.0)

    def play(self) -> Answer:
        """Run to the end of the job."""
        job = self.env.process(self._job())
        self.env.process(self._strike(job))
        self.env.run(until=job)
        useful = self.steps * self.world.step
        return Answer(
            end=self.env.now,
            interruptions=self.interruptions,
            lost_work=self.spent["work"] - useful,
            checkpoint=self.spent["checkpoint"],
            restart=self.spent["restart"],
        )

    def _strike(self, job: simpy.Process) -> Iterator[simpy.Event]:
        for when in self.failures:
            yield self.env.timeout(when - self.env.now)
            if job.is_alive:
                job.interrupt()

    def _job(self) -> Iterator[simpy.Event]:
        env, world, spent, steps = self.env, self.world, self.spent, self.steps
        done = saved = 0
        doing, since = "restart", env.now
        while done < steps:
            try:
                doing, since = "restart", env.now
                yield env.timeout(world.restart + (world.save if saved else 0.0))
                spent[doing] += env.now - since
                while done < steps:
                    doing, since = "work", env.now
                    yield env.timeout(world.step)
                    spent[doing] += env.now - since
                    done += 1
                    if done % world.steps_per_save == 0 and done < steps:
                        doing, since = "checkpoint", env.now
                        yield env.timeout(world.save)
                        spent[doing] += env.now - since
                        saved = done
            except simpy.Interrupt:
                spent[doing] += env.now - since
                self.interruptions += 1
                done = saved


def cpu_time(play: Callable[[], object], repeat: int) -> float:
    """Return the CPU time of the best of so many runs. [s]"""
    best = math.inf
    for _ in range(repeat):
        begun = time.process_time()
        play()
        best = min(best, time.process_time() - begun)
    return best


def compare(world: World, days: float) -> tuple[Answer, Answer, float, float]:
    """Return the engine's answer, the plain model's, and the CPU time of each [s]."""
    steps = round(days * DAY / world.step)
    result = play_engine(world, steps)
    failures = [row.time for row in result.events if row.kind == "failure"]
    found: list[Answer] = []
    plain = cpu_time(lambda: found.append(PlainJob(world, steps, failures).play()), 1)
    engine = cpu_time(lambda: play_engine(world, steps), 3)
    return answer_of(result), found[0], engine, plain


def main() -> None:
    """Print answers and times of each world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=float, default=32.0, help="work of the job")
    days = parser.parse_args().days
    for world in WORLDS:
        ours, plain, engine_time, plain_time = compare(world, days)
        compiled = play_kernel(world, round(days * DAY / world.step))
        equal = ours == plain and (compiled is None or compiled[0] == ours)
        verdict = "equal to the last bit" if equal else f"DIFFERENT: {ours} {plain} {compiled}"
        by_kernel = f", kernel {compiled[1]:.5f}, ratio {plain_time / compiled[1]:.0f}" if compiled else ""
        print(
            f"{world.name}: {ours.interruptions} failures, {days * DAY / world.step:,.0f} steps; {verdict}; "
            f"engine {engine_time:.4f} CPU s, every step {plain_time:.2f}, "
            f"ratio {plain_time / engine_time:.0f}{by_kernel}"
        )


if __name__ == "__main__":
    main()
