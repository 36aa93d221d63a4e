"""A picture of a network: groups of switches tier by tier, and the bandwidth between them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import BLUE, GREEN, ORANGE, PURPLE, RASTERISE_ABOVE, new_figure, theme, themed
from colossus_sim.units import format_si

WIDTH, HEIGHT = 13.0, 6.5
DENSE, DENSE_ALPHA = 1000, 0.35
"""Above so many lines they are translucent, or they would fill the page."""

COLOURS = (GREEN, BLUE, ORANGE, PURPLE)
Place = tuple[float, float]
Edge = tuple[Hashable, Hashable]


@themed
def draw_topology(
    fabric: Any,
    graph: Any,
    *,
    dark: bool = False,
    title: str | None = None,
    load: Mapping[Edge, float] | None = None,
    sent: float = 0.0,
) -> Figure:
    """Return the groups of a network as dots and the cables between them as lines, as thick as their bandwidth.

    Parameters
    ----------
    fabric : Fabric
        The network as built, for the words.
    graph : networkx.Graph
        One node per group (see ``topology.quotient.quotient_graph``).
    load : mapping, optional
        Share of its bandwidth that each edge carries; gives the colour of the lines.
    sent : float
        What each GPU sends to make that load. [B/s]
    """
    figure = new_figure(WIDTH, HEIGHT)
    head = f"{fabric.name or fabric.kind}" if title is None else title
    note = (
        f"{fabric.kind}, {fabric.gpus:,} GPUs, {sum(fabric.switches.values()):,} switches, "
        f"{sum(fabric.links.values()):,} cables, bisection {format_si(fabric.bisection_bandwidth, 'B/s')}, "
        f"{fabric.diameter} switch hops at most; a dot is a group, a line the cables between two"
    )
    write_header(figure, head, note, dark=dark)
    axes = figure.add_axes((0.02, 0.12, 0.96, 0.75) if load else (0.02, 0.03, 0.96, 0.84))
    axes.set_axis_off()
    if fabric.kind == "dragonfly":
        axes.set_aspect("equal")
    places = layout(fabric.kind, graph)
    lines = _draw_lines(axes, graph, places, load, dark)
    if load and lines is not None:
        _colour_bar(figure, lines, max(load.values()), sent)
    _draw_dots(axes, graph, places, fabric, dark)
    return figure


def layout(kind: str, graph: Any) -> dict[Hashable, Place]:
    """Return where each node is drawn: tiers as rows, a dragonfly as a circle, a torus as a skewed grid."""
    nodes = list(graph.nodes)
    if kind == "dragonfly":
        angles = 2 * math.pi * np.arange(len(nodes)) / max(len(nodes), 1)
        return {
            node: (math.sin(angle), math.cos(angle))
            for node, angle in zip(nodes, angles.tolist(), strict=True)
        }
    if kind == "torus":
        return {node: _skewed(node) for node in nodes}
    tiers: dict[int, list[Hashable]] = {}
    for node, tier in graph.nodes(data="tier"):
        tiers.setdefault(int(tier), []).append(node)
    places: dict[Hashable, Place] = {}
    for tier in sorted(tiers):
        _place_row(graph, tiers[tier], tier, places)
    return places


def _place_row(graph: Any, row: list[Hashable], tier: int, places: dict[Hashable, Place]) -> None:
    """Spread a tier evenly, in the order of the mean place of what hangs below."""
    means: Mapping[Hashable, float] = {
        node: float(np.mean(below)) if below else index / max(len(row), 1)
        for index, node in enumerate(row)
        for below in [[places[other][0] for other in graph[node] if other in places]]
    }
    for index, node in enumerate(sorted(row, key=lambda one: means[one])):
        places[node] = ((index + 0.5) / len(row), float(tier))


def _skewed(node: Any) -> Place:
    axes = node if isinstance(node, tuple) else (node,)
    x = sum(value * step for value, step in zip(axes, (1.0, 0.0, 0.37, 0.11, 0.05, 0.02), strict=False))
    y = sum(value * step for value, step in zip(axes, (0.0, 1.0, 0.29, 0.17, 0.07, 0.03), strict=False))
    return x, y


def _draw_lines(
    axes: Axes,
    graph: Any,
    places: Mapping[Hashable, Place],
    load: Mapping[Edge, float] | None,
    dark: bool,
) -> LineCollection | None:
    edges = list(graph.edges(data="bandwidth"))
    if not edges:
        return None
    if load:
        # The busiest lines are drawn last, so that none is hidden.
        edges.sort(key=lambda edge: load[edge[0], edge[1]])
    most = max(float(bandwidth) for *_, bandwidth in edges)
    thin = 3.0 / math.sqrt(1.0 + len(edges) / 40.0)
    lines = LineCollection(
        [[places[first], places[second]] for first, second, _ in edges],
        linewidths=[max(0.15, thin * float(bandwidth) / most) for *_, bandwidth in edges],
        colors=None if load else theme(dark).muted,
        alpha=0.6 if not load else DENSE_ALPHA if len(edges) > DENSE else None,
        zorder=1,
        rasterized=len(edges) > RASTERISE_ABOVE,
    )
    if load:
        lines.set_array(np.array([load[first, second] for first, second, _ in edges]))
        lines.set_cmap("viridis" if dark else "viridis_r")
        lines.set_clim(0.0, max(1.0, *load.values()))
    axes.add_collection(lines)
    return lines


def _colour_bar(figure: Figure, lines: LineCollection, most: float, sent: float) -> None:
    """Write the scale of the load under the picture; above 1 the cables are the bottleneck."""
    scale = ScalarMappable(norm=lines.norm, cmap=lines.cmap)  # of its own: translucent lines fade their scale
    bar = figure.colorbar(
        scale, cax=figure.add_axes((0.62, 0.055, 0.34, 0.018)), orientation="horizontal", alpha=1.0
    )
    bar.outline.set_visible(False)
    bar.ax.set_title(
        f"load when each GPU sends {format_si(sent, 'B/s')} to all others (1: full; highest {most:.3g})",
        fontsize=8.0,
    )
    bar.ax.tick_params(labelsize=8.0)


def _draw_dots(axes: Axes, graph: Any, places: Mapping[Hashable, Place], fabric: Any, dark: bool) -> None:
    tiers = sorted({int(tier) for _, tier in graph.nodes(data="tier")})
    names = list(fabric.switches) if fabric.kind == "clos" else []
    for tier in tiers:
        nodes = [node for node, own in graph.nodes(data="tier") if int(own) == tier]
        spots = np.array([places[node] for node in nodes])
        size = max(4.0, 900.0 / (3.0 + len(nodes)))
        axes.scatter(
            spots[:, 0], spots[:, 1], s=size, color=COLOURS[tier % len(COLOURS)], zorder=2, linewidths=0
        )
        if tier < len(names):
            count = fabric.switches[names[tier]]
            axes.text(
                -0.01,
                float(tier),
                f"{names[tier]}\n{count:,} switches\nin {len(nodes):,} group{'s' if len(nodes) > 1 else ''}",
                ha="right",
                va="center",
                size=9.0,
                color=theme(dark).ink,
            )
    axes.margins(0.06, 0.12)
    if names:
        axes.set_xlim(-0.13, 1.02)
