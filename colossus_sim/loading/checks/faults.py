"""Rules about failures and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator

from colossus_sim.errors import Problem
from colossus_sim.specs.checkpoint import CheckpointPolicy
from colossus_sim.specs.scenario import Scenario

_SCOPES = ("software", "node", "domain", "site")


def repair_given(scenario: Scenario) -> Iterator[Problem]:
    """What is removed also comes back."""
    for name, fault in scenario.faults.classes.items():
        if fault.removes != "nothing" and fault.repair is None:
            yield Problem(
                path=f"faults.classes.{name}.repair",
                message=f"the class removes a {fault.removes}, so it needs 'repair'",
                hint="e.g. repair: {manual_time: '24 h'}",
            )


def laws_of_failure(scenario: Scenario) -> Iterator[Problem]:
    """The law of a class has what it needs, and the ages of units are known."""
    for name, fault in scenario.faults.classes.items():
        path = f"faults.classes.{name}"
        if fault.distribution == "empirical" and (fault.gaps is None or sum(fault.gaps) <= 0):
            yield Problem(
                path=f"{path}.gaps",
                message="the empirical law needs measured gaps that are longer than zero in the mean",
                hint="e.g. gaps: ['3 h', '11 h'], or the path of a CSV file with a column gap_h",
            )
        if fault.lifetime is None:
            continue
        if fault.per in ("group", "switch", "site", "job"):
            yield Problem(
                path=f"{path}.lifetime",
                message=f"only gpus, nodes and domains have an age, but the rate counts a {fault.per}",
                hint="use distribution and shape",
            )
        if fault.distribution != "exponential":
            yield Problem(
                path=f"{path}.distribution",
                message="a class with a lifetime has no distribution of its own",
                hint="leave out one of the two",
            )


def loads_and_defects(scenario: Scenario) -> Iterator[Problem]:
    """What fails under load only, and what comes back after a repair, are single units."""
    units = ("gpu", "node", "domain")
    for name, fault in scenario.faults.classes.items():
        path = f"faults.classes.{name}"
        aged = fault.distribution != "exponential" or fault.lifetime is not None
        if fault.under_load and (fault.per not in units or aged):
            yield Problem(
                path=f"{path}.under_load",
                message="only gpus, nodes and domains that fail at a constant rate can fail under load only",
                hint="rates per job count computing time already",
            )
        comes_back = fault.repair is not None and fault.repair.recurs_after is not None
        if comes_back and (fault.per not in units or fault.removes not in ("node", "domain")):
            yield Problem(
                path=f"{path}.repair.recurs_after",
                message="only failures of gpus, nodes and domains that remove a node or a domain come back",
            )


def groups(scenario: Scenario) -> Iterator[Problem]:
    """A class of groups says how large they are, and stops the jobs on them."""
    for name, fault in scenario.faults.classes.items():
        path = f"faults.classes.{name}"
        if (fault.per == "group") != (fault.group is not None):
            yield Problem(
                path=f"{path}.group",
                message="'per: group' and 'group' go together",
                hint="e.g. per: group, group: {domains: 8}, removes: group",
            )
        elif fault.removes == "group" and fault.per != "group":
            yield Problem(
                path=f"{path}.removes", message=f"a group is removed at a rate per group, not per {fault.per}"
            )
        elif fault.per == "group" and (
            fault.removes not in ("nothing", "group") or not fault.interrupts or fault.planned
        ):
            yield Problem(
                path=path,
                message="a class of groups stops the jobs on them without warning and removes 'nothing' or 'group'",
                hint="give slow units, broken links and planned work classes of their own",
            )


def switches(scenario: Scenario) -> Iterator[Problem]:
    """A rate per switch says of which level, and that the switch is what is lost."""
    for name, fault in scenario.faults.classes.items():
        if fault.per == "switch" and (
            fault.degrades is None or fault.degrades.part not in ("switch", "cable")
        ):
            yield Problem(
                path=f"faults.classes.{name}.degrades",
                message="a rate per switch needs to know which switches",
                hint="e.g. degrades: {part: switch, level: leaf}, interrupts: false, and a repair",
            )


def policies(scenario: Scenario) -> Iterator[tuple[str, CheckpointPolicy]]:
    """Yield every checkpoint policy with its path."""
    yield "checkpoint", scenario.checkpoint
    for name, job in scenario.jobs.items():
        if job.checkpoint is not None:
            yield f"jobs.{name}.checkpoint", job.checkpoint


def checkpoint_survives(scenario: Scenario) -> Iterator[Problem]:
    """The last tier survives every failure that is switched on."""
    if not scenario.faults.enabled:
        return
    for path, policy in policies(scenario):
        last = policy.tiers[-1]
        for name, fault in scenario.faults.classes.items():
            needed = "software" if fault.removes == "nothing" else fault.removes
            if fault.needs_storage_checkpoint or needed == "group":
                needed = "site"
            if _SCOPES.index(last.survives) < _SCOPES.index(needed):
                yield Problem(
                    path=f"{path}.tiers[{len(policy.tiers) - 1}].survives",
                    message=f"the last tier {last.name!r} survives {last.survives!r} only, but fault class "
                    f"{name!r} needs one that survives {needed!r}",
                    hint="add a tier on shared storage that survives 'site'",
                )
                break


def intervals(scenario: Scenario) -> Iterator[Problem]:
    """Time passes between two saves, and tiers have different names."""
    for path, policy in policies(scenario):
        names: set[str] = set()
        for index, tier in enumerate(policy.tiers):
            if tier.interval == 0:
                yield Problem(
                    path=f"{path}.tiers[{index}].interval",
                    message="must be more than zero",
                    hint="e.g. '30 min' or optimal",
                )
            if tier.name in names:
                yield Problem(path=f"{path}.tiers[{index}].name", message=f"{tier.name!r} is there twice")
            names.add(tier.name)
