"""The result of a simulation, as users of the Python API see it."""

from __future__ import annotations

import copy
import importlib
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from colossus_sim.errors import UsageError
from colossus_sim.loading.facts import LoadedFacts
from colossus_sim.policies import origin
from colossus_sim.records import RunResult
from colossus_sim.results.assumptions import facts_of
from colossus_sim.results.ledger import build_ledger
from colossus_sim.results.report import command_line, markdown_report, short_report, text_report
from colossus_sim.results.summary import build_summary
from colossus_sim.results.tables import build_tables
from colossus_sim.specs.scenario import Scenario
from colossus_sim.units import format_instant
from colossus_sim.version import MODEL_VERSION, __version__

MADE_IN_PYTHON = (
    "The scenario was made or changed in Python, so no command makes it again; scenario.resolved.yaml, where the "
    "run folder has it, says all of it."
)
"""Said of a run whose scenario did not come from files alone."""


class Result:
    """Summary, tables, report and plots of one run.

    Attributes
    ----------
    scenario : Any
        The scenario that was run; None if it could not be read back from a run folder.
    manifest : mapping
        How the run came about: version, command, source, overrides, files read. Of a scenario that was made or
        changed in Python the command is empty, and ``note`` says so.
    estimates : mapping of str to Any
        Step estimate of each ``job/phase``; after reading a run folder only step time and parts.
    """

    def __init__(
        self,
        summary: Mapping[str, Any],
        tables: Mapping[str, pd.DataFrame],
        manifest: Mapping[str, Any],
        *,
        scenario: Any = None,
        estimates: Mapping[str, Any] | None = None,
    ) -> None:
        self._summary = dict(summary)
        self._tables = dict(tables)
        self.manifest = dict(manifest)
        self.scenario = scenario
        self.estimates = dict(estimates or {})

    def summary(self) -> dict[str, Any]:
        """Return what `summary.json` holds."""
        return copy.deepcopy(self._summary)

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Tables by name (see `results.columns.COLUMNS`), units in ``.attrs``."""
        return self._tables

    def report(self) -> str:
        """Return the report as Markdown."""
        return markdown_report(self._summary, self._tables, self.manifest)

    def text(self, *, short: bool = False) -> str:
        """Return the report (or only jobs, slip and cluster) as plain text."""
        if short:
            return short_report(self._summary)
        return text_report(self._summary, self._tables, self.manifest)

    def plot_gantt(self, path: str | Path, *, dark: bool = False) -> Path:
        """Draw the Gantt chart to `path` (.png, .svg or .pdf) and return the path.

        Raises
        ------
        UsageError
            If the ending is none of these.
        OutputError
            If the file cannot be written.
        """
        # Pictures stand above results; they are looked up by name, so that results do not depend on them.
        plots = importlib.import_module("colossus_sim.plots")
        written: Path = plots.save_figure(plots.draw_gantt(self, dark=dark), path, dark=dark)
        return written

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the run folder (without pictures) and return its path.

        Parameters
        ----------
        overwrite : bool
            Replace another run, and write into a folder that holds other files, which stay.

        Raises
        ------
        OutputError
            If it cannot be written; or, without `overwrite`, if other files lie there, or a run of another
            scenario, case or seed or with other overrides. The same run again is replaced.
        """
        from colossus_sim.results.store import write_run

        return write_run(self, Path(folder), overwrite=overwrite)

    def __repr__(self) -> str:
        """Say in one line which run it is and when it ended."""
        run = self.manifest
        end = format_instant(run["scenario_start"] + run["end_time_s"])
        return f"<Result of {run['scenario']}: case {run['case']}, seed {run['seed']}, end {end}>"

    def _repr_html_(self) -> str:
        """Return headline, table of jobs and the Gantt chart, for notebooks."""
        return importlib.import_module("colossus_sim.html.notebook").notebook_html(self)  # type: ignore[no-any-return]


def result_of(run: RunResult) -> Result:
    """Return the result made from the rows of a run.

    Raises
    ------
    SimulationError
        If GPU time or slip does not add up.
    """
    ledger = build_ledger(run)
    tables = build_tables(run, ledger)
    return Result(
        build_summary(ledger, tables),
        tables,
        manifest_of(run),
        scenario=run.scenario,
        estimates=run.estimates,
    )


def manifest_of(run: RunResult) -> dict[str, Any]:
    """Return how the run came about, without times or anything of the host."""
    facts = facts_of(run.scenario)
    outside = origin(run.scenario.policies.scheduler)
    return {
        "program": "colossus_sim",
        "version": __version__,
        "model_version": MODEL_VERSION,
        "scenario": run.scenario.name,
        "scenario_start": run.scenario.start,
        "seed": run.seed,
        "case": run.case,
        **_origin(facts, run),
        "end_time_s": run.end_time,
        "events_processed": run.events_processed,
        **({"plugins": {"policies.scheduler": outside}} if outside else {}),
    }


def _origin(facts: LoadedFacts | None, run: RunResult) -> dict[str, Any]:
    if facts is None:
        return {"source": "", "overrides": [], "command": "", "note": MADE_IN_PYTHON, "inputs": []}
    return {
        "source": facts.source,
        "overrides": list(facts.overrides),
        "command": command_line(facts.source, facts.overrides, seed=run.seed, case=run.case),
        "inputs": [{"path": file.path, "sha256": file.sha256} for file in facts.files],
    }


def simulate(
    scenario: Scenario, *, seed: int | None = None, progress: Callable[[float, str], None] | None = None
) -> Result:
    """Run a scenario and return its result.

    Parameters
    ----------
    scenario : Scenario
        What `load_scenario` returned. One that was made or changed in Python is checked first, like a file.
    seed : int, optional
        Replaces the scenario's seed.
    progress : callable, optional
        Called with the fraction done and a line of text.

    Raises
    ------
    UsageError
        If the first argument is no Scenario, or the seed no whole number from 0 to 2**63 - 1.
    ScenarioError
        If a scenario that was made or changed in Python is wrong.
    SimulationError
        If the run cannot make progress, or its books do not balance.
    InfeasibleError
        If a plan does not fit.
    """
    from colossus_sim.engine.runner import simulate as run_engine
    from colossus_sim.loading.load import settled

    if not isinstance(scenario, Scenario):
        raise UsageError(
            f"expected a Scenario, got {type(scenario).__name__}: e.g. simulate(load_scenario('quickstart'))"
        )
    seed = None if seed is None else _whole_seed(seed)
    return result_of(run_engine(settled(scenario), seed=seed, progress=progress))


def _whole_seed(seed: Any) -> int:
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        raise UsageError(f"seed must be a whole number from 0 to 2**63 - 1, got {seed!r}")
    return number
