"""``colossus-sim sweep``: run a scenario at many points, with replicas."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from colossus_sim.cli.common import Settings, note, scenario_and_out_options
from colossus_sim.cli.many import (
    SOME_FAILED,
    Progress,
    executor,
    picture_options,
    say_engine_of,
    say_found,
    stopping,
    worker_options,
)
from colossus_sim.cli.run import FORMATS_HELP, parse_formats
from colossus_sim.cli.sweep_table import MAX_ROWS, show

if TYPE_CHECKING:
    from colossus_sim.sweeps.folder import State
    from colossus_sim.sweeps.plan import Plan, Point
    from colossus_sim.sweeps.precision import Precision
    from colossus_sim.sweeps.read import Sweep
    from colossus_sim.sweeps.table import Content
    from colossus_sim.sweeps.task import Outcome


@click.command("sweep")
@click.argument("file")
@scenario_and_out_options
@click.option(
    "--set-grid", "grid", multiple=True, metavar="PATH=V1,V2", help="Vary a field; repeat: all combinations."
)
@click.option("--set-zip", "zipped", multiple=True, metavar="PATH=V1,V2", help="Vary fields together.")
@click.option("--tornado", is_flag=True, help="Move one assumption at a time to its low and high end.")
@click.option("--replicas", type=click.IntRange(1, 1_000_000), metavar="N", help="Runs per point.")
@click.option(
    "--until-ci", "until_ci", multiple=True, metavar="[MEASURE=]WIDTH",
    help="Stop a point when the mean of MEASURE is known to +- WIDTH; a time alone, e.g. 0.5d, is for the end of "
    "every job. Then --replicas is the most runs of a point (100 if nothing says).",
)  # fmt: skip
@click.option(
    "--measure", "measures", multiple=True, metavar="NAME", help="Show and draw this, e.g. jobs.a.slip_days."
)
@click.option(
    "--resume", is_flag=True, help="Go on with what is in the folder; failed runs are played again."
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Run only the I-th of N parts; run without --shard and with --resume to join.",
)
@click.option(
    "--merge", multiple=True, type=click.Path(), metavar="DIR", help="Count the results in DIR too."
)
@click.option("--formats", default="csv", show_default=True, help=FORMATS_HELP)
@picture_options
@click.option("--explain", is_flag=True, help="Say which engine plays the runs, and what that was judged by.")
@worker_options
def sweep(file: str, settings: Settings, **options: Any) -> int:
    """Run a scenario at many points: a grid, a sample of ranges, or one thing at a time.

    FILE is a sweep file, the name of a shipped sweep, or a scenario with --set-grid, --set-zip or --tornado.
    Runs go to out/NAME-sweep unless --out names another folder: results.csv (a row per run), points.csv (means
    with intervals and paired differences to the first point), pictures. A run is counted only when it is on
    disk; --resume goes on, and plays again what failed.

    \b
    Examples:
      colossus-sim sweep sweeps/restart_time.yaml --jobs 4
      colossus-sim sweep quickstart --set-grid jobs.llama_70b.gpus=480,960 --replicas 20
      colossus-sim sweep colossus_roadmap --tornado --measure jobs.grok_5_10t.slip_days
      colossus-sim sweep restart_time --replicas 200 --until-ci jobs.large.slip_days=2h
      colossus-sim sweep sweeps/restart_time.yaml --out /shared/run --shard 3/16

    Exit codes: 0 done, 3 some runs failed, 4 output, 130 interrupted and saved.
    """  # fmt: skip
    from colossus_sim.sweeps.engines import engine_choice, with_engine
    from colossus_sim.sweeps.folder import Shard, open_folder, parse_shard
    from colossus_sim.sweeps.precision import parse_precisions, run_until

    formats = parse_formats(options["formats"])
    asked = _asked(file, options)
    plan = make(asked, settings, _replicas(asked, options))
    folder = Path(settings.out) if settings.out else Path("out") / f"{asked.name}-sweep"
    precision = parse_precisions(options["until_ci"], plan.scenario.jobs)
    shard = parse_shard(options["shard"], points=bool(precision)) if options["shard"] else Shard()
    measures = _measures(asked, plan, options["measures"])
    state: list[State] = []
    with (
        executor(options) as workers,
        stopping(folder, settings, lambda: (len(state[0].outcomes), state[0].total) if state else (0, 0)),
        open_folder(
            folder,
            plan,
            resume=options["resume"],
            shard=shard,
            merge=[Path(item) for item in options["merge"]],
        ) as opened,
    ):
        state.append(opened.state)
        say_found(opened.state, settings)
        choice = engine_choice(plan)
        say_engine_of(plan, choice, settings, explain=options["explain"])
        tasks = with_engine(plan.tasks(), choice)
        with Progress(settings, best=_best(plan, measures)) as progress:
            if precision:
                outcomes = run_until(opened, workers, tasks, precision, progress)
                _say_precision(plan, outcomes, precision, settings)
            else:
                outcomes = opened.run(workers, tasks, progress)
        if shard.count > 1:
            runs = sum(1 for task in tasks if shard.holds(task) and task.index in outcomes)
            note(f"part {shard.number} of {shard.count} is done: {runs} runs in {folder}", settings)
            return SOME_FAILED if opened.state.failed else 0
        title = "" if asked.spec.title == "untitled" else asked.spec.title
        plots = not options["no_plots"]
        command = _command(file, plan, settings, options)
        write(folder, plan, outcomes, measures, formats=formats, plots=plots, title=title, command=command,
              question=asked.spec.question, dark=options["dark"])  # fmt: skip
    show(folder, plan, outcomes, measures, settings)
    return SOME_FAILED if any(item.status == "failed" for item in outcomes.values()) else 0


def _measures(asked: Sweep, plan: Plan, given: Sequence[str]) -> tuple[str, ...]:
    """Return the measures to show: those of the options, of the file, or the default ones; each must exist."""
    from colossus_sim.errors import UsageError
    from colossus_sim.sweeps.precision import check_names

    if given or not asked.spec.measures:
        measures = tuple(given) or default_measures(plan)
        check_names(plan, measures)
        return measures
    for index, name in enumerate(asked.spec.measures):
        try:
            check_names(plan, [name])
        except UsageError as error:
            raise asked.at(str(error), "measures", index) from None
    return asked.spec.measures


def _command(file: str, plan: Plan, settings: Settings, options: Mapping[str, Any]) -> str:
    from colossus_sim.sweeps.study import study_command

    chosen = {
        "--set-grid": options["grid"],
        "--set-zip": options["zipped"],
        "--tornado": options["tornado"],
        "--replicas": options["replicas"],
        "--until-ci": options["until_ci"],
        "--measure": options["measures"],
    }
    return study_command("sweep", file, overrides=settings.overrides, case=plan.case, seed=settings.seed,
                         options=chosen)  # fmt: skip


def _say_precision(
    plan: Plan, outcomes: Mapping[int, Outcome], asked: Sequence[Precision], settings: Settings
) -> None:
    from colossus_sim.sweeps.measure import describe_measure
    from colossus_sim.sweeps.precision import excess, runs_per_point, runs_text

    found = [(point, excess(plan, outcomes, point, asked)) for point in range(len(plan.points))]
    wide = [(point, *item) for point, item in found if item is not None]
    # A shard has runs of its own points only.
    counts = runs_text([count for count in runs_per_point(plan, outcomes) if count])
    if not wide:
        note(f"precise enough after {counts}", settings)
    for point, item, width in wide[:MAX_ROWS]:
        unit = describe_measure(item.measure)[0]
        reached = f"{item.measure} +- {width:.3g} {unit}"
        note(f"point {point} is not as precise as asked after {plan.replicas} runs: {reached}", settings)


def _replicas(asked: Sweep, options: Mapping[str, Any]) -> int | None:
    from colossus_sim.sweeps.precision import MOST_REPLICAS

    if options["replicas"] or asked.spec.replicas > 1 or not options["until_ci"]:
        return options["replicas"]  # type: ignore[no-any-return]
    return MOST_REPLICAS


def _asked(file: str, options: Mapping[str, Any]) -> Sweep:
    from colossus_sim.errors import UsageError
    from colossus_sim.sweeps.read import is_sweep_file, read_sweep, sweep_of_flags

    flags = bool(options["grid"] or options["zipped"] or options["tornado"])
    if file == "-":
        raise UsageError("every worker reads the scenario itself: save it to a file first")
    if is_sweep_file(file):
        if flags:
            raise UsageError(
                f"{file} is a sweep file and says itself what varies; --set-grid needs a scenario"
            )
        return read_sweep(file)
    if not flags:
        raise UsageError(f"{file} is no sweep file: say what varies with --set-grid, --set-zip or --tornado")
    tornado = () if options["tornado"] else None
    return sweep_of_flags(file, grid=options["grid"], zipped=options["zipped"], tornado=tornado)


def make(asked: Sweep, settings: Settings, replicas: int | None) -> Plan:
    """Return the plan of a sweep; every point is checked like a scenario of its own, plans included.

    Raises
    ------
    ScenarioError
        If the scenario or a point of it is wrong.
    UsageError
        If the options that say what varies make no sense.
    """
    from colossus_sim.errors import ScenarioError, UsageError
    from colossus_sim.loading.load import load_scenario
    from colossus_sim.sweeps.plan import make_plan
    from colossus_sim.sweeps.points import make_points, override
    from colossus_sim.sweeps.spec import VaryError

    spec = asked.spec
    overrides = (*(override(path, value) for path, value in spec.set.items()), *settings.overrides)
    case = settings.case if settings.case_given else spec.case
    if spec.vary.tornado is not None and case != "central":
        message = "a tornado moves each assumption from its central value: leave the case out"
        raise UsageError(f"--case {case}: {message}") if settings.case_given else asked.at(message, "case")
    try:
        base = load_scenario(asked.source, overrides=overrides, case=case)  # type: ignore[arg-type]
    except ScenarioError as error:
        raise asked.named(error, len(settings.overrides)) from None
    seed = next((value for value in (settings.seed, spec.seed) if value is not None), base.seed)
    try:
        points, kind = make_points(
            spec.vary,
            seed=seed,
            assumptions=base.loaded.assumptions,
            sites={name: job.site for name, job in base.jobs.items()},
            fixed=[text.partition("=")[0] for text in overrides],
            scenario=base,
        )
    except VaryError as error:
        raise asked.located(error) from None
    plan = make_plan(
        asked.source,
        points,
        replicas=replicas or spec.replicas,
        overrides=overrides,
        case=case,  # type: ignore[arg-type]
        seed=seed,
        kind=kind,
        paired=spec.common_random_numbers,
    )
    _check_tails(asked, plan)
    if kind != "tornado":
        _check_points(asked, plan, plan.points if kind == "changes" else plan.points[:1], settings)
    return plan


def _check_tails(asked: Sweep, plan: Plan) -> None:
    """Refuse a normal law that reaches values which the scenario refuses: some points would fail."""
    from colossus_sim.errors import ScenarioError
    from colossus_sim.loading.load import load_scenario
    from colossus_sim.sweeps.sampling import TAIL, tails
    from colossus_sim.sweeps.spec import VaryError

    sample = asked.spec.vary.sample
    for path, text in tails(sample, plan.scenario) if sample is not None else ():
        try:
            load_scenario(plan.source, overrides=(*plan.overrides, f"{path}={text}"), case=plan.case)
        except ScenarioError as error:
            message = (
                f"a normal law with these ends goes beyond {text} with a chance of {TAIL:g}, which the scenario "
                f"refuses ({error.problems[0].message}); use triangular or loguniform, or nearer ends"
            )
            raise asked.located(VaryError(message, "sample", "ranges", path)) from None


def _check_points(asked: Sweep, plan: Plan, points: Sequence[Point], settings: Settings) -> None:
    """Refuse a field path or value that a point cannot use, before any run, by the point's own assignment."""
    from colossus_sim.errors import ScenarioError
    from colossus_sim.loading.load import load_scenario

    for point in points:
        try:
            load_scenario(plan.source, overrides=(*plan.overrides, *point.overrides), case=plan.case)
        except ScenarioError as error:
            raise asked.named(error, len(settings.overrides), point.overrides) from None


