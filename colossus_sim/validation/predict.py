"""Cases through the step model: one prediction per row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from colossus_sim.errors import ColossusError
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.base import Provenance
from colossus_sim.specs.hardware import Calibration, Gpu, Stack
from colossus_sim.specs.topology import Clos, ClosTier, CollectiveConstants, Topology
from colossus_sim.topology.builders import build_fabric
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.estimate import StageMemory, StepEstimate
from colossus_sim.training.memory import MemoryModel
from colossus_sim.training.sizes import kernels_of, resolve_sizes
from colossus_sim.training.step import estimate_step
from colossus_sim.validation.cases import Case, LeftOut, case_of
from colossus_sim.validation.fills import recomputations
from colossus_sim.validation.interconnects import Network
from colossus_sim.validation.metrics import Prediction
from colossus_sim.validation.rows import TrainingRow
from colossus_sim.validation.tables import Device, MemoryMeasure, Tables, collectives_name

_LEAF_GPUS = 512
_RADIX = 64
_BIT = 0.125
_MOST_PER_NODE = 16
"""A scale-up domain of more GPUs is a rack, which a row's GPUs per node do not describe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What predictions need besides the rows, by catalog name: devices, stacks, constants of collectives and
    the kernel efficiencies."""

    gpus: Mapping[str, Gpu]
    stacks: Mapping[str, Stack]
    collectives: Mapping[str, CollectiveConstants]
    calibration: Calibration


class Predictor:
    """Predicts rows; keeps the fabrics it built, since most rows share one."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._tables = Tables()
        self._fabrics: dict[tuple[str, Network, int], Fabric] = {}

    def predict(self, rows: Sequence[TrainingRow]) -> tuple[tuple[Prediction, ...], tuple[LeftOut, ...]]:
        """Return a prediction for every row that can be expressed, and the reason for every other.

        Rows are told apart by their ids: one without an id, or with that of an earlier row, is left out.
        """
        predictions: list[Prediction] = []
        left_out: list[LeftOut] = []
        seen: dict[str, int] = {}
        for row in rows:
            if not row.id or row.id in seen:
                reason = f"id: also that of line {seen[row.id]}" if row.id else "id: empty"
                left_out.append(LeftOut(row=row, reason=reason))
                continue
            seen[row.id] = row.line
            outcome = self.predict_row(row)
            if isinstance(outcome, LeftOut):
                left_out.append(outcome)
            else:
                predictions.append(outcome)
        return tuple(predictions), tuple(left_out)

    def predict_row(self, row: TrainingRow) -> Prediction | LeftOut:
        """Predict one row, or say why not."""
        case = self.case(row)
        if isinstance(case, LeftOut):
            return case
        if not row.is_oom and not row.published_step:
            return LeftOut(row=row, reason=_no_time(row))
        if case.device.catalog not in self._inputs.gpus:
            return LeftOut(row=row, reason=f"gpu {row.gpu!r}: gpus.yaml has no {case.device.catalog!r}")
        try:
            estimate = self.estimate(case)
        except (ColossusError, ValueError) as error:
            return LeftOut(row=row, reason=f"the model refuses the plan: {error}")
        return _prediction(case, estimate, self._tables.memory(row))

    def case(self, row: TrainingRow) -> Case | LeftOut:
        """Return the inputs that a row stands for, of several ways to recompute the first that fits."""
        case = case_of(row, self._tables, self._inputs.stacks)
        if isinstance(case, LeftOut) or case.device.catalog not in self._inputs.gpus:
            return case
        case = self._with_kernels_said(case)
        choices = recomputations(row)
        if len(choices) == 1:
            return case  # no need to look at its memory twice
        for choice in choices:
            changed = _recomputing(case, choice)
            if self._fits(changed):
                return changed
        return case

    def _with_kernels_said(self, case: Case) -> Case:
        """Return the case with a word on kernel rates that no measurement of its device stands behind."""
        try:
            kernels = kernels_of(self._inputs.calibration, self.gpu(case), case.plan.precision)
        except ColossusError:
            return case
        if kernels.gpu != "*":
            return case
        device = case.device.variant or case.device.catalog
        words = f"no kernel rates of {device} in {case.plan.precision}: generic ones"
        return dataclasses.replace(case, assumptions=(*case.assumptions, words))

    def _fits(self, case: Case) -> bool:
        """Whether a case fits into its device; True where the model cannot express it, which is said later."""
        try:
            sizes = resolve_sizes(case.architecture, case.plan, case.gpus)
        except ColossusError:
            return True
        stages = MemoryModel(case.architecture, case.plan, sizes).stages()
        return max(stage.total for stage in stages) <= self.gpu(case).hbm_capacity

    def estimate(self, case: Case) -> StepEstimate:
        """Return the estimate of a case.

        Raises
        ------
        ColossusError, ValueError
            If the model or the fabric builder cannot express it.
        """
        gpu = self.gpu(case)
        placement = placement_of(gpu, case.gpus)
        return estimate_step(
            architecture=case.architecture,
            plan=case.plan,
            gpu=gpu,
            fabric=self._fabric(gpu, case, placement.num_domains * gpu.scale_up_domain),
            placement=placement,
            gpus=case.gpus,
            calibration=self._inputs.calibration,
        )

    def gpu(self, case: Case) -> Gpu:
        """Return the device of a case: the catalog's, with what the row says differs."""
        return device_gpu(
            self._inputs.gpus[case.device.catalog],
            case.device,
            nic_gbps=case.network.nic_gbps,
            gpus_per_node=case.row.gpus_per_node,
        )

    def _fabric(self, gpu: Gpu, case: Case, gpus: int) -> Fabric:
        network, known = case.network, self._inputs.collectives
        collectives = collectives_name(case.device, case.row.interconnect, known)
        links = f"{gpu.scale_up_domain} x {gpu.scale_up_bandwidth:.17g}"
        key = (f"{gpu.name}/{links}/{collectives}", network, gpus)
        if key not in self._fabrics:
            topology = topology_of(gpu, network, gpus, known.get(collectives))
            self._fabrics[key] = build_fabric(topology, gpu, gpus)
        return self._fabrics[key]


