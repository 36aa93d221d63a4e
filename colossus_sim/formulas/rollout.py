"""Time of one reinforcement-learning update whose rollouts are bound by generation.

Response lengths follow a lognormal law cut at the length limit: a response that would be longer stops
there and counts with the limit. ``mean_tokens`` is always the mean of the law before the cut.
"""

from __future__ import annotations

import math

import numpy as np

_GAUSS_POINTS = 64


def decode_step_time(
    *,
    weight_bytes: float,
    kv_bytes_per_sequence: float,
    sequences: float,
    active_params: float,
    gpus: float,
    memory_bandwidth: float,
    bandwidth_fraction: float,
    peak_flops: float,
    flops_fraction: float,
    collective_time: float = 0.0,
) -> float:
    """Time in which one model replica decodes one token for each of its sequences.

    Parameters
    ----------
    weight_bytes : float
        Weights read for one token step; a mixture of experts with many sequences reads nearly all [B].
    kv_bytes_per_sequence : float
        Key-value cache read for one sequence at its mean context length [B].
    sequences : float
        Sequences that the replica decodes at once [-].
    active_params : float
        Parameters that take part in one token [-].
    gpus : float
        GPUs of the replica [-].
    memory_bandwidth, peak_flops : float
        Of one GPU: HBM bandwidth [B/s] and peak rate [FLOP/s].
    bandwidth_fraction, flops_fraction : float
        Shares of them that decoding reaches [-].
    collective_time : float
        Communication that is not hidden [s].

    Returns
    -------
    float
        Time of one token step [s].

    Notes
    -----
    Roofline: ``max(bytes / bandwidth, 2 N_active b / flops) + collectives`` (Pope et al. 2022,
    arXiv:2211.05102, sec. 2 and 4).
    """
    bytes_read = weight_bytes + sequences * kv_bytes_per_sequence
    memory_time = bytes_read / (gpus * memory_bandwidth * bandwidth_fraction)
    compute_time = 2.0 * active_params * sequences / (gpus * peak_flops * flops_fraction)
    return max(memory_time, compute_time) + collective_time


def prefill_time(
    *, active_params: float, tokens: float, gpus: float, peak_flops: float, flops_fraction: float
) -> float:
    """Time to read ``tokens`` prompt tokens on ``gpus`` GPUs [s]: ``2 N_active tokens / rate``.

    Source: forward pass of two FLOP per parameter and token (Kaplan et al. 2020, arXiv:2001.08361, eq. 2.2).
    """
    return 2.0 * active_params * tokens / (gpus * peak_flops * flops_fraction)


def mean_response_tokens(*, mean_tokens: float, sigma: float, maximum: float) -> float:
    """Mean length of a lognormal response that is cut at ``maximum`` [tokens].

    Notes
    -----
    Limited expected value of the lognormal law (Klugman, Panjer, Willmot, Loss Models, app. A.5.1.1):
    ``E[min(X, m)] = E[X] Phi((ln m - mu - sigma^2)/sigma) + m (1 - Phi((ln m - mu)/sigma))``.
    """
    mu = _log_mean(mean_tokens, sigma)
    z = (math.log(maximum) - mu) / sigma
    return mean_tokens * _normal_cdf(z - sigma) + maximum * (1.0 - _normal_cdf(z))


def longest_response_tokens(*, mean_tokens: float, sigma: float, maximum: float, responses: float) -> float:
    """Expected length of the longest of ``responses`` independent responses cut at ``maximum`` [tokens].

    Notes
    -----
    ``E[max] = integral from 0 to m of 1 - F(x)^n dx`` (David and Nagaraja, Order Statistics, 2003, sec. 3.1),
    by Gauss-Legendre quadrature on the logarithm of the length.
    """
    mu = _log_mean(mean_tokens, sigma)
    top = math.log(maximum)
    # Below the floor 1 - F^n is 1 to within 1e-15 for one response and more, so the integral there is exact.
    floor = min(mu - 8.0 * sigma, top - 1.0)
    panels = np.linspace(floor, top, 17)
    nodes, weights = np.polynomial.legendre.leggauss(_GAUSS_POINTS)
    half = 0.5 * np.diff(panels)[:, None]
    points = panels[:-1, None] + half * (nodes[None, :] + 1.0)
    cdf = np.array([_normal_cdf((y - mu) / sigma) for y in points.ravel()]).reshape(points.shape)
    survival = 1.0 - cdf**responses
    return math.exp(floor) + float(np.sum(half * weights[None, :] * survival * np.exp(points)))


def generation_steps(
    *, mean_response: float, longest_response: float, responses: float, slots: float
) -> float:
    """Token steps until the last of ``responses`` is complete when ``slots`` decode at once [-].

    Free slots take the next waiting response (continuous batching), so all but the last round cost the mean
    length and the last costs the longest: ``max(n/s - 1, 0) mean + longest``. That lies below Graham's
    bound for list scheduling, ``n mean / s + (1 - 1/s) longest`` (1969, doi:10.1137/0117039).
    """
    return max(responses / slots - 1.0, 0.0) * mean_response + longest_response


def synchronous_update_time(
    *, generation: float, reward: float, training: float, weight_sync: float
) -> float:
    """Time of one update whose stages follow each other [s].

    Source: the stages of an on-policy iteration (HybridFlow, arXiv:2409.19256, fig. 1).
    """
    return generation + reward + training + weight_sync


def asynchronous_update_time(
    *, generation: float, reward: float, training: float, weight_sync: float
) -> float:
    """Time of one update when a slightly stale policy goes on generating in its own pool [s].

    The slower pool sets the pace. ``generation`` is the mean-throughput time of the batch on the generation
    pool, so the longest response no longer matters; scoring and the weight transfer belong to the side that
    trains.

    Source: asynchronous pipelines as in ScaleRL (arXiv:2510.13786) and ROLL Flash (arXiv:2510.11345).
    """
    return max(generation, reward + training + weight_sync)


def rollout_share(*, generation: float, update: float) -> float:
    """Share of the update that generation takes [-]; 0.7 to 0.9 is reported for synchronous systems.

    Source: RollPacker (arXiv:2509.21009) about 0.7; APRIL (arXiv:2509.18521) above 0.9.
    """
    return generation / update


def _log_mean(mean: float, sigma: float) -> float:
    return math.log(mean) - 0.5 * sigma * sigma


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
