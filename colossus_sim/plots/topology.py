"""A picture of a network: groups of switches tier by tier, and the bandwidth between them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from colossus_sim.plots.dragonfly import draw_dragonfly
from colossus_sim.plots.header import write_header
from colossus_sim.plots.loads import LoadScale, colour_bar, load_colours
from colossus_sim.plots.style import BLUE, GREEN, ORANGE, PURPLE, RASTERISE_ABOVE, new_figure, theme, themed
from colossus_sim.units import format_si

WIDTH, HEIGHT = 13.0, 6.5
THINNEST, THICKEST = 0.35, 3.0
"""Widths of a line. Lines are opaque, so that their colour is that of the scale. [points]"""

COLOURS = (GREEN, BLUE, ORANGE, PURPLE)
Place = tuple[float, float]
Edge = tuple[Hashable, Hashable]
MOST_NAMES = 24
"""Nodes of a custom network beyond which they go without their names."""


@themed
def draw_topology(
    fabric: Any,
    graph: Any,
    *,
    dark: bool = False,
    title: str | None = None,
    load: Mapping[Edge, float] | None = None,
    scale: LoadScale | None = None,
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
    scale : LoadScale, optional
        What that load is.
    """
    if fabric.kind == "dragonfly":
        note = headline(fabric, "lines are cables")
        return draw_dragonfly(graph, _head(fabric, title), note, load=load, scale=scale, dark=dark)
    figure = new_figure(WIDTH, HEIGHT)
    write_header(figure, _head(fabric, title), headline(fabric, _legend(fabric.kind, graph)), dark=dark)
    axes = figure.add_axes((0.02, 0.12, 0.96, 0.75) if load else (0.02, 0.03, 0.96, 0.84))
    axes.set_axis_off()
    if fabric.kind == "torus":
        axes.set_aspect("equal")
    places = layout(fabric.kind, graph)
    limit = _limit(load, scale)
    lines = _draw_lines(axes, fabric.kind, graph, places, load, limit, dark=dark)
    if load and lines is not None:
        idle = theme(dark).grid if min(load.values()) <= 0.0 else None
        colour_bar(figure, lines, max(load.values()), scale or LoadScale(words="load"), idle=idle)
    _draw_dots(axes, graph, places, fabric, dark)
    return figure


def _head(fabric: Any, title: str | None) -> str:
    return str(fabric.name or fabric.kind) if title is None else title


def _limit(load: Mapping[Edge, float] | None, scale: LoadScale | None) -> float:
    """Return the load at the end of the scale."""
    return (scale or LoadScale(words="load")).top(max(load.values())) if load else 1.0


def headline(fabric: Any, legend: str) -> str:
    """Return what a network is made of, in one line."""
    bound = "" if fabric.bisection_exact else "at most "
    return (
        f"{fabric.name or fabric.kind}: {fabric.gpus:,} GPUs, {_switches(fabric)}{sum(fabric.links.values()):,} "
        f"cables, bisection {bound}{format_si(fabric.bisection_bandwidth, 'B/s')}, "
        f"{fabric.diameter} hops at most; {legend}"
    )


def _switches(fabric: Any) -> str:
    count = sum(fabric.switches.values())
    return f"{count:,} switches, " if count else ""


def _legend(kind: str, graph: Any) -> str:
    """Say what dots and lines are."""
    apart = graph.graph.get("networks", 1)
    if kind != "torus":
        separate = f"; {apart} separate networks drawn as one" if apart > 1 else ""
        return f"a dot is a group, a line the cables between two{separate}"
    dims = _dims(graph)
    words = "a dot is a node; wrap-around cables are left out"
    return f"{words}; the three visible faces of {' x '.join(map(str, dims))}" if len(dims) > 2 else words


def layout(kind: str, graph: Any) -> dict[Hashable, Place]:
    """Return where each node that is drawn stands: tiers as rows, a torus as a block."""
    if kind == "torus":
        return _block(graph)
    tiers: dict[int, list[Hashable]] = {}
    for node, tier in graph.nodes(data="tier"):
        tiers.setdefault(int(tier), []).append(node)
    places: dict[Hashable, Place] = {}
    for tier in sorted(tiers):
        _place_row(graph, tiers[tier], tier, places, centred=kind == "clos")
    return places


