"""Scaling laws against published optima and worked tables."""

from __future__ import annotations

import pytest

from colossus_sim.formulas import scaling_laws as laws


@pytest.mark.parametrize(
    ("flops", "params", "tokens", "loss"),
    [
        (1e25, 312e9, 5.3e12, 1.912),
        (1e26, 1.02e12, 16.4e12, 1.880),
        (1e27, 3.3e12, 50e12, 1.859),
        (1e28, 10.8e12, 155e12, 1.845),
    ],
)
def test_optimum_of_the_refit(flops: float, params: float, tokens: float, loss: float) -> None:
    """Parameters, tokens and loss of the compute optimum under Besiroglu et al. 2024."""
    best = laws.compute_optimum(flops)

    assert best.params == pytest.approx(params, rel=0.01)
    assert best.tokens == pytest.approx(tokens, rel=0.01)
    assert best.loss == pytest.approx(loss, abs=5e-4)


@pytest.mark.parametrize(
    ("flops", "params", "tokens", "loss"),
    [
        (1e25, 117e9, 14.3e12, 1.845),
        (1e26, 330e9, 50e12, 1.799),
        (1e27, 0.94e12, 178e12, 1.767),
        (1e28, 2.6e12, 630e12, 1.744),
    ],
)
def test_optimum_of_the_rounded_constants(flops: float, params: float, tokens: float, loss: float) -> None:
    """The constants as printed by Hoffmann et al. 2022 give ten times as many tokens per parameter."""
    best = laws.compute_optimum(flops, laws.HOFFMANN_2022)

    assert best.params == pytest.approx(params, rel=0.02)
    assert best.tokens == pytest.approx(tokens, rel=0.01)
    assert best.loss == pytest.approx(loss, abs=5e-4)


@pytest.mark.parametrize("law", [laws.BESIROGLU_2024, laws.HOFFMANN_2022])
def test_no_other_split_of_the_budget_beats_the_optimum(law: laws.LossLaw) -> None:
    """A little more or less model for the same compute is worse."""
    best = laws.compute_optimum(1e24, law)

    assert best.params * best.tokens * 6.0 == pytest.approx(1e24)
    for factor in (0.9, 1.1):
        assert laws.loss(best.params * factor, best.tokens / factor, law) > best.loss


def test_chinchilla_is_near_its_own_optimum() -> None:
    """70B on 1.4T tokens is within 0.002 nats of the refit's optimum of the same compute."""
    chinchilla = laws.loss(70e9, 1.4e12)

    assert chinchilla - laws.compute_optimum(6.0 * 70e9 * 1.4e12).loss < 0.002


@pytest.mark.parametrize(
    ("total", "active", "tokens", "expected"),
    [
        (1e12, 100e9, 30e12, (1.914, 1.890, 1.874)),
        (1.5e12, 150e9, 30e12, (1.904, 1.884, 1.870)),
        (6e12, 600e9, 60e12, (1.875, 1.862, 1.854)),
        (10e12, 1e12, 60e12, (1.869, 1.858, 1.851)),
    ],
)
def test_loss_interval_of_sparse_models(
    total: float, active: float, tokens: float, expected: tuple[float, float, float]
) -> None:
    """Pessimistic by active, central by effective, optimistic by total parameters."""
    found = laws.loss_interval(active=active, total=total, tokens=tokens)

    assert (found.pessimistic, found.central, found.optimistic) == pytest.approx(expected, abs=6e-4)
    assert found.law == "besiroglu_2024"


@pytest.mark.parametrize(("params", "tokens", "expected"), [(405e9, 15.6e12, 1.893), (10e12, 200e12, 1.844)])
def test_loss_of_dense_models(params: float, tokens: float, expected: float) -> None:
    """Llama 3 405B and the dense 10T what-if."""
    assert laws.loss(params, tokens) == pytest.approx(expected, abs=6e-4)


def test_effective_parameters_of_a_dense_model_are_its_parameters() -> None:
    """The bracket closes where active and total are the same."""
    assert laws.effective_params(7e9, 7e9) == pytest.approx(7e9)
    assert laws.effective_params(1e11, 1e12) == pytest.approx(3.162e11, rel=1e-3)


@pytest.mark.parametrize(
    ("tokens", "unique", "expected"),
    [(60e12, 30e12, 59.0e12), (60e12, 15e12, 55.9e12), (120e12, 30e12, 111.8e12), (20e12, 30e12, 20e12)],
)
def test_repeated_data_counts_a_little_less(tokens: float, unique: float, expected: float) -> None:
    """Two passes over 30T count as 59.0T; up to four passes are nearly free."""
    assert laws.effective_tokens(tokens, unique) == pytest.approx(expected, rel=2e-3)


def test_repeating_for_ever_reaches_a_ceiling() -> None:
    """No number of passes is worth more than 1 + R* unique passes."""
    assert laws.effective_tokens(1e16, 1e12) == pytest.approx(
        1e12 * (1.0 + laws.MUENNIGHOFF_R_STAR), rel=1e-9
    )


def test_tokens_per_active_parameter() -> None:
    """DeepSeek-V3 saw 400 tokens per active parameter."""
    assert laws.tokens_per_active_parameter(14.8e12, 37e9) == pytest.approx(400.0)
