"""Time of one reinforcement-learning update whose rollouts are bound by generation.

Response lengths follow a lognormal law cut at the length limit: a response that would be longer stops
there and counts with the limit. ``mean_tokens`` is always the mean of the law before the cut.
"""

from __future__ import annotations

import math

from colossus_sim.formulas.shapes import TransformerLike

_CACHE_BYTES = 2.0
"""Bytes per element of the key-value cache."""


def prefill_time(
    *,
    active_params: float,
    attention_time: float,
    tokens: float,
    gpus: float,
    peak_flops: float,
    flops_fraction: float,
) -> float:
    """Time to read ``tokens`` prompt tokens on ``gpus`` GPUs [s].

    That is ``(2 N_active / rate + attention) tokens / gpus``; `attention_time` is what one GPU takes for the
    attention core of one token [s].

    Source: forward pass of two FLOP per parameter and token, attention apart (Kaplan et al. 2020,
    arXiv:2001.08361, eq. 2.2).
    """
    each = 2.0 * active_params / (peak_flops * flops_fraction) + attention_time
    return each * tokens / gpus


def response_moment(*, mean_tokens: float, sigma: float, maximum: float, power: float = 1.0) -> float:
    """Mean of the length, or of a power of it, of a lognormal response cut at `maximum` [tokens^power].

    Notes
    -----
    Limited expected value of the lognormal law (Klugman, Panjer, Willmot, Loss Models, app. A.5.1.1):
    ``E[min(X, m)^k] = E[X^k] Phi(z - k sigma) + m^k (1 - Phi(z))`` with ``z = (ln m - mu) / sigma``.
    """
    mu = log_mean(mean_tokens, sigma)
    z = (math.log(maximum) - mu) / sigma
    raw = math.exp(power * mu + 0.5 * (power * sigma) ** 2)
    return float(raw * _normal_cdf(z - power * sigma) + maximum**power * _normal_cdf(-z))


def running_response_tokens(
    *, mean_tokens: float, sigma: float, maximum: float, limit: float = math.inf
) -> float:
    """Mean of the tokens that a running response has so far, where a new one follows each [tokens].

    With a `limit`, what is beyond it in a response does not count.

    Notes
    -----
    Age of a renewal process in equilibrium, ``E[L^2] / (2 E[L])``: at any moment long responses are more likely to
    be the running ones (inspection paradox; Feller, An Introduction to Probability Theory II, 1971, sec. XI.4). Cut
    at `m`: ``(E[min(L, m)^2] / 2 + m E[L - min(L, m)]) / E[L]``.
    """
    limit = min(limit, maximum)
    mean = response_moment(mean_tokens=mean_tokens, sigma=sigma, maximum=maximum)
    first, square = (
        response_moment(mean_tokens=mean_tokens, sigma=sigma, maximum=limit, power=power)
        for power in (1.0, 2.0)
    )
    return (0.5 * square + limit * (mean - first)) / mean


def attending_tokens(*, prompt_tokens: float, mean_tokens: float, sigma: float, maximum: float) -> float:
    """Length of the prompt and response that a token of an update lies in, on average over the tokens [tokens].

    Notes
    -----
    Responses lie side by side in a packed sequence, and a token attends to its own one only. Over all tokens that
    is ``E[L^2] / (2 E[L])`` keys, as many as in responses that are all ``E[L^2] / E[L]`` long; `L` with the prompt.
    """
    first, square = (
        response_moment(mean_tokens=mean_tokens, sigma=sigma, maximum=maximum, power=power)
        for power in (1.0, 2.0)
    )
    return (prompt_tokens**2 + 2.0 * prompt_tokens * first + square) / (prompt_tokens + first)


def running_cache_bytes(
    model: TransformerLike, *, prompt_tokens: float, mean_tokens: float, sigma: float, maximum: float
) -> float:
    """Mean key-value cache of a sequence whose response is running, where a new one follows each [B]."""
    law = {"mean_tokens": mean_tokens, "sigma": sigma, "maximum": maximum}
    share, window = windowed_layers(model)
    kept = (1.0 - share) * (prompt_tokens + running_response_tokens(**law))
    if window > prompt_tokens:
        kept += share * (prompt_tokens + running_response_tokens(**law, limit=window - prompt_tokens))
    else:
        kept += share * window
    return cache_bytes_per_token(model) * kept


def windowed_layers(model: TransformerLike) -> tuple[float, float]:
    """Return the share of the layers that have a window, and the window [-, tokens]."""
    return (model.sliding_window_fraction, model.sliding_window) if model.sliding_window else (0.0, math.inf)


def cache_bytes_per_token(model: TransformerLike) -> float:
    """Key-value cache of one token that all layers keep [B].

    Two vectors per key/value head and layer; the latent and the rotary key with latent attention (DeepSeek-V2,
    arXiv:2405.04434, sec. 2.1.2).
    """
    width = 2 * model.kv_heads * model.head_size
    if model.mla is not None:
        width = model.mla.kv_lora_rank + model.mla.qk_rope_head_dim
    return model.num_hidden_layers * width * _CACHE_BYTES


def slots_in_memory(*, memory: float, weight_bytes: float, cache_bytes: float) -> int:
    """Sequences whose key-value caches fit beside the weights; 0 if not one does.

    Parameters
    ----------
    memory : float
        Device memory of a replica that weights and caches may fill [B].
    weight_bytes : float
        Weights of the model [B].
    cache_bytes : float
        Cache of one sequence at its mean context [B]: memory is given in small blocks as responses grow, and what
        does not fit waits (PagedAttention, arXiv:2309.06180, sec. 4).
    """
    return max(0, math.floor((memory - weight_bytes) / cache_bytes))


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


def log_mean(mean: float, sigma: float) -> float:
    """Mean of the logarithm of a lognormal law with this mean."""
    return math.log(mean) - 0.5 * sigma * sigma


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
