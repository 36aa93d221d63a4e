"""Rollout times against closed forms and hand-worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from colossus_sim.formulas import rollout


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
