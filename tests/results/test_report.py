"""The report: what it says, and that names cannot break it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from colossus_sim.records import RunResult
from colossus_sim.results.document import (
    Section,
    Table,
    escape_markdown,
    render_markdown,
    render_text,
    text_table,
)
from colossus_sim.results.job_words import job_sentence
from colossus_sim.results.report import command_line, not_modelled, short_sections
from colossus_sim.results.result import Result, result_of
from colossus_sim.results.words import signed


@pytest.fixture(scope="module")
def result(hand_run: RunResult) -> Result:
    """The result of the hand-made run."""
    return result_of(hand_run)


def test_sentence_of_a_late_job(result: Result) -> None:
    """The sentence gives finish, slip against target, and the largest causes first."""
    text = job_sentence(result.summary()["jobs"][0])
    assert text == (
        "Alpha <1> (alpha): finished 2026-01-08 after 7.0 days. It ended 1.0 days after the target of "
        "2026-01-07 (release). Largest causes: calendar floors +1.0 d, waiting for GPUs +1.0 d, "
        "waiting for data +0.5 d, failures +0.4 d. The target left 2.5 days more than the plan's own work."
    )


def test_sentence_of_an_unfinished_job(result: Result) -> None:
    """A projection is never shown without saying that it is one."""
    text = job_sentence(result.summary()["jobs"][1])
    assert "slip is at least 1.0 days" in text
    assert "2026-01-15, +5.0 d (a projection, not simulated)" in text


def test_sentence_of_a_target_after_the_simulated_time(result: Result) -> None:
    """An open job whose target the clock did not reach has neither met nor missed it."""
    job = dict(result.summary()["jobs"][1]) | {"slip_days": -9.6}
    text = job_sentence(job)
    assert "is not known: the simulation stopped 9.6 days before that" in text
    assert "did not reach" not in text


@pytest.mark.parametrize(
    ("slip", "said"), [(0.01, "14.4 min after"), (-0.2, "0.2 days before"), (0.2, "0.2 days after")]
)
def test_sentence_of_a_near_end(result: Result, slip: float, said: str) -> None:
    """An end minutes after the target does not read as 0.0 days."""
    job = dict(result.summary()["jobs"][0]) | {"slip_days": slip}
    assert f"It ended {said} the target" in job_sentence(job)


def test_report_has_all_parts(result: Result) -> None:
    """Question, jobs, slip, phases, cluster, accounting, back-test, sources, limits: all there."""
    text = result.report()
    for title in (
        "Question", "Jobs", "In words", "Slip by cause", "Phases", "Cluster", "Utilization by month",
        "Where the GPU-time went", "Failures", "Predicted pre-training loss", "Back-test", "Sources",
        "Warnings", "Definitions", "What is not modelled", "How to reproduce",
    ):  # fmt: skip
        assert re.search(rf"^## {title}", text, re.MULTILINE), title
    assert "made or changed in Python, so no command makes it again" in text


def test_titles_are_escaped(result: Result) -> None:
    """A title with HTML in it is shown as written."""
    assert "Alpha &lt;1&gt;" in result.report()
    assert "<1>" not in result.report()
    assert "Alpha <1>" in result.text()
    assert "<1>" not in result._repr_html_()


@pytest.mark.parametrize(
    "text", ["a|b", "<script>", "`x`", "*b*", "[l](u)", "$x$", "a\nb", "\x1b[31m", "&amp;"]
)
def test_markdown_cells_stay_cells(text: str) -> None:
    """No cell text can end the cell, start markup, or reach the terminal as a control sequence."""
    table = Table(header=("name", "x"), rows=((text, "1"),))
    row = render_markdown("t", [Section(title="s", table=table)]).splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert not re.search(r"<|(?<!\\)[`*\[$]", row)
    assert "\x1b" not in row


def test_escaping_keeps_plain_text() -> None:
    """Ordinary words, numbers and dots stay readable."""
    assert escape_markdown("Grok 5 - 6.0 T, 12 % (a)") == "Grok 5 - 6.0 T, 12 % (a)"


def test_text_tables_are_never_cut() -> None:
    """A long cell widens its column; numbers line up on the right."""
    lines = text_table(Table(header=("name", "n"), rows=(("x" * 200, "1"), ("y", "100")), right=(1,)))
    assert lines[2].endswith("    1")
    assert "x" * 200 in lines[2]
    assert len(lines[2]) == len(lines[3])


def test_code_cannot_leave_its_block() -> None:
    """A command with backticks stays inside the code block."""
    text = render_markdown("t", [Section(title="s", code="a ``` b")])
    assert text.count("```") == 2


def test_plain_text_is_one_line_per_paragraph() -> None:
    """Control characters are spelled out."""
    assert "a\\nb" in render_text("t", [Section(title="s", paragraphs=("a\nb",))])


def test_command_is_quoted_for_the_shell() -> None:
    """A file name with a space and an override with a quote come back as one word each."""
    text = command_line("my file.yaml", ["a.b='x y'"], seed=3, case="low")
    assert text == "colossus-sim run 'my file.yaml' --seed 3 --case low --set 'a.b='\"'\"'x y'\"'\"''"


def test_zero_has_no_sign() -> None:
    """Zero is shown without a sign, everything else with it."""
    assert [signed(value) for value in (0.0, -0.01, 0.06, -10.0, None)] == [
        "0.0 d",
        "0.0 d",
        "+0.1 d",
        "-10.0 d",
        "-",
    ]


def test_limits_are_listed() -> None:
    """What is not modelled is a list of sentences."""
    points = not_modelled()
    assert len(points) >= 8
    assert all(point.endswith(".") for point in points)


def test_job_without_target_has_no_slip(hand_run_with: Callable[..., RunResult]) -> None:
    """Without a target there is no slip, no causes and no row in the table of slip; the report still stands."""
    result = result_of(hand_run_with(alpha_target=False))
    job = result.summary()["jobs"][0]
    assert job["slip_days"] is None
    assert job["slip_causes"] == {}
    assert not job["slip_is_lower_bound"]
    assert "It has no target." in job_sentence(job)
    assert "## Slip by cause" in result.report()


def test_job_that_never_ran_is_reported(hand_run_with: Callable[..., RunResult]) -> None:
    """A job that was submitted after the end is reported as such, with dashes for what is not defined."""
    result = result_of(hand_run_with(beta_submit="2026-01-15"))
    job = result.summary()["jobs"][1]
    assert "never got GPUs" in job_sentence(job)
    assert job["mfu"] is None
    assert job["predicted_loss"] is None
    assert re.search(r"^beta .*not finished.* -  +-  +- ", result.text(), re.MULTILINE)


def test_many_warnings_leave_room_on_the_terminal(hand_run: RunResult) -> None:
    """Of 30 warnings a terminal shows nine and says where the other 21 are; of ten it shows all."""
    for count, shown in ((10, 10), (30, 10)):
        summary = dict(result_of(hand_run).summary()) | {"warnings": [f"warning {n}" for n in range(count)]}
        points = short_sections(summary)[-1].points
        assert len(points) == shown
        assert points[8] == "warning 8"
    assert points[9] == "... and 21 more warnings, in report.md"
