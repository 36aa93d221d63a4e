"""Step time of one dense model on up to a million GPUs: CPU time and memory of fabric, placement and estimate.

    python benchmarks/million_gpus.py

The step must keep growing with the number of GPUs at a fixed batch per GPU (a flat answer would ignore the fabric's
upper tiers and the slowest of all ranks), and the largest estimate must take less than a second and 100 MB.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from colossus_sim.loading.cases import resolve_cases  # noqa: E402
from colossus_sim.loading.catalog import Catalog  # noqa: E402
from colossus_sim.loading.files import Files  # noqa: E402
from colossus_sim.loading.nodes import Node, Origin, plain  # noqa: E402
from colossus_sim.parallelism.placement import Placement  # noqa: E402
from colossus_sim.specs.architecture import Architecture  # noqa: E402
from colossus_sim.specs.base import Provenance  # noqa: E402
from colossus_sim.specs.parallel import ParallelPlan  # noqa: E402
from colossus_sim.specs.topology import Clos, ClosTier, Topology  # noqa: E402
from colossus_sim.topology.builders import build_fabric  # noqa: E402
from colossus_sim.training.step import estimate_step  # noqa: E402
from colossus_sim.validation.inputs import shipped_inputs  # noqa: E402

SIZES = (8_192, 98_304, 524_288, 1_048_576)


def topology(gpus: int, inputs: object) -> Topology:
    """Return a four-tier fat tree of servers with 8 GPUs, 2:1 and 4:1 above the leaf groups."""
    tiers = [ClosTier(name="leaf", group_gpus=512)]
    if gpus > 8_192:
        tiers.append(ClosTier(name="pod", group_gpus=8_192, oversubscription=2.0))
    if gpus > 98_304:
        tiers.append(ClosTier(name="hall", group_gpus=131_072, oversubscription=4.0))
    tiers.append(ClosTier(name="core", group_gpus=0))
    return Topology(
        title=f"{gpus} H100",
        gpu="h100",
        gpus=gpus,
        fabric=Clos(kind="clos", tiers=tuple(tiers), switch_radix=4 * gpus, rails=8),
        collectives=inputs.collectives["nccl_nvlink4"],  # type: ignore[attr-defined]
        provenance=Provenance(kind="assumption", reference="benchmark", checked="2026-11"),
    )


def main() -> None:
    """Estimate each size and print one line for it."""
    inputs = shipped_inputs()
    catalog = Catalog(Files())
    node, _ = resolve_cases(
        catalog.resolve("models", Node("llama3_405b", Origin("benchmark"), None), "models"), "central"
    )
    model = Architecture.model_validate(plain(node))
    gpu, stack = inputs.gpus["h100"], inputs.stacks["megatron_core"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for gpus in SIZES:
        started = time.process_time()
        fabric = build_fabric(topology(gpus, inputs), gpu, gpus)
        placement = Placement(domain_gpus=8, ranks_per_domain=8, runs=((0, gpus // 8),))
        plan = ParallelPlan(
            tensor_parallel=8,
            pipeline_parallel=16,
            virtual_pipeline=8,
            schedule="interleaved_1f1b",
            micro_batch_size=1,
            global_batch_size=gpus // 128 * 32,
            sequence_length=8192,
            stack=stack,
        )
        step = estimate_step(
            architecture=model,
            plan=plan,
            gpu=gpu,
            fabric=fabric,
            placement=placement,
            gpus=gpus,
            calibration=inputs.calibration,
        )
        spent = time.process_time() - started
        print(f"{gpus:9,} GPUs: step {step.step_time:.3f} s, MFU {step.mfu:.1%}, {spent:.3f} s of CPU")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 1024:.0f} MB, {(peak - before) / 1024:.0f} MB of it for the estimates")


if __name__ == "__main__":
    main()
