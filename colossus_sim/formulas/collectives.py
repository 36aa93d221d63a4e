"""Time of collective operations: alpha-beta models of the algorithms that communication libraries use.

Conventions: `message_bytes` is nccl-tests' "size" (the whole buffer of one rank; for all_gather the gathered
one, for reduce_scatter the unreduced one, for all_to_all everything that a rank sends, to itself included);
`alpha` is the latency of one hop [s]; `bandwidth` is what one rank sends per direction [B/s]. One rank costs
nothing.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence

OPERATIONS = ("all_reduce", "reduce_scatter", "all_gather", "all_to_all", "send_recv")


def bus_factor(operation: str, group_size: float) -> float:
    """Return busbw / algbw: the share of the message that each rank must send.

    Raises
    ------
    ValueError
        If the operation is unknown.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"unknown operation {operation!r}; one of {', '.join(OPERATIONS)}")
    if operation == "send_recv":
        return 1.0
    share = (group_size - 1) / group_size
    return 2.0 * share if operation == "all_reduce" else share


def algorithm_bandwidth(message_bytes: float, time: float) -> float:
    """Return algbw = size / time as nccl-tests defines it. [B/s]"""
    return message_bytes / time if time > 0 else 0.0


def bus_bandwidth(operation: str, message_bytes: float, group_size: int, time: float) -> float:
    """Return busbw as nccl-tests defines it; it does not depend on the group size on ideal hardware. [B/s]"""
    return bus_factor(operation, group_size) * algorithm_bandwidth(message_bytes, time)


def _check(message_bytes: float, group_size: int, alpha: float, bandwidth: float) -> None:
    if group_size < 1:
        raise ValueError(f"a group has at least 1 rank, got {group_size}")
    if not message_bytes >= 0 or not alpha >= 0:
        raise ValueError(f"message and latency must not be negative, got {message_bytes} B and {alpha} s")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be above 0, got {bandwidth} B/s")


def ring_all_reduce_time(*, message_bytes: float, group_size: int, alpha: float, bandwidth: float) -> float:
    """Return the time of a ring all-reduce, 2 (n-1) alpha + 2 (n-1)/n S/B. [s]

    References
    ----------
    Patarasuk and Yuan, 2009, doi:10.1016/j.jpdc.2008.09.002 (bandwidth optimal: Theorem 1).

    Examples
    --------
    >>> round(ring_all_reduce_time(message_bytes=8e9, group_size=8, alpha=0.0, bandwidth=4e11), 6)
    0.035
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    steps = 2 * (group_size - 1)
    return steps * alpha + steps / group_size * message_bytes / bandwidth


def ring_reduce_scatter_time(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> float:
    """Return the time of a ring reduce-scatter, (n-1) alpha + (n-1)/n S/B. [s]

    References
    ----------
    Chan et al., 2007, doi:10.1002/cpe.1206, section 7 (bucket algorithms).
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    steps = group_size - 1
    return steps * alpha + steps / group_size * message_bytes / bandwidth


def ring_all_gather_time(*, message_bytes: float, group_size: int, alpha: float, bandwidth: float) -> float:
    """Return the time of a ring all-gather; the same as reduce-scatter, run backwards. [s]

    References
    ----------
    Chan et al., 2007, doi:10.1002/cpe.1206, section 7.
    """
    return ring_reduce_scatter_time(
        message_bytes=message_bytes, group_size=group_size, alpha=alpha, bandwidth=bandwidth
    )


