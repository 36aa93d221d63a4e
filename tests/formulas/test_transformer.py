"""Parameter and FLOP counts against published figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from colossus_sim.formulas import transformer


@dataclass(frozen=True)
class Shape:
    """A bare record with the attributes that can be counted."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    kv_heads: int = 0
    head_size: int = 0
    mlp_gated: bool = True
    tie_word_embeddings: bool = False
    kind: str = "transformer"
    sliding_window: int = 0
    sliding_window_fraction: float = 0.0
    mla: Any = None
    moe: Any = None
    video: Any = None
    num_nextn_predict_layers: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kv_heads", self.kv_heads or self.num_attention_heads)
        object.__setattr__(self, "head_size", self.head_size or self.hidden_size // self.num_attention_heads)


@dataclass(frozen=True)
class Experts:
    """Routed experts."""

    num_experts: int
    num_experts_per_tok: int
    moe_intermediate_size: int
    shared_expert_intermediate_size: int = 0
    first_k_dense: int = 0
    moe_layer_frequency: int = 1


@dataclass(frozen=True)
class Latent:
    """Latent attention of DeepSeek-V3."""

    q_lora_rank: int = 1536
    kv_lora_rank: int = 512
    qk_nope_head_dim: int = 128
    qk_rope_head_dim: int = 64
    v_head_dim: int = 128


@dataclass(frozen=True)
class Video:
    """Conditioning of Wan 2.1."""

    text_tokens: int = 512
    cross_attention: bool = field(default=True)


GPT3 = Shape(12288, 96, 96, 49152, 51200, mlp_gated=False, tie_word_embeddings=True)
LLAMA_8B = Shape(4096, 32, 32, 14336, 128256, kv_heads=8)
LLAMA_70B = Shape(8192, 80, 64, 28672, 128256, kv_heads=8)
LLAMA_405B = Shape(16384, 126, 128, 53248, 128256, kv_heads=8)
MIXTRAL = Shape(4096, 32, 32, 14336, 32000, kv_heads=8, moe=Experts(8, 2, 14336))
DEEPSEEK = Shape(7168, 61, 128, 18432, 129280, mla=Latent(), moe=Experts(256, 8, 2048, 2048, first_k_dense=3))
WAN = Shape(5120, 40, 40, 13824, 0, mlp_gated=False, kind="diffusion_transformer", video=Video())


@pytest.mark.parametrize(
    ("model", "published", "tolerance"),
    [
        (GPT3, 174.6e9, 1e-3),
        (LLAMA_8B, 8.03e9, 1e-3),
        (LLAMA_70B, 70.55e9, 1e-3),
        (LLAMA_405B, 405.85e9, 1e-4),
        (MIXTRAL, 46.7e9, 1e-3),
        (DEEPSEEK, 671e9, 1e-3),
        (WAN, 14e9, 0.02),
    ],
)
def test_total_parameters_match_published_counts(model: Shape, published: float, tolerance: float) -> None:
    """The total is the published one: Llama 3 (arXiv:2407.21783), Mixtral, DeepSeek-V3, GPT-3, Wan 2.1."""
    assert transformer.count_parameters(model).total == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize(("model", "published"), [(MIXTRAL, 12.9e9), (DEEPSEEK, 37.5e9)])
def test_active_parameters_match_published_counts(model: Shape, published: float) -> None:
    """The parameters that a token meets are the published ones, embeddings included."""
    assert transformer.count_parameters(model).active == pytest.approx(published, rel=5e-3)


def test_llama_8b_is_exact() -> None:
    """Llama 3 8B has exactly the 8,030,261,248 weights of its model card."""
    assert transformer.count_parameters(LLAMA_8B).total == 8_030_261_248


@pytest.mark.parametrize("sequence", [2048, 8192])
def test_model_flops_equal_korthikanti_equation_7(sequence: int) -> None:
    """Three forwards of a GPT with full attention equal equation 7 of arXiv:2205.05198."""
    counted = transformer.token_flops(GPT3, sequence, causal=False).training * sequence
    paper = transformer.korthikanti_step_flops(
        batch=1, sequence=sequence, layers=96, hidden=12288, vocab=51200
    )
    assert counted == pytest.approx(paper, rel=1e-12)


def test_hardware_flops_equal_sc21_equation_3() -> None:
    """Four passes over the layers and three over the logits equal equation 3 of arXiv:2104.04473."""
    flops = transformer.token_flops(GPT3, 2048, causal=False)
    counted = 2048 * (4 * (flops.forward - flops.logits) + 3 * flops.logits)
    paper = transformer.sc21_step_flops(batch=1, sequence=2048, layers=96, hidden=12288, vocab=51200)
    assert counted == pytest.approx(paper, rel=1e-12)


def test_six_flops_per_parameter_without_attention() -> None:
    """At one token of context training costs 6 N (PaLM, arXiv:2204.02311, app. B), N without the embedding."""
    model = Shape(8192, 80, 64, 28672, 128256)
    count = transformer.count_parameters(model)
    flops = transformer.token_flops(model, 1, causal=False)
    matrices = count.total - count.embedding
    assert flops.training - 3 * flops.attention_core == pytest.approx(6 * matrices, rel=1e-4)


def test_causal_mask_halves_attention() -> None:
    """A causal query attends to (s + 1) / 2 keys on average, by summing them."""
    keys = [min(i + 1, 100) for i in range(1000)]
    assert transformer.attended_keys(1000, causal=True) == pytest.approx(500.5)
    assert transformer.attended_keys(1000, causal=True, window=100) == pytest.approx(sum(keys) / 1000)
    assert transformer.attended_keys(1000, causal=False) == 1000


def test_sliding_window_mixes_layers() -> None:
    """With half the layers windowed the keys are the mean of both kinds."""
    model = Shape(4096, 32, 32, 14336, 0, sliding_window=128, sliding_window_fraction=0.5)
    full = transformer.attended_keys(4096, causal=True)
    windowed = transformer.attended_keys(4096, causal=True, window=128)
    assert transformer.mean_attended_keys(model, 4096) == pytest.approx(0.5 * (full + windowed))


def test_moe_flops_count_only_chosen_experts() -> None:
    """Expert FLOPs are those of top-k experts and of the shared one, on routed layers only."""
    flops = transformer.token_flops(DEEPSEEK, 4096)
    assert flops.experts == 2 * 58 * (8 + 1) * 3 * 7168 * 2048
    assert flops.mlp == 2 * 3 * 3 * 7168 * 18432
    assert flops.router == 2 * 58 * 7168 * 256


def test_diffusion_transformer_follows_6n_plus_12_lds() -> None:
    """Training FLOPs of a video transformer are within 5 % of s (6 N + 12 L d s): text keys cost less."""
    tokens = 75_600
    count = transformer.count_parameters(WAN)
    expected = 6 * count.total + 12 * 40 * 5120 * tokens
    assert transformer.token_flops(WAN, tokens).training == pytest.approx(expected, rel=0.05)


def test_every_nth_layer_is_routed() -> None:
    """Layers after the first dense ones are routed at the stated frequency."""
    assert [transformer.moe_layers_before(n, 3, 2) for n in (0, 3, 4, 5, 61)] == [0, 0, 0, 1, 29]


def test_predicted_tokens_cost_a_layer_a_projection_and_the_logits() -> None:
    """DeepSeek-V3 with its module: 14B more to train (685B in its repository), not part of the 671B."""
    with_module = replace(DEEPSEEK, num_nextn_predict_layers=1)
    plain, more = transformer.count_parameters(DEEPSEEK), transformer.count_parameters(with_module)
    assert more.total == plain.total == plain.trained
    # 11.6B; the 14B of the repository repeat embedding and output, which the module shares while training.
    assert more.trained - plain.total + 2 * plain.embedding == pytest.approx(14e9, rel=0.05)
    flops, longer = (transformer.token_flops(model, 4096) for model in (DEEPSEEK, with_module))
    assert longer.logits == 2 * flops.logits
    assert longer.mlp == flops.mlp
    assert longer.experts == pytest.approx(flops.experts * 59 / 58)
    assert longer.attention_core == pytest.approx(flops.attention_core * 62 / 61)
    assert longer.projections == pytest.approx(flops.projections * 62 / 61 + 2 * 2 * 7168**2)
