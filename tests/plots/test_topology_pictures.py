"""Pictures of networks show what the fabric is made of, in the colours of their scale."""

from __future__ import annotations

from types import SimpleNamespace

import networkx as nx
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from colossus_sim.plots.loads import NO_LOAD, LoadScale
from colossus_sim.plots.topology import THICKEST, THINNEST, draw_topology, layout, line_width

SIDE = 4


def torus(*dims: int) -> nx.Graph:
    """Return a torus as `quotient_graph` makes it."""
    graph = nx.grid_graph(dim=list(reversed(dims)), periodic=True)
    nx.set_node_attributes(graph, 0, "tier")
    nx.set_edge_attributes(graph, 1e9, "bandwidth")
    return graph


def drawn(graph: nx.Graph, *, dark: bool = False) -> Figure:
    """Return the picture of a torus in which every cable is half full."""
    fabric = SimpleNamespace(name="t", kind="torus", gpus=len(graph), switches={}, links={"x": 3},
                             bisection_bandwidth=1e9, bisection_exact=True, diameter=6)  # fmt: skip
    return draw_topology(
        fabric, graph, load=dict.fromkeys(graph.edges, 0.5), scale=LoadScale.uniform(1e9), dark=dark
    )


def test_a_torus_is_drawn_as_the_visible_faces_of_a_block() -> None:
    """Of n x n x n nodes those with a coordinate at its end are shown: n^3 - (n - 1)^3."""
    places = layout("torus", torus(SIDE, SIDE, SIDE))
    assert len(places) == SIDE**3 - (SIDE - 1) ** 3
    assert len(set(places.values())) == len(places)


def test_no_cable_around_a_torus_crosses_the_picture() -> None:
    """Lines join neighbours of the grid only: 2 n (n - 1) a face, each shared edge counted once."""
    (lines,) = (
        one for one in drawn(torus(SIDE, SIDE, SIDE)).axes[0].collections if isinstance(one, LineCollection)
    )
    inner = 3 * 2 * SIDE * (SIDE - 1) - 3 * (SIDE - 1)
    assert len(lines.get_segments()) == inner


def test_a_flat_torus_is_a_grid() -> None:
    """With two axes every node is shown."""
    assert len(layout("torus", torus(5, 3))) == 15


@pytest.mark.parametrize("dark", [False, True])
def test_lines_have_the_colours_of_the_scale(dark: bool) -> None:
    """Lines with a load are opaque, or their colour would be none of the scale's."""
    figure = drawn(torus(8, 8, 8), dark=dark)
    (lines,) = (one for one in figure.axes[0].collections if isinstance(one, LineCollection))
    assert lines.get_alpha() is None


def test_every_word_lies_inside_the_figure() -> None:
    """No text of the picture is cut at its edge."""
    figure = drawn(torus(SIDE, SIDE, SIDE))
    figure.canvas.draw()
    page = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text():
            box = text.get_window_extent()
            assert page.x0 <= box.x0 <= box.x1 <= page.x1
            assert page.y0 <= box.y0 <= box.y1 <= page.y1


@pytest.mark.parametrize("groups", [2, 40, 1500])
def test_lines_leave_room_for_one_another(groups: int) -> None:
    """Lines get thinner with the groups of a tier, within limits."""
    graph = nx.star_graph(groups)
    nx.set_node_attributes(graph, {node: int(node == 0) for node in graph}, "tier")
    assert THINNEST <= line_width("clos", graph, groups) <= THICKEST
    assert line_width("clos", graph, groups) <= max(THINNEST, 13.0 * 72.0 / groups)


def dragonfly(groups: int) -> nx.Graph:
    """Return a dragonfly as `quotient_graph` makes it."""
    graph = nx.complete_graph(groups)
    nx.set_edge_attributes(graph, 4.0, "links")
    graph.graph.update(endpoints=2, routers=4)
    return graph


def dragonfly_figure(graph: nx.Graph, load: dict[tuple[int, int], float] | None) -> Figure:
    """Return its picture."""
    fabric = SimpleNamespace(name="d", kind="dragonfly", gpus=80, switches={"router": 40}, links={"x": 3},
                             bisection_bandwidth=1e9, bisection_exact=True, diameter=4)  # fmt: skip
    return draw_topology(fabric, graph, load=load, scale=LoadScale(words="w", own_range=True))


def test_a_dragonfly_shows_the_cables_of_one_group_and_its_inside() -> None:
    """Nine cables leave the first of ten groups; four routers have six cables and eight to GPUs."""
    ring, inside = dragonfly_figure(dragonfly(10), None).axes
    counts = [[len(one.get_segments()) for one in axes.collections if isinstance(one, LineCollection)]
              for axes in (ring, inside)]  # fmt: skip
    assert counts == [[45, 9], [6, 8]]


def test_a_dragonfly_under_a_run_shows_the_pairs_that_carry_something() -> None:
    """Coloured are the pairs with a load, in the ring and, on both sides of the diagonal, in the map."""
    graph = dragonfly(10)
    load = {edge: 0.25 if max(edge) < 3 else 0.0 for edge in graph.edges}
    figure = dragonfly_figure(graph, load)
    ring, pairs = figure.axes[:2]
    lines = [one for one in ring.collections if isinstance(one, LineCollection)]
    assert [len(one.get_segments()) for one in lines] == [45, 3]
    (image,) = pairs.images
    assert int(image.get_array().count()) == 6
    assert "highest 25 %" in figure.axes[-1].get_title(loc="left")


@pytest.mark.parametrize("least", [0.0, 0.25])
def test_the_colour_of_cables_without_a_load_is_explained(least: float) -> None:
    """Where there are any, in every kind of picture; else the scale is all."""
    graph = dragonfly(4)
    load = {edge: least if max(edge) < 3 else 0.5 for edge in graph.edges}
    rings = dragonfly_figure(graph, load)
    nx.set_node_attributes(graph, 0, "tier")
    nx.set_edge_attributes(graph, 1e9, "bandwidth")
    fabric = SimpleNamespace(name="c", kind="custom", gpus=4, switches={}, links={"x": 6},
                             bisection_bandwidth=1e9, bisection_exact=True, diameter=1)  # fmt: skip
    rows = draw_topology(fabric, graph, load=load, scale=LoadScale(words="w", own_range=True))
    for figure in (rings, rows):
        assert (NO_LOAD in [text.get_text() for text in figure.texts]) == (least == 0.0)