def tree_all_reduce_time(*, message_bytes: float, group_size: int, alpha: float, bandwidth: float) -> float:
    """Return the time of a pipelined double-binary-tree all-reduce, 2 ceil(log2 n) alpha + 2 S/B. [s]

    Two ranks exchange one half each way in either tree, so they need S/B only.

    References
    ----------
    Sanders, Speck and Traeff, 2009, doi:10.1016/j.parco.2009.09.001.
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    if group_size == 1:
        return 0.0
    return 2 * tree_depth(group_size) * alpha + tree_volume(group_size) * message_bytes / bandwidth


def tree_depth(group_size: int) -> int:
    """Return ceil(log2 n), the hops from a leaf to the root of a balanced binary tree."""
    return (group_size - 1).bit_length()


def tree_volume(group_size: float) -> float:
    """Return what the busiest rank of a double binary tree sends, in messages: 1 for two ranks, 2 for more."""
    if group_size <= 1:
        return 0.0
    return 1.0 if group_size <= 2 else 2.0


def recursive_halving_all_reduce_time(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> float:
    """Return the time of recursive halving followed by recursive doubling (Rabenseifner's all-reduce). [s]

    2 log2 n alpha + 2 (n-1)/n S/B for powers of two; else ranks beyond the largest power of two fold their
    message into a neighbour first and get the result last: 2 alpha + 2 S/B more.

    References
    ----------
    Thakur, Rabenseifner and Gropp, 2005, doi:10.1177/1094342005051521, section 4.5.
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    power = 1 << (group_size.bit_length() - 1)
    rounds = power.bit_length() - 1
    time = 2 * rounds * alpha + 2 * (power - 1) / power * message_bytes / bandwidth
    if power != group_size:
        time += 2 * alpha + 2 * message_bytes / bandwidth
    return time


def recursive_halving_reduce_scatter_time(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> float:
    """Return the time of a reduce-scatter in ceil(log2 n) rounds, (n-1)/n S/B of volume. [s]

    References
    ----------
    Thakur, Rabenseifner and Gropp, 2005, doi:10.1177/1094342005051521, section 4.4; Bruck et al., 1997,
    doi:10.1109/71.642949 for other than powers of two.
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    share = (group_size - 1) / group_size
    return tree_depth(group_size) * alpha + share * message_bytes / bandwidth


def recursive_doubling_all_gather_time(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> float:
    """Return the time of an all-gather in ceil(log2 n) rounds; reduce-scatter run backwards. [s]

    References
    ----------
    Thakur, Rabenseifner and Gropp, 2005, doi:10.1177/1094342005051521, section 4.1.
    """
    return recursive_halving_reduce_scatter_time(
        message_bytes=message_bytes, group_size=group_size, alpha=alpha, bandwidth=bandwidth
    )


def pairwise_all_to_all_time(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> float:
    """Return the time of an all-to-all in n-1 exchanges, one peer after the other. [s]

    References
    ----------
    Thakur, Rabenseifner and Gropp, 2005, doi:10.1177/1094342005051521, section 4.3.
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    share = (group_size - 1) / group_size
    return (group_size - 1) * alpha + share * message_bytes / bandwidth


def direct_all_to_all_time(*, message_bytes: float, group_size: int, alpha: float, bandwidth: float) -> float:
    """Return the time of an all-to-all that sends to all peers at once, so latency counts once. [s]"""
    _check(message_bytes, group_size, alpha, bandwidth)
    if group_size == 1:
        return 0.0
    return alpha + (group_size - 1) / group_size * message_bytes / bandwidth


def send_recv_time(*, message_bytes: float, alpha: float, bandwidth: float) -> float:
    """Return the time of one message from one rank to another, alpha + S/B (Hockney 1994). [s]"""
    _check(message_bytes, 2, alpha, bandwidth)
    return alpha + message_bytes / bandwidth


def in_network_all_reduce_time(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> float:
    """Return the time of an all-reduce that switches add up: every rank sends S once, 2 alpha + S/B. [s]

    References
    ----------
    Graham et al., 2016, doi:10.1109/COMHPC.2016.006 (SHARP); NVLink SHARP (NVLS) does the same in a domain.
    """
    _check(message_bytes, group_size, alpha, bandwidth)
    return 2 * alpha + message_bytes / bandwidth if group_size > 1 else 0.0


def hierarchical_volumes(group_sizes: Sequence[float]) -> tuple[float, ...]:
    """Return what one rank sends at each level in a hierarchical reduce-scatter, in messages.

    Level 0 leaves 1/n0 of the message for level 1, and so on; the sum is (n-1)/n with n the product.
    """
    volumes, left = [], 1.0
    for size in group_sizes:
        volumes.append(left - left / size)
        left /= size
    return tuple(volumes)


def hierarchical_reduce_scatter_time(
    *,
    message_bytes: float,
    group_sizes: Sequence[int],
    alphas: Sequence[float],
    bandwidths: Sequence[float],
) -> float:
    """Return the time of ring reduce-scatters level by level from the inside, one after the other. [s]

    Parameters
    ----------
    message_bytes : float
        Size of the buffer of one rank. [B]
    group_sizes : sequence of int
        Ranks per domain, domains per leaf, leaves per pod, ...
    alphas, bandwidths : sequence of float
        Latency [s] and per-rank bandwidth [B/s] of each level.
    """
    time = 0.0
    volumes = hierarchical_volumes(group_sizes)
    for size, volume, alpha, bandwidth in zip(group_sizes, volumes, alphas, bandwidths, strict=True):
        _check(message_bytes, size, alpha, bandwidth)
        time += (size - 1) * alpha + volume * message_bytes / bandwidth
    return time


def hierarchical_all_reduce_time(
    *,
    message_bytes: float,
    group_sizes: Sequence[int],
    alphas: Sequence[float],
    bandwidths: Sequence[float],
) -> float:
    """Return the time of reduce-scatters inwards to outwards and all-gathers back (BlueConnect). [s]

    References
    ----------
    Cho et al., 2019, doi:10.1147/JRD.2019.2947013 (BlueConnect); the outermost all-reduce is the last
    reduce-scatter and the first all-gather.
    """
    return 2 * hierarchical_reduce_scatter_time(
        message_bytes=message_bytes, group_sizes=group_sizes, alphas=alphas, bandwidths=bandwidths
    )


def pipelined_time(crossing_bytes: Sequence[float], bandwidths: Sequence[float]) -> float:
    """Return the time when all levels work at once: the slowest boundary sets the pace. [s]

    Parameters
    ----------
    crossing_bytes : sequence of float
        What one rank sends across the boundary below each level, i.e. to peers at this level or any higher
        one. [B]
    bandwidths : sequence of float
        What one rank gets there. [B/s]
    """
    return max(itertools.starmap(operator.truediv, zip(crossing_bytes, bandwidths, strict=True)), default=0.0)


def chunked_time(streaming: float, overhead: float) -> float:
    """Return the time of a transfer that is cut into the best number of chunks, t + 2 sqrt(t x). [s]

    With m chunks it takes t + m y to send them, each with overhead y, and t (d - 1) / m to fill a pipeline of
    depth d; the best m leaves 2 sqrt(t y (d - 1)), so x stands for y (d - 1).

    References
    ----------
    van de Geijn, 1994, doi:10.1006/jpdc.1994.1060 (pipelined broadcast, optimal packet size).
    """
    return streaming + 2.0 * math.sqrt(streaming * overhead)


def weighted_latency(hops: Sequence[float], alphas: Sequence[float]) -> float:
    """Return the latency of a chain of hops, so many at each level. [s]"""
    return math.fsum(itertools.starmap(operator.mul, zip(hops, alphas, strict=True)))


def best_all_reduce(
    *, message_bytes: float, group_size: int, alpha: float, bandwidth: float
) -> tuple[float, str]:
    """Return time and name of the fastest of ring, tree and recursive halving on one level. [s]"""
    values = {
        "message_bytes": message_bytes,
        "alpha": alpha,
        "bandwidth": bandwidth,
    }
    candidates = (
        (ring_all_reduce_time(group_size=group_size, **values), "ring"),
        (tree_all_reduce_time(group_size=group_size, **values), "tree"),
        (recursive_halving_all_reduce_time(group_size=group_size, **values), "recursive_halving"),
    )
    return min(candidates, key=lambda item: item[0])
