"""What the GPU computes: the operations of each kind of layer, forward and backward, as times by part."""

from __future__ import annotations

import operator
from typing import NamedTuple

from colossus_sim.formulas import kernels, transformer
from colossus_sim.formulas.kernels import Device
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Calibration, Gpu, KernelCalibration
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.training.sizes import Sizes, kernels_of, peak_of, shares_gradients, sixteen_bit

_NORM_AND_RESIDUAL_BYTES = 20.0
"""Fused minimum per token and hidden element of one layer, forward: two norms (read 2, write 2) and two residual
adds (read 2 + 2, write 2), in 16 bits."""
_ROTARY_BYTES = 4.0
"""Per query or key element: read 2, write 2."""
_GATED_BYTES, _PLAIN_BYTES = 6.0, 4.0
"""Per element of the inner feed-forward width: read gate and value, write their product; or read and write."""
_BACKWARD_RATIO = 2.0
"""Backward element-wise passes also read the saved inputs and write their gradients."""
_SCORE_BYTES = 9.0
"""Unfused softmax per score element, forward: read 2, write 2, dropout read 2, write 2, mask write 1."""
_LOGIT_FORWARD_BYTES, _LOGIT_BACKWARD_BYTES = 14.0, 8.0
"""Cross entropy per logit: cast to fp32 (read 2, write 4), maximum and sum (read 4 + 4); gradient (read 4,
write 4)."""
_EMBEDDING_FORWARD_BYTES, _EMBEDDING_BACKWARD_BYTES = 4.0, 8.0
"""Per token and hidden element: look-up (read 2, write 2); scatter-add into the gradient (read 4, write 4)."""
_FURTHER_USE_BYTES = 6.0
"""Per parameter of a matrix that is used again: read both gradients, write their sum, in 16 bits."""


class Work(NamedTuple):
    """Device time of some operations by kind. [s]"""

    gemm: float = 0.0
    attention: float = 0.0
    elementwise: float = 0.0
    quantisation: float = 0.0

    def plus(self, other: Work) -> Work:
        """Sum, kind by kind."""
        return Work(*map(operator.add, self, other))

    def times(self, factor: float) -> Work:
        """The same work, so many times longer."""
        return Work(*[factor * time for time in self])

    @property
    def time(self) -> float:
        """All kinds together. [s]"""
        return self.gemm + self.attention + self.elementwise + self.quantisation


_NO_WORK = Work()


class Block(NamedTuple):
    """Forward and backward work of one part of a layer, and what recomputation repeats."""

    forward: Work
    backward: Work
    repeated: Work = _NO_WORK
    """Part of the forward pass that selective recomputation runs again."""
    weights: float = 0.0
    """Part of the backward pass that multiplies for weight gradients, which no other stage waits for. [s]"""
    sums: float = 0.0
    """Time besides the backward pass to add the gradients of the weights to those of other micro-batches; longer
    clips do not lengthen it. [s]"""

    def plus(self, other: Block) -> Block:
        """Sum, pass by pass."""
        repeated = self.repeated
        if other.repeated is not _NO_WORK:
            repeated = repeated.plus(other.repeated)
        return Block(
            self.forward.plus(other.forward),
            self.backward.plus(other.backward),
            repeated,
            self.weights + other.weights,
            self.sums + other.sums,
        )


class StageWork(NamedTuple):
    """Work of each kind of layer on one rank for one micro-batch."""

    dense: Block
    moe: Block
    embedding: Block
    head: Block


class Machine(NamedTuple):
    """A GPU with its calibration at the plan's precision, and in 16 bits."""

    linear: Device
    grouped_fraction: float
    """Rate of grouped products relative to plain ones, at the plan's precision."""
    half: Device
    half_peak: float
    half_kernel: KernelCalibration


def machine_of(gpu: Gpu, calibration: Calibration, precision: str, gemm_factor: float = 1.0) -> Machine:
    """Return what kernels find on this device at this precision, with a stack's rate of matrix products.

    Raises
    ------
    InfeasibleError
        If the device lacks the precision or the calibration an entry.
    """
    kernel, peak = kernels_of(calibration, gpu, precision), peak_of(gpu, precision)
    linear = _device(gpu, kernel, gemm_factor * peak)
    half = sixteen_bit(gpu)
    if half == precision:
        return Machine(linear, kernel.grouped_gemm_fraction, linear, peak, kernel)
    half_kernel, half_peak = kernels_of(calibration, gpu, half), peak_of(gpu, half)
    device = _device(gpu, half_kernel, gemm_factor * half_peak)
    return Machine(linear, kernel.grouped_gemm_fraction, device, half_peak, half_kernel)


