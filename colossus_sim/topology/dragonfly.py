"""Dragonfly networks: routers all-to-all inside a group, groups all-to-all."""

from __future__ import annotations

from colossus_sim.specs.topology import Dragonfly
from colossus_sim.topology.endpoints import Endpoints
from colossus_sim.topology.fabric import Fabric, Level


def dragonfly_sizes(spec: Dragonfly, ends: Endpoints) -> tuple[int, int, int]:
    """Return GPUs per group, groups, and routers."""
    per_group = spec.endpoints_per_router * spec.routers_per_group
    groups = -(-ends.gpus // per_group)
    return per_group, groups, groups * routers_in_group(spec, ends.gpus)


def routers_in_group(spec: Dragonfly, gpus: int) -> int:
    """Return the routers of one group; a group that is alone has those that its GPUs need."""
    return min(spec.routers_per_group, -(-gpus // spec.endpoints_per_router))


def dragonfly_problems(spec: Dragonfly, ends: Endpoints) -> list[str]:
    """Return in words what cannot be built."""
    p, a, h = spec.endpoints_per_router, spec.routers_per_group, spec.global_links_per_router
    if min(p, a, h) < 1:
        return ["dragonfly: endpoints, routers and global links must be at least 1"]
    rates = {
        "local_link_bandwidth": spec.local_link_bandwidth,
        "global_link_bandwidth": spec.global_link_bandwidth,
    }
    problems = [f"{field}: must be above 0" for field, rate in rates.items() if rate <= 0]
    ports = p + a - 1 + h
    if ports > spec.switch_radix:
        problems.append(
            f"switch_radix: a router needs {p} ports to GPUs + {a - 1} inside its group + {h} global = {ports}, "
            f"but has {spec.switch_radix}"
        )
    per_group, groups, _ = dragonfly_sizes(spec, ends)
    most = a * h + 1
    if groups > most:
        problems.append(
            f"dragonfly: {groups} groups of {per_group} GPUs are needed to reach all {ends.gpus}, but {a} x {h} "
            f"global links of a group reach {most - 1} others: at most {most * per_group} GPUs"
        )
    if per_group % ends.domain:
        problems.append(
            f"dragonfly: a group of {p} x {a} = {per_group} GPUs is no whole number of scale-up domains of "
            f"{ends.domain}"
        )
    return problems


def build_dragonfly(spec: Dragonfly, ends: Endpoints) -> Fabric:
    """Return the fabric, with the limits of minimal routing under uniform traffic.

    Inside a group a router's p GPUs share its a - 1 local links. Between groups they share its h global
    links, and each packet may also cross a local link at either end: 2 p / a per local link (Kim et al. 2008,
    doi:10.1109/ISCA.2008.19, section 3: balanced for a = 2p = 2h). Traffic to one other group only, the worst
    case, is not reached by uniform collectives and needs non-minimal routing.
    """
    p, h = spec.endpoints_per_router, spec.global_links_per_router
    a = routers_in_group(spec, ends.gpus)
    per_group, groups, routers = dragonfly_sizes(spec, ends)
    efficiency = ends.topology.link_efficiency
    local = min(ends.nic, (a - 1) * spec.local_link_bandwidth / p) if a > 1 else ends.nic
    transit = a * spec.local_link_bandwidth / (2 * p) if a > 1 else ends.nic
    across = min(local, h * spec.global_link_bandwidth / p, transit)
    sizes = [("router", p, ends.nic, 1), ("group", per_group, local, 2)]
    if groups > 1:
        sizes.append(("global", per_group * groups, across, 4))
    levels = [ends.domain_level()]
    for name, group, bandwidth, switches in sizes:
        if group > levels[-1].group_gpus and group % levels[-1].group_gpus == 0:
            levels.append(
                Level(
                    name=name,
                    group_gpus=group,
                    bandwidth=bandwidth * efficiency,
                    latency=ends.latency(switches),
                )
            )
    global_links = groups * a * h // 2 if groups > 1 else 0
    return Fabric(
        name=ends.topology.name or ends.topology.title,
        kind="dragonfly",
        levels=tuple(levels),
        injection_bandwidth=ends.injection,
        gpus=ends.gpus,
        gpus_per_domain=ends.domain,
        switches={"router": routers},
        links={"host": ends.gpus, "local": groups * a * (a - 1) // 2, "global": global_links},
        bisection_bandwidth=_bisection(spec, ends, global_links),
        diameter=4 if groups > 1 else min(a, 2),
        collectives=ends.topology.collectives,
    )


def _bisection(spec: Dragonfly, ends: Endpoints, global_links: int) -> float:
    """Return the least bandwidth between two halves of the GPUs, one direction. [B/s]

    A cut has `r` whole groups and `q` routers of the next one on one side, and cuts their cables to the others, and
    those of the GPUs that the halves do not leave on the side of their router: none where half of the routers is a
    whole number. That is concave between the numbers of routers that hold half of the GPUs, so the least is at one
    of those or at an end. Global links are spread evenly over the pairs of groups.
    """
    a = routers_in_group(spec, ends.gpus)
    per_group, groups, _ = dragonfly_sizes(spec, ends)
    pair = 2 * global_links / (groups * (groups - 1)) * spec.global_link_bandwidth if groups > 1 else 0.0

    def cut(half: int, whole: int, routers: int) -> float:
        there = min(ends.gpus, whole * per_group + routers * spec.endpoints_per_router)
        others, part = groups - whole - 1, routers / a
        across = pair * (whole * others + part * others + (1.0 - part) * whole)
        return across + routers * (a - routers) * spec.local_link_bandwidth + abs(there - half) * ends.nic

    found = []
    for half in {ends.gpus // 2, -(-ends.gpus // 2)}:
        whole, left = divmod(half, per_group) if groups > 1 else (0, half)
        full = left // spec.endpoints_per_router
        found.append(half * ends.nic)
        found += [cut(half, whole, routers) for routers in {0, min(full, a), min(full + 1, a), a}]
    return min(found)
