"""Predicted pre-training loss from parameters and tokens.

The laws were fitted on models of up to some 16e9 parameters; everything beyond is extrapolation. Print
intervals, never points, and no capability score: none of this says what a model can do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FLOPS_PER_PARAMETER_AND_TOKEN = 6.0
"""Forward 2, backward 4 (Kaplan et al. 2020, arXiv:2001.08361, eq. 2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLaw:
    """``L(N, D) = E + A / N^alpha + B / D^beta`` in nats per token (Hoffmann et al. 2022, eq. 2).

    Attributes
    ----------
    name, source : str
        Short name, and the paper the constants come from.
    irreducible : float
        E: loss of an ideal model on the law's text [nat/token].
    parameter_factor, parameter_exponent : float
        A and alpha.
    data_factor, data_exponent : float
        B and beta.
    """

    name: str
    source: str
    irreducible: float
    parameter_factor: float
    parameter_exponent: float
    data_factor: float
    data_exponent: float


HOFFMANN_2022 = LossLaw(
    name="hoffmann_2022",
    source="Hoffmann et al. 2022, arXiv:2203.15556, approach 3, eq. 10",
    irreducible=1.69,
    parameter_factor=406.4,
    parameter_exponent=0.34,
    data_factor=410.7,
    data_exponent=0.28,
)
"""Constants as printed; their rounding shifts the optimum tenfold at 1e27 FLOP, so they are not the default."""

BESIROGLU_2024 = LossLaw(
    name="besiroglu_2024",
    source="Besiroglu et al. 2024, Chinchilla Scaling: A replication attempt, arXiv:2404.10102, eq. 4",
    irreducible=1.8172,
    parameter_factor=482.01,
    parameter_exponent=0.3478,
    data_factor=2085.43,
    data_exponent=0.3658,
)
"""The refit of the same data; the default."""

MUENNIGHOFF_R_STAR = 15.387756
"""Decay constant of repeated data, in epochs (Muennighoff et al. 2023, arXiv:2305.16264, appendix A)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossInterval:
    """Predicted loss of a sparse model: by total, effective and active parameters [nat/token]."""

    optimistic: float
    central: float
    pessimistic: float
    law: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeOptimum:
    """Best split of a compute budget: parameters, tokens, and the loss there [nat/token]."""

    params: float
    tokens: float
    loss: float


def loss(params: float, tokens: float, law: LossLaw = BESIROGLU_2024) -> float:
    """Pre-training loss of a dense model [nat/token].

    Source: Hoffmann et al. 2022, arXiv:2203.15556, eq. 2.
    """
    by_size = law.parameter_factor * math.pow(params, -law.parameter_exponent)
    by_data = law.data_factor * math.pow(tokens, -law.data_exponent)
    return law.irreducible + by_size + by_data


def compute_optimum(flops: float, law: LossLaw = BESIROGLU_2024) -> ComputeOptimum:
    """Parameters and tokens with the least loss for ``6 N D = flops``.

    Notes
    -----
    ``N* = G (C / 6)^(beta / (alpha + beta))``, ``D* = (C / 6) / N*``,
    ``G = (alpha A / (beta B))^(1 / (alpha + beta))`` (Hoffmann et al. 2022, arXiv:2203.15556, eq. 4).
    """
    budget = flops / FLOPS_PER_PARAMETER_AND_TOKEN
    alpha, beta = law.parameter_exponent, law.data_exponent
    scale = math.pow(alpha * law.parameter_factor / (beta * law.data_factor), 1.0 / (alpha + beta))
    params = scale * math.pow(budget, beta / (alpha + beta))
    tokens = budget / params
    return ComputeOptimum(params=params, tokens=tokens, loss=loss(params, tokens, law))


def effective_params(active: float, total: float) -> float:
    """Dense-equivalent size of a mixture of experts: ``sqrt(active * total)`` [-].

    A heuristic, not a law: monotone in both and equal to the size of a dense model. Always show it between
    the loss by active and the loss by total parameters (`loss_interval`).
    """
    return math.sqrt(active * total)


def loss_interval(
    *, active: float, total: float, tokens: float, law: LossLaw = BESIROGLU_2024
) -> LossInterval:
    """Loss of a sparse model with its bracket: total (optimistic) to active (pessimistic) parameters."""
    return LossInterval(
        optimistic=loss(total, tokens, law),
        central=loss(effective_params(active, total), tokens, law),
        pessimistic=loss(active, tokens, law),
        law=law.name,
    )


def effective_tokens(tokens: float, unique_tokens: float, r_star: float = MUENNIGHOFF_R_STAR) -> float:
    """Unique-data equivalent of ``tokens`` drawn from ``unique_tokens``, repeats counted at a discount.

    Notes
    -----
    ``D' = U + U R* (1 - exp(-R / R*))`` with ``R = tokens / unique - 1`` repeats
    (Muennighoff et al. 2023, arXiv:2305.16264, eq. 5). Up to about four epochs cost little.
    """
    repeats = tokens / unique_tokens - 1.0
    if repeats <= 0.0:
        return tokens
    return unique_tokens * (1.0 - r_star * math.expm1(-repeats / r_star))


def tokens_per_active_parameter(tokens: float, active: float) -> float:
    """Tokens per active parameter [-], the usual measure of over-training (20 at Hoffmann's optimum)."""
    return tokens / active
