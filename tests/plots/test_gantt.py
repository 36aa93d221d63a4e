"""The Gantt chart shows every row of the tables, once, where it belongs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from colossus_sim.loading.load import load_scenario
from colossus_sim.plots import draw_gantt, render
from colossus_sim.plots.bars import count_marks
from colossus_sim.plots.gantt import BINS
from colossus_sim.plots.gantt_rows import slip_label
from colossus_sim.plots.header import headline
from colossus_sim.plots.roadmap import JobRow, job_rows, model_size, slow_episodes, without_short_waits
from colossus_sim.plots.series import end_of
from colossus_sim.units import DAY
from tests.plots.conftest import START, FakeResult, make


def artists(figure: Figure, gid: str) -> list[Collection]:
    """Return the artists of a figure with this name."""
    return [artist for artist in figure.findobj() if artist.get_gid() == gid]


def rows_of(result: FakeResult) -> tuple[JobRow, ...]:
    """Return the rows of the chart."""
    return job_rows(result, horizon=end_of(result))


def texts(figure: Figure) -> list[str]:
    """Return every text of a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


@pytest.mark.parametrize(
    ("jobs", "dark"), [(0, False), (0, True), (1, False), (2, True), (9, True), (60, False), (60, True)]
)
def test_draws_any_number_of_jobs_without_a_warning(jobs: int, dark: bool) -> None:
    """The chart can be drawn and rendered for no job, one, and many, light and dark."""
    assert render(draw_gantt(make(jobs, failures=200), dark=dark), "png", dark=dark).startswith(b"\x89PNG")


def test_every_phase_is_a_bar(flagship: FakeResult) -> None:
    """There are as many bars as phases that had GPUs."""
    bars = artists(draw_gantt(flagship), "phases")
    assert [len(bar.get_paths()) for bar in bars] == [len(flagship.tables["phases"])]


def test_every_failure_is_counted_once(flagship: FakeResult) -> None:
    """The marks of a job stand for as many failures as the events table has for it."""
    events = flagship.tables["events"]
    for row in rows_of(flagship):
        edges = np.linspace(row.submit - 1.0, end_of(flagship), BINS + 1)
        _, counts = count_marks(row.failures, edges)
        assert counts.sum() == ((events["kind"] == "failure") & (events["job"] == row.name)).sum()


def test_dense_failures_stay_few_marks() -> None:
    """A hundred thousand failures are drawn as at most one mark per column and job."""
    (rug,) = artists(draw_gantt(make(1, failures=100_000)), "failures")
    assert len(rug.get_segments()) <= BINS


def test_more_failures_make_a_stronger_mark() -> None:
    """The opacity of a mark grows with the failures it stands for."""
    result = make(1, failures=2)
    events = result.tables["events"]
    events["time_s"] = [40 * DAY, 60 * DAY]
    result.tables["events"] = events.loc[[0, 1, 1, 1]].reset_index(drop=True)
    result.tables["events"].attrs.update(events.attrs)
    (rug,) = artists(draw_gantt(result), "failures")
    alphas = [colour[3] for colour in rug.get_colors()]
    assert alphas == sorted(alphas)
    assert alphas[0] < alphas[1] == pytest.approx(1.0)


def test_gates_targets_and_outcomes_are_marked(flagship: FakeResult) -> None:
    """Every data gate, every target and both ends of every reported outcome have a marker."""
    figure = draw_gantt(flagship)
    jobs = flagship.scenario.jobs.values()
    assert [len(marks.get_offsets()) for marks in artists(figure, "gates")] == [9]
    assert [len(marks.get_offsets()) for marks in artists(figure, "targets")] == [9]
    expected = 2 * sum(len(job.observed) for job in jobs)
    assert [len(marks.get_offsets()) for marks in artists(figure, "observed")] == [expected]


