"""Memory of one GPU of each pipeline stage, and what would help where it does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from colossus_sim.errors import InfeasibleError, Problem
from colossus_sim.formulas import memory, transformer
from colossus_sim.formulas.pipeline import in_flight_microbatches
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Gpu
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.shares import MAX_IDLE_SHARE, shares
from colossus_sim.training.estimate import StageMemory, StepEstimate
from colossus_sim.training.sizes import Sizes, resolve_sizes, shares_gradients, virtual_chunks
from colossus_sim.units import format_si

_WEIGHT_BYTES = 2.0
"""Working copy of a parameter in 16 bits."""
_PREFETCHED_LAYERS = 2
"""Layers whose gathered weights ZeRO-3 holds at once: the running one and the next (arXiv:2304.11277, sec. 3.3)."""


class MemoryModel:
    """Counts the tensors of one job."""

    def __init__(self, architecture: Architecture, plan: ParallelPlan, sizes: Sizes) -> None:
        self._arch, self._plan, self._sizes = architecture, plan, sizes
        self._tp = sizes.mesh.tp
        self._dense, self._routed = self._layer_activations(plan.activation_recomputation)
        self._fixed: dict[tuple[object, ...], tuple[float, float, float, float, float]] = {}
        self._parameters: dict[int, tuple[float, float]] = {}

    def stages(self) -> tuple[StageMemory, ...]:
        """Return the need of every stage."""
        return tuple([self._stage(stage) for stage in range(self._sizes.stages)])

    def parameters(self, stage: int) -> tuple[float, float]:
        """Parameters that one rank of a stage holds before data-parallel sharding: common, and experts'."""
        found = self._parameters.get(stage)
        if found is None:
            held = [self._layer_parameters(one) for one in self.on_device(stage)]
            own, experts = map(sum, zip(*held, strict=True))
            found = self._parameters[stage] = own + self._vocabulary_parameters(stage), experts
        return found

    def on_device(self, stage: int) -> tuple[int, ...]:
        """Stages of the model on the device of a stage: with DualPipe that of either direction
        (arXiv:2412.19437, table 2)."""
        return (stage, self._sizes.stages - 1 - stage) if self._plan.schedule == "dualpipe" else (stage,)

    @cached_property
    def devices(self) -> tuple[int, ...]:
        """Stages whose devices hold different things: the first, the last, and one of each other composition."""
        return tuple(self._alike)

    @cached_property
    def _alike(self) -> dict[int, int]:
        """How many stages hold the same as each of `devices`."""
        last = self._sizes.stages - 1
        seen: dict[tuple[tuple[int, int], ...], list[int]] = {}
        for stage in range(1, last):
            seen.setdefault(self._layers_on(stage), []).append(stage)
        return {0: 1, last: 1} | {stages[0]: len(stages) for stages in seen.values()}

    def mean_parameters(self) -> tuple[float, float]:
        """Parameters of the mean rank before data-parallel sharding: common, and experts'."""
        held = [(count, self.parameters(stage)) for stage, count in self._alike.items()]
        own, experts = (sum(count * each[kind] for count, each in held) for kind in (0, 1))
        return own / self._sizes.stages, experts / self._sizes.stages

    def _layers_on(self, stage: int) -> tuple[tuple[int, int], ...]:
        """Dense and routed layers of each stage on the device of a stage."""
        return tuple([self._sizes.stage_layers[one] for one in self.on_device(stage)])

    def _layer_parameters(self, stage: int) -> tuple[float, float]:
        count, mesh = self._sizes.count, self._sizes.mesh
        dense, routed = self._sizes.stage_layers[stage]
        own = dense * count.dense_layer + routed * (count.moe_layer - count.num_experts * count.expert)
        own += (dense + routed) * self._copied_heads()
        if stage == self._sizes.stages - 1:
            own += count.final_norm + count.prediction_modules * count.prediction_projection
        experts = routed * count.num_experts * count.expert / (mesh.ep * mesh.etp)
        return own / mesh.tp, experts

    def _copied_heads(self) -> int:
        """Parameters of a layer beyond the model's own: where there are fewer key/value heads than tensor-parallel
        ranks, each rank has one of them whole (NVIDIA/Megatron-LM, num_query_groups below the ranks)."""
        arch = self._arch
        copies = max(0, self._tp - arch.kv_heads) if arch.mla is None else 0
        return 2 * arch.hidden_size * transformer.head_widths(arch)[0] * copies

    def _vocabulary_parameters(self, stage: int) -> float:
        """Embedding and output matrix on the device of a stage, per rank."""
        count, stages = self._sizes.count, self.on_device(stage)
        last = self._sizes.stages - 1 in stages
        # An embedding that both ends need is on a device of both only once (arXiv:2412.19437, sec. 3.2.3).
        embedding = count.embedding if 0 in stages or (last and count.embedding_at_both_ends) else 0
        return (embedding + (count.output if last else 0)) / self._tp

    def _in_flight(self, stage: int) -> float:
        return in_flight_microbatches(
            self._plan.schedule,
            stages=self._sizes.stages,
            stage=stage,
            microbatches=self._sizes.microbatches,
            chunks=virtual_chunks(self._plan),
        )

    def _stage(self, stage: int) -> StageMemory:
        stack = self._plan.stack
        last = self._sizes.stages - 1
        # Stages with equal contents differ only in what they have in flight.
        key = (self._layers_on(stage), stage == 0, stage == last)
        if key not in self._fixed:
            self._fixed[key] = (*self._states(stage), self._buffers(stage), self._update(stage))
        weights, gradients, optimizer, buffers, update = self._fixed[key]
        activations = self._activations(stage)
        buffers = max(buffers, update - activations)
        held = weights + gradients + optimizer + activations + buffers
        return StageMemory(
            stage=stage,
            weights=weights,
            gradients=gradients,
            optimizer=optimizer,
            activations=activations,
            buffers=buffers,
            overhead=stack.memory_overhead
            + stack.memory_fragmentation * held
            + stack.activation_fragmentation * (activations + buffers),
            update=update,
        )

    def _activations(self, stage: int) -> float:
        """Bytes that the micro-batches in flight keep."""
        on_device, stages = self.on_device(stage), self._sizes.stages
        # With two directions a device keeps the more of one, the nearer it is to that one's first stage.
        shares = [(stages - one) / (stages + 1) for one in on_device] if len(on_device) > 1 else [1.0]
        kept = 0.0
        for one, share in zip(on_device, shares, strict=True):
            dense, routed = self._sizes.stage_layers[one]
            kept += share * (dense * self._dense + routed * self._routed)
        return self._in_flight(stage) * kept

    def _update(self, stage: int) -> float:
        """Gathered updates of a sharded optimizer, unsharded."""
        size = self._plan.stack.zero_buffer_bytes
        return self._sharded_parameters(stage) * size if size and self._plan.zero_stage else 0.0

    def _sharded_parameters(self, stage: int) -> float:
        """Parameters of a rank that have replicas to share their states with."""
        mesh = self._sizes.mesh
        own, experts = self.parameters(stage)
        return (own if mesh.dp * mesh.cp > 1 else 0.0) + (experts if mesh.edp > 1 else 0.0)

    def _states(self, stage: int) -> tuple[float, float, float]:
        own, experts = self.parameters(stage)
        weights, gradients, optimizer = (
            own * common + experts * routed for common, routed in zip(*self._state_bytes, strict=True)
        )
        # Embedding and output matrix stay in 16 bits.
        ranks = self._sizes.mesh.dp * self._sizes.mesh.cp if self._state_sharding() >= 3 else 1
        weights -= self._vocabulary_parameters(stage) * self._cast_bytes() / ranks
        return weights, gradients, optimizer

    @cached_property
    def _state_bytes(self) -> list[tuple[float, float, float]]:
        """Bytes per parameter of weights, gradients and optimizer state: common parameters, and experts'."""
        stack, mesh = self._plan.stack, self._sizes.mesh
        return [
            memory.model_state_bytes(
                weight_bytes=_WEIGHT_BYTES + self._cast_bytes(),
                gradient_bytes=float(stack.gradient_bytes + stack.extra_gradient_bytes),
                optimizer_bytes=float(stack.master_bytes + stack.moment_bytes),
                zero_stage=self._state_sharding(),
                shards=ranks,
            )
            for ranks in (mesh.dp * mesh.cp, mesh.edp)
        ]

    def _state_sharding(self) -> int:
        """ZeRO stage of what is stored: in a pipeline ZeRO-2 keeps gradients whole until the last micro-batch,
        when it exchanges them."""
        stage = self._plan.zero_stage
        return stage if shares_gradients(self._plan, self._sizes.mesh) else min(stage, 1)

    def _cast_bytes(self) -> float:
        """Row- and column-wise copies in 8 or 4 bits, unless they replace the 16-bit weight."""
        size = self._sizes.element_bytes
        if size >= 2.0 or self._plan.stack.gathered_parameter_bytes < 2.0:
            return 0.0
        return 2.0 * size

    def _layer_activations(self, recomputation: str) -> tuple[float, float]:
        """Bytes that a dense and a routed layer keep for one micro-batch on one rank."""
        tokens, count = self._sizes.tokens, self._sizes.count
        if recomputation == "full":
            kept = tokens * memory.full_recomputation_bytes(
                hidden=self._arch.hidden_size,
                tensor_parallel=self._tp,
                sequence_parallel=self._plan.sequence_parallel,
            )
            share = self._plan.recomputed_share
            if share == 1.0:
                return kept, kept
            dense, routed = self._layer_activations("none")
            return share * kept + (1.0 - share) * dense, share * kept + (1.0 - share) * routed
        attention = self._attention_bytes(recomputation)
        dense = attention + self._mlp_bytes(self._arch.intermediate_size) if count.dense_layers else 0.0
        routed = attention + self._expert_bytes(recomputation) if count.moe_layers else 0.0
        if recomputation == "selective":
            tokens *= self._plan.stack.selective_kept
        return tokens * dense, tokens * routed

    def _attention_bytes(self, recomputation: str) -> float:
        """Bytes per token of the attention blocks of one layer."""
        arch, plan = self._arch, self._plan
        score, value = transformer.head_widths(arch)
        heads = arch.num_attention_heads
        kv_heads = heads if arch.mla is not None else max(arch.kv_heads, self._tp)
        keep = not plan.stack.fused_attention and recomputation == "none"
        kept = memory.attention_activation_bytes(
            hidden=arch.hidden_size,
            query_width=heads * score,
            key_value_width=kv_heads * (score + value),
            value_width=heads * value,
            # Recomputed unfused attention keeps nothing per head.
            heads=heads if keep or plan.stack.fused_attention else 0,
            keys=self._sizes.sequence,
            tensor_parallel=self._tp,
            sequence_parallel=plan.sequence_parallel,
            keep_scores=keep,
            dropout=plan.stack.dropout,
            input_bytes=self._sizes.element_bytes,
            rotated_copies=plan.stack.keeps_eager_outputs,
        )
        if plan.stack.keeps_gathered_inputs and plan.sequence_parallel and self._tp > 1:
            # The whole input of the attention block and of the feed-forward block in place of one shard.
            kept += 2.0 * 2.0 * arch.hidden_size * (1.0 - 1.0 / self._tp)
        # Cross-attention keeps as much again; its keys and values are few.
        return 2.0 * kept if self._sizes.count.cross_attention else kept

    def _mlp_bytes(self, intermediate: float) -> float:
        return memory.mlp_activation_bytes(
            hidden=self._arch.hidden_size,
            intermediate=intermediate,
            gated=self._arch.mlp_gated,
            tensor_parallel=self._tp,
            sequence_parallel=self._plan.sequence_parallel,
            dropout=self._plan.stack.dropout,
            input_bytes=self._sizes.element_bytes,
            activated_copy=self._plan.stack.keeps_eager_outputs,
        )

    def _expert_bytes(self, recomputation: str) -> float:
        moe, mesh = self._arch.moe, self._sizes.mesh
        if moe is None:
            return 0.0
        per_copy = memory.expert_activation_bytes(
            hidden=self._arch.hidden_size,
            intermediate=moe.moe_intermediate_size / mesh.etp,
            gated=self._arch.mlp_gated,
            input_bytes=self._sizes.element_bytes,
        )
        copies = moe.num_experts_per_tok * self._sizes.expert_imbalance * mesh.etp / self._tp
        # The norm before the experts and the shared expert, whose width may be zero.
        if recomputation == "selective":
            copies *= self._plan.stack.selective_kept_experts
        return per_copy * copies + self._mlp_bytes(moe.shared_expert_intermediate_size)

    def _buffers(self, stage: int) -> float:
        """Gathered tensors, logits, the layer being recomputed, and ZeRO-3's gathered weights."""
        arch, plan, sizes = self._arch, self._plan, self._sizes
        state = sizes.tokens * arch.hidden_size * 2.0
        total = 2.0 * state
        if sizes.stages - 1 in self.on_device(stage) and arch.vocab_size:
            later = plan.stack.later_logit_bytes if sizes.microbatches > 1 else 0.0
            logits = memory.logits_bytes(
                vocab=arch.vocab_size, tensor_parallel=self._tp, logit_bytes=plan.stack.logit_bytes + later
            )
            total += (1 + arch.num_nextn_predict_layers) * sizes.tokens * logits
        if plan.activation_recomputation == "full":
            total += max(self._layer_activations("none"))
        if self._state_sharding() >= 2:
            layers = max(1, sum(sizes.stage_layers[stage]))
            gathered = _PREFETCHED_LAYERS if plan.zero_stage == 3 else 0
            bytes_each = gathered * _WEIGHT_BYTES + plan.stack.gradient_bytes
            total += self._sharded_parameters(stage) / layers * bytes_each
        return total


