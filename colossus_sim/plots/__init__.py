"""Pictures of a finished run: they take its tables and run nothing."""

from colossus_sim.plots.draw import FORMATS, PLOTS, draw_all, render, save_figure
from colossus_sim.plots.gantt import draw_gantt

__all__ = ["FORMATS", "PLOTS", "draw_all", "draw_gantt", "render", "save_figure"]
