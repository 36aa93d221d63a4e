"""Clos networks: fat trees and leaf-spine, with rails, planes and any oversubscription."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from colossus_sim.specs.topology import Clos, ClosTier
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric, Level

MANY = 100
"""Cables up from a leaf switch or a group, per rail, of which one more is not worth counting: from so many on a
tier's bandwidth is as its `oversubscription` says, below as its whole cables do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosTierPlan:
    """One tier of one network (one plane, or one rail of it where rails are never joined).

    Attributes
    ----------
    name : str
        leaf, spine, core.
    group_gpus : int
        GPUs below one group, whole domains.
    groups : int
        Groups of this tier.
    lower : int
        Units that every switch of this tier must have a port for: GPUs per rail (leaf), leaf switches of the
        group (spine above leaf), groups of the tier below (higher up).
    ports_down, ports_up : int
        Ports of all switches of one group, per network.
    switches : int
        Switches of one group, per network.
    radix : int
        Ports of one switch.
    rails : int
        Rails that the switches of a group keep apart; 1 = each switch serves all of them.
    """

    name: str
    group_gpus: int
    groups: int
    lower: int
    ports_down: int
    ports_up: int
    switches: int
    radix: int
    rails: int = 1


def networks(spec: Clos) -> int:
    """Return how many networks there are that no switch joins."""
    return spec.planes * spec.rails if spec.rail_only else spec.planes


def tier_plans(spec: Clos, ends: Endpoints) -> tuple[ClosTierPlan, ...]:
    """Lay out the tiers that are needed for so many GPUs, from the leaf upwards."""
    plans: list[ClosTierPlan] = []
    below = ends.domain
    for index, tier in enumerate(spec.tiers):
        group = ends.whole(tier.group_gpus, below) if tier.group_gpus else ends.everything(below)
        last = index == len(spec.tiers) - 1 or group >= ends.gpus
        if last:
            group = ends.everything(below)
        up = 0.0 if last else 1.0 / tier.oversubscription
        plans.append(
            _leaf(spec, ends, tier, group, up)
            if index == 0
            else _upper(spec, ends, tier, group, up, plans[-1], above_leaf=index == 1)
        )
        if last:
            break
        below = group
    return tuple(plans)


