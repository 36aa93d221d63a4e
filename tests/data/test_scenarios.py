"""The shipped scenarios: valid in every case, sourced, and true to the published roadmap."""

from __future__ import annotations

from functools import cache
from typing import Literal

import pytest

from colossus_sim import simulate
from colossus_sim.cli.feasibility import find_problems
from colossus_sim.loading.files import shipped_folder
from colossus_sim.loading.load import load_scenario
from colossus_sim.parallelism.placement import Placement
from colossus_sim.specs.cluster import Partition
from colossus_sim.specs.job import Job
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric
from colossus_sim.training.phases import ModelCache
from colossus_sim.training.step import estimate_step
from colossus_sim.units import DAY, parse_instant

Case = Literal["low", "central", "high"]
CASES: tuple[Case, ...] = ("low", "central", "high")
SCENARIOS = (
    "airesim_repair_pipeline", "cielo_storage", "colossus_1_roadmap", "colossus_roadmap", "contention_1to1",
    "contention_4to1", "dense_10t", "fleet_131k", "llama3_405b", "quickstart", "raps_power", "single_job_16k",
    "tiny",
)  # fmt: skip
ROADMAP = (
    "grok_4_2", "grok_4_3", "grok_4_4_1t_a", "grok_4_4_1t_b", "grok_4_5_1p5t_a", "grok_4_5_1p5t_b", "grok_5_10t",
    "grok_5_6t", "imagine_v2",
)  # fmt: skip


@cache
def loaded(name: str, case: Case = "central") -> Scenario:
    """Load a shipped scenario by name."""
    return load_scenario(name, case=case)


def partition_of(scenario: Scenario, job: Job) -> Partition:
    """Return the partition that a job names, or the only one of its site."""
    partitions = scenario.cluster.sites[job.site].partitions
    return partitions[job.partition or next(iter(partitions))]


def gated_tokens(job: Job) -> float:
    """Return the tokens of all phases that have some."""
    return sum(phase.tokens or 0.0 for phase in job.phases.values())


