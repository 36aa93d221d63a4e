"""Traces decoded again and compared with the tables they came from."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from colossus_sim.cli.trace import default_file, trace
from colossus_sim.errors import UsageError
from colossus_sim.loading.load import load_scenario
from colossus_sim.results.result import Result
from colossus_sim.trace import Slice, chrome_json, perfetto_bytes, run_trace, step_trace
from colossus_sim.trace.model import Trace, Track, nanoseconds
from colossus_sim.training import timeline
from colossus_sim.training.timeline import StepTimeline, step_timeline


@pytest.fixture(scope="session")
def step() -> StepTimeline:
    """Return one step of the quickstart's job."""
    scenario = load_scenario("quickstart")
    return step_timeline(scenario, next(iter(scenario.jobs)))


def decode(trace: Trace) -> tuple[dict[int, tuple[str, str]], list[Any]]:
    """Return (group, name) of each track by id, and the events of a Perfetto file."""
    module = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="needs perfetto")
    message = module.Trace()
    message.ParseFromString(perfetto_bytes(trace))
    described = {
        p.track_descriptor.uuid: p.track_descriptor for p in message.packet if p.HasField("track_descriptor")
    }
    names = {uuid: (described[d.parent_uuid].name, d.name) for uuid, d in described.items() if d.parent_uuid}
    return names, [packet for packet in message.packet if packet.HasField("track_event")]


def decoded_slices(events: list[Any], uuid: int) -> list[tuple[str, int, int]]:
    """Return name, start and end of the slices of a track; begins and ends alternate."""
    found: list[tuple[str, int, int]] = []
    opened: list[tuple[str, int]] = []
    for packet in events:
        if packet.track_event.track_uuid != uuid:
            continue
        if packet.track_event.type == 1:
            opened.append((packet.track_event.name, packet.timestamp))
        elif packet.track_event.type == 2:
            name, start = opened.pop()
            found.append((name, start, packet.timestamp))
    assert not opened
    return found


def test_states_in_the_file_add_up_to_the_intervals(run: Result) -> None:
    """Per job and phase, the decoded time in each state is that of the table ``intervals``."""
    names, events = decode(run_trace(run))
    table = run.tables["intervals"]
    for uuid, (group, name) in names.items():
        if not name.endswith(": state"):
            continue
        job, phase = group.rsplit("(", 1)[1].rstrip(")"), name.removesuffix(": state")
        rows = table[(table["job"] == job) & (table["phase"] == phase)]
        slices = decoded_slices(events, uuid)
        for state, part in rows.groupby("state"):
            expected = float((part["end_s"] - part["start_s"]).sum())
            seconds = sum(end - start for own, start, end in slices if own == state) / 1e9
            assert seconds == pytest.approx(expected, abs=1e-3)


def test_failures_in_the_file_are_those_of_the_events(run: Result) -> None:
    """Each failure of the table is one instant of its site, at its time and with its class."""
    names, events = decode(run_trace(run))
    failed = run.tables["events"][run.tables["events"]["kind"] == "failure"]
    tracks = {
        uuid for uuid, (group, name) in names.items() if group.startswith("site ") and name == "failures"
    }
    marks = [(p.timestamp, p.track_event.name) for p in events if p.track_event.track_uuid in tracks]
    expected = [
        (nanoseconds(time), subject)
        for time, subject in zip(failed["time_s"].tolist(), failed["subject"].tolist(), strict=True)
    ]
    assert sorted(marks) == sorted(expected)


def test_counters_in_the_file_integrate_to_the_energy(run: Result) -> None:
    """Power over time, from the decoded counters, is the energy of the summary."""
    names, events = decode(run_trace(run))
    end = nanoseconds(run.manifest["end_time_s"])
    energy = 0.0
    for uuid, (_, name) in names.items():
        if name != "power":
            continue
        points = [
            (p.timestamp, p.track_event.double_counter_value)
            for p in events
            if p.track_event.track_uuid == uuid
        ]
        stops = [time for time, _ in points[1:]] + [end]
        energy += math.fsum(v * (stop - t) / 3.6e12 for (t, v), stop in zip(points, stops, strict=True))
    assert energy == pytest.approx(run.summary()["cluster"]["energy_MWh"], rel=1e-6)


