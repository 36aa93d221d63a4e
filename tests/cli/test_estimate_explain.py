"""``estimate --explain``: the parts of a step add up, and each term, collective and constant says what it is."""

from __future__ import annotations

import json
import re

import pytest

from colossus_sim.cli import main as frame

_ROW = re.compile(
    r"^([a-zA-Z ]+?) +(-?[\d,]+\.\d\d) +(-?\d+\.\d)% +([\d.]+) ([GTP])FLOP/s  (\S.*)$", re.MULTILINE
)
_SCALE = {"G": 1e9, "T": 1e12, "P": 1e15}


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command prints."""
    assert frame.run_command_line(["estimate", *arguments, "--explain"]) == 0
    return capsys.readouterr().out


def test_waterfall_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """From the peak on, milliseconds sum to the step, shares to 100 %, and each rate is the ideal time's share."""
    out = explained(capsys, "llama3_405b")
    waterfall = out.partition("what it is")[2].partition("axis")[0]
    rows = [
        (r[0], float(r[1].replace(",", "")), float(r[2]), float(r[3]) * _SCALE[r[4]])
        for r in _ROW.findall(waterfall)
    ]
    *parts, (last, step, _, achieved) = rows
    assert parts[0][0] == "model FLOPs at peak"
    assert last == "step"
    assert len(parts) == 18
    assert sum(part[1] for part in parts) == pytest.approx(step, abs=0.2)
    assert sum(part[2] for part in parts) == pytest.approx(100.0, abs=1.0)
    spent = 0.0
    for _, milliseconds, _, rate in parts:
        spent += milliseconds
        assert rate == pytest.approx(parts[0][3] * parts[0][1] / spent, rel=2e-3)
    assert achieved == pytest.approx(parts[-1][3])
    assert "-0.00" not in waterfall


def test_explanation_names_who_counts_and_where_constants_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The page says whose collectives it lists, what a GPU sends at each level, and the source of each constant."""
    out = explained(capsys, "llama3_405b")
    assert "busiest rank" in out
    assert re.search(r"sends per step.*: scale_up [\d.]+ GB, leaf [\d.]+ GB", out)
    for constants in (
        "GPU h100: data sheet; ",
        "kernel rates of h100 at *: fit; ",
        "stack meta_llama3: paper; ",
    ):
        assert constants in out


def test_both_sets_of_kernel_rates_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan in 8 bits rests on the rates of its products and on those of 16 bits, in which attention runs."""
    out = explained(capsys, "llama3_405b", "--set", "jobs.llama3_405b.parallel.precision=fp8")
    assert "kernel rates of h100 at fp8: fit; " in out
    assert "kernel rates of h100 at *: fit; " in out


def test_update_of_reinforcement_learning_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Generation, training and weights of an RL phase sum to its update, what is hidden being taken off."""
    out = explained(capsys, "colossus_roadmap", "--job", "grok_4_2")
    block = out.partition("/rl: update")[2]
    rows = re.findall(r"^([a-z ]+?) +(-?[\d,]+\.\d\d) +-?\d+\.\d%", block, re.MULTILINE)
    seconds = {name: float(value.replace(",", "")) for name, value in rows}
    update = seconds.pop("update")
    assert {"prefill", "decode", "reward", "training", "weight sync"} <= set(seconds)
    assert sum(seconds.values()) == pytest.approx(update, abs=0.05)


def test_phases_with_the_same_step_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Of phases that take the same step only the first is explained; one on fewer GPUs is shown."""
    out = explained(capsys, "colossus_roadmap", "--job", "grok_4_2")
    shown = re.findall(r"^grok_4_2/(\w+): step", out, re.MULTILINE)
    assert shown == ["pretrain", "sft", "rl"]


def test_update_parts_are_in_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each RL phase carries the parts of its update, which sum to its time."""
    assert frame.run_command_line(["estimate", "colossus_roadmap", "--job", "grok_4_2", "--json"]) == 0
    phases = {phase["phase"]: phase for phase in json.loads(capsys.readouterr().out)["phases"]}
    assert sum(phases["rl"]["unit_parts_s"].values()) == pytest.approx(phases["rl"]["unit_time_s"], rel=1e-12)
    assert "unit_parts_s" not in phases["pretrain"]
    assert 0 < phases["rl"]["slots_per_replica"] <= 256


def test_responses_that_wait_for_memory_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The overview says how many responses fit where more were asked for, and nothing where all fit."""
    rollouts = "jobs.grok_4_2.phases.rl.rollouts"
    crowded = [
        "--set",
        f"{rollouts}={{gpus_per_replica: 16, prompts_per_update: 100000, concurrency_per_replica: 100000}}",
    ]
    for more, said in ((crowded, True), ([], False)):
        assert frame.run_command_line(["estimate", "colossus_roadmap", "--job", "grok_4_2", *more]) == 0
        out = capsys.readouterr().out
        assert (
            bool(re.search(r"grok_4_2/rl: of [\d,]+ responses at once per replica memory holds [\d,]+;", out))
            == said
        )
