"""A picture of a dragonfly: its groups in a ring, and the inside of one of them or the load of every pair.

All cables of a large dragonfly drawn at once are one even disc. So the ring shows those of one group in full and
the others faintly, and beside it stands the inside of a group; under the load of a run, a map of all pairs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from colossus_sim.plots.header import write_header
from colossus_sim.plots.loads import LoadScale, colour_bar, load_colours
from colossus_sim.plots.style import BLUE, GREEN, ORANGE, new_figure, theme

Edge = tuple[Hashable, Hashable]
Segment = tuple[tuple[float, float], tuple[float, float]]
WIDTH, HEIGHT = 13.0, 6.5
PANELS = ((0.03, 0.20, 0.45, 0.66), (0.52, 0.20, 0.45, 0.66))
CAPTION = 10.5
"""Size of the line under a panel. [pt]"""


def draw_dragonfly(
    graph: Any,
    head: str,
    note: str,
    *,
    load: Mapping[Edge, float] | None = None,
    scale: LoadScale | None = None,
    dark: bool = False,
) -> Figure:
    """Return the picture of a dragonfly.

    Parameters
    ----------
    graph : networkx.Graph
        One node per group, with `endpoints`, `routers` and, under uniform load, `inside` (load of the host and
        local cables) as attributes of the graph.
    head, note : str
        The two lines above.
    load : mapping, optional
        Load of the cables between each two groups, as a share of their bandwidth.
    scale : LoadScale, optional
        What that load is.
    """
    figure = new_figure(WIDTH, HEIGHT)
    write_header(figure, head, note, dark=dark)
    left, right = (figure.add_axes(box) for box in PANELS)
    inside = graph.graph.get("inside") if load else None
    colours = _colours(load, inside, scale, dark=dark)
    whole_run = load is not None and inside is None
    _ring(left, graph, load, colours, all_lines=whole_run, dark=dark)
    if whole_run and load is not None:
        _matrix(right, graph, load, colours, dark=dark)
    else:
        _inside(right, graph, inside, colours, dark=dark)
    if load and colours is not None:
        most = max([*load.values(), *(inside or {}).values()])
        idle = theme(dark).grid if whole_run and min(load.values()) <= 0.0 else None
        colour_bar(figure, colours, most, scale or LoadScale(words="load"), idle=idle)
    return figure


def _colours(
    load: Mapping[Edge, float] | None,
    inside: Mapping[str, float] | None,
    scale: LoadScale | None,
    *,
    dark: bool,
) -> ScalarMappable | None:
    if not load:
        return None
    most = max([*load.values(), *(inside or {}).values()])
    top = (scale or LoadScale(words="load")).top(most)
    return ScalarMappable(norm=Normalize(0.0, top), cmap=load_colours(dark))


def _circle(count: int, radius: float = 1.0) -> list[tuple[float, float]]:
    angles = (2 * math.pi * np.arange(count) / max(count, 1)).tolist()
    return [(radius * math.sin(angle), radius * math.cos(angle)) for angle in angles]


def _panel(axes: Axes, caption: str, limit: float = 1.12) -> None:
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.text(0.5, -0.03, caption, transform=axes.transAxes, ha="center", va="top", size=CAPTION)


def _lines(axes: Axes, segments: Sequence[Segment], colour: Any, width: float, order: float) -> None:
    axes.add_collection(
        LineCollection(
            segments, colors=colour, linewidths=width, zorder=order, rasterized=len(segments) > 1000
        )
    )


def _ring(
    axes: Axes,
    graph: Any,
    load: Mapping[Edge, float] | None,
    colours: ScalarMappable | None,
    *,
    all_lines: bool,
    dark: bool,
) -> None:
    """Draw the groups and the cables between them: those of the first group, or all that carry something."""
    nodes = list(graph.nodes)
    spots = dict(zip(nodes, _circle(len(nodes)), strict=True))
    every = list(graph.edges)
    _lines(axes, [(spots[one], spots[two]) for one, two in every], theme(dark).grid, 0.35, 1.0)
    shown = [edge for edge in every if all_lines or nodes[0] in edge]
    if load is not None:
        shown = sorted((edge for edge in shown if load[edge] > 0), key=lambda edge: load[edge])
    colour = (
        BLUE if colours is None or load is None else colours.to_rgba(np.array([load[edge] for edge in shown]))
    )
    wide = 1.4 if not all_lines else max(0.35, 3.6 / math.sqrt(1.0 + len(shown) / 40.0))
    _lines(axes, [(spots[one], spots[two]) for one, two in shown], colour, wide, 2.0)
    xs, ys = np.array([spots[node] for node in nodes]).T
    axes.scatter(xs, ys, s=max(6.0, 900.0 / len(nodes)), color=GREEN, zorder=3, linewidths=0)
    each = next((links for *_, links in graph.edges(data="links")), 0.0)
    what = "those with a load are coloured" if all_lines else "those of one group are coloured"
    even = f" (load {load[shown[0]]:.3g})" if load and shown and not all_lines else ""
    _panel(axes, f"{len(nodes):,} groups, {each:.3g} cables between each two{even};\n{what}")


def _inside(
    axes: Axes,
    graph: Any,
    inside: Mapping[str, float] | None,
    colours: ScalarMappable | None,
    *,
    dark: bool,
) -> None:
    """Draw the routers of one group, all joined, and the cables to their GPUs outside the circle."""
    routers, endpoints = int(graph.graph["routers"]), int(graph.graph["endpoints"])
    spots = _circle(routers, 0.82)
    loads = inside or {}
    local: Any = theme(dark).muted
    host: Any = local
    if colours is not None:
        local, host = colours.to_rgba(np.array([loads.get(kind, 0.0) for kind in ("local", "host")]))
    pairs = [(spots[one], spots[two]) for one in range(routers) for two in range(one)]
    _lines(axes, pairs, local, max(0.35, 2.0 / math.sqrt(1.0 + len(pairs) / 60.0)), 1.0)
    _lines(axes, list(_spikes(spots, endpoints)), host, 1.0, 2.0)
    xs, ys = np.array(spots).T
    axes.scatter(xs, ys, s=36, color=ORANGE, zorder=3, linewidths=0)
    others, gpus = (f" (load {loads[kind]:.3g})" if loads else "" for kind in ("local", "host"))
    _panel(
        axes,
        f"in a group: {routers} routers, each joined to all others{others}\nand to {endpoints} GPUs{gpus}",
    )


def _spikes(spots: Sequence[tuple[float, float]], endpoints: int) -> list[Segment]:
    """Return the cables from each router outwards to its GPUs."""
    found: list[Segment] = []
    step = 2 * math.pi / len(spots)
    for x, y in spots:
        middle = math.atan2(x, y)
        for index in range(endpoints):
            angle = middle + step * 0.8 * ((index + 0.5) / endpoints - 0.5)
            found.append(((x, y), (1.06 * math.sin(angle), 1.06 * math.cos(angle))))
    return found


def _matrix(
    axes: Axes, graph: Any, load: Mapping[Edge, float], colours: ScalarMappable | None, *, dark: bool
) -> None:
    """Draw the load of every pair of groups as a map."""
    numbers = {node: index for index, node in enumerate(graph.nodes)}
    cells = np.full((len(numbers), len(numbers)), np.nan)
    for (one, two), share in load.items():
        if share > 0:
            cells[numbers[one], numbers[two]] = cells[numbers[two], numbers[one]] = share
    if colours is not None:
        limits = colours.get_clim()
        axes.imshow(
            cells, cmap=colours.cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest", origin="lower"
        )
    axes.set_facecolor(theme(dark).stripe)
    for side in axes.spines.values():
        side.set_color(theme(dark).grid)
    axes.set_xlabel("group", size=CAPTION)
    axes.set_ylabel("group", size=CAPTION)
    axes.set_title("load of the cables between each two groups", size=CAPTION, pad=6)
