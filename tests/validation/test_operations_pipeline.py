"""The player of AIReSim's repair pipeline: its published figures, and worlds with a known answer."""

from __future__ import annotations

import pytest

from colossus_sim.validation.operations_pipeline import Pipeline, pipeline_cases, play_pipeline

_DAY = 86400.0


def test_published_means_are_met_within_four_standard_errors() -> None:
    """Time, effective ratio and counts of both published reports, with the error of both sides below 0.2 %."""
    cases = list(pipeline_cases(8, 5))

    assert [(item.name, item.z) for item in cases if not item.passed] == []
    assert [item.expected for item in cases if item.name.endswith("wall-clock time")] == [9865.97, 9832.32]
    assert all(item.half_width < 0.005 for item in cases if item.name.endswith(("time", "ratio")))


def test_the_wrong_rule_for_the_manual_stage_is_told_apart() -> None:
    """The choices of servers of one rule lie many standard errors from those of the other."""
    by_rule = [item for item in pipeline_cases(8, 5) if item.name.endswith("choices of servers")]

    assert abs(by_rule[0].simulated - by_rule[1].expected) > 10 * by_rule[0].error


def test_good_servers_with_endless_standbys_follow_the_renewal_formula() -> None:
    """Without bad servers each failure costs one recovery, and there is one choice of servers."""
    spec = Pipeline(bad_share=0.0, automatic=1e-3, to_manual=0.0)
    runs = [play_pipeline(spec, seed) for seed in range(4)]

    for run in runs:
        assert run.elapsed == pytest.approx(spec.work + run.failures * spec.recovery + spec.selection)
        assert (run.selections, run.preemptions, run.manual_repairs) == (1, 0, 0)
    mean = sum(run.failures for run in runs) / len(runs)
    expected = spec.work * spec.servers * spec.failure_rate
    assert abs(mean - expected) < 4 * (expected / len(runs)) ** 0.5


def test_repairs_that_never_mend_keep_bad_servers_bad() -> None:
    """All servers bad and no repair that works: six times the failures of good ones."""
    good = Pipeline(bad_share=0.0, work=20 * _DAY, automatic=1e-3, to_manual=0.0)
    bad = Pipeline(bad_share=1.0, work=20 * _DAY, automatic=1e-3, to_manual=0.0, automatic_fails=1.0)

    ratio = play_pipeline(bad, 3).failures / play_pipeline(good, 3).failures
    assert ratio == pytest.approx(6.0, rel=4 * (1 / 800 + 1 / 4900) ** 0.5)


def test_a_job_without_whole_servers_waits_for_the_next_repair() -> None:
    """No standbys and no spares: every failure waits for its own repair, here of two days by hand."""
    spec = Pipeline(
        servers=10, standbys=0, pool=10, spares=0, bad_share=0.0, failure_rate=1 / _DAY, work=100 * _DAY,
        to_manual=1.0,
    )  # fmt: skip
    run = play_pipeline(spec, 1)

    assert run.selections == run.failures + 1
    waited = run.elapsed - spec.work - run.failures * spec.recovery - run.selections * spec.selection
    assert waited / run.failures == pytest.approx(2 * _DAY + 7200.0, rel=0.15)


def test_too_few_servers_are_refused() -> None:
    """A pool that can never fill the job is an error, not an endless wait."""
    with pytest.raises(ValueError, match="fewer than servers"):
        play_pipeline(Pipeline(pool=100, spares=100), 1)


def test_runs_are_repeatable() -> None:
    """The same seed gives the same run, another seed another."""
    spec = Pipeline(work=5 * _DAY)

    assert play_pipeline(spec, 1) == play_pipeline(spec, 1)
    assert play_pipeline(spec, 1) != play_pipeline(spec, 2)
