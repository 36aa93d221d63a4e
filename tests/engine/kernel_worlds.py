"""Random scenarios that the kernel can play, played by both engines: ``python -m tests.engine.kernel_worlds``."""

from __future__ import annotations

import random
import sys
from typing import Any

from colossus_sim.engine.kernel.allow import unsupported
from colossus_sim.engine.runner import simulate
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import GPU, SOURCE, TOPOLOGY, FakeModel, Unit, a_job, a_scenario, fault

_DAYS = 20
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
    draw = random.Random(number)
    sites = {name: _site(draw) for name in ("here", "there")}
    return Scenario.model_validate(
        a_scenario(
            seed=number,
            horizon=f"{_DAYS} days",
            cluster={"sites": sites},
            jobs={f"job{index}": _job(draw, index) for index in range(draw.randint(1, 4))},
            faults=_faults(draw),
            checkpoint={"tiers": _tiers(draw)},
            policies={
                "contention": draw.choice(("none", "average", "worst_case", "best_case", "independent")),
                "scheduler": draw.choice(("priority_backfill", "fifo", "priority")),
                "placement": draw.choice(("packed", "spread", "minimum_tier", "random")),
            },
        )
    )


def _site(draw: random.Random) -> dict[str, Any]:
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
    storage = {"write_bandwidth": "1 GB/s", "read_bandwidth": "1 GB/s", "bandwidth_per_gpu": "1 GB/s"}
    return {
        "topology": TOPOLOGY | {"gpus": 1024},
        "partitions": parts,
        "storage": storage | {"provenance": SOURCE},
    }


def _job(draw: random.Random, index: int) -> dict[str, Any]:
    names = ("pretrain", "sft", "rl")[: draw.randint(1, 3)]
    phases: dict[str, Any] = {name: {"tokens": draw.randint(200, 20_000)} for name in names}
    if draw.random() < 0.3:
        phases["pretrain"]["data_gated"] = True
    if len(names) > 1 and draw.random() < 0.5:
        phases[names[1]] |= {"overlap": 0.4, "min_duration": "12 h"}
    if len(names) > 2 and draw.random() < 0.5:
        phases["rl"] |= {"after": ["pretrain", "sft"], "data_ready": f"2026-01-{draw.randint(2, 9):02d}"}
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
    day = draw.randint(1, 4)
    gpus = 24 * draw.randint(1, 8)
    if index and draw.random() < 0.3:
        more |= {"site": "there"}
    return a_job(gpus=gpus, priority=draw.randint(0, 3), submit=f"2026-01-{day:02d}", phases=phases, **more)


def _faults(draw: random.Random) -> dict[str, Any]:
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
        "update": fault("job", "0.5 /day", "nothing", detection="0 s", planned=True),
        "care": fault("domain", f"{rate / 4} /day", "domain", planned=True),
        "slow": fault(
            "domain", f"{rate / 2} /day", "domain", interrupts=False, slowdown=2, detection="9 min"
        ),
        "lame": fault("gpu", f"{rate / 9} /day", "nothing", interrupts=False, slowdown=1.5, detection="2 h"),
        "site": fault("site", "0.2 /day", "site"),
    }
    restart = {
        "base": draw.choice(("60 s", "10 min")), "per_doubling": "20 s", "manual_fraction": 0.1,
        "manual_time": "1 h", "swap_time": "2 min",
    }  # fmt: skip
    kept = {name: spec for name, spec in classes.items() if draw.random() < 0.7}
    return {"classes": kept, "restart": restart}


def _tiers(draw: random.Random) -> list[dict[str, Any]]:
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


def differences(number: int) -> list[str]:
    """Play a world with both engines; return what differs, to the last bit."""
    from colossus_sim.engine.kernel.play import Kernel
    from colossus_sim.engine.kernel.rows import energy, run_result
    from colossus_sim.results.ledger import build_ledger
    from colossus_sim.results.metrics import CLUSTER_METRICS

    scenario = random_world(number)
    if (missing := unsupported(scenario)) is not None:
        return [f"world {number}: {missing}"]
    expected = simulate(scenario, build_model=busy_model)
    kernel = Kernel(scenario, busy_model)
    state = kernel.play(scenario.seed)
    found = run_result(kernel, state, scenario.seed)
    wrong = [
        f"world {number}: {name}"
        for name in ("end_time", "phases", "intervals", "levels", "gpu_time")
        if repr(getattr(expected, name)) != repr(getattr(found, name))
    ]
    failures = sum(row.kind == "failure" for row in expected.events)
    if failures != len(found.events):
        wrong.append(f"world {number}: {failures} failures became {len(found.events)}")
    of_cluster = CLUSTER_METRICS["energy_MWh"].of_cluster
    if of_cluster is not None and of_cluster(build_ledger(expected)) != energy(state) / 3.6e9:
        wrong.append(f"world {number}: energy")
    return wrong


def main(first: int, count: int) -> None:
    """Compare so many worlds and print what differs."""
    wrong = [line for number in range(first, first + count) for line in differences(number)]
    print(f"{count} worlds, {len(wrong)} differences", *wrong, sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