def _leaf(spec: Clos, ends: Endpoints, tier: ClosTier, group: int, up: float) -> ClosTierPlan:
    per_switch = -(-group // (spec.rails * spec.planes))
    leaves = 1 if spec.rail_only else spec.rails
    return ClosTierPlan(
        name=tier.name,
        group_gpus=group,
        groups=-(-ends.gpus // group),
        lower=per_switch,
        ports_down=per_switch * leaves,
        ports_up=_ports(per_switch * up) * leaves,
        switches=leaves,
        radix=tier.switch_radix or spec.switch_radix,
        rails=leaves,
    )


def _upper(
    spec: Clos,
    ends: Endpoints,
    tier: ClosTier,
    group: int,
    up: float,
    lower: ClosTierPlan,
    *,
    above_leaf: bool,
) -> ClosTierPlan:
    inside = min(group // lower.group_gpus, lower.groups)
    down = inside * lower.ports_up
    rails = lower.rails if tier.per_rail else 1
    ports_up = _ports(down * up / rails) * rails
    radix = tier.switch_radix or spec.switch_radix
    fewest = rails * -(-(down + ports_up) // (rails * radix))
    return ClosTierPlan(
        name=tier.name,
        group_gpus=group,
        groups=-(-ends.gpus // group),
        lower=inside * lower.switches // rails if above_leaf else inside,
        ports_down=down,
        ports_up=ports_up,
        switches=fewest if tier.switches is None else tier.switches // networks(spec),
        radix=radix,
        rails=rails,
    )


def _ports(number: float) -> int:
    return math.ceil(number - 1e-9)


def clos_problems(spec: Clos, ends: Endpoints) -> list[str]:
    """Return in words what cannot be built."""
    problems = []
    if ends.domain % spec.rails:
        problems.append(
            f"rails: {spec.rails} rails do not divide the {ends.domain} GPUs of a scale-up domain; "
            f"divisors are {_divisors(ends.domain)}"
        )
    names = [tier.name for tier in spec.tiers]
    if len(set(names)) < len(names):
        problems.append(f"tiers: two tiers have the same name, got {', '.join(names)}")
    if "scale_up" in names:
        problems.append("tiers: no tier can be called 'scale_up', which is the level of the scale-up domains")
    each, group = spec.rails * spec.planes, spec.tiers[0].group_gpus
    if spec.planes > 1 and group % each:
        problems.append(
            f"planes: the {group} GPUs of a {names[0]} group do not divide over {spec.rails} rails x "
            f"{spec.planes} planes = {each} switches"
        )
    for index, tier in enumerate(spec.tiers):
        problems.extend(_tier_problems(spec, ends, index, tier))
    if not problems:
        plans = tier_plans(spec, ends)
        for index, (tier, plan) in enumerate(zip(spec.tiers, plans, strict=False)):
            found = _radix_problems(plan, leaf=index == 0)
            problems.extend(found or _count_problems(spec, tier, plans[: index + 1]))
    return problems


def _tier_problems(spec: Clos, ends: Endpoints, index: int, tier: ClosTier) -> list[str]:
    """Sizes that contradict each other, whatever the switches."""
    problems = []
    last = index == len(spec.tiers) - 1
    if last and 0 < tier.group_gpus < ends.gpus:
        problems.append(
            f"tiers: the last tier {tier.name!r} joins {tier.group_gpus} GPUs and cannot reach all {ends.gpus}; "
            "write 0 for all, or add a tier"
        )
    if not last and not tier.group_gpus:
        problems.append(
            f"tiers: {tier.name!r} joins all GPUs (group_gpus 0), so there can be no tier above it"
        )
    if 0 < tier.group_gpus < ends.domain:
        problems.append(
            f"tiers: {tier.name!r} has groups of {tier.group_gpus} GPUs, "
            f"smaller than a scale-up domain of {ends.domain}"
        )
    if tier.per_rail and index > 1 and not spec.tiers[index - 1].per_rail:
        problems.append(
            f"tiers: {tier.name!r} cannot be per_rail, since {spec.tiers[index - 1].name!r} below has joined "
            "the rails"
        )
    below = spec.tiers[index - 1].group_gpus if index else 0
    whole, unit = (
        (below, f"groups of {spec.tiers[index - 1].name!r}") if index else (ends.domain, "scale-up domains")
    )
    if ends.own_gpu and whole and tier.group_gpus > whole and tier.group_gpus % whole:
        less = tier.group_gpus // whole * whole
        problems.append(
            f"tiers: groups of {tier.name!r} are whole {unit}, so not {tier.group_gpus} GPUs; "
            f"write {less} or {less + whole}"
        )
    if 0 < tier.group_gpus <= below:
        problems.append(
            f"tiers: groups of {tier.name!r} ({tier.group_gpus} GPUs) must be larger than those of "
            f"{spec.tiers[index - 1].name!r} ({below})"
        )
    if last and tier.oversubscription != 1:
        problems.append(f"tiers: {tier.name!r} is the last tier, nothing is above it to be oversubscribed")
    return problems


def _radix_problems(plan: ClosTierPlan, *, leaf: bool) -> list[str]:
    """Switches with too few ports."""
    share = plan.ports_up / plan.ports_down if plan.ports_down else 0.0
    if leaf:
        down, up = plan.lower, plan.ports_up // plan.switches
        if down + up > plan.radix:
            return [
                f"switch_radix: a {plan.name} switch for {plan.group_gpus} GPUs needs {down} ports down and "
                f"{up} up = {down + up}, but has {plan.radix}"
            ]
        return []
    reach = plan.radix if share == 0 else math.floor(plan.radix / (1 + share) + 1e-9)
    if plan.lower > reach:
        return [
            f"switch_radix: a {plan.name} switch of {plan.radix} ports can join {reach} units of the tier below "
            f"(with {share:.3g} ports up per port down), but a group of {plan.group_gpus} GPUs has {plan.lower}"
        ]
    return []


def _count_problems(spec: Clos, tier: ClosTier, plans: tuple[ClosTierPlan, ...]) -> list[str]:
    """A number of switches that was given, against rails, ports and the switches below that they have to join."""
    given, count, plan = tier.switches, networks(spec), plans[-1]
    if given is None:
        return []
    if len(plans) == 1:
        own = count * plan.switches
        text = f"switches: a {plan.name} group has one switch per rail and plane = {own}, got {given}"
        return [] if given == own else [text]
    parts = count * plan.rails
    if given % parts:
        return [f"switches: {given} {plan.name} switches do not divide over {parts} separate rails or planes"]
    down, up = count * plan.ports_down, count * plan.ports_up
    if given * plan.radix < down + up:
        return [
            f"switches: {given} {plan.name} switches of {plan.radix} ports have {given * plan.radix}, but a group "
            f"of {plan.group_gpus} GPUs needs {down} down and {up} up = {down + up}: "
            f"at least {parts * -(-(down + up) // (parts * plan.radix))}"
        ]
    return _unreached(given // parts, plans[-2], plan, parts, leaf=len(plans) == 2)


def _unreached(each: int, lower: ClosTierPlan, plan: ClosTierPlan, parts: int, *, leaf: bool) -> list[str]:
    """Switches that what is below has too few ports up for, one to each."""
    uplinks = lower.ports_up // (lower.switches if leaf else plan.rails)
    if each <= uplinks:
        return []
    return [
        f"switches: a {lower.name} {'switch' if leaf else 'group'} has {uplinks} ports up and cannot reach {each} "
        f"{plan.name} switches; at most {uplinks * parts} in a group of {plan.group_gpus} GPUs"
    ]


def _divisors(number: int) -> str:
    return ", ".join(str(d) for d in range(1, number + 1) if number % d == 0)


def _collisions(plan: ClosTierPlan, ends: Endpoints, count: int) -> float:
    """Return what hashed paths leave of the uplinks of a tier."""
    topology = ends.topology
    if topology.routing != "ecmp" or not plan.ports_up:
        return 1.0
    from colossus_sim.topology.ecmp import hashed_share

    return hashed_share(
        plan.name,
        flows=max(1, round(plan.ports_down / plan.switches * topology.flows_per_nic)),
        uplinks=plan.ports_up // plan.switches,
        switches=count * plan.groups * plan.switches,
        seed=topology.ecmp_seed,
    )


def build_clos(spec: Clos, ends: Endpoints) -> Fabric:
    """Return the fabric; each tier's bandwidth is what the cables of the narrowest tier below leave to a GPU.

    Cables are whole, so that a tier of few may have more of them than its `oversubscription` asks for.
    """
    plans = tier_plans(spec, ends)
    count = networks(spec)
    levels, share, top, left = [ends.domain_level()], 1.0, 1.0, 1.0
    for index, plan in enumerate(plans):
        if plan.group_gpus > levels[-1].group_gpus:
            levels.append(
                Level(
                    name=plan.name,
                    group_gpus=plan.group_gpus,
                    bandwidth=ends.injection * left,
                    latency=ends.latency(2 * index + 1),
                )
            )
        if index < len(plans) - 1:
            whole = plan.ports_up < MANY * plan.rails
            share /= spec.tiers[index].oversubscription
            share = count * plan.ports_up / plan.group_gpus if whole else share
            top = min(top, share)
            # The narrowest tier on the way sets the rate, collisions on it included.
            left = min(left, share * _collisions(plan, ends, count))
    links = {"host": ends.gpus * spec.planes}
    for lower, upper in itertools.pairwise(plans):
        links[f"{lower.name}-{upper.name}"] = count * lower.groups * lower.ports_up
    return Fabric(
        name=ends.topology.name or ends.topology.title,
        kind="clos",
        levels=tuple(levels),
        injection_bandwidth=ends.injection,
        gpus=ends.gpus,
        gpus_per_domain=ends.domain,
        switches={plan.name: count * plan.groups * plan.switches for plan in plans},
        links=links,
        bisection_bandwidth=ends.gpus / 2 * ends.nic * top,
        diameter=2 * len(plans) - 1,
        collectives=ends.topology.collectives,
    )
