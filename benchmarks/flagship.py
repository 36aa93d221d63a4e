"""What the flagship scenario costs: CPU time of each stage after imports, and memory.

python benchmarks/flagship.py [SCENARIO]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def timed(name: str, function: Callable[[], Any]) -> Any:
    """Call a function, print its wall and CPU time, and the peak memory after it."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<10} {wall:8.2f} {cpu:8.2f} {peak:8.0f}")
    return result


def main(scenario: str = "colossus_roadmap") -> None:
    """Print a table of stages."""
    print(f"{scenario}\n{'stage':<10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8}")

    def imports() -> None:
        import colossus_sim.engine.runner
        import colossus_sim.plots.draw
        import colossus_sim.results.store  # noqa: F401

    timed("imports", imports)
    from colossus_sim import load_scenario
    from colossus_sim.engine.runner import simulate
    from colossus_sim.results.result import result_of

    loaded = timed("load", lambda: load_scenario(scenario))
    run = timed("engine", lambda: simulate(loaded))
    result = timed("tables", lambda: result_of(run))
    with tempfile.TemporaryDirectory() as folder:
        timed("write", lambda: result.save(Path(folder) / "run"))
        timed("gantt", lambda: result.plot_gantt(Path(folder) / "gantt.png"))
    failures = sum(row.kind == "failure" for row in run.events)
    print(f"{failures:,} failures, {len(run.intervals):,} intervals, {len(run.levels):,} levels")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(*sys.argv[1:])
