"""All pictures: they can be drawn, are the same every time, add up, and write what they promise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from colossus_sim.errors import OutputError, UsageError
from colossus_sim.plots import PLOTS, draw_all, render, save_figure
from colossus_sim.plots.bars import add_boxes
from colossus_sim.plots.series import bin_steps, bin_stretches, levels, start_of
from colossus_sim.plots.step_time import steps, visible_parts
from colossus_sim.plots.strips import layers, shares
from colossus_sim.plots.style import (
    CAUSE_COLOURS,
    GPU_STATE_COLOURS,
    RASTERISE_ABOVE,
    STATE_LABELS,
    blend,
    phase_family,
    plain,
    text_on,
)
from colossus_sim.records import CAUSES, GPU_STATES
from colossus_sim.units import DAY
from tests.plots.conftest import START, FakeResult, make

DRAWS = list(PLOTS.values())
Draw = Callable[..., Figure]


@pytest.mark.parametrize(("jobs", "dark"), [(0, False), (1, True), (12, False)])
@pytest.mark.parametrize("draw", DRAWS)
def test_draws_any_number_of_jobs_without_a_warning(draw: Draw, jobs: int, dark: bool) -> None:
    """Each picture can be drawn for no job, one, and many, light and dark."""
    assert render(draw(make(jobs, failures=90), dark=dark), "png", dark=dark).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "svg") for name in PLOTS), ("slip", "png"), ("slip", "pdf")]
)
def test_bytes_are_the_same_every_time(name: str, kind: str) -> None:
    """The same run gives the same file, byte for byte, without a date in it."""
    first, second = (render(PLOTS[name](make(1, failures=9)), kind) for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first
    assert b"CreationDate" not in first


def test_settings_of_the_user_change_nothing() -> None:
    """A picture does not depend on matplotlib's settings in the process, and leaves them as they were."""
    result = make(1)
    expected = render(PLOTS["slip"](result), "png")
    with matplotlib.rc_context({"font.size": 30, "text.parse_math": True, "axes.facecolor": "red"}):
        assert render(PLOTS["slip"](result), "png") == expected
        assert matplotlib.rcParams["font.size"] == 30


def test_svg_of_thousands_of_failures_is_below_a_megabyte() -> None:
    """The Gantt chart of 3,000 failures stays small as SVG."""
    assert len(render(PLOTS["gantt"](make(9, failures=3000)), "svg")) < 1_000_000


def test_very_many_bars_are_rasterised() -> None:
    """Above the limit, bars become an image inside a vector file."""
    axes = Figure().add_subplot()
    few = add_boxes(axes, [(0.0, 1.0, 0.0, 1.0)] * RASTERISE_ABOVE, ["#000000"] * RASTERISE_ABOVE, zorder=1.0)
    many = add_boxes(
        axes, [(0.0, 1.0, 0.0, 1.0)] * (RASTERISE_ABOVE + 1), ["#000000"] * (RASTERISE_ABOVE + 1), zorder=1.0
    )
    assert not few.get_rasterized()
    assert many.get_rasterized()


@pytest.mark.parametrize("draw", DRAWS)
def test_hostile_names_are_plain_text(draw: Draw) -> None:
    """No picture interprets the name of a job."""
    name = "_<script> $\\frac{$ [red]"
    result = make(2, failures=10, names=lambda _: name)
    result.scenario.title = name
    figure = draw(result)
    assert b"<script>" not in render(figure, "svg")
    shown = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert any(name in text for text in shown)


@pytest.mark.parametrize(
    ("kind", "units"),
    [
        ("utilization", ["GPUs [thousand]", "Power [MW]"]),
        ("accounting", ["[%]"]),
        ("slip", ["[days]"]),
        ("steps", ["[s]"]),
    ],
)
def test_axes_carry_their_units(flagship: FakeResult, kind: str, units: list[str]) -> None:
    """Every quantity on an axis has its unit."""
    labels = [
        label for axes in PLOTS[kind](flagship).axes for label in (axes.get_xlabel(), axes.get_ylabel())
    ]
    assert all(any(unit in label for label in labels) for unit in units)


def test_a_panel_per_site_and_quantity(flagship: FakeResult) -> None:
    """Utilization has two panels per site, named as the site is for people."""
    figure = PLOTS["utilization"](flagship)
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == ["Colossus 1", "Colossus 2"]


def test_slip_is_the_sum_of_its_causes(flagship: FakeResult) -> None:
    """The mark of each job stands at its slip."""
    figure = PLOTS["slip"](flagship)
    (marks,) = [artist for artist in figure.findobj() if artist.get_gid() == "totals"]
    expected = flagship.tables["jobs"]["slip_days"].tolist()
    assert np.asarray(marks.get_offsets())[:, 0].tolist() == pytest.approx(expected)


def test_negative_causes_go_left(flagship: FakeResult) -> None:
    """What won time back lies left of zero."""
    figure = PLOTS["slip"](flagship)
    (bars,) = [artist for artist in figure.findobj() if artist.get_gid() == "part-plan"]
    assert all(path.vertices[:, 0].max() <= 0.0 for path in bars.get_paths())


def test_shares_of_a_bar_add_up_to_one(flagship: FakeResult) -> None:
    """The parts of each bar of the accounting end at 100 %."""
    figure = PLOTS["accounting"](flagship)
    right: dict[float, float] = {}
    for artist in figure.findobj(lambda a: str(a.get_gid()).startswith("part-")):
        for path in artist.get_paths():
            row = path.vertices[0, 1]
            right[row] = max(right.get(row, 0.0), path.vertices[:, 0].max())
    assert len(right) == 1 + 2 + 9
    assert list(right.values()) == pytest.approx([1.0] * 12)


