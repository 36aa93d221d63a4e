"""Devices, storage systems and software stacks, as the catalogs describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import (
    TRAINING_PRECISIONS,
    AsTuple,
    Precision,
    Provenance,
    Spec,
    TrainingPrecision,
    default,
)
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

    @property
    def base_power(self) -> float:
        """Power of a GPU that waits, with its share of the host: what every installed GPU draws. [W]"""
        return self.power_idle + self.host_power_per_gpu

    @property
    def dynamic_power(self) -> float:
        """What a GPU that computes at full clocks draws on top of that. [W]"""
        return self.power_max - self.power_idle

    def peak_at(self, precision: str) -> float | None:
        """Return the dense peak at a number format, or of other units that run it; None without either. [FLOP/s]"""
        return next((self.peak[name] for name in _same_units(precision) if name in self.peak), None)

    @property
    def trains_in(self) -> tuple[str, ...]:
        """Number formats of its units that a plan can name."""
        return tuple([name for name in TRAINING_PRECISIONS if name in self.peak])


_SAME_UNITS: Mapping[str, tuple[Precision, ...]] = {"bf16": ("fp16",), "fp16": ("bf16",), "fp8": ("mxfp8",)}
"""Formats that the units of others run too, at their peak: units with block scales fp8, but not the other way."""


def _same_units(precision: str) -> tuple[str, ...]:
    """Return a number format, and those whose units run it too."""
    return precision, *_SAME_UNITS.get(precision, ())


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
    precision: TrainingPrecision | Annotated[str, Field(pattern=r"^\*$")]
    """Number format, or ``*``."""
    gemm_peak_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """Largest share of the dense peak that a large GEMM reaches (power and clock limits included)."""
    gemm_tile: Annotated[tuple[Count, Count], AsTuple]
    """Output tile (rows, columns) of one multiprocessor, for tile and wave quantisation."""
    gemm_small_tile_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """Rate of half that tile relative to the full one, where the library prefers smaller tiles."""
    gemm_half_k: Count
    """Inner dimension at which the main loop reaches half of its peak (prologue and epilogue)."""
    grouped_gemm_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """Further factor for grouped expert GEMMs."""
    attention_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """Share of the 16-bit dense peak that fused attention reaches forward on long sequences. Rates of attention
    count in the entry of a device's 16-bit format, for plans of every precision."""
    attention_backward_fraction: Annotated[Ratio, Field(gt=0, le=1)]
    """The same for the backward pass."""
    attention_ampere_factor: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Rate of fused attention written for Ampere (FlashAttention-1 and -2) relative to the device's own kernels."""
    attention_half_sequence: Count
    """Sequence length at which fused attention reaches half of that."""
    attention_half_head_size: Count
    """Head size at which fused attention reaches half of its limit; 128 counts as one."""
    memory_fraction: Annotated[Ratio, Field(gt=0, le=1)]
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

    def kernels_at(self, gpu: str, precision: str) -> KernelCalibration | None:
        """Return the most specific entry, or None: of the device before any, at the precision before any.

        Where a precision has none, one for the same units counts as its own.
        """
        names = (*_same_units(precision), "*")
        fitting = [k for k in self.kernels if k.gpu in (gpu, "*") and k.precision in names]
        return min(fitting, key=lambda k: (k.gpu == "*", names.index(k.precision)), default=None)


Share = Annotated[Ratio, Field(ge=0, le=1)]


