"""Scenarios changed in Python: what they say of themselves, and what is refused."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colossus_sim import Scenario, ScenarioError, UsageError, load_run, load_scenario, simulate
from colossus_sim.loading.files import names_in, shipped_folder
from colossus_sim.loading.written import facts_that_hold, resolved_tree, written


def with_gpus(scenario: Scenario, gpus: Any) -> Scenario:
    """Return a copy with other GPUs of the small job, made without `with_overrides`."""
    job = scenario.jobs["small"].model_copy(update={"gpus": gpus})
    return scenario.model_copy(update={"jobs": {**scenario.jobs, "small": job}})


def test_a_changed_copy_does_not_say_how_the_original_was_loaded() -> None:
    """Copies with changed fields forget; equal copies, deep copies and pickles remember."""
    scenario = load_scenario("tiny", case="high")
    assert with_gpus(scenario, 32).loaded is None
    assert with_gpus(scenario, 32).case == "high"
    same = (scenario.model_copy(), scenario.model_copy(deep=True), copy.copy(scenario), copy.deepcopy(scenario),
            pickle.loads(pickle.dumps(scenario)))  # fmt: skip
    for other in same:
        assert other.loaded.source == "tiny"
        assert facts_that_hold(other) == scenario.loaded


def test_jobs_changed_in_place_are_noticed() -> None:
    """The mapping of jobs of a frozen scenario can be written to; then the facts no longer hold."""
    scenario = load_scenario("tiny").model_copy(deep=True)
    scenario.jobs["small"] = scenario.jobs["small"].model_copy(update={"gpus": 32})
    assert facts_that_hold(scenario) is None
    assert simulate(scenario).manifest["command"] == ""


@pytest.mark.parametrize("name", names_in(shipped_folder("scenarios")))
def test_every_scenario_is_written_as_the_file_that_says_the_same(name: str) -> None:
    """Fields written with units and read again are equal to the last bit."""
    scenario = load_scenario(name)
    again = Scenario.model_validate(json.loads(json.dumps(written(scenario))))
    assert dict(again) == dict(scenario)


def test_what_cannot_be_read_back_is_not_written() -> None:
    """A moment between two microseconds would come back as another one."""
    scenario = load_scenario("tiny")
    assert resolved_tree(scenario.model_copy(update={"start": scenario.start + 2.0**-22})) is None
    assert resolved_tree(scenario) is not None


def test_the_run_folder_of_a_changed_copy_is_truthful(tmp_path: Path) -> None:
    """It holds the changed scenario and names no command; what the folder holds gives the same run."""
    changed = with_gpus(load_scenario("tiny"), 32)
    result = simulate(changed)
    result.save(tmp_path / "run")
    assert result.summary()["jobs"][1]["gpus"] == 32
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (document["command"], document["overrides"], document["inputs"]) == ("", [], [])
    assert "no command makes it again" in document["note"]
    assert "no command makes it again" in (tmp_path / "run" / "report.md").read_text()
    again = load_run(tmp_path / "run").scenario
    assert again.jobs["small"].gpus == 32
    assert simulate(again).summary() == result.summary()


@pytest.mark.parametrize(("gpus", "said"), [(-5, "must not be negative"), ("x", "expected a count")])
def test_a_wrong_change_is_refused_like_a_file(gpus: Any, said: str) -> None:
    """Copies are not checked, but nothing is simulated before they are."""
    with pytest.raises(ScenarioError, match=rf"jobs\.small\.gpus: .*{said}"):
        simulate(with_gpus(load_scenario("tiny"), gpus))


def test_a_misspelt_change_is_refused() -> None:
    """model_copy takes any name; a run that ignores it would be the run before."""
    scenario = load_scenario("tiny")
    job = scenario.jobs["small"].model_copy(update={"gpu": 32})
    with pytest.raises(ScenarioError, match="unknown key 'gpu'; did you mean 'gpus'"):
        simulate(scenario.model_copy(update={"jobs": {**scenario.jobs, "small": job}}))


def test_overrides_are_added_to_those_before(tmp_path: Path) -> None:
    """The new scenario is the one that all overrides together give, with case, seed and command."""
    first = load_scenario("tiny", overrides=["jobs.large.gpus=128"], case="low", seed=7)
    second = first.with_overrides("jobs.small.gpus=32", {"faults.enabled": False})
    texts = ["jobs.large.gpus=128", "jobs.small.gpus=32", "faults.enabled=false"]
    fresh = load_scenario("tiny", overrides=texts, case="low", seed=7)
    assert (second.loaded, dict(second)) == (fresh.loaded, dict(fresh))
    folder = simulate(second).save(tmp_path / "run")
    document = json.loads((folder / "run.json").read_text())
    assert document["command"].endswith(
        "run tiny --seed 7 --case low --set jobs.large.gpus=128 --set jobs.small.gpus=32 "
        "--set faults.enabled=false"
    )
    assert load_run(folder).scenario.jobs["small"].gpus == 32


def test_overrides_of_a_changed_copy_keep_its_changes() -> None:
    """What was changed in Python stays; the new scenario has no files either, and is checked."""
    changed = with_gpus(load_scenario("tiny", case="low"), 32)
    second = changed.with_overrides("jobs.large.gpus=128")
    assert (second.jobs["small"].gpus, second.jobs["large"].gpus) == (32, 128)
    assert (second.loaded, second.case) == (None, "low")
    with pytest.raises(ScenarioError, match=r"jobs\.large\.gpus"):
        changed.with_overrides("jobs.large.gpus=-1")


@pytest.mark.parametrize(
    "overrides",
    [
        "jobs.large.gpus=64",
        ("jobs.large.gpus=64",),
        {"jobs.large.gpus": 64},
        {"jobs.large.gpus": np.int64(64)},
    ],
)
def test_overrides_are_one_text_several_or_a_mapping(overrides: Any) -> None:
    """All forms of one override mean the same."""
    loaded = load_scenario("tiny", overrides=overrides)
    assert loaded.jobs["large"].gpus == 64
    assert loaded.loaded.overrides == ("jobs.large.gpus=64",)


def test_texts_of_a_mapping_stay_texts() -> None:
    """Words that YAML reads as something else are quoted; quantities are not."""
    loaded = load_scenario("tiny", overrides={"title": "true", "question": "a: b", "horizon": "90 days"})
    assert (loaded.title, loaded.question) == ("true", "a: b")
    assert loaded.loaded.overrides == ('title="true"', 'question="a: b"', "horizon=90 days")


@pytest.mark.parametrize("overrides", [[64], {"jobs.large.gpus": object()}])
def test_other_overrides_are_refused(overrides: Any) -> None:
    """An override that is no text, or cannot become one, is an error of the call."""
    with pytest.raises(UsageError, match="override"):
        load_scenario("tiny", overrides=overrides)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "3", True])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    """Anything else is refused in words."""
    with pytest.raises(UsageError, match="seed must be a whole number"):
        simulate(load_scenario("tiny"), seed=seed)


def test_only_scenarios_are_simulated() -> None:
    """A name is answered with how to load it; a numpy seed is a seed."""
    with pytest.raises(UsageError, match="load_scenario"):
        simulate("tiny")  # type: ignore[arg-type]
    result = simulate(load_scenario("tiny"), seed=np.int64(3))  # type: ignore[arg-type]
    assert repr(result).startswith("<Result of tiny: case central, seed 3, end 2026-")


@pytest.mark.parametrize("wrong", [5, None, [3]])
def test_an_override_that_is_no_text_is_refused(wrong: object) -> None:
    """Whatever was given in its place is named."""
    with pytest.raises(UsageError, match="an override is a text"):
        load_scenario("tiny").with_overrides(wrong)  # type: ignore[arg-type]
