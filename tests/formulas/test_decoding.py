"""Token steps of a copy that generates, against closed forms, hand-worked examples and sampling."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from colossus_sim.formulas import rollout
from colossus_sim.formulas.decoding import cache_bytes, decode_step_time, parameters_read
from colossus_sim.formulas.transformer import count_parameters
from tests.formulas.test_transformer import DEEPSEEK, LLAMA_70B


def _decode(**changes: float) -> float:
    # A 10T model in fp4 on one rack of 72 GPUs with 8 TB/s each.
    values = {
        "weight_bytes": 5e12,
        "kv_bytes_per_sequence": 0.0,
        "sequences": 1.0,
        "active_params": 1e12,
        "gpus": 72.0,
        "memory_bandwidth": 8e12,
        "bandwidth_fraction": 0.6,
        "peak_flops": 15e15,
        "flops_fraction": 0.5,
    }
    return decode_step_time(**{**values, **changes})


def test_decoding_of_few_sequences_is_bound_by_reading_the_weights() -> None:
    """5 TB over 72 x 8 TB/s at 60 % take 14.5 ms, some 69 tokens per second."""
    assert _decode() == pytest.approx(14.5e-3, rel=5e-3)
    assert 1.0 / _decode() == pytest.approx(69.0, rel=5e-3)


def test_decoding_of_many_sequences_is_bound_by_compute() -> None:
    """Two FLOP per active parameter and sequence, once they take longer than the reads."""
    sequences = 1e6

    assert _decode(sequences=sequences) == pytest.approx(2e12 * sequences / (72 * 15e15 * 0.5))


def test_key_value_cache_and_collectives_add_to_the_step() -> None:
    """The cache of every sequence is read with the weights; collectives come on top."""
    with_cache = _decode(kv_bytes_per_sequence=5e9, sequences=1000.0)

    assert with_cache == pytest.approx(2.0 * _decode())
    assert _decode(collective_time=1e-3) == pytest.approx(_decode() + 1e-3)


def test_cache_by_kind_of_attention() -> None:
    """Llama 3 70B: 80 layers x 2 x 8 heads x 128 x 2 B; latent attention keeps 512 + 64 numbers per layer."""
    assert cache_bytes(LLAMA_70B, 1000.0) == 1000 * 80 * 2 * 8 * 128 * 2
    assert cache_bytes(DEEPSEEK, 1000.0) == 1000 * 61 * (512 + 64) * 2


def test_layers_with_a_window_keep_no_more_than_it() -> None:
    """Half of the layers with a window of 1,000 tokens: the whole context in the others only."""
    model = dataclasses.replace(LLAMA_70B, sliding_window=1000, sliding_window_fraction=0.5)
    token = cache_bytes(LLAMA_70B, 1.0)

    kept = cache_bytes(model, np.array([10.0, 1000.0, 5000.0])) / token

    assert kept.tolist() == pytest.approx([10.0, 1000.0, 3000.0])


@pytest.mark.parametrize("window", [0, 100, 3000, 50_000])
def test_running_caches_agree_with_sampling(window: int) -> None:
    """A window within the prompt, one that responses outgrow, one that none reaches, and none."""
    law = {"mean_tokens": 2000.0, "sigma": 1.0, "maximum": 8000.0}
    model = dataclasses.replace(LLAMA_70B, sliding_window=window, sliding_window_fraction=0.75)
    rng = np.random.default_rng(9)
    lengths = np.minimum(rng.lognormal(math.log(2000.0) - 0.5, 1.0, size=400_000), 8000.0)
    ages = rng.uniform(size=200_000) * rng.choice(lengths, size=200_000, p=lengths / lengths.sum())

    kept = cache_bytes(model, 512.0 + ages).mean()

    assert rollout.running_cache_bytes(model, prompt_tokens=512.0, **law) == pytest.approx(kept, rel=0.01)


def test_experts_that_sequences_choose_agree_with_drawing_them() -> None:
    """Each draws 8 of 256 experts; a dense model is read whole, one sequence reads the active parameters."""
    count = count_parameters(DEEPSEEK)
    rng = np.random.default_rng(10)
    for sequences in (1, 7, 64, 500):
        chosen = rng.random((200, sequences, 256)).argpartition(8, axis=2)[:, :, :8].reshape(200, -1)
        distinct = np.mean([np.unique(row).size for row in chosen])
        experts = count.moe_layers * 256 * count.expert
        expected = count.total - experts + count.moe_layers * count.expert * distinct
        assert parameters_read(count, float(sequences)) == pytest.approx(expected, rel=2e-3)
    assert parameters_read(count, 1.0) == pytest.approx(count.active, rel=1e-12)
    dense = count_parameters(LLAMA_70B)
    assert parameters_read(dense, 3.0) == dense.total