def test_all_scenarios_are_here() -> None:
    """A new file in scenarios/ must join these tests."""
    folder = shipped_folder("scenarios")

    assert folder is not None
    assert sorted(path.stem for path in folder.glob("*.yaml")) == list(SCENARIOS)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_are_valid_in_every_case(name: str, case: Case) -> None:
    """They load, say what they are for, and stay clean of warnings in the central case."""
    scenario = loaded(name, case)

    assert scenario.name == name
    assert scenario.title != "untitled"
    assert scenario.question.endswith("?")
    if case == "central" and name not in ("dense_10t", "fleet_131k"):  # they say what breaks them
        assert scenario.loaded.warnings == ()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_assumption_has_a_source(name: str) -> None:
    """No case triple without a reason."""
    assert [item.path for item in loaded(name).loaded.assumptions if not item.source] == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_plan_fits_in_memory(name: str, case: Case) -> None:
    """On all GPUs of the job and on the share that its later training phases take."""
    scenario = loaded(name, case)
    for job_name, job in scenario.jobs.items():
        partition = partition_of(scenario, job)
        used = partition.gpus_used_per_domain or partition.gpu.scale_up_domain
        installed = max(step.gpus for step in partition.capacity)
        fabric = build_fabric(scenario.cluster.sites[job.site].topology, partition.gpu, installed)
        trained = {(job.gpus, job.parallel)}
        for phase in job.phases.values():
            if phase.kind != "compute":
                gpus = round(job.gpus * (phase.gpu_share or 1.0))
                kept = phase.rollouts.generating_gpus(gpus) if phase.kind == "rl" else 0
                trained.add((gpus - kept, phase.parallel or job.parallel))
        for gpus, plan in trained:
            estimate = estimate_step(
                architecture=job.model,
                plan=plan,
                gpu=partition.gpu,
                fabric=fabric,
                placement=Placement(
                    domain_gpus=partition.gpu.scale_up_domain,
                    ranks_per_domain=used,
                    runs=((0, -(-gpus // used)),),
                ),
                gpus=gpus,
                calibration=scenario.calibration,
            )

            assert estimate.fits, f"{job_name} at {gpus} GPUs"
            assert 0.05 < estimate.mfu < 0.60, f"{job_name} at {gpus} GPUs"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["colossus_roadmap", "colossus_1_roadmap"])
def test_updates_hold_the_longest_response(name: str, case: Case) -> None:
    """Every phase fits, and no sequence of an RL plan is shorter than a response may be."""
    models = ModelCache()

    assert find_problems(loaded(name, case), models) == ()
    assert models.warnings == ()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["colossus_roadmap", "colossus_1_roadmap"])
def test_all_jobs_fit_beside_each_other_when_they_start(name: str, case: Case) -> None:
    """At every submission the partition holds all jobs submitted so far, spares kept aside."""
    scenario = loaded(name, case)
    for job in scenario.jobs.values():
        partition = partition_of(scenario, job)
        domain = partition.gpu.scale_up_domain
        used = partition.gpus_used_per_domain or domain
        installed = [step.gpus for step in partition.capacity if step.at <= job.submit][-1] // domain
        needed = sum(
            -(-other.gpus // used)
            for other in scenario.jobs.values()
            if partition_of(scenario, other) is partition
            and (other.submit <= job.submit)
            and not (name == "colossus_roadmap" and other.site == "colossus_1" and other is not job)
        )

        assert needed + partition.spare_domains <= installed


def test_roadmap_holds_the_nine_models() -> None:
    """Seven runs of 8 April 2026 and two baselines."""
    assert tuple(sorted(loaded("colossus_roadmap").jobs)) == ROADMAP
    assert tuple(sorted(loaded("colossus_1_roadmap").jobs)) == ROADMAP


@pytest.mark.parametrize(
    ("job", "tokens"),
    [
        ("grok_4_2", (15e12, 30e12, 60e12)),
        ("grok_4_3", (1e12, 3e12, 6e12)),
        ("imagine_v2", (2e12, 10e12, 40e12)),
        ("grok_4_4_1t_a", (15e12, 30e12, 60e12)),
        ("grok_4_5_1p5t_b", (15e12, 30e12, 60e12)),
        ("grok_5_6t", (20e12, 60e12, 120e12)),
        ("grok_5_10t", (20e12, 60e12, 120e12)),
    ],
)
def test_tokens_have_the_assumed_range(job: str, tokens: tuple[float, float, float]) -> None:
    """Low, central and high pre-training tokens."""
    found = [gated_tokens(loaded("colossus_roadmap", case).jobs[job]) for case in CASES]

    assert found == pytest.approx(tokens)


@pytest.mark.parametrize(
    ("job", "submit", "target", "phase"),
    [
        ("grok_4_2", "2025-11-01", "2026-03-10", ""),
        ("grok_4_3", "2026-03-20", "2026-04-17", ""),
        ("imagine_v2", "2026-03-15", "2026-05-31", ""),
        ("grok_4_4_1t_a", "2026-04-05", "2026-05-05", ""),
        ("grok_4_4_1t_b", "2026-04-08", "2026-05-05", ""),
        ("grok_4_5_1p5t_a", "2026-04-08", "2026-05-27", ""),
        ("grok_4_5_1p5t_b", "2026-04-08", "2026-05-27", ""),
        ("grok_5_6t", "2026-01-19", "2026-06-30", ""),
        ("grok_5_10t", "2026-04-08", "2026-06-08", "pretrain"),
    ],
)
def test_dates_are_those_of_the_roadmap(job: str, submit: str, target: str, phase: str) -> None:
    """Start, target, and which phase the target means."""
    found = loaded("colossus_roadmap").jobs[job]

    assert found.target is not None
    assert (found.submit, found.target.date) == (parse_instant(submit), parse_instant(target))
    assert found.target.phase == phase


def test_priorities_follow_the_order_of_the_roadmap() -> None:
    """1.5T A first, then 1T A, 10T, 6T, Imagine, 1T B, 1.5T B, and the baselines last."""
    jobs = loaded("colossus_roadmap").jobs
    order = sorted(jobs, key=lambda name: -jobs[name].priority)

    assert order == [
        "grok_4_5_1p5t_a", "grok_4_4_1t_a", "grok_5_10t", "grok_5_6t", "imagine_v2", "grok_4_4_1t_b",
        "grok_4_5_1p5t_b", "grok_4_3", "grok_4_2",
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_data_gates_release_what_the_run_needs_in_the_end(case: Case) -> None:
    """The last release, with its epochs, covers the tokens exactly; the first one does not."""
    gated = 0
    for job in loaded("colossus_roadmap", case).jobs.values():
        if not job.data.releases:
            continue
        gated += 1
        epochs = job.data.max_epochs

        assert job.data.releases[-1].tokens * epochs == pytest.approx(gated_tokens(job))
        assert job.data.releases[0].tokens <= job.data.releases[-1].tokens
    assert gated == 5


def test_low_case_asks_for_least_and_high_case_for_most() -> None:
    """FLOPs by 6 N D of the pre-training rise from case to case for every model."""
    for name in ROADMAP:
        work = []
        for case in CASES:
            job = loaded("colossus_roadmap", case).jobs[name]
            params = job.model.declared_active_params or job.model.declared_params or 0.0
            work.append(6.0 * params * gated_tokens(job))

        assert work[0] < work[1] < work[2]


def test_central_flops_are_those_of_the_feasibility_table() -> None:
    """1T 1.8e25, 1.5T 2.7e25, 6T 2.16e26 and 10T 3.6e26 FLOP."""
    jobs = loaded("colossus_roadmap").jobs
    work = {
        name: 6.0 * (job.model.declared_active_params or 0.0) * gated_tokens(job)
        for name, job in jobs.items()
    }

    assert work["grok_4_4_1t_a"] == pytest.approx(1.8e25)
    assert work["grok_4_5_1p5t_a"] == pytest.approx(2.7e25)
    assert work["grok_5_6t"] == pytest.approx(2.16e26)
    assert work["grok_5_10t"] == pytest.approx(3.6e26)


def test_colossus_1_is_leased_away_in_may() -> None:
    """No GPUs of the site are left from 2026-05-06 on."""
    site = loaded("colossus_roadmap").cluster.sites["colossus_1"]

    for partition in site.partitions.values():
        assert partition.capacity[-1].at == parse_instant("2026-05-06")
        assert partition.capacity[-1].gpus == 0


@pytest.mark.parametrize(
    ("date", "installed"),
    [
        ("2026-01-19", (110e3, 150e3, 192e3)),
        ("2026-04-08", (160e3, 300e3, 436e3)),
        ("2026-05-15", (190e3, 350e3, 450e3)),
        ("2026-06-30", (220e3, 400e3, 450e3)),
    ],
)
def test_capacity_of_colossus_2_follows_its_estimates(
    date: str, installed: tuple[float, float, float]
) -> None:
    """Whole racks near the estimate of each date, tenants deducted from mid-May (0, 50,000, 100,000)."""
    found = []
    for case in CASES:
        parts = loaded("colossus_roadmap", case).cluster.sites["colossus_2"].partitions.values()
        steps = [[s.gpus for s in part.capacity if s.at <= parse_instant(date)][-1] for part in parts]
        assert all(gpus % 72 == 0 for gpus in steps)
        found.append(sum(steps))

    assert found == pytest.approx(installed, abs=72)


def test_llama_3_run_is_the_published_one() -> None:
    """16,384 of 24,576 GPUs, 16M tokens per step, 54 days, too many tokens to finish."""
    scenario = loaded("llama3_405b")
    job = scenario.jobs["llama3_405b"]

    assert job.gpus == 16384
    assert job.parallel.global_batch_size * job.parallel.sequence_length == pytest.approx(16.8e6, rel=0.01)
    assert scenario.horizon == 54 * DAY
    assert partition_of(scenario, job).capacity[0].gpus == 24576
    assert gated_tokens(job) == 15.6e12


def test_jobs_of_cielo_keep_the_published_share_where_each_has_the_storage_to_itself() -> None:
    """0.901 at 160 GB/s, one run of the published program; two points allowed, and above the lower bound 0.1019."""
    fast = [f"cluster.sites.cielo.storage.{key}_bandwidth=160 GB/s" for key in ("read", "write")]
    alone = [*fast, "policies.storage_access=alone"]
    base = simulate(load_scenario("cielo_storage", overrides=[*alone, "faults.enabled=false"])).summary()
    found = simulate(load_scenario("cielo_storage", overrides=alone)).summary()
    share = found["cluster"]["productive"] / base["cluster"]["productive"]

    assert share == pytest.approx(0.901, abs=0.02)
    assert 1.0 - share > 0.1019 - 0.01


def test_saves_of_cielo_have_the_sizes_of_their_classes() -> None:
    """1.6, 1.85, 3.5 and 0.85 times the memory of 32 GB of each node."""
    jobs = loaded("cielo_storage").jobs
    of_memory = {"eap": 1.6, "lap": 1.85, "silverton": 3.5, "vpic": 0.85}
    for name, job in jobs.items():
        assert job.checkpoint is not None
        assert job.checkpoint.state_bytes == pytest.approx(
            of_memory[name.partition("_")[0]] * job.gpus / 8 * 32e9
        )
    assert len(jobs) == 100


def test_energy_of_the_schedule_on_frontier_nodes_is_the_integral_of_the_chain_of_raps() -> None:
    """Constants and losses of RAPS's Frontier; three jobs of 150, 150 and 125 thousand node-hours in one hour."""
    chain = 0.98 * 0.96
    idle = (90 + 4 * 88 + 74.26 + 4 * 20 + 30) / chain
    busy = (280 + 4 * 560 + 74.26 + 4 * 20 + 30) / chain
    beside = 13 / chain + (4 * 250 + 4 * 17) / 16 / 0.96 + 8473.47 / (3 * 128)
    nodes = 600_192
    summary = simulate(load_scenario("raps_power")).summary()

    assert 9472 * (busy + beside) == pytest.approx(28.2e6, rel=0.002)
    assert summary["cluster"]["energy_MWh"] == pytest.approx(
        (nodes * (idle + beside) + 425_000 * (busy - idle)) / 1e6, rel=1e-7
    )
    assert [job["gpu_days"] * 24 for job in summary["jobs"]] == pytest.approx([150e3, 150e3, 125e3])
