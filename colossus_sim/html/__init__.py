"""The interactive report of a run: one HTML file that needs no network."""

from colossus_sim.html.page import render_report, write_report

__all__ = ["render_report", "write_report"]
