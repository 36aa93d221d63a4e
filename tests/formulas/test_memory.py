"""Memory formulas against Korthikanti et al. and ZeRO."""

from __future__ import annotations

import pytest

from colossus_sim.formulas import memory

HIDDEN, HEADS, SEQUENCE = 12288, 96, 2048


def layer(*, tensor_parallel: int, sequence_parallel: bool, keep_scores: bool) -> float:
    """Bytes per token and hidden element of one GPT layer with dropout."""
    attention = memory.attention_activation_bytes(
        hidden=HIDDEN,
        query_width=HIDDEN,
        key_value_width=2 * HIDDEN,
        value_width=HIDDEN,
        heads=HEADS if keep_scores else 0,
        keys=SEQUENCE,
        tensor_parallel=tensor_parallel,
        sequence_parallel=sequence_parallel,
        keep_scores=keep_scores,
        dropout=True,
    )
    mlp = memory.mlp_activation_bytes(
        hidden=HIDDEN,
        intermediate=4 * HIDDEN,
        gated=False,
        tensor_parallel=tensor_parallel,
        sequence_parallel=sequence_parallel,
        dropout=True,
    )
    return (attention + mlp) / HIDDEN


SCORES = 5 * HEADS * SEQUENCE / HIDDEN


def test_equation_1_one_gpu() -> None:
    """Without parallelism a layer keeps s b h (34 + 5 a s / h) bytes (arXiv:2205.05198, eq. 1)."""
    assert layer(tensor_parallel=1, sequence_parallel=False, keep_scores=True) == pytest.approx(34 + SCORES)


def test_equation_2_tensor_parallel() -> None:
    """Tensor parallelism leaves 10 + 24 / t + 5 a s / h t (eq. 2)."""
    kept = layer(tensor_parallel=8, sequence_parallel=False, keep_scores=True)
    assert kept == pytest.approx(10 + 24 / 8 + SCORES / 8)


def test_equation_4_sequence_parallel() -> None:
    """Sequence parallelism divides everything by t (eq. 4)."""
    kept = layer(tensor_parallel=8, sequence_parallel=True, keep_scores=True)
    assert kept == pytest.approx((34 + SCORES) / 8)


def test_equation_6_selective_recomputation() -> None:
    """Selective recomputation drops the score terms: 34 / t (eq. 6)."""
    assert layer(tensor_parallel=8, sequence_parallel=True, keep_scores=False) == pytest.approx(34 / 8)


def test_selective_recomputation_saves_70_percent_of_gpt3() -> None:
    """For GPT-3 the scores are 70 % of the activations (arXiv:2205.05198, sec. 5)."""
    share = SCORES / (34 + SCORES)
    assert share == pytest.approx(0.70, abs=0.005)


def test_full_recomputation_keeps_the_layer_input() -> None:
    """2 s b h bytes per layer, sharded with sequence parallelism."""
    kept = memory.full_recomputation_bytes(hidden=HIDDEN, tensor_parallel=8, sequence_parallel=True)
    assert kept == 2 * HIDDEN / 8


def test_flash_attention_keeps_one_number_per_head() -> None:
    """Fused attention keeps 4 bytes per head and token more than none at all."""
    common = {
        "hidden": HIDDEN,
        "query_width": HIDDEN,
        "key_value_width": 2 * HIDDEN,
        "value_width": HIDDEN,
        "keys": SEQUENCE,
        "tensor_parallel": 1,
        "sequence_parallel": False,
        "keep_scores": False,
        "dropout": False,
    }
    with_heads = memory.attention_activation_bytes(heads=HEADS, **common)
    assert with_heads - memory.attention_activation_bytes(heads=0, **common) == 4 * HEADS


@pytest.mark.parametrize(("stage", "expected"), [(0, 120e9), (1, 31.4e9), (2, 16.6e9), (3, 1.88e9)])
def test_zero_stages_match_figure_1(stage: int, expected: float) -> None:
    """A 7.5B model on 64 GPUs needs 120, 31.4, 16.6 and 1.9 GB (arXiv:1910.02054, fig. 1)."""
    parts = memory.model_state_bytes(
        weight_bytes=2, gradient_bytes=2, optimizer_bytes=12, zero_stage=stage, shards=64
    )
    assert 7.5e9 * sum(parts) == pytest.approx(expected, rel=5e-3)


def test_expert_keeps_input_inner_and_output() -> None:
    """A gated expert keeps 2 h + 6 I + 2 h bytes per routed token."""
    kept = memory.expert_activation_bytes(hidden=7168, intermediate=2048, gated=True)
    assert kept == 4 * 7168 + 6 * 2048


def test_logits_dominate_a_large_vocabulary() -> None:
    """fp32 logits of Llama 3 on eight ranks: 4 v / t bytes per token."""
    assert memory.logits_bytes(vocab=128256, tensor_parallel=8) == 64128
