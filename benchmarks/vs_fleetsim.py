"""FleetSim and this engine on the same cases: agreement and CPU time of each.

    python benchmarks/vs_fleetsim.py --fleetsim CHECKOUT [--seeds 2] [--days 180] [--round 3600]

CHECKOUT is a clone of https://github.com/felivalencia3/mini-compute-simulator (it needs PyYAML, numpy, pandas and
pyarrow). H1 is one job on 16,384 GPUs whose exact efficiency is known, H3 seven gangs on 131,072 chips.
FleetSim works in rounds: `--round` is its scheduling round on H3 (its default is 60 s, hourly is 4 times faster).
It stops a job at a failure and puts it back into the queue, this engine replaces the node; on both sides goodput is
productive over allocated chip time.
"""

from __future__ import annotations

import argparse
import importlib
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import fleet_h3  # noqa: E402

from colossus_sim.engine.runner import simulate  # noqa: E402
from colossus_sim.formulas.reliability import efficiency  # noqa: E402
from colossus_sim.loading.load import load_scenario  # noqa: E402
from colossus_sim.records import GPU_STATES  # noqa: E402

DAY = 86400.0
RATE = 6.5e-3
"""Failures of a node. [1/day]"""
GANGS = (65536, 32768, 16384, 8192, 4096, 2048, 1024)


@dataclass(frozen=True)
class Gang:
    """A job: chips, priority from 0 up, submission and work. [s]"""

    chips: int
    priority: int
    submit: float
    work: float


@dataclass(frozen=True)
class Outcome:
    """Node failures, goodput, allocated share of all chips, CPU time. [s]"""

    failures: float
    goodput: float
    allocated: float
    seconds: float


class FleetSim:
    """FleetSim from a checkout."""

    def __init__(self, checkout: Path) -> None:
        source = checkout / "src"
        if not (source / "fleetsim" / "engine" / "sim.py").is_file():
            raise SystemExit(
                f"{checkout} is no FleetSim checkout (src/fleetsim/engine/sim.py is missing): git clone "
                "https://github.com/felivalencia3/mini-compute-simulator, then pass its folder with --fleetsim"
            )
        sys.path.insert(0, str(source))
        names = (
            "config", "model", "engine.sim", "fleet.build", "metrics.collector", "metrics.summary",
            "schedulers.base", "workload.trace",
        )  # fmt: skip
        try:
            self._modules: dict[str, Any] = {
                name: importlib.import_module(f"fleetsim.{name}") for name in names
            }
        except ImportError as error:
            raise SystemExit(f"FleetSim in {checkout} cannot be imported: {error}") from error

    def play(self, gangs: list[Gang], *, nodes: int, days: float, round_s: int, seed: int) -> Outcome:
        """Play gangs on so many nodes of 8 chips, as its own validation harness does."""
        modules = self._modules
        begun = time.process_time()
        scenario = modules["config"].load_scenario(_document(nodes, days, round_s, seed), strict=True)
        fleet = modules["fleet.build"].build_fleet(scenario)
        jobs = [self._job(number, gang) for number, gang in enumerate(gangs)]
        source = modules["workload.trace"].TraceSource(jobs, fleet=fleet)
        scheduler = modules["schedulers.base"].get_scheduler(
            scenario.scheduler.name, scenario.scheduler.params
        )
        collector = modules["metrics.collector"].MetricsCollector.from_scenario(scenario, fleet)
        modules["engine.sim"].Simulator(scenario, fleet, source, scheduler, collector).run()
        full = modules["metrics.summary"].build_summary(collector)["full"]
        return Outcome(
            failures=float(full["counts"]["node_failures"]),
            goodput=full["goodput"],
            allocated=full["allocation_rate"],
            seconds=time.process_time() - begun,
        )

    def _job(self, number: int, gang: Gang) -> Any:
        model = self._modules["model"]
        return self._modules["workload.trace"].TraceJob(
            id=f"gang{number}", tenant="fleet", job_class=model.JobClass.PRETRAIN,
            submit_t=round(gang.submit * 1e6), gangs=[model.GangSpec(chips=gang.chips, chip_type="h100")],
            tier=model.Tier(gang.priority), min_runtime_s=0.0, walltime_est_s=None, true_duration_s=gang.work,
            checkpoint_interval_s=3600.0, checkpoint_save_s=60.0, restart_overhead_s=900.0,
        )  # fmt: skip


