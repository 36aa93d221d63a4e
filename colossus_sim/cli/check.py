"""``colossus-sim check``: validate scenario files, and say where every value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import (
    Settings,
    check_feasible,
    echo,
    echo_json,
    load,
    note,
    problem_as_json,
    scenario_options,
    text_table,
)

if TYPE_CHECKING:
    from colossus_sim.errors import Problem, ScenarioError
    from colossus_sim.loading.facts import LoadedFacts
    from colossus_sim.specs.scenario import Scenario
    from colossus_sim.training.phases import ModelCache

SCHEMA_VERSION = 1


@click.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--explain", is_flag=True, help="Print each effective value, its unit, and where it came from.")
@scenario_options
def check(files: tuple[str, ...], explain: bool, settings: Settings) -> int:
    """Validate scenario files; all problems of a file are shown at once.

    FILE is a scenario file, the name of a shipped scenario, or - for standard input. Nothing is written.
    """
    from colossus_sim.errors import ScenarioError

    documents: list[dict[str, Any]] = []
    worst = 0
    for file in files:
        try:
            scenario = load(file, settings)
            models = check_feasible(scenario)
        except ScenarioError as error:
            worst = max(worst, error.exit_code)
            documents.append(_invalid(file, error, settings))
            continue
        warnings = _warnings(scenario, models)
        documents.append(_document(file, scenario, warnings, explain=explain))
        if not settings.json:
            _show(file, scenario, warnings, explain=explain, settings=settings)
    if settings.json:
        echo_json({"schema_version": SCHEMA_VERSION, "files": documents})
    return worst


def _invalid(file: str, error: ScenarioError, settings: Settings) -> dict[str, Any]:
    if not settings.json:
        click.echo(str(error), err=True)
    return {
        "file": file,
        "valid": False,
        "problems": [problem_as_json(problem) for problem in error.problems],
    }


def _warnings(scenario: Scenario, models: ModelCache) -> list[Problem]:
    """Warnings of the rules, and of the models of the phases."""
    from colossus_sim.loading.load import placed

    return [*scenario.loaded.warnings, *(placed(problem, scenario) for problem in models.warnings)]


def _document(file: str, scenario: Scenario, warnings: list[Problem], *, explain: bool) -> dict[str, Any]:
    facts: LoadedFacts = scenario.loaded
    document: dict[str, Any] = {
        "file": file,
        "valid": True,
        "name": scenario.name,
        "jobs": len(scenario.jobs),
        "gpus": installed_gpus(scenario),
        "case": facts.case,
        "warnings": [problem_as_json(problem) for problem in warnings],
    }
    if explain:
        from colossus_sim.loading.explain import effective_values

        document["values"] = [
            {"path": item.path, "value": _plain(item.value), "unit": item.unit, "origin": item.origin}
            for item in effective_values(scenario)
        ]
        document["assumptions"] = [
            {name: getattr(item, name) for name in item.__dataclass_fields__} for item in facts.assumptions
        ]
    return document


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def installed_gpus(scenario: Scenario) -> int:
    """Return the largest number of GPUs that are ever installed at once, all sites together."""
    from colossus_sim.loading.checks.walk import installed_at, partitions

    parts = [partition for _, _, _, partition in partitions(scenario)]
    moments = sorted({step.at for partition in parts for step in partition.capacity})
    return max(sum(installed_at(partition, moment) for partition in parts) for moment in moments)


def _show(
    file: str, scenario: Scenario, warnings: list[Problem], *, explain: bool, settings: Settings
) -> None:
    facts: LoadedFacts = scenario.loaded
    for warning in warnings:
        note(str(warning).replace("error: ", "warning: ", 1), settings)
    if explain:
        _explain(scenario, facts)
    if settings.quiet and not explain:
        return
    echo(
        f"{file}: valid: {_count(len(scenario.jobs), 'job')}, {installed_gpus(scenario):,} GPUs at "
        f"{_count(len(scenario.cluster.sites), 'site')}, {_count(len(facts.assumptions), 'assumption')} "
        f"(case {facts.case}), {_count(len(warnings), 'warning')}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _explain(scenario: Scenario, facts: LoadedFacts) -> None:
    from colossus_sim.loading.explain import effective_values

    rows = [[item.path, item.origin, item.shown] for item in effective_values(scenario)]
    echo(text_table(["field", "from", "value"], rows))
    echo("")
    if facts.assumptions:
        ranged = [
            [item.path, str(item.low), str(item.central), str(item.high), item.chosen, item.source]
            for item in facts.assumptions
        ]
        echo(text_table(["assumption", "low", "central", "high", "used", "source"], ranged))
        echo("")
