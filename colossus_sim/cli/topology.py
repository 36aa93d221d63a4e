"""``colossus-sim topology``: what a network is made of, and how two of them compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli import link_load
from colossus_sim.cli.common import Settings, echo, echo_json, note, output_options, text_table
from colossus_sim.units import format_duration, format_si, format_usd

if TYPE_CHECKING:
    from colossus_sim.errors import Problem
    from colossus_sim.specs.hardware import Gpu
    from colossus_sim.specs.topology import Topology
    from colossus_sim.topology.fabric import Fabric
    from colossus_sim.topology.materials import Bill

SCHEMA_VERSION = 1
MESSAGES = (1e6, 1e9)
"""Message sizes of the comparison. [B]"""
OPERATIONS = ("all_reduce", "all_gather", "all_to_all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A network, built."""

    topology: Topology
    gpu: Gpu
    fabric: Fabric
    nic: float
    bill: Bill
    parts: str


@click.group("topology")
def topology() -> None:
    """Show, compare and export networks.

    A network is the name of a shipped one (``colossus-sim catalog topologies``) or a YAML file.
    """


topology.add_command(link_load.load)


@topology.command("show")
@click.argument("network")
@click.option("--gpus", type=int, metavar="N", help="Build it for so many GPUs instead of its own number.")
@click.option(
    "--png", type=click.Path(dir_okay=False), metavar="FILE", help="Draw it into FILE (.png, .svg)."
)
@click.option(
    "--load",
    is_flag=True,
    help="Colour its cables by their load when all GPUs send to all; that of a run: `topology load`.",
)
@click.option("--dark", is_flag=True, help="Light on dark.")
@output_options
def show(
    network: str, *, gpus: int | None, png: str | None, load: bool, dark: bool, settings: Settings
) -> None:
    """Print tiers, switches, links, bisection, oversubscription, diameter, cost and power of a network.

    \b
    Examples:
      colossus-sim topology show colossus_2
      colossus-sim topology show topologies/ndr_fat_tree_4to1.yaml --png fat_tree.png
      colossus-sim topology show dragonfly_slingshot --png loads.svg --load --dark
    """
    built = _build(network, gpus)
    if png is None and (load or dark):
        from colossus_sim.errors import UsageError

        raise UsageError("--load and --dark change the picture: name its file with --png FILE")
    if png is not None:
        note(f"wrote {_draw(built, gpus, png, load=load, dark=dark)}", settings)
    if settings.json:
        echo_json({"schema_version": SCHEMA_VERSION, **_document(built)})
        return
    echo(f"{built.topology.title}\n\n{_levels(built)}\n\n{_counts(built)}\n\n{_bill(built)}")


def _draw(built: Built, gpus: int | None, target: str, *, load: bool, dark: bool) -> str:
    from colossus_sim.plots.draw import save_figure
    from colossus_sim.plots.loads import LoadScale
    from colossus_sim.plots.topology import draw_topology
    from colossus_sim.topology.load import dragonfly_inside, uniform_load
    from colossus_sim.topology.quotient import quotient_graph

    graph = quotient_graph(built.topology, built.gpu, gpus)
    # A chip of a torus sends what the longest ring lets all of them send at once, a GPU what its own cables carry.
    fabric = built.fabric
    goodput = fabric.levels[-1].bandwidth if fabric.kind == "torus" else fabric.injection_bandwidth
    sent = goodput / built.topology.link_efficiency
    loads = uniform_load(graph, sent) if load else None
    if load and built.topology.fabric.kind == "dragonfly":
        graph.graph["inside"] = dragonfly_inside(built.topology.fabric, fabric.gpus, sent, built.nic)
    title = built.topology.title or None
    scale = LoadScale.uniform(sent)
    figure = draw_topology(fabric, graph, load=loads, scale=scale, dark=dark, title=title)
    return str(save_figure(figure, target, dark=dark))


@topology.command("compare")
@click.argument("networks", nargs=-1, required=True)
@click.option("--gpus", type=int, metavar="N", help="Build all of them for so many GPUs.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    type=int,
    metavar="N",
    help="GPUs of a communication group, in neighbouring domains. Repeatable; default: all GPUs.",
)
@output_options
def compare(networks: tuple[str, ...], gpus: int | None, groups: tuple[int, ...], settings: Settings) -> None:
    """Put networks side by side: make, cost, power, and the time of collectives.

    \b
    Examples:
      colossus-sim topology compare ndr_fat_tree_1to1 ndr_fat_tree_4to1 --group 1024 --group 16384
    """
    from colossus_sim.errors import UsageError

    built = [_build(network, gpus) for network in networks]
    least = min(one.fabric.gpus for one in built)
    for size in groups:
        if not 1 < size <= least:
            raise UsageError(f"error: a group has 2 to {least} GPUs here, got {size}")
    sizes = groups or (least,)
    times = [_collectives(one, sizes) for one in built]
    if settings.json:
        pairs = zip(built, times, strict=True)
        documents = [_document(one) | {"collective_times": _keyed(found)} for one, found in pairs]
        echo_json({"schema_version": SCHEMA_VERSION, "networks": documents})
        return
    names = [one.fabric.name for one in built]
    rows = [[label, *(_facts(one)[label] for one in built)] for label in _facts(built[0])]
    for key in times[0]:
        rows.append([_call(key), *(format_duration(found[key]) for found in times)])
    echo(text_table(["", *names], rows, right=tuple(range(1, len(names) + 1))))


