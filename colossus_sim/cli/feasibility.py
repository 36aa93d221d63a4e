"""Whether the plans of a scenario fit: asks topology and training, which loading may not."""

from __future__ import annotations

from collections.abc import Iterator

from colossus_sim.errors import InfeasibleError, Problem
from colossus_sim.loading.checks.walk import job_partitions
from colossus_sim.loading.load import placed
from colossus_sim.specs.job import Job
from colossus_sim.specs.scenario import Scenario
from colossus_sim.topology.builders import build_fabric, placed_problem, topology_problems
from colossus_sim.topology.fabric import Fabric
from colossus_sim.training.phases import ModelBuilder, build_phase_model

Fabrics = dict[tuple[str, str], Fabric]


def find_problems(scenario: Scenario, build_model: ModelBuilder = build_phase_model) -> tuple[Problem, ...]:
    """Return the networks that cannot be built, or else what in them does not fit: plans and parts that break.

    A `ModelCache` as `build_model` keeps the models for what comes after.
    """
    problems = list(_networks(scenario))
    if not problems:
        fabrics = build_fabrics(scenario)
        for name, job in scenario.jobs.items():
            problems.extend(_job(scenario, name, job, fabrics, build_model))
        problems.extend(_broken_parts(scenario, fabrics))
    unique = {(problem.path, problem.message): problem for problem in problems}
    return tuple(placed(problem, scenario) for problem in unique.values())


def _networks(scenario: Scenario) -> Iterator[Problem]:
    for name, site in scenario.cluster.sites.items():
        for partition in site.partitions.values():
            for message in topology_problems(site.topology, partition.gpu, partition.most_gpus):
                found = placed_problem(site.topology, message)
                yield Problem(path=f"cluster.sites.{name}.topology.{found.path}", message=found.message)


def _broken_parts(scenario: Scenario, fabrics: Fabrics) -> list[Problem]:
    faults = scenario.faults
    if not faults.enabled or all(spec.degrades is None for spec in faults.classes.values()):
        return []
    from colossus_sim.engine.network_parts import Network, network_part_problems

    sites = scenario.cluster.sites
    networks = [
        Network(sites[site].topology, sites[site].partitions[name].gpu, fabric)
        for (site, name), fabric in fabrics.items()
    ]
    return list(network_part_problems(networks, faults.classes.items()))


def build_fabrics(scenario: Scenario) -> Fabrics:
    """Return the network of each partition, by site and partition name."""
    return {
        (site_name, name): build_fabric(site.topology, partition.gpu, partition.most_gpus)
        for site_name, site in scenario.cluster.sites.items()
        for name, partition in site.partitions.items()
    }


def _job(
    scenario: Scenario, name: str, job: Job, fabrics: Fabrics, build_model: ModelBuilder
) -> list[Problem]:
    """Problems of the first partition if the job fits none of those that it may use."""
    found: list[list[Problem]] = []
    for partition in job_partitions(scenario, job):
        fabric = fabrics[job.site, partition]
        problems: list[Problem] = []
        for phase in job.phases:
            try:
                build_model(
                    scenario=scenario,
                    job_name=name,
                    phase_name=phase,
                    site=job.site,
                    partition_name=partition,
                    fabric=fabric,
                )
            except InfeasibleError as error:
                problems.extend(error.problems)
        if not problems:
            return []
        found.append(problems)
    return found[0] if found else []
