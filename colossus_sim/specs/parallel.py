"""The parallel plan of a training job."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import Spec, TrainingPrecision, default
from colossus_sim.specs.hardware import Stack
from colossus_sim.units import Count, Ratio

Degree = Annotated[Count, Field(ge=1)]


class ParallelPlan(Spec):
    """Degrees, batch and schedule. Rank order, innermost first: tp, cp, dp, pp (Megatron-LM)."""

    tensor_parallel: Degree = Field(1)
    """GPUs that share each matrix (tp)."""
    pipeline_parallel: Degree = Field(1)
    """Pipeline stages (pp)."""
    virtual_pipeline: Degree = Field(1)
    """Model chunks per stage of the interleaved schedule (vpp)."""
    context_parallel: Degree = Field(1)
    """GPUs that share each sequence (cp)."""
    expert_parallel: Degree = Field(1)
    """GPUs that share the routed experts of a layer (ep); its group lies inside tp x cp x dp."""
    expert_tensor_parallel: Degree = Field(1)
    """GPUs that share each expert's matrices (etp)."""
    data_parallel: Degree | None = Field(None)
    """Replicas (dp); left out = the job's GPUs / (tp x cp x pp)."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] = Field(1)
    """0: replicated optimizer; 1: sharded optimizer; 2: and gradients; 3: and parameters (FSDP)."""
    sequence_parallel: bool = Field(True)
    """Megatron sequence parallelism (no effect when tp is 1); tp x cp must divide the sequence."""
    activation_recomputation: Literal["none", "selective", "full"] = Field("selective")
    """selective: attention core only (arXiv:2205.05198); full: every layer."""
    recomputed_share: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Share of the layers that full recomputation runs again; the others keep their activations (Megatron's
    ``recompute_num_layers`` over the layers of a stage)."""
    schedule: Literal["1f1b", "interleaved_1f1b", "gpipe", "zero_bubble", "dualpipe"] = default("1f1b")
    """Pipeline schedule."""
    micro_batch_size: Degree = Field(1)
    """Sequences per replica and forward pass."""
    global_batch_size: Degree
    """Sequences per optimizer step."""
    sequence_length: Degree
    """Tokens per sequence."""
    precision: TrainingPrecision = Field("bf16")
    """Number format of the matrix multiplications, which the GPU's units must have: fp8 is scaled per tensor, or
    per block in software; mxfp8 and nvfp4 are scaled per block by the units. 32-bit training is not modelled."""
    stack: Stack
    """Software stack (catalog name or fields)."""
