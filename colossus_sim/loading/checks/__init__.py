"""Rules that tie several fields together: small named functions, each says what to change.

A rule takes the scenario and yields problems without a place; loading adds file, line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from colossus_sim.errors import Problem
from colossus_sim.loading.checks import advice, faults, jobs, models, plans, sites
from colossus_sim.specs.scenario import Scenario

Rule = Callable[[Scenario], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    sites.positive_values,
    sites.capacity_in_order,
    sites.used_per_domain_fits,
    sites.power_above_idle,
    sites.spares_below_capacity,
    sites.topology_large_enough,
    sites.maintenance,
    sites.nodes_fill_domains,
    jobs.names_known,
    jobs.dates_in_order,
    jobs.one_kind_of_work,
    jobs.phase_order,
    jobs.gpus_given_once,
    jobs.elastic_range,
    jobs.data_releases,
    jobs.fits_its_site,
    jobs.full_size_fits,
    jobs.placed_in_its_partition,
    jobs.power_for_each_job,
    models.consistent_shape,
    models.declared_parameters,
    plans.degrees_match_gpus,
    plans.divisibility,
    plans.experts_to_share,
    plans.schedule,
    plans.batch,
    plans.precision_known,
    faults.repair_given,
    faults.laws_of_failure,
    faults.loads_and_defects,
    faults.groups,
    faults.switches,
    faults.checkpoint_survives,
    faults.intervals,
)
"""Violations stop the run."""

ADVICE: tuple[Rule, ...] = (
    advice.no_effect_site,
    advice.no_effect_plan,
    advice.no_effect_phase,
    advice.no_effect_faults,
    plans.idle_gpus,
    plans.idle_pools,
    advice.uneven_layers,
    advice.uneven_batch,
    plans.microbatches,
    advice.incomplete_domains,
    advice.beyond_horizon,
    advice.late_data,
    advice.late_capacity,
    advice.slow_restart,
    advice.crowded_replicas,
    advice.long_save,
)
"""Settings that have no effect or look like a mistake; reported as warnings."""


def check_scenario(scenario: Scenario) -> tuple[list[Problem], list[Problem]]:
    """Return all problems and all warnings of a scenario; warnings only where nothing is wrong."""
    problems = [problem for rule in RULES for problem in rule(scenario)]
    if problems:
        return problems, []
    return [], [problem for rule in ADVICE for problem in rule(scenario)]
