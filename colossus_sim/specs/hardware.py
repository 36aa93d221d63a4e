"""Devices, storage systems and software stacks, as the catalogs describe them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from colossus_sim.specs.base import AsTuple, Precision, Provenance, Spec
from colossus_sim.units import Bandwidth, Bytes, Count, Duration, FlopRate, Power, Ratio


class Gpu(Spec):
    """An accelerator together with the node and the scale-up domain it is sold in."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str
    """Name for people."""
    vendor: str
    """Maker."""
    year: Annotated[int, Field(ge=2015, le=2040)]
    """Year of first deliveries."""
    peak: dict[Precision, FlopRate]
    """Dense peak rate per number format (never the sparse figure)."""
    hbm_capacity: Bytes
    """Usable device memory."""
    hbm_bandwidth: Bandwidth
    """Peak device-memory bandwidth."""
    multiprocessors: Count
    """Streaming multiprocessors (or their like), for wave quantisation of GEMMs."""
    scale_up_bandwidth: Bandwidth
    """NVLink, ICI or the like: per GPU and per direction (half of a data sheet's two-way figure)."""
    scale_up_domain: Count
    """GPUs joined by the scale-up network."""
    gpus_per_node: Count
    """GPUs of the replaceable unit: server (HGX) or compute tray (NVL72)."""
    nic_bandwidth: Bandwidth
    """Scale-out network bandwidth per GPU and direction."""
    power_max: Power
    """Thermal design power of the device."""
    power_idle: Power
    """Power of the idle device."""
    host_power_per_gpu: Power
    """CPU, NIC, fans and switches, per GPU, so that site power can be computed."""
    provenance: Provenance
    """Source."""


class Storage(Spec):
    """A shared storage system."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str = ""
    """Name for people."""
    write_bandwidth: Bandwidth
    """Aggregate write bandwidth of the whole system."""
    read_bandwidth: Bandwidth
    """Aggregate read bandwidth of the whole system."""
    bandwidth_per_gpu: Bandwidth
    """What one GPU's host can push or pull at most."""
    provenance: Provenance
    """Source."""


class KernelCalibration(Spec):
    """How fast kernels really run on one device at one precision. Constants have a physical meaning."""

    gpu: str
    """Catalog name of the device, or ``*`` for any other."""
    precision: Precision | Annotated[str, Field(pattern=r"^\*$")]
    """Number format, or ``*``."""
    gemm_peak_fraction: Ratio
    """Largest share of the dense peak that a large GEMM reaches (power and clock limits included)."""
    gemm_tile: tuple[Count, Count]
    """Output tile (rows, columns) of one multiprocessor, for tile and wave quantisation."""
    gemm_half_k: Count
    """Inner dimension at which the main loop reaches half of its peak (prologue and epilogue)."""
    grouped_gemm_fraction: Ratio
    """Further factor for grouped expert GEMMs."""
    attention_fraction: Ratio
    """Share of the 16-bit dense peak that fused attention reaches forward on long sequences."""
    attention_backward_fraction: Ratio
    """The same for the backward pass."""
    attention_half_sequence: Count
    """Sequence length at which fused attention reaches half of that."""
    memory_fraction: Ratio
    """Share of the HBM bandwidth that element-wise kernels reach."""
    kernel_launch: Duration
    """Floor of the time of one kernel on the device's time line."""
    provenance: Provenance
    """Source, with the error of the fit where it is one."""


class Calibration(Spec):
    """Measured kernel efficiencies of all devices, fitted once for all, never per case."""

    name: str = ""
    """Catalog name; filled in on loading."""
    kernels: Annotated[tuple[KernelCalibration, ...], AsTuple, Field(min_length=1)]
    """One entry per device and precision; the most specific match counts."""
    provenance: Provenance
    """Source."""


class Stack(Spec):
    """A training framework and release: what it overlaps and what it fuses, stated as data."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str
    """Name for people."""
    tensor_overlap: Ratio
    """Share of tensor-parallel communication hidden under GEMMs (0 = none)."""
    data_overlap: Ratio
    """Share of gradient reduce-scatter and parameter all-gather that may hide under the compute it runs beside."""
    context_overlap: Ratio
    """Share of context-parallel communication that may hide under attention."""
    expert_overlap: Ratio
    """Share of the expert all-to-all that may hide under compute."""
    pipeline_overlap: Ratio
    """Share of pipeline send/recv hidden under compute."""
    overlap_slowdown: Ratio
    """Extra compute time per unit of communication that runs beside it (shared SMs, memory bandwidth)."""
    fused_attention: bool
    """Flash attention (True) or unfused softmax with the score matrix in memory."""
    fused_elementwise: Ratio
    """Bytes moved by element-wise operations relative to the fused minimum (1 = fully fused)."""
    kernels_per_layer: Count
    """Kernels launched per layer and direction that a CUDA graph would save."""
    cuda_graphs: bool
    """Whether launch overhead is hidden."""
    compute_jitter: Ratio
    """Coefficient of variation of one rank's compute time per step; the slowest of all ranks sets the pace."""
    step_overhead: Duration
    """Fixed time per training step: data loading, logging, synchronisation, Python."""
    microbatch_overhead: Duration
    """Fixed host time per micro-batch and stage."""
    gradient_bytes: Annotated[int, Field(ge=1, le=4)]
    """Bytes per gradient element as stored and reduced."""
    master_bytes: Annotated[int, Field(ge=0, le=4)]
    """Bytes per parameter of the master copy (0 = none)."""
    moment_bytes: Annotated[int, Field(ge=1, le=8)]
    """Bytes per parameter of both optimizer moments together."""
    memory_overhead: Bytes
    """CUDA context, NCCL buffers and workspace per GPU."""
    memory_fragmentation: Ratio
    """Allocator loss as a share of the tensors held."""
    provenance: Provenance
    """Source."""
