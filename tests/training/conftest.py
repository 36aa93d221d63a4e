"""Catalog entries and a small fabric for the step model's tests."""

from __future__ import annotations

from typing import Any

import pytest

from colossus_sim.loading.cases import resolve_cases
from colossus_sim.loading.catalog import Catalog
from colossus_sim.loading.files import Files
from colossus_sim.loading.nodes import Node, Origin, plain
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.base import Spec
from colossus_sim.specs.hardware import Calibration, Gpu, Stack
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.topology.fabric import Fabric, Level
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.step import estimate_step

SPECS: dict[str, type[Spec]] = {
    "models": Architecture,
    "gpus": Gpu,
    "stacks": Stack,
    "calibrations": Calibration,
}


class Bench:
    """Shipped catalog entries, and estimates of plans on a plain fat tree."""

    def __init__(self) -> None:
        self._catalog = Catalog(Files())
        self._known: dict[tuple[str, str], Any] = {}

    def entry(self, kind: str, name: str) -> Any:
        """Return a catalog entry as its spec."""
        if (kind, name) not in self._known:
            node = self._catalog.resolve(kind, Node(name, Origin("test"), None), kind)
            resolved, _ = resolve_cases(node, "central")
            self._known[kind, name] = SPECS[kind].model_validate(plain(resolved))
        return self._known[kind, name]

    def names(self, kind: str) -> list[str]:
        """Return the names of a catalog."""
        return self._catalog.names(kind)

    def fabric(self, gpu: Gpu, gpus: int) -> Fabric:
        """Return a non-blocking fat tree of scale-up domains."""
        domain = gpu.scale_up_domain
        size = max(gpus, domain)
        nic = 0.9 * gpu.nic_bandwidth
        levels = [
            Level(name="scale_up", group_gpus=domain, bandwidth=0.8 * gpu.scale_up_bandwidth, latency=1e-6)
        ]
        if size > domain:
            levels.append(
                Level(name="leaf", group_gpus=-(-size // domain) * domain, bandwidth=nic, latency=3e-6)
            )
        return Fabric(
            name="test",
            kind="clos",
            levels=tuple(levels),
            injection_bandwidth=nic,
            gpus=-(-size // domain) * domain,
            gpus_per_domain=domain,
        )

    def plan(self, stack: str, **fields: Any) -> ParallelPlan:
        """Return a plan on a shipped stack."""
        return ParallelPlan.model_validate({"stack": self.entry("stacks", stack), **fields})

    def estimate(
        self,
        model: str | Architecture,
        gpu_name: str,
        gpus: int,
        plan: ParallelPlan,
        **options: Any,
    ) -> StepEstimate:
        """Return the estimate of a plan on packed neighbouring domains."""
        gpu = self.entry("gpus", gpu_name)
        domain = gpu.scale_up_domain
        used = options.pop("ranks_per_domain", min(domain, gpus))
        return estimate_step(
            architecture=self.entry("models", model) if isinstance(model, str) else model,
            plan=plan,
            gpu=gpu,
            fabric=self.fabric(gpu, -(-gpus // used) * domain),
            placement=Placement(domain_gpus=domain, ranks_per_domain=used, runs=((0, -(-gpus // used)),)),
            gpus=gpus,
            calibration=self.entry("calibrations", "default"),
            **options,
        )


@pytest.fixture(scope="session")
def bench() -> Bench:
    """Shipped entries, read once."""
    return Bench()
