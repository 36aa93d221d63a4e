"""The compiled kernel plays what the SimPy engine plays, to the last bit, and refuses what it does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from colossus_sim.engine.kernel import machine_code
from colossus_sim.engine.kernel.allow import choose, expected_failures, unsupported
from colossus_sim.loading.load import load_scenario
from colossus_sim.specs.checkpoint import CheckpointPolicy, CheckpointTier
from colossus_sim.specs.cluster import CapacityStep, Partition, Site
from colossus_sim.specs.faults import FaultClass, Faults, Repair, Restart
from colossus_sim.specs.job import Job, Phase
from colossus_sim.specs.policies import Policies
from colossus_sim.specs.scenario import Scenario
from tests.engine.conftest import a_job, a_scenario
from tests.engine.kernel_worlds import random_world

# Every field that the engine may look at; one that is missing here has not been thought about in `allow`.
KNOWN = {
    FaultClass: (
        "title per rate distribution shape gaps lifetime group removes interrupts slowdown degrades "
        "detection undetected hang_fraction planned under_load needs_storage_checkpoint repair provenance "
    ),
    Faults: (
        "name enabled classes restart watchdog diagnosis lemons eviction max_restarts_without_progress "
    ),
    Restart: ("base per_doubling manual_fraction manual_time swap_time selection_time reshard_time parts"),
    Repair: (
        "auto_fraction auto_time manual_time distribution sigma auto_first auto_unmended manual_unmended "
        "recurs_after "
    ),
    Site: (
        "title topology partitions storage power_limit power_control power_exponent pue repair_crew repair_parts "
        "part_lead_time maintenance"
    ),
    Partition: (
        "gpu capacity gpus_used_per_domain spare_domains refill_spares reserve_domains reserve_time "
    ),
    CapacityStep: ("at gpus note "),
    Policies: ("scheduler placement preemption contention storage_access resize_gain "),
    CheckpointTier: (
        "name mode interval snapshot_bandwidth write_bandwidth read_bandwidth coordination survives "
        "unreadable older_copies "
    ),
    CheckpointPolicy: ("tiers bytes_per_parameter state_bytes "),
    Job: (
        "title model site partition gpus min_gpus max_gpus first_domain walltime account priority submit reserved "
        "spare_domains parallel phases data target observed published checkpoint input_bytes output_bytes "
        "planned_mfu step_time_factor "
    ),
    Phase: (
        "kind title tokens gpu_time_share gpu_hours updates unit_time gpus gpu_share min_duration data_ready "
        "data_gated after overlap parallel rollouts flop_multiplier "
    ),
}

ROOT = Path(__file__).resolve().parents[2]


def test_equal_to_the_simpy_engine() -> None:
    """Random worlds give the same rows and sums in both engines (benchmarks/kernel.py: compiled)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.engine.kernel_worlds", "0", "30"],
        cwd=ROOT,
        env=os.environ | {"COLOSSUS_SIM_NO_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "30 worlds, 0 differences\n"


def test_machine_code_follows_all_sources() -> None:
    """Machine code on disk is made anew when any module with compiled functions changes."""
    folder = Path(machine_code.__file__).parent
    with_code = {path.stem for path in folder.glob("*.py") if "\n@compiled\n" in path.read_text("utf-8")}
    assert len(with_code) > 5
    assert with_code <= set(machine_code.SOURCES)


def test_worlds_are_within_the_kernel() -> None:
    """The worlds of the comparison use no feature that the kernel leaves to SimPy, and do see failures."""
    worlds = [random_world(number) for number in range(20)]
    assert [unsupported(world) for world in worlds] == [None] * 20
    assert max(expected_failures(world) for world in worlds) > 100


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"policies": {"preemption": "priority"}}, "policies.preemption: priority"),
        ({"policies": {"scheduler": "fair_share"}}, "policies.scheduler: fair_share"),
        ({"jobs": {"job": a_job(min_gpus=32)}}, "jobs.job.min_gpus"),
        ({"jobs": {"job": a_job(spare_domains=1)}}, "jobs.job.spare_domains"),
        ({"faults": {"eviction": {"failures": 2}}}, "faults.eviction"),
    ],
)
def test_names_what_it_lacks(more: dict[str, Any], named: str) -> None:
    """A scenario with a feature outside the kernel is left to SimPy, and the feature is named."""
    scenario = Scenario.model_validate(a_scenario(**more))
    assert unsupported(scenario) == named
    choice = choose(scenario, 1_000_000, available=True, kept=True)
    assert not choice.kernel
    assert named in choice.why


def test_every_field_has_been_considered() -> None:
    """A new field of a scenario is either played by the kernel or refused by `allow`; then it is listed above."""
    for spec, names in KNOWN.items():
        new = set(spec.model_fields) - set(names.split())
        assert not new, (
            f"{spec.__name__}: {', '.join(sorted(new))}: the kernel must have it, or `allow` name it"
        )


def test_chosen_when_it_pays() -> None:
    """The kernel plays many runs of the flagship, but not a few of a tiny scenario, nor without numba."""
    flagship, tiny = load_scenario("colossus_roadmap"), load_scenario("tiny")
    assert choose(flagship, 1000, available=True, kept=False).kernel
    assert not choose(tiny, 20, available=True, kept=True).kernel
    missing = choose(flagship, 1000, available=False, kept=False)
    assert not missing.kernel
    assert "numba" in missing.why
