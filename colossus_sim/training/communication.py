"""What each axis of a plan sends: which collectives, how large, how often, and how long they take."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from colossus_sim.formulas import transformer
from colossus_sim.parallelism.collective_time import CollectiveTime, Route
from colossus_sim.parallelism.groups import Ground, GroupSpan
from colossus_sim.parallelism.mesh import AXES, Mesh, MeshAxis
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.sizes import Sizes, shares_gradients

_MOST_ROUTES = 4096
"""Remembered routes, beyond which all are forgotten."""
_ACTIVATION_BYTES = 2.0
"""Activations and their gradients travel in 16 bits."""


class Call(NamedTuple):
    """One collective of one layer (or of the whole step); equal in the first four fields, it costs the same.

    `forward` and `backward` count the calls of one pass of one micro-batch; `beside` counts further backward
    calls that always run beside the layer's own matrix products.
    """

    axis: str
    group: str
    operation: str
    message: float
    forward: float
    backward: float
    beside: float = 0.0


class PricedCall(NamedTuple):
    """A call and what one of it costs."""

    call: Call
    cost: CollectiveTime
    span: GroupSpan


class Seat(NamedTuple):
    """All that a step knows of where it runs: two placements with equal seats give equal steps."""

    spans: tuple[GroupSpan, ...]
    """Where the groups of each axis lie, those of axes with one rank left out."""
    bandwidths: tuple[float, ...]
    """Per-GPU bandwidth of each fabric level that a group crosses. [B/s]"""


def spans_of(mesh: Mesh, placement: Placement, fabric: Fabric) -> dict[str, GroupSpan]:
    """Return where the groups of each axis with more than one rank lie, by name of the axis."""
    ground = Ground(placement, fabric)
    return {axis.name: ground.span(axis) for axis in map(mesh.axis, AXES) if axis.size > 1}


def seat_of(spans: Collection[GroupSpan], bandwidths: Sequence[float]) -> Seat:
    """Return what a step depends on, of the groups' places and the bandwidth of each fabric level."""
    return Seat(tuple(spans), tuple(bandwidths[: 1 + max((span.level for span in spans), default=0)]))


class Routes:
    """Routes of a fabric and costs that were asked for before: most placements of a job differ in few axes."""

    def __init__(self) -> None:
        self._known: dict[tuple[GroupSpan, tuple[float, ...]], Route] = {}
        self._costs: dict[tuple[Route, str, float], CollectiveTime] = {}

    def route(self, span: GroupSpan, fabric: Fabric, bandwidths: Sequence[float]) -> Route:
        """Return the route of a group; the bandwidths above the levels that it crosses do not matter."""
        key = span, tuple(bandwidths[: span.level + 1])
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_ROUTES:
                self._known.clear()
                self._costs.clear()
            found = self._known[key] = Route(span, fabric, bandwidths)
        return found

    def cost(self, route: Route, operation: str, message: float) -> CollectiveTime:
        """Return what a collective costs on one of these routes."""
        key = route, operation, message
        found = self._costs.get(key)
        if found is None:
            found = self._costs[key] = route.time(operation, message)
        return found


