"""Random worlds: whole scenarios with fake step times that use most of what the engine can do."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

from colossus_sim.parallelism.placement import Placement
from colossus_sim.records import RunResult
from colossus_sim.results.ledger import build_ledger
from colossus_sim.results.metrics import energy_mwh
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import GPU, TOPOLOGY, FakeModel, Unit, a_job, a_scenario, fault

DAYS = 20
_TRAFFIC = 1e12
"""Bytes that one GPU of a busy job sends in a unit at each level. [B]"""


class BusyModel(FakeModel):
    """A fake whose unit takes longer on slow links, so that jobs feel each other."""

    def unit(self, gpus: int, placement: Placement, bandwidths: tuple[float, ...] | None = None) -> Unit:
        """Computing, then sending at the slowest level."""
        seconds = 10.0 * self.gpus_wanted / gpus
        if bandwidths is not None:
            seconds += _TRAFFIC / min(bandwidths) * 0.05
        return Unit(seconds, (_TRAFFIC * 0.05,) * 3)


def busy_model(*, scenario: Scenario, job_name: str, phase_name: str, **_: Any) -> BusyModel:
    """Build the fake."""
    return BusyModel(scenario, job_name, phase_name)


def random_world(number: int) -> Scenario:
    """Return the world of this number."""
    return Scenario.model_validate(a_scenario(**_fields(number)))


def _fields(number: int) -> dict[str, Any]:
    draw = random.Random(number)
    return {
        "seed": number,
        "horizon": f"{DAYS} days",
        "cluster": {"sites": {"here": _site(draw)}},
        "jobs": {f"job{index}": _job(draw, index) for index in range(draw.randint(1, 4))},
        "faults": _faults(draw),
        "checkpoint": {"tiers": tiers(draw)},
        "policies": {
            "contention": draw.choice(("none", "average", "worst_case", "best_case")),
            "scheduler": draw.choice(("priority_backfill", "fifo", "fair_share", "priority")),
            "preemption": draw.choice(("none", "none", "priority")),
            "placement": draw.choice(("packed", "spread", "minimum_tier", "random")),
        },
    }


def energy_gap(run: RunResult) -> float:
    """Return the energy of jobs and of the GPUs without one, over the integral of all power; less one."""
    drawn = []
    for name in {(row.site, row.partition) for row in run.levels}:
        rows = [row for row in run.levels if (row.site, row.partition) == name]
        ends = [*(row.time for row in rows[1:]), run.end_time]
        drawn += [row.power * (end - row.time) for row, end in zip(rows, ends, strict=True)]
    ledger = build_ledger(run)
    nobody = dataclasses.replace(
        next(iter(ledger.jobs.values())),
        gpu_seconds={key: seconds for key, seconds in ledger.gpu_seconds.items() if not key[2]},
        full_power=ledger.full_power,
    )
    owners = (*ledger.jobs.values(), nobody)
    return math.fsum(energy_mwh(owner) for owner in owners) * 3.6e9 / math.fsum(drawn) - 1.0


def imperfect_world(number: int) -> Scenario:
    """Return the world of this number with repairs and diagnoses that fail, a reserve, input and output."""
    fields, draw = _fields(number), random.Random(1000 + number)
    for partition in fields["cluster"]["sites"]["here"]["partitions"].values():
        partition |= {"reserve_domains": draw.choice((0, 2, 5)), "refill_spares": draw.random() < 0.5}
    for job in fields["jobs"].values():
        job |= {"input_bytes": f"{draw.choice((0, 300))} GB", "output_bytes": f"{draw.choice((0, 900))} GB"}
    faults = fields["faults"]
    faults["restart"] |= {"selection_time": "3 min", "reshard_time": "4 min"}
    faults["diagnosis"] = {"missed": draw.choice((0.0, 0.3)), "wrong": draw.choice((0.0, 0.4))}
    faults["lemons"] = {"share": 0.2, "factor": 5, "mended_by_repair": draw.random() < 0.5}
    stages = {"auto_first": True, "auto_unmended": 0.4, "manual_unmended": 0.2, "recurs_after": "2 days"}
    for spec in faults["classes"].values():
        single = spec["per"] in ("gpu", "node", "domain") and "repair" in spec and not spec.get("planned")
        if single and draw.random() < 0.7:
            spec["repair"] = spec["repair"] | stages
            spec["under_load"] = draw.random() < 0.4 and "distribution" not in spec
    return Scenario.model_validate(a_scenario(**fields))


def partitions(draw: random.Random) -> dict[str, Any]:
    """Return one or two partitions whose capacity changes."""
    gpu = GPU | {"gpus_per_node": draw.choice((2, 4, 8))}
    parts = {}
    for name in ("left", "right")[: draw.randint(1, 2)]:
        gpus = [8 * draw.randint(12, 60) for _ in range(draw.randint(1, 3))]
        days = (1, draw.randint(2, 6), draw.randint(7, 12))
        parts[name] = {
            "gpu": gpu,
            "gpus_used_per_domain": draw.choice((8, 8, 6, 4)),
            "spare_domains": draw.choice((0, 1, 3)),
            "capacity": [{"at": f"2026-01-{day:02d}", "gpus": n} for day, n in zip(days, gpus, strict=False)],
        }
    return parts


def _site(draw: random.Random) -> dict[str, Any]:
    site: dict[str, Any] = {"topology": TOPOLOGY | {"gpus": 1024}, "partitions": partitions(draw)}
    if draw.random() < 0.3:
        site |= {"repair_crew": draw.randint(1, 3)}
    if draw.random() < 0.3:
        site |= {"repair_parts": draw.randint(1, 4), "part_lead_time": "1 day"}
    if draw.random() < 0.15:
        site |= {"power_limit": "300 kW", "power_control": draw.choice(("throttle", "queue"))}
    return site


def chained_phases(draw: random.Random) -> dict[str, Any]:
    """Return one to three phases; the second may overlap the first."""
    names = ("pretrain", "sft", "rl")[: draw.randint(1, 3)]
    phases: dict[str, Any] = {name: {"tokens": draw.randint(200, 20_000)} for name in names}
    if draw.random() < 0.3:
        phases["pretrain"]["data_gated"] = True
    if len(names) > 1 and draw.random() < 0.5:
        phases[names[1]] |= {"overlap": 0.4, "min_duration": "12 h"}
    return phases


def place_and_data(draw: random.Random, phases: dict[str, Any]) -> dict[str, Any]:
    """Return where a job runs, and when its data come."""
    more: dict[str, Any] = {"partition": draw.choice(("left", None))}
    if draw.random() < 0.4:
        total = phases["pretrain"]["tokens"]
        more["data"] = {
            "when_starved": draw.choice(("wait", "yield")),
            "releases": [
                {"ready": "2026-01-01", "tokens": total / 2},
                {"ready": f"2026-01-{draw.randint(2, 5):02d}", "tokens": total},
            ],
        }
    return more


def _job(draw: random.Random, index: int) -> dict[str, Any]:
    phases = chained_phases(draw)
    more = place_and_data(draw, phases)
    gpus = 24 * draw.randint(1, 8)
    if draw.random() < 0.2:
        more["min_gpus"] = 24
    if draw.random() < 0.15:
        more["reserved"] = True
    day = draw.randint(1, 4)
    return a_job(gpus=gpus, priority=draw.randint(0, 3), submit=f"2026-01-{day:02d}", phases=phases, **more)


def usual_classes(draw: random.Random) -> tuple[float, dict[str, Any]]:
    """Return the failures per node and day, and classes of every blast radius."""
    rate = draw.choice((0.002, 0.01, 0.05))
    repair = {
        "auto_fraction": draw.choice((0.0, 0.5, 1.0)),
        "auto_time": "15 min",
        "manual_time": draw.choice(("6 h", "2 days")),
        "distribution": draw.choice(("fixed", "exponential", "lognormal")),
    }
    classes = {
        "chip": fault("gpu", f"{rate / 8} /day", "node", detection="60 s", repair=repair),
        "box": fault(
            "node", f"{rate} /day", draw.choice(("node", "domain")), detection="2 min", repair=repair
        ),
        "rack": fault("domain", f"{rate / 2} /day", "domain", distribution="weibull", shape=0.7),
        "link": fault("domain", f"{rate} /day", "nothing", detection="30 s"),
        "soft": fault("job", f"{draw.choice((0.5, 2, 8))} /day", "nothing", detection="30 s"),
        "hang": fault("job", "0.5 /day", "nothing", detection="10 min", needs_storage_checkpoint=True),
    }
    return rate, classes


def some_of(draw: random.Random, classes: dict[str, Any], share: float) -> dict[str, Any]:
    """Return faults with about this share of the classes, and the times of a restart."""
    restart = {
        "base": draw.choice(("60 s", "10 min")), "per_doubling": "20 s", "manual_fraction": 0.1,
        "manual_time": "1 h", "swap_time": "2 min",
    }  # fmt: skip
    kept = {name: spec for name, spec in classes.items() if draw.random() < share}
    return {"classes": kept, "restart": restart}


def _faults(draw: random.Random) -> dict[str, Any]:
    rate, classes = usual_classes(draw)
    if draw.random() < 0.3:
        classes["care"] = fault("domain", f"{rate / 4} /day", "domain", planned=True)
    if draw.random() < 0.2:
        classes["slow"] = fault(
            "domain", f"{rate / 4} /day", "domain", interrupts=False, slowdown=2, detection="9 min"
        )
    if draw.random() < 0.2:
        classes["site"] = fault("site", "0.2 /day", "site")
    return some_of(draw, classes, 0.8)


def tiers(draw: random.Random) -> list[dict[str, Any]]:
    """Return saves to storage, and perhaps to memory."""
    memory = {
        "name": "memory", "mode": "async", "interval": f"{draw.choice((60, 300))} s",
        "snapshot_bandwidth": "1 GB/s", "write_bandwidth": "1 GB/s", "read_bandwidth": "1 GB/s",
        "coordination": "3 s", "survives": draw.choice(("software", "node")),
    }  # fmt: skip
    storage = {
        "name": "storage", "mode": draw.choice(("sync", "async")), "coordination": "1 s",
        "interval": draw.choice(("20 min", "2 h", "optimal")),
    }  # fmt: skip
    return [memory, storage] if draw.random() < 0.6 else [storage]
