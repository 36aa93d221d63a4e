"""A training step of one plan: what no placement changes, worked out once, and the breakdown on a network."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from colossus_sim.formulas import kernels, transformer
from colossus_sim.formulas.pipeline import pipeline_times, slowest_device
from colossus_sim.parallelism.groups import GroupSpan
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture, MixtureOfExperts
from colossus_sim.specs.hardware import Calibration, Gpu
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.communication import Call, Network, Routes, Traffic
from colossus_sim.training.compute import Block, LayerModel, machine_of
from colossus_sim.training.estimate import StageMemory, StepEstimate
from colossus_sim.training.layer_cost import (
    PASS_PARTS,
    Cost,
    LayerCost,
    layer_cost,
    slowdown_of,
    total,
    weighted,
)
from colossus_sim.training.ledger import Ledger
from colossus_sim.training.memory import MemoryModel
from colossus_sim.training.sizes import Chunk, Sizes, peak_of

PARTS = (*PASS_PARTS, "bubble", "imbalance", "optimizer", "straggler", "overhead", "other")
"""Keys of `StepEstimate.parts`, in order."""

_WEIGHT_BYTES = 2.0


class _DataParallel(NamedTuple):
    exposed: float
    slowdown: float


class StepModel:
    """A plan on a kind of GPU: all of its step that does not depend on where it runs, worked out once.

    Parameters
    ----------
    architecture, plan, gpu, calibration, flop_multiplier
        As for `estimate_step`.
    sizes : Sizes
        The plan on its GPUs.

    Raises
    ------
    InfeasibleError
        If the device lacks the precision.
    """

    def __init__(
        self,
        architecture: Architecture,
        plan: ParallelPlan,
        gpu: Gpu,
        sizes: Sizes,
        calibration: Calibration,
        *,
        flop_multiplier: float = 1.0,
    ) -> None:
        self.architecture, self.plan, self.gpu, self.sizes = architecture, plan, gpu, sizes
        self.flop_multiplier = flop_multiplier
        self.machine = machine_of(gpu, calibration, plan.precision, plan.stack.gemm_factor)
        self.memory = MemoryModel(architecture, plan, sizes)
        self.work = LayerModel(architecture, plan, sizes, self.machine).stage_work()
        self._traffic: dict[int, Traffic] = {}

    def network(
        self,
        placement: Placement,
        fabric: Fabric,
        bandwidths: Sequence[float] | None,
        *,
        spans: Mapping[str, GroupSpan] | None = None,
        routes: Routes | None = None,
    ) -> Network:
        """Return a placement of the plan on a fabric, as for `estimate_step`, with what is known of it."""
        fraction = self.plan.stack.data_bandwidth_fraction
        return Network(
            self.sizes, placement, fabric, bandwidths, data_fraction=fraction, spans=spans, routes=routes
        )

    def traffic(self, expert_domains: int) -> Traffic:
        """Return what the step sends where an expert-parallel group touches so many scale-up domains."""
        if expert_domains not in self._traffic:
            self._traffic[expert_domains] = Traffic(self.architecture, self.plan, self.sizes, expert_domains)
        return self._traffic[expert_domains]

    def estimate(self, network: Network, step_time_factor: float = 1.0) -> StepEstimate:
        """Return the step on a placement."""
        plan, step = self.plan, StepOnNetwork(self, network)
        parts = step.parts()
        subtotal = math.fsum(parts.values())
        parts["other"] += (step_time_factor - 1.0) * subtotal
        tokens = float(plan.global_batch_size * plan.sequence_length)
        model_flops, hardware_flops = self._flops
        return StepEstimate(
            step_time=math.fsum(parts.values()),
            parts=parts,
            tokens_per_step=tokens,
            model_flops=tokens * model_flops,
            hardware_flops=tokens * hardware_flops,
            gpus=self.sizes.mesh.world_size,
            peak=peak_of(self.gpu, plan.precision),
            precision=plan.precision,
            memory=self._stages,
            memory_capacity=self.gpu.hbm_capacity,
            communication=step.ledger.rows(),
            traffic=step.ledger.traffic(),
            flatness=step.ledger.flatness(),
        )

    @cached_property
    def _stages(self) -> tuple[StageMemory, ...]:
        return self.memory.stages()

    @cached_property
    def _flops(self) -> tuple[float, float]:
        """Model and hardware FLOPs of a token."""
        per_token = transformer.token_flops(self.architecture, self.sizes.sequence)
        model = per_token.training * self.flop_multiplier
        return model, model + _repeated_flops(per_token, self.plan) * self.flop_multiplier

    @cached_property
    def held(self) -> list[list[float]]:
        """Dense layers, routed ones, embeddings and heads that each kind of device runs for a micro-batch."""
        sizes, last, kinds = self.sizes, self.sizes.stages - 1, []
        for stage in self.memory.devices:
            on_device = self.memory.on_device(stage)
            stages = [(*sizes.stage_layers[one], one == 0, one == last) for one in on_device]
            kinds.append([sum(parts) / len(on_device) for parts in zip(*stages, strict=True)])
        return [list(parts) for parts in zip(*kinds, strict=True)]

    @cached_property
    def parameters(self) -> list[tuple[float, float]]:
        """Parameters of a rank on each kind of device: its own, and those of its experts."""
        return [self.memory.parameters(stage) for stage in self.memory.devices]


def _repeated_flops(flops: transformer.TokenFlops, plan: ParallelPlan) -> float:
    """Forward FLOPs per token that recomputation runs again."""
    if plan.activation_recomputation == "full":
        return plan.recomputed_share * (flops.forward - flops.logits)
    if plan.activation_recomputation == "none":
        return 0.0
    # What lies between the products, element-wise passes, does not count as FLOPs.
    products = flops.projections + flops.mlp + flops.router + flops.experts
    again = {"attention": flops.attention_core, "elementwise": 0.0, "half_products": 0.5 * products}
    return again[plan.stack.selective_repeats]


class StepOnNetwork:
    """The step of a plan where its ranks lie."""

    def __init__(self, model: StepModel, network: Network) -> None:
        self._model, self._network = model, network
        self._arch, self._plan, self._sizes = model.architecture, model.plan, model.sizes
        self._traffic = model.traffic(network.expert_domains)
        self.ledger = Ledger(network.fabric, len(model.memory.devices))

    def parts(self) -> dict[str, float]:
        """Return the exact breakdown of the step."""
        sizes, stack = self._sizes, self._plan.stack
        costs = self._chunk_costs()
        m, stages = sizes.microbatches, sizes.stages
        numbers = Counter(itertools.chain.from_iterable(sizes.chunks))
        mean = weighted(
            [(n * m / stages, costs[chunk].forward) for chunk, n in numbers.items()]
            + [(n * m / stages, costs[chunk].backward) for chunk, n in numbers.items()]
        )
        ahead = {chunk: total(cost.forward) for chunk, cost in costs.items()}
        behind = {chunk: total(cost.backward) for chunk, cost in costs.items()}
        forward = [[ahead[chunk] for chunk in row] for row in sizes.chunks]
        backward = [[behind[chunk] for chunk in row] for row in sizes.chunks]
        alone, joined = pipeline_times(
            self._plan.schedule,
            forward,
            backward,
            microbatches=m,
            transfers=(0.0, self._transfer()),
            weights=[[costs[chunk].weights for chunk in row] for row in sizes.chunks],
        )
        both = [[ahead[chunk] + behind[chunk] for chunk in row] for row in sizes.chunks]
        slowest = slowest_device(self._plan.schedule, both)
        parts = dict(zip(PASS_PARTS, mean, strict=True))
        busiest = min(m * slowest, alone)
        parts["bubble"] = alone - busiest
        parts["imbalance"] = busiest - math.fsum(mean) if stages > 1 else 0.0
        parts["pipeline_communication"] = joined - alone
        data = self._data_parallel([row[0] for row in forward], [row[0] for row in backward])
        parts["data_communication"] += data.exposed
        parts["overlap_slowdown"] += data.slowdown
        parts["optimizer"] = self._optimizer()
        compute = math.fsum(parts[name] for name in PASS_PARTS[:6])
        parts["straggler"] = kernels.straggler_time(compute, stack.compute_jitter, sizes.mesh.world_size)
        parts["overhead"] = stack.step_overhead
        share = self._arch.video.encoder_share if self._arch.video is not None else 0.0
        parts["other"] = share * compute
        return {name: parts[name] for name in PARTS}

    def passes(self) -> tuple[list[list[LayerCost]], float]:
        """Return the cost of every chunk of every stage for one micro-batch, and the exposed transfer. [s]"""
        costs = self._chunk_costs()
        return [[costs[chunk] for chunk in row] for row in self._sizes.chunks], self._transfer()

    def _chunk_costs(self) -> dict[Chunk, LayerCost]:
        """Cost of each distinct chunk for one micro-batch; its collectives go to the ledger."""
        sizes, traffic, moe = self._sizes, self._traffic, self._arch.moe
        work, held = self._model.work, self._model.held
        made: dict[str, LayerCost] = {}
        dense, routed = map(sum, zip(*sizes.stage_layers, strict=True))
        if dense:
            made["dense"] = self._layer(work.dense, traffic.dense_layer(), held[0], dense)
        if moe is not None and routed:
            made["moe"] = self._layer(
                work.moe,
                traffic.moe_layer(),
                held[1],
                routed,
                routed=self._expert_loops(moe),
                counted=not moe.capacity_padded,
            )
        first, last = traffic.edges()
        made["first"] = self._layer(work.embedding, first, held[2], 1, edge=True)
        made["last"] = self._layer(work.head, last, held[3], 1, edge=True)
        overhead = self._plan.stack.microbatch_overhead / len(sizes.chunks)
        distinct = dict.fromkeys(itertools.chain.from_iterable(sizes.chunks))
        return {chunk: _chunk_cost(chunk, made, overhead) for chunk in distinct}

    def _layer(
        self,
        block: Block,
        calls: Sequence[Call],
        held: Sequence[float],
        together: int,
        *,
        edge: bool = False,
        routed: tuple[float, float] | None = None,
        counted: bool = True,
    ) -> LayerCost:
        """Cost of a kind of layer, of which each kind of device holds so many and all stages together some."""
        priced = self._network.price_all(calls)
        cost = layer_cost(
            block,
            priced,
            self._plan,
            multiplier=self._model.flop_multiplier,
            edge=edge,
            routed=routed,
            counted=counted,
            pipeline_crosses=self._network.pipeline_crosses,
        )
        m = self._sizes.microbatches
        self.ledger.add_layers(priced, cost, [m * each for each in held], m * together / self._sizes.stages)
        return cost

    def _expert_loops(self, moe: MixtureOfExperts) -> tuple[float, float]:
        """Kernels that the host launches one by one for the experts of a rank: two products forward, four
        backward, each with its casts below 16 bits."""
        local = moe.num_experts // self._sizes.mesh.ep * (2.0 if self._sizes.element_bytes < 2.0 else 1.0)
        return 2.0 * local, 4.0 * local

    def _transfer(self) -> float:
        """Exposed time of one activation transfer between stages. [s]"""
        sizes = self._sizes
        if sizes.stages == 1:
            return 0.0
        boundary = self._network.price(self._traffic.boundary())
        exposed = boundary.cost.time * (1.0 - self._plan.stack.pipeline_overlap)
        chunks = len(sizes.chunks)
        crossings = 2.0 * sizes.microbatches * chunks
        mean = 2.0 * sizes.microbatches * (chunks * sizes.stages - 1) / sizes.stages
        self.ledger.add(boundary, crossings, mean, exposed * crossings)
        return exposed

    def _data_parallel(self, forward: list[float], backward: list[float]) -> _DataParallel:
        """Gradient and weight exchange of the step, against the passes of the first stage, by chunk."""
        sizes, stack = self._sizes, self._plan.stack
        own, experts = map(max, zip(*self._model.parameters, strict=True))
        mean_own, mean_experts = self._model.memory.mean_parameters()
        # The busiest stage sets the time, the mean one the traffic.
        mean = {"dp_cp": mean_own / own if own else 1.0, "edp": mean_experts / experts if experts else 1.0}
        behind, before = self._traffic.gradients(own, experts)
        chunks = len(forward)
        # Interleaving leaves the other chunks' work to hide under, for a whole round of stages.
        stretch = 1.0 + (min(sizes.microbatches, sizes.stages) - 1.0) * (chunks - 1.0) / chunks
        overlap = stack.data_overlap
        if self._plan.zero_stage and stack.sharded_data_overlap is not None:
            overlap = stack.sharded_data_overlap
        exposed = slowdown = 0.0
        for calls, passes in ((behind, backward), (before, forward)):
            priced = self._network.price_all(calls)
            window = stretch * sum(passes)
            time = sum(item.cost.time for item in priced)
            hidden = min(overlap * time, window)
            for item in priced:
                share = 1.0 - hidden / time
                self.ledger.add(item, 1.0, mean[item.call.group], item.cost.time * share)
            exposed += time - hidden
            slowdown += slowdown_of(hidden, stack)
        for item in self._network.price_all(self._traffic.shared_embedding()):
            self.ledger.add(item, 1.0, 2.0 / sizes.stages, item.cost.time)
            exposed += item.cost.time
        return _DataParallel(exposed, slowdown)

    def _optimizer(self) -> float:
        """Time of the optimizer step on the rank with most parameters. [s]"""
        stack, mesh = self._plan.stack, self._sizes.mesh
        sharded = self._plan.zero_stage >= 1
        worst = 0.0
        for own, experts in self._model.parameters:
            if sharded:
                own, experts = own / (mesh.dp * mesh.cp), experts / mesh.edp
            worst = max(worst, own + experts)
        traffic = kernels.optimizer_step_bytes(
            weight_bytes=_WEIGHT_BYTES,
            gradient_bytes=stack.gradient_bytes,
            master_bytes=stack.master_bytes,
            moment_bytes=stack.moment_bytes,
        )
        return worst * traffic / self._model.machine.linear.bandwidth


def _chunk_cost(chunk: Chunk, made: dict[str, LayerCost], overhead: float) -> LayerCost:
    numbers = zip(("dense", "moe", "first", "last"), chunk, strict=True)
    used = [(float(number), made[name]) for name, number in numbers if number]
    forward = weighted([(n, cost.forward) for n, cost in used])
    backward = weighted([(n, cost.backward) for n, cost in used])
    weights = math.fsum([n * cost.weights for n, cost in used])
    return LayerCost(_with_overhead(forward, overhead), backward, weights, {}, {})


def _with_overhead(cost: Cost, overhead: float) -> Cost:
    index = PASS_PARTS.index("launch")
    return (*cost[:index], cost[index] + overhead, *cost[index + 1 :])
