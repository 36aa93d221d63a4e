"""Points of sweeps: combinations, samples, tornado."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from colossus_sim.cli.common import Settings
from colossus_sim.cli.sweep import make
from colossus_sim.errors import ScenarioError, UsageError
from colossus_sim.loading.facts import Assumption
from colossus_sim.loading.load import load_scenario
from colossus_sim.sweeps.candidates import usable_counts
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.points import make_points, shown
from colossus_sim.sweeps.quantities import numbers
from colossus_sim.sweeps.read import read_sweep, sweep_of_flags
from colossus_sim.sweeps.seeds import replica_seed
from colossus_sim.sweeps.spec import Vary
from colossus_sim.sweeps.view import sweep_view


def points(**vary: object) -> list[dict[str, str]]:
    """Return the values of the points of a `vary`."""
    made, _ = make_points(Vary.model_validate(vary), seed=1)
    return [point.values for point in made]


def test_grid_is_every_combination_in_order() -> None:
    """Two fields with two values each give four points, the last field fastest."""
    found = points(grid={"a": [1, 2], "b": ["x", "y"]})
    assert found == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}]


def test_zip_goes_together_and_combines_with_grid_and_list() -> None:
    """Zipped fields move together; grid, zip and list are combined."""
    found = points(grid={"a": [1, 2]}, zip={"b": [3, 4], "c": [5, 6]}, list=[{"d": 7}])
    assert found == [
        {"a": "1", "b": "3", "c": "5", "d": "7"},
        {"a": "1", "b": "4", "c": "6", "d": "7"},
        {"a": "2", "b": "3", "c": "5", "d": "7"},
        {"a": "2", "b": "4", "c": "6", "d": "7"},
    ]


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({}, "give grid, zip or list"),
        ({"zip": {"a": [1], "b": [1, 2]}}, "same number of values"),
        ({"grid": {"a": [1]}, "zip": {"a": [2]}}, "a is varied twice"),
        ({"grid": {"a": [1]}, "tornado": {}}, "tornado and changes alone"),
        ({"grid": {"b": [1], "a": [1, 2, 1.0, 1]}}, "the value 1.0 is there twice: it is 1"),
        ({"grid": {"a": ["60 min", "1 h"]}}, "the value 1 h is there twice: it is 60 min"),
        ({"grid": {"a": ["x", "x"]}}, "the value x is there twice$"),
        ({"list": [{"a": "5 min"}, {"a": "300 s"}]}, "two points are the same"),
        ({"grid": {"a.b": [1], "a.b.c": [2]}}, r"a\.b\.c lies within a\.b, which is varied too"),
        ({"grid": {"a.b[0]": [1]}, "list": [{"a.b.0": 2}]}, r"varied twice: a\.b"),
        ({"changes": {"x": {"a.b": 1, "a": {"b": 2}}}}, r"a\.b lies within a,"),
        ({"zip": {"a": [1, 2, 1], "b": [3, 4, 3]}}, "two points are the same"),
        ({"list": [{"a": 1}, {"b": 1}, {"a": 1}]}, "two points are the same"),
        ({"list": [{"a": 1}, {"seed": 2}]}, "seed cannot be varied"),
        ({"changes": {"other": {"seed": 2}}}, "seed cannot be varied"),
        ({"sample": {"points": 4, "ranges": {"seed": {"low": 1, "high": 9}}}}, "seed cannot be varied"),
        ({"tornado": {}}, "no assumption with a low and a high end"),
        ({"sample": {"points": 4, "ranges": {"a": {"low": 2, "high": 1}}}}, "low must be less than high"),
        ({"sample": {"points": 4, "ranges": {"a": {"low": "1 h", "high": "2 GB"}}}}, "of one kind"),
        ({"sample": {"points": 4, "ranges": {"a": {"low": 0, "high": 1, "law": "loguniform"}}}}, "above 0"),
        (
            {"sample": {"points": 4, "ranges": {"a": {"low": 0, "high": 1, "mode": 3}}}},
            "between low and high",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(vary: dict[str, object], words: str) -> None:
    """Every contradiction is an error in words."""
    with pytest.raises(UsageError, match=words):
        points(**vary)


def test_latin_hypercube_has_one_point_in_each_slice() -> None:
    """Of n points, each n-th of every range holds exactly one."""
    found = points(
        sample={"points": 20, "ranges": {"a": {"low": 0.0, "high": 1.0}, "b": {"low": "1 h", "high": "3 h"}}}
    )
    for name, low, width in (("a", 0.0, 1.0), ("b", 1.0, 2.0)):
        slices = sorted(int(20 * (float(point[name].removesuffix("h")) - low) / width) for point in found)
        assert slices == list(range(20))


def test_sobol_points_are_even_and_repeatable() -> None:
    """64 scrambled Sobol points put one into each of 64 slices, the same with the same seed."""
    asked = {"method": "sobol", "points": 64, "ranges": {"a": {"low": 0.0, "high": 1.0}}}
    found = points(sample=asked)
    assert sorted(int(64 * float(point["a"])) for point in found) == list(range(64))
    assert found == points(sample=asked)
    assert make_points(Vary.model_validate({"sample": asked}), seed=1)[1] == "sample"


def test_normal_law_has_its_ends_at_5_and_95_percent() -> None:
    """About 90 % of a normal sample lies between the ends."""
    found = points(sample={"points": 200, "ranges": {"a": {"low": 1.0, "high": 3.0, "law": "normal"}}})
    values = [float(point["a"]) for point in found]
    assert sum(1.0 <= value <= 3.0 for value in values) == pytest.approx(180, abs=2)
    assert math.fsum(values) / 200 == pytest.approx(2.0, abs=0.01)


def test_texts_that_look_like_numbers_keep_their_quotes() -> None:
    """A text such as '1e5' stays a text when it is written as an override."""
    assert shown("1e5") == '"1e5"'
    assert shown("true") == '"true"'
    assert shown("80 GB") == "80 GB"
    assert shown([1, "a"]) == '[1, "a"]'


def test_quantities_of_different_units_are_put_on_one_scale() -> None:
    """12 h and 2 days are 12 and 48 hours; hours and bytes have no common scale."""
    found = numbers(["12 h", "2 days"])
    assert found is not None
    assert found[0] == [12.0, 48.0]
    assert found[1].text(36.0) == "36h"
    assert numbers(["12 h", "2 GB"]) is None
    assert numbers(["selective", "full"]) is None


def test_whole_numbers_keep_to_whole_racks() -> None:
    """Counts that are multiples of 72 with a wide range stay multiples of 72."""
    found = numbers([66024, 90000, 115200])
    assert found is not None
    assert int(found[1].text(80000.0)) % 72 == 0


def test_dates_are_numbers_too() -> None:
    """The middle of two dates is a date."""
    found = numbers(["2026-01-01", "2026-01-03"])
    assert found is not None
    assert found[1].text(sum(found[0]) / 2) == "2026-01-02T00:00:00Z"


def test_flags_read_values_like_set() -> None:
    """--set-grid path=v1,v2 reads each value as YAML, quantities included."""
    made = sweep_of_flags("tiny", grid=["a.b=1,2 h,[3]"])
    assert made.spec.vary.grid == {"a.b": (1, "2 h", (3,))}
    with pytest.raises(UsageError, match="--set-grid"):
        sweep_of_flags("tiny", grid=["a.b"])


def test_sweep_file_is_checked_with_places(tmp_path: Path) -> None:
    """A misspelt key and a wrong type are named with file, line and the nearest key."""
    path = tmp_path / "s.yaml"
    path.write_text("version: 1\nscenario: tiny\nreplica: 3\nvary:\n  grid: {a: 1}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        read_sweep(str(path))
    text = str(caught.value)
    assert "s.yaml:3:1" in text
    assert "'replicas'" in text
    assert "s.yaml:5:13" in text


def test_shipped_sweeps_are_readable() -> None:
    """Every shipped sweep file gives points whose first can be loaded."""
    for path in sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml")):
        made = read_sweep(path.stem)
        base = load_scenario(made.source)
        found, _ = make_points(made.spec.vary, seed=1, assumptions=base.loaded.assumptions)
        load_scenario(made.source, overrides=found[0].overrides)


def test_changes_are_played_alone_after_the_scenario_as_it_is() -> None:
    """First no override, then those of each named change."""
    vary = Vary.model_validate({"changes": {"faster": {"a.b": "1 min", "c": 2}, "less": {"d": None}}})
    made, kind = make_points(vary, seed=1)

    assert kind == "changes"
    assert [point.values["change"] for point in made] == ["as it is", "faster", "less"]
    assert [point.overrides for point in made] == [(), ("a.b=1 min", "c=2"), ("d=null",)]


def test_tornado_moves_one_assumption_at_a_time() -> None:
    """The first point is central, then low and high of each assumption that has a range."""
    known = [
        Assumption(path="a.x", low=1, central=2, high=3, chosen="central"),
        Assumption(path="a.y", low=5, central=5, high=5, chosen="central"),
        Assumption(path="b.z", low="1 h", central="2 h", high="4 h", chosen="central"),
    ]
    made, kind = make_points(Vary.model_validate({"tornado": {}}), seed=1, assumptions=known)
    assert kind == "tornado"
    assert [point.overrides for point in made] == [(), ("a.x=1",), ("a.x=3",), ("b.z=1 h",), ("b.z=4 h",)]
    with pytest.raises(UsageError, match="no assumption whose path begins with 'c'"):
        make_points(Vary.model_validate({"tornado": {"assumptions": ["c"]}}), seed=1, assumptions=known)


def test_replica_seeds_start_at_the_scenarios_own() -> None:
    """The first replica is the run that `run` makes; seeds stay below their limit."""
    assert [replica_seed(7, k) for k in range(3)] == [7, 8, 9]
    assert replica_seed(2**63 - 1, 1) == 0


SAMPLED = (
    "version: 1\nscenario: tiny\nset:\n  {fixed}\nvary:\n  sample:\n    points: 4\n    ranges:\n      {law}\n"
)


@pytest.mark.parametrize(
    ("law", "place", "words"),
    [
        ("faults.restart.base: {low: 2 h, high: 5 min}", "9:34: vary.sample.ranges.faults.restart.base.low",
         "low must be less than high"),
        ("faults.restart.base: {low: 2 min, high: 5 min, mode: 3 min}", "9:60:", "belongs to the triangular law"),
        ("faults.restart.base: {low: 0 min, high: 5 min, law: loguniform}", "9:34:", "above 0"),
        ("faults.restart.base: {low: 2 min, high: 8 min, law: normal}", "9:7: vary.sample.ranges.faults.",
         "goes beyond -"),
        ("seed: {low: 1, high: 5}", "9:7: vary.sample.ranges.seed", "cannot be varied"),
    ],
)  # fmt: skip
def test_what_a_sweep_file_varies_is_refused_with_its_place(
    tmp_path: Path, law: str, place: str, words: str
) -> None:
    """An error of meaning names file, line and field, like an error of form."""
    path = tmp_path / "s.yaml"
    path.write_text(SAMPLED.format(fixed="seed: 3", law=law), encoding="utf-8")
    with pytest.raises(ScenarioError, match=words) as caught:
        make(read_sweep(str(path)), Settings(), None)
    assert f"s.yaml:{place}" in str(caught.value)


def test_a_normal_law_inside_the_bounds_of_its_field_is_played(tmp_path: Path) -> None:
    """Ends that are near each other against their middle leave nothing to refuse."""
    path = tmp_path / "s.yaml"
    law = "faults.restart.base: {low: 4 min, high: 5 min, law: normal}"
    path.write_text(SAMPLED.format(fixed="seed: 3", law=law), encoding="utf-8")
    assert make(read_sweep(str(path)), Settings(), None).kind == "sample"


def test_what_a_sweep_file_sets_is_refused_with_its_place(tmp_path: Path) -> None:
    """An error under ``set`` is the file's; one of --set keeps its own number."""
    path = tmp_path / "s.yaml"
    law = "faults.restart.base: {low: 2 min, high: 5 min}"
    path.write_text(SAMPLED.format(fixed="jobs.large.gpusx: 3", law=law), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"s\.yaml:4:21: jobs\.large\.gpusx: unknown key"):
        make(read_sweep(str(path)), Settings(), None)
    path.write_text(SAMPLED.format(fixed="seed: 3", law=law), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"--set #1: jobs\.large\.gpusy: unknown key"):
        make(read_sweep(str(path)), Settings(overrides=("jobs.large.gpusy=1",)), None)


