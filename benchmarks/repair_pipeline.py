"""H2: AIReSim's job on 4,096 servers with two-stage repairs, and the same failures on ever more servers.

AIReSim itself takes 18 to 27 CPU-seconds for one run of its defaults, and its time grows with servers x failures;
`vs_airesim.py` measures it from a checkout.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colossus_sim.compiling import jit_available
from colossus_sim.engine.runner import simulate
from colossus_sim.loading.load import load_scenario
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.compiled import kernel_player
from colossus_sim.training.phases import build_phase_model
from colossus_sim.validation.operations_pipeline import SCENARIO, pipeline_cases

RUNS, TIMED = 12, 3
SERVERS, STANDBYS, POOL, SPARES = 4096, 16, 4160, 200
PER_SERVER = 8
"""GPUs."""
RATE = 0.01
"""Failures of a good server. [1/day]"""


def larger(factor: int) -> list[str]:
    """Return what to change for so many times the servers and equally many failures.

    All servers are good: with bad ones, more servers would have more failures.
    """
    installed = (SERVERS * factor + POOL - SERVERS + SPARES) * PER_SERVER
    gpus = SERVERS * factor * PER_SERVER
    fabric = "{kind: clos, switch_radix: 1000000000, rails: 1, tiers: [{name: leaf, group_gpus: 0}]}"
    source = "{kind: assumption, reference: one switch, checked: 2026-11}"
    return [
        f"cluster.sites.pool.topology={{title: one switch, gpu: h100, gpus: {installed}, fabric: {fabric}, "
        f"provenance: {source}}}",
        f"cluster.sites.pool.partitions.servers.capacity=[{{at: 2026-01-01, gpus: {installed}}}]",
        f"jobs.job.gpus={gpus}",
        f"jobs.job.phases.work.gpu_hours={gpus * 256 * 24}",
        "faults.lemons=null",
        f"faults.classes.server.rate={RATE / factor} /day",
    ]


def simpy_seconds(scenario: Scenario) -> tuple[float, float]:
    """Return (CPU time of a run of the SimPy engine, mean number of failures)."""
    spent, failures = [], []
    for seed in range(TIMED):
        begun = time.process_time()
        result = simulate(scenario, seed=seed)
        spent.append(time.process_time() - begun)
        failures.append(sum(row.kind == "failure" for row in result.events))
    return min(spent), math.fsum(failures) / len(failures)


def kernel_seconds(scenario: Scenario) -> tuple[float, float]:
    """Return (CPU time of the kernel's start with a scenario, of a further run with its measures)."""
    begun = time.process_time()
    player = kernel_player(scenario, build_phase_model)
    if player is None or player.measured(0) is None:
        raise SystemExit("the kernel does not play this scenario")
    start, spent = time.process_time() - begun, []
    for seed in range(TIMED):
        begun = time.process_time()
        player.measured(seed)
        spent.append(time.process_time() - begun)
    return start, min(spent)


def main() -> None:
    """Print the published figures beside ours, then CPU time per run by number of servers."""
    for case in pipeline_cases(RUNS, 1):
        print(f"{case.name}: {case.simulated:,.4g} against {case.expected:,.4g}, z {case.z:+.2f}")
    for name, changes in (("as published", []), *((f"x {n}, all good", larger(n)) for n in (1, 10, 100))):
        scenario = load_scenario(SCENARIO, overrides=changes)
        servers = scenario.jobs["job"].gpus // PER_SERVER
        simpy, failures = simpy_seconds(scenario)
        print(
            f"{servers:9,} servers, {name}: {failures:,.0f} failures, SimPy {simpy:.2f} CPU s a run", end=""
        )
        if jit_available():
            start, each = kernel_seconds(scenario)
            print(
                f", kernel {each:.3f} (its start, with any compiling, and the first run {start:.2f})", end=""
            )
        print()


if __name__ == "__main__":
    main()
