"""The comparisons of operations: statistics, verdicts, and a quick run of every group."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from colossus_sim.validation import operations, operations_queues
from colossus_sim.validation.operations_report import document, markdown
from colossus_sim.validation.operations_stats import Case, mean_and_error, ratio_and_error


def case(**fields: object) -> Case:
    """A comparison that differs from a simple one as said."""
    base = {"name": "x", "source": "s", "kind": "theory", "simulated": 1.0, "expected": 1.1, "error": 0.05}
    return Case(**(base | fields))  # type: ignore[arg-type]


def test_verdicts_follow_their_kind() -> None:
    """Standard errors for theory, a tolerance for exact figures, one side for bounds, two for ranges."""
    assert case().passed
    assert not case(error=0.02).passed
    assert not case(kind="exact").passed
    assert case(kind="exact", tolerance=0.2).passed
    assert not case(kind="bound").passed
    assert case(kind="range", expected=0.5, upper=1.0).passed
    assert not case(kind="range", expected=0.5, upper=0.9).passed


def test_free_recovery_would_fail_the_bound_from_below_only() -> None:
    """A bound does not call a figure above it wrong; that is why other cases are two-sided."""
    assert case(kind="bound", simulated=1.0, expected=0.9).passed


def test_standard_errors() -> None:
    """Mean of 1..5 has the error sqrt(2.5 / 5); a constant ratio has none."""
    assert mean_and_error([1, 2, 3, 4, 5]) == (3.0, pytest.approx(math.sqrt(0.5)))
    assert ratio_and_error([(2.0, 4.0)] * 100) == (0.5, 0.0)


def test_machine_repair_with_hands_enough_is_binomial() -> None:
    """Each unit is down for its own share of the time."""
    assert operations_queues.machine_repair(16, 1.0, 4.0, 16) == pytest.approx(16 * 0.2)
    assert operations_queues.machine_repair(1, 1.0, 4.0, 1) == pytest.approx(0.2)


def test_theory_holds_with_few_failures() -> None:
    """Renewal, arrivals and machine repair within four standard errors."""
    cases = [
        *operations.renewal_cases(500, 3),
        *operations.arrival_cases(500, 3),
        *operations_queues.repair_cases(2000, 3),
    ]

    assert [item.name for item in cases if not item.passed] == []
    assert document(cases)["passed"]
    assert markdown(cases).count("\n| ") == len(cases) + 1


def test_processes_give_the_same_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of cases that processes share come out as one process plays them, in the same order."""
    groups = [
        partial(operations.arrival_cases, 300, 5),
        operations.aupy_cases,
        partial(operations.size_cases, 100, 5),
    ]
    monkeypatch.setattr(operations, "_groups", lambda quick, seed: groups)
    alone = operations.run_cases()
    assert len(alone) > 10
    assert repr(operations.run_cases(jobs=2)) == repr(alone)  # some hold NaN


def test_the_table_of_periods_is_met_by_the_formulas() -> None:
    """Thirty published periods within 0.2 percent, and not within a hundredth of that."""
    worst = [item.simulated for item in operations.aupy_cases()]

    assert max(worst) < 0.002
    assert max(worst) > 0.0005


def test_spares_and_waits_follow_queueing_theory() -> None:
    """The share of time with all nodes, and the waits of one server, with few failures and jobs."""
    cases = [*operations_queues.spare_cases(1500, 2)]
    steps = operations_queues.lindley_waits(np.array([0.0, 1.0, 2.0, 9.0]), np.array([3.0, 1.0, 1.0, 1.0]))

    assert [item.name for item in cases if not item.passed] == []
    assert steps.tolist() == [0.0, 2.0, 2.0, 0.0]