def _place_row(
    graph: Any, row: list[Hashable], tier: int, places: dict[Hashable, Place], *, centred: bool
) -> None:
    """Spread a tier evenly, in the order of the mean place of what hangs below, or put each above its own."""
    means: Mapping[Hashable, float] = {
        node: float(np.mean(below)) if below else index / max(len(row), 1)
        for index, node in enumerate(row)
        for below in [[places[other][0] for other in graph[node] if other in places]]
    }
    for index, node in enumerate(sorted(row, key=lambda one: means[one])):
        places[node] = (means[node] if centred and tier else (index + 0.5) / len(row), float(tier))


def _at(node: Any) -> tuple[int, ...]:
    return node if isinstance(node, tuple) else (node,)


def _dims(graph: Any) -> tuple[int, ...]:
    """Return how many nodes a torus has along each axis."""
    return tuple(1 + max(places) for places in zip(*map(_at, graph.nodes), strict=True))


def _block(graph: Any) -> dict[Hashable, Place]:
    """Return a torus as a block seen from a corner: the nodes on its three visible faces, or a flat grid.

    Every node has the same neighbours, so the faces show all there is; of more than three axes the first three.
    """
    dims = _dims(graph)
    places: dict[Hashable, Place] = {}
    for node in graph.nodes:
        at = _at(node)
        if len(dims) < 3:
            places[node] = (float(at[0]), float(at[1]) if len(at) > 1 else 0.0)
        elif not any(at[3:]) and any(here == size - 1 for here, size in zip(at[:3], dims, strict=False)):
            x, y, z = at[:3]
            places[node] = ((x - y) * math.cos(math.pi / 6), z - (x + y) * math.sin(math.pi / 6))
    return places


def _shown(first: Hashable, second: Hashable, places: Mapping[Hashable, Place], kind: str) -> bool:
    """Say whether the line between two nodes is drawn: both have a place, and it goes around no torus."""
    if first not in places or second not in places:
        return False
    return kind != "torus" or sum(abs(a - b) for a, b in zip(_at(first), _at(second), strict=True)) == 1


def line_width(kind: str, graph: Any, lines: int) -> float:
    """Return how wide lines may be without covering one another. [points]"""
    if kind == "clos":
        tiers = [int(tier) for _, tier in graph.nodes(data="tier")]
        room = 0.4 * 72.0 * WIDTH / max(tiers.count(tier) for tier in set(tiers))
    else:
        room = 3.6 / math.sqrt(1.0 + lines / 40.0)
    return min(THICKEST, max(THINNEST, room))


def _draw_lines(
    axes: Axes,
    kind: str,
    graph: Any,
    places: Mapping[Hashable, Place],
    load: Mapping[Edge, float] | None,
    limit: float,
    *,
    dark: bool,
) -> LineCollection | None:
    edges = [edge for edge in graph.edges(data="bandwidth") if _shown(edge[0], edge[1], places, kind)]
    if not edges:
        return None
    if load:
        # The busiest lines are drawn last, so that none is hidden.
        edges.sort(key=lambda edge: load[edge[0], edge[1]])
    most = max(float(bandwidth) for *_, bandwidth in edges)
    wide = line_width(kind, graph, len(edges))
    lines = LineCollection(
        [[places[first], places[second]] for first, second, _ in edges],
        linewidths=[max(THINNEST, wide * math.sqrt(float(bandwidth) / most)) for *_, bandwidth in edges],
        colors=None if load else theme(dark).muted,
        alpha=None if load else 0.6,
        zorder=1,
        rasterized=len(edges) > RASTERISE_ABOVE,
    )
    if load:
        shares = np.array([load[first, second] for first, second, _ in edges])
        lines.set_array(np.ma.masked_equal(shares, 0.0))
        lines.set_cmap(load_colours(dark).with_extremes(bad=theme(dark).grid))
        lines.set_clim(0.0, limit)
    axes.add_collection(lines)
    return lines


def _draw_dots(axes: Axes, graph: Any, places: Mapping[Hashable, Place], fabric: Any, dark: bool) -> None:
    tiers = sorted({int(tier) for _, tier in graph.nodes(data="tier")})
    names = list(fabric.switches) if fabric.kind == "clos" else []
    for tier in tiers:
        nodes = [node for node, own in graph.nodes(data="tier") if int(own) == tier and node in places]
        spots = np.array([places[node] for node in nodes])
        size = max(1.5, 900.0 / (3.0 + len(nodes)))
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
                size=10.5,
                color=theme(dark).ink,
            )
    if fabric.kind == "custom" and len(places) <= MOST_NAMES:
        for node, (x, y) in places.items():
            axes.annotate(str(node), (x, y), xytext=(9, 0), textcoords="offset points", va="center", size=9.0)
    axes.margins(0.06, 0.12)
    if names:
        axes.set_xlim(-0.13, 1.02)
