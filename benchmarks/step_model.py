"""CPU time of one estimate of a training step, over the published mappings of the validation table.

    python benchmarks/step_model.py

Each distinct mapping is estimated five times; its best time counts. Building the fabric is not in it (one for many
rows), what a row's device and placement are is.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.errors import ColossusError  # noqa: E402
from colossus_sim.validation.cases import Case, LeftOut  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402
from colossus_sim.validation.predict import Predictor  # noqa: E402
from colossus_sim.validation.rows import read_training_rows, shipped  # noqa: E402

REPEATS = 5


def mappings(predictor: Predictor) -> list[Case]:
    """Return the rows that the model can express, one of each mapping."""
    found: dict[str, Case] = {}
    for row in read_training_rows(shipped("training_rows.csv")):
        case = predictor.case(row)
        if isinstance(case, LeftOut):
            continue
        try:
            predictor.estimate(case)
        except (ColossusError, KeyError, ValueError):
            continue
        found.setdefault(
            repr((case.architecture, case.plan, predictor.gpu(case), case.gpus, case.network)), case
        )
    return list(found.values())


def seconds(predictor: Predictor, case: Case) -> float:
    """Return the CPU time of the fastest of some estimates. [s]"""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        predictor.estimate(case)
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    """Print the mean of all mappings, and of those of each schedule."""
    predictor = Predictor(shipped_inputs())
    groups: dict[str, list[float]] = {}
    for case in mappings(predictor):
        schedule = case.plan.schedule if case.plan.pipeline_parallel > 1 else "no pipeline"
        groups.setdefault(schedule, []).append(seconds(predictor, case))
    groups["all"] = [one for times in groups.values() for one in times]
    for name, times in groups.items():
        print(f"{name:>18}: {len(times):5d} mappings, {1e3 * statistics.fmean(times):.3f} ms of CPU each")


if __name__ == "__main__":
    main()