def test_gates_come_from_the_events_where_the_scenario_is_unknown() -> None:
    """Without a scenario the gates that the run met are shown."""
    result = make(1, failures=1)
    events = result.tables["events"]
    events["kind"], events["value"] = "gate", 55 * DAY
    (row,) = rows_of(FakeResult(tables=result.tables, scenario=None))
    assert row.gates.tolist() == [START / DAY + 55]


def test_slip_labels_are_the_slips_of_the_table(flagship: FakeResult) -> None:
    """Each job's label is its slip in whole days, with its sign."""
    labels = [text.get_text() for text in artists(draw_gantt(flagship), "slip")]
    expected = [f"{slip:+.0f} d".replace("-", "\u2212") for slip in flagship.tables["jobs"]["slip_days"]]
    assert labels == expected


@pytest.mark.parametrize(
    ("days", "least", "label", "verdict"),
    [
        (23.2, None, "+23 d", "missed"),
        (-4.0, None, "\u22124 d", "met"),
        (-0.4, None, "on time", "met"),
        (0.0, None, "on time", "met"),
        (0.4, None, "+0.4 d", "missed"),
        (0.02, None, "+0.1 d", "missed"),
        (math.nan, None, "", "none"),
        (90.0, 10.0, "+90 d projected", "missed"),
        (0.2, -10.0, "+0.2 d projected", "unknown"),
        (-9.0, -10.0, "\u22129 d projected", "unknown"),
        (1234.0, None, "+1,234 d", "missed"),
    ],
)
def test_slip_in_words(days: float, least: float | None, label: str, verdict: str) -> None:
    """Only a target that is met is called on time; after the simulated time it is neither met nor missed."""
    (row,) = rows_of(make(1))
    bound = least is not None
    row = replace(row, slip_days=days, slip_is_lower_bound=bound, least_slip_days=least if bound else days)
    assert (slip_label(row), row.verdict) == (label, verdict)
    assert row.late == (verdict == "missed")


@pytest.mark.parametrize(
    ("days", "least", "said"),
    [
        ((0.2, -3.0), (None, None), "1 of 2 targets missed, median slip"),
        (
            (0.2, -3.0),
            (None, -4.0),
            "1 of 2 targets missed, 1 not known (after the simulated time), median projected",
        ),
        ((-9.0,), (-10.0,), "target after the simulated time, projected slip"),
        ((0.2,), (None,), "target missed, slip +0.2 d"),
    ],
)
def test_headline_counts_every_miss_and_no_guess(
    days: tuple[float, ...], least: tuple[float | None, ...], said: str
) -> None:
    """A target missed by hours counts as missed; one that lies after the simulated time as neither."""
    result = make(len(days))
    rows = [
        replace(row, slip_days=slip, slip_is_lower_bound=low is not None,
                least_slip_days=slip if low is None else low)
        for row, slip, low in zip(rows_of(result), days, least, strict=True)
    ]  # fmt: skip
    assert said in headline(result, rows)


def test_job_that_never_ends_has_no_days_of_slip() -> None:
    """Where the GPUs of an open job are gone for good, no days of slip are shown: it never ends."""
    result = make(1)
    row = replace(
        rows_of(result)[0], slip_days=6.0, least_slip_days=6.0, slip_is_lower_bound=True, gone=20000.0
    )
    assert (slip_label(row), row.late) == ("never", True)
    assert "target missed, projected slip: never" in headline(result, [row])
    assert "median projected slip: never" in headline(result, [row, row, replace(row, gone=math.nan)])


def test_target_end_is_the_finish_when_the_target_means_the_whole_job(flagship: FakeResult) -> None:
    """Target plus slip is the end of the job."""
    for row in rows_of(flagship):
        assert row.target_end == pytest.approx(row.finish)


def test_overlapping_phases_lie_in_lanes_of_their_own(flagship: FakeResult) -> None:
    """Two phases of a job that overlap in time never share a lane."""
    for row in rows_of(flagship):
        assert row.lanes == 2
        for one in row.phases:
            for other in row.phases:
                if one is not other and one.lane == other.lane:
                    assert one.end <= other.start or other.end <= one.start


