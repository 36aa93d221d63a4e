"""H2: AIReSim's job on 4,096 servers with two-stage repairs, and the same failures on ever more servers.

AIReSim itself takes 18 to 27 CPU-seconds for one run of its defaults, and its time grows with servers x failures.
Its checkout has to be installed to measure that again: `python -m airesim.run --config config.yaml`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colossus_sim.validation.operations_pipeline import Pipeline, pipeline_cases, play_pipeline

RUNS = 20


def main() -> None:
    """Print the published figures beside ours, then CPU time per run by number of servers."""
    for case in pipeline_cases(RUNS, 1):
        print(f"{case.name}: {case.simulated:,.4g} against {case.expected:,.4g}, z {case.z:+.2f}")
    base = Pipeline(bad_share=0.0)  # with bad servers, larger pools would have more failures
    for factor in (1, 10, 100, 1000):
        servers = base.servers * factor
        spec = replace(
            base,
            servers=servers,
            pool=servers + base.pool - base.servers,
            failure_rate=base.failure_rate / factor,
        )
        begun = time.process_time()
        failures = sum(play_pipeline(spec, seed).failures for seed in range(RUNS))
        spent = (time.process_time() - begun) / RUNS
        print(f"{servers:9,} servers: {failures / RUNS:,.0f} failures, {spent:.3f} CPU s a run")


if __name__ == "__main__":
    main()
