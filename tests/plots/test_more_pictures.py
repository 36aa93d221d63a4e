"""Pictures beyond the usual ones: waterfall, failures, saving, comparison, pipeline, scaling."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from colossus_sim.cli.plot import plot
from colossus_sim.errors import UsageError
from colossus_sim.loading.load import load_scenario
from colossus_sim.plots.accounting import accounting_rows, large_number
from colossus_sim.plots.checkpoints import Saving, best, lost_share, savings
from colossus_sim.plots.compare import draw_comparison
from colossus_sim.plots.draw import PLOTS
from colossus_sim.plots.failures import draw_failures, failure_counts
from colossus_sim.plots.gantt import draw_gantt
from colossus_sim.plots.pipeline import draw_pipeline
from colossus_sim.plots.roadmap import phase_labels
from colossus_sim.plots.scaling import draw_scaling, scaling_points
from colossus_sim.plots.waterfall import draw_waterfall, slip_groups
from colossus_sim.results.result import simulate
from colossus_sim.training.timeline import step_timeline
from tests.plots.conftest import START, FakeResult, make


def texts(figure: Any) -> str:
    """Return all text of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text")))


@pytest.fixture(scope="session")
def quickstart() -> Any:
    """Return the result of the quickstart scenario."""
    return simulate(load_scenario("quickstart"))


def test_an_open_outcome_is_an_arrow_and_does_not_stretch_the_axis() -> None:
    """An observation without a latest date is drawn from its earliest date, inside the usual limits."""
    usual = draw_gantt(make()).axes[0].get_xlim()
    result = make()
    (seen,) = result.scenario.jobs["job_0"].observed
    seen.latest = None
    axes = draw_gantt(result).axes[0]
    assert axes.get_xlim() == pytest.approx(usual, abs=0.5)
    arrow = axes.findobj(match=lambda artist: artist.get_gid() == "open-outcome")
    assert len({id(a) for a in arrow}) == 1
    assert seen.earliest > START


def test_phases_are_named_for_people_never_by_their_key() -> None:
    """A phase has its title, then the words of its family: ``rl`` is never shown beside ``Pre-training``."""
    labels = phase_labels("rl", "rl", "Reinforcement learning")
    assert (labels[0], labels[-1]) == ("Reinforcement learning", "RL")
    assert "rl" not in labels
    assert phase_labels("pretrain", "train", "")[0] == "Pre-training"
    assert phase_labels("data_cleaning", "compute", "") == ("data cleaning",)


def test_every_site_has_its_own_strip() -> None:
    """Two sites give two strips of GPUs and one of power, so that an idle site hides nothing."""
    figure = draw_gantt(make(3))
    assert len(figure.axes) == 4
    assert {"Colossus 1", "Colossus 2", "Power"} <= set(texts(figure).split("\n"))


def test_waterfall_bars_add_up_to_the_slip(quickstart: Any) -> None:
    """The groups of each panel add up to the slip of the job."""
    for result in (quickstart, make(9)):
        table = result.tables["slip"].groupby("job", sort=False)["slip_days"].sum()
        found = [math.fsum(groups.values()) for groups in slip_groups(result).values()]
        assert sorted(found) == pytest.approx(sorted(table.tolist()), abs=1e-6)
    assert "slip" in texts(draw_waterfall(make(2)))


def test_failure_bars_count_every_failure() -> None:
    """Classes add up to all failures of the table; those without a job are counted apart."""
    result = make(4, failures=400)
    events = result.tables["events"]
    assert sum(map(sum, failure_counts(result).values())) == int((events["kind"] == "failure").sum())
    assert "no failures" in texts(draw_failures(make(1, failures=0)))


def test_the_best_interval_is_the_minimum_of_the_curve() -> None:
    """No interval on a fine grid loses less than the marked optimum, which lies near Young's rule."""
    saving = Saving(title="job", stall=30.0, interval=3600.0, mtbf=20_000.0)
    grid = np.geomspace(60.0, 50_000.0, 2000)
    assert lost_share(saving, best(saving)) <= min(lost_share(saving, float(t)) for t in grid) + 1e-12
    assert best(saving) == pytest.approx(math.sqrt(2 * 30.0 * 20_000.0), rel=0.05)


def test_savings_are_measured_from_the_run(quickstart: Any) -> None:
    """Stall per save times saves is the checkpoint time of the run."""
    for saving in savings(quickstart):
        saves = float(quickstart.tables["intervals"]["saves"].sum())
        stalled = float(quickstart.tables["intervals"]["checkpoint_s"].sum())
        assert saving.stall * saves == pytest.approx(stalled, rel=1e-9)


