"""A made-up run in the shape that real ones have: tables, scenario, estimates, at any number of jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from colossus_sim.records import CAUSES, GPU_STATES
from colossus_sim.results.columns import COLUMNS
from colossus_sim.units import DAY, format_instant

START = 1_767_225_600.0  # 2026-01-01
PARTS = ("gemm", "attention", "elementwise", "recomputation", "quantisation", "launch", "tensor_communication",
         "context_communication", "expert_communication", "pipeline_communication", "data_communication",
         "overlap_slowdown", "bubble", "imbalance", "optimizer", "straggler", "overhead", "other")  # fmt: skip
ROADMAP = (
    ("Grok 4.2 (0.5T)", "0.5T MoE", 15_000, 20, 75, "site_1"),
    ("Grok 4.3 beta (0.5T)", "0.5T MoE", 15_000, 79, 107, "site_1"),
    ("Imagine V2", "video DiT 60B", 25_000, 74, 150, "site_1"),
    ("Grok 4.4 class, 1T A", "1T MoE", 15_000, 95, 125, "site_2"),
    ("Grok 4.4 class, 1T B", "1T MoE", 15_000, 98, 125, "site_2"),
    ("Grok 4.5 class, 1.5T A (V9-Medium)", "1.5T MoE", 25_000, 98, 147, "site_2"),
    ("Grok 4.5 class, 1.5T B", "1.5T MoE", 25_000, 98, 147, "site_2"),
    ("Grok 5 class, 6T", "6T MoE", 80_000, 19, 181, "site_2"),
    ("Grok 5 class, 10T", "10T MoE", 100_000, 98, 159, "site_2"),
)
PHASES = (("pretrain", "train", 0.50), ("midtrain", "train", 0.12), ("sft", "train", 0.05), ("rl", "rl", 0.18),
          ("safety", "compute", 0.10), ("infer_opt", "compute", 0.08))  # fmt: skip


@dataclass
class FakeResult:
    """What the plots ask of a result."""

    tables: dict[str, pd.DataFrame]
    scenario: Any


def frame(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a table with all of its columns, whatever the rows lack being empty."""
    table = pd.DataFrame(rows, columns=[column.name for column in COLUMNS[name]])
    table.attrs.update(start=START, scenario="made_up", table=name)
    return table


SHARES = (
    0.45,
    0.08,
    0.05,
    0.03,
    0.0,
    0.02,
    0.05,
    0.0,
    0.12,
    0.01,
    0.03,
    0.02,
    0.06,
    0.04,
    0.01,
    0.02,
    0.01,
    0.0,
)


