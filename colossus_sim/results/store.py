"""Run folders: written whole or not at all, and read back."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from colossus_sim.errors import ColossusError, OutputError
from colossus_sim.results.columns import COLUMNS
from colossus_sim.results.csv_files import read_csv, write_csv
from colossus_sim.results.estimate_tables import stored_estimates
from colossus_sim.results.files import check_parquet, check_writable, staged_folder, write_text
from colossus_sim.results.identity import (
    RESOLVED_FILE,
    RunIdentity,
    identity_of,
    overrides_suffix,
    resolved_text,
)
from colossus_sim.results.report import markdown_report
from colossus_sim.results.result import Result
from colossus_sim.results.schema import SCHEMA_VERSION
from colossus_sim.results.summary import dump_json

FORMATS = ("csv", "parquet")
"""Table formats that can be written."""

RUN_FILE = "run.json"
SUMMARY_FILE = "summary.json"
_LIBRARIES = ("numpy", "pandas", "simpy", "pydantic")


def default_folder(scenario: str, case: str, seed: int, overrides: Sequence[str] = ()) -> Path:
    """Return the run folder that is used when none is named."""
    return Path("out") / f"{scenario}-{case}-seed{seed}{overrides_suffix(overrides)}"


def check_target(folder: Path, run: RunIdentity | None = None, *, overwrite: bool = False) -> None:
    """Check, before anything is simulated, that a run folder can be written.

    Raises
    ------
    OutputError
        If it cannot, or if the folder holds anything but an earlier run, or another run than `run`, and `overwrite`
        is not set.
    """
    check_writable(folder)
    if overwrite or not folder.is_dir():
        return
    foreign = foreign_files(folder)
    if foreign:
        raise OutputError(
            f"{folder} holds files that are not from an earlier run, e.g. {foreign[0]!r}; choose another "
            "--out, or --overwrite to write into it and keep them"
        )
    held = identity_of(_manifest(folder)) if run is not None and _listed(folder) else run
    if held != run:
        raise OutputError(
            f"{folder} holds another run: {held}, not {run}; choose another --out, or --overwrite to replace it"
        )


def foreign_files(folder: Path) -> list[str]:
    """Return the names in a folder that no run of ours has listed there."""
    ours = _listed(folder)
    return sorted(path.name for path in folder.iterdir() if path.name not in ours or path.is_symlink())


def _listed(folder: Path) -> frozenset[str]:
    names = _manifest(folder).get("files")
    return frozenset((*names, RUN_FILE)) if isinstance(names, dict) else frozenset()


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the run.json of a run of ours; empty if there is none."""
    path = folder / RUN_FILE
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(document, dict) and document.get("program") == "colossus_sim"
    return document if ours else {}


def write_run(
    result: Result,
    folder: Path,
    *,
    formats: Sequence[str] = ("csv",),
    overwrite: bool = False,
    decorate: Callable[[Path], object] | None = None,
    timings: Mapping[str, float] | None = None,
) -> Path:
    """Write a run folder and return its path; on failure nothing of it is left.

    Parameters
    ----------
    formats : sequence of str
        csv (always written, so that the folder can be read back), and parquet.
    overwrite : bool
        Replace another run; write into a folder that holds other files, which stay unless a file of the run has
        their name.
    decorate : callable, optional
        Called with the temporary folder to add pictures.
    timings : mapping of str to float, optional
        Wall times by stage; they go into run.json and nowhere else. [s]

    Raises
    ------
    OutputError
        If the folder cannot be written, or `check_target` refuses it.
    UsageError
        If Parquet is asked for and pyarrow is not installed.
    """
    resolved = resolved_text(result.scenario)
    check_target(folder, identity_of(result.manifest, resolved), overwrite=overwrite)
    merge = overwrite and folder.is_dir() and bool(foreign_files(folder))
    ours = _listed(folder) if folder.is_dir() else frozenset()
    with staged_folder(folder, merge=merge, ours=ours) as stage:
        _write_tables(result, stage, formats)
        write_text(stage / SUMMARY_FILE, dump_json(result.summary()))
        write_text(stage / "report.md", markdown_report(result.summary(), result.tables, result.manifest))
        write_text(stage / "columns.json", dump_json(column_dictionary()))
        if resolved:
            write_text(stage / RESOLVED_FILE, resolved)
        if decorate is not None:
            decorate(stage)
        write_text(stage / RUN_FILE, dump_json(_run_document(result, stage, timings or {})))
    return folder


def _write_tables(result: Result, stage: Path, formats: Sequence[str]) -> None:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise OutputError(f"unknown format {unknown[0]!r}; formats are {', '.join(FORMATS)}")
    if "parquet" in formats:
        check_parquet()
    for name in COLUMNS:
        write_csv(result.tables[name], name, stage / f"{name}.csv")
        if "parquet" in formats:
            result.tables[name].to_parquet(stage / f"{name}.parquet", engine="pyarrow", index=False)


def column_dictionary() -> dict[str, Any]:
    """Return name, unit and meaning of every column of every table."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tables": {
            name: [column._asdict() for column in columns] for name, columns in COLUMNS.items()
        },
    }  # fmt: skip


def _run_document(result: Result, stage: Path, timings: Mapping[str, float]) -> dict[str, Any]:
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(stage.iterdir())}
    return {
        **result.manifest,
        "files": digests,
        "wall_time_s": dict(timings),
        "python": platform.python_version(),
        "libraries": {name: _installed(name) for name in _LIBRARIES},
    }


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def load_run(folder: str | Path) -> Result:
    """Read a run folder back (summary, tables) for looking at it or drawing it again.

    Raises
    ------
    OutputError
        If the folder is not a run folder of ours.
    """
    root = Path(folder)
    manifest = _read_json(root / RUN_FILE)
    if manifest.get("program") != "colossus_sim":
        raise OutputError(f"{root} is not a run folder of colossus-sim")
    summary = _read_json(root / SUMMARY_FILE)
    if summary.get("schema_version") != SCHEMA_VERSION:
        raise OutputError(
            f"{root / SUMMARY_FILE} has schema version {summary.get('schema_version')}, "
            f"this program reads {SCHEMA_VERSION}"
        )
    start, scenario = float(manifest["scenario_start"]), str(manifest["scenario"])
    tables = {name: read_csv(name, root / f"{name}.csv", start=start, scenario=scenario) for name in COLUMNS}
    estimates = stored_estimates(tables["step_time"])
    return Result(summary, tables, manifest, scenario=_read_scenario(root), estimates=estimates)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{path.parent} is not a run folder: no {path.name}") from error
    except ValueError as error:
        raise OutputError(f"{path} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise OutputError(f"{path} is damaged: not a mapping")
    return document


def _read_scenario(root: Path) -> Any:
    """Return the scenario of a run folder; None if it is not there or is of another version."""
    from colossus_sim.loading.load import load_scenario

    path = root / RESOLVED_FILE
    if not path.is_file():
        return None
    try:
        return load_scenario(str(path))
    except ColossusError:
        return None
