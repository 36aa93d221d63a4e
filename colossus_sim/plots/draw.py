"""Every picture of a run, by name, and how it is written to files."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from colossus_sim.errors import OutputError, UsageError
from colossus_sim.plots.accounting import draw_accounting
from colossus_sim.plots.checkpoints import draw_checkpoints
from colossus_sim.plots.failures import draw_failures
from colossus_sim.plots.gantt import draw_gantt
from colossus_sim.plots.slip import draw_slip
from colossus_sim.plots.step_time import draw_step_time
from colossus_sim.plots.style import parameters
from colossus_sim.plots.utilization import draw_utilization
from colossus_sim.plots.waterfall import draw_waterfall

PLOTS: Mapping[str, Callable[..., Figure]] = MappingProxyType(
    {
        "gantt": draw_gantt,
        "utilization": draw_utilization,
        "accounting": draw_accounting,
        "slip": draw_slip,
        "steps": draw_step_time,
        "waterfall": draw_waterfall,
        "failures": draw_failures,
        "checkpoints": draw_checkpoints,
    }
)
"""Name of the picture -> ``draw(result, *, dark=False, title=None)``."""

FORMATS = ("png", "svg", "pdf")
"""File formats."""

_METADATA: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "png": {"Software": "colossus_sim"},
        "svg": {"Date": None, "Creator": "colossus_sim"},
        "pdf": {"CreationDate": None, "Creator": "colossus_sim", "Producer": None},
    }
)


def render(figure: Figure, kind: str, *, dark: bool = False) -> bytes:
    """Return the bytes of a picture; the same figure gives the same bytes.

    Raises
    ------
    UsageError
        If the format is not one of `FORMATS`.
    """
    if kind not in FORMATS:
        raise UsageError(f"format {kind!r} is not one of {', '.join(FORMATS)}")
    buffer = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(parameters(dark))
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def render_all(figures: Mapping[str, Figure], *, dark: bool = False) -> dict[str, bytes]:
    """Return the PNG and SVG files of some figures, by file name."""
    return {
        f"{name}.{kind}": render(figure, kind, dark=dark)
        for name, figure in figures.items()
        for kind in ("png", "svg")
    }


def save_figure(figure: Figure, path: str | Path, *, dark: bool = False) -> Path:
    """Write a figure to a file whose ending is its format, and return the path.

    Raises
    ------
    UsageError
        If the ending is not one of `FORMATS`.
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    data = render(figure, target.suffix.lower().lstrip("."), dark=dark)
    partial = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def draw_all(
    result: Any,
    folder: str | Path,
    *,
    formats: Sequence[str] = ("png", "svg"),
    dark: bool = False,
    kinds: Sequence[str] = tuple(PLOTS),
) -> tuple[Path, ...]:
    """Draw pictures (all, unless named) into a folder and return the files written.

    Raises
    ------
    UsageError
        If a kind or format is unknown.
    OutputError
        If a file cannot be written.
    """
    for kind in kinds:
        if kind not in PLOTS:
            raise UsageError(f"plot {kind!r} is not one of {', '.join(PLOTS)}")
    for ending in formats:
        if ending not in FORMATS:
            raise UsageError(f"format {ending!r} is not one of {', '.join(FORMATS)}")
    written = []
    for kind in kinds:
        figure = PLOTS[kind](result, dark=dark)
        written += [save_figure(figure, Path(folder) / f"{kind}.{ending}", dark=dark) for ending in formats]
    return tuple(written)
