"""Results show themselves in notebooks, and the tutorial runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from colossus_sim.results.result import Result
from tests.html.conftest import HOSTILE

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"


def test_a_result_shows_jobs_and_chart_without_scripts(run: Result) -> None:
    """Tables and an inline picture; names in the scenario cannot become markup."""
    shown = run._repr_html_()
    assert "<table>" in shown
    assert 'src="data:image/png;base64,' in shown
    assert HOSTILE not in shown
    assert re.findall(r"<script|onerror=[^&]*>", shown) == []


def test_tables_carry_their_units(run: Result) -> None:
    """Every table knows its name and when its clock starts."""
    for name, table in run.tables.items():
        assert table.attrs["table"] == name
        assert "start" in table.attrs


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_the_tutorial_runs() -> None:
    """Every cell of the tutorial notebook runs from top to bottom."""
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat, part of nbclient")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    book = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(book)
    done = nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    assert all(cell.get("execution_count") for cell in done.cells if cell.cell_type == "code")


def test_dates_and_numbers_of_a_notebook_stay_on_one_line(run: Result) -> None:
    """Short cells, such as dates, are told not to break; long texts may."""
    shown = run._repr_html_()
    assert '<td style="text-align:left;padding:2px 8px;white-space:nowrap">2026-01-05</td>' in shown
    assert '<td style="text-align:left;padding:2px 8px">989 TFLOP/s' in shown