def check_memory(
    estimate: StepEstimate,
    *,
    architecture: Architecture,
    plan: ParallelPlan,
    gpu: Gpu,
    gpus: int,
    path: str = "parallel",
) -> None:
    """Raise if any stage needs more than the device has.

    Parameters
    ----------
    gpus : int
        GPUs that are there to train, of which the plan may leave a few idle; changes are tried on as many.

    Raises
    ------
    InfeasibleError
        With the amount that is missing, its largest parts, and the changes that would make it fit.
    """
    problem = memory_problem(estimate, architecture=architecture, plan=plan, gpu=gpu, gpus=gpus, path=path)
    if problem is not None:
        raise InfeasibleError([problem])


def memory_problem(
    estimate: StepEstimate,
    *,
    architecture: Architecture,
    plan: ParallelPlan,
    gpu: Gpu,
    gpus: int,
    path: str = "parallel",
) -> Problem | None:
    """Return what is wrong in words, with the changes that would fit, or None if everything fits."""
    if estimate.fits:
        return None
    worst = max(estimate.memory, key=lambda stage: stage.total)
    names = ("weights", "gradients", "optimizer", "activations", "buffers", "overhead")
    parts = {name: getattr(worst, name) for name in names}
    largest = sorted(parts, key=lambda name: -parts[name])[:3]
    shown = ", ".join(f"{name} {format_si(parts[name], 'B')}" for name in largest)
    missing = worst.total - estimate.memory_capacity
    message = (
        f"does not fit in memory: stage {worst.stage} needs {format_si(worst.total, 'B')} per GPU, "
        f"{format_si(missing, 'B')} more than the {format_si(estimate.memory_capacity, 'B')} of {gpu.title} "
        f"({shown})"
    )
    fitting = [
        name for name, change in _changes(plan, architecture) if _fits(architecture, change, gpu, gpus)
    ]
    if fitting:
        hint = "any of these would fit: " + ", ".join(fitting[:5])
    else:
        hint = "no single change would fit; use more tensor and pipeline parallelism together"
    return Problem(path=path, message=message, hint=hint)


