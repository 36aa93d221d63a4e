"""The analytic training step: architecture, plan, placement and network share in, one exact breakdown out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Calibration, Gpu
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import Network
from colossus_sim.training.estimate import StepEstimate
from colossus_sim.training.layer_cost import LayerCost
from colossus_sim.training.sizes import Sizes, resolve_sizes
from colossus_sim.training.step_model import StepModel, StepOnNetwork


def estimate_step(
    *,
    architecture: Architecture,
    plan: ParallelPlan,
    gpu: Gpu,
    fabric: Fabric,
    placement: Placement,
    gpus: int,
    calibration: Calibration,
    bandwidths: Sequence[float] | None = None,
    step_time_factor: float = 1.0,
    flop_multiplier: float = 1.0,
    attended: float | None = None,
) -> StepEstimate:
    """Return time, breakdown, memory and traffic of one optimizer step.

    Parameters
    ----------
    architecture, plan, gpu, fabric, calibration
        What is trained, how, on what.
    placement : Placement
        Where the ranks sit.
    gpus : int
        GPUs of the job; the plan's degrees decide how many of them compute.
    bandwidths : sequence of float, optional
        Per-GPU bandwidth of each fabric level while other jobs share it; default the fabric's own. [B/s]
    step_time_factor : float
        Real over modelled step time, shown as the part ``other``.
    flop_multiplier : float
        Multiplies all compute of forward and backward, e.g. for longer clips.
    attended : float, optional
        As for `resolve_sizes`.

    Raises
    ------
    InfeasibleError
        If the plan does not divide, or the device lacks the precision. Memory is reported, not enforced:
        see `colossus_sim.training.memory.check_memory`.
    """
    sizes = resolve_sizes(architecture, plan, gpus, attended)
    model = StepModel(architecture, plan, gpu, sizes, calibration, flop_multiplier=flop_multiplier)
    return model.estimate(model.network(placement, fabric, bandwidths), step_time_factor)


def step_time(
    *,
    architecture: Architecture,
    plan: ParallelPlan,
    gpu: Gpu,
    calibration: Calibration,
    sizes: Sizes,
    network: Network,
) -> float:
    """Return the time of a step alone, for fits that ask for the same plan with many constants. [s]

    Parameters
    ----------
    architecture, plan, gpu, calibration
        As for `estimate_step`.
    sizes, network : Sizes, Network
        Resolved once; the network remembers what its collectives cost.
    """
    model = StepModel(architecture, plan, gpu, sizes, calibration)
    return math.fsum(StepOnNetwork(model, network).parts().values())


def pass_costs(
    *,
    architecture: Architecture,
    plan: ParallelPlan,
    gpu: Gpu,
    calibration: Calibration,
    sizes: Sizes,
    network: Network,
    flop_multiplier: float = 1.0,
) -> tuple[list[list[LayerCost]], float]:
    """Return the cost of every ``[virtual chunk][stage]`` for one micro-batch, and the exposed transfer. [s]

    Parameters
    ----------
    architecture, plan, gpu, calibration, sizes, network
        As for `step_time`.
    flop_multiplier : float
        As for `estimate_step`.
    """
    model = StepModel(architecture, plan, gpu, sizes, calibration, flop_multiplier=flop_multiplier)
    return StepOnNetwork(model, network).passes()