def test_touching_waits_are_joined_and_short_ones_left_out() -> None:
    """Waits of one state that touch become one; waits too short to be seen are dropped."""
    result = make(1, failures=0)
    intervals = result.tables["intervals"]
    intervals.loc[0, ["state", "start_s", "end_s"]] = ["gpu_wait", 20 * DAY, 21 * DAY]
    intervals.loc[1, ["phase", "state", "start_s", "end_s"]] = ["pretrain", "gpu_wait", 21 * DAY, 23 * DAY]
    (row,) = rows_of(result)
    assert [wait[2] - wait[1] for wait in row.phases[0].waits] == pytest.approx([3.0])
    (bare,) = without_short_waits([row], 3.5)
    assert bare.phases[0].waits == ()


def test_a_wait_that_failures_cut_is_still_one_wait() -> None:
    """Pieces too short to be seen are one wait if restarts part them; where work does, they stay pieces."""
    result = make(1, failures=0)
    table = result.tables["intervals"].iloc[[0] * 6].reset_index(drop=True)
    table["state"], table["phase"] = "data_wait", "pretrain"
    table["start_s"] = [20 * DAY, 20.3 * DAY, 20.6 * DAY, 30 * DAY, 30.8 * DAY, 31.6 * DAY]
    table["end_s"] = [20.29 * DAY, 20.59 * DAY, 20.9 * DAY, 30.1 * DAY, 30.9 * DAY, 31.7 * DAY]
    table.attrs.update(result.tables["intervals"].attrs)
    result.tables["intervals"] = table
    (row,) = without_short_waits(rows_of(result), 0.8)
    begin = START / DAY
    assert row.phases[0].waits == (("data_wait", pytest.approx(begin + 20), pytest.approx(begin + 20.9)),)


def boxes(figure: Figure, gid: str) -> list[tuple[float, float, float, float]]:
    """Return left, right, top and bottom of texts of a figure, in pixels."""
    found = (text.get_window_extent() for text in artists(figure, gid))
    return [(box.x0, box.x1, box.y0, box.y1) for box in found]


@pytest.mark.parametrize("count", [60, 200])
def test_many_jobs_share_rows_on_one_page(count: int) -> None:
    """Jobs that do not meet in time share a row: all have their bars, their names, and nothing covers a name."""
    result = make(count, failures=count, days=1000.0, names=lambda number: f"Study {number}")
    figure = draw_gantt(result)
    bars = artists(figure, "phases")
    assert [len(bar.get_paths()) for bar in bars] == [len(result.tables["phases"])]
    assert {f"Study {number}" for number in range(count)} <= set(texts(figure))
    assert figure.get_figheight() < 20.0
    render(figure, "png")
    names = boxes(figure, "name") + boxes(figure, "slip")
    assert len(names) >= count
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            apart = one[1] <= other[0] + 1 or other[1] <= one[0] + 1
            middle, half = 0.5 * (other[2] + other[3]), 0.25 * (other[3] - other[2])
            assert apart or abs(0.5 * (one[2] + one[3]) - middle) > half


def test_unfinished_jobs_show_their_projected_date() -> None:
    """A job that the horizon cuts off is drawn to it, with the date of its projected end."""
    result = make(1, days=60.0)
    (row,) = rows_of(result)
    assert math.isnan(row.finish)
    figure = draw_gantt(result)
    assert result.tables["jobs"]["projected_finish_date"][0] in texts(figure)
    assert any("projected" in text for text in texts(figure))


def test_axes_carry_their_units(flagship: FakeResult) -> None:
    """Strips say what they count, and the dates name the year."""
    figure = draw_gantt(flagship)
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert {"GPUs [thousand]", "Power [MW]"} <= labels
    render(figure, "png")
    assert any("2026" in label.get_text() for label in figure.axes[-1].get_xticklabels())


