"""H3: seven gangs of 1k to 64k GPUs on 131,072 chips for 180 days, with failures, priorities and preemption.

Expected node failures: 16,384 nodes x 6.5e-3 per day x 180 days = 19,170 +- 138. FleetSim 0.8 takes 338 CPU-seconds
for these gangs at hourly rounds and 1,312 at its default of 60 s; `vs_fleetsim.py` measures it from a checkout.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colossus_sim.engine.runner import simulate
from colossus_sim.loading.load import load_scenario
from colossus_sim.records import GPU_STATES

SCENARIO = "fleet_131k"
DAY = 86400.0
CHIPS = 131072
PRODUCTIVE = GPU_STATES.index("productive")


@dataclass(frozen=True)
class Outcome:
    """One run: node failures, those that hit a job, productive over held, held over all chip time, CPU time. [s]"""

    failures: int
    stops: int
    goodput: float
    allocated: float
    seconds: float


def play(seed: int, days: float = 180.0) -> Outcome:
    """Play so many days of the shipped scenario once."""
    scenario = load_scenario(SCENARIO, overrides=[f"horizon={days} days"])
    begun = time.process_time()
    result = simulate(scenario, seed=seed)
    spent = time.process_time() - begun
    rows = [row for row in result.gpu_time if row.job]
    held = math.fsum(seconds for row in rows for seconds in row.seconds)
    failures = [row.job for row in result.events if row.kind == "failure"]
    return Outcome(
        failures=len(failures),
        stops=sum(map(bool, failures)),
        goodput=math.fsum(row.seconds[PRODUCTIVE] for row in rows) / held,
        allocated=held / (CHIPS * scenario.horizon),
        seconds=spent,
    )


def main(seeds: int) -> None:
    """Print failures, goodput and CPU time of each seed, and the mean count beside the expected one."""
    outcomes = []
    for seed in range(1, seeds + 1):
        outcomes.append(one := play(seed))
        print(f"seed {seed}: {one.failures} failures, goodput {one.goodput:.3f}, {one.seconds:.1f} CPU s")
    spec = load_scenario(SCENARIO).faults.classes["node"]
    if spec.repair is None:
        raise SystemExit("the nodes of the scenario are not repaired")
    by_hand = 1.0 - spec.repair.auto_fraction
    repair = spec.repair.auto_fraction * spec.repair.auto_time + by_hand * spec.repair.manual_time
    expected = CHIPS / 8 * spec.rate * 180 * DAY
    mean = math.fsum(one.failures for one in outcomes) / seeds
    standing = expected / (1.0 + spec.rate * repair)
    for name, value in (("all nodes", expected), ("without nodes under repair, which cannot fail", standing)):
        z = (mean - value) / math.sqrt(value / seeds)
        print(
            f"mean of {seeds} seeds {mean:,.0f}; {name}: {value:,.0f} +- {math.sqrt(value):.0f}, z {z:+.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