class Maker:
    """Collects rows while it walks through the jobs."""

    def __init__(self, failures: int, horizon: float, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.failures = failures
        self.horizon = horizon
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
        self.jobs: dict[str, Any] = {}

    def interval(self, job: str, phase: str, state: str, start: float, end: float, gpus: int) -> None:
        causes = {f"{cause}_s": 0.0 for cause in CAUSES}
        causes[f"{'planned' if state == 'running' else state}_s"] = end - start
        self.rows["intervals"].append(
            {
                "job": job,
                "phase": phase,
                "state": state,
                "start_s": start,
                "end_s": end,
                "gpus": gpus,
                **causes,
            }
        )

    def job(
        self, name: str, title: str, model: str, gpus: int, submit: float, target: float, site: str
    ) -> None:
        stretch = float(self.random.uniform(0.9, 1.7)) * (target - submit)
        time, finish = submit, float("nan")
        for number, (phase, kind, share) in enumerate(PHASES):
            length = share * stretch
            ready = time
            wait = 0.12 * length if number in (0, 3) else 0.0
            state = "gpu_wait" if number == 0 else "data_wait"
            if wait and time < self.horizon:
                self.interval(name, phase, state, time, min(time + wait, self.horizon), 0)
            start = time + wait
            end = start + length
            if start >= self.horizon:
                break
            self.interval(name, phase, "running", start, min(end, self.horizon), gpus)
            if phase == "safety":
                self.interval(name, phase, "calendar_floor", start + 0.4 * length, min(end, self.horizon), 0)
            done = min(1.0, (self.horizon - start) / length)
            self.rows["phases"].append({
                "job": name, "phase": phase, "title": "", "kind": kind, "ready_s": ready, "start_s": start,
                "end_s": end if end <= self.horizon else None, "finished": end <= self.horizon, "gpus_wanted": gpus,
                "units": 1000, "units_done": 1000 * done, "unit_time_s": length / 1000,
                "mfu_modelled": 0.35, "precision": "bf16",
            })  # fmt: skip
            time = end if phase != "sft" else start + 0.6 * length
            finish = end
        self._close(name, title, model, gpus, submit, target, site, finish)

    def _close(
        self,
        name: str,
        title: str,
        model: str,
        gpus: int,
        submit: float,
        target: float,
        site: str,
        finish: float,
    ) -> None:
        done = finish <= self.horizon
        slip = (min(finish, self.horizon) - target) / DAY
        self.rows["jobs"].append({
            "job": name, "title": title, "model": model, "site": site, "gpus": gpus, "submit_s": submit,
            "finish_s": finish if done else None, "finished": done, "target_s": target, "slip_days": slip,
            "slip_is_lower_bound": not done,
            "projected_finish_date": "" if done else format_instant(START + finish),
            "projected_slip_days": (finish - target) / DAY, "mfu_modelled": 0.35, "goodput": 0.9,
        })  # fmt: skip
        shares = self.random.dirichlet(np.ones(6))
        for cause, share in zip(
            ("data_wait", "gpu_wait", "slower_step", "lost_work", "calendar_floor", "restart"),
            shares,
            strict=True,
        ):
            amount = float(share) * (slip + 10.0)
            self.rows["slip"].append(
                {"job": name, "cause": cause, "slip_s": amount * DAY, "slip_days": amount}
            )
        self.rows["slip"].append({"job": name, "cause": "plan", "slip_s": -10 * DAY, "slip_days": -10.0})
        for moment in np.sort(self.random.uniform(submit, min(finish, self.horizon), self.failures)).tolist():
            self.rows["events"].append(
                {
                    "time_s": moment,
                    "kind": "failure",
                    "site": site,
                    "partition": "main",
                    "job": name,
                    "subject": "gpu",
                }
            )
        release = SimpleNamespace(ready=START + submit + 0.2 * (target - submit))
        observed = SimpleNamespace(earliest=START + target + 5 * DAY, latest=START + target + 14 * DAY)
        self.jobs[name] = SimpleNamespace(
            data=SimpleNamespace(releases=(release,)),
            phases={phase: SimpleNamespace(data_ready=None) for phase, _, _ in PHASES},
            observed=(observed,) if len(self.jobs) % 3 == 0 else (),
            model=SimpleNamespace(title=model, name=""),
        )
        for part, share in zip(PARTS, SHARES, strict=True):
            self.rows["step_time"].append(
                {"job": name, "phase": "pretrain", "part": part, "time_ms": 12e3 * share, "share": share}
            )

    def cluster(self, site: str, gpus: int) -> None:
        times = np.sort(np.append(self.random.uniform(0, self.horizon, 400), 0.0))
        for time in times.tolist():
            installed = int(gpus * (0.6 if time < 100 * DAY else 1.0))
            allocated = int(installed * self.random.uniform(0.7, 0.95))
            down = int(installed * 0.01)
            self.rows["utilization"].append({
                "time_s": time, "site": site, "partition": "main", "installed": installed, "allocated": allocated,
                "running": int(0.95 * allocated), "idle": installed - allocated - down, "spare": 0,
                "stranded": 0, "down": down,
                "queued_jobs": 0, "power_MW": allocated * 1.4e-3,
            })  # fmt: skip
        for start, end in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
            seconds = {f"{state}_gpu_s": 0.0 for state in GPU_STATES}
            seconds["productive_gpu_s"] = 0.55 * gpus * 0.6 * (end - start)
            seconds["idle_gpu_s"] = 0.05 * gpus * (end - start)
            self.rows["gpu_time"].append(
                {"site": site, "partition": "main", "job": "", "start_s": start, "end_s": end, **seconds}
            )


def make(
    jobs: int = 9,
    *,
    failures: int = 3000,
    days: float = 365.0,
    seed: int = 1,
    names: Callable[[int], str] | None = None,
) -> FakeResult:
    """Return a made-up result with so many jobs, and failures in all."""
    maker = Maker(failures // max(jobs, 1), days * DAY, seed)
    for number in range(jobs):
        title, model, gpus, submit, target, site = ROADMAP[number % len(ROADMAP)]
        shift = 7.0 * (number // len(ROADMAP))
        label = names(number) if names is not None else title
        maker.job(f"job_{number}", label, model, gpus, (submit + shift) * DAY, (target + shift) * DAY, site)
    if jobs:
        maker.cluster("site_1", 200_000)
        maker.cluster("site_2", 300_000)
    for row in maker.rows["jobs"]:
        for state, share in (("productive", 0.6), ("lost_work", 0.03), ("checkpoint", 0.02), ("data_wait", 0.15),
                             ("repair_wait", 0.05), ("stranded", 0.02)):  # fmt: skip
            maker.rows["accounting"].append({
                "site": row["site"], "partition": "main", "job": row["job"], "state": state,
                "gpu_hours": share * row["gpus"] * 1e3, "share_of_capacity": 0.0,
            })  # fmt: skip
    for site in ("site_1", "site_2") if jobs else ():
        for state, hours in (("idle", 3e7), ("down", 2e6), ("spare", 1e6)):
            maker.rows["accounting"].append(
                {"site": site, "partition": "main", "job": "", "state": state, "gpu_hours": hours}
            )
    sites = {"site_1": SimpleNamespace(power_limit=2.6e8, title="Colossus 1"),
             "site_2": SimpleNamespace(power_limit=5.0e8, title="Colossus 2")}  # fmt: skip
    scenario = SimpleNamespace(title="Roadmap on Colossus 2", name="made_up", start=START, horizon=days * DAY,
                               jobs=maker.jobs, cluster=SimpleNamespace(sites=sites))  # fmt: skip
    tables = {name: frame(name, rows) for name, rows in maker.rows.items()}
    return FakeResult(tables=tables, scenario=scenario)


@pytest.fixture(scope="session")
def flagship() -> FakeResult:
    """Nine jobs, two sites, 3,000 failures in a year."""
    return make()