def _device(gpu: Gpu, kernel: KernelCalibration, peak: float) -> Device:
    rows, columns = kernel.gemm_tile
    return Device(
        peak=peak,
        bandwidth=gpu.hbm_bandwidth * kernel.memory_fraction,
        multiprocessors=gpu.multiprocessors,
        peak_fraction=kernel.gemm_peak_fraction,
        tile_rows=rows,
        tile_columns=columns,
        small_tile_fraction=kernel.gemm_small_tile_fraction,
        half_k=float(kernel.gemm_half_k),
        launch=kernel.kernel_launch,
    )


class LayerModel:
    """Times the layers of one job on one device."""

    def __init__(
        self, architecture: Architecture, plan: ParallelPlan, sizes: Sizes, machine: Machine
    ) -> None:
        self._arch, self._plan, self._sizes, self._machine = architecture, plan, sizes, machine
        self._stack = plan.stack
        self._tp = sizes.mesh.tp
        self._shared = self._tp if plan.sequence_parallel else 1

    def stage_work(self) -> StageWork:
        """Return the work of every kind of layer."""
        attention = self._attention()
        none = Block(_NO_WORK, _NO_WORK)
        count = self._sizes.count
        dense = attention.plus(self._mlp(self._arch.intermediate_size)) if count.dense_layers else none
        moe = attention.plus(self._experts()) if count.moe_layers else none
        return StageWork(dense, moe, self._embedding(), self._last())

    def _linear(
        self, rows: float, out: float, inner: float, *, half: bool = False, again: bool = False
    ) -> Block:
        """One linear layer: forward, gradient of the input, gradient of the weight; or its further use."""
        device = self._machine.half if half else self._machine.linear
        size = 2.0 if half else self._sizes.element_bytes
        forward = kernels.gemm_time(rows, out, inner, device, input_bytes=size)
        inputs = kernels.gemm_time(rows, inner, out, device, input_bytes=size)
        weights = kernels.gemm_time(
            out, inner, rows, device, input_bytes=size, output_bytes=self._weight_gradient_bytes()
        )
        cast = 0.0 if half or size >= 2.0 else self._stack.quantisation_bytes / device.bandwidth
        return Block(
            Work(forward, quantisation=cast * rows * inner),
            Work(inputs + weights, quantisation=cast * rows * out),
            weights=weights,
            sums=self._sums(out * inner, again=again),
        )

    def _weight_gradient_bytes(self) -> float:
        """Bytes per element that a product of weight gradients moves: those of the sum, if it adds to it itself."""
        return 2.0 if self._stack.gradient_sum_bytes else 2.0 * self._stack.gradient_bytes

    def _sums(self, parameters: float, *, again: bool = False, experts: bool = False) -> float:
        """Return the mean time per micro-batch to add gradients to their sum where the products do not. [s]

        A matrix that is used again adds the gradient of that use to that of the first, in 16 bits.
        """
        stack, mesh, m = self._stack, self._sizes.mesh, self._sizes.microbatches
        each = (stack.first_gradient_bytes + (m - 1) * stack.gradient_sum_bytes) / m
        if again:
            each = _FURTHER_USE_BYTES if stack.gradient_sum_bytes else 0.0
        elif shares_gradients(self._plan, mesh):
            each /= mesh.edp if experts else mesh.dp * mesh.cp
        return each * parameters / self._machine.half.bandwidth

    def _elementwise(self, traffic: float) -> Block:
        time = traffic * self._stack.fused_elementwise / self._machine.linear.bandwidth
        return Block(Work(elementwise=time), Work(elementwise=_BACKWARD_RATIO * time))

    def _attention(self) -> Block:
        arch, tokens, tp = self._arch, self._sizes.tokens, self._tp
        hidden, heads = arch.hidden_size, arch.num_attention_heads
        score, value = transformer.head_widths(arch)
        if arch.mla is not None:
            block = self._latent_projections(tokens)
            rotary = heads * arch.mla.qk_rope_head_dim / tp + arch.mla.qk_rope_head_dim
        else:
            width = arch.head_size * (heads + 2 * max(arch.kv_heads, tp)) / tp
            block = self._linear(tokens, width, hidden)
            rotary = arch.head_size * (heads + arch.kv_heads) / tp
        block = block.plus(self._linear(tokens, hidden, heads * value / tp))
        traffic = hidden * _NORM_AND_RESIDUAL_BYTES / self._shared + rotary * _ROTARY_BYTES
        block = block.plus(self._elementwise(tokens * traffic)).plus(self._core(score, value))
        return block.plus(self._cross_attention()) if self._sizes.count.cross_attention else block

    def _latent_projections(self, tokens: float) -> Block:
        arch, tp = self._arch, self._tp
        latent, hidden, heads = arch.mla, arch.hidden_size, arch.num_attention_heads
        if latent is None:
            return Block(_NO_WORK, _NO_WORK)
        query = heads * (latent.qk_nope_head_dim + latent.qk_rope_head_dim) / tp
        down = self._linear(
            tokens / self._shared, latent.q_lora_rank + latent.kv_lora_rank + latent.qk_rope_head_dim, hidden
        )
        if latent.q_lora_rank:
            up = self._linear(tokens, query, latent.q_lora_rank)
        else:
            up = self._linear(tokens, query, hidden)
        wide = heads * (latent.qk_nope_head_dim + latent.v_head_dim) / tp
        return down.plus(up).plus(self._linear(tokens, wide, latent.kv_lora_rank))

    def _core(self, score: int, value: int) -> Block:
        """The attention core: fused, or two batched products with the score matrix in memory between them."""
        arch, sizes = self._arch, self._sizes
        heads = arch.num_attention_heads / self._tp
        if not self._stack.fused_attention:
            return self._unfused_core(heads, score, value)
        keys = transformer.mean_attended_keys(arch, sizes.sequence, causal=sizes.causal)
        if sizes.causal and sizes.mesh.cp > 1:
            # Of plain pieces the last attends to all before it: twice the mean, less half of its own.
            keys *= 1.0 + (self._stack.context_imbalance - 1.0) * (1.0 - 1.0 / sizes.mesh.cp)
        flops = sizes.tokens * transformer.attention_core_flops(1, score, value, keys) * heads
        # A ring attends to one piece at a time, an all-gather to the whole sequence.
        piece = sizes.mesh.cp if self._stack.context_exchange == "ring" else 1
        return self._fused(flops, sizes.sequence / piece, 0.5 * (score + value))

    def _fused(self, flops: float, keys: float, head_size: float) -> Block:
        # In 16 bits whatever the precision of the products; stacks with attention in 8 bits have a factor.
        kernel, peak = self._machine.half_kernel, self._machine.half_peak
        factor = self._stack.attention_factor
        if self._stack.ampere_attention:
            factor *= kernel.attention_ampere_factor

        def time(work: float, fraction: float) -> float:
            return kernels.attention_time(
                work,
                peak=peak,
                fraction=fraction * factor,
                keys=keys,
                half_keys=kernel.attention_half_sequence,
                head_size=head_size,
                half_head_size=kernel.attention_half_head_size,
                launch=kernel.kernel_launch,
            )

        forward = Work(attention=time(flops, kernel.attention_fraction))
        # Backward: five products instead of two, the scores being computed again (arXiv:2307.08691, sec. 3.1).
        backward = Work(attention=time(2.5 * flops, kernel.attention_backward_fraction))
        return Block(forward, backward, repeated=forward)

    def _unfused_core(self, heads: float, score: int, value: int) -> Block:
        sizes, device = self._sizes, self._machine.half
        sequence, rows = sizes.sequence, sizes.sequence / sizes.mesh.cp
        groups = max(1, round(heads * sizes.samples))
        first = kernels.grouped_gemm_time(rows, sequence, score, device, groups=groups)
        second = kernels.grouped_gemm_time(rows, value, sequence, device, groups=groups)
        softmax = groups * rows * sequence * _SCORE_BYTES / device.bandwidth
        forward = Work(attention=first + second + softmax)
        backward = Work(attention=2.0 * (first + second) + softmax * 1.25)
        return Block(forward, backward, repeated=forward)

    def _cross_attention(self) -> Block:
        arch, video = self._arch, self._arch.video
        keys = float(video.text_tokens if video is not None else 0)
        text = self._sizes.samples * keys
        hidden, heads = arch.hidden_size, arch.num_attention_heads
        width = heads * arch.head_size / self._tp
        tokens = self._sizes.tokens
        block = self._linear(tokens, width, hidden).plus(self._linear(tokens, hidden, width))
        block = block.plus(self._linear(text, 2.0 * width, hidden))
        flops = tokens * transformer.attention_core_flops(1, arch.head_size, arch.head_size, keys)
        block = block.plus(self._fused(flops * heads / self._tp, keys, float(arch.head_size)))
        # One more norm and residual, half of what a layer has.
        return block.plus(self._elementwise(tokens * hidden * 0.5 * _NORM_AND_RESIDUAL_BYTES / self._shared))

    def _mlp(self, intermediate: int) -> Block:
        tokens, hidden = self._sizes.tokens, self._arch.hidden_size
        width = intermediate / self._tp
        gated = self._arch.mlp_gated
        block = self._linear(tokens, (2.0 if gated else 1.0) * width, hidden)
        block = block.plus(self._linear(tokens, hidden, width))
        return block.plus(self._elementwise(tokens * width * (_GATED_BYTES if gated else _PLAIN_BYTES)))

    def _experts(self) -> Block:
        moe, mesh, hidden = self._arch.moe, self._sizes.mesh, self._arch.hidden_size
        if moe is None:
            return Block(_NO_WORK, _NO_WORK)
        tokens = self._sizes.tokens / self._tp
        local = moe.num_experts // mesh.ep
        routed = tokens * moe.num_experts_per_tok * mesh.etp * self._sizes.expert_imbalance
        block = self._linear(tokens, moe.num_experts, hidden, half=True)
        width = moe.moe_intermediate_size / mesh.etp
        gated = self._arch.mlp_gated
        block = block.plus(self._grouped(routed / local, (2.0 if gated else 1.0) * width, hidden, local))
        block = block.plus(self._grouped(routed / local, hidden, width, local))
        traffic = routed * width * (_GATED_BYTES if gated else _PLAIN_BYTES)
        traffic += tokens * moe.num_experts_per_tok * hidden * self._stack.permutation_bytes
        traffic *= self._stack.routed_elementwise
        if moe.capacity_padded:
            traffic *= self._stack.padded_elementwise
        if moe.clamped_bias:
            outputs = routed * ((2.0 if gated else 1.0) * width + hidden)
            traffic += outputs * self._stack.clamped_bias_bytes
        time = traffic / self._machine.linear.bandwidth
        block = block.plus(Block(Work(elementwise=time), Work(elementwise=_BACKWARD_RATIO * time)))
        if moe.shared_expert_intermediate_size:
            block = block.plus(self._mlp(moe.shared_expert_intermediate_size))
        return block

    def _grouped(self, rows: float, out: float, inner: float, groups: int) -> Block:
        """The same linear layer for each expert of the rank."""
        device, size = self._machine.linear, self._sizes.element_bytes
        share = self._machine.grouped_fraction

        def time(m: float, n: float, k: float, output: float = 2.0) -> float:
            return kernels.grouped_gemm_time(
                m, n, k, device, groups=groups, fraction=share, input_bytes=size, output_bytes=output
            )

        def cast(elements: float) -> float:
            if size >= 2.0:
                return 0.0
            return groups * elements * self._stack.quantisation_bytes / device.bandwidth

        weights = time(out, inner, rows, self._weight_gradient_bytes())
        return Block(
            Work(gemm=time(rows, out, inner), quantisation=cast(rows * inner)),
            Work(time(rows, inner, out) + weights, quantisation=cast(rows * out)),
            weights=weights,
            sums=self._sums(groups * out * inner, experts=True),
        )

    def _embedding(self) -> Block:
        if not self._arch.vocab_size:
            return Block(_NO_WORK, _NO_WORK)
        elements = self._sizes.tokens * self._arch.hidden_size
        rate = self._machine.linear.bandwidth
        # One matrix on one device is that of the head, used again.
        one = self._arch.tie_word_embeddings and (
            self._sizes.stages == 1 or self._plan.schedule == "dualpipe"
        )
        return Block(
            Work(elementwise=elements * _EMBEDDING_FORWARD_BYTES / rate),
            Work(elementwise=elements * _EMBEDDING_BACKWARD_BYTES / rate),
            sums=self._sums(self._arch.vocab_size * self._arch.hidden_size / self._tp, again=one),
        )

    def _last(self) -> Block:
        """Logits, and those of modules that predict further tokens, with the projection of each."""
        block, hidden = self._head(), self._arch.hidden_size
        for _ in range(self._arch.num_nextn_predict_layers):
            block = block.plus(self._head(again=True)).plus(
                self._linear(self._sizes.tokens, hidden / self._tp, 2.0 * hidden)
            )
        return block

    def _head(self, *, again: bool = False) -> Block:
        """Logits in 16 bits and cross entropy in 32; nothing for a model without a vocabulary."""
        vocab = self._arch.vocab_size / self._tp
        if not vocab:
            return Block(_NO_WORK, _NO_WORK)
        tokens, rate = self._sizes.tokens, self._machine.half.bandwidth
        loss = Block(
            Work(elementwise=tokens * vocab * _LOGIT_FORWARD_BYTES / rate),
            Work(elementwise=tokens * vocab * _LOGIT_BACKWARD_BYTES / rate),
        )
        return self._linear(tokens, vocab, self._arch.hidden_size, half=True, again=again).plus(loss)
