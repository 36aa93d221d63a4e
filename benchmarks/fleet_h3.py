"""H3: seven gangs of 1k to 64k GPUs on 131,072 chips for 180 days, with failures, priorities and preemption.

Expected node failures: 16,384 nodes x 6.5e-3 per day x 180 days = 19,170 +- 138. FleetSim 0.8 takes 415 CPU-seconds
for such a fleet at hourly rounds (its documentation case with 232 jobs; the queue here is seven gangs).
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colossus_sim.engine.bench import (
    BenchJob,
    a_site,
    fault_class,
    faults,
    play_bench,
    saves,
)
from colossus_sim.specs.policies import Policies
from colossus_sim.validation.operations_runs import effective_share

DAY = 86400.0
DAYS = 180
NODES, RATE = 131072 // 8, 6.5e-3 / DAY
"""Nodes; failures of one. [1/s]"""
AUTO_FRACTION, AUTO_TIME, MANUAL_TIME = 0.5, 1800.0, DAY
"""Share of repairs by reset, and mean times of both kinds. [s]"""
MEAN_REPAIR = AUTO_FRACTION * AUTO_TIME + (1 - AUTO_FRACTION) * MANUAL_TIME
GANGS = {"a": 65536, "b": 32768, "c": 16384, "d": 8192, "e": 4096, "f": 2048, "g": 1024}


def main(seeds: int) -> None:
    """Play the fleet and print failures, effective share and CPU time of each seed."""
    repair = {
        "auto_fraction": AUTO_FRACTION,
        "auto_time": f"{AUTO_TIME} s",
        "manual_time": f"{MANUAL_TIME} s",
    }
    node = fault_class("node", RATE, "node", repair=repair)
    jobs = {
        name: BenchJob(
            units=10**8, unit_time=10.0, gpus=gpus, priority=index % 3, submit=index * DAY, state_bytes=1.0
        )
        for index, (name, gpus) in enumerate(GANGS.items())
    }
    policies = Policies.model_validate(
        {"scheduler": "priority_backfill", "preemption": "priority", "contention": "none"}
    )
    counts = []
    for seed in range(1, seeds + 1):
        begun = time.process_time()
        result = play_bench(
            jobs,
            site=a_site(131072, domain=8),
            faults=faults(900.0, node=node),
            checkpoint=saves(3600.0, 60.0),
            policies=policies,
            horizon=DAYS * DAY,
            seed=seed,
        )
        spent = time.process_time() - begun
        counts.append(sum(1 for row in result.events if row.kind == "failure"))
        print(
            f"seed {seed}: {counts[-1]} failures, effective share {effective_share(result):.3f}, "
            f"{spent:.1f} CPU s"
        )
    mean = math.fsum(counts) / seeds
    expected = NODES * RATE * DAYS * DAY
    standing = expected / (1.0 + RATE * MEAN_REPAIR)
    for name, value in (("all nodes", expected), ("without nodes under repair, which cannot fail", standing)):
        z = (mean - value) / math.sqrt(value / seeds)
        print(
            f"mean of {seeds} seeds {mean:,.0f}; {name}: {value:,.0f} +- {math.sqrt(value):.0f}, z {z:+.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
