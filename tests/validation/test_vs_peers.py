"""The comparisons with AIReSim, FleetSim and celio, on stand-ins with the interface that the scripts use."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from colossus_sim.engine.runner import simulate
from colossus_sim.formulas.reliability import efficiency
from colossus_sim.loading.load import load_scenario

ROOT = Path(__file__).resolve().parent.parent.parent
AIRESIM = {
    "__init__": "",
    "params": """
        from dataclasses import dataclass

        @dataclass
        class Params:
            random_failure_rate: float = 1.0
            systematic_failure_fraction: float = 0.15
            job_size: int = 4096
            warm_standbys: int = 16
            job_length: float = 256 * 1440.0
            working_pool_size: int = 4160
            spare_pool_size: int = 200
            recovery_time: float = 20.0
            host_selection_time: float = 3.0
        """,
    "policies": """
        class DefaultRepairEscalation:
            def __init__(self, prob_escalate=0.8):
                pass

            def should_escalate(self, server, auto_repair_succeeded, rng):
                return not auto_repair_succeeded
        """,
    "simulator": """
        class Simulator:
            def __init__(self, params, seed=None):
                self.params, self.seed = params, seed

            def run(self):
                self.training_time_hours = 9832.0 + self.seed
                self.effective_training_ratio = 0.625 + 0.001 * self.seed
                self.total_failures = self.manual_repairs = self.failed_repairs = 100 + self.seed
                self.host_selection_count = self.preemption_count = 10 + self.seed
                return self
        """,
}
FLEETSIM = {
    "config": """
        from types import SimpleNamespace

        FAILURES = {
            "node_mtbf_days", "repair_auto_min", "repair_manual_frac", "repair_manual_days",
            "maintenance_rate_per_node_month",
        }

        def load_scenario(document, strict):
            assert strict
            assert set(document) == {"sim", "fleet", "failure_model", "workload", "scheduler"}
            assert set(document["sim"]) == {"horizon", "round", "seed"}
            assert set(document["failure_model"]) == FAILURES
            assert document["workload"]["kind"] == "trace" and document["workload"]["source"]
            cluster, = document["fleet"]["clusters"]
            assert len(cluster["topology"]["levels"]) == len(cluster["topology"]["counts"])
            return SimpleNamespace(
                sim=SimpleNamespace(seed=document["sim"]["seed"], horizon=document["sim"]["horizon"]),
                scheduler=SimpleNamespace(**document["scheduler"]),
                chips=cluster["chip"]["per_node"] * cluster["topology"]["counts"][0],
            )
        """,
    "model": """
        from enum import Enum, IntEnum

        class JobClass(Enum):
            PRETRAIN = 1

        class Tier(IntEnum):
            BEST_EFFORT = 0
            BATCH = 1
            PROD = 2
            MONITORING = 3

        class GangSpec:
            def __init__(self, chips, chip_type=None):
                assert chips % 8 == 0
                self.chips = chips
        """,
    "workload.trace": """
        from dataclasses import dataclass

        @dataclass
        class TraceJob:
            id: str
            tenant: str
            job_class: object
            submit_t: int
            gangs: list
            tier: object
            min_runtime_s: float = 0.0
            walltime_est_s: float | None = None
            true_duration_s: float = 0.0
            checkpoint_interval_s: float = 3600.0
            checkpoint_save_s: float = 60.0
            restart_overhead_s: float = 900.0

        class TraceSource:
            def __init__(self, source, fleet=None):
                assert all(type(job.submit_t) is int for job in source)
                assert sum(job.gangs[0].chips for job in source) <= fleet.chips
        """,
    "fleet.build": "build_fleet = lambda scenario: scenario",
    "schedulers.base": """
        def get_scheduler(name, params=None):
            assert (name, params) == ("tiered_priority", {"preempt": "requeue"})
            return name
        """,
    "metrics.collector": """
        class MetricsCollector:
            @classmethod
            def from_scenario(cls, scenario, fleet=None):
                found = cls()
                found.seed, found.horizon = scenario.sim.seed, scenario.sim.horizon
                return found
        """,
    "metrics.summary": """
        def build_summary(collector):
            counts = {"node_failures": 1000 + collector.seed, "failure_kills": 600 + collector.seed}
            full = {"counts": counts, "goodput": 0.63 + 0.005 * collector.seed, "allocation_rate": 0.9}
            return {"horizon_us": collector.horizon, "full": full, "window": {}}
        """,
    "engine.sim": """
        class Simulator:
            def __init__(self, scenario, fleet, source, scheduler, sink):
                pass

            def run(self):
                pass
        """,
}


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of the folder of benchmarks, as if it were started there."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def write(root: Path, modules: dict[str, str]) -> None:
    """Write modules of a package, indented as above."""
    for name, text in modules.items():
        file = root.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = text.splitlines()
        cut = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        file.write_text("\n".join(line[cut:] for line in lines) + "\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave nothing of the stand-ins behind."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("airesim", "fleetsim")]:
        del sys.modules[name]


def test_airesim_says_what_the_rule_of_its_checkout_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its figures are read by name, and a reset that mended goes on to hands under its first rule only."""
    write(tmp_path / "airesim", AIRESIM)
    module = script("vs_airesim", monkeypatch)
    peer = module.AIReSim(tmp_path)
    assert peer.only_if_failed()
    figures = peer.play(3, job_size=10)
    assert figures["wall-clock time"] == 9835.0
    assert figures["choices of servers"] == 13.0
    assert module.mean_of([peer.play(0), peer.play(2)], "failures") == (101.0, 1.0)


