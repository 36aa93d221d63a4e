"""Random scenarios that the kernel can play, played by both engines: ``python -m tests.engine.kernel_worlds``."""

from __future__ import annotations

import random
import sys
from typing import Any

from colossus_sim.engine.bench import BenchJob, a_site, bench_world, fault_class, faults, saves
from colossus_sim.engine.kernel.allow import unsupported
from colossus_sim.engine.runner import simulate
from colossus_sim.intervals import as_table
from colossus_sim.specs.scenario import Scenario
from colossus_sim.training.phases import ModelBuilder
from tests.engine.conftest import SOURCE, TOPOLOGY, a_job, a_scenario, fault
from tests.engine.worlds import (
    DAYS,
    busy_model,
    chained_phases,
    energy_gap,
    partitions,
    place_and_data,
    some_of,
    tiers,
    usual_classes,
)


def random_world(number: int) -> Scenario:
    """Return the world of this number."""
    draw = random.Random(number)
    sites = {name: _site(draw) for name in ("here", "there")}
    return Scenario.model_validate(
        a_scenario(
            seed=number,
            horizon=f"{DAYS} days",
            cluster={"sites": sites},
            jobs={f"job{index}": _job(draw, index) for index in range(draw.randint(1, 4))},
            faults=_faults(draw),
            checkpoint={"tiers": tiers(draw)},
            policies={
                "contention": draw.choice(("none", "average", "worst_case", "best_case", "independent")),
                "scheduler": draw.choice(("priority_backfill", "fifo", "priority")),
                "placement": draw.choice(("packed", "spread", "minimum_tier", "random")),
            },
        )
    )


def _site(draw: random.Random) -> dict[str, Any]:
    parts = partitions(draw)
    for part in parts.values():
        part |= {"reserve_domains": draw.choice((0, 2, 8)), "refill_spares": draw.random() < 0.5}
        part |= {"reserve_time": draw.choice(("0 s", "20 min", "5 h"))}
    power = {}
    if draw.random() < 0.4:
        control = draw.choice(("throttle", "queue"))
        power = {"power_limit": draw.choice(("300 kW", "600 kW")), "power_control": control}
    storage = {"write_bandwidth": "1 GB/s", "read_bandwidth": "1 GB/s", "bandwidth_per_gpu": "1 GB/s"}
    return (
        {
            "topology": TOPOLOGY | {"gpus": 1024},
            "partitions": parts,
            "storage": storage | {"provenance": SOURCE},
        }
        | power
        | _workshop(draw)
    )


def _workshop(draw: random.Random) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if draw.random() < 0.4:
        limits["repair_crew"] = draw.randint(1, 3)
    if draw.random() < 0.4:
        limits |= {"repair_parts": draw.randint(1, 4), "part_lead_time": draw.choice(("3 h", "2 days"))}
    return limits


def _job(draw: random.Random, index: int) -> dict[str, Any]:
    phases = chained_phases(draw)
    if len(phases) > 2 and draw.random() < 0.5:
        phases["rl"] |= {"after": ["pretrain", "sft"], "data_ready": f"2026-01-{draw.randint(2, 9):02d}"}
    more = place_and_data(draw, phases)
    day = draw.randint(1, 4)
    gpus = 24 * draw.randint(1, 8)
    if index and draw.random() < 0.3:
        more |= {"site": "there"}
    if draw.random() < 0.5:
        more |= {
            "input_bytes": f"{draw.choice((0, 3000))} GB",
            "output_bytes": f"{draw.choice((0, 9000))} GB",
        }
    return a_job(gpus=gpus, priority=draw.randint(0, 3), submit=f"2026-01-{day:02d}", phases=phases, **more)


