"""Traces of a run and of one training step, for timeline viewers."""

from colossus_sim.trace.model import Counter, Mark, Slice, Trace, Track
from colossus_sim.trace.run import run_trace
from colossus_sim.trace.step import step_trace
from colossus_sim.trace.write import chrome_json, perfetto_bytes, write_trace

__all__ = [
    "Counter",
    "Mark",
    "Slice",
    "Trace",
    "Track",
    "chrome_json",
    "perfetto_bytes",
    "run_trace",
    "step_trace",
    "write_trace",
]
