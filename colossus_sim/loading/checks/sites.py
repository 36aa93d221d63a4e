"""Rules about the cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

from colossus_sim.errors import Problem
from colossus_sim.loading.checks.walk import (
    capacity_moments,
    idle_power,
    installed_at,
    partitions,
    records,
)
from colossus_sim.loading.fields import quantity_of
from colossus_sim.loading.nodes import join
from colossus_sim.loading.suggest import nearest
from colossus_sim.specs.scenario import Scenario
from colossus_sim.units import (
    BANDWIDTH,
    FLOP_RATE,
    Quantity,
    format_duration,
    format_instant,
    format_instants,
)

_POSITIVE_QUANTITIES: tuple[Quantity, ...] = (BANDWIDTH, FLOP_RATE)
_POSITIVE_FIELDS = frozenset(
    (
        "horizon", "hbm_capacity", "multiprocessors", "scale_up_domain", "gpus_per_node", "switch_radix",
        "rails", "planes", "endpoints_per_router", "routers_per_group", "global_links_per_router", "dims",
        "gemm_peak_fraction", "gemm_tile", "attention_fraction", "attention_backward_fraction",
        "memory_fraction", "grouped_gemm_fraction", "moe_intermediate_size",
        "prompts_per_update", "samples_per_prompt", "gpus_per_replica", "concurrency_per_replica",
        "response_tokens", "max_response_tokens", "power_limit", "declared_params", "declared_active_params",
    )
)  # fmt: skip


def positive_values(scenario: Scenario) -> Iterator[Problem]:
    """Bandwidths, rates and sizes that something is divided by are more than zero."""
    for path, record in records(scenario):
        for name, info in type(record).model_fields.items():
            value = getattr(record, name)
            must = name in _POSITIVE_FIELDS or quantity_of(info) in _POSITIVE_QUANTITIES
            if must and _holds_zero(value):
                yield Problem(path=join(path, name), message="must be more than zero")


def _holds_zero(value: object) -> bool:
    if isinstance(value, tuple):
        return any(_holds_zero(item) for item in value)
    if isinstance(value, dict):
        return any(_holds_zero(item) for item in value.values())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


def maintenance(scenario: Scenario) -> Iterator[Problem]:
    """Planned work names a partition of its site, begins after the start, and ends before its next round."""
    for name, site in scenario.cluster.sites.items():
        for index, work in enumerate(site.maintenance):
            path = f"cluster.sites.{name}.maintenance[{index}]"
            if work.partition is not None and work.partition not in site.partitions:
                yield Problem(
                    path=f"{path}.partition",
                    message=f"the site has no partition {work.partition!r}",
                    hint=f"partitions: {', '.join(site.partitions)}",
                )
            if work.first < scenario.start:
                yield Problem(
                    path=f"{path}.first",
                    message="lies before the start of the scenario",
                    hint=f"the start is {format_instant(scenario.start)}",
                )
            batches = math.ceil(1.0 / work.fraction)
            long = batches * work.duration + (batches - 1) * work.pause
            if work.every is not None and work.every < long:
                yield Problem(
                    path=f"{path}.every",
                    message=f"a round of {batches} batches takes {format_duration(long)}, longer than "
                    f"{format_duration(work.every)} from round to round",
                    hint="a larger fraction, or rounds further apart",
                )


def capacity_in_order(scenario: Scenario) -> Iterator[Problem]:
    """Capacity steps come in order of date, one per moment."""
    for path, _, _, partition in partitions(scenario):
        for index, (before, after) in enumerate(pairwise(partition.capacity), start=1):
            if after.at <= before.at:
                own, last = format_instants(after.at, before.at)
                yield Problem(
                    path=f"{path}.capacity[{index}].at",
                    message=f"{own} is not after the step before it ({last})",
                    hint="list the capacity steps in order of date",
                )


def power_above_idle(scenario: Scenario) -> Iterator[Problem]:
    """A power limit leaves something for work: what is installed draws its idle power whatever the clocks."""
    end = scenario.start + scenario.horizon
    for name, site in scenario.cluster.sites.items():
        if site.power_limit is None:
            continue
        draws = [(idle_power(site, moment) * site.pue, moment) for moment in capacity_moments(site, end)]
        most, worst = max(draws, key=lambda draw: draw[0], default=(0.0, 0.0))
        if most >= site.power_limit:
            yield Problem(
                path=f"cluster.sites.{name}.power_limit",
                message=f"{site.power_limit / 1e6:g} MW is no more than the {most / 1e6:.4g} MW that the GPUs "
                f"installed on {format_instant(worst)}, their hosts and cooling draw without any work",
                hint="raise the limit, or install fewer GPUs",
            )


def used_per_domain_fits(scenario: Scenario) -> Iterator[Problem]:
    """Jobs cannot use more GPUs of a domain than it has, nor none."""
    for path, _, _, partition in partitions(scenario):
        used, domain = partition.gpus_used_per_domain, partition.gpu.scale_up_domain
        if used is not None and not 1 <= used <= domain:
            yield Problem(
                path=f"{path}.gpus_used_per_domain",
                message=f"must be between 1 and the domain's {domain} GPUs, got {used}",
            )


def spares_below_capacity(scenario: Scenario) -> Iterator[Problem]:
    """Spares leave something to run on."""
    for path, _, _, partition in partitions(scenario):
        domain = max(1, partition.gpu.scale_up_domain)
        largest = partition.most_gpus
        if 0 < largest < domain:
            yield Problem(
                path=f"{path}.capacity",
                message=f"{largest} GPUs are less than one scale-up domain of {domain}",
                hint="install whole domains",
            )
        elif 0 < largest < (partition.kept_domains + 1) * domain:
            kept = "spare and reserve" if partition.reserve_domains else "spare"
            yield Problem(
                path=f"{path}.spare_domains",
                message=f"{partition.kept_domains} {kept} domains of {domain} GPUs leave nothing of "
                f"{largest} GPUs",
                hint=f"at most {largest // domain - 1}",
            )


def topology_large_enough(scenario: Scenario) -> Iterator[Problem]:
    """The network has an endpoint for every GPU that is ever installed."""
    for name, site in scenario.cluster.sites.items():
        moments = sorted({step.at for part in site.partitions.values() for step in part.capacity})
        installed = [
            (sum(installed_at(part, moment) for part in site.partitions.values()), moment)
            for moment in moments
        ]
        most, moment = max(installed)
        if most > site.topology.gpus:
            yield Problem(
                path=f"cluster.sites.{name}.topology",
                message=f"the network joins {site.topology.gpus} GPUs, but {most} are installed from "
                f"{format_instant(moment)} on",
                hint="use a larger topology, or install fewer GPUs",
            )


def misspelt_network_gpu(scenario: Scenario, known: Callable[[], list[str]]) -> Iterator[Problem]:
    """The GPU that a network was drawn for is not nearly one of its partitions', or one that `known` names.

    A name that is like none is a GPU of the network's own: a partition may hold another.
    """
    for name, site in scenario.cluster.sites.items():
        gpu = site.topology.gpu
        own = {part.gpu.name for part in site.partitions.values()}
        best = None if gpu in own else nearest(gpu, own.union(known()))
        if best is not None and best != gpu:
            yield Problem(
                path=f"cluster.sites.{name}.topology.gpu",
                message=f"there is no GPU called {gpu!r}",
                hint=f"did you mean {best!r}?",
            )


def nodes_fill_domains(scenario: Scenario) -> Iterator[Problem]:
    """A scale-up domain is made of whole nodes, or a node of whole domains."""
    for path, _, _, partition in partitions(scenario):
        domain, node = partition.gpu.scale_up_domain, partition.gpu.gpus_per_node
        if domain and node and domain % node and node % domain:
            yield Problem(
                path=f"{path}.gpu.scale_up_domain",
                message=f"{domain} GPUs are not a whole number of nodes of {node}",
            )
