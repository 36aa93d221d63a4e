"""Rules about architectures."""

from __future__ import annotations

from collections.abc import Iterator

from colossus_sim.errors import Problem
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.specs.architecture import Architecture
from colossus_sim.specs.scenario import Scenario

TOTAL_TOLERANCE = 0.03
ACTIVE_TOLERANCE = 0.05


def consistent_shape(scenario: Scenario) -> Iterator[Problem]:
    """The sizes of an architecture fit together."""
    for name, job in scenario.jobs.items():
        path = f"jobs.{name}.model"
        yield from shape(path, job.model)
        yield from _samples(path, job.model)
        if job.model.sliding_window_fraction > 0 and job.model.sliding_window == 0:
            yield Problem(
                path=f"{path}.sliding_window_fraction",
                message="some layers use a sliding window, but sliding_window is 0",
            )
        if job.model.sliding_window > 0 and "sliding_window_fraction" not in job.model.model_fields_set:
            yield Problem(
                path=f"{path}.sliding_window",
                message=f"no layer uses the window of {job.model.sliding_window} tokens: "
                "sliding_window_fraction is not given",
                hint="sliding_window_fraction: 1 for all layers, 0.5 for every second one",
            )


def shape(path: str, model: Architecture) -> Iterator[Problem]:
    """Heads, layers and experts of the architecture at `path` fit together."""
    yield from _heads(path, model)
    yield from _layers(path, model)


def _samples(path: str, model: Architecture) -> Iterator[Problem]:
    """Diffusion transformers, and only they, attend to samples, and to a text if there is one."""
    diffusion, video = model.kind == "diffusion_transformer", model.video
    if video is None:
        if diffusion:
            yield Problem(
                path=path,
                message="a diffusion transformer needs 'video'",
                hint="video: {tokens_per_sample: ...}",
            )
        return
    if not diffusion:
        yield Problem(
            path=f"{path}.video",
            message=f"a model of kind {model.kind} attends to its whole sequence, not to samples",
            hint="kind: diffusion_transformer, or leave video out",
        )
    if video.cross_attention and video.text_tokens == 0:
        yield Problem(
            path=f"{path}.video.text_tokens",
            message="cross-attention needs a text to attend to",
            hint="cross_attention: false for a model without, or the number of its tokens",
        )


def _heads(path: str, model: Architecture) -> Iterator[Problem]:
    if model.mla is None and model.head_dim == 0 and model.hidden_size % model.num_attention_heads:
        yield Problem(
            path=f"{path}.num_attention_heads",
            message=f"hidden_size {model.hidden_size} is not divisible by {model.num_attention_heads} heads",
            hint="give head_dim",
        )
    if model.mla is None and model.num_attention_heads % model.kv_heads:
        yield Problem(
            path=f"{path}.num_key_value_heads",
            message=f"{model.num_attention_heads} query heads cannot share {model.kv_heads} key/value heads",
            hint="num_attention_heads must be a multiple of num_key_value_heads",
        )


def _layers(path: str, model: Architecture) -> Iterator[Problem]:
    if model.moe is not None:
        if model.moe.num_experts_per_tok > model.moe.num_experts:
            yield Problem(
                path=f"{path}.moe.num_experts_per_tok",
                message=f"{model.moe.num_experts_per_tok} is more than the {model.moe.num_experts} experts",
            )
        if model.moe.num_experts % model.moe.n_group or model.moe.topk_group > model.moe.n_group:
            yield Problem(
                path=f"{path}.moe.n_group",
                message=f"{model.moe.topk_group} of {model.moe.n_group} groups of {model.moe.num_experts} experts",
                hint="n_group must divide num_experts, and topk_group be at most n_group",
            )
        if model.num_moe_layers <= 0:
            none = model.moe.first_k_dense >= model.num_hidden_layers
            yield Problem(
                path=f"{path}.moe.{'first_k_dense' if none else 'moe_layer_frequency'}",
                message=f"leaves no layer of {model.num_hidden_layers} for the experts",
            )
            return
    if model.intermediate_size == 0 and model.num_dense_layers > 0:
        yield Problem(
            path=f"{path}.intermediate_size",
            message=f"needed by the {model.num_dense_layers} dense layers",
            hint="the hidden width of the feed-forward block",
        )


def declared_parameters(scenario: Scenario) -> Iterator[Problem]:
    """Counted parameters agree with the published number."""
    for name, job in scenario.jobs.items():
        model = job.model
        if model.declared_params is None and model.declared_active_params is None:
            continue
        if any(True for _ in shape("", model)):
            continue
        count = count_parameters(model)
        for field, counted, tolerance in (
            ("declared_params", count.total, TOTAL_TOLERANCE),
            ("declared_active_params", count.active, ACTIVE_TOLERANCE),
        ):
            declared = getattr(model, field)
            if declared and abs(counted / declared - 1.0) > tolerance:
                yield Problem(
                    path=f"jobs.{name}.model.{field}",
                    message=f"{declared:.4g} is declared, but the fields give {counted:.4g} parameters "
                    f"({counted / declared - 1.0:+.1%}, allowed is {tolerance:.0%})",
                    hint="correct the sizes, or leave the declaration out",
                )