@topology.command("export")
@click.argument("network")
@click.option(
    "--graphml", type=click.Path(dir_okay=False), required=True, metavar="FILE", help="File to write."
)
@click.option("--gpus", type=int, metavar="N", help="Build it for so many GPUs instead of its own number.")
@click.option("--quotient", is_flag=True, help="One node per group instead of one per GPU and switch.")
@output_options
def export(network: str, graphml: str, gpus: int | None, quotient: bool, settings: Settings) -> None:
    """Write a network as GraphML, one node per GPU and switch (a million GPUs: about a minute, some GB).

    \b
    Examples:
      colossus-sim topology export hgx_h100_1k --graphml hgx.graphml
    """
    from colossus_sim.topology.full import full_graph, write_graphml
    from colossus_sim.topology.quotient import quotient_graph

    built = _build(network, gpus)
    make = quotient_graph if quotient else full_graph
    graph = make(built.topology, built.gpu, gpus)
    write_graphml(graph, graphml)
    note(f"wrote {graphml}: {graph.number_of_nodes():,} nodes, {graph.number_of_edges():,} edges", settings)
    note(_read_back(built.fabric, quotient=quotient), settings)
    if settings.json:
        counts = {"nodes": graph.number_of_nodes(), "edges": graph.number_of_edges()}
        echo_json({"schema_version": SCHEMA_VERSION, "file": graphml, **counts})


def _read_back(fabric: Fabric, *, quotient: bool) -> str:
    """Return what a list of cables does not say of the network that it came from."""
    if quotient or fabric.gpus_per_domain >= fabric.gpus:
        why = "groups are no hosts" if quotient else "the scale-up domain has all GPUs"
        return f"it cannot be read back as fabric: {{kind: custom}}: {why}"
    above = [level.name for level in fabric.levels[2:]]
    joined = f"; {' and '.join(above)} come back as one level" if len(above) > 1 else ""
    return f"read it back with fabric: {{kind: custom, file: ...}}{joined}"


def named_topology(network: str) -> tuple[Topology, Gpu]:
    """Return a shipped network, or that of a YAML file, and its GPU.

    Raises
    ------
    UsageError, ScenarioError
        If there is none, or its file is wrong.
    """
    from colossus_sim.errors import UsageError
    from colossus_sim.loading.catalog import Catalog
    from colossus_sim.loading.files import Files
    from colossus_sim.loading.listing import validated_entry, validated_file

    catalog = Catalog(Files())
    spec: Any
    if network.lower().endswith((".graphml", ".csv", ".ibnet", ".topo", ".txt")):
        raise UsageError(
            f"{network} is a list of cables: name it in a YAML file, e.g. fabric: {{kind: custom, file: "
            f"{Path(network).name}}} (see topologies/custom_64.yaml)"
        )
    if network.lower().endswith((".yaml", ".yml")):
        spec = validated_file("topologies", catalog, Path(network))
    else:
        spec = validated_entry("topologies", catalog, network, case="central")
    gpu: Any = validated_entry("gpus", catalog, spec.gpu, case="central")
    return spec, gpu


def _build(network: str, gpus: int | None) -> Built:
    from colossus_sim.errors import ScenarioError
    from colossus_sim.sweeps.network_bill import DEFAULT_PARTS, default_parts
    from colossus_sim.topology.builders import build_fabric, placed_problem, topology_problems
    from colossus_sim.topology.materials import bill_of_materials

    spec, gpu = named_topology(network)
    try:
        fabric = build_fabric(spec, gpu, gpus)
    except ScenarioError:
        problems = topology_problems(spec, gpu, gpus)
        if not problems:
            raise
        raise ScenarioError([_placed(network, placed_problem(spec, text)) for text in problems]) from None
    parts = spec.parts or default_parts()
    nic = gpu.nic_bandwidth if spec.nic_bandwidth is None else spec.nic_bandwidth
    bill = bill_of_materials(spec, fabric, nic, parts)
    return Built(topology=spec, gpu=gpu, fabric=fabric, nic=nic, bill=bill, parts=parts.name or DEFAULT_PARTS)


def _placed(network: str, problem: Problem) -> Problem:
    """Return a problem of a network with its place in the file."""
    from colossus_sim.loading.catalog import Catalog
    from colossus_sim.loading.files import YAML_SUFFIXES, Files
    from colossus_sim.loading.listing import placed_in_entry

    entry = Path(network) if network.lower().endswith(YAML_SUFFIXES) else network
    return placed_in_entry("topologies", Catalog(Files()), entry, problem)


def oversubscription(fabric: Fabric) -> list[float]:
    """Return what one GPU can send over what it gets at each level."""
    return [fabric.injection_bandwidth / level.bandwidth for level in fabric.levels]