def test_the_step_ends_when_the_estimate_says(step: StepTimeline) -> None:
    """Passes played one by one, plus what follows the pipeline, give the step time of the model."""
    assert step.tail[-1][2] == pytest.approx(step.step_time, rel=1e-9)
    assert all(end >= start for _, start, end in step.tail)
    assert 0.0 < step.pipeline_time < step.step_time


def test_every_stage_runs_every_micro_batch_once(step: StepTimeline) -> None:
    """Forward and backward of each chunk and micro-batch appear once per stage and never overlap."""
    for stage in range(step.stages):
        passes = sorted((w for w in step.passes if w.stage == stage), key=lambda w: w.start)
        keys = [(w.kind, w.chunk, w.microbatch) for w in passes]
        assert len(set(keys)) == len(keys) == len(step.passes) // step.stages
        assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(passes))
        assert all(0.0 <= w.communication <= w.end - w.start for w in passes)


def changed_step(factor: float = 1.0, **plan_changes: Any) -> StepTimeline:
    """Return one step of the quickstart's job with another plan, at a share of the modelled step time."""
    scenario = load_scenario("quickstart")
    name, job = next(iter(scenario.jobs.items()))
    plan = job.parallel.model_copy(update=plan_changes)
    changed = job.model_copy(update={"parallel": plan, "step_time_factor": factor})
    return step_timeline(scenario.model_copy(update={"jobs": {name: changed}}), name)


INTERLEAVED = {"schedule": "interleaved_1f1b", "virtual_pipeline": 2, "pipeline_parallel": 4}


@pytest.mark.parametrize("factor", [0.5, 1.5])
@pytest.mark.parametrize("plan", [{}, {"schedule": "zero_bubble"}, {**INTERLEAVED, "global_batch_size": 240}])
def test_every_step_ends_when_its_estimate_says(plan: dict[str, Any], factor: float) -> None:
    """Steps that are quicker than modelled are so in every part; no part of a time line is negative."""
    step, modelled = changed_step(factor, **plan), changed_step(**plan)
    assert step.step_time == pytest.approx(factor * modelled.step_time)
    assert step.tail[-1][2] == pytest.approx(step.step_time, rel=1e-9)
    assert step.pipeline_time == pytest.approx(min(1.0, factor) * modelled.pipeline_time)
    assert all(0.0 <= work.communication <= work.end - work.start for work in step.passes)


@pytest.mark.parametrize("stages", [2, 4])
def test_passes_take_what_the_estimate_counts(stages: int) -> None:
    """What is left for the exchange after the last pass is the same for every schedule: weight gradients that zero
    bubble puts off take their own time, with no communication in it."""
    fields = {"pipeline_parallel": stages, "activation_recomputation": "full"}
    plain, late = (changed_step(**fields, schedule=name) for name in ("1f1b", "zero_bubble"))
    exchange = [next(end - start for name, start, end in step.tail if name == "data_communication")
                for step in (plain, late)]  # fmt: skip
    assert exchange[0] == pytest.approx(exchange[1], rel=1e-6)
    sent = [sum(work.communication for work in step.passes) for step in (plain, late)]
    assert sent[0] == pytest.approx(sent[1])
    assert all(work.communication == 0.0 for work in late.passes if work.kind == "W")


def test_interleaved_plans_with_a_remainder_have_no_time_line() -> None:
    """More micro-batches than stages that are no multiple of them have no known order; fewer have one."""
    with pytest.raises(
        UsageError, match=r"only for multiples of pipeline_parallel 4, not for 6 micro-batches"
    ):
        changed_step(**INTERLEAVED, global_batch_size=180)
    few = changed_step(**INTERLEAVED, global_batch_size=90)
    assert (few.microbatches, few.stages) == (3, 4)
    assert few.tail[-1][2] == pytest.approx(few.step_time, rel=1e-9)


