"""Golden summaries: each shipped scenario gives what it gave when its numbers were last accepted."""

from __future__ import annotations

import json
import math

import pytest

from tests.golden.play import HERE, SCENARIOS, differences, essentials, played


@pytest.mark.parametrize("name", SCENARIOS)
def test_summary_is_as_pinned(name: str) -> None:
    """Counts and dates are equal and floats agree to 1e-9; a change on purpose is pinned with a reason."""
    pinned = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    found = differences(pinned, essentials(played(name)))
    shown = "\n".join(found[:20])
    assert not found, (
        f'{len(found)} values changed; if on purpose: python -m tests.golden.repin "why"\n{shown}'
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_books_balance(name: str) -> None:
    """In every shipped scenario the GPU states add up to capacity and the causes of slip to the slip."""
    summary = played(name)
    assert math.fsum(summary["cluster"]["gpu_time_shares"].values()) == pytest.approx(1.0, abs=1e-9)
    for job in summary["jobs"]:
        if job["slip_days"] is not None:
            assert math.fsum(job["slip_causes"].values()) == pytest.approx(job["slip_days"], abs=1e-6)


def test_no_golden_without_scenario() -> None:
    """A scenario that is removed takes its golden summary with it."""
    assert sorted(path.stem for path in HERE.glob("*.json")) == list(SCENARIOS)


def test_differences_are_found() -> None:
    """A count that is off by one, a float off by 1e-8 and a lost key are each reported; 1e-12 is not."""
    old = {"count": 3, "share": 0.5, "date": "2026-01-01", "gone": None}
    new = {"count": 4, "share": 0.5 * (1 + 1e-8), "date": "2026-01-01"}
    assert [text.split(":")[0] for text in differences(old, new)] == [".gone", "count", "share"]
    assert not differences({"share": 0.5}, {"share": 0.5 * (1 + 1e-12)})
