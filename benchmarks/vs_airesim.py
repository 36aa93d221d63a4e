"""AIReSim and this engine on the same cases: published figures, agreement and CPU time of each.

    python benchmarks/vs_airesim.py --airesim CHECKOUT [--runs 3]

CHECKOUT is a clone of https://github.com/karthikp-ubc/airesim (arXiv:2603.07041); it needs SimPy, which is here.
H2 is its default parameters, H1 one job on 16,384 GPUs (2,048 servers) whose exact efficiency is known. AIReSim
loses no work after a failure, so on H1 it cannot come near the exact value; its own limit is given beside it.
"""

from __future__ import annotations

import argparse
import importlib
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.engine.runner import simulate  # noqa: E402
from colossus_sim.formulas.reliability import efficiency  # noqa: E402
from colossus_sim.loading.load import load_scenario  # noqa: E402
from colossus_sim.validation.operations_pipeline import RULES, SCENARIO, pipeline_figures  # noqa: E402

Figures = dict[str, float]
DAY_MINUTES = 1440.0
H1 = {"rate": 6.5e-3, "servers": 2048, "spares": 246, "days": 30.0, "recovery": 15.5}
"""Failures of a server [1/day], servers, further servers, work [d], time from failure to work [min]."""


class AIReSim:
    """AIReSim from a checkout."""

    def __init__(self, checkout: Path) -> None:
        if not (checkout / "airesim" / "simulator.py").is_file():
            raise SystemExit(
                f"{checkout} is no AIReSim checkout (airesim/simulator.py is missing): "
                "git clone https://github.com/karthikp-ubc/airesim, then pass its folder with --airesim"
            )
        sys.path.insert(0, str(checkout))
        try:
            self._params = importlib.import_module("airesim.params").Params
            self._simulator = importlib.import_module("airesim.simulator").Simulator
            self._policies = importlib.import_module("airesim.policies")
        except ImportError as error:
            raise SystemExit(f"AIReSim in {checkout} cannot be imported: {error}") from error

    def only_if_failed(self) -> bool:
        """Whether a reset that mended never goes on to the repair by hand (its rule changed in September 2026)."""
        policy = self._policies.DefaultRepairEscalation(prob_escalate=1.0)
        return not policy.should_escalate(None, True, random.Random(1))

    def play(self, seed: int, **changes: Any) -> Figures:
        """Return the figures of one run."""
        stats = self._simulator(self._params(**changes), seed=seed).run()
        return {
            "wall-clock time": stats.training_time_hours,
            "effective ratio": stats.effective_training_ratio,
            "failures": float(stats.total_failures),
            "manual repairs": float(stats.manual_repairs),
            "repairs that mended nothing": float(stats.failed_repairs),
            "choices of servers": float(stats.host_selection_count),
            "preempted spares": float(stats.preemption_count),
        }


def timed(play: Callable[[int], Figures], runs: int) -> tuple[list[Figures], float]:
    """Play so many seeds; return their figures and the CPU time of one. [s]"""
    begun = time.process_time()
    played = [play(seed) for seed in range(runs)]
    return played, (time.process_time() - begun) / runs


def mean_of(played: list[Figures], name: str) -> tuple[float, float]:
    """Return mean and standard error of a figure; the error is NaN for a single run."""
    values = [figures[name] for figures in played]
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def pipeline(peer: AIReSim, runs: int) -> None:
    """H2: both programs at AIReSim's defaults, with the rule that the checkout has."""
    rule, changes, published = RULES[peer.only_if_failed()]
    scenario = load_scenario(SCENARIO, overrides=changes)
    theirs, their_time = timed(peer.play, runs)
    ours, our_time = timed(lambda seed: pipeline_figures(simulate(scenario, seed=seed)), 4 * runs)
    print(f"H2, AIReSim's defaults ({rule}): {runs} runs of AIReSim, {4 * runs} of this engine")
    print(f"{'figure':30} {'published':>10} {'AIReSim':>20} {'this engine':>20} {'z':>6}")
    for name in theirs[0]:
        (a, a_error), (b, b_error) = mean_of(theirs, name), mean_of(ours, name)
        z = (b - a) / math.hypot(a_error, b_error) if a_error or b_error else 0.0
        shown = f"{published[name][0]:10,.6g}" if name in published else f"{'':10}"
        print(f"{name:30} {shown} {a:11,.5g} +- {a_error:<5.2g} {b:11,.5g} +- {b_error:<5.2g} {z:+6.2f}")
    ratio = their_time / our_time
    print(f"CPU time of a run: AIReSim {their_time:.2f} s, this engine {our_time:.2f} s, ratio {ratio:.1f}\n")


def single_job(peer: AIReSim, runs: int) -> None:
    """H1: the exact efficiency, and what each program says."""
    servers, rate = int(H1["servers"]), H1["rate"] / DAY_MINUTES
    mtbf = 1.0 / (servers * rate)
    exact = efficiency(3600.0, save_time=60.0, mtbf=60.0 * mtbf, recovery=900.0)
    theirs, their_time = timed(
        lambda seed: peer.play(
            seed, random_failure_rate=rate, systematic_failure_fraction=0.0, job_size=servers, warm_standbys=0,
            job_length=H1["days"] * DAY_MINUTES, working_pool_size=servers + int(H1["spares"]),
            spare_pool_size=0, recovery_time=H1["recovery"], host_selection_time=0.0,
        ),
        runs,
    )  # fmt: skip
    scenario = load_scenario("single_job_16k")
    days = H1["days"] * 86400.0
    ours, our_time = timed(
        lambda seed: {"effective ratio": days / simulate(scenario, seed=seed).phases[0].end}, 4 * runs
    )
    (a, a_error), (b, b_error) = mean_of(theirs, "effective ratio"), mean_of(ours, "effective ratio")
    print(f"H1, 16,384 GPUs, hourly saves of 60 s, restart 900 s: exact efficiency {exact:.4f}")
    print(f"AIReSim     {a:.4f} +- {a_error:.2g} (without lost work 1 / (1 + R / MTBF) = "
          f"{1 / (1 + H1['recovery'] / mtbf):.4f}), {their_time:.2f} CPU s a run")  # fmt: skip
    print(f"this engine {b:.4f} +- {b_error:.2g}, z {(b - exact) / b_error:+.2f}, {our_time:.2f} CPU s a run")


def main() -> None:
    """Compare on H2, then on H1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--airesim", type=Path, required=True, metavar="CHECKOUT", help="clone of AIReSim")
    parser.add_argument(
        "--runs", type=int, default=3, help="runs of AIReSim; this engine plays four times as many"
    )
    arguments = parser.parse_args()
    if arguments.runs < 2:
        parser.error("--runs must be at least 2, for a standard error")
    peer = AIReSim(arguments.airesim.resolve())
    pipeline(peer, arguments.runs)
    single_job(peer, arguments.runs)


if __name__ == "__main__":
    main()
