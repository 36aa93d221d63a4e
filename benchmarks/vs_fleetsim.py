"""FleetSim and this engine on the same cases: agreement and CPU time of each.

    python benchmarks/vs_fleetsim.py --fleetsim CHECKOUT [--seeds 2] [--days 180] [--round 3600]

CHECKOUT is a clone of https://github.com/felivalencia3/mini-compute-simulator (it needs PyYAML, numpy, pandas and
pyarrow). H1 is one job on 16,384 GPUs whose exact efficiency is known, H3 seven gangs on 131,072 chips.
FleetSim works in rounds: `--round` is its scheduling round on H3 (its default is 60 s, hourly is faster). It stops
a job at a failure and queues it until the next round, this engine replaces the node at once. On both sides goodput
is productive over allocated chip time, so waiting for the round lowers what is allocated; on H3 it also shifts the
goodput of the fleet towards the small gangs, which fail and wait less. Both are known exactly and printed.
"""

from __future__ import annotations

import argparse
import importlib
import math
import statistics
import sys
import time
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
REPAIR = 0.9 * 2 / 24 + 0.1 * 2
"""Mean repair of a node. [day]"""
CHIPS = 131072
GANGS = (65536, 32768, 16384, 8192, 4096, 2048, 1024)
H1_DAYS = 60.0


@dataclass(frozen=True)
class Gang:
    """A job: chips, priority from 0 up, submission and work. [s]"""

    chips: int
    priority: int
    submit: float
    work: float


@dataclass(frozen=True)
class Outcome:
    """Node failures, those of them that hit a job, goodput, allocated share of all chips, CPU time. [s]"""

    failures: float
    stops: float
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
            stops=float(full["counts"]["failure_kills"]),
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
    """H1 in this engine, loading included."""
    begun = time.process_time()
    scenario = load_scenario("single_job_16k")
    result = simulate(scenario, seed=seed)
    spent = time.process_time() - begun
    held = [row for row in result.gpu_time if row.job]
    productive = math.fsum(row.seconds[GPU_STATES.index("productive")] for row in held)
    total = math.fsum(seconds for row in held for seconds in row.seconds)
    failures = [row.job for row in result.events if row.kind == "failure"]
    return Outcome(float(len(failures)), float(sum(map(bool, failures))), productive / total, math.nan, spent)


def exact_fleet(days: float, round_s: float) -> tuple[float, float]:
    """Goodput and allocated share of H3 where a job waits for the next round after each failure.

    A gang with failures every mu starts at a round and holds its chips for mu on average, until a failure; with the
    wait it takes whole rounds, r / (1 - exp(-r / mu)) on average. Without rounds (0) it holds them always.
    """
    productive = held = 0.0
    for index, chips in enumerate(GANGS):
        mtbf = DAY / (chips / 8 * RATE)
        share = 1.0 if round_s == 0.0 else mtbf * -math.expm1(-round_s / mtbf) / round_s
        time_held = chips * share * (days - index)
        held += time_held
        productive += time_held * efficiency(3600.0, save_time=60.0, mtbf=mtbf, recovery=900.0)
    return productive / held, held / (CHIPS * days)


def show(name: str, outcomes: list[Outcome], exact: float) -> None:
    """Print the means of runs, and how far their goodput is from the exact one."""
    goodput = [one.goodput for one in outcomes]
    mean = statistics.fmean(goodput)
    error = statistics.stdev(goodput) / math.sqrt(len(goodput))
    allocated = statistics.fmean(one.allocated for one in outcomes)
    print(
        f"{name:12} {len(outcomes)} runs: {statistics.fmean(one.failures for one in outcomes):,.0f} failures, "
        f"{statistics.fmean(one.stops for one in outcomes):,.0f} hit a job; goodput {mean:.4f} +- {error:.4f} "
        f"(exact {exact:.4f}, {mean / exact - 1.0:+.1%})"
        + ("" if math.isnan(allocated) else f", allocated {allocated:.4f}")
        + f"; {statistics.fmean(one.seconds for one in outcomes):.2f} CPU s a run"
    )


def main() -> None:
    """Compare on H1, then on H3."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fleetsim", type=Path, required=True, metavar="CHECKOUT", help="clone of FleetSim")
    parser.add_argument("--seeds", type=int, default=2, help="runs of FleetSim, at least 2")
    parser.add_argument("--days", type=float, default=180.0, help="length of H3, at least 7")
    parser.add_argument("--round", type=int, default=3600, dest="round_s", help="its round on H3 [s]")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("--seeds must be at least 2, for a standard error")
    if arguments.days < len(GANGS):
        parser.error(f"--days must be at least {len(GANGS)}, so that every gang is submitted")
    peer = FleetSim(arguments.fleetsim.resolve())
    compare_h1(peer, arguments.seeds)
    compare_h3(peer, arguments.seeds, arguments.days, arguments.round_s)


def compare_h1(peer: FleetSim, seeds: int) -> None:
    """One job: FleetSim plays on to its horizon, which therefore is only just longer than the job."""
    mtbf = DAY / (2048 * RATE)
    exact = efficiency(3600.0, save_time=60.0, mtbf=mtbf, recovery=900.0)
    work = 30 * DAY
    print(
        f"H1, 16,384 GPUs, 30 days of work, hourly saves of 60 s, restart 900 s; "
        f"expected to be hit {work / exact / mtbf:,.0f} times"
    )
    one = [Gang(16384, 2, 0.0, work)]
    played = [peer.play(one, nodes=2294, days=H1_DAYS, round_s=60, seed=1 + run) for run in range(seeds)]
    show("FleetSim", played, exact)
    show("this engine", [single_job(1 + run) for run in range(4 * seeds)], exact)


def compare_h3(peer: FleetSim, seeds: int, days: float, round_s: int) -> None:
    """Seven gangs, on both sides so many days."""
    expected = 16384 * RATE * days / (1.0 + RATE * REPAIR)
    print(
        f"\nH3, seven gangs on 131,072 chips, {days:g} days; expected failures of nodes that are up "
        f"{expected:,.0f} +- {math.sqrt(expected):.0f}"
    )
    gangs = [Gang(chips, index % 3, index * DAY, 1e9) for index, chips in enumerate(GANGS)]
    played = [peer.play(gangs, nodes=16384, days=days, round_s=round_s, seed=1 + run) for run in range(seeds)]
    for name, outcomes, waited in (
        ("FleetSim", played, float(round_s)),
        ("this engine", [_fleet(1 + run, days) for run in range(2 * seeds)], 0.0),
    ):
        goodput, allocated = exact_fleet(days, waited)
        show(name, outcomes, goodput)
        print(
            f"{'':12} exact allocated share {allocated:.4f}" + (f", rounds of {round_s} s" if waited else "")
        )


def _fleet(seed: int, days: float) -> Outcome:
    """H3 in this engine, loading included."""
    begun = time.process_time()
    one = fleet_h3.play(seed, days)
    spent = time.process_time() - begun
    return Outcome(float(one.failures), float(one.stops), one.goodput, one.allocated, spent)


if __name__ == "__main__":
    main()