def default_measures(plan: Plan) -> tuple[str, ...]:
    """Return the slip of each job with a target, and the cost; without targets the ends."""
    jobs = plan.scenario.jobs
    slips = [f"jobs.{name}.slip_days" for name, job in jobs.items() if job.target is not None]
    ends = slips or [f"jobs.{name}.finish_days" for name in jobs]
    return (*ends, "cluster.gpu_days")


def _best(plan: Plan, measures: tuple[str, ...]) -> Any:
    """Return a text maker: the point with the least first measure so far."""
    least, seen = [float("inf"), -1.0], 0

    def text(state: State) -> str:
        nonlocal seen
        # Outcomes are only ever added, at the end.
        for index in itertools.islice(state.outcomes, seen, None):
            value = state.outcomes[index].values.get(measures[0])
            if value is not None and value < least[0]:
                least[:] = [value, index // plan.replicas]
        seen = len(state.outcomes)
        return f"best {measures[0]} {least[0]:.4g} at point {int(least[1])}" if least[1] >= 0 else ""

    return text if len(plan.points) > 1 else None


def write(
    folder: Path,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    measures: tuple[str, ...],
    *,
    formats: tuple[str, ...],
    plots: bool,
    command: str,
    dark: bool = False,
    title: str = "",
    question: str = "",
) -> None:
    """Write tables and pictures, each whole or not at all.

    Raises
    ------
    UsageError
        If a measure does not exist.
    """
    from colossus_sim.sweeps.study import study_file
    from colossus_sim.sweeps.table import parquet_bytes, run_table, summary_table, table_files, write_files

    tables = {"results": run_table(plan, outcomes), "points": summary_table(plan, outcomes)}
    files: dict[str, Content] = {**table_files(tables)}
    files |= study_file(plan, outcomes, measures, command=command, title=title, question=question)
    if "parquet" in formats:
        files |= {f"{name}.parquet": parquet_bytes(table) for name, table in tables.items()}
    if plots and any(item.status == "done" for item in outcomes.values()):
        from colossus_sim.plots.draw import render_all
        from colossus_sim.plots.sweep import sweep_figures
        from colossus_sim.sweeps.view import sweep_view

        view = sweep_view(plan, outcomes, measures, title)
        files |= render_all(sweep_figures(view, dark=dark), dark=dark)
    write_files(folder, files)