def device_gpu(gpu: Gpu, device: Device, *, nic_gbps: float | None, gpus_per_node: int | None) -> Gpu:
    """Return a catalog entry with what its line of ``gpus.csv`` and the row itself say differs.

    A row's GPUs per node are its NVLink domain, except where the domain is larger than any node (a rack).
    """
    changes: dict[str, object] = {}
    if device.variant:
        changes["name"] = device.variant
    for name in ("hbm_capacity", "hbm_bandwidth", "scale_up_bandwidth", "power_max"):
        value = getattr(device, name)
        if value is not None:
            changes[name] = value
    if nic_gbps is not None:
        changes["nic_bandwidth"] = nic_gbps * 1e9 * _BIT
    domain = device.scale_up_domain or (gpus_per_node if gpu.scale_up_domain <= _MOST_PER_NODE else None)
    if domain:
        changes["scale_up_domain"] = changes["gpus_per_node"] = domain
    return gpu.model_copy(update=changes)


def _no_time(row: TrainingRow) -> str:
    """Return why a row has no time to compare with."""
    columns = ("step_time_derived_s", "step_time_s", "tokens_per_s_per_gpu")
    wrong = [f"{column}: {what}" for column, what in row.unreadable if column in columns]
    wrong += [f"{column}: 0 is no measurement" for column in columns if getattr(row, column) == 0.0]
    return "; ".join(wrong) or "only FLOP/s are published, not how they were counted"


def _recomputing(case: Case, choice: str) -> Case:
    if choice == case.plan.activation_recomputation:
        return case
    plan = case.plan.model_copy(update={"activation_recomputation": choice})
    words = tuple(
        f"recompute = {choice} assumed" if w.startswith("recompute =") else w for w in case.assumptions
    )
    return dataclasses.replace(case, plan=plan, assumptions=words)


