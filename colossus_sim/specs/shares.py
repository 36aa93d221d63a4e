"""Whether the degrees of a plan share what an architecture and a job have: heads, experts, tokens, layers, GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from colossus_sim.errors import Problem
from colossus_sim.specs.architecture import Architecture, MixtureOfExperts
from colossus_sim.specs.parallel import ParallelPlan

MAX_IDLE_SHARE = 0.01
"""Share of a job's GPUs that an automatic data-parallel degree may leave unused."""


ENDS = 2
"""Embedding and loss, each of which may take the place of a layer in a pipeline (Llama 3.1 405B: 126 layers in
16 x 8 chunks, arXiv:2407.21783 sec. 3.3.2; Megatron Core's ``account_for_embedding_in_pipeline_split``)."""


def shares(path: str, plan: ParallelPlan, model: Architecture) -> Iterator[Problem]:
    """The degrees of the plan at `path` share heads, experts, widths, tokens and layers of a model evenly."""
    yield from _attention_shares(path, plan, model)
    yield from _expert_shares(path, plan, model.moe)
    if model.intermediate_size % plan.tensor_parallel and model.num_dense_layers:
        yield Problem(
            path=f"{path}.tensor_parallel",
            message=f"{plan.tensor_parallel} does not divide intermediate_size {model.intermediate_size}",
        )
    yield from _token_shares(path, plan)
    chunks = plan.pipeline_parallel * plan.virtual_pipeline
    if chunks > model.num_hidden_layers + ENDS:
        yield Problem(
            path=f"{path}.pipeline_parallel",
            message=f"pp {plan.pipeline_parallel} x vpp {plan.virtual_pipeline} = {chunks} chunks, but the "
            f"model has only {model.num_hidden_layers} layers, and {ENDS} ends",
        )


def _token_shares(path: str, plan: ParallelPlan) -> Iterator[Problem]:
    """Sequence parallelism deals the tokens of a sequence to the tensor-parallel ranks; Megatron-LM refuses lengths
    that do not divide (megatron/core/tensor_parallel/mappings.py, `_split_along_first_dim`)."""
    tp, cp, length = plan.tensor_parallel, plan.context_parallel, plan.sequence_length
    if length % cp:
        yield Problem(
            path=f"{path}.context_parallel", message=f"{cp} does not divide sequence_length {length}"
        )
    elif plan.sequence_parallel and length % (tp * cp):
        below = length // (tp * cp) * tp * cp
        near = " or ".join(str(count) for count in (below, below + tp * cp) if count)
        yield Problem(
            path=f"{path}.tensor_parallel",
            message=f"tp {tp} x cp {cp} = {tp * cp} does not divide sequence_length {length}, of which sequence "
            "parallelism gives each rank a whole number of tokens",
            hint=f"sequence_length {near}, or sequence_parallel: false",
        )


def _attention_shares(path: str, plan: ParallelPlan, model: Architecture) -> Iterator[Problem]:
    tp = plan.tensor_parallel
    heads, kv = model.num_attention_heads, model.kv_heads
    if heads % tp:
        yield Problem(
            path=f"{path}.tensor_parallel",
            message=f"{tp} does not divide the model's {heads} attention heads",
            hint=f"use one of {', '.join(str(n) for n in _divisors(heads))}",
        )
    elif model.mla is None and kv % tp and tp % kv:
        yield Problem(
            path=f"{path}.tensor_parallel",
            message=f"{tp} neither divides the model's {kv} key/value heads nor is a multiple of them",
        )


def _expert_shares(path: str, plan: ParallelPlan, moe: MixtureOfExperts | None) -> Iterator[Problem]:
    if moe is None:
        return
    if moe.num_experts % plan.expert_parallel:
        yield Problem(
            path=f"{path}.expert_parallel",
            message=f"{plan.expert_parallel} does not divide the model's {moe.num_experts} experts",
            hint=f"use one of {', '.join(str(n) for n in _divisors(moe.num_experts))}",
        )
    if moe.moe_intermediate_size % plan.expert_tensor_parallel:
        yield Problem(
            path=f"{path}.expert_tensor_parallel",
            message=f"{plan.expert_tensor_parallel} does not divide moe_intermediate_size "
            f"{moe.moe_intermediate_size}",
        )


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0][:24]
