"""Memory and time of the process that drives a sweep, by number of points: what it keeps and writes per run.

    python benchmarks/driver_memory.py [--points 1000 20000]

Runs are not simulated: each is the outcome of one run of `tiny` with other numbers, handed over as a worker would.
Everything else is the real thing: plan, journal on disk, both tables, column dictionary, study file.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from colossus_sim.cli.sweep import write  # noqa: E402
from colossus_sim.sweeps.folder import open_folder  # noqa: E402
from colossus_sim.sweeps.plan import Point, make_plan  # noqa: E402
from colossus_sim.sweeps.task import Outcome, Player, Task  # noqa: E402

FIELD = "jobs.large.planned_mfu"


def main() -> None:
    """Print a line per number of points, each measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        print(*drive(asked.one))
        return
    print(f"{'points':>8} {'peak [MB]':>10} {'CPU a point [ms]':>17}")
    found = []
    for count in asked.points:
        command = [sys.executable, __file__, "--one", str(count)]
        peak, spent = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        found.append(float(peak))
        print(f"{count:>8} {float(peak):>10.0f} {1e3 * float(spent) / count:>17.2f}")
    kept = (found[-1] - found[0]) / (asked.points[-1] - asked.points[0])
    print(f"each further point adds {1e3 * kept:.2f} kB to the peak")


class Handed:
    """Hands over copies of one outcome in batches, as they come out of a pipe: nothing is shared between them."""

    def __init__(self, pattern: Outcome) -> None:
        self._pattern = pattern

    def run(self, tasks: Sequence[Task]) -> Iterator[list[Outcome]]:
        """Yield outcomes, 64 at a time."""
        for first in range(0, len(tasks), 64):
            batch = []
            for task in tasks[first : first + 64]:
                values = {name: value + task.index for name, value in self._pattern.values.items()}
                batch.append(
                    pickle.loads(pickle.dumps(replace(self._pattern, index=task.index, values=values)))
                )
            yield batch

    def close(self) -> None:
        """Nothing to let go of."""


def drive(count: int) -> tuple[float, float]:
    """Return peak memory [MB] and CPU time [s] of a sweep of so many points, one run each."""
    small = make_plan("tiny", [Point(values={}, overrides=())], replicas=1)
    pattern = Player().play(small.tasks()[0])
    began = time.process_time()
    values = [f"{0.3 + 0.2 * number / count:.6f}" for number in range(count)]
    points = [Point(values={FIELD: value}, overrides=(f"{FIELD}={value}",)) for value in values]
    plan = make_plan("tiny", points, replicas=1)
    with tempfile.TemporaryDirectory() as name, open_folder(Path(name), plan) as opened:
        outcomes = opened.run(Handed(pattern), plan.tasks())
        write(
            Path(name), plan, outcomes, ("jobs.large.slip_days",), formats=("csv",), plots=False, command=""
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return peak, time.process_time() - began


if __name__ == "__main__":
    main()