def placement_of(gpu: Gpu, gpus: int) -> Placement:
    """Return packed neighbouring domains; of an NVL72 rack 64 GPUs are used unless 72 divide the job.

    Published GB200 runs of more than one rack have 64 x n GPUs (e.g. 2,496 = 39 x 64 and 2,560 = 40 x 64 in
    MLPerf Training v5.0 and v5.1), so that racks hold whole power-of-two groups.
    """
    domain = gpu.scale_up_domain
    used = domain
    if domain > 64 and gpus > domain and gpus % domain:
        used = 64
    return Placement(domain_gpus=domain, ranks_per_domain=used, runs=((0, -(-gpus // used)),))


def topology_of(
    gpu: Gpu, network: Network, gpus: int, collectives: CollectiveConstants | None = None
) -> Topology:
    """Return a rail-optimised non-blocking fat tree (pods as the source says) for `gpus` GPUs.

    No source prints its switches, so they have as many ports as it takes.
    """
    leaf = max(_LEAF_GPUS // gpu.scale_up_domain, 1) * gpu.scale_up_domain
    tiers = []
    if leaf < gpus:
        tiers.append(ClosTier(name="leaf", group_gpus=leaf))
    if network.pod_gpus and leaf < network.pod_gpus < gpus:
        tiers.append(
            ClosTier(name="pod", group_gpus=network.pod_gpus, oversubscription=network.pod_oversubscription)
        )
    tiers.append(ClosTier(name="spine" if tiers else "leaf", group_gpus=0))
    return Topology(
        title="network of a published measurement",
        gpu=gpu.name,
        gpus=gpus,
        fabric=Clos(
            kind="clos", tiers=tuple(tiers), switch_radix=max(_RADIX, 2 * gpus), rails=gpu.gpus_per_node
        ),
        collectives=collectives,
        provenance=Provenance(
            kind="assumption", reference=network.reference or "rail-optimised fat tree", checked="2026-11"
        ),
    )


def _prediction(case: Case, estimate: StepEstimate, measure: MemoryMeasure) -> Prediction:
    row = case.row
    return Prediction(
        id=row.id,
        line=row.line,
        source=source_of(row.id),
        gpu=row.gpu,
        kind="moe" if case.architecture.moe else "dense",
        precision=case.plan.precision,
        n_gpus=case.gpus,
        specified=row.fully_specified,
        predicted_s=estimate.step_time,
        published_s=None if row.is_oom else row.published_step,
        ideal_s=estimate.model_flops / (estimate.gpus * estimate.peak),
        predicted_mem=comparable_memory(estimate.memory, measure),
        published_mem=row.peak_mem_gb,
        mem_unit=measure.unit,
        predicted_peak_mem=estimate.peak_memory / 1e9,
        capacity_mem=estimate.memory_capacity / 1e9,
        fits=estimate.fits,
        oom=row.is_oom,
        stack=case.stack_name,
        family=row.family,
        assumptions=case.assumptions,
        parts=tuple(estimate.parts.items()),
    )


def source_of(row_id: str) -> str:
    """Return the family of ids that a row belongs to, e.g. ``vtrain-multi`` of ``vtrain-multi-0003``."""
    return re.sub(r"-[^-]*\d[^-]*$", "", row_id)


def comparable_memory(stages: Sequence[StageMemory], measure: MemoryMeasure) -> float:
    """Return the peak over stages of what the source measured, in its unit."""
    if measure.scope == "states":
        peak = max(stage.weights + stage.gradients + stage.optimizer + stage.update for stage in stages)
    elif measure.scope == "allocated":
        peak = max(stage.total - stage.overhead for stage in stages)
    else:
        peak = max(stage.total for stage in stages)
    return peak / measure.bytes_per_unit
