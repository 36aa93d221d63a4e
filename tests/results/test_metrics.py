"""Metrics of the hand-made run, against numbers from paper."""

from __future__ import annotations

import math

import pytest

from colossus_sim.formulas.scaling_laws import loss
from colossus_sim.formulas.transformer import count_parameters
from colossus_sim.records import RunResult
from colossus_sim.results.ledger import Ledger, build_ledger
from colossus_sim.results.metrics import (
    CLUSTER_METRICS,
    METRICS,
    cluster_metrics,
    failures_by_kind,
    job_metrics,
)


@pytest.fixture(scope="module")
def ledger(hand_run: RunResult) -> Ledger:
    """The books of the hand-made run."""
    return build_ledger(hand_run)


ALPHA = {
    # 400 GPUs x 3.05 productive days at 0.4, 100 GPUs x 1.5 days at 0.3
    "mfu": (0.4 * 400 * 3.05 + 0.3 * 150) / (400 * 3.05 + 150),
    # 400 GPUs held for 4 days, 100 GPUs for 1.5
    "mfu_overall": (0.4 * 400 * 3.05 + 0.3 * 150) / (400 * 4 + 150),
    "mfu_modelled": 0.42,
    "goodput": (1220 + 150) / (1680 + 150),
    # planned 4.25 + slower 0.3 + contention 0.2 + degraded 0.2 of 8 days, without 0.5 data and 1 calendar
    "ettr": 4.95 / 6.5,
    "interruptions": 1,
    "saves": 7,
    "lost_work_days": 0.25,
    "lost_work_gpu_days": 100,
    "gpu_days": 1830,
    "tokens": 1e12,
    "steps": 320,
    "wall_clock_days": 7,
    "queue_wait_days": 1,
    # 1830 GPU-days at 400 W or more; 600 W on top of it for the 1500 of its steps and saves, and for the 150 of the
    # other phase as for 100, as its clocks were lowered; times PUE 1.2
    "energy_MWh": 1.2 * 24 * (1830 * 400 + 1600 * 600) / 1e6,
}
CLUSTER = {
    "capacity_gpu_days": 9000,
    "allocated": 3930 / 9000,
    "busy": (3320 + 80 + 80 + 100) / 9000,
    "productive": 3320 / 9000,
    "energy_MWh": 1.2 * 24 * (9000 * 400 + (1600 + 1950) * 600) / 1e6,
    "mean_power_MW": 1.2 * (9000 * 400 + (1600 + 1950) * 600) / 1e7,
    "peak_power_MW": 2,
    "failures": 3,
    "mean_queue_wait_days": 1,
    "max_queue_wait_days": 1,
}


@pytest.mark.parametrize("name", ALPHA)
def test_job_metric(ledger: Ledger, name: str) -> None:
    """Each metric of job alpha has the value computed by hand."""
    assert job_metrics(ledger.jobs["alpha"])[name] == pytest.approx(ALPHA[name], rel=1e-9)


@pytest.mark.parametrize("name", CLUSTER)
def test_cluster_metric(ledger: Ledger, name: str) -> None:
    """Each metric of the cluster has the value computed by hand."""
    assert cluster_metrics(ledger)[name] == pytest.approx(CLUSTER[name], rel=1e-9)


def test_every_metric_is_tried_and_documented() -> None:
    """No metric is registered without a test here and a formula in words."""
    losses = {"predicted_loss_low", "predicted_loss", "predicted_loss_high"}
    assert set(METRICS) == set(ALPHA) | losses
    assert set(CLUSTER_METRICS) == set(CLUSTER)
    for metric in (*METRICS.values(), *CLUSTER_METRICS.values()):
        assert len(metric.formula) > 10
        assert (metric.of_job is None) != (metric.of_cluster is None)


def test_mfu_times_losses_is_overall_mfu(ledger: Ledger) -> None:
    """A job on one phase with full GPUs: overall MFU = MFU x productive share of the time held."""
    values = job_metrics(ledger.jobs["beta"])
    assert values["mfu"] == pytest.approx(0.5)
    assert values["mfu_overall"] == pytest.approx(0.5 * 6.5 / 7.0)


def test_predicted_loss_of_a_dense_model_is_a_point_of_the_law(ledger: Ledger) -> None:
    """Active and total parameters agree, so the interval closes on the law at the tokens kept."""
    job = ledger.jobs["beta"]
    expected = loss(count_parameters(job.spec.model).total, 1.2e12)
    values = job_metrics(job)
    for name in ("predicted_loss_low", "predicted_loss", "predicted_loss_high"):
        assert values[name] == pytest.approx(expected, rel=1e-12)


def test_metrics_that_are_not_defined_are_nan(hand_run_with) -> None:
    """A job that never ran has no MFU, goodput, ETTR or loss."""
    run = hand_run_with(beta_submit="2026-01-15")
    values = job_metrics(build_ledger(run).jobs["beta"])
    for name in ("mfu", "mfu_overall", "mfu_modelled", "goodput", "ettr", "predicted_loss"):
        assert math.isnan(values[name])
    assert values["gpu_days"] == 0
    assert values["wall_clock_days"] == 0


def test_failures_are_counted_by_class(ledger: Ledger) -> None:
    """Failures in idle nodes count too; other events do not."""
    assert failures_by_kind(ledger) == {"gpu": 2, "nic": 1}
