"""How cost grows with GPUs (at an equal number of failures), with failures, and with training steps.

    python benchmarks/scaling.py

One job fills a cluster of NVL72 racks for `DAYS` days. Only the engine is timed: the scenario is loaded before.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DAYS = 60
RUNS = 3

SCENARIO = """\
version: 1
name: scaling
start: 2026-01-01
horizon: {days} days
cluster:
  sites:
    site:
      topology: {{use: colossus_2_550k, gpus: {installed}, fabric: {{switch_radix: 512}}}}
      storage: colossus_flash
      partitions:
        gb200:
          gpu: gb200_nvl72
          gpus_used_per_domain: 64
          spare_domains: 16
          capacity: [{{at: 2026-01-01, gpus: {installed}}}]
faults:
  restart: {{base: 2 min, per_doubling: 0 s, manual_fraction: 0}}
  classes:
    rack:
      per: domain
      rate: "{rate:.12e} /day"
      removes: domain
      repair: {{manual_time: 4 h, distribution: exponential}}
      provenance: {{kind: assumption, reference: benchmark, checked: 2026-01}}
checkpoint:
  tiers: [{{name: storage, mode: async, interval: optimal}}]
jobs:
  job:
    model: grok_1p5t
    site: site
    gpus: {gpus}
    submit: 2026-01-01
    parallel:
      tensor_parallel: 2
      pipeline_parallel: 16
      expert_parallel: 32
      zero_stage: 1
      activation_recomputation: full
      micro_batch_size: 1
      global_batch_size: {batch}
      sequence_length: {length}
      precision: mxfp8
      stack: megatron_bridge_26_02
    phases: {{pretrain: {{tokens: 1e18}}}}
"""


@dataclass(frozen=True)
class Case:
    """One size to measure."""

    gpus: int
    failures: float
    length: int = 4096


@dataclass(frozen=True)
class Outcome:
    """What one size cost."""

    seconds: float
    megabytes: float
    failures: int
    steps: float


CHILD = """\
import resource, sys, time
from colossus_sim import load_scenario
from colossus_sim.engine.runner import simulate
scenario = load_scenario(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for _ in range(int(sys.argv[2])):
    start = time.process_time()
    run = simulate(scenario)
    times.append(time.process_time() - start)
failures = sum(row.kind == 'failure' for row in run.events)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(min(times), (peak - before) / 1024, failures, run.phases[0].units_done)
"""


def measure(case: Case) -> Outcome:
    """Play one case in a process of its own; the least CPU time of `RUNS`, and the memory added."""
    domains = -(-case.gpus // 64) + 16 + case.gpus // 64 // 50
    text = SCENARIO.format(
        days=DAYS,
        installed=domains * 72,
        gpus=case.gpus,
        rate=case.failures / DAYS / domains,
        batch=case.gpus // 32,
        length=case.length,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scaling.yaml"
        path.write_text(text, "utf-8")
        command = [sys.executable, "-c", CHILD, str(path), str(RUNS)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    seconds, megabytes, failures, steps = done.stdout.split()
    return Outcome(float(seconds), float(megabytes), int(failures), float(steps))


def show(title: str, cases: list[Case]) -> None:
    """Print one table, with ratios to its first row."""
    print(f"\n{title}\n{'GPUs':>9} {'failures':>9} {'steps':>10} {'CPU s':>8} {'ratio':>6} {'MB':>7}")
    first = None
    for case in cases:
        found = measure(case)
        first = first or found
        ratio = found.seconds / first.seconds
        print(
            f"{case.gpus:9,} {found.failures:9,} {found.steps:10,.0f} {found.seconds:8.3f} {ratio:6.2f} "
            f"{found.megabytes:7.1f}"
        )


def main() -> None:
    """Print the tables."""
    start = time.perf_counter()
    sizes = (30_720, 307_200, 1_015_808)
    show("GPUs, at an equal number of failures", [Case(gpus, 2000) for gpus in sizes])
    show("failures, at 307,200 GPUs", [Case(307_200, count) for count in (500, 2000, 8000)])
    show("training steps, at 307,200 GPUs", [Case(307_200, 2000, length) for length in (16384, 4096, 1024)])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nwhole benchmark: {time.perf_counter() - start:.0f} s, largest process {peak:.0f} MB")


if __name__ == "__main__":
    main()