def _document(nodes: int, days: float, round_s: int, seed: int) -> dict[str, Any]:
    """Return a scenario of FleetSim: one cluster, its default repairs, no maintenance."""
    cluster = {
        "name": "h100",
        "chip": {"type": "h100", "per_node": 8},
        "topology": {"levels": ["node"], "counts": [nodes]},
    }
    return {
        "sim": {"horizon": f"{round(days * 24)}h", "round": f"{round_s}s", "seed": seed},
        "fleet": {"metro": "one", "clusters": [cluster]},
        "failure_model": {
            "node_mtbf_days": 1.0 / RATE,
            "repair_auto_min": [60, 180],
            "repair_manual_frac": 0.1,
            "repair_manual_days": [1, 3],
            "maintenance_rate_per_node_month": 0,
        },
        "workload": {"kind": "trace", "source": "the jobs are handed over as objects"},
        "scheduler": {"name": "tiered_priority", "params": {"preempt": "requeue"}},
    }


def single_job(seed: int) -> Outcome:
    """H1 in this engine."""
    scenario = load_scenario("single_job_16k")
    begun = time.process_time()
    result = simulate(scenario, seed=seed)
    spent = time.process_time() - begun
    held = [row for row in result.gpu_time if row.job]
    productive = math.fsum(row.seconds[GPU_STATES.index("productive")] for row in held)
    total = math.fsum(seconds for row in held for seconds in row.seconds)
    failures = sum(row.kind == "failure" for row in result.events)
    return Outcome(float(failures), productive / total, math.nan, spent)


def show(name: str, play: Callable[[int], Outcome], seeds: int, exact: float | None) -> None:
    """Play so many seeds and print their means."""
    played = [play(seed) for seed in range(1, seeds + 1)]
    goodput = [one.goodput for one in played]
    error = statistics.stdev(goodput) / math.sqrt(seeds)
    z = f", z {(statistics.fmean(goodput) - exact) / error:+.2f}" if exact is not None and error else ""
    failures = statistics.fmean(one.failures for one in played)
    seconds = statistics.fmean(one.seconds for one in played)
    print(
        f"{name:12} {failures:8,.0f} failures, goodput {statistics.fmean(goodput):.4f} +- {error:.4f}{z}, "
        f"{seconds:.2f} CPU s a run"
    )


def main() -> None:
    """Compare on H1, then on H3."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fleetsim", type=Path, required=True, metavar="CHECKOUT", help="clone of FleetSim")
    parser.add_argument("--seeds", type=int, default=2, help="runs of FleetSim, at least 2")
    parser.add_argument("--days", type=float, default=180.0, help="length of H3 for FleetSim")
    parser.add_argument("--round", type=int, default=3600, dest="round_s", help="its round on H3 [s]")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2, for a standard error")
    peer = FleetSim(arguments.fleetsim.resolve())
    seeds = arguments.seeds
    exact = efficiency(3600.0, save_time=60.0, mtbf=DAY / (2048 * RATE), recovery=900.0)
    print(f"H1, 16,384 GPUs, hourly saves of 60 s, restart 900 s: exact efficiency {exact:.4f}")
    one = [Gang(16384, 2, 0.0, 30 * DAY)]
    show("FleetSim", lambda seed: peer.play(one, nodes=2294, days=120, round_s=60, seed=seed), seeds, exact)
    show("this engine", single_job, 4 * seeds, exact)
    days, round_s = arguments.days, arguments.round_s
    expected = 16384 * RATE * days
    print(f"\nH3, seven gangs on 131,072 chips: FleetSim {days:g} days at rounds of {round_s} s, "
          f"expected failures {expected:,.0f} +- {math.sqrt(expected):.0f}; this engine 180 days")  # fmt: skip
    gangs = [Gang(chips, index % 3, index * DAY, 1e9) for index, chips in enumerate(GANGS)]
    show(
        "FleetSim",
        lambda seed: peer.play(gangs, nodes=16384, days=days, round_s=round_s, seed=seed),
        seeds,
        None,
    )
    show("this engine", _fleet, 2 * seeds, None)


def _fleet(seed: int) -> Outcome:
    """H3 in this engine."""
    one = fleet_h3.play(seed)
    return Outcome(float(one.failures), one.goodput, one.allocated, one.seconds)


if __name__ == "__main__":
    main()