def test_a_run_compared_with_itself_is_the_same() -> None:
    """Every job of equal runs is ``same``; a later one shows by how many days."""
    result = make(5)
    assert texts(draw_comparison(result, result)).split("\n").count("same") == sum(
        bool(done) for done in result.tables["jobs"]["finished"]
    )
    late = make(5)
    late.tables["jobs"]["finish_s"] += 86400.0 * 12
    assert "+12 d" in texts(draw_comparison(result, late, names=("plan", "forecast")))
    assert "only A" in texts(draw_comparison(result, make(2), dark=True))


def test_the_pipeline_picture_shows_every_stage() -> None:
    """A row per stage, all passes, and the share of bubbles."""
    scenario = load_scenario("quickstart")
    step = step_timeline(scenario, next(iter(scenario.jobs)))
    figure = draw_pipeline(step)
    shown = texts(figure)
    assert all(f"stage {number}" in shown for number in range(step.stages))
    assert "bubbles" in shown


def test_scaling_holds_the_jobs_own_size(quickstart: Any) -> None:
    """The point of the job itself has the step time of the run; more GPUs never take longer per step."""
    name = next(iter(quickstart.scenario.jobs))
    points, gpus = scaling_points(quickstart.scenario, name)
    steps = quickstart.tables["step_time"]
    own = next(point for point in points if point.gpus == gpus)
    first = steps[steps["job"] == name].groupby("phase", sort=False)["time_ms"].sum().iloc[0]
    assert own.step_time == pytest.approx(first / 1e3, rel=1e-9)
    assert [p.step_time for p in points] == sorted((p.step_time for p in points), reverse=True)
    assert "scaling" in texts(draw_scaling(points, gpus, job=name))


def test_the_command_draws_pictures_of_one_job_and_two_runs(quickstart: Any, tmp_path: Path) -> None:
    """--kind pipeline needs --job; --compare takes another run folder."""
    folder = str(quickstart.save(tmp_path / "run"))
    job = next(iter(quickstart.scenario.jobs))
    missing = CliRunner().invoke(plot, [folder, "--kind", "pipeline"])
    assert isinstance(missing.exception, UsageError)
    args = [folder, "--kind", "pipeline", "--kind", "scaling", "--job", job, "--format", "png", "-q"]
    assert CliRunner().invoke(plot, [*args, "-o", str(tmp_path / "p")]).exit_code == 0
    both = [folder, "--compare", folder, "--format", "png", "-q", "-o", str(tmp_path / "p")]
    assert CliRunner().invoke(plot, both).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [
        "compare.png", f"pipeline-{job}.png", f"scaling-{job}.png",
    ]  # fmt: skip


def test_two_runs_on_one_axis_explain_their_hatches(flagship: FakeResult) -> None:
    """Every kind of wait that the comparison draws is named in its legend."""
    (words,) = draw_comparison(flagship, flagship).legends
    assert {"waiting for data", "waiting for GPUs", "calendar floor (people)"} <= {
        text.get_text() for text in words.get_texts()
    }


def test_values_of_the_waterfall_stand_clear_of_the_target_line(flagship: FakeResult) -> None:
    """Each value has a ground of the paper's colour above the line of the target."""
    axes = draw_waterfall(flagship).axes[0]
    line = next(one for one in axes.lines if list(one.get_xdata()) == [0.0, 0.0])
    assert axes.texts
    for text in axes.texts:
        assert text.get_bbox_patch() is not None
        assert text.get_zorder() > line.get_zorder()


def test_crowded_pictures_stay_one_page_and_say_what_they_leave_out() -> None:
    """Of two hundred jobs those that matter are shown, on a page of at most 14 inches, and a note says so."""
    result = make(200, failures=200)
    for name, words in {"accounting": "of 200", "slip": "the 40 latest of 200", "waterfall": "12 of 200",
                        "steps": "12 of 200"}.items():  # fmt: skip
        figure = PLOTS[name](result)
        assert figure.get_figheight() < 14.0
        assert words in texts(figure), name


def test_jobs_without_a_row_are_added_up() -> None:
    """The rows of the accounting picture hold every GPU-hour, whether their job has a row of its own or not."""
    result = make(100)
    labels, hours, note = accounting_rows(result)
    owned = result.tables["accounting"]
    owned = owned[owned["job"].fillna("") != ""]
    assert (labels[-1], "of 100" in note) == ("61 other jobs", True)
    places = 1 + owned.groupby(["site", "partition"]).ngroups
    found = sum(sum(row.values()) for row in hours[places:])
    assert found == pytest.approx(float(owned["gpu_hours"].sum()))


@pytest.mark.parametrize(
    ("hours", "text"),
    [(1.68e9, "1.68B"), (73.1e6, "73.1M"), (999_600.0, "1M"), (885e3, "885k"), (12.0, "12")],
)
def test_gpu_hours_read_as_people_give_them(hours: float, text: str) -> None:
    """DeepSeek-V3 took "2.788M H800 GPU hours" (arXiv:2412.19437); the pictures write them so."""
    assert large_number(hours) == text
    assert large_number(2.788e6) == "2.79M"
