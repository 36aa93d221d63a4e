"""How the ranks of a plan are numbered, and the communication groups that follow from it.

Order, innermost first: tp, cp, dp, pp (Megatron-LM's default). Expert groups divide the same block of
tp x cp x dp ranks another way: etp, ep, edp.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from colossus_sim.specs.parallel import ParallelPlan

AXES = ("tp", "cp", "dp", "pp", "etp", "ep", "edp", "dp_cp", "embedding")


class MeshAxis(NamedTuple):
    """All groups of one axis: ranks ``outer * block + inner + i * stride`` for i in 0 .. size - 1.

    Attributes
    ----------
    name : str
        tp, cp, dp, pp, etp, ep, edp, dp_cp (gradients: dp x cp), embedding (first and last stage).
    size : int
        Ranks of one group.
    stride : int
        Distance between neighbouring ranks of a group.
    inner, outer : int
        There are ``inner * outer`` groups: `inner` with neighbouring first ranks, `outer` blocks of them.
    block : int
        Distance between the blocks.
    """

    name: str
    size: int
    stride: int
    inner: int
    outer: int
    block: int

    @property
    def num_groups(self) -> int:
        """Groups of this axis in the job."""
        return self.inner * self.outer

    @property
    def last_rank(self) -> int:
        """Highest rank of any group."""
        return (self.outer - 1) * self.block + self.inner - 1 + (self.size - 1) * self.stride


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Degrees of a plan with every default resolved."""

    tp: int
    cp: int
    dp: int
    pp: int
    ep: int = 1
    etp: int = 1

    @property
    def world_size(self) -> int:
        """Ranks of the job."""
        return self.tp * self.cp * self.dp * self.pp

    @property
    def stage_ranks(self) -> int:
        """Ranks of one pipeline stage."""
        return self.tp * self.cp * self.dp

    @property
    def edp(self) -> int:
        """Replicas of each expert."""
        return self.stage_ranks // (self.ep * self.etp)

    def axis(self, name: str) -> MeshAxis:
        """Return the groups of one axis.

        Raises
        ------
        KeyError
            If there is no such axis.
        """
        if name == "embedding":
            return self._embedding()
        stride = self._stride(name)
        size = self.dp * self.cp if name == "dp_cp" else int(getattr(self, name))
        block = size * stride
        return MeshAxis(
            name=name, size=size, stride=stride, inner=stride, outer=self.world_size // block, block=block
        )

    def _stride(self, name: str) -> int:
        match name:
            case "tp" | "etp":
                return 1
            case "cp" | "dp_cp":
                return self.tp
            case "dp":
                return self.tp * self.cp
            case "pp":
                return self.stage_ranks
            case "ep":
                return self.etp
            case "edp":
                return self.etp * self.ep
        raise KeyError(name)

    def _embedding(self) -> MeshAxis:
        """First and last stage share the embedding when its weights are tied."""
        return MeshAxis(
            name="embedding",
            size=min(self.pp, 2),
            stride=max(self.pp - 1, 1) * self.stage_ranks,
            inner=self.stage_ranks,
            outer=1,
            block=self.world_size,
        )

    def coordinates(self, rank: int) -> dict[str, int]:
        """Return the coordinates of a rank on tp, cp, dp, pp."""
        found = {}
        for name, degree in (("tp", self.tp), ("cp", self.cp), ("dp", self.dp), ("pp", self.pp)):
            rank, found[name] = divmod(rank, degree)
        return found

    def rank(self, *, tp: int = 0, cp: int = 0, dp: int = 0, pp: int = 0) -> int:
        """Return the rank at these coordinates."""
        return tp + self.tp * (cp + self.cp * (dp + self.dp * pp))


def usable_gpus(plan: ParallelPlan, gpus: int) -> int:
    """Return how many of `gpus` GPUs the plan can use; 0 if none.

    A plan that fixes its replicas uses exactly what its degrees say. Otherwise it takes as many replicas
    (tp x cp x pp) as fit and as its expert groups divide.
    """
    replica = _replica(plan)
    replicas = gpus // replica
    if plan.data_parallel is not None:
        return plan.data_parallel * replica if replicas >= plan.data_parallel else 0
    expert = plan.expert_parallel * plan.expert_tensor_parallel
    multiple = expert // math.gcd(expert, plan.tensor_parallel * plan.context_parallel)
    return replicas // multiple * multiple * replica


def _replica(plan: ParallelPlan) -> int:
    return plan.tensor_parallel * plan.context_parallel * plan.pipeline_parallel


def _too_few(plan: ParallelPlan, gpus: int) -> str:
    product = f"{plan.tensor_parallel} x {plan.context_parallel} x {plan.pipeline_parallel}"
    if plan.data_parallel is None:
        expert = plan.expert_parallel * plan.expert_tensor_parallel
        stage = plan.tensor_parallel * plan.context_parallel
        need = math.lcm(expert, stage) * plan.pipeline_parallel
        experts = f", and {need} for its {expert}-GPU expert groups" if need > _replica(plan) else ""
        return (
            f"tp x cp x pp = {product} = {_replica(plan)} GPUs for one replica{experts}, "
            f"but the job has {gpus}"
        )
    need = _replica(plan) * plan.data_parallel
    return (
        f"tp x cp x pp x dp = {product} x {plan.data_parallel} = {need} GPUs, but the job has {gpus}; "
        f"data_parallel {gpus // _replica(plan)} would fit"
    )


def _uneven_experts(mesh: Mesh) -> str:
    stage, expert = mesh.stage_ranks, mesh.ep * mesh.etp
    return (
        f"expert_parallel x expert_tensor_parallel = {mesh.ep} x {mesh.etp} = {expert} does not divide the {stage} "
        f"GPUs of a pipeline stage (tp x cp x dp = {mesh.tp} x {mesh.cp} x {mesh.dp}); "
        f"nearest that do: {_nearest_divisors(stage, expert)}"
    )


def _nearest_divisors(number: int, wanted: int) -> str:
    below = next(d for d in range(min(wanted, number), 0, -1) if number % d == 0)
    above = next((d for d in range(wanted + 1, min(number, 64 * wanted) + 1) if number % d == 0), None)
    return f"{below}" if above is None else f"{below} or {above}"


def mesh_of(plan: ParallelPlan, gpus: int) -> Mesh:
    """Return the mesh of a plan on `gpus` GPUs; dp is the largest that fits where the plan leaves it out.

    The global batch need not divide: every replica runs whole micro-batches, of which `check` warns.

    Raises
    ------
    ValueError
        If not even one replica fits, or the expert groups do not divide a stage.
    """
    usable = usable_gpus(plan, gpus)
    if usable == 0:
        raise ValueError(_too_few(plan, gpus))
    mesh = Mesh(
        tp=plan.tensor_parallel,
        cp=plan.context_parallel,
        dp=usable // _replica(plan),
        pp=plan.pipeline_parallel,
        ep=plan.expert_parallel,
        etp=plan.expert_tensor_parallel,
    )
    if mesh.stage_ranks % (mesh.ep * mesh.etp):
        raise ValueError(_uneven_experts(mesh))
    return mesh
