"""Generation of a batch against list scheduling played response by response, and against closed forms."""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
import pytest

from colossus_sim.formulas.decoding import Array, Values
from colossus_sim.formulas.generation import course_of, slowest_replica_time
from colossus_sim.formulas.rollout import response_moment

PROMPT = 1024.0
WEIGHTS = 3.06e-3
CACHE = 1.42e-8
"""Llama 3 70B in fp8 on eight H200: time to read the weights, and the cache of one token. [s]"""


def memory_bound(sequences: Values, context: Values) -> Values:
    """Time of a token step bound by HBM."""
    return WEIGHTS + CACHE * sequences * context


def roofline(sequences: Values, context: Values) -> Values:
    """Time of a token step that many short sequences bind by FLOPs."""
    return np.maximum(memory_bound(sequences, context), 2.5e-4 * sequences)


def drawn(rng: np.random.Generator, sigma: float, maximum: float, shape: tuple[int, int]) -> Array:
    """Response lengths of some replicas."""
    lengths = rng.lognormal(math.log(8000.0) - 0.5 * sigma**2, sigma, size=shape)
    return np.asarray(np.minimum(lengths, maximum))


def played(lengths: Array, slots: int) -> float:
    """Time until the slowest replica is done, each response going to the slot that is free first."""
    times = []
    for mine in lengths.tolist():
        ends = mine[:slots]
        heapq.heapify(ends)
        for length in mine[slots:]:
            heapq.heapreplace(ends, ends[0] + length)
        times.append(WEIGHTS * max(ends) + CACHE * sum(PROMPT * length + 0.5 * length**2 for length in mine))
    return max(times)


def modelled(**changes: Any) -> float:
    """Time of the formula."""
    values = {
        "step_time": memory_bound, "reading_time": memory_bound, "cache_size": np.copy,
        "mean_tokens": 8000.0, "sigma": 1.0, "maximum": 32768.0,
        "prompt_tokens": PROMPT, "responses": 64.0, "slots": 64.0, "replicas": 1.0,
    }  # fmt: skip
    return slowest_replica_time(**{**values, **changes})


