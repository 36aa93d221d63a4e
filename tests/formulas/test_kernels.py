"""Kernel times against rooflines, quantisation by hand, and order statistics."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colossus_sim.formulas import kernels
from colossus_sim.formulas.kernels import Device

DEVICE = Device(
    peak=1e15,
    bandwidth=3e12,
    multiprocessors=132,
    peak_fraction=0.75,
    tile_rows=128,
    tile_columns=256,
    small_tile_fraction=0.85,
    half_k=128,
    launch=3e-6,
)


def test_large_gemm_reaches_the_peak_fraction() -> None:
    """A matrix product of whole waves and a long inner size runs at peak_fraction of the peak."""
    m, n, k = 128 * 132, 256 * 10, 1_000_000
    rate = kernels.gemm_flops(m, n, k) / kernels.gemm_time(m, n, k, DEVICE)
    assert rate == pytest.approx(0.75e15, rel=2e-4)


def test_one_tile_more_than_a_wave_costs_a_second_wave() -> None:
    """133 tiles on 132 multiprocessors take as long as 264, when smaller tiles cannot help."""
    coarse = dataclasses.replace(DEVICE, small_tile_fraction=0.01)
    full = kernels.gemm_compute_time(128, 256 * 132, 4096, coarse)
    assert kernels.gemm_compute_time(128, 256 * 133, 4096, coarse) == pytest.approx(2 * full)
    assert kernels.gemm_compute_time(128, 256 * 264, 4096, coarse) == pytest.approx(2 * full)


def test_partial_tiles_cost_whole_tiles() -> None:
    """A product of one row takes as long as one of a whole tile of rows."""
    coarse = dataclasses.replace(DEVICE, small_tile_fraction=0.01)
    assert kernels.gemm_compute_time(1, 4096, 4096, coarse) == kernels.gemm_compute_time(
        128, 4096, 4096, coarse
    )


def test_half_k_halves_the_rate() -> None:
    """At an inner size of half_k half of the peak rate is reached."""
    m, n = 128 * 132, 256
    slow = kernels.gemm_flops(m, n, 128) / kernels.gemm_compute_time(m, n, 128, DEVICE)
    assert slow == pytest.approx(0.5 * 0.75e15)


def test_thin_gemm_is_bound_by_memory() -> None:
    """A product of one row takes the time to read its weights."""
    assert kernels.gemm_time(1, 16384, 16384, DEVICE) == pytest.approx(2 * (16384 + 16384**2 + 16384) / 3e12)


def test_tiny_gemm_costs_a_launch() -> None:
    """Nothing is faster than the launch floor."""
    assert kernels.gemm_time(8, 8, 8, DEVICE) == DEVICE.launch


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_gemm_is_never_faster_than_the_roofline(m: int, n: int, k: int) -> None:
    """No shape beats peak rate or memory bandwidth, and growing a product never makes it faster."""
    time = kernels.gemm_time(m, n, k, DEVICE)
    assert time >= kernels.gemm_flops(m, n, k) / (DEVICE.peak * DEVICE.peak_fraction) * (1 - 1e-12)
    assert time >= kernels.gemm_bytes(m, n, k, input_bytes=2, output_bytes=2) / DEVICE.bandwidth * (1 - 1e-12)
    assert kernels.gemm_time(m + 1, n, k, DEVICE) >= time


def test_grouped_gemm_of_one_group_is_a_gemm() -> None:
    """One expert with no grouping loss is an ordinary product."""
    assert kernels.grouped_gemm_time(4096, 4096, 4096, DEVICE, groups=1) == kernels.gemm_time(
        4096, 4096, 4096, DEVICE
    )


def test_small_experts_waste_tiles() -> None:
    """Sixteen experts with 8 rows each take longer than one product of 128 rows."""
    grouped = kernels.grouped_gemm_time(8, 2048, 7168, DEVICE, groups=16)
    assert grouped > kernels.gemm_time(128, 2048, 7168, DEVICE)


def attention(keys: float, head: float) -> float:
    """Rate of fused attention on 1e12 FLOPs."""
    time = kernels.attention_time(
        1e12,
        peak=1e15,
        fraction=0.6,
        keys=keys,
        half_keys=512,
        head_size=head,
        half_head_size=64,
        launch=0.0,
    )
    return 1e12 / time


def test_attention_saturates_with_length_and_head_size() -> None:
    """Long sequences with heads of 128 reach the stated share; half_keys halves it; heads of 64 are slower."""
    assert attention(1e9, 128) == pytest.approx(0.6e15, rel=1e-5)
    assert attention(512, 128) == pytest.approx(0.3e15)
    assert attention(8192, 64) < attention(8192, 128) < attention(8192, 256)


def test_adam_step_bytes() -> None:
    """fp32 gradient, master and two moments with a bf16 weight: 4 + 8 + 16 + 2 bytes."""
    assert (
        kernels.optimizer_step_bytes(weight_bytes=2, gradient_bytes=4, master_bytes=4, moment_bytes=8) == 30
    )


@pytest.mark.parametrize("count", [2, 10, 100, 1000])
def test_expected_maximum_of_normals(count: int) -> None:
    """Blom's formula agrees with the exact integral of 1 - F^n to 0.03."""
    z = np.linspace(-10, 10, 200_001)
    cdf = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z])
    step = z[1] - z[0]
    exact = float(np.sum(1 - cdf**count) * step) - 10.0
    assert kernels.expected_normal_maximum(count) == pytest.approx(exact, abs=0.03)


def test_one_rank_has_no_straggler() -> None:
    """A single rank waits for nobody, and more ranks wait longer."""
    assert kernels.straggler_time(1.0, 0.01, 1) == 0.0
    assert 0 < kernels.straggler_time(1.0, 0.01, 1e3) < kernels.straggler_time(1.0, 0.01, 1e6) < 0.06