@pytest.mark.parametrize(
    ("vary", "place"),
    [
        ("grid: {jobs.large.gpus: [x, 128]}", "4:10"),
        ("zip: {jobs.large.gpus: [x, 128, x], jobs.small.gpus: [64, 32, 32]}", "4:9"),
        ("list: [{jobs.large.gpus: x}]", "4:11"),
        ("changes: {less: {jobs.large.gpus: 64}, none: {jobs.large.gpus: x}}", "4:49"),
    ],
)
def test_a_point_that_cannot_be_loaded_is_refused_with_its_place(
    tmp_path: Path, vary: str, place: str
) -> None:
    """The message names the line that varies the field, and the point."""
    path = tmp_path / "s.yaml"
    path.write_text(f"version: 1\nscenario: tiny\nvary:\n  {vary}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        make(read_sweep(str(path)), Settings(), None)
    assert f"s.yaml:{place}: point with jobs.large.gpus=x: jobs.large.gpus: " in str(caught.value)


def test_dates_are_drawn_as_days_after_the_start(tmp_path: Path) -> None:
    """A field of dates has an axis that people can read; other fields keep their unit."""
    law = "{jobs.small.submit: {low: 2026-01-05, high: 2026-01-09}, faults.restart.base: {low: 1 min, high: 1 h}}"
    path = tmp_path / "s.yaml"
    path.write_text(SAMPLED.format(fixed="seed: 3", law=law).replace("\n      {", " {"), encoding="utf-8")
    dates, restart = sweep_view(make(read_sweep(str(path)), Settings(), None), {}, ()).parameters
    assert (dates.unit, restart.unit) == ("days after the start", "min")
    assert dates.numbers is not None
    assert sorted(int(days) for days in dates.numbers) == [0, 1, 2, 3]


def made_of(tmp_path: Path, text: str, **settings: Any) -> Plan:
    """Return the plan of a sweep file."""
    path = tmp_path / "s.yaml"
    path.write_text(f"version: 1\nscenario: tiny\n{text}\n", encoding="utf-8")
    return make(read_sweep(str(path)), Settings(**settings), None)


def test_the_case_of_the_command_line_overrules_that_of_the_file(tmp_path: Path) -> None:
    """Central, too, if it is given; without one the file's counts."""
    text = "case: high\nvary: {grid: {jobs.large.gpus: [64, 128]}}"
    assert made_of(tmp_path, text).case == "high"
    assert made_of(tmp_path, text, case="central", case_given=True).case == "central"
    assert made_of(tmp_path, text, case="low", case_given=True).case == "low"


def test_a_tornado_starts_from_the_central_case_alone(tmp_path: Path) -> None:
    """Its bars are changes from central: another case is refused, by its place or its option."""
    with pytest.raises(ScenarioError, match=r"s\.yaml:3:\d+: case: a tornado moves each assumption from"):
        made_of(tmp_path, "case: high\nvary: {tornado: {}}")
    with pytest.raises(UsageError, match=r"^--case low: a tornado moves"):
        made_of(tmp_path, "vary: {tornado: {}}", case="low", case_given=True)


def test_a_varied_field_is_not_set_as_well(tmp_path: Path) -> None:
    """Neither by the file nor by --set, in any spelling; where only some points give it, the set value counts."""
    path = '"checkpoint.tiers[0].interval"'
    vary = f"vary: {{grid: {{{path}: [5 min, 1 h]}}}}"
    with pytest.raises(ScenarioError, match="varied and set as well"):
        made_of(tmp_path, f"set: {{{path}: 2 h}}\n{vary}")
    with pytest.raises(ScenarioError, match="varied and set as well"):
        made_of(tmp_path, vary, overrides=("checkpoint.tiers.0.interval=2 h",))
    some = f"vary: {{list: [{{}}, {{{path}: 5 min}}]}}"
    assert len(made_of(tmp_path, f"set: {{{path}: 2 h}}\n{some}").points) == 2


def test_sampled_gpus_are_counts_that_the_plan_can_use(tmp_path: Path) -> None:
    """Every point can be loaded: jobs of tiny split each copy of the model over several GPUs."""
    plan = made_of(tmp_path, "vary: {sample: {points: 16, ranges: {jobs.small.gpus: {low: 32, high: 96}}}}")
    usable = usable_counts(plan.scenario, "small", 32, 96)
    counts = [int(point.values["jobs.small.gpus"]) for point in plan.points]
    assert len(usable) < 96 - 32 + 1
    assert set(counts) <= set(usable)
    assert len(set(counts)) > 8
    with pytest.raises(ScenarioError, match="no number of GPUs between 33 and 33"):
        made_of(tmp_path, "vary: {sample: {points: 2, ranges: {jobs.small.gpus: {low: 33, high: 33.5}}}}")
