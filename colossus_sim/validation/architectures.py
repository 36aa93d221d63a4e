"""What a row trains: the architecture that its cells and its model's name stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from colossus_sim.specs.architecture import Architecture, LatentAttention, MixtureOfExperts
from colossus_sim.specs.base import Provenance
from colossus_sim.validation import words
from colossus_sim.validation.rows import TrainingRow
from colossus_sim.validation.tables import Tables

_CHECKED = "2026-11"

COLUMNS: Mapping[str, str] = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "ffn_hidden",
    "vocab_size": "vocab",
    "num_experts": "moe_experts",
    "num_experts_per_tok": "moe_topk",
    "moe_intermediate_size": "moe_ffn_hidden",
    "shared_expert_intermediate_size": "moe_shared_ffn",
    "first_k_dense": "moe_dense_layers",
    "n_group": "moe_experts",
}
"""The column that each field of an architecture is read from."""


def not_an_architecture(row: TrainingRow, tables: Tables) -> str:
    """Return why the cells of a row do not describe an architecture that is modelled; empty if they do."""
    details = tables.model(row.model)
    if words.unknown_attention(row.attn):
        return f"attn {row.attn!r} is not modelled"
    if words.latent(row.attn) and not details["kv_lora_rank"]:
        return f"attn {row.attn!r}: models.csv has no latent widths for model {row.model!r}"
    if words.windowed(row.attn) and details["sliding_window"] == "0":
        return f"attn {row.attn!r}: models.csv has no window for model {row.model!r}"
    experts = row.moe_experts or 0
    if row.model_kind == "moe" and experts < 2:
        return f"moe_experts: a mixture of experts of {row.moe_experts or 'no stated'} experts"
    if row.model_kind == "dense" and experts > 1:
        return f"model_kind: dense, but moe_experts is {experts}"
    if experts < 2 and (row.ep or 1) > 1:
        return f"ep: {row.ep} without any experts"
    return ""


def needed(row: TrainingRow) -> tuple[str, ...]:
    """Return the columns that the architecture of a row cannot do without."""
    names = ["layers", "hidden", "heads", "vocab"]
    if words.grouped(row.attn):
        names.append("kv_heads")
    if (row.moe_experts or 0) < 2:
        return (*names, "ffn_hidden")
    if row.moe_ffn_hidden is None and row.ffn_hidden is None:
        names.append("moe_ffn_hidden")
    return (*names, "moe_topk", "ep")


def architecture_of(row: TrainingRow, tables: Tables) -> tuple[Architecture, tuple[str, ...]]:
    """Return the architecture of a row, and in words what was assumed.

    Raises
    ------
    ValidationError
        If a cell is outside what the field allows.
    """
    details = tables.model(row.model)
    moe, assumed = _experts(row, details)
    latent, window = _is_latent(row, details), _is_windowed(row, details)
    tied = re.search(r"tied embeddings (True|False)", row.notes)
    values = {
        "name": row.model,
        "hidden_size": row.hidden,
        "num_hidden_layers": row.layers,
        "num_attention_heads": row.heads,
        "num_key_value_heads": row.kv_heads or (1 if words.of_one_key(row.attn) else 0),
        "head_dim": row.head_dim or 0,
        "intermediate_size": row.ffn_hidden or 0,
        "mlp_gated": row.mlp_gated != "N",
        "vocab_size": row.vocab,
        "tie_word_embeddings": tied[1] == "True" if tied else details["tie_word_embeddings"] == "1",
        "mla": _latent(details) if latent else None,
        "moe": moe,
        "provenance": Provenance(
            kind="measurement", reference=row.source or row.id or "a row", checked=_CHECKED
        ),
    }
    if window:
        values["sliding_window"] = int(details["sliding_window"])
        values["sliding_window_fraction"] = float(details["sliding_window_fraction"])
    if _trains_next_tokens(row):
        values["num_nextn_predict_layers"] = int(details["mtp_layers"])
    assumed += _defaults(row, details, tied=tied is not None)
    if not row.attn and (latent or window):
        kind = "latent attention" if latent else "a sliding window"
        assumed += (f"attn not stated: {kind} of {row.model} assumed",)
    return Architecture.model_validate(values), assumed


def _defaults(row: TrainingRow, details: Mapping[str, str], *, tied: bool) -> tuple[str, ...]:
    """Return the words for cells that are empty and stand for a default, or say more than is modelled."""
    latent = _is_latent(row, details)
    said = [more] if (more := words.beyond_attention(row.attn)) else []
    if (
        row.kv_heads is None
        and not latent
        and not (row.attn.upper().startswith("MHA") or words.of_one_key(row.attn))
    ):
        said.append("kv_heads = heads assumed")
    if row.head_dim is None and not latent:
        said.append("head_dim = hidden / heads assumed")
    if not row.mlp_gated:
        said.append("mlp_gated = Y assumed")
    if not tied and not details["model_pattern"]:
        said.append(details["reference"])
    return tuple(said)


def _is_latent(row: TrainingRow, details: Mapping[str, str]) -> bool:
    """Whether attention is latent: as stated, else as the model's is known to be."""
    return words.latent(row.attn) or (not row.attn and details["kv_lora_rank"] != "")


