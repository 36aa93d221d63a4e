"""Pictures of sweeps and forecasts: what they show, from made-up numbers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from colossus_sim.plots.draw import render
from colossus_sim.plots.forecast import draw_bands, forecast_figures
from colossus_sim.plots.header import write_header
from colossus_sim.plots.style import new_figure, numeral
from colossus_sim.plots.sweep import (
    decimals_for,
    draw_heatmap,
    draw_tornado,
    is_grid,
    pareto_front,
    sweep_figures,
)
from colossus_sim.plots.views import (
    Bar,
    Change,
    ForecastView,
    JobBand,
    Measured,
    Parameter,
    PhaseBand,
    SweepView,
)
from colossus_sim.units import format_instant

DAY0 = 20500.0


def measured(name: str, mean: list[float]) -> Measured:
    """Return a measure with a band around its mean."""
    return Measured(
        name=name, label=f"slip, {name} $5_a", unit="days", mean=tuple(mean), half_width=(0.4,) * len(mean),
        low=tuple(v - 2.0 for v in mean), high=tuple(v + 3.0 for v in mean),
    )  # fmt: skip


def view() -> SweepView:
    """Return a grid of four times two points."""
    first = Parameter(
        name="a.b.gpus", texts=("1", "2", "4", "8") * 2, numbers=(1.0, 2.0, 4.0, 8.0) * 2, unit=""
    )
    second = Parameter(
        name="policies.scheduler", texts=("fifo",) * 4 + ("priority",) * 4, numbers=None, unit=""
    )
    harm = [9.0, 5.0, 3.0, 2.5, 10.0, 6.0, 3.5, math.nan]
    cost = [10.0, 12.0, 17.0, 30.0, 11.0, 12.5, 16.0, 31.0]
    return SweepView(
        title="GPUs and scheduler", note="8 points", parameters=(first, second),
        measures=(measured("one", harm), measured("two", cost)), cost=measured("cost", cost),
    )  # fmt: skip


def days(first: float, second: float, third: float) -> tuple[float, float, float]:
    """Return three days after the start."""
    return DAY0 + first, DAY0 + second, DAY0 + third


def forecast() -> ForecastView:
    """Return two jobs, one of which may not end."""
    phases = (
        PhaseBand(name="pretrain", kind="train", start=(DAY0,) * 3, end=(DAY0 + 40, DAY0 + 50, DAY0 + 70)),
        PhaseBand(name="rl", kind="rl", start=days(40, 50, 70), end=days(60, 72, math.inf)),
        PhaseBand(name="safety", kind="compute", start=days(55, 60, math.inf), end=days(65, math.inf, math.inf)),
    )  # fmt: skip
    jobs = (
        JobBand(title="A model", target=DAY0 + 55, finish=days(60, 72, 130), probability=0.07, phases=phases),
        JobBand(title="None", target=math.nan, finish=(math.nan,) * 3, probability=math.nan, phases=phases[:1]),
    )  # fmt: skip
    drivers = (
        ("A model", (("tokens", 0.62), ("jobs.a.step_time_factor", 0.21), ("rate", 0.001))),
        ("No target", ()),
    )
    return ForecastView(
        title="Forecast", note="100 runs", start=DAY0, horizon=DAY0 + 100, jobs=jobs, drivers=drivers
    )


def tornado() -> SweepView:
    """Return three unknowns, one of which only helps at both ends."""
    bars = (
        Bar(label="tokens of the job", low=-20.0, high=45.0, low_half_width=2.0, high_half_width=3.0),
        Bar(label="both ends help", low=-3.0, high=-8.0, low_half_width=1.0, high_half_width=1.0),
        Bar(label="no low end", low=math.nan, high=1.0, low_half_width=math.nan, high_half_width=0.0),
    )  # fmt: skip
    return SweepView(title="T", note="7 points", parameters=(), measures=(), cost=None,
                     tornado=((measured("one", [12.0]), bars),))  # fmt: skip


def changes() -> SweepView:
    """Return three named changes and two measures, one of which has no runs for the last."""
    made = (
        Change(label="faster restart", mean=-4.3, half_width=0.2),
        Change(label="slower restart", mean=14.3, half_width=2.3),
        Change(label="not run", mean=math.nan, half_width=math.nan),
    )
    ettr = Measured(
        name="e", label="ETTR", unit="ratio", mean=(0.77,), half_width=(0.01,), low=(0.7,), high=(0.8,)
    )
    return SweepView(title="C", note="4 points", parameters=(), measures=(), cost=None,
                     changes=((measured("one", [-5.9]), made), (ettr, made)))  # fmt: skip


def test_changes_are_written_beside_their_bars() -> None:
    """Value and interval of each change, and how it is without any."""
    figure = sweep_figures(changes())["changes"]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "\u22124.3 \u00b1 0.2" in texts
    assert "+14.3 \u00b1 2.3" in texts
    assert figure.axes[0].get_xlabel() == "change; as it is: \u22125.9 days"


def test_numbers_of_changes_lie_inside_their_panel() -> None:
    """With three panels to a line no number runs into the next panel or out of the figure."""
    two = changes()
    figure = sweep_figures(replace(two, changes=(*two.changes, two.changes[0])))["changes"]
    figure.canvas.draw()
    assert len(figure.axes) == 3
    for axes in figure.axes:
        panel = axes.get_window_extent()
        for text in axes.texts:
            box = text.get_window_extent()
            assert panel.x0 <= box.x0 <= box.x1 <= panel.x1


@pytest.mark.parametrize("dark", [False, True])
def test_every_picture_can_be_drawn(dark: bool) -> None:
    """Lines, heat map, front, tornado, bands and drivers, light and dark, the same bytes twice."""
    for made in (view(), tornado(), changes()):
        for name, figure in sweep_figures(made, dark=dark).items():
            again = sweep_figures(made, dark=dark)[name]
            assert render(figure, "svg", dark=dark) == render(again, "svg", dark=dark)
    assert set(sweep_figures(view())) == {"lines", "heatmap", "pareto"}
    assert set(sweep_figures(tornado())) == {"tornado"}
    assert set(forecast_figures(forecast(), dark=dark)) == {"gantt_bands", "drivers"}


def test_front_holds_what_nothing_beats() -> None:
    """A point is on the front if no other is both cheaper and better; undefined ones are left out."""
    assert pareto_front([1.0, 2.0, 3.0, 2.5, 0.5], [9.0, 5.0, 5.0, 4.0, math.nan]) == [0, 1, 3]
    assert pareto_front([2.0, 1.0], [1.0, 1.0]) == [1]


def test_a_long_title_shrinks_before_it_is_cut() -> None:
    """A title that is a little too wide is written smaller; only what is far too wide is cut."""
    titles = []
    for words in (
        "Fits",
        "A title that is a little longer than the picture is wide, or so",
        "Far too long " * 20,
    ):
        figure = new_figure(7.0, 3.0)
        write_header(figure, words, "", dark=False)
        titles.append((figure.texts[0].get_text() == words, figure.texts[0].get_fontsize()))
    (fits, large), (whole, smaller), (uncut, smallest) = titles
    assert [fits, whole, uncut] == [True, True, False]
    assert large > smaller >= smallest


def test_heat_map_needs_all_combinations() -> None:
    """Two parameters that move together are no grid."""

    def parameter(*texts: str) -> Parameter:
        return Parameter(name="x", texts=texts, numbers=None, unit="")

    assert is_grid((parameter("1", "1", "2", "2"), parameter("a", "b", "a", "b")))
    assert not is_grid((parameter("1", "2"), parameter("a", "b")))
    assert not is_grid((parameter("1", "1"), parameter("a", "a")))


def test_open_phases_end_at_the_horizon_and_far_targets_are_named() -> None:
    """A bar without a median end fades out at the horizon; a target off the chart has an arrow with its date."""
    view = forecast()
    job = replace(view.jobs[0], target=DAY0 + 400, probability=math.nan)
    figure = draw_bands(replace(view, jobs=(job,), horizon=DAY0 + 100))
    (axes,) = figure.axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_height() < 0.5]
    fades = [part for part in axes.collections if isinstance(part, PolyCollection)]
    reach = [float(path.vertices[:, 0].max()) for part in fades for path in part.get_paths()]
    assert max(bar.get_x() + bar.get_width() for bar in bars) <= DAY0 + 100
    assert max(reach) == pytest.approx(DAY0 + 100)
    texts = [text.get_text() for text in axes.texts]
    assert "\u2013" in texts
    assert format_instant(job.target * 86400.0) in texts
    assert not any("%" in text for text in texts)


def test_ranges_that_go_on_have_an_arrow_and_no_cap() -> None:
    """A phase without a P90 in the simulated time ends in an arrow there, a job without end at the edge."""
    view = replace(forecast(), horizon=DAY0 + 100)
    job = replace(view.jobs[0], target=DAY0 + 55, finish=days(60, 72, 130))

    def arrows(finish: tuple[float, float, float]) -> tuple[list[float], list[str]]:
        (axes,) = draw_bands(replace(view, jobs=(replace(job, finish=finish),))).axes
        tips = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == ">"]
        return sorted(tips), [text.get_text() for text in axes.texts]

    assert arrows(days(60, 72, 130))[0] == [DAY0 + 100, DAY0 + 100]
    tips, texts = arrows((DAY0 + 60, math.inf, math.inf))
    assert len(tips) == 3
    assert "never" in texts
    (axes,) = draw_bands(replace(view, jobs=(replace(job, finish=(math.inf,) * 3),))).axes
    assert not [line for line in axes.lines if line.get_marker() == "D"]


def test_bands_are_named_where_they_are_drawn() -> None:
    """Only the lines have bands from P10 to P90, so only they speak of them."""
    field = Parameter(name="x", texts=("1", "2", "3"), numbers=(1.0, 2.0, 3.0), unit="d")
    slip, cost = (
        measured("jobs.a.slip_days", [1.0, 2.0, 3.0]),
        measured("cluster.gpu_days", [30.0, 20.0, 10.0]),
    )
    view = SweepView(
        title="S", note="2 points", parameters=(field,), measures=(slip,), cost=cost, replicated=True
    )
    figures = sweep_figures(view)
    said = {name: " ".join(text.get_text() for text in figure.texts) for name, figure in figures.items()}
    assert "bands: P10 to P90" in said["lines"]
    assert "bands" not in said["pareto"]


def test_points_of_unfinished_runs_are_hollow_and_not_compared() -> None:
    """Points that the horizon cut off are drawn hollow; a cost that was only cut off does not win."""
    field = Parameter(name="horizon", texts=("1", "2", "3"), numbers=(1.0, 2.0, 3.0), unit="d")
    slip = replace(measured("jobs.a.slip_days", [1.0, 2.0, 3.0]), unfinished=(4, 0, 0), grows=True)
    cost = measured("cluster.gpu_days", [10.0, 20.0, 30.0])
    view = SweepView(title="S", note="3 points", parameters=(field,), measures=(slip,), cost=cost)
    figures = sweep_figures(view)
    for name in ("lines", "pareto"):
        marks = [line for line in figures[name].findobj(Line2D) if line.get_gid() == "open"]
        assert [len(line.get_xdata()) for line in marks] == [1]
    assert [text.get_text()[:1] for text in figures["pareto"].texts if " = " in text.get_text()] == ["1"]
    assert "horizon = 2" in "".join(text.get_text() for text in figures["pareto"].texts)
    done = replace(view, measures=(replace(slip, unfinished=(0, 0, 0)),))
    for figure in sweep_figures(done).values():
        marks = [line for line in figure.findobj(Line2D) if line.get_gid() == "open"]
        assert not any(len(line.get_xdata()) for line in marks)


def test_bars_and_cells_of_unfinished_runs_are_marked() -> None:
    """Bars that rest on unfinished runs are hatched, cells have a bound in front of their number."""
    view = tornado()
    measure, bars = view.tornado[0]
    figure = draw_tornado(view, measure, (replace(bars[0], high_open=True), bars[1]))
    assert [patch.get_hatch() for axes in figure.axes for patch in axes.patches].count("////") == 1
    one = Parameter(name="x", texts=("1", "1", "2", "2"), numbers=(1.0, 1.0, 2.0, 2.0), unit="")
    two = Parameter(name="y", texts=("1", "2", "1", "2"), numbers=(1.0, 2.0, 1.0, 2.0), unit="")
    days = replace(measured("d", [1.0, 2.0, 3.0, 4.0]), unfinished=(0, 1, 0, 0), grows=True)
    grid = SweepView(title="S", note="4 points", parameters=(one, two), measures=(days,), cost=None)
    texts = [text.get_text() for axes in draw_heatmap(grid, days).axes for text in axes.texts]
    assert [text.startswith(">= ") for text in texts].count(True) == 1


def test_chances_and_median_ends_are_written() -> None:
    """The chance to meet the target and the median end stand at the right of each job."""
    figure = forecast_figures(forecast())["gantt_bands"]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "7%" in texts
    assert "2026-04-29" in texts


def tradeoff(share: float = 1.0, unit: str = "") -> SweepView:
    """Return days of two jobs and the network's bill at 1:1, 2:1 and 4:1, times a share."""
    name = "cluster.sites.a.topology.fabric.tiers[1].oversubscription"
    thin = Parameter(name=name, texts=(f"1{unit}", f"2{unit}", f"4{unit}"), numbers=(1.0, 2.0, 4.0), unit="")
    return SweepView(
        title="Oversubscription", note="3 points", parameters=(thin,), cost=None,
        measures=(
            measured("jobs.a.wall_clock_days", [50.0, 50.25, 52.0]),
            measured("jobs.b.wall_clock_days", [20.0, 20.5, 21.0]),
            measured("cluster.network_cost_MUSD", [share * 900.0, share * 700.0, share * 600.0]),
            measured("cluster.network_power_MW", [share * 9.0, share * 7.0, share * 6.0]),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("unit", ["", ":1"])
def test_tradeoff_says_what_a_thin_network_costs_and_saves(unit: str) -> None:
    """Lines start at 0 and show the days on top of the first point's; the answer stands in the header."""
    figure = sweep_figures(tradeoff(unit=unit))["network_tradeoff"]
    drawn = [list(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert [0.0, 0.25, 2.0] in drawn
    assert [0.0, 0.5, 1.0] in drawn
    words = " ".join(text.get_text() for text in figure.texts)
    assert "2:1 0.5 days, 200 million USD; 4:1 2 days, 300 million USD" in words


@pytest.mark.parametrize(
    ("share", "saved", "cost", "power"),
    [
        (0.001, "200,000 USD", "[thousand USD]", "[kW]"),
        (1.0, "200 million USD", "[million USD]", "[MW]"),
        (2.0, "400 million USD", "[billion USD]", "[MW]"),
    ],
)
def test_tradeoff_has_units_that_suit_the_size(share: float, saved: str, cost: str, power: str) -> None:
    """A rack costs thousands and a campus billions: no axis in thousandths, and nothing saved is 0 million."""
    small = tradeoff(share)
    measures = tuple(
        replace(
            item,
            unit={"cost_MUSD": "million USD", "power_MW": "MW"}.get(
                item.name.partition("network_")[2], item.unit
            ),
        )
        for item in small.measures
    )
    figure = sweep_figures(replace(small, measures=measures))["network_tradeoff"]
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert cost in labels
    assert power in labels
    assert saved in " ".join(text.get_text() for text in figure.texts)


def test_tradeoff_needs_the_bill() -> None:
    """A sweep that does not measure the network's bill has no such picture."""
    assert "network_tradeoff" not in sweep_figures(view())


def drawn_texts(figure: Figure) -> list[str]:
    """Return every text of a figure once it is drawn."""
    render(figure, "png")
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]


def test_many_values_over_decades_have_readable_ticks() -> None:
    """A logarithmic axis is labelled with plain numbers, never with the markup of a formula."""
    values = tuple(float(value) for value in range(1, 2000, 60))
    names = tuple(f"{value:g}" for value in values)
    one = Parameter(name="a.interval", texts=names, numbers=values, unit="min")
    wide = replace(view(), parameters=(one,), measures=(measured("one", list(values)),), cost=None)
    words = drawn_texts(sweep_figures(wide)["lines"])
    assert {"10", "1,000"} <= set(words)
    assert not any("$" in word and "mathdefault" in word for word in words)


def test_names_are_not_joined_and_do_not_overlap() -> None:
    """Values that are no numbers get marks without a line between them, and labels that clear one another."""
    names = ("conservative_backfill", "easy_backfill", "priority_backfill", "fair_share", "fifo", "deadline")
    one = Parameter(name="policies.scheduler", texts=names, numbers=None, unit="")
    wide = replace(view(), parameters=(one,), cost=None,
                   measures=(measured("one", [1.0] * 6), measured("two", [2.0] * 6)))  # fmt: skip
    figure = sweep_figures(wide)["lines"]
    render(figure, "png")
    assert all(line.get_linestyle() == "None" for line in figure.axes[0].lines if line.get_marker() == "o")
    assert {label.get_rotation() for label in figure.axes[0].get_xticklabels()} == {30.0}


def test_the_legend_of_lines_stays_inside_the_picture() -> None:
    """Six long names take as many lines of the legend as they need."""
    first = Parameter(name="a.gpus", texts=("1", "2") * 6, numbers=(1.0, 2.0) * 6, unit="")
    texts = tuple(f"{minutes} minutes and some" for minutes in range(6) for _ in range(2))
    second = Parameter(name="checkpoint.tiers[0].interval", texts=texts, numbers=None, unit="")
    wide = replace(view(), parameters=(first, second), cost=None, measures=(measured("one", [1.0] * 12),))
    figure = sweep_figures(wide)["lines"]
    render(figure, "png")
    (box,) = (item.get_window_extent() for item in figure.legends)
    assert box.x0 >= 0.0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 < figure.axes[0].get_window_extent().y0


@pytest.mark.parametrize(
    ("values", "decimals"), [([33.0, 31.2, -4.19], 1), ([0.465, 1.27], 2), ([1200.0, 3.0], 0), ([0.2], 3)]
)
def test_numbers_side_by_side_have_the_same_decimals(values: list[float], decimals: int) -> None:
    """The largest of them gets three digits."""
    assert decimals_for(values) == decimals
    assert numeral(-1234.5) == "\u22121,234"
    assert numeral(-4.19, 1) == "\u22124.2"


def test_drivers_that_chance_could_give_are_pale() -> None:
    """Bars below the level of chance are pale, a line marks it, and the largest driver comes first."""
    mixed = replace(forecast(), chance=0.5, drivers=(("A model", (("rate", 0.2), ("tokens", 0.62))),))
    figure = forecast_figures(mixed)["drivers"]
    words = drawn_texts(figure)
    assert [word for word in words if "tokens" in word or "rate" in word] == ["62% tokens", "20% rate"]
    colours = [patch.get_facecolor() for patch in figure.axes[0].patches]
    assert colours[0] != colours[1]
    assert any("chance alone" in word for word in words)
    assert not any("chance alone" in word for word in drawn_texts(forecast_figures(forecast())["drivers"]))


def test_a_forecast_of_many_jobs_shows_those_in_danger() -> None:
    """Of sixty jobs the forty least likely to meet their targets are drawn, and the note says so."""
    one = forecast().jobs[0]
    jobs = tuple(replace(one, title=f"Job {number}", probability=number / 60) for number in range(60))
    figure = forecast_figures(replace(forecast(), jobs=jobs, drivers=()))["gantt_bands"]
    words = drawn_texts(figure)
    assert "Job 0" in words
    assert "Job 39" in words
    assert "Job 40" not in words
    assert any("40 of 60 jobs" in word for word in words)
    assert figure.get_figheight() < 12.0


def test_a_forecast_of_many_jobs_writes_chance_and_date_beside_each_other() -> None:
    """Rows too low for two lines: no text at the right covers another one."""
    one = replace(forecast().jobs[0], probability=1.0)
    jobs = tuple(replace(one, title=f"Job {number}") for number in range(40))
    figure = forecast_figures(replace(forecast(), jobs=jobs, drivers=()))["gantt_bands"]
    render(figure, "png")
    right = [text for text in figure.axes[0].texts if "%" in text.get_text() or "2026" in text.get_text()]
    boxes = [text.get_window_extent() for text in right]
    assert len(boxes) == 80
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert max(box.x1 for box in boxes) < figure.bbox.x1


def test_sampled_points_have_a_panel_per_field_and_no_line() -> None:
    """Two measures over three fields: six panels of marks, wide ranges on a logarithmic axis."""
    fields = tuple(
        Parameter(name=f"a.b.{name}", texts=tuple(map(str, numbers)), numbers=numbers, unit="h")
        for name, numbers in (
            ("x", (3.0, 1.0, 2.0)), ("y", (1.0, 100.0, 10.0)), ("z", (-1.0, 0.0, 100.0)),
        )
    )  # fmt: skip
    measures = (measured("one", [3.0, math.nan, 4.0]), measured("two", [1.0, 2.0, 3.0]))
    sampled = replace(view(), parameters=fields, measures=measures, cost=None, sampled=True)
    figures = sweep_figures(sampled)
    assert set(figures) == {"scatter"}
    panels = figures["scatter"].axes
    assert [axes.get_xlabel() for axes in panels] == ["b.x [h]", "b.y [h]", "b.z [h]"] * 2
    assert [axes.get_xscale() for axes in panels] == ["linear", "log", "linear"] * 2
    assert all(line.get_linestyle() == "None" for axes in panels for line in axes.lines)
    assert [len(axes.lines[0].get_xdata()) for axes in panels] == [2] * 3 + [3] * 3  # type: ignore[arg-type]
    assert set(sweep_figures(replace(sampled, sampled=False))) == {"lines"}