def test_passes_that_outlast_their_step_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time line that contradicts the estimate is refused, not drawn as if it ended on time."""
    play = timeline.simulate_pipeline
    monkeypatch.setattr(
        timeline,
        "simulate_pipeline",
        lambda *tables, **options: [work._replace(end=9.0 + work.end) for work in play(*tables, **options)],
    )
    with pytest.raises(ValueError, match="later than the step leaves room for"):
        changed_step()


def test_the_step_in_the_file_is_the_one_that_was_computed(step: StepTimeline) -> None:
    """Decoded slices of every stage are its passes, and what follows them."""
    names, events = decode(step_trace(step))
    for uuid, (group, name) in names.items():
        if name == "passes":
            stage = int(group.removeprefix("stage "))
            own = sorted((nanoseconds(w.start), nanoseconds(w.end)) for w in step.passes if w.stage == stage)
            tail = [(nanoseconds(start), nanoseconds(end)) for _, start, end in step.tail]
            assert [(a, b) for _, a, b in decoded_slices(events, uuid)] == own + tail


def test_chrome_json_holds_the_same_slices(run: Result) -> None:
    """Every slice is a complete event with start and length in whole microseconds, which add up to its end."""
    made = run_trace(run)
    events = json.loads(chrome_json(made))["traceEvents"]
    slices = [item for track in made.tracks for item in track.slices]
    found = [event for event in events if event["ph"] == "X"]
    assert [(e["name"], e["ts"], e["dur"]) for e in found] == [
        (s.name, s.start // 1000, s.end // 1000 - s.start // 1000) for s in slices
    ]
    assert all(isinstance(item, Slice) and item.end >= item.start for item in slices)


def test_touching_slices_of_chrome_json_do_not_overlap() -> None:
    """Read as doubles, each slice begins no earlier than the one before ends, months into a run as well."""
    edges = [15_552_000 * 10**9 + 1_234_567 * number for number in range(2000)]
    slices = tuple(
        Slice(name="s", start=a, end=b, category="c", details=()) for a, b in itertools.pairwise(edges)
    )
    made = Trace(title="t", tracks=(Track(name="n", group="g", slices=slices),))
    events = [e for e in json.loads(chrome_json(made))["traceEvents"] if e["ph"] == "X"]
    ends = [float(event["ts"]) + float(event["dur"]) for event in events]
    assert not [1 for end, event in zip(ends, events[1:], strict=False) if float(event["ts"]) < end]


def test_the_same_run_gives_the_same_file(run: Result) -> None:
    """Traces hold no time of writing."""
    pytest.importorskip("perfetto", reason="needs perfetto")
    assert perfetto_bytes(run_trace(run)) == perfetto_bytes(run_trace(run))


def test_phases_without_a_step_are_refused() -> None:
    """Only phases that train have a step; the message names the job."""
    scenario = load_scenario("colossus_roadmap")
    with pytest.raises(UsageError, match="grok_4_2 has no training phase"):
        step_timeline(scenario, "grok_4_2", "safety")


def test_the_command_writes_both_formats(run: Result, tmp_path: Path) -> None:
    """Chrome JSON needs no extra package; files lie beside the run folder, named after it."""
    folder = run.save(tmp_path / "run")
    done = CliRunner().invoke(trace, [str(folder), "--chrome", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"] == [str(tmp_path / "run-trace.json")]
    job = next(iter(run.scenario.jobs))
    done = CliRunner().invoke(
        trace, [str(folder), "--step", job, "--chrome", "-o", str(tmp_path / "s.json"), "-q"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "s.json").read_text())["otherData"]["title"].startswith(job)
    assert default_file("out/a", "j", chrome=False) == Path("out/a-j-step.pftrace")
