"""The colours of the load of cables, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from colossus_sim.units import format_si

NO_LOAD = "no load"
"""Beside the scale, where there are cables that carry nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadScale:
    """What the colours of a load mean.

    Attributes
    ----------
    words : str
        What makes the load.
    own_range : bool
        End the scale at the highest load, in percent; otherwise at 1 (full) or above.
    """

    words: str
    own_range: bool = False

    @classmethod
    def uniform(cls, sent: float) -> LoadScale:
        """Return that of every GPU sending so much in equal parts to all. [B/s]"""
        return cls(words=f"load when each GPU sends {format_si(sent, 'B/s')} to all, itself included")

    def top(self, most: float) -> float:
        """Return the end of the scale."""
        return (most or 1.0) if self.own_range else max(1.0, most)

    def title(self, most: float) -> str:
        """Return the words above the scale."""
        high = f"highest {100 * most:.3g} %" if self.own_range else f"1: full; highest {most:.3g}"
        return f"{self.words} ({high})"


def load_colours(dark: bool) -> ListedColormap:
    """Return the colours of loads: the busier, the further from the paper; even the least differ from it."""
    colours = colormaps["viridis"](np.linspace(0.3, 1.0, 256) if dark else np.linspace(0.92, 0.0, 256))
    return ListedColormap(colours, name="load")


def colour_bar(figure: Figure, lines: Any, most: float, scale: LoadScale, *, idle: str | None = None) -> None:
    """Write the scale of the load under the picture; above 1 the cables are the bottleneck.

    Parameters
    ----------
    figure : Figure
        The picture.
    lines : ScalarMappable
        What has the colours.
    most : float
        The highest load.
    scale : LoadScale
        What the load is.
    idle : str, optional
        Colour of cables that carry nothing; None = there are none.
    """
    if idle is not None:
        figure.add_artist(Line2D([0.43, 0.46], [0.064, 0.064], color=idle, linewidth=2.0))
        figure.text(0.465, 0.064, NO_LOAD, va="center", size=9.0)
    mappable = ScalarMappable(norm=lines.norm, cmap=lines.cmap)
    bar = figure.colorbar(mappable, cax=figure.add_axes((0.55, 0.055, 0.41, 0.018)), orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.set_title(scale.title(most), fontsize=9.0)
    bar.ax.tick_params(labelsize=9.0)
    if scale.own_range:
        bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