class Network:
    """Prices collectives of one job on one placement; equal calls are priced once.

    Parameters
    ----------
    sizes, placement, fabric, bandwidths
        As for `training.step.estimate_step`.
    data_fraction : float
        Share of the links' rates that the exchange of gradients and weights reaches.
    spans : mapping, optional
        What `spans_of` found.
    routes : Routes, optional
        Those of the fabric.
    """

    def __init__(
        self,
        sizes: Sizes,
        placement: Placement,
        fabric: Fabric,
        bandwidths: Sequence[float] | None,
        *,
        data_fraction: float = 1.0,
        spans: Mapping[str, GroupSpan] | None = None,
        routes: Routes | None = None,
    ) -> None:
        self.fabric = fabric
        self.data_fraction = data_fraction
        self._bandwidths = fabric.bandwidths if bandwidths is None else bandwidths
        self._mesh, self._placement = sizes.mesh, placement
        self._axes: dict[str, MeshAxis] = {}
        self._spans: dict[str, GroupSpan] = dict(spans or {})
        self._routes: dict[str, Route] = {}
        self._all_routes = routes or Routes()

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self._placement, self.fabric)

    @property
    def pipeline_crosses(self) -> bool:
        """Whether the pipeline leaves its scale-up domain."""
        return self._mesh.pp > 1 and self.span("pp").level > 0

    @property
    def expert_domains(self) -> int:
        """Scale-up domains that one expert-parallel group touches."""
        return self.span("ep").groups[0] if self._mesh.ep > 1 else 1

    def span(self, group: str) -> GroupSpan:
        """Return where the groups of an axis lie."""
        if group not in self._spans:
            self._spans[group] = self._ground.span(self._axis(group))
        return self._spans[group]

    def price(self, call: Call) -> PricedCall:
        """Return the call with the time of its fastest algorithm on its worst group."""
        route = self._route(call.group)
        cost = self._all_routes.cost(route, call.operation, call.message)
        if call.axis == "dp" and self.data_fraction < 1.0:
            cost = cost._replace(time=cost.time / self.data_fraction, busbw=cost.busbw * self.data_fraction)
        return PricedCall(call, cost, route.span)

    def _route(self, group: str) -> Route:
        if group not in self._routes:
            self._routes[group] = self._all_routes.route(self.span(group), self.fabric, self._bandwidths)
        return self._routes[group]

    def price_all(self, calls: Sequence[Call]) -> list[PricedCall]:
        """Price several calls, leaving out those of groups of one."""
        return [self.price(call) for call in calls if call.message > 0.0 and self._axis(call.group).size > 1]

    def _axis(self, group: str) -> MeshAxis:
        if group not in self._axes:
            self._axes[group] = self._mesh.axis(group)
        return self._axes[group]