class Stack(Spec):
    """A training framework and release: what it overlaps and what it fuses, stated as data."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str
    """Name for people."""
    tensor_overlap: Share
    """Share of tensor-parallel communication hidden under GEMMs (0 = none)."""
    data_overlap: Share
    """Share of gradient reduce-scatter and parameter all-gather that may hide under the compute it runs beside."""
    sharded_data_overlap: Share | None = Field(None)
    """The same where the optimizer is sharded (ZeRO-1 and up), if that differs."""
    context_exchange: Literal["ring", "all_gather"] = Field("ring")
    """How context-parallel ranks see each other's keys and values."""
    context_imbalance: Annotated[Ratio, Field(ge=1, le=2)] = Field(1.0)
    """Causal attention work of the busiest of many context-parallel ranks over the mean: 1 with zigzag sharding, 2
    where sequences are cut into plain pieces, of which the last of n does 2 - 1/n."""
    context_overlap: Share
    """Share of context-parallel communication that may hide under attention."""
    expert_overlap: Share
    """Share of the expert all-to-all that may hide under compute."""
    batch_level_overlap: bool = Field(False)
    """Whether it hides under the layers of another micro-batch (Megatron Core, --overlap-moe-expert-parallel-comm).
    The same share of the host's waits for token counts then hides too: the device has that micro-batch's work."""
    expert_dispatch_bytes: Annotated[Ratio, Field(ge=0.5, le=4)] = Field(2.0)
    """Bytes per element of a token sent to its expert, mean of dispatch and combine."""
    expert_launch: Duration = default("0 s")
    """Host time for each local expert in each grouped matrix product, and in 8 or 4 bits again in the casts of its
    inputs: a loop of kernels over experts; 0 with one kernel for all."""
    expert_host_time: Duration = default("0 s")
    """Host time per routed layer and pass that no CUDA graph saves (router, permutation, dispatch, module code);
    as the host learns token counts in each layer it cannot run ahead, so the layer takes at least that long."""
    expert_host_norm: Annotated[Ratio, Field(ge=0, le=100)] = Field(3.0)
    """How host and device times of a layer in which the host waits for token counts add up: exponent of their norm,
    1 = one after the other; 0 = the longer of the two, as in layers where it need not wait."""
    expert_sync_time: Duration = default("0 s")
    """Idle time of the device per routed layer and pass: the host waits for token counts before it can launch."""
    routed_elementwise: Annotated[Ratio, Field(ge=1, le=10)] = Field(1.5)
    """Bytes moved by permutation, weighting and activation of routed tokens relative to the fused minimum."""
    permutation_bytes: Annotated[Ratio, Field(ge=0, le=64)] = Field(8.0)
    """Bytes per routed token and hidden element that sorting by expert and back moves, forward: 4 for each pass in
    16 bits. Two passes with DeepEP; four with plain all-to-all (by rank, then by local expert); none with HybridEP,
    which sorts while it sends."""
    padded_elementwise: Annotated[Ratio, Field(ge=1, le=10)] = Field(1.0)
    """Further factor on the bytes of `routed_elementwise` where each expert takes a fixed number of tokens:
    choosing and padding them is not fused."""
    clamped_bias_bytes: Annotated[Ratio, Field(ge=0, le=1000)] = Field(0.0)
    """Bytes that biases and clamping of experts that have them move, per routed token and element of their two
    products, forward; backward twice as many."""
    expert_deduplication: bool = Field(False)
    """Whether a token goes once to each rank that holds any of its experts, not once per expert (DeepEP)."""
    pipeline_overlap: Share
    """Share of pipeline send/recv hidden under compute."""
    pipeline_scatter: bool = Field(False)
    """Whether each tensor-parallel rank sends only its share of an activation that all of them hold."""
    data_bandwidth_fraction: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Bandwidth of gradient and weight exchange relative to large messages (many small pieces, copies)."""
    stage_balance: Literal["layers", "cost"] = Field("layers")
    """Whether pipeline stages get equal numbers of layers, or equal work with the logits counted in."""
    selective_repeats: Literal["attention", "elementwise", "half_products"] = Field("attention")
    """What selective recomputation runs again: the attention core, everything between matrix products, or that and
    every second matrix product."""
    selective_kept: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """Share of the activations that selective recomputation keeps, besides the scores that it always drops."""
    selective_kept_experts: Annotated[Ratio, Field(gt=0, le=1)] = Field(1.0)
    """The same for routed experts, whose activation function some stacks run again."""
    keeps_gathered_inputs: bool = Field(False)
    """Whether sequence parallelism keeps the gathered inputs of the column-parallel layers for backward."""
    keeps_eager_outputs: bool = Field(False)
    """Whether eager kernels leave outputs for backward that fused ones spare: rotated queries and keys beside the
    projection they came from, and the activation function's output beside its product with the other half."""
    logit_bytes: Annotated[Ratio, Field(ge=2, le=16)] = Field(6.0)
    """Bytes per logit alive at once: 16-bit logits, fp32 copy, soft-max and gradient, as far as not in place."""
    later_logit_bytes: Annotated[Ratio, Field(ge=0, le=16)] = Field(0.0)
    """Further bytes per logit where a step has several micro-batches: an allocator that has split the large blocks
    which the first one's logits left must find new ones for the next."""
    overlap_slowdown: Share
    """Extra compute time per unit of communication that runs beside it (shared SMs, memory bandwidth)."""
    gemm_factor: Annotated[Ratio, Field(ge=0.5, le=1.3)] = Field(1.0)
    """Rate of its matrix products relative to the device's calibrated rate (release of the libraries, layouts)."""
    attention_factor: Annotated[Ratio, Field(ge=0.2, le=1.3)] = Field(1.0)
    """Rate of its fused attention relative to the device's calibrated rate."""
    ampere_attention: bool = Field(False)
    """Whether its fused attention is written for Ampere (FlashAttention-1 and -2), so that later devices run it
    below the rate of their own kernels."""
    fused_attention: bool
    """Flash attention (True) or unfused softmax with the score matrix in memory."""
    dropout: bool = Field(False)
    """Whether activations keep dropout masks (GPT-3 era)."""
    fused_elementwise: Annotated[Ratio, Field(ge=1, le=10)]
    """Bytes moved by element-wise operations relative to the fused minimum (1 = fully fused)."""
    quantisation_bytes: Annotated[Ratio, Field(ge=0, le=16)] = Field(4.0)
    """Bytes moved per element of each 8- or 4-bit GEMM input to scale, cast and transpose it."""
    kernels_per_layer: Count
    """Kernels launched per layer and pass (forward, backward, recomputation) that a CUDA graph would save."""
    host_launch: Duration = default("5 us")
    """Host time to launch one of them; a layer cannot take less than that times their number."""
    collective_host_time: Duration = default("20 us")
    """Host time to issue one collective inside a layer, beside its kernels."""
    collective_host_time_per_rank: Duration = default("0 s")
    """The same for each rank of a group that itself spans several scale-up domains (network threads)."""
    pipelined_collective_host_time_per_rank: Duration = default("0 s")
    """The same for each rank of any group, where the job's pipeline spans several scale-up domains."""
    cuda_graphs: bool
    """Whether launch overhead is hidden."""
    compute_jitter: Share
    """Coefficient of variation of one rank's compute time per step; the slowest of all ranks sets the pace."""
    step_overhead: Duration
    """Fixed time per training step: data loading, logging, synchronisation, Python."""
    microbatch_overhead: Duration
    """Fixed host time per micro-batch and stage."""
    gradient_bytes: Annotated[int, Field(ge=1, le=4)]
    """Bytes per gradient element as stored and reduced."""
    gradient_sum_bytes: Annotated[Ratio, Field(ge=0, le=40)] = Field(0.0)
    """Bytes moved per parameter of a rank by kernels that only add the gradients of a micro-batch to those of the
    others; 0 where the matrix products of weight gradients do it (gradient accumulation fusion)."""
    first_gradient_bytes: Annotated[Ratio, Field(ge=0, le=40)] = Field(0.0)
    """The same for the first micro-batch of a step: added to zeros, copied in other bits, or (0) just kept."""
    extra_gradient_bytes: Annotated[int, Field(ge=0, le=4)] = Field(0)
    """Bytes per gradient element of a second copy that is kept but not reduced (bf16 beside fp32 sums)."""
    zero_buffer_bytes: Annotated[Ratio, Field(ge=0, le=4)] = Field(0.0)
    """Bytes per parameter of buffers that a sharded optimizer adds and does not shard (gathered updates), alive
    during the optimizer step only."""
    gathered_parameter_bytes: Annotated[Ratio, Field(ge=0.5, le=4)] = Field(2.0)
    """Bytes per parameter when sharded parameters are gathered (1 = fp8 all-gather in plans below 16 bits)."""
    master_bytes: Annotated[int, Field(ge=0, le=4)]
    """Bytes per parameter of the master copy (0 = none)."""
    moment_bytes: Annotated[int, Field(ge=1, le=8)]
    """Bytes per parameter of both optimizer moments together."""
    memory_overhead: Bytes
    """CUDA context, NCCL buffers and workspace per GPU."""
    memory_fragmentation: Share
    """Allocator loss as a share of the tensors held."""
    activation_fragmentation: Share = Field(0.0)
    """Further allocator loss as a share of activations and buffers, which come and go with every micro-batch."""
    provenance: Provenance
    """Source."""
