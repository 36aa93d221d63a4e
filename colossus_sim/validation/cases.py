"""From a measured row to the inputs of the step model, or to the reason why it is left out.

Nothing here depends on the measured time: a row's case follows from its configuration cells, from its notes
about the configuration, and from the sourced look-up tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from colossus_sim.specs.architecture import Architecture, LatentAttention, MixtureOfExperts
from colossus_sim.specs.base import Provenance
from colossus_sim.specs.hardware import Stack
from colossus_sim.specs.parallel import ParallelPlan
from colossus_sim.validation.fills import filled
from colossus_sim.validation.rows import TrainingRow
from colossus_sim.validation.tables import Device, Network, Tables

_CHECKED = "2026-11"
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
    stack_name = tables.stack(full)
    stack = stacks.get(stack_name, stacks["generic"])
    if stack_name == "generic":
        assumptions += ("stack unknown: generic constants",)
    elif stack_name not in stacks:
        assumptions += (f"stack {stack_name} is unknown: generic constants",)
    elif tables.recognised(full):
        assumptions += (f"stack {stack_name} by the name that the source gives",)
    device = tables.device(full.gpu, full.id)
    if device is None:
        return LeftOut(row=row, reason=f"GPU {full.gpu!r} is not in the catalog")
    network = tables.network(full)
    try:
        architecture = _architecture(full, tables)
        plan = _plan(full, stated_stack(full, stack))
    except ValidationError as error:
        return LeftOut(row=row, reason=f"cells do not make a plan: {error.errors()[0]['msg']}")
    return Case(
        row=full,
        architecture=architecture,
        plan=plan,
        device=device,
        network=network,
        stack_name=stack_name,
        gpus=full.n_gpus or 0,
        assumptions=(*assumptions, f"network: {network.reference}"),
    )


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
    if row.unreadable:
        return f"cells are not numbers: {', '.join(row.unreadable)}"
    if row.model_kind in _NOT_MODELLED:
        return f"model kind {row.model_kind!r} is not modelled"
    if row.fully_specified == "N" and not row.is_oom:
        return f"the source lacks: {row.missing or 'unstated cells'}"
    if "NOT the same math" in row.notes or tables.stack(row) == "megascale":
        return "other mathematics (parallel block, sliding window, LAMB)"
    lacking = [name for name in _NEEDED if getattr(row, name) in (None, "")]
    if lacking:
        return f"the source lacks: {' '.join(lacking)}"
    return _inconsistent(row)


_NEEDED = (
    "layers", "hidden", "heads", "vocab", "seq_len", "n_gpus", "tp", "pp", "dp", "micro_batch",
    "global_batch", "recompute", "precision",
)  # fmt: skip


def _inconsistent(row: TrainingRow) -> str:
    degrees = (row.tp or 1) * (row.pp or 1) * (row.cp or 1) * (row.dp or 1)
    if degrees != row.n_gpus:
        return f"tp x pp x cp x dp = {degrees} is not the {row.n_gpus} GPUs"
    replica_batch = (row.micro_batch or 1) * (row.dp or 1)
    if (row.global_batch or 0) % replica_batch:
        return f"global batch {row.global_batch} is not a multiple of micro-batch x dp = {replica_batch}"
    return ""


def _architecture(row: TrainingRow, tables: Tables) -> Architecture:
    details = tables.model(row.model)
    tied = re.search(r"tied embeddings (True|False)", row.notes)
    values = {
        "name": row.model,
        "hidden_size": row.hidden,
        "num_hidden_layers": row.layers,
        "num_attention_heads": row.heads,
        "num_key_value_heads": row.kv_heads or 0,
        "head_dim": row.head_dim or 0,
        "intermediate_size": row.ffn_hidden or 0,
        "mlp_gated": row.mlp_gated != "N",
        "vocab_size": row.vocab,
        "tie_word_embeddings": tied[1] == "True" if tied else details["tie_word_embeddings"] == "1",
        "mla": _latent(details) if row.attn.startswith("MLA") else None,
        "moe": _experts(row, details),
        "provenance": Provenance(kind="measurement", reference=row.source or row.id, checked=_CHECKED),
    }
    if "SWA" in row.attn and details["sliding_window"] != "0":
        values["sliding_window"] = int(details["sliding_window"])
        values["sliding_window_fraction"] = float(details["sliding_window_fraction"])
    if _trains_next_tokens(row):
        values["num_nextn_predict_layers"] = int(details["mtp_layers"])
    return Architecture.model_validate(values)


def _trains_next_tokens(row: TrainingRow) -> bool:
    return "MTP on" in row.notes and "(w/o MTP)" not in row.notes


def _latent(details: Mapping[str, str]) -> LatentAttention | None:
    if not details["kv_lora_rank"]:
        return None
    names = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return LatentAttention.model_validate({name: int(details[name]) for name in names})


def _experts(row: TrainingRow, details: Mapping[str, str]) -> MixtureOfExperts | None:
    if not row.moe_experts or row.moe_experts < 2:
        return None
    values = {
        "num_experts": row.moe_experts,
        "num_experts_per_tok": row.moe_topk or 1,
        "moe_intermediate_size": row.moe_ffn_hidden or row.ffn_hidden or 0,
        "shared_expert_intermediate_size": row.moe_shared_ffn or 0,
        "first_k_dense": row.moe_dense_layers or 0,
    }
    if _balanced(row):
        values["imbalance"] = 1
    values["capacity_padded"] = _dropped(row)
    values["clamped_bias"] = details["clamped_bias"] == "1"
    values["n_group"], values["topk_group"] = int(details["n_group"]), int(details["topk_group"])
    return MixtureOfExperts.model_validate(values)


def _balanced(row: TrainingRow) -> bool:
    """Whether routing is forced to balance, or tokens above capacity factor 1 are dropped."""
    words = ("force-balanced", "forced balance", "forced-balanced")
    return any(word in row.notes for word in words) or _dropped(row)


def _dropped(row: TrainingRow) -> bool:
    """Whether each expert takes a fixed number of tokens."""
    words = ("tokendrop", "token-drop", "token drop", "capacity factor 1")
    return any(word in row.notes for word in words)


def _plan(row: TrainingRow, stack: Stack) -> ParallelPlan:
    interleaved = (row.vpp or 1) > 1 and (row.pp or 1) > 1
    return ParallelPlan.model_validate(
        {
            "tensor_parallel": row.tp,
            "pipeline_parallel": row.pp,
            "virtual_pipeline": row.vpp if interleaved else 1,
            "context_parallel": row.cp or 1,
            "expert_parallel": (row.ep or 1) if row.moe_experts else 1,
            "expert_tensor_parallel": _expert_tensor(row),
            "data_parallel": row.dp,
            "zero_stage": _zero_stage(row),
            "sequence_parallel": (row.tp or 1) > 1 and row.sequence_parallel == "y",
            "activation_recomputation": row.recompute,
            "recomputed_share": _recomputed_share(row, interleaved=interleaved),
            "schedule": "interleaved_1f1b" if interleaved else "1f1b",
            "micro_batch_size": row.micro_batch,
            "global_batch_size": row.global_batch,
            "sequence_length": row.seq_len,
            "precision": _precision(row),
            "stack": stack,
        }
    )


def _expert_tensor(row: TrainingRow) -> int:
    """Experts are cut like the dense layers unless the source says otherwise (Megatron Core before 0.9)."""
    if not row.moe_experts:
        return 1
    text = row.notes
    unfolded = "MCore reference table" in text or ("strategy" in text and "Folding" not in text)
    only_tensor = (row.ep or 1) == 1 and (row.tp or 1) > 1
    return (row.tp or 1) if unfolded or only_tensor else 1


def _recomputed_share(row: TrainingRow, *, interleaved: bool) -> float:
    """Share of the layers that run again where the recipe names their number in each stage (or chunk of it)."""
    named = re.search(r"\bfull(?: \w+)? x(\d+) layers", row.notes)
    if not named or row.recompute != "full":
        return 1.0
    chunks = (row.pp or 1) * ((row.vpp or 1) if interleaved else 1)
    return min(1.0, int(named[1]) * chunks / (row.layers or 1))


def _zero_stage(row: TrainingRow) -> int:
    """As stated; in a pipeline TorchTitan gathers weights once per step, as stage 2 does (``reshard_after_forward``
    is off by default there: torchtitan/config, "default" policy)."""
    stage = zero_stage(row.zero_stage_or_fsdp)
    return min(stage, 2) if row.id.startswith("titan") and (row.pp or 1) > 1 else stage


def zero_stage(text: str) -> int:
    """Return the ZeRO stage that a source's words mean.

    Megatron's distributed optimizer reduces gradients once per step, hence stage 1 even where a paper calls
    it ZeRO-2-style; FSDP that keeps parameters after the forward pass is stage 2; an empty cell means the
    distributed optimizer, which every such source uses by default.
    """
    if re.search(r"zero[- ]?(?:stage )?1|distributed optimizer|dist-opt", text, re.IGNORECASE):
        return 1
    if re.search(r"zero[- ]?(?:stage )?2|SHARD_GRAD_OP|no reshard", text, re.IGNORECASE):
        return 2
    if re.search(r"zero[- ]?(?:stage )?3|FSDP|HSDP|FULL_SHARD", text, re.IGNORECASE):
        return 3
    return 0 if re.match(r"none|ddp|zero[- ]?0|no\b", text, re.IGNORECASE) else 1


_FORMATS = ("nvfp4", "mxfp8", "fp8", "bf16", "fp16", "tf32", "fp32")


def _precision(row: TrainingRow) -> str:
    """The format of the matrix products: the narrowest that the cell names."""
    text = row.precision.lower()
    if " or " in text:
        return "mxfp8" if row.gpu.startswith(("B", "GB")) else "fp8"
    named = (name for name in _FORMATS if name in text)
    return next(named, text)