def _is_windowed(row: TrainingRow, details: Mapping[str, str]) -> bool:
    """Whether attention has a window: as stated, else as the model's is known to have."""
    return details["sliding_window"] != "0" and (words.windowed(row.attn) or not row.attn)


def _trains_next_tokens(row: TrainingRow) -> bool:
    return "MTP on" in row.notes and "(w/o MTP)" not in row.notes


def _latent(details: Mapping[str, str]) -> LatentAttention:
    names = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    return LatentAttention.model_validate({name: int(details[name]) for name in names})


def _experts(row: TrainingRow, details: Mapping[str, str]) -> tuple[MixtureOfExperts | None, tuple[str, ...]]:
    experts = row.moe_experts or 0
    if experts < 2:
        return None, ()
    said = []
    if row.moe_ffn_hidden is None:
        said.append("moe_ffn_hidden = ffn_hidden assumed")
    frequency = int(details["moe_layer_frequency"])
    if frequency > 1:
        said.append(f"experts in one of {frequency} layers: {details['reference']}")
    elif words.experts_in_every_second_layer(row.notes):
        frequency = 2
        said.append("experts in every second layer by the words of the source")
    groups = int(details["n_group"])
    if experts % groups:
        said.append(f"one group of experts assumed: {groups} do not divide {experts}")
        groups = 1
    values = {
        "num_experts": experts,
        "num_experts_per_tok": row.moe_topk,
        "moe_intermediate_size": row.moe_ffn_hidden or row.ffn_hidden or 0,
        "shared_expert_intermediate_size": row.moe_shared_ffn or 0,
        "first_k_dense": row.moe_dense_layers or 0,
        "moe_layer_frequency": frequency,
        "capacity_padded": _dropped(row),
        "clamped_bias": details["clamped_bias"] == "1",
        "n_group": groups,
        "topk_group": int(details["topk_group"]) if groups > 1 else 1,
    }
    if _balanced(row):
        values["imbalance"] = 1
    return MixtureOfExperts.model_validate(values), tuple(said)


def _balanced(row: TrainingRow) -> bool:
    """Whether routing is forced to balance, or tokens above capacity factor 1 are dropped."""
    texts = ("force-balanced", "forced balance", "forced-balanced")
    return any(text in row.notes for text in texts) or _dropped(row)


def _dropped(row: TrainingRow) -> bool:
    """Whether each expert takes a fixed number of tokens."""
    texts = ("tokendrop", "token-drop", "token drop", "capacity factor 1")
    return any(text in row.notes for text in texts)
