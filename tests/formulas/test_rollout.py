"""Rollout times against closed forms and hand-worked examples."""

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


def test_prefill_costs_two_flops_per_parameter_and_token_and_attention() -> None:
    """1,000 tokens of a 1e9 model at 1e12 FLOP/s take two seconds; attention of one GPU is shared by both."""
    time = rollout.prefill_time(
        active_params=1e9,
        attention_time=1e-3,
        tokens=1000.0,
        gpus=2.0,
        peak_flops=1e12,
        flops_fraction=0.5,
    )

    assert time == pytest.approx(2.0 + 0.5)


def test_a_far_limit_leaves_the_moments_as_they_are() -> None:
    """With a limit far out nothing is cut."""
    law = {"mean_tokens": 8000.0, "sigma": 1.0, "maximum": 1e9}

    assert rollout.response_moment(**law) == pytest.approx(8000.0, rel=1e-9)
    assert rollout.response_moment(**law, power=2.0) == pytest.approx(8000.0**2 * math.e, rel=1e-6)


def test_moments_of_cut_responses_agree_with_sampling() -> None:
    """Both closed forms are met by a million samples, within four standard errors."""
    rng = np.random.default_rng(11)
    lengths = np.minimum(rng.lognormal(math.log(8000.0) - 0.5, 1.0, size=1_000_000), 32768.0)

    for power in (1.0, 2.0):
        drawn = lengths**power
        moment = rollout.response_moment(mean_tokens=8000.0, sigma=1.0, maximum=32768.0, power=power)
        assert abs(drawn.mean() - moment) < 4.0 * drawn.std() / math.sqrt(drawn.size)


def test_equal_responses_are_half_done_on_average() -> None:
    """Without spread the running response has had half of its tokens."""
    running = rollout.running_response_tokens(mean_tokens=8000.0, sigma=1e-4, maximum=32768.0)

    assert running == pytest.approx(4000.0, rel=1e-6)


def test_running_responses_are_the_long_ones() -> None:
    """Seen at random moments, a slot has had more tokens than half of a drawn response (inspection paradox)."""
    law = {"mean_tokens": 8000.0, "sigma": 1.0, "maximum": 32768.0}
    rng = np.random.default_rng(5)
    lengths = np.minimum(rng.lognormal(math.log(8000.0) - 0.5, 1.0, size=200_000), 32768.0)
    ends = np.cumsum(lengths)
    moments = rng.uniform(0.0, ends[-1], size=200_000)
    found = np.searchsorted(ends, moments)
    ages = moments - (ends[found] - lengths[found])

    assert ages.mean() == pytest.approx(rollout.running_response_tokens(**law), rel=0.02)
    assert rollout.running_response_tokens(**law) > 1.5 * 0.5 * rollout.response_moment(**law)


def test_running_responses_up_to_a_limit_agree_with_sampling() -> None:
    """Ages at random moments, each counted up to the limit."""
    law = {"mean_tokens": 8000.0, "sigma": 1.0, "maximum": 32768.0}
    rng = np.random.default_rng(6)
    lengths = np.minimum(rng.lognormal(math.log(8000.0) - 0.5, 1.0, size=400_000), 32768.0)
    ages = rng.uniform(size=200_000) * rng.choice(lengths, size=200_000, p=lengths / lengths.sum())
    for limit in (500.0, 4096.0, 20_000.0, 1e6):
        expected = np.minimum(ages, limit).mean()
        assert rollout.running_response_tokens(**law, limit=limit) == pytest.approx(expected, rel=0.01)


def test_tokens_attend_to_their_own_response() -> None:
    """Keys of all tokens of sampled responses, and of equal ones that long; longer than the mean one."""
    law = {"mean_tokens": 8000.0, "sigma": 1.0, "maximum": 32768.0}
    rng = np.random.default_rng(8)
    lengths = 1024.0 + np.minimum(rng.lognormal(math.log(8000.0) - 0.5, 1.0, size=1_000_000), 32768.0)
    keys = (0.5 * lengths**2).sum() / lengths.sum()

    assert 0.5 * rollout.attending_tokens(prompt_tokens=1024.0, **law) == pytest.approx(keys, rel=0.01)
    equal = rollout.attending_tokens(prompt_tokens=24.0, mean_tokens=1000.0, sigma=1e-4, maximum=2000.0)
    assert equal == pytest.approx(1024.0, rel=1e-6)


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


def test_slots_fill_what_the_weights_leave() -> None:
    """Whole caches only; none where the weights alone are too large."""
    assert rollout.slots_in_memory(memory=100.0, weight_bytes=40.0, cache_bytes=7.0) == 8
    assert rollout.slots_in_memory(memory=100.0, weight_bytes=95.0, cache_bytes=7.0) == 0
    assert rollout.slots_in_memory(memory=100.0, weight_bytes=140.0, cache_bytes=7.0) == 0


def test_synchronous_stages_add_up_and_asynchronous_pools_overlap() -> None:
    """The asynchronous update takes as long as its slower pool."""
    stages = {"generation": 100.0, "reward": 20.0, "training": 30.0, "weight_sync": 2.0}

    assert rollout.synchronous_update_time(**stages) == 152.0
    assert rollout.asynchronous_update_time(**stages) == 100.0
    assert rollout.asynchronous_update_time(**{**stages, "training": 90.0}) == 112.0


def test_share_of_generation_in_a_typical_synchronous_update() -> None:
    """About 70 % as RollPacker reports (arXiv:2509.21009)."""
    assert rollout.rollout_share(generation=100.0, update=143.0) == pytest.approx(0.7, abs=0.01)
