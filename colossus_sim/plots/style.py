"""Colours, hatches, fonts and sizes of every picture: the one place to change how they look.

The palette is that of Okabe and Ito (https://jfly.uni-koeln.de/color/), which stays readable with the common
kinds of colour blindness; waits carry a hatch as well, so that nothing rests on colour alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.legend import Legend
from matplotlib.patches import Patch

P = ParamSpec("P")
R = TypeVar("R")

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, VERMILLION, PURPLE, GREY = "#E69F00", "#D55E00", "#CC79A7", "#8C8C8C"

FAMILIES = (
    "pre-training",
    "mid-training",
    "fine-tuning",
    "reinforcement learning",
    "safety",
    "inference optimisation",
    "other work",
)
"""Families of phases, in the order of the legend."""

FAMILY_COLOURS: Mapping[str, str] = dict(
    zip(FAMILIES, (BLUE, SKY, GREEN, ORANGE, PURPLE, YELLOW, "#A6A6A6"), strict=True)
)
"""Colour of a family of phases."""

_FAMILY_WORDS = (
    ("pre-training", ("pretrain", "pre-train", "pre_train", "base")),
    ("mid-training", ("midtrain", "mid-train", "mid_train", "anneal", "context", "supplement")),
    ("fine-tuning", ("sft", "finetun", "fine-tun", "fine_tun", "preference", "dpo", "instruct")),
    ("reinforcement learning", ("rl", "reinforce")),
    ("safety", ("safety", "red_team", "redteam", "eval", "align")),
    ("inference optimisation", ("infer", "distil", "quanti", "few_step", "fewstep")),
)

SHORT_WORDS: Mapping[str, str] = dict(
    zip(FAMILIES, ("Pre-train", "Mid", "SFT", "RL", "Safety", "Inference", "Work"), strict=True)
)
"""Shortest name of a family of phases, for narrow bars."""

GPU_STATE_COLOURS: Mapping[str, tuple[str, str]] = {
    "productive": (GREEN, ""),
    "contention": (SKY, ""),
    "degraded": (BLUE, ""),
    "checkpoint": (YELLOW, ""),
    "lost_work": (VERMILLION, ""),
    "restart": (ORANGE, ""),
    "repair_wait": (ORANGE, "////"),
    "data_wait": (PURPLE, "\\\\\\\\"),
    "stranded": (PURPLE, ""),
    "idle": ("#CFCFCF", ""),
    "spare": ("#A0A0A0", "---"),
    "down": ("#5A5A5A", "xxxx"),
}
"""Colour and hatch of each state of a GPU."""

CAUSE_COLOURS: Mapping[str, tuple[str, str]] = {
    "planned": (GREEN, ""),
    "slower_step": (BLUE, ""),
    "contention": (SKY, ""),
    "degraded": (BLUE, "---"),
    "fewer_gpus": (GREY, ""),
    "placement": (SKY, "...."),
    "lost_work": (VERMILLION, ""),
    "checkpoint": (YELLOW, ""),
    "restart": (ORANGE, ""),
    "repair_wait": (ORANGE, "////"),
    "data_wait": (PURPLE, "\\\\\\\\"),
    "gpu_wait": ("#B8B8B8", "////"),
    "capacity_wait": ("#6E6E6E", "xxxx"),
    "calendar_floor": ("#B08D57", "|||"),
}
"""Colour and hatch of each cause of wall time and slip."""

WAIT_HATCHES: Mapping[str, tuple[str, str]] = {
    "data_wait": (PURPLE, "\\\\\\\\"),
    "gpu_wait": (GREY, "////"),
    "capacity_wait": (GREY, "xxxx"),
    "repair_wait": (ORANGE, "////"),
    "calendar_floor": ("", "|||"),
}
"""Edge colour (empty: the phase's own) and hatch of the waits of the Gantt chart."""

STATE_LABELS: Mapping[str, str] = {
    "productive": "productive",
    "planned": "planned work",
    "slower_step": "slower step than planned",
    "contention": "network contention",
    "degraded": "slow parts, power limit",
    "fewer_gpus": "fewer GPUs than wanted",
    "placement": "scattered placement",
    "lost_work": "lost work",
    "checkpoint": "checkpoint stalls",
    "restart": "restarts",
    "repair_wait": "waiting for repair",
    "data_wait": "waiting for data",
    "gpu_wait": "waiting for GPUs",
    "capacity_wait": "waiting for capacity",
    "calendar_floor": "calendar floor (people)",
    "plan": "plan (planned work against time to target)",
    "stranded": "stranded",
    "idle": "idle",
    "spare": "spare",
    "down": "down",
}
"""Words for states and causes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of everything that is not data.

    Attributes
    ----------
    paper, ink, muted, grid, stripe : str
        Background, text, secondary text, grid lines, every other row.
    late, early, failure, edge : str
        Slip after and before the target, failures, outlines of markers.
    """

    paper: str
    ink: str
    muted: str
    grid: str
    stripe: str
    late: str
    early: str
    failure: str
    edge: str

    def of_verdict(self, verdict: str) -> str:
        """Return the colour of a target that was met or missed; muted where nobody knows."""
        return {"missed": self.late, "met": self.early}.get(verdict, self.muted)


LIGHT = Theme(
    paper="#FFFFFF", ink="#1A1A1A", muted="#5F6368", grid="#DADCE0", stripe="#F6F7F9",
    late="#C04A00", early="#007A59", failure="#D55E00", edge="#1A1A1A",
)  # fmt: skip
DARK = Theme(
    paper="#15181D", ink="#F1F3F4", muted="#A8ADB4", grid="#343A43", stripe="#1B1F26",
    late="#FF8A3D", early="#2ED3A2", failure="#FF7A2F", edge="#F1F3F4",
)  # fmt: skip

FONT = "DejaVu Sans"
"""Shipped with matplotlib, so that a picture is the same everywhere."""

DPI = 150
"""Dots per inch of PNG files and of rasterised parts of vector files."""

RASTERISE_ABOVE = 5000
"""Artists with more members than this are rasterised in vector files."""


def gpu_state_look(dark: bool) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each state of a GPU; on dark paper the idle ones step back as well."""
    return {**GPU_STATE_COLOURS, "idle": ("#4B515A", "")} if dark else dict(GPU_STATE_COLOURS)


def theme(dark: bool) -> Theme:
    """Return the dark or the light theme."""
    return DARK if dark else LIGHT


def phase_family(name: str, kind: str = "") -> str:
    """Return the family of a phase by the words of its name, else by its kind."""
    low = name.lower()
    for family, words in _FAMILY_WORDS:
        if any(low.startswith(word) or f"_{word}" in low or f" {word}" in low for word in words):
            return family
    return "reinforcement learning" if kind == "rl" else "other work"


def text_on(colour: str) -> str:
    """Return black or white, whichever reads better on a colour (WCAG relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#FFFFFF" if luminance < 0.2 else "#1A1A1A"


def hatched(cut: bool, look: Theme) -> dict[str, Any]:
    """Return how a bar is drawn that rests on runs which the horizon cut off."""
    return {"hatch": "////", "edgecolor": look.paper, "linewidth": 0.0} if cut else {}


def draw_hollow(
    axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, paper: str, size: float
) -> None:
    """Draw marks of values that rest on runs which the horizon cut off."""
    marks = axes.plot(x, y, linestyle="none", marker="o", markersize=size, markerfacecolor=paper,
                      markeredgecolor=colour, markeredgewidth=1.3, zorder=5)  # fmt: skip
    for mark in marks:
        mark.set_gid("open")


def blend(colour: str, onto: str, share: float) -> str:
    """Return `share` of one colour over another, as a solid colour."""
    pairs = [(int(colour[i : i + 2], 16), int(onto[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * top + (1 - share) * under):02X}" for top, under in pairs)


def plain(text: object) -> str:
    """Return text that can be drawn: one line, no control characters, only glyphs that the font has."""
    glyphs = _glyphs()
    return "".join(c if ord(c) in glyphs else "?" for c in " ".join(str(text).split()))


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())


def parameters(dark: bool) -> dict[Any, Any]:
    """Return matplotlib's settings for a theme."""
    look = theme(dark)
    return {
        "font.family": FONT,
        "font.size": 9.0,
        "text.parse_math": False,
        "text.usetex": False,
        "text.color": look.ink,
        "axes.edgecolor": look.grid,
        "axes.facecolor": look.paper,
        "axes.labelcolor": look.ink,
        "axes.labelsize": 8.5,
        "axes.titlesize": 10.0,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "xtick.color": look.grid,
        "ytick.color": look.grid,
        "xtick.labelcolor": look.ink,
        "ytick.labelcolor": look.ink,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "figure.facecolor": look.paper,
        "figure.dpi": DPI,
        "savefig.facecolor": look.paper,
        "savefig.dpi": DPI,
        "savefig.bbox": None,
        "legend.frameon": False,
        "legend.fontsize": 8.0,
        "hatch.linewidth": 0.6,
        "hatch.color": look.muted,
        "timezone": "UTC",
        "svg.hashsalt": "colossus_sim",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
        "path.simplify": True,
    }


def themed(draw: Callable[P, R]) -> Callable[P, R]:
    """Make a drawing function start from matplotlib's defaults and the theme, whatever the user's settings."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(parameters(bool(kwargs.get("dark", False))))
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of the given size [in] on the Agg canvas."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def numeral(value: float, decimals: int | None = None) -> str:
    """Return a number with thousands separators and a true minus: four digits, or a fixed count of decimals."""
    if decimals is None:
        text = f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"
    else:
        text = f"{value:,.{decimals}f}"
    return text.replace("-", "\u2212")


def text_width(figure: Figure, text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a line of text. [in]"""
    properties = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    width, _, _ = renderer.get_text_width_height_descent(text, properties, ismath=False)
    return float(width) / float(figure.dpi)


def shorten(figure: Figure, text: object, size: float, room: float, *, bold: bool = False) -> str:
    """Return text cut with an ellipsis so that it is not wider than `room`. [in]"""
    line = plain(text)
    if text_width(figure, line, size, bold=bold) <= room:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(figure, line[:middle].rstrip() + "\u2026", size, bold=bold) <= room:
            low = middle
        else:
            high = middle - 1
    return line[:low].rstrip() + "\u2026"


def legend(figure: Figure | Axes, handles: Sequence[Artist], labels: Sequence[str], **options: Any) -> Legend:
    """Add a legend in which labels that start with an underscore are shown too."""
    safe = [f" {text}" if text.startswith("_") else text for text in map(plain, labels)]
    return figure.legend(list(handles), safe, **options)


def swatch(colour: str, hatch: str, dark: bool) -> Patch:
    """Return the legend entry of a bar; hatched ones are drawn light with a hatch in their colour."""
    look = theme(dark)
    if not hatch:
        return Patch(facecolor=colour, edgecolor="none")
    return Patch(facecolor=blend(colour, look.paper, 0.25), edgecolor=colour, hatch=hatch, linewidth=0.0)


def face(colour: str, hatch: str, dark: bool) -> dict[str, Any]:
    """Return the keyword arguments of a bar in a colour and hatch, as `swatch` shows them."""
    if not hatch:
        return {"facecolor": colour, "edgecolor": "none", "linewidth": 0.0}
    light = blend(colour, theme(dark).paper, 0.25)
    return {"facecolor": light, "edgecolor": colour, "hatch": hatch, "linewidth": 0.0}
