"""Step times of jobs that share a network, as a band of assumptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from colossus_sim.cli.common import text_table
from colossus_sim.cli.feasibility import build_fabrics
from colossus_sim.engine.pool import PartitionPool
from colossus_sim.engine.runner import level_domains
from colossus_sim.network.sharing import JobDemand, LinkSharing, contention_band
from colossus_sim.parallelism.placement import Placement
from colossus_sim.randomness import stream
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.phases import ModelBuilder, PhaseModel, build_phase_model
from colossus_sim.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBand:
    """Step time of one job beside the others of its partition.

    Attributes
    ----------
    job, phase, site, partition : str
        Where it runs.
    gpus : int
        GPUs that compute.
    times : dict of str to float
        Step time per assumption: none (alone, where it sits), best_case, average, worst_case. [s]
    """

    job: str
    phase: str
    site: str
    partition: str
    gpus: int
    times: dict[str, float]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = ("job", "phase", "site", "partition", "gpus")
        return {name: getattr(self, name) for name in names} | {"step_time_s": self.times}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """One phase with its GPUs."""

    job: str
    phase: str
    model: PhaseModel
    placement: Placement
    alone: tuple[float, ...]

    def time(self, bandwidths: tuple[float, ...] | None) -> float:
        return self.model.unit(self.model.gpus_wanted, self.placement, bandwidths).time

    def demand(self) -> JobDemand:
        unit = self.model.unit(self.model.gpus_wanted, self.placement, self.alone)
        return JobDemand(
            name=self.job,
            placement=self.placement,
            gpus=self.model.gpus_wanted,
            traffic=unit.traffic,
            flatness=unit.flatness,
            step_time=unit.time,
        )


@dataclass(frozen=True, slots=True)
class _StepTimes:
    """Step time of a job by name."""

    placed: dict[str, _Placed]

    def __call__(self, name: str, bandwidths: tuple[float, ...]) -> float:
        return self.placed[name].time(bandwidths)


def job_bands(scenario: Scenario, build_model: ModelBuilder = build_phase_model) -> list[JobBand]:
    """Return the band of the first phase of every job, all placed at once at full capacity by priority.

    Jobs that do not fit beside the more important ones are left out.
    """
    bands = []
    for (site, partition), fabric in build_fabrics(scenario).items():
        placed = {one.job: one for one in _place(scenario, site, partition, fabric, build_model)}
        demands = [one.demand() for one in placed.values()]
        if not demands:
            continue
        found = contention_band(fabric=fabric, demands=demands, step_time=_StepTimes(placed))
        for name, one in placed.items():
            bands.append(
                JobBand(
                    job=name,
                    phase=one.phase,
                    site=site,
                    partition=partition,
                    gpus=one.model.gpus_wanted,
                    times={mode: times[name] for mode, times in found.items()},
                )
            )
    return bands


def _place(
    scenario: Scenario, site: str, partition: str, fabric: Fabric, build_model: ModelBuilder
) -> Iterator[_Placed]:
    spec = scenario.cluster.sites[site].partitions[partition]
    pool = PartitionPool(site, partition, spec, level_domains(fabric))
    pool.resize(spec.most_gpus, [])
    rng, links = stream(scenario.seed, "placement"), LinkSharing(fabric)
    first = next(iter(scenario.cluster.sites[site].partitions))
    ranked = sorted(scenario.jobs.items(), key=lambda item: -item[1].priority)
    for number, (name, job) in enumerate(ranked):
        if job.site != site or (job.partition or first) != partition:
            continue
        phase = next(iter(job.phases))
        model = build_model(
            scenario=scenario,
            job_name=name,
            phase_name=phase,
            site=site,
            partition_name=partition,
            fabric=fabric,
        )
        count = pool.domains_for(model.gpus_wanted)
        if count > pool.available():
            continue
        policy = scenario.policies.placement
        domains = pool.allocate(number, count, policy, rng, first=job.first_domain)
        placement = pool.placement(domains)
        alone = links.alone(placement, model.gpus_wanted)
        yield _Placed(job=name, phase=phase, model=model, placement=placement, alone=alone)


def band_table(bands: Sequence[JobBand]) -> str:
    """Return the bands as a table, with the assumptions in words."""
    rows = []
    for band in bands:
        alone = band.times["none"]
        slowed = [
            f"{format_duration(band.times[mode])} ({band.times[mode] / alone - 1:+.1%})"
            for mode in ("best_case", "average", "independent", "worst_case")
        ]
        place = f"{band.site}/{band.partition}"
        rows.append((band.job, band.phase, place, f"{band.gpus:,}", format_duration(alone), *slowed))
    header = (
        "job", "phase", "partition", "GPUs", "alone", "best case", "average", "independent", "worst case",
    )  # fmt: skip
    return (
        "Contention: all jobs at once at full capacity, placed by priority as the scenario says. Best case: jobs "
        "interleave;\naverage: the others take their mean demand away; independent: they communicate at random "
        "moments;\nworst case: all communicate at the same moment.\n"
        + text_table(header, rows, right=(3, 4, 5, 6, 7, 8))
    )
