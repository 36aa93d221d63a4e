"""Properties of whole runs, with the real step model, on small variants of the shipped `tiny` scenario."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colossus_sim import load_scenario, simulate
from colossus_sim.loading.nodes import plain
from colossus_sim.loading.yaml_source import parse_yaml
from colossus_sim.records import RunResult

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "scenarios" / "tiny.yaml"
few = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def tiny(*overrides: str) -> Any:
    """Return the tiny scenario with some fields changed."""
    return load_scenario(str(TINY), overrides=overrides)


def step_times(scenario: Any) -> dict[str, float]:
    """Return the modelled time of one step of each phase that trains. [s]"""
    return {
        f"{job['name']}/{phase['name']}": phase["unit_time_s"]
        for job in simulate(scenario).summary()["jobs"]
        for phase in job["phases"]
    }


def rows(scenario: Any) -> RunResult:
    """Return the rows of a run."""
    from colossus_sim.engine.runner import simulate as play

    return play(scenario)


def hardware_failures(run: RunResult, until: float) -> list[tuple[float, str]]:
    """Return when what failed of the hardware, up to a moment."""
    classes = {name for name, spec in run.scenario.faults.classes.items() if spec.per != "job"}
    return [
        (row.time, row.subject)
        for row in run.events
        if row.kind == "failure" and row.subject in classes and row.time <= until
    ]


@few
@given(nic=st.integers(50, 800), more=st.integers(1, 800))
def test_more_network_bandwidth_is_never_slower(nic: int, more: int) -> None:
    """A faster NIC never makes a step longer."""
    slow, fast = (
        step_times(
            tiny(
                f"cluster.sites.lab.topology.nic_bandwidth={rate} Gbit/s",
                "horizon=1 h",
            )
        )
        for rate in (nic, nic + more)
    )
    assert all(fast[name] <= slow[name] * (1 + 1e-12) for name in slow)


@few
@given(low=st.floats(0.3, 0.9), more=st.floats(0.01, 0.1))
def test_better_links_are_never_slower(low: float, more: float) -> None:
    """A higher link efficiency never makes a step longer."""
    slow, fast = (
        step_times(tiny(f"cluster.sites.lab.topology.link_efficiency={share:.6f}", "horizon=1 h"))
        for share in (low, low + more)
    )
    assert all(fast[name] <= slow[name] * (1 + 1e-12) for name in slow)


@few
@given(seed=st.integers(0, 2**31), gpus=st.sampled_from((64, 96, 128)))
def test_without_faults_nothing_is_lost(seed: int, gpus: int) -> None:
    """With faults off no job is interrupted, loses work or runs degraded; the first launch is all it waits for."""
    summary = simulate(tiny("faults.enabled=false", f"jobs.large.gpus={gpus}", f"seed={seed}")).summary()
    shares = summary["cluster"]["gpu_time_shares"]
    assert [shares[state] for state in ("lost_work", "repair_wait", "down", "degraded")] == [0.0] * 4
    for job in summary["jobs"]:
        assert job["interruptions"] == 0
        assert job["lost_work_days"] == 0.0


@few
@given(seed=st.integers(0, 2**31))
def test_books_balance_for_any_seed(seed: int) -> None:
    """States add up to capacity, causes to the slip, and no more units are done than there are."""
    summary = simulate(tiny(f"seed={seed}")).summary()
    assert sum(summary["cluster"]["gpu_time_shares"].values()) == pytest.approx(1.0, abs=1e-9)
    for job in summary["jobs"]:
        assert sum(job["slip_causes"].values()) == pytest.approx(job["slip_days"], abs=1e-6)
        assert all(phase["units_done"] <= phase["units"] for phase in job["phases"])


@few
@given(seed=st.integers(0, 2**31))
def test_later_data_never_finishes_earlier_without_faults(seed: int) -> None:
    """Moving a data release back does not bring any end forward, when nothing fails."""
    ends = []
    for date in ("2026-01-06", "2026-01-07", "2026-01-08"):
        scenario = tiny("faults.enabled=false", f"seed={seed}", f"jobs.large.data.releases[1].ready={date}")
        ends.append(simulate(scenario).summary()["jobs"][0]["finish_date"])
    assert ends == sorted(ends)


def shuffled(value: Any, draw: Any) -> Any:
    """Return a document with the keys of every mapping in another order, lists as they were."""
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}
    if isinstance(value, (list, tuple)):
        return [shuffled(item, draw) for item in value]
    return value


def as_lists(value: Any) -> Any:
    """Return a document with lists where it has tuples, which YAML does not know."""
    if isinstance(value, dict):
        return {key: as_lists(item) for key, item in value.items()}
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


@few
@given(data=st.data())
def test_order_of_keys_does_not_matter(data: st.DataObject, tmp_path: Path) -> None:
    """Mappings may be written in any order; only lists, and the names of jobs and phases, are in sequence."""
    document = plain(parse_yaml(TINY.read_bytes(), "tiny.yaml"))
    changed = shuffled(copy.deepcopy(document), data.draw)
    changed["jobs"] = {
        name: {
            **changed["jobs"][name],
            "phases": {key: changed["jobs"][name]["phases"][key] for key in job["phases"]},
        }
        for name, job in document["jobs"].items()
    }
    found = []
    for name, content in (("a.yaml", as_lists(document)), ("b.yaml", changed)):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
        found.append(simulate(load_scenario(str(path))).summary())
    assert found[0] == found[1]


INERT = """\
extends: {base}
jobs:
  inert:
    model: llama2_7b
    site: lab
    gpus: 8
    priority: -5
    submit: {submit}
    parallel: {{tensor_parallel: 2, global_batch_size: 64, sequence_length: 4096, stack: megatron_core_2025}}
    phases: {{idle: {{tokens: 1M}}}}
"""


def with_inert_job(folder: Path, submit: str) -> Any:
    """Return the tiny scenario with one more job that has next to nothing to do."""
    base = folder / "base.yaml"
    base.write_bytes(TINY.read_bytes())
    path = folder / "more.yaml"
    path.write_text(INERT.format(base="base.yaml", submit=submit), "utf-8")
    return load_scenario(str(path))


def test_another_job_leaves_hardware_failures_alone(tmp_path: Path) -> None:
    """Hardware has its own random streams: a job added to the queue does not move any of its failures."""
    alone, together = rows(tiny()), rows(with_inert_job(tmp_path, "2026-01-05T06:00"))
    until = min(alone.end_time, together.end_time)
    assert hardware_failures(alone, until)
    assert hardware_failures(alone, until) == hardware_failures(together, until)


def test_a_job_that_comes_at_the_end_changes_nothing_before(tmp_path: Path) -> None:
    """A job submitted after the others are done leaves their dates and interruptions as they were."""
    alone = {job["name"]: job for job in simulate(tiny()).summary()["jobs"]}
    together = simulate(with_inert_job(tmp_path, "2026-01-14")).summary()["jobs"]
    for job in together:
        if job["name"] in alone:
            assert job == alone[job["name"]]