@pytest.mark.parametrize(
    "name",
    [
        "$\\frac{$",
        "_hidden",
        "<script>alert(1)</script>",
        "[red]x[/]",
        "cost $5 to $9",
        "\u6f22\u5b57",
        "a\nb\t\x07",
    ],
)
def test_hostile_names_are_plain_text(name: str) -> None:
    """Names that mean something to mathtext, legends, HTML or terminals are drawn as they are."""
    figure = draw_gantt(make(2, failures=10, names=lambda _: name))
    assert b"<script>" not in render(figure, "svg")
    if name.isascii() and name.isprintable():
        assert name in texts(figure)


def test_long_names_are_shortened_to_the_column() -> None:
    """A name of any length ends before the chart begins."""
    figure = draw_gantt(make(1, names=lambda _: "W" * 500))
    long = next(text for text in texts(figure) if text.startswith("WWW"))
    assert long.endswith("\u2026")
    assert len(long) < 40


def test_the_caller_can_name_the_chart(flagship: FakeResult) -> None:
    """A title that is given replaces that of the scenario."""
    assert "Board, June" in texts(draw_gantt(flagship, title="Board, June"))
    assert "Roadmap on Colossus 2" in texts(draw_gantt(flagship))


def test_open_ended_outcomes_do_not_stretch_the_chart(flagship: FakeResult) -> None:
    """An outcome reported as "not before ..." up to a far date leaves the axis almost as it was."""
    usual = draw_gantt(flagship).axes[0].get_xlim()
    result = make()
    (seen,) = result.scenario.jobs["job_0"].observed
    seen.latest = START + 5000 * DAY
    first, last = draw_gantt(result).axes[0].get_xlim()
    assert first == pytest.approx(usual[0], abs=1.0)
    assert last - first < 1.2 * (usual[1] - usual[0])


def test_model_size_names_active_parameters_of_mixtures_only() -> None:
    """Llama 3.1 405B (arXiv:2407.21783) is dense; the assumed 6T model activates 600B."""
    dense = load_scenario("llama3_405b").jobs["llama3_405b"].model
    mixture = load_scenario("colossus_roadmap").jobs["grok_5_6t"].model
    assert model_size(dense) in ("405B", "406B")
    assert model_size(mixture) == "6T (600B active)"


def test_slowed_stretches_are_those_of_the_intervals() -> None:
    """Intervals that lose over 1 % to other jobs become episodes; a restart between two does not part them."""
    result = make(1, failures=0)
    table = result.tables["intervals"].iloc[[0] * 4].reset_index(drop=True)
    table["start_s"] = [0.0, 10 * DAY, 11.1 * DAY, 20 * DAY]
    table["end_s"] = [9 * DAY, 11 * DAY, 12.0 * DAY, 30 * DAY]
    table["contention_s"] = [0.009 * 9 * DAY, 0.2 * DAY, 0.3 * DAY, 1.0 * DAY]
    (episodes,) = slow_episodes(table, START).values()
    begin = START / DAY
    expected = [(begin + 10, begin + 12, 0.25), (begin + 20, begin + 30, 0.1)]
    assert [value for item in episodes for value in item] == pytest.approx(
        [value for item in expected for value in item]
    )


@pytest.mark.parametrize("dark", [False, True])
def test_slowed_stretches_are_underlined_and_in_the_legend(dark: bool) -> None:
    """A run with contention has one mark per episode and a legend entry; a run without has neither."""
    quiet = make(2, failures=0)
    quiet.tables["intervals"]["contention_s"] = 0.0
    assert artists(draw_gantt(quiet, dark=dark), "slowed") == []
    assert "slowed by other jobs" not in texts(draw_gantt(quiet, dark=dark))
    table = quiet.tables["intervals"]
    table["contention_s"] = 0.1 * (table["end_s"] - table["start_s"])
    figure = draw_gantt(quiet, dark=dark)
    (marks,) = artists(figure, "slowed")
    episodes = sum(len(phase.slowed) for row in rows_of(quiet) for phase in row.phases)
    assert len(marks.get_paths()) == episodes > 0
    assert "slowed by other jobs" in texts(figure)
