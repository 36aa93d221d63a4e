"""Collectives of seven jobs on 98,304 hosts of a three-tier Clos network, CPU seconds.

    python benchmarks/seven_jobs.py [--repeat N]

Rings of 14,043 hosts, placed at random, so that every link above the leaf is shared; ECMP routes from a hash.
Printed are two answers to two questions: each job in lockstep (`simulate_collectives`, what a collective does:
nobody is ahead of the slowest), and every flow on its own (`simulate_flows`: each ends when its bytes are sent).
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from flow_cases import MIB, Case, Floats, make_flows, summary  # noqa: E402

from colossus_sim.network import simulate_collectives, simulate_flows  # noqa: E402

SEVEN = Case(name="seven rings", hosts=98304, workload="jobs", job=14043, sizes="fixed")


def cpu_seconds(work: Callable[[], Floats], repeat: int) -> tuple[float, Floats]:
    """Return the CPU time of the best of N runs, and what it returns."""
    best, found = float("inf"), np.empty(0)
    for _ in range(repeat):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        found = work()
        best = min(best, resource.getrusage(resource.RUSAGE_SELF).ru_utime - before)
    return best, found


def main() -> None:
    """Run and print both."""
    parser = argparse.ArgumentParser(description="Collectives of seven jobs on 98,304 hosts.")
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    flows = make_flows(SEVEN)
    job = np.repeat(np.arange(len(flows.size) // SEVEN.job), SEVEN.job)
    first = np.arange(0, len(flows.size), SEVEN.job)
    sizes = np.full(len(first), 64 * MIB)
    routes = (flows.ptr, flows.idx)
    print(f"{SEVEN.name}: {summary(flows)}")
    joint, ends = cpu_seconds(
        lambda: simulate_collectives(flows.capacity, routes, job, sizes, flows.start[first]), repeat
    )
    print(f"in lockstep          {joint:6.2f} CPU s   last job ends after {ends.max() * 1e3:.3f} ms")
    alone, single = cpu_seconds(
        lambda: simulate_flows(flows.capacity, routes, flows.size, flows.start), repeat
    )
    print(f"every flow by itself {alone:6.2f} CPU s   last flow ends after {single.max() * 1e3:.3f} ms")


if __name__ == "__main__":
    main()