@pytest.mark.parametrize("sigma", [0.02, 0.3, 1.0, 1.6])
@pytest.mark.parametrize(
    ("responses", "slots", "replicas"),
    [
        (64, 64, 128), (1, 1, 512), (7, 7, 512), (8, 64, 16), (80, 64, 16), (128, 64, 16), (300, 64, 8),
        (40, 8, 64), (24, 16, 64),
    ],
)  # fmt: skip
def test_the_slowest_replica_agrees_with_playing_it(
    sigma: float, responses: int, slots: int, replicas: int
) -> None:
    """Within 4 % of the mean of played batches and three of its standard errors."""
    rng = np.random.default_rng(7)
    batches = max(20, 60_000 // (responses * replicas))
    times = [played(drawn(rng, sigma, 32768.0, (replicas, responses)), slots) for _ in range(batches)]
    error = 3.0 * float(np.std(times)) / math.sqrt(batches)

    time = modelled(sigma=sigma, responses=float(responses), slots=float(slots), replicas=float(replicas))

    assert abs(time - np.mean(times)) < 0.04 * np.mean(times) + error


def of_experts(sequences: Values, context: Values) -> Values:
    """Time of a token step that reads the experts that 8 of 256 per sequence touch, and of its messages."""
    touched = 1.0 - (1.0 - 8.0 / 256.0) ** sequences
    return 4e-4 + WEIGHTS * touched + 2e-6 * sequences + CACHE * sequences * context


def played_step_by_step(lengths: Array, slots: int) -> float:
    """Time until the slowest replica is done where each step depends on how many sequences run."""
    times = []
    for mine in lengths.tolist():
        ends = mine[:slots]
        spans = [(0.0, end) for end in ends]
        heapq.heapify(ends)
        for length in mine[slots:]:
            start = heapq.heappushpop(ends, ends[0] + length)
            spans.append((start, start + length))
        starts, stops = np.array(sorted(spans)), np.array(sorted(spans, key=lambda span: span[1]))
        moments = np.unique(starts)
        moments = np.unique(np.concatenate([moments, stops[:, 1]]))
        middle = 0.5 * (moments[1:] + moments[:-1])
        begun, done = (np.searchsorted(row, middle) for row in (starts[:, 0], stops[:, 1]))
        before, after = (np.append(0.0, np.cumsum(row)) for row in (starts[:, 0], stops[:, 0]))
        live = (begun - done).astype(float)
        context = PROMPT + middle - (before[begun] - after[done]) / live
        times.append(float(np.diff(moments) @ of_experts(live, context)))
    return max(times)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
@pytest.mark.parametrize(
    ("responses", "slots", "replicas"), [(64, 64, 128), (7, 7, 512), (80, 64, 16), (300, 64, 8), (24, 16, 64)]
)
def test_experts_are_read_as_sequences_choose_them(
    sigma: float, responses: int, slots: int, replicas: int
) -> None:
    """Within 6 % of the mean of played batches and three of its standard errors, while the batch drains too."""
    rng = np.random.default_rng(11)
    batches = max(8, 12_000 // (responses * replicas))
    times = [
        played_step_by_step(drawn(rng, sigma, 32768.0, (replicas, responses)), slots) for _ in range(batches)
    ]
    error = 3.0 * float(np.std(times)) / math.sqrt(batches)

    time = modelled(
        step_time=of_experts,
        reading_time=of_experts,
        sigma=sigma,
        responses=float(responses),
        slots=float(slots),
        replicas=float(replicas),
    )

    assert abs(time - np.mean(times)) < 0.06 * np.mean(times) + error


def test_layers_with_a_window_read_no_more_than_it() -> None:
    """Equal responses: their cache grows up to the window, then stays."""
    window = 5000.0
    grows = window - PROMPT
    read = 0.5 * (PROMPT + window) * grows + window * (8000.0 - grows)

    time = modelled(sigma=1e-4, cache_size=lambda context: np.minimum(context, window))

    assert time == pytest.approx(WEIGHTS * 8000.0 + CACHE * 64.0 * read, rel=2e-3)


@pytest.mark.parametrize("waves", [1, 2, 3, 10])
def test_equal_responses_take_whole_waves(waves: int) -> None:
    """Without spread all slots end together, wave after wave."""
    expected = waves * (WEIGHTS * 8000.0 + CACHE * 64.0 * (PROMPT * 8000.0 + 0.5 * 8000.0**2))

    time = modelled(sigma=1e-4, responses=64.0 * waves, replicas=16.0)

    assert time == pytest.approx(expected, rel=2e-3)


def test_half_a_wave_more_waits_for_half_full_slots() -> None:
    """Equal responses, one and a half per slot: two waves of steps, the cache of one and a half."""
    expected = WEIGHTS * 16_000.0 + 1.5 * CACHE * 64.0 * (PROMPT * 8000.0 + 0.5 * 8000.0**2)

    assert modelled(sigma=1e-4, responses=96.0) == pytest.approx(expected, rel=5e-3)


def test_a_slot_for_every_response_drains_by_the_survival_function() -> None:
    """One replica: the weights are read until the longest response ends, the cache for each while it lasts."""
    law = {"mean_tokens": 8000.0, "sigma": 0.8, "maximum": 40_000.0}
    ages = np.linspace(0.0, 40_000.0, 40_001)[1:] - 0.5
    done = [
        0.5 * math.erfc(-(math.log(age / 8000.0) + 0.32) / (0.8 * math.sqrt(2.0))) for age in ages.tolist()
    ]
    steps = float(np.sum(1.0 - np.array(done) ** 64.0))
    read = PROMPT * response_moment(**law) + 0.5 * response_moment(**law, power=2.0)

    assert modelled(**law) == pytest.approx(WEIGHTS * steps + 64.0 * CACHE * read, rel=2e-3)


def test_steps_bound_by_arithmetic_follow_the_live_sequences() -> None:
    """Played step by step in cells of 64 tokens: compute binds while the slots are full, memory afterwards."""
    rng = np.random.default_rng(3)
    times = []
    for _ in range(150):
        lengths = drawn(rng, 1.0, 32768.0, (1, 64))[0]
        ages = np.arange(32.0, 32768.0, 64.0)
        live = (lengths[:, None] > ages).sum(axis=0)
        times.append(64.0 * float(np.sum(np.where(live, roofline(live.astype(float), PROMPT + ages), 0.0))))

    time = modelled(step_time=roofline)

    assert time > 1.15 * modelled()
    assert time == pytest.approx(np.mean(times), rel=0.03)


def test_more_replicas_and_more_responses_take_longer() -> None:
    """The slowest of many is slower, and work adds up."""
    by_replicas = [modelled(replicas=float(count)) for count in (1, 4, 32, 256)]
    by_responses = [modelled(responses=float(count)) for count in (1, 16, 64, 65, 80, 128, 500, 501)]

    assert by_replicas == sorted(by_replicas)
    assert by_responses == sorted(by_responses)


def test_the_course_keeps_every_token() -> None:
    """The slot starts all its responses, and is busy for as many steps as they have tokens."""
    course = course_of(mean_tokens=8000.0, sigma=1.0, maximum=32768.0, rounds=3.4, responses=1e4)
    mean = response_moment(mean_tokens=8000.0, sigma=1.0, maximum=32768.0)

    assert course.mean(course.grid) == pytest.approx(mean, rel=1e-9)
    assert course.starts.sum() == pytest.approx(3.4, rel=1e-9)
    assert course.live.sum() * course.cell == pytest.approx(3.4 * mean, rel=1e-9)
    assert np.all(course.idle >= 0.0)
    assert np.all(course.live <= 1.0 + 1e-9)


@pytest.mark.parametrize("sigma", [1e-6, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("maximum", [1.0, 500.0, 32768.0, 1e7])
@pytest.mark.parametrize(
    ("responses", "slots", "replicas"), [(1.0, 1.0, 1.0), (1.5, 4.0, 1e4), (5e4, 1.0, 2.0), (9.7, 9.0, 300.0)]
)
def test_any_law_and_any_batch_stay_between_bounds(
    sigma: float, maximum: float, responses: float, slots: float, replicas: float
) -> None:
    """Above the mean work of a replica with its slots full, below that of longest responses one by one."""
    law = {"mean_tokens": 8000.0, "sigma": sigma, "maximum": maximum}
    mean = response_moment(**law)
    read = responses * CACHE * PROMPT * mean
    top = min(maximum, 8000.0 * math.exp(8.0 * sigma))

    time = modelled(**law, responses=responses, slots=slots, replicas=replicas)

    assert time > 0.95 * (WEIGHTS * mean * max(1.0, responses / slots) + read)
    assert time < 1.05 * responses * (WEIGHTS * top + CACHE * (PROMPT * top + 0.5 * top**2))
