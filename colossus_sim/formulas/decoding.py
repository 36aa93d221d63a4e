"""One token step of one copy of a model that generates, for one number of sequences or for many at once."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

from colossus_sim.formulas.rollout import cache_bytes_per_token, windowed_layers
from colossus_sim.formulas.shapes import TransformerLike
from colossus_sim.formulas.transformer import ParameterCount

Array = NDArray[np.float64]
Values = float | Array


def decode_step_time(
    *,
    weight_bytes: Values,
    kv_bytes_per_sequence: Values,
    sequences: Values,
    active_params: float,
    gpus: float,
    memory_bandwidth: float,
    bandwidth_fraction: float,
    peak_flops: float,
    flops_fraction: float,
    collective_time: Values = 0.0,
) -> Values:
    """Time in which one model replica decodes one token for each of its sequences.

    Parameters
    ----------
    weight_bytes : float or ndarray
        Weights read for one token step; of a mixture of experts, those that some sequence chose [B].
    kv_bytes_per_sequence : float or ndarray
        Key-value cache read for one sequence at its mean context length [B].
    sequences : float or ndarray
        Sequences that the replica decodes at once [-].
    active_params : float
        Parameters that take part in one token [-].
    gpus : float
        GPUs of the replica [-].
    memory_bandwidth, peak_flops : float
        Of one GPU: HBM bandwidth [B/s] and peak rate [FLOP/s].
    bandwidth_fraction, flops_fraction : float
        Shares of them that decoding reaches [-].
    collective_time : float or ndarray
        Communication that is not hidden [s].

    Returns
    -------
    float or ndarray
        Time of one token step [s].

    Notes
    -----
    Roofline: ``max(bytes / bandwidth, 2 N_active b / flops) + collectives`` (Pope et al. 2022,
    arXiv:2211.05102, sec. 2 and 4).
    """
    bytes_read = weight_bytes + sequences * kv_bytes_per_sequence
    memory_time = bytes_read / (gpus * memory_bandwidth * bandwidth_fraction)
    compute_time = 2.0 * active_params * sequences / (gpus * peak_flops * flops_fraction)
    return np.maximum(memory_time, compute_time) + collective_time


@overload
def cache_bytes(model: TransformerLike, context: float) -> float: ...
@overload
def cache_bytes(model: TransformerLike, context: Array) -> Array: ...
def cache_bytes(model: TransformerLike, context: Values) -> Values:
    """Key-value cache of a sequence with so many tokens of context; layers with a window keep no more than it [B].

    Windows: the rolling buffer of Mistral 7B (arXiv:2310.06825, sec. 2).
    """
    share, window = windowed_layers(model)
    kept = (1.0 - share) * context + share * np.minimum(context, window)
    return cache_bytes_per_token(model) * kept


def parameters_read(count: ParameterCount, sequences: Values) -> Values:
    """Parameters that a token step of so many sequences reads [-].

    Notes
    -----
    Every sequence chooses `k` of the `E` experts of a layer. With balanced choices an expert is left alone by all
    of `b` sequences with probability ``(1 - k / E)^b``, in whatever groups the `k` are chosen, so that
    ``E (1 - (1 - k / E)^b)`` experts are read.
    """
    if not count.moe_layers:
        return float(count.total)
    alone = (1.0 - count.experts_per_token / count.num_experts) ** sequences
    return count.total - count.moe_layers * count.num_experts * count.expert * alone
