"""Numbers of a field are whole or not as the specs say, however they are written."""

from __future__ import annotations

import dataclasses

import pytest

from colossus_sim.errors import UsageError
from colossus_sim.loading.load import load_scenario
from colossus_sim.sweeps.candidates import Question, candidates, default_range
from colossus_sim.sweeps.condition import parse_condition
from colossus_sim.sweeps.kinds import FieldKind, field_kind
from colossus_sim.sweeps.quantities import meaning, numbers
from colossus_sim.sweeps.sampling import sample_points
from colossus_sim.sweeps.spec import Sample
from colossus_sim.sweeps.task import Player, Task


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("jobs.large.gpus", FieldKind(whole=True, gpus=True)),
        ("jobs.large.priority", FieldKind(whole=True)),
        ("jobs.large.parallel.global_batch_size", FieldKind(whole=True)),
        ("jobs.large.step_time_factor", FieldKind(whole=False)),
        ("jobs.large.phases.sft.tokens", FieldKind(whole=False)),
        ("jobs.large.model", None),
        ("jobs.large.nothing", None),
        ("", None),
    ],
)
def test_specs_say_what_is_whole(path: str, expected: FieldKind | None) -> None:
    """Counts and integers are, ratios and amounts are not; the rest holds no numbers."""
    assert field_kind(path) == expected


def asked(source: str, path: str, low: str, high: str) -> Question:
    """Return a question about a field."""
    condition = parse_condition("jobs.large.slip_days<=0", start=0.0)
    return Question(
        source=source, path=path, condition=condition, confidence=0.8, low=low, high=high, replicas=2
    )


def test_ratios_written_as_whole_numbers_move_continuously(fast_scenario: str) -> None:
    """Between 1 and 3 lie steps of one per cent, as between 1.0 and 3.0."""
    whole, real = (
        candidates(asked(fast_scenario, "jobs.large.step_time_factor", *ends))
        for ends in (("1", "3"), ("1.0", "3.0"))
    )
    assert whole == real
    assert not whole.whole
    assert len(whole.texts) > 100


def test_counts_may_have_a_unit(fast_scenario: str) -> None:
    """0.016k to 0.128k GPUs are 16 to 128; batches of 1k to 1.01k are 1000 to 1010."""
    path = "jobs.large.gpus"
    assert candidates(asked(fast_scenario, path, "0.016k", "0.128k")) == candidates(
        asked(fast_scenario, path, "16", "128")
    )
    batches = candidates(asked(fast_scenario, "jobs.large.parallel.global_batch_size", "1k", "1.01k"))
    assert batches.texts == [str(number) for number in range(1000, 1011)]
    assert batches.whole


@pytest.mark.parametrize(
    ("low", "high", "count", "second"),
    [
        ("2026-01-06", "2026-01-09T12:00", 5, "2026-01-07T00:00:00Z"),
        ("2026-01-06", "2026-01-06T14:00", 15, "2026-01-06T01:00:00Z"),
        ("2026-01-06", "2026-01-06T00:10", 11, "2026-01-06T00:01:00Z"),
    ],
)
def test_dates_stay_within_their_range(
    fast_scenario: str, low: str, high: str, count: int, second: str
) -> None:
    """Whole days, hours or minutes from the first, and the last itself."""
    found = candidates(asked(fast_scenario, "jobs.large.submit", low, high)).texts
    assert len(found) == count
    assert found[1] == second
    assert found[-1] == f"{high}:00Z"


def test_a_field_of_zero_has_no_default_range(fast_scenario: str) -> None:
    """A quarter and four times of nothing are nothing."""
    with pytest.raises(UsageError, match="is 0, which says nothing of a range"):
        default_range(
            load_scenario(fast_scenario, overrides=("jobs.large.priority=0",)), "jobs.large.priority"
        )


def drawn(path: str, low: object, high: object, count: int, source: str) -> list[float]:
    """Return what a Latin hypercube draws uniformly."""
    sample = Sample.model_validate(
        {"points": count, "ranges": {path: {"low": low, "high": high, "law": "uniform"}}}
    )
    return [float(point.values[path]) for point in sample_points(sample, 1, load_scenario(source))]


def test_uniform_whole_numbers_are_equally_likely(fast_scenario: str) -> None:
    """Each of 0 to 2 gets a third, not the ends half of the middle; no step is left out."""
    found = drawn("jobs.large.priority", 0, 2, 300, fast_scenario)
    assert [found.count(number) for number in (0, 1, 2)] == [100, 100, 100]
    assert len(set(drawn("jobs.large.priority", 10, 1000, 991, fast_scenario))) == 991


def test_real_numbers_are_drawn_between_whole_ends(fast_scenario: str) -> None:
    """A ratio between 1 and 2 takes as many values as are drawn."""
    assert len(set(drawn("jobs.large.step_time_factor", 1, 2, 50, fast_scenario))) == 50


def test_units_do_not_make_values_different() -> None:
    """Tokens by letters and by digits, shares with and without per cent."""
    for one, other in (
        ("100B", "0.1T"),
        ("100B", 100_000_000_000),
        ("5%", 0.05),
        ("64", "0.064k"),
        ("60 min", "1 h"),
    ):
        assert meaning(one) == meaning(other)
    assert meaning("5%") != meaning(5)


def test_a_kind_decides_over_the_way_of_writing() -> None:
    """1k of a whole field is 1000; whole ends of a real one have no step."""
    assert numbers(["1k", "1500"], FieldKind(whole=True)) is not None
    found, scale = numbers(["1k", 1500], FieldKind(whole=True)) or ([], None)
    assert found == [1000.0, 1500.0]
    assert scale is not None
    assert scale.text(1234.4) == "1234"
    assert dataclasses.asdict((numbers([1, 3], FieldKind(whole=False)) or ([], scale))[1])["step"] == 0


def test_errors_of_points_name_what_they_set(fast_scenario: str) -> None:
    """A value that cannot be run is named, not a ``--set`` that nobody gave; the user's own are named alike."""
    task = Task(
        index=0, point=0, replica=0, source=fast_scenario, case="central", seed=1,
        overrides=("jobs.large.priority=1", "jobs.large.gpus=100000"),
    )  # fmt: skip
    error = Player().play(task).error
    assert "--set" not in error
    assert "jobs.large.gpus=100000: jobs.large.gpus: wants" in error
