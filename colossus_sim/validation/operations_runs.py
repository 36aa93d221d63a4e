"""Whole published runs beside the shipped scenarios that play them."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

from colossus_sim.engine.runner import simulate
from colossus_sim.loading.load import load_scenario
from colossus_sim.records import CAUSES, RunResult
from colossus_sim.validation.operations_stats import Case, mean_and_error

_LLAMA_SOURCE = "Llama 3, arXiv:2407.21783, sec. 3.3.4"
_LLAMA_ROWS = {
    "faulty_gpu": "F010", "gpu_hbm": "F011", "software_bug": "F012", "network": "F013",
    "host_maintenance": "F014", "gpu_sram": "F015", "gpu_system_processor": "F016", "nic": "F017",
    "nccl_timeout": "F018", "silent_data_corruption": "F019", "gpu_thermal": "F020", "ssd": "F021",
    "power_supply": "F022", "server_chassis": "F023", "io_expansion_board": "F024", "dependency": "F025",
    "cpu": "F026", "system_memory": "F027", "planned_maintenance": "F002",
}  # fmt: skip
"""Failure class of the scenario -> row of data/validation/failures.csv with its published count."""

_LOST = ("lost_work", "checkpoint", "restart", "repair_wait")


def published_facts() -> dict[str, float]:
    """Return the single-number rows of the shipped table of reliability facts, by id."""
    text = (files("colossus_sim") / "data" / "validation" / "failures.csv").read_text(encoding="utf-8")
    facts = {}
    for row in csv.DictReader(io.StringIO(text)):
        try:
            facts[row["id"]] = float(row["value"])
        except ValueError:
            continue
    return facts


def llama_cases(runs: int, seed: int) -> Iterator[Case]:
    """54 days of Llama 3 405B: interruptions in all and by cause, effective training time."""
    facts = published_facts()
    scenario = load_scenario("llama3_405b")
    counts: Counter[str] = Counter()
    totals, ettr = [], []
    for index in range(runs):
        result = simulate(scenario, seed=seed + index)
        found = Counter(row.subject for row in result.events if row.kind == "failure" and row.job)
        counts += found
        totals.append(float(sum(found.values())))
        ettr.append(effective_share(result))
    mean, _ = mean_and_error(totals)
    yield _count_case("all interruptions", mean, facts["F001"], runs)
    for name, row in _LLAMA_ROWS.items():
        yield _count_case(name.replace("_", " "), counts[name] / runs, facts[row], runs)
    share, error = mean_and_error(ettr)
    yield Case(
        name="Llama 3, 54 days: effective training time", source=_LLAMA_SOURCE, kind="bound", simulated=share,
        expected=facts["F006"], error=error, note="published as higher than 90 %; one-sided",
    )  # fmt: skip


def _count_case(name: str, simulated: float, published: float, runs: int) -> Case:
    return Case(
        name=f"Llama 3, 54 days: {name}", source=_LLAMA_SOURCE, kind="theory", simulated=simulated,
        expected=published, error=math.sqrt(published + published / runs), unit="interruptions",
        note=f"rates are from this table, so this checks the bookkeeping; mean of {runs} runs",
    )  # fmt: skip


def effective_share(result: RunResult) -> float:
    """Return the share of the jobs' time that was not lost to failures, saves and repairs."""
    lost = math.fsum(row.causes[CAUSES.index(cause)] for row in result.intervals for cause in _LOST)
    return 1.0 - lost / math.fsum(row.end - row.start for row in result.intervals)
