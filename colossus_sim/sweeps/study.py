"""What a sweep or forecast was: the file ``study.json``, from which its report is made without running anything."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from colossus_sim.results.assumptions import assumption_rows
from colossus_sim.results.study_file import SCHEMA_VERSION, STUDY_FILE
from colossus_sim.sweeps.cut_off import grows
from colossus_sim.sweeps.measure import describe_measure
from colossus_sim.sweeps.plan import Plan
from colossus_sim.sweeps.precision import runs_per_point
from colossus_sim.sweeps.table import measures_of
from colossus_sim.sweeps.task import Outcome
from colossus_sim.sweeps.view import label_of, title_of
from colossus_sim.units import DAY, format_instant
from colossus_sim.version import MODEL_VERSION, __version__


def study_file(
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    measures: Sequence[str],
    *,
    command: str,
    title: str = "",
    question: str = "",
) -> dict[str, str]:
    """Return the file by name; the same plan, command and results give the same text.

    Title and question are those of the scenario where none are given.
    """
    scenario = plan.scenario
    runs = runs_per_point(plan, outcomes)
    document = {
        "schema_version": SCHEMA_VERSION,
        "program": "colossus_sim",
        "kind": plan.kind,
        "title": title or title_of(scenario),
        "question": question or ("" if title else scenario.question),
        "scenario": scenario.name,
        "source": plan.source,
        "case": plan.case,
        "seed": plan.seed,
        "replicas": max(runs),
        # Only where points differ in it: a sweep that stopped at a precision.
        **({"least_replicas": min(runs)} if min(runs) < max(runs) else {}),
        "points": len(plan.points),
        "paired": plan.paired,
        "overrides": list(plan.overrides),
        "parameters": list(plan.parameters),
        "measures": [_measure(plan, name) for name in _first(measures, measures_of(outcomes))],
        "shown": list(measures),
        "command": command,
        "version": __version__,
        "model_version": MODEL_VERSION,
        "start_date": format_instant(scenario.start, seconds=True),
        "horizon_days": scenario.horizon / DAY,
        "phase_kinds": {
            f"{job}/{name}": phase.kind
            for job, spec in scenario.jobs.items()
            for name, phase in spec.phases.items()
        },
        "assumptions": assumption_rows(scenario),
    }  # fmt: skip
    return {STUDY_FILE: json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"}


def _first(shown: Sequence[str], every: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*shown, *every)))


def _measure(plan: Plan, name: str) -> dict[str, str | bool]:
    unit, meaning = describe_measure(name)
    label = label_of(plan.scenario, name)
    return {"name": name, "label": label, "unit": unit, "meaning": meaning, "grows": grows(name)}


def study_command(
    command: str,
    file: str,
    *,
    overrides: Sequence[str],
    case: str,
    seed: int | None,
    options: Mapping[str, object],
) -> str:
    """Return the shell command of a study; options that are unset are left out, repeated ones repeat."""
    words = ["colossus-sim", command, file, "--case", case]
    if seed is not None:
        words += ["--seed", str(seed)]
    for override in overrides:
        words += ["--set", override]
    for flag, value in options.items():
        if value is True:
            words.append(flag)
        elif isinstance(value, (tuple, list)):
            for item in value:
                words += [flag, str(item)]
        elif value is not None and value is not False:
            words += [flag, str(value)]
    return shlex.join(words)