def _faults(draw: random.Random) -> dict[str, Any]:
    rate, classes = usual_classes(draw)
    classes |= {
        "update": fault("job", "0.5 /day", "nothing", detection="0 s", planned=True),
        "care": fault("domain", f"{rate / 4} /day", "domain", planned=True),
        "slow": fault(
            "domain", f"{rate / 2} /day", "domain", interrupts=False, slowdown=2, detection="9 min"
        ),
        "lame": fault("gpu", f"{rate / 9} /day", "nothing", interrupts=False, slowdown=1.5, detection="2 h"),
        "site": fault("site", "0.2 /day", "site"),
        "rot": fault("node", f"{rate} /day", "node", undetected="2 h", needs_storage_checkpoint=True),
        "blot": fault("job", "0.5 /day", "nothing", undetected="1 h", planned=True),
    }
    faults = some_of(draw, classes, 0.7)
    faults["restart"] |= {"selection_time": "3 min", "reshard_time": "4 min"}
    slow = draw.random() < 0.5
    if draw.random() < 0.5:
        faults["diagnosis"] = {"missed": draw.choice((0.0, 0.3)), "wrong": draw.choice((0.0, 0.4))}
    if draw.random() < 0.5:
        mended = draw.random() < 0.5
        faults["lemons"] = {"share": draw.choice((0.02, 0.2)), "factor": 5, "mended_by_repair": mended}
    for spec in faults["classes"].values():
        if "repair" in spec and draw.random() < 0.5:
            spec["repair"] |= {"auto_first": draw.random() < 0.6, "auto_unmended": draw.choice((0, 0.9))}
            spec["repair"] |= {"manual_unmended": draw.choice((0, 0.7))}
            spec["repair"] |= {"recurs_after": draw.choice(("2 days", "9 days", None))}
        if "repair" in spec and slow:
            spec["repair"] |= {"manual_time": "20 days"}
        spec["hang_fraction"] = draw.choice((0, 0, 0.5))
        if spec["per"] in ("gpu", "node", "domain"):
            spec["under_load"] = draw.random() < 0.3
    return faults


def differences(number: int) -> list[str]:
    """Play a world with both engines; return what differs, to the last bit."""
    return compared(f"world {number}", random_world(number), busy_model)


def bench_differences() -> list[str]:
    """Play a job of a bench, whose records have few fields, with both engines; return what differs."""
    return compared("bench", *a_bench())


def a_bench() -> tuple[Scenario, ModelBuilder]:
    """Return a job of a bench that nodes fail under."""
    return bench_world(
        {"one": BenchJob(units=5000, unit_time=60.0, state_bytes=1.0)},
        site=a_site(8, spare_domains=1),
        faults=faults(300.0, any=fault_class("node", 2e-5, "node", repair={"manual_time": "1 h"})),
        checkpoint=saves(3600.0, 60.0),
    )


def unseen_circle() -> list[str]:
    """Allow an instant a single event: the kernel has to leave such a run, with two at its start, to SimPy."""
    from colossus_sim.engine.kernel.play import Kernel, StuckError

    kernel = Kernel(*a_bench())
    kernel._blueprint.state.world["most_at_once"] = 0
    try:
        kernel.play(0)
    except StuckError:
        return []
    return ["a circle is not seen"]


def compared(name: str, scenario: Scenario, models: ModelBuilder) -> list[str]:
    """Play a scenario with both engines; return what differs, to the last bit."""
    from colossus_sim.engine.kernel.play import Kernel
    from colossus_sim.engine.kernel.rows import run_result

    if (missing := unsupported(scenario)) is not None:
        return [f"{name}: {missing}"]
    expected = simulate(scenario, build_model=models)
    kernel = Kernel(scenario, models)
    state = kernel.play(scenario.seed)
    found = run_result(kernel, state, scenario.seed)
    wrong = [
        f"{name}: {rows}"
        for rows in ("end_time", "phases", "intervals", "levels", "gpu_time")
        if repr(getattr(expected, rows)) != repr(getattr(found, rows))
    ]
    if as_table(expected.intervals).totals != as_table(found.intervals).totals:
        wrong.append(f"{name}: totals")
    failures = sum(row.kind == "failure" for row in expected.events)
    if failures != len(found.events):
        wrong.append(f"{name}: {failures} failures became {len(found.events)}")
    if abs(gap := energy_gap(found)) > 1e-9:
        wrong.append(f"{name}: the energy of all is {gap:+.3g} off the integral of the power")
    return wrong


def main(first: int, count: int) -> None:
    """Compare so many worlds, and that of a bench, and print what differs."""
    wrong = [line for number in range(first, first + count) for line in differences(number)]
    wrong += bench_differences() + unseen_circle()
    print(f"{count} worlds, {len(wrong)} differences", *wrong, sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
