"""The timeline of one training step: a track per pipeline stage, one for its exposed communication."""

from __future__ import annotations

from colossus_sim.trace.model import Slice, Trace, Track, nanoseconds
from colossus_sim.training.timeline import StepTimeline

WORDS = {"F": "forward", "B": "backward", "W": "weight gradients"}
"""Kinds of passes."""


def step_trace(step: StepTimeline) -> Trace:
    """Return the timeline of a step.

    Exposed communication of a pass is drawn at its end; where inside the pass it falls is not modelled.
    """
    tracks = []
    for stage in range(step.stages):
        passes = sorted((work for work in step.passes if work.stage == stage), key=lambda work: work.start)
        slices, exposed = [], []
        for work in passes:
            end = nanoseconds(work.end)
            details = (("chunk", str(work.chunk)), ("micro-batch", str(work.microbatch)))
            name = f"{WORDS[work.kind]} {work.microbatch}"
            slices.append(Slice(name, nanoseconds(work.start), end, WORDS[work.kind], details))
            if work.communication > 0.0:
                start = nanoseconds(work.end - work.communication)
                exposed.append(Slice("communication", start, end, "communication", details))
        for name, start_s, end_s in step.tail:
            kind = "communication" if name.endswith("communication") else name
            slices.append(Slice(name, nanoseconds(start_s), nanoseconds(end_s), kind))
        group = f"stage {stage}"
        tracks.append(Track(name="passes", group=group, slices=tuple(slices)))
        tracks.append(Track(name="exposed communication", group=group, slices=tuple(exposed)))
    return Trace(title=f"{step.job}/{step.phase}: one step ({step.schedule})", tracks=tuple(tracks))
