"""From a measured row to the inputs of the step model, or to the reason why it is left out.

Nothing here depends on the measured time: a row's case follows from its configuration cells, from its notes
about the configuration, and from the sourced look-up tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from pydantic import ValidationError

from colossus_sim.loading.checks.models import shape
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.hardware import Stack
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.specs.shares import shares
from colossus_sim.validation import words
from colossus_sim.validation.architectures import COLUMNS, architecture_of, needed, not_an_architecture
from colossus_sim.validation.fills import filled
from colossus_sim.validation.interconnects import Network
from colossus_sim.validation.plans import PLAN_COLUMNS, plan_of
from colossus_sim.validation.rows import TrainingRow
from colossus_sim.validation.tables import Device, Tables

_NOT_MODELLED = ("hybrid", "layer-microbench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row as inputs of the step model.

    Attributes
    ----------
    row : TrainingRow
        The row, with `assumed_fill` applied.
    architecture, plan : Architecture, ParallelPlan
        What is trained, and how; ``plan.stack`` is the generic one where the catalog lacks `stack_name`.
    device, network : Device, Network
        The GPU's catalog name and what differs from it; the scale-out network.
    stack_name : str
        Name of the software stack that the source used.
    gpus : int
        World size.
    assumptions : tuple of str
        What was filled in.
    """

    row: TrainingRow
    architecture: Architecture
    plan: ParallelPlan
    device: Device
    network: Network
    stack_name: str
    gpus: int
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A row that is not predicted, and why."""

    row: TrainingRow
    reason: str


def case_of(row: TrainingRow, tables: Tables, stacks: Mapping[str, Stack]) -> Case | LeftOut:
    """Return the inputs that a row stands for, or why it cannot be predicted."""
    full, assumptions = filled(row)
    reason = _not_expressible(full, tables)
    if reason:
        return LeftOut(row=row, reason=reason)
    device = tables.device(full.gpu, full.id)
    if device is None or not device.catalog:
        why = device.reference if device else "no line of gpus.csv has that name"
        return LeftOut(row=row, reason=f"gpu {full.gpu!r}: {why}")
    stack_name = tables.stack(full)
    stack = stacks.get(stack_name, stacks["generic"])
    network = tables.network(full)
    try:
        architecture, of_model = architecture_of(full, tables)
        plan, of_plan = plan_of(full, stated_stack(full, stack))
    except ValidationError as error:
        return LeftOut(row=row, reason=_cell_error(error))
    except ValueError as error:
        return LeftOut(row=row, reason=str(error))
    problem = _misfit(architecture, plan)
    if problem:
        return LeftOut(row=row, reason=problem)
    said = (*_stack_words(full, stack_name, tables, stacks), *assumptions, *of_model, *of_plan)
    return Case(
        row=full,
        architecture=architecture,
        plan=plan,
        device=device,
        network=network,
        stack_name=stack_name,
        gpus=full.n_gpus or 0,
        assumptions=(*said, *_system_words(full, device, network)),
    )


def _stack_words(row: TrainingRow, name: str, tables: Tables, stacks: Mapping[str, Stack]) -> tuple[str, ...]:
    """Return what is assumed about the software."""
    if name == "generic":
        return ("stack unknown: generic constants",)
    if name not in stacks:
        return (f"stack {name} is unknown: generic constants",)
    return (f"stack {name} by the name that the source gives",) if tables.recognised(row) else ()


def _system_words(row: TrainingRow, device: Device, network: Network) -> tuple[str, ...]:
    """Return what is assumed about GPUs, nodes and network, and which measurements cannot be read."""
    said = [f"gpu {row.gpu!r}: {device.reference}"] if device.assumed else []
    if row.gpus_per_node is None:
        said.append("gpus_per_node of the device assumed")
    said += [f"{column}: {wrong}; ignored" for column, wrong in row.unreadable]
    if network.assumed:
        said.append(f"network: {network.reference}")
    return tuple(said)


def stated_stack(row: TrainingRow, stack: Stack) -> Stack:
    """Return the stack with the token dispatcher that the row states: a plain all-to-all sends a copy of a token
    to each of its experts, DeepEP and HybridEP one to each rank or domain that holds any of them."""
    text = row.notes.lower()
    if 'dispatcher "alltoall"' in text or "all-to-all dispatcher" in text:
        return stack.model_copy(update={"expert_deduplication": False, "permutation_bytes": 16.0})
    if "deepep" in text:
        return stack.model_copy(update={"expert_deduplication": True, "permutation_bytes": 8.0})
    if "hybridep" in text:
        return stack.model_copy(update={"expert_deduplication": True})
    return stack


def _not_expressible(row: TrainingRow, tables: Tables) -> str:
    unreadable = [f"{column}: {wrong}" for column, wrong in row.unreadable if column not in _DISPENSABLE]
    if unreadable:
        return "; ".join(unreadable)
    if row.model_kind in _NOT_MODELLED:
        return f"model kind {row.model_kind!r} is not modelled"
    if row.fully_specified == "N" and not row.is_oom:
        return (
            f"the source lacks: {row.missing}"
            if row.missing
            else "fully_specified: N, without a word on what is missing"
        )
    if "NOT the same math" in row.notes or tables.stack(row) == "megascale":
        return "other mathematics (parallel block, sliding window, LAMB)"
    if words.freezes_weights(f"{row.model} | {row.notes} | {row.family}"):
        return "frozen weights (LoRA or other adapters) are not modelled"
    if words.offloaded(row.zero_stage_or_fsdp):
        return f"zero_stage_or_fsdp {row.zero_stage_or_fsdp!r}: states outside the GPUs are not modelled"
    contradiction = not_an_architecture(row, tables)
    if contradiction:
        return contradiction
    lacking = [name for name in (*needed(row), *_NEEDED) if getattr(row, name) in (None, "")]
    if lacking:
        return f"the source lacks: {' '.join(lacking)}"
    return _inconsistent(row)


_NEEDED = (
    "seq_len", "n_gpus", "tp", "pp", "dp", "micro_batch", "global_batch", "recompute", "precision",
)  # fmt: skip
_DISPENSABLE = (
    "peak_mem_gb", "gpus_per_node", "step_time_s", "step_time_derived_s", "tokens_per_s_per_gpu",
)  # fmt: skip
"""Columns that inputs do not need, whose unreadable cells are said and ignored."""


def _misfit(architecture: Architecture, plan: ParallelPlan) -> str:
    """Return the first thing of which a scenario with this architecture and plan would be refused."""
    problem = next(chain(shape("", architecture), shares("", plan, architecture)), None)
    return f"{_column(problem.path)}: {problem.message}" if problem else ""


def _cell_error(error: ValidationError) -> str:
    """Return the first cell that a field does not allow: its column, its value and what is wrong."""
    first = error.errors()[0]
    return f"{_column(str(first['loc'][-1]))}: {first['input']!r}: {first['msg']}"


def _column(path: str) -> str:
    """Return the column that a field is read from."""
    name = path.rpartition(".")[2]
    return COLUMNS.get(name) or PLAN_COLUMNS.get(name, name)


def _inconsistent(row: TrainingRow) -> str:
    degrees = (row.tp or 1) * (row.pp or 1) * (row.cp or 1) * (row.dp or 1)
    if degrees != row.n_gpus:
        return f"tp x pp x cp x dp = {degrees} is not the {row.n_gpus} GPUs"
    replica_batch = (row.micro_batch or 1) * (row.dp or 1)
    if (row.global_batch or 0) % replica_batch:
        return f"global batch {row.global_batch} is not a multiple of micro-batch x dp = {replica_batch}"
    return ""