def _changes(plan: ParallelPlan, architecture: Architecture) -> Iterator[tuple[str, ParallelPlan]]:
    """Changes worth trying, mildest first."""
    for value in ("selective", "full"):
        if value != plan.activation_recomputation and plan.activation_recomputation != "full":
            yield (
                f"activation_recomputation: {value}",
                plan.model_copy(update={"activation_recomputation": value}),
            )
    if plan.micro_batch_size > 1:
        yield "micro_batch_size: 1", plan.model_copy(update={"micro_batch_size": 1})
    for stage in range(plan.zero_stage + 1, 4):
        yield f"zero_stage: {stage}", plan.model_copy(update={"zero_stage": stage})
    names = ["pipeline_parallel", "tensor_parallel", "context_parallel"]
    if architecture.moe is not None:
        names.append("expert_parallel")
    for name in names:
        for factor in (2, 4):
            yield _more(plan, name, factor)


def _more(plan: ParallelPlan, name: str, factor: int) -> tuple[str, ParallelPlan]:
    """A degree times a factor; where the plan gives the replicas, so many fewer of what takes more GPUs."""
    update = {name: getattr(plan, name) * factor}
    if name != "expert_parallel" and plan.data_parallel is not None:
        update["data_parallel"] = plan.data_parallel // factor
    words = " with ".join(f"{field}: {value}" for field, value in update.items())
    return words, plan.model_copy(update=update)


def _fits(architecture: Architecture, plan: ParallelPlan, gpu: Gpu, gpus: int) -> bool:
    """Whether a plan that loading would accept fits into memory."""
    if next(shares("", plan, architecture), None) is not None:
        return False
    try:
        sizes = resolve_sizes(architecture, plan, gpus)
    except InfeasibleError:
        return False
    if gpus - sizes.mesh.world_size > MAX_IDLE_SHARE * gpus:
        return False
    return peak_memory(architecture, plan, sizes) <= gpu.hbm_capacity


def peak_memory(architecture: Architecture, plan: ParallelPlan, sizes: Sizes) -> float:
    """Return what the stage that needs most needs per GPU. [B]"""
    return max(stage.total for stage in MemoryModel(architecture, plan, sizes).stages())
