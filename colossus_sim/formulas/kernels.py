"""Times of GPU kernels from their shape: matrix products, fused attention, memory-bound passes.

Every constant has a physical meaning and is given by the caller; see `Device`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import NormalDist


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What kernels of one number format find on one device.

    Attributes
    ----------
    peak : float
        Dense peak rate of the format. [FLOP/s]
    bandwidth : float
        Device-memory bandwidth that kernels reach. [B/s]
    multiprocessors : int
        Streaming multiprocessors (or their like).
    peak_fraction : float
        Largest share of `peak` that a matrix product reaches.
    tile_rows, tile_columns : int
        Output tile of one multiprocessor.
    small_tile_fraction : float
        Rate of a tile of half the columns relative to the full tile (and again for a quarter tile).
    half_k : float
        Inner size at which the main loop reaches half its rate: filling and draining the pipeline.
    launch : float
        Floor of the time of one kernel. [s]
    """

    peak: float
    bandwidth: float
    multiprocessors: int
    peak_fraction: float
    tile_rows: int
    tile_columns: int
    small_tile_fraction: float
    half_k: float
    launch: float


def gemm_flops(m: float, n: float, k: float) -> float:
    """FLOPs of an (m, k) x (k, n) matrix product: ``2 m n k``."""
    return 2.0 * m * n * k


def gemm_compute_time(m: float, n: float, k: float, device: Device, groups: int = 1) -> float:
    """Time that the multiprocessors need for `groups` equal matrix products in one launch. [s]

    Notes
    -----
    Tiles are dealt to the multiprocessors in waves, so the time is ``ceil(tiles / SMs)`` times that of one
    tile, ``2 tile (k + half_k) / (rate of one SM)``; the best of a full, a half and a quarter tile is taken,
    as libraries choose their kernels. Tile and wave quantisation: NVIDIA, "Matrix Multiplication Background
    User's Guide", DU-09799, sec. 2-3.
    """
    rows, columns, units = device.tile_rows, device.tile_columns, device.multiprocessors
    full_rate = device.peak * device.peak_fraction / units
    small = device.small_tile_fraction
    # Written out, since every estimate asks for dozens of them.
    down, across = groups * ceil(m / rows), ceil(2.0 * n / columns)
    best = min(
        ceil(down * ceil(n / columns) / units) * rows * columns,
        ceil(down * across / units) * rows * (columns / 2) / small,
        ceil(groups * ceil(2.0 * m / rows) * across / units) * (rows / 2) * (columns / 2) / small**2,
    )
    return 2.0 * best * (k + device.half_k) / full_rate


def gemm_bytes(m: float, n: float, k: float, *, input_bytes: float, output_bytes: float) -> float:
    """Least device-memory traffic of a matrix product: each operand once. [B]"""
    return (m * k + k * n) * input_bytes + m * n * output_bytes


def gemm_time(
    m: float,
    n: float,
    k: float,
    device: Device,
    *,
    input_bytes: float = 2.0,
    output_bytes: float = 2.0,
) -> float:
    """Time of one matrix product: the roofline over quantised compute and memory traffic. [s]

    Source: roofline, Williams et al. 2009 (doi:10.1145/1498765.1498785).
    """
    traffic = gemm_bytes(m, n, k, input_bytes=input_bytes, output_bytes=output_bytes)
    return max(gemm_compute_time(m, n, k, device), traffic / device.bandwidth, device.launch)


def grouped_gemm_time(
    m: float,
    n: float,
    k: float,
    device: Device,
    *,
    groups: int,
    fraction: float = 1.0,
    input_bytes: float = 2.0,
    output_bytes: float = 2.0,
) -> float:
    """Time of `groups` products with `m` rows each (experts of one rank) in one launch. [s]

    Parameters
    ----------
    m, n, k, device, input_bytes, output_bytes
        As in `gemm_time`, for one group.
    groups : int
        Experts held by the rank.
    fraction : float
        Rate relative to one dense product of the same tiles (scheduling, uneven groups).
    """
    traffic = groups * gemm_bytes(m, n, k, input_bytes=input_bytes, output_bytes=output_bytes)
    compute = gemm_compute_time(m, n, k, device, groups) / fraction
    return max(compute, traffic / device.bandwidth, device.launch)


def attention_time(
    flops: float,
    *,
    peak: float,
    fraction: float,
    keys: float,
    half_keys: float,
    head_size: float,
    half_head_size: float,
    launch: float,
) -> float:
    """Time of fused attention over `flops` FLOPs. [s]

    Parameters
    ----------
    flops : float
        FLOPs really done. [FLOP]
    peak, fraction : float
        16-bit dense peak and the share of it reached on long sequences with heads of 128. [FLOP/s, -]
    keys, half_keys : float
        Sequence length, and the length at which half of that share is reached. [tokens]
    head_size, half_head_size : float
        Width of a head, and the width at which half of the limit is reached.
    launch : float
        Floor. [s]

    Notes
    -----
    Both saturate as ``x / (x + half)``, which describes the measured curves of FlashAttention-2
    (arXiv:2307.08691, fig. 4-7) and -3 (arXiv:2407.08608, fig. 5) over 512 to 16k tokens and heads of 64, 128, 256.
    """
    length = keys / (keys + half_keys)
    width = head_size * (128.0 + half_head_size) / (128.0 * (head_size + half_head_size))
    return max(flops / (peak * fraction * length * width), launch)


def memory_time(traffic: float, bandwidth: float) -> float:
    """Time of a memory-bound pass: bytes over reached bandwidth. [s]"""
    return traffic / bandwidth


def optimizer_step_bytes(
    *, weight_bytes: float, gradient_bytes: float, master_bytes: float, moment_bytes: float
) -> float:
    """Device-memory traffic of one Adam update per parameter. [B]

    The gradient is read, master copy and moments are read and written, the working weight is written; without
    a master copy the weight itself is read too.
    """
    weight = weight_bytes if master_bytes > 0.0 else 2.0 * weight_bytes
    return gradient_bytes + 2.0 * master_bytes + 2.0 * moment_bytes + weight


def expected_normal_maximum(count: float) -> float:
    """Expected largest of `count` independent standard normal values.

    Notes
    -----
    Blom's approximation ``Phi^-1((n - a) / (n - 2 a + 1))`` with ``a = 0.375`` (Blom 1958, Statistical
    Estimates and Transformed Beta-Variables; Harter 1961, doi:10.1093/biomet/48.1-2.151); within 0.03 for
    every n from 2 to 1e7.
    """
    if count <= 1.0:
        return 0.0
    return -NormalDist().inv_cdf((1.0 - 0.375) / (count + 0.25))


def straggler_time(busy: float, variation: float, ranks: float) -> float:
    """Mean time that everyone waits for the slowest of `ranks` ranks. [s]

    Parameters
    ----------
    busy : float
        Mean compute time of one rank. [s]
    variation : float
        Coefficient of variation of that time, independent from rank to rank.
    ranks : float
        Ranks that wait for each other.
    """
    return busy * variation * expected_normal_maximum(ranks)