def test_airesim_on_the_single_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exact value, AIReSim's own limit and this engine's error in standard errors are printed."""
    write(tmp_path / "airesim", AIRESIM)
    module = script("vs_airesim", monkeypatch)
    module.single_job(module.AIReSim(tmp_path), 2)
    shown = capsys.readouterr().out
    assert "exact efficiency 0.6374" in shown
    assert "0.6255 +- 0.0005 (without lost work 1 / (1 + R / MTBF) = 0.8747)" in shown


def test_fleetsim_plays_the_single_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its summary of the whole run is read: failures, those that hit the job, goodput, allocated share."""
    write(tmp_path / "src" / "fleetsim", {"__init__": "", **FLEETSIM})
    module = script("vs_fleetsim", monkeypatch)
    module.compare_h1(module.FleetSim(tmp_path), 2)
    heading, peer, ours = capsys.readouterr().out.splitlines()
    assert heading.endswith("expected to be hit 627 times")
    assert peer.startswith(
        "FleetSim     2 runs: 1,002 failures, 602 hit a job; goodput 0.6375 +- 0.0025 (exact 0.6374"
    )
    assert "allocated 0.9000" in peer
    assert ours.startswith("this engine  8 runs: ")
    assert "allocated" not in ours


def test_fleetsim_plays_the_fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides play the same days; the exact values of FleetSim know its rounds, those of this engine none."""
    write(tmp_path / "src" / "fleetsim", {"__init__": "", **FLEETSIM})
    module = script("vs_fleetsim", monkeypatch)
    module.compare_h3(module.FleetSim(tmp_path), 2, 10.0, 3600)
    shown = capsys.readouterr().out
    assert "10 days; expected failures of nodes that are up 1,063 +- 33" in shown
    for waited in (3600.0, 0.0):
        goodput, allocated = module.exact_fleet(10.0, waited)
        assert f"(exact {goodput:.4f}" in shown
        assert f"exact allocated share {allocated:.4f}" in shown


def test_a_wait_for_rounds_costs_the_large_gangs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rounds all gangs hold their chips always; short rounds change little, long ones much."""
    exact = script("vs_fleetsim", monkeypatch).exact_fleet
    goodput, allocated = exact(180.0, 0.0)
    chips_held = sum(
        chips * (180 - day) for day, chips in enumerate((65536, 32768, 16384, 8192, 4096, 2048, 1024))
    )
    assert allocated == pytest.approx(chips_held / (131072 * 180), rel=1e-12)
    assert exact(180.0, 1e-3) == pytest.approx((goodput, allocated), rel=1e-6)
    (middle, less), (highest, least) = exact(180.0, 60.0), exact(180.0, 3600.0)
    assert goodput < middle < highest
    assert allocated > less > least


def test_the_shipped_single_job_has_the_exact_efficiency() -> None:
    """Eight runs of 30 days of work: within four standard errors of the closed form, and the error below 1.5 %."""
    scenario = load_scenario("single_job_16k")
    shares = [30 * 86400.0 / simulate(scenario, seed=seed).phases[0].end for seed in range(8)]
    exact = efficiency(3600.0, save_time=60.0, mtbf=86400.0 / (2048 * 6.5e-3), recovery=900.0)
    error = statistics.stdev(shares) / 8**0.5
    assert error < 0.015 * exact
    assert abs(statistics.fmean(shares) - exact) < 4.0 * error


@pytest.mark.parametrize(("name", "program"), [("vs_airesim", "AIReSim"), ("vs_fleetsim", "FleetSim")])
def test_a_folder_without_the_peer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, program: str
) -> None:
    """One line says what is missing and how to get it."""
    module = script(name, monkeypatch)
    with pytest.raises(SystemExit, match=f"is no {program} checkout .* git clone") as caught:
        getattr(module, program)(tmp_path)
    assert "\n" not in str(caught.value)


def test_celio_is_read_by_the_names_of_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Useful work is over that of its own run without failures; a program that tells less is an error."""
    module = script("vs_celio", monkeypatch)
    program = tmp_path / "celio"
    titles = list(module._TITLES)
    lines = [f"#{title}{module._RESULT}{1000 - 100 * place} 1 2 3" for place, title in enumerate(titles)]

    def tell(told: list[str]) -> None:
        program.write_text("\n".join(["#!/bin/sh", "cat <<'END'", *told, "END", ""]), encoding="utf-8")
        program.chmod(0o755)

    tell(lines)
    shares, _ = module.run_program(program, 0, 40.0)
    expected = {module._TITLES[title]: 0.9 - 0.1 * place for place, title in enumerate(titles[1:])}
    assert shares == pytest.approx(expected)
    monkeypatch.setattr(module, "program_shares", lambda bandwidth, number, seed: shares)
    monkeypatch.setattr(sys, "argv", ["vs_celio", "--celio", str(program), "--seeds", "2"])
    module.main()
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cooperative", "0.7000", "0.7000", "+0.0", "+-", "0.0"] in printed
    tell(lines[1:])
    with pytest.raises(SystemExit, match="gave 5 of 6 results"):
        module.run_program(program, 0, 40.0)
    with pytest.raises(SystemExit, match="cannot be run"):
        module.run_program(tmp_path / "nothing", 0, 40.0)
