"""Rollout times against closed forms and hand-worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from colossus_sim.formulas import rollout


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
    return rollout.decode_step_time(**{**values, **changes})


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


def test_prefill_costs_two_flops_per_parameter_and_token() -> None:
    """1,000 tokens of a 1e9 model at 1e12 FLOP/s take two seconds."""
    time = rollout.prefill_time(
        active_params=1e9, tokens=1000.0, gpus=2.0, peak_flops=1e12, flops_fraction=0.5
    )

    assert time == pytest.approx(2.0)


def test_a_far_limit_leaves_the_mean_as_it_is() -> None:
    """With a limit far out nothing is cut."""
    mean = rollout.mean_response_tokens(mean_tokens=8000.0, sigma=1.0, maximum=1e9)

    assert mean == pytest.approx(8000.0, rel=1e-9)


def test_mean_and_longest_agree_with_sampling() -> None:
    """Both closed forms are met by 200,000 samples of 64 responses, within four standard errors."""
    rng = np.random.default_rng(11)
    lengths = np.minimum(rng.lognormal(math.log(8000.0) - 0.5, 1.0, size=(20_000, 64)), 32768.0)
    longest = lengths.max(axis=1)

    mean = rollout.mean_response_tokens(mean_tokens=8000.0, sigma=1.0, maximum=32768.0)
    top = rollout.longest_response_tokens(mean_tokens=8000.0, sigma=1.0, maximum=32768.0, responses=64.0)

    assert abs(lengths.mean() - mean) < 4.0 * lengths.std() / math.sqrt(lengths.size)
    assert abs(longest.mean() - top) < 4.0 * longest.std() / math.sqrt(longest.size)


def test_the_longest_of_one_response_is_the_mean() -> None:
    """One response has no tail to wait for."""
    law = {"mean_tokens": 8000.0, "sigma": 0.8, "maximum": 20_000.0}

    assert rollout.longest_response_tokens(responses=1.0, **law) == pytest.approx(
        rollout.mean_response_tokens(**law), rel=1e-8
    )


def test_the_longest_of_very_many_responses_is_the_limit() -> None:
    """A large batch always holds a response that is cut."""
    longest = rollout.longest_response_tokens(mean_tokens=8000.0, sigma=1.0, maximum=32768.0, responses=1e6)

    assert longest == pytest.approx(32768.0, rel=1e-6)


def test_the_longest_grows_with_the_batch() -> None:
    """More responses, longer tail."""
    tails = [
        rollout.longest_response_tokens(mean_tokens=1e3, sigma=0.5, maximum=1e5, responses=n)
        for n in (1.0, 8.0, 64.0, 512.0)
    ]

    assert tails == sorted(tails)
    assert tails[-1] > 2.0 * tails[0]


def test_generation_in_one_round_waits_for_the_longest_response() -> None:
    """With a slot for every response the longest one decides."""
    steps = rollout.generation_steps(
        mean_response=8000.0, longest_response=32768.0, responses=64.0, slots=64.0
    )

    assert steps == 32768.0


def test_generation_in_many_rounds_stays_between_its_bounds() -> None:
    """Above the mean work per slot, below Graham's bound for list scheduling."""
    steps = rollout.generation_steps(mean_response=10.0, longest_response=40.0, responses=1000.0, slots=10.0)

    assert 1000.0 * 10.0 / 10.0 < steps < 1000.0 * 10.0 / 10.0 + 0.9 * 40.0


def test_synchronous_stages_add_up_and_asynchronous_pools_overlap() -> None:
    """The asynchronous update takes as long as its slower pool."""
    stages = {"generation": 100.0, "reward": 20.0, "training": 30.0, "weight_sync": 2.0}

    assert rollout.synchronous_update_time(**stages) == 152.0
    assert rollout.asynchronous_update_time(**stages) == 100.0
    assert rollout.asynchronous_update_time(**{**stages, "training": 90.0}) == 112.0


def test_share_of_generation_in_a_typical_synchronous_update() -> None:
    """About 70 % as RollPacker reports (arXiv:2509.21009)."""
    assert rollout.rollout_share(generation=100.0, update=143.0) == pytest.approx(0.7, abs=0.01)