class Traffic:
    """The collectives of one job, by the place in the step where they are issued."""

    def __init__(
        self, architecture: Architecture, plan: ParallelPlan, sizes: Sizes, expert_domains: int = 1
    ) -> None:
        self._arch, self._plan, self._sizes = architecture, plan, sizes
        self._expert_domains = expert_domains
        # What a 16-bit plan gathers has no 8-bit copy.
        least = 2.0 if sizes.element_bytes >= 2.0 else 0.0
        self._gathered_bytes = max(least, plan.stack.gathered_parameter_bytes)
        self._again = plan.recomputed_share if plan.activation_recomputation == "full" else 0.0
        self._per_microbatch = shares_gradients(plan, sizes.mesh)
        self._hidden_state = sizes.tokens * architecture.hidden_size * _ACTIVATION_BYTES

    def dense_layer(self) -> list[Call]:
        """Calls of one dense layer for one micro-batch."""
        calls = [*self._tensor(2), *self._context()]
        return self._repeated(calls) + self._sharded_weights(self._sizes.count.dense_layer, 0.0)

    def moe_layer(self) -> list[Call]:
        """Calls of one routed layer for one micro-batch."""
        count = self._sizes.count
        blocks = 2 if count.shared_expert else 1
        calls = [*self._tensor(blocks), *self._context(), *self._experts()]
        own = count.moe_layer - count.num_experts * count.expert
        return self._repeated(calls) + self._sharded_weights(own, count.num_experts * count.expert)

    def edges(self) -> tuple[list[Call], list[Call]]:
        """Calls of the embedding (first stage) and of all logits (last stage) for one micro-batch."""
        if not self._arch.vocab_size:
            return [], []
        state = self._hidden_state
        # Vocabulary-parallel cross entropy reduces three fp32 numbers per token (maximum, target, sum).
        loss = Call("tp", "tp", "all_reduce", 4.0 * self._sizes.tokens, 3, 0)
        count = self._sizes.count
        weights = count.output or count.embedding
        if self._plan.sequence_parallel:
            gather, scatter = (
                Call("tp", "tp", kind, state, 0, 0) for kind in ("all_gather", "reduce_scatter")
            )
            first = [scatter._replace(forward=1), gather._replace(backward=1)]
            logits = [gather._replace(forward=1, backward=1), scatter._replace(backward=1), loss]
        else:
            first = [Call("tp", "tp", "all_reduce", state, 1, 0)]
            logits = [Call("tp", "tp", "all_reduce", state, 0, 1), loss]
        times = 1 + count.prediction_modules
        last = [
            call._replace(forward=times * call.forward, backward=times * call.backward) for call in logits
        ]
        return first + self._sharded_weights(count.embedding, 0.0), last + self._sharded_weights(weights, 0.0)

    def boundary(self) -> Call:
        """The activations that one stage sends to the next for one micro-batch: shared out between the
        tensor-parallel ranks (arXiv:2104.04473, sec. 4.1), or the whole from each of them."""
        split = self._plan.sequence_parallel or self._plan.stack.pipeline_scatter
        shares = self._sizes.mesh.tp if split else 1
        return Call("pp", "pp", "send_recv", self._hidden_state / shares, 1, 1)

    def _repeated(self, calls: list[Call]) -> list[Call]:
        """Full recomputation issues the forward calls once more during backward."""
        if not self._again:
            return calls
        return [call._replace(backward=call.backward + self._again * call.forward) for call in calls]

    def _tensor(self, blocks: int) -> list[Call]:
        """Tensor parallelism: per block one pair forward and one backward.

        Without sequence parallelism 4 all-reduces per layer and step (arXiv:1909.08053, sec. 3); with it each
        becomes an all-gather and a reduce-scatter, and the input is gathered once more beside the backward
        products (arXiv:2205.05198, sec. 4.2.2).
        """
        state = self._hidden_state
        if not self._plan.sequence_parallel:
            return [Call("tp", "tp", "all_reduce", state, blocks, blocks)]
        return [
            Call("tp", "tp", "all_gather", state, blocks, blocks, beside=blocks),
            Call("tp", "tp", "reduce_scatter", state, blocks, blocks),
        ]

    def _context(self) -> list[Call]:
        """Keys and values of the other context-parallel ranks; their gradients travel back as well.

        Ring: ``cp - 1`` hops forward, twice as many bytes backward (arXiv:2310.01889, sec. 3). All-gather:
        one all-gather forward, and one with a reduce-scatter backward (Llama 3, arXiv:2407.21783, sec. 3.3.2).
        """
        mesh, arch = self._sizes.mesh, self._arch
        if mesh.cp == 1:
            return []
        score, value = transformer.head_widths(arch)
        heads = arch.num_attention_heads if arch.mla is not None else max(arch.kv_heads, mesh.tp)
        own = self._sizes.tokens * heads * (score + value) / mesh.tp * _ACTIVATION_BYTES
        if self._plan.stack.context_exchange == "ring":
            hops = mesh.cp - 1
            return [Call("cp", "cp", "send_recv", own, hops, 2 * hops)]
        return [
            Call("cp", "cp", "all_gather", own * mesh.cp, 1, 1),
            Call("cp", "cp", "reduce_scatter", own * mesh.cp, 0, 1),
        ]

    def _experts(self) -> list[Call]:
        """Expert parallelism: dispatch and combine, forward and backward (GShard, arXiv:2006.16668, sec. 3.2)."""
        moe, mesh, stack = self._arch.moe, self._sizes.mesh, self._plan.stack
        if moe is None:
            return []
        tokens = self._sizes.tokens / mesh.tp
        copies = float(moe.num_experts_per_tok)
        if stack.expert_deduplication:
            # Across domains a token crosses the network once per domain and is copied inside (DeepSeek-V3,
            # arXiv:2412.19437, sec. 3.2.2); within one domain it goes once to each rank.
            targets = self._expert_domains if self._expert_domains > 1 else mesh.ep
            within = reachable_targets(targets, moe.n_group, moe.topk_group)
            copies = distinct_targets(within, moe.num_experts_per_tok)
        busiest = tokens * copies * self._sizes.expert_imbalance
        message = busiest * self._arch.hidden_size * stack.expert_dispatch_bytes
        calls = [Call("ep", "ep", "all_to_all", message, 2, 2)]
        if mesh.etp > 1:
            gathered = message * mesh.etp
            calls.append(Call("ep", "etp", "all_gather", gathered, 1, 1))
            calls.append(Call("ep", "etp", "reduce_scatter", gathered, 1, 1))
        return calls

    def _sharded_weights(self, own: float, experts: float) -> list[Call]:
        """ZeRO-2 and -3 per micro-batch: weights gathered, gradients reduced layer by layer.

        ZeRO-3 gathers forward and backward (arXiv:1910.02054, sec. 7.2.2); ZeRO-2 as FSDP's SHARD_GRAD_OP
        keeps them from forward to backward (arXiv:2304.11277, sec. 3.2).
        """
        plan, mesh = self._plan, self._sizes.mesh
        if not self._per_microbatch:
            return []
        calls = []
        again = 1 if plan.zero_stage == 3 else 0
        for group, parameters in (
            ("dp_cp", own / mesh.tp),
            ("edp", experts / (mesh.ep * mesh.etp)),
        ):
            weights = parameters * self._gathered_bytes
            gradients = parameters * plan.stack.gradient_bytes
            calls.append(Call("dp", group, "all_gather", weights, 1, again))
            calls.append(Call("dp", group, "reduce_scatter", gradients, 0, 1))
        return calls

    def gradients(self, own: float, experts: float) -> tuple[list[Call], list[Call]]:
        """Calls of one step for `own` and expert parameters of a rank: behind backward, and before forward.

        ZeRO-0 all-reduces, ZeRO-1 (and -2 in a pipeline) reduce-scatters and all-gathers; the others exchange
        per micro-batch.
        """
        plan = self._plan
        if self._per_microbatch:
            return [], []
        behind, before = [], []
        for group, parameters in (("dp_cp", own), ("edp", experts)):
            gradients = parameters * plan.stack.gradient_bytes
            weights = parameters * self._gathered_bytes
            if plan.zero_stage == 0:
                behind.append(Call("dp", group, "all_reduce", gradients, 0, 1))
            else:
                behind.append(Call("dp", group, "reduce_scatter", gradients, 0, 1))
                before.append(Call("dp", group, "all_gather", weights, 1, 0))
        return behind, before

    def shared_embedding(self) -> list[Call]:
        """Sum of the gradients of an embedding that the first and the last stage hold a copy of each.

        Under DualPipe the devices at the ends hold both stages and one embedding (arXiv:2412.19437, sec. 3.2.3).
        """
        count, mesh = self._sizes.count, self._sizes.mesh
        together = mesh.pp == 1 or self._plan.schedule == "dualpipe"
        if together or not count.embedding_at_both_ends:
            return []
        message = count.embedding / mesh.tp * self._plan.stack.gradient_bytes
        return [Call("embedding", "embedding", "all_reduce", message, 0, 1)]


def reachable_targets(targets: int, groups: int, limit: int) -> float:
    """Return how many of the targets (ranks or domains that share out the experts) one token may send to.

    Group-limited routing first picks `limit` of `groups` groups of experts (DeepSeek-V3, arXiv:2412.19437,
    sec. 2.1.2); groups lie side by side, so that a target holds several groups or a group several targets.
    """
    if limit >= groups:
        return float(targets)
    if targets >= groups:
        return targets * limit / groups
    return distinct_targets(targets, limit)


def distinct_targets(targets: float, choices: int) -> float:
    """Expected number of different targets among `choices` independent uniform draws: ``n (1 - (1 - 1/n)^k)``."""
    return targets * (1.0 - (1.0 - 1.0 / targets) ** choices)