def _levels(built: Built) -> str:
    fabric = built.fabric
    rows = [
        (
            level.name,
            f"{level.group_gpus:,}",
            f"{-(-fabric.gpus // level.group_gpus):,}",
            format_si(level.bandwidth, "B/s"),
            format_duration(level.latency),
            f"{ratio:.3g}:1" if index else "-",
        )
        for index, (level, ratio) in enumerate(zip(fabric.levels, oversubscription(fabric), strict=True))
    ]
    header = ("level", "GPUs per group", "groups", "bandwidth per GPU", "latency", "oversubscription")
    table = text_table(header, rows, right=(1, 2, 3, 4, 5))
    if built.topology.routing != "ecmp":
        return table
    flows = built.topology.flows_per_nic
    return f"{table}\n\nBandwidth and oversubscription include collisions of hashed paths, {flows} flows per NIC."


def _facts(built: Built) -> dict[str, str]:
    fabric, bill = built.fabric, built.bill
    worst = max(oversubscription(fabric)[1:], default=1.0)
    facts = {
        "kind": fabric.kind,
        "GPUs": f"{fabric.gpus:,}",
        "switches": f"{sum(fabric.switches.values()):,}",
        "cables": f"{sum(fabric.links.values()):,}",
        "bisection bandwidth": ("" if fabric.bisection_exact else "at most ")
        + format_si(fabric.bisection_bandwidth, "B/s"),
        "oversubscription at the top": f"{worst:.3g}:1",
        "diameter (switch hops)": str(fabric.diameter),
    }
    return facts | {
        "network cost": format_usd(bill.cost),
        "network cost per GPU": format_usd(bill.cost / fabric.gpus),
        "network power": format_si(bill.power, "W"),
        "network power per GPU": format_si(bill.power / fabric.gpus, "W"),
    }


def _counts(built: Built) -> str:
    fabric = built.fabric
    rows = list(_facts(built).items())
    rows += [(f"{tier} switches", f"{count:,}") for tier, count in fabric.switches.items()]
    if fabric.circuit_switches:
        rows.append(("optical circuit switches, not priced", f"{fabric.circuit_switches:,}"))
    rows += [(f"{tier} cables", f"{count:,}") for tier, count in fabric.links.items()]
    return text_table(("network", ""), rows, right=(1,))


def _bill(built: Built) -> str:
    rows = [
        (item.name, f"{item.count:,}", format_usd(item.cost), format_si(item.power, "W"))
        for item in built.bill.items
    ]
    table = text_table(("bill of materials", "count", "cost", "power"), rows, right=(1, 2, 3))
    notes = "".join(f"{text}.\n" for text in built.bill.notes)
    return f"{table}\n\n{notes}Prices and powers are assumptions: colossus-sim catalog parts {built.parts}"


def _collectives(built: Built, sizes: tuple[int, ...]) -> dict[tuple[str, int, float], float]:
    """Return the time of each operation, group size and message size. [s]"""
    from colossus_sim.parallelism.collective_time import group_collective_time
    from colossus_sim.parallelism.groups import group_span
    from colossus_sim.parallelism.mesh import MeshAxis
    from colossus_sim.parallelism.placement import Placement

    domain = built.fabric.gpus_per_domain
    found = {}
    for size in sizes:
        axis = MeshAxis(name="group", size=size, stride=1, inner=1, outer=1, block=size)
        placement = Placement(domain, domain, ((0, -(-size // domain)),))
        span = group_span(axis, placement, built.fabric)
        for operation in OPERATIONS:
            for message in MESSAGES:
                call = group_collective_time(operation, message, span, built.fabric)
                found[operation, size, message] = call.time
    return found


def _call(key: tuple[str, int, float]) -> str:
    operation, size, message = key
    return f"{operation}, {size:,} GPUs, {format_si(message, 'B')}"


def _keyed(times: dict[tuple[str, int, float], float]) -> list[dict[str, Any]]:
    return [
        {"operation": operation, "gpus": size, "message_B": message, "time_s": time}
        for (operation, size, message), time in times.items()
    ]


def _document(built: Built) -> dict[str, Any]:
    fabric = built.fabric
    return {
        "name": fabric.name,
        "title": built.topology.title,
        "kind": fabric.kind,
        "gpus": fabric.gpus,
        "levels": [
            {
                "name": level.name,
                "group_gpus": level.group_gpus,
                "bandwidth_B_per_s": level.bandwidth,
                "latency_s": level.latency,
                "oversubscription": ratio,
            }
            for level, ratio in zip(fabric.levels, oversubscription(fabric), strict=True)
        ],
        "switches": dict(fabric.switches),
        "circuit_switches": fabric.circuit_switches,
        "cables": dict(fabric.links),
        "bisection_B_per_s": fabric.bisection_bandwidth,
        "bisection_is_exact": fabric.bisection_exact,
        "diameter": fabric.diameter,
        "cost_usd": built.bill.cost,
        "power_W": built.bill.power,
        "materials": [
            {"name": item.name, "count": item.count, "cost_usd": item.cost, "power_W": item.power}
            for item in built.bill.items
        ],
        "material_notes": list(built.bill.notes),
    }