def test_step_parts_add_up(flagship: FakeResult) -> None:
    """The waterfall ends at the step time, small parts included."""
    found = steps(flagship)
    assert [step.title for step in found] == flagship.tables["jobs"]["title"].tolist()
    for step in found:
        assert step.time == pytest.approx(12.0)
        assert sum(visible_parts(step.parts, step.time).values()) == pytest.approx(step.time)


def test_steps_say_so_when_nothing_is_known() -> None:
    """Without estimates there is a picture that says that there are none."""
    result = make(1)
    result.tables["step_time"] = result.tables["step_time"].iloc[:0]
    figure = PLOTS["steps"](result)
    assert any("no step estimates" in text.get_text() for text in figure.texts)


def test_step_function_means() -> None:
    """The mean per bin of a step function is exact, also when steps fall inside bins."""
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    means = bin_steps(np.array([0.5, 1.5]), np.array([10.0, 20.0]), edges, end=3.0)
    assert means == pytest.approx([5.0, 15.0, 10.0])


def test_stretches_keep_their_sum() -> None:
    """Amounts spread over overlapping stretches land in the right bins and add up."""
    starts, stops, amounts = np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 2.0]), np.array([4.0, 2.0, 9.0])
    sums = bin_stretches(starts, stops, amounts, np.array([0.0, 1.0, 2.0, 3.0]))
    assert sums == pytest.approx([2.0, 3.0, 1.0])


def test_layers_add_up_to_installed(flagship: FakeResult) -> None:
    """The stacked areas are every installed GPU, once."""
    first = start_of(flagship.tables) / DAY
    shown = levels(flagship, np.linspace(first, first + 300.0, 101))
    assert sum(layers(shown)) == pytest.approx(shown.installed)
    assert shown.power_limit == pytest.approx(760.0)
    allocated, productive = shares(shown)
    assert 0.0 < productive < allocated < 1.0


def test_power_limit_is_unknown_unless_every_site_has_one() -> None:
    """The sum of limits is shown only if no site is without."""
    result = make(1)
    result.scenario.cluster.sites["site_2"].power_limit = None
    edges = np.linspace(START / DAY, START / DAY + 10.0, 11)
    assert np.isnan(levels(result, edges).power_limit)
    assert levels(result, edges, site="site_1").power_limit == pytest.approx(260.0)


def test_every_state_and_cause_has_a_colour_and_a_word() -> None:
    """A new state or cause cannot be forgotten in the pictures."""
    assert list(GPU_STATE_COLOURS) == list(GPU_STATES)
    assert list(CAUSE_COLOURS) == list(CAUSES)
    assert {*GPU_STATES, *CAUSES} <= set(STATE_LABELS)
    assert len(set(GPU_STATE_COLOURS.values())) == len(GPU_STATES)
    assert len(set(CAUSE_COLOURS.values())) == len(CAUSES)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("pretrain", "pre-training"),
        ("pretrain_video_high", "pre-training"),
        ("midtrain", "mid-training"),
        ("sft", "fine-tuning"),
        ("rl", "reinforcement learning"),
        ("safety", "safety"),
        ("infer_opt", "inference optimisation"),
        ("distill_fewstep", "inference optimisation"),
        ("mystery", "other work"),
    ],
)
def test_family_of_a_phase(name: str, family: str) -> None:
    """Phases are coloured by what their name says."""
    assert phase_family(name) == family


def test_text_is_readable_on_every_colour() -> None:
    """Text on a colour has a contrast of at least 4.5 to 1 (WCAG 2 AA)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colour, _ in (*GPU_STATE_COLOURS.values(), *CAUSE_COLOURS.values()):
        bright, dim = sorted((luminance(colour), luminance(text_on(colour))), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, colour


def test_blend_and_plain() -> None:
    """Colours blend linearly; text is one line without anything that cannot be drawn."""
    assert blend("#FFFFFF", "#000000", 0.5) == "#808080"
    assert plain("a\n b\x07\u6f22") == "a b??"


def test_draw_all_writes_every_file(tmp_path: Path) -> None:
    """One file per picture and format, and nothing else."""
    written = draw_all(make(1), tmp_path / "new", formats=("png",))
    assert [path.name for path in written] == [f"{kind}.png" for kind in PLOTS]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in written)


def test_wrong_names_are_refused(tmp_path: Path, flagship: FakeResult) -> None:
    """An unknown picture or format is named, and nothing is written."""
    with pytest.raises(UsageError, match="'gannt' is not one of gantt"):
        draw_all(flagship, tmp_path, kinds=("gannt",))
    with pytest.raises(UsageError, match="'gif' is not one of png"):
        draw_all(flagship, tmp_path, formats=("gif",))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_output_error(tmp_path: Path, flagship: FakeResult) -> None:
    """Where a folder is a file, the error says which one."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        save_figure(PLOTS["slip"](flagship), tmp_path / "file" / "slip.png")


def test_pyplot_is_never_imported() -> None:
    """Drawing needs no display and no global state of pyplot."""
    code = (
        "import sys; from tests.plots.conftest import make; from colossus_sim.plots import PLOTS, render\n"
        "for draw in PLOTS.values(): draw(make(1, failures=3))\n"
        "render(PLOTS['slip'](make(1)), 'png')\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_tables_are_left_as_they_were() -> None:
    """Drawing changes nothing in the tables."""
    result, untouched = make(2, failures=20), make(2, failures=20)
    for draw in DRAWS:
        draw(result)
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(table, untouched.tables[name])
